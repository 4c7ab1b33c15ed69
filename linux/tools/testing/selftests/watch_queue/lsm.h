/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Security modules: what one of them denies cannot be watched, and what one of
 * them withholds is not posted.
 *
 * SELinux must enforce a policy that selinux_policy.awk made.  Smack needs to be
 * the security module in use, and no preparation.
 */
#ifndef SELFTESTS_WATCH_QUEUE_LSM_H
#define SELFTESTS_WATCH_QUEUE_LSM_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <linux/capability.h>

#include "disk.h"
#include "expect.h"
#include "people.h"

/*
 * What a program that includes this defines.
 */

/* Why its tests have to be skipped, or NULL. */
static const char *cannot_test(void);
/*
 * Make in the current directory, a tmpfs, what is watched, with the Smack label
 * @label if that is not NULL.
 */
static int prepare(struct disk *disk, const char *label);
/* Set the watch with the number @nr, which is also its tag. */
static int watch(unsigned int nr, int fd);
/* An event for each of the watches.  All have been posted when this returns. */
static int cause_events(void *arg);

/* Call @fn in a child with the security label @label, as run_as() does. */
static inline int run_in(const char *label, int (*fn)(void *arg), void *arg)
{
	const struct someone who = { .label = label };

	return run_as(&who, fn, arg);
}

/* What Smack denies anybody who has CAP_MAC_OVERRIDE can do. */
static inline int drop_mac_override(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &header, data))
		return -errno;
	data[1].effective &= ~CAP_TO_MASK(CAP_MAC_OVERRIDE);
	return or_errno(syscall(__NR_capset, &header, data));
}

#define MOST_WATCHES	4

/* Watches that a task is to set, and what the kernel said to that. */
struct attempt {
	unsigned int nr;
	int fd;
	bool restricted;	/* Without CAP_MAC_OVERRIDE */
	int ret[MOST_WATCHES];
};

static inline int attempt_fn(void *arg)
{
	struct attempt *a = arg;
	unsigned int i;
	int ret = 0;

	if (a->restricted)
		ret = drop_mac_override();
	for (i = 0; i < a->nr; i++)
		a->ret[i] = watch(i, a->fd);
	return ret;
}

/*
 * Set @nr watches as a task with the label @label: those that are expected to
 * succeed do, and report; the others fail, and report nothing.
 */
static inline void expect_watches(struct __test_metadata *_metadata,
				  enum queue_kind kind, unsigned int size,
				  const char *label, bool restricted,
				  unsigned int nr, const int *expected)
{
	struct attempt *a = shared_memory(sizeof(*a));
	unsigned int i;
	struct queue q;
	int tags = 0;

	ASSERT_NE(NULL, a);
	ASSERT_EQ(0, queue_open(&q, kind, size));
	*a = (struct attempt) { .nr = nr, .fd = q.fd, .restricted = restricted };
	memset(a->ret, -1, sizeof(a->ret));
	ASSERT_EQ(0, run_in(label, attempt_fn, a));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(expected[i], a->ret[i])
			TH_LOG("%s: watch %u", label, i);
		if (!expected[i])
			tags |= 1 << i;
	}
	ASSERT_EQ(0, queue_tags(&q));
	ASSERT_EQ(0, cause_events(NULL));
	EXPECT_EQ(tags, queue_tags(&q))
		TH_LOG("%s", label);
	queue_close(&q);
}

FIXTURE(selinux)
{
	struct disk disk;
};

QUEUE_VARIANTS(selinux, 64, 1);

#define DOMAIN(type)	"user_u:base_r:" type

FIXTURE_SETUP(selinux)
{
	char enforce = '0';
	struct queue q;
	int fd;

	fd = sys_open("/sys/fs/selinux/enforce", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &enforce, 1) != 1)
		enforce = '0';
	close(fd);
	if (enforce != '1')
		SKIP(return, "SELinux does not enforce");
	if (run_in(DOMAIN("no_watch_sb_t"), do_nothing, NULL))
		SKIP(return, "not the policy of selinux_policy.awk");
	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	if (!open_or_skip(_metadata, &q, variant->kind, variant->size))
		return;
	queue_close(&q);

	ASSERT_EQ(0, enter_tmp("mode=755"));
	ASSERT_EQ(0, prepare(&self->disk, NULL));
	ASSERT_LT(0, join_new_session());
}

FIXTURE_TEARDOWN(selinux)
{
	disk_put(&self->disk);
}

/* A watch that the domain @domain may not set. */
struct denial {
	const char *domain;
	unsigned int watch;
};

/* Each domain lacks one permission, and is denied the watches that take that alone. */
static inline void expect_denials(struct __test_metadata *_metadata,
				  enum queue_kind kind, unsigned int size,
				  unsigned int nr, const struct denial *denials,
				  unsigned int nr_denials)
{
	static const char * const domains[] = {
		DOMAIN("base_t"),
		DOMAIN("no_key_view_t"),
		DOMAIN("no_kernel_key_view_t"),
		DOMAIN("no_watch_mount_t"),
		DOMAIN("no_watch_sb_t"),
		DOMAIN("no_watch_tracefs_t"),
		DOMAIN("no_watch_all_sb_t"),
		DOMAIN("no_watch_block_t"),
		DOMAIN("no_watch_all_block_t"),
	};
	unsigned int i, j, found = 0;

	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		int expected[MOST_WATCHES] = { 0 };

		for (j = 0; j < nr_denials; j++) {
			if (strcmp(denials[j].domain, domains[i]))
				continue;
			expected[denials[j].watch] = -EACCES;
			found++;
		}
		expect_watches(_metadata, kind, size, domains[i], false, nr,
			       expected);
	}
	ASSERT_EQ(nr_denials, found);
}

FIXTURE(smack)
{
	struct disk disk;
	struct queue queue;
};

QUEUE_VARIANTS(smack, 64, 1);

#define WATCHER	"WqWatcher"
#define POSTER	"WqPoster"
#define UNHEARD	"WqUnheard"
#define SECRET	"WqSecret"

static inline int set_rule(const char *subject, const char *object,
			   const char *access)
{
	char rule[80];

	snprintf(rule, sizeof(rule), "%s %s %s", subject, object, access);
	return write_string("smack/load2", rule);
}

static inline int set_label(const char *path, const char *label)
{
	return or_errno(setxattr(path, "security.SMACK64", label, strlen(label), 0));
}

/* The test's own process, which has CAP_MAC_OVERRIDE, gets the label WATCHER. */
FIXTURE_SETUP(smack)
{
	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (access("/sys/fs/smackfs", F_OK))
		SKIP(return, "Smack is not in use");
	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	/* Directories get the label of whoever makes them: not yet WATCHER's. */
	ASSERT_EQ(0, enter_tmp("mode=755"));
	ASSERT_EQ(0, prepare(&self->disk, SECRET));
	ASSERT_EQ(0, mkdir("smack", 0755));
	ASSERT_EQ(0, sys_mount("none", "smack", "smackfs", 0, NULL));
	ASSERT_EQ(0, write_string("/proc/self/attr/current", WATCHER));
	ASSERT_LT(0, join_new_session());
}

FIXTURE_TEARDOWN(smack)
{
	static const char * const subjects[] = { POSTER, UNHEARD, WATCHER };
	unsigned int i;

	queue_close(&self->queue);
	disk_put(&self->disk);
	for (i = 0; i < ARRAY_SIZE(subjects); i++) {
		set_rule(subjects[i], WATCHER, "-");
		set_rule(subjects[i], SECRET, "-");
	}
}

/*
 * The watches of a task without CAP_MAC_OVERRIDE that may not read what it is to
 * watch, and of one that may.
 */
static inline void expect_rules(struct __test_metadata *_metadata,
				enum queue_kind kind, unsigned int size,
				unsigned int nr, const int *restricted,
				const int *granted)
{
	static const int all[MOST_WATCHES] = { 0 };

	/* Events of a watcher are withheld from nobody here: this is about the watches. */
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "w"));

	/* With the capability a task is not restricted. */
	expect_watches(_metadata, kind, size, POSTER, false, nr, all);

	/* To go there is one thing, to read it is another. */
	ASSERT_EQ(0, set_rule(POSTER, SECRET, "x"));
	expect_watches(_metadata, kind, size, POSTER, true, nr, restricted);
	ASSERT_EQ(0, set_rule(POSTER, SECRET, "rx"));
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "r"));
	expect_watches(_metadata, kind, size, POSTER, true, nr, granted);
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "-"));
}

static inline void expect_record(struct __test_metadata *_metadata,
				 struct queue *q, unsigned int type,
				 unsigned int subtype)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(type, rec_type(&rec));
	EXPECT_EQ(subtype, rec_subtype(&rec));
}

/* Nothing to read, no wake-up, no count: only, in a ring, these flags. */
static inline void expect_flags(struct __test_metadata *_metadata,
				struct queue *q, uint32_t flags)
{
	struct fdinfo info;
	union record rec;

	EXPECT_EQ(0, poll_for(q->fd, 0));
	ASSERT_EQ(0, queue_next(q, &rec, 0));
	if (q->kind == QUEUE_DEVICE) {
		EXPECT_EQ(flags, q->ring->flags);
		EXPECT_EQ(0, q->ring->lost);
		EXPECT_EQ(q->ring->tail, q->ring->head);
		ASSERT_EQ(0, read_fdinfo(q->fd, &info));
		EXPECT_EQ(0, info.lost);
	}
}

/*
 * Set watches as WATCHER.  Records that are posted without anybody's credentials
 * come, though POSTER, who causes them, may not write to WATCHER.
 */
static inline void expect_anonymous(struct __test_metadata *_metadata,
				    struct queue *q, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, watch(i, q->fd));
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	EXPECT_EQ((1 << nr) - 1, queue_tags(q));
	expect_flags(_metadata, q, 0);
}

#endif /* SELFTESTS_WATCH_QUEUE_LSM_H */
