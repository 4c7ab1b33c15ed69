// SPDX-License-Identifier: GPL-2.0
/*
 * Security modules: what one of them denies cannot be watched, and what one of
 * them withholds is not posted.
 *
 * SELinux must enforce a policy that selinux_policy.awk made.  Smack needs to be
 * the security module in use, and no preparation.
 */

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/sched.h>

#include "disk.h"
#include "expect.h"
#include "mounts.h"
#include "people.h"

/* The watches, each with its number as the tag. */
enum {
	KEY,
	MOUNT,
	SB,
	TRACEFS,
	ALL_SBS,
	BLOCK,
	ALL_BLOCKS,
	NR_WATCHES,
};

/* Do something in a child with the security label @label, as run_as() does. */
static int run_in(const char *label, int (*fn)(void *arg), void *arg)
{
	const struct someone who = { .label = label };

	return run_as(&who, fn, arg);
}

static bool can_watch_blocks(void)
{
	return block_notify(-1, "", 0, -1, 0) != -ENOSYS;
}

/*
 * A directory of a mount namespace of one's own, with mounts to watch, a disk
 * whose block 1 cannot be read, and a key.
 */
static int prepare(const char *mnt_options, int32_t *key, struct disk *disk)
{
	int ret;

	ret = sys_unshare(CLONE_NEWNS);
	if (!ret)
		ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", "/tmp", "tmpfs", 0, "mode=755");
	if (!ret && (chdir("/tmp") || mkdir("dir", 0755) || mkdir("dir/x", 0755) ||
		     mkdir("mnt", 0755) || mkdir("trace", 0755)))
		ret = -errno;
	if (!ret)
		ret = sys_mount("none", "mnt", "tmpfs", 0, mnt_options);
	if (!ret)
		ret = sys_mount("none", "trace", "tracefs", 0, NULL);
	if (!ret && can_watch_blocks()) {
		ret = disk_add(disk, 1);
		if (!ret)
			ret = disk_fail(disk, 1, true);
	}
	if (ret)
		return ret;

	ret = join_new_session();
	if (ret < 0)
		return ret;
	*key = add_key("user", "watch_queue:lsm", "x", KEY_SPEC_SESSION_KEYRING);
	return *key < 0 ? *key : 0;
}

/* What a task is to watch, and what the kernel said to that. */
struct attempt {
	int32_t key;
	int fd;
	bool restricted;	/* Smack: without CAP_MAC_OVERRIDE */
	int ret[NR_WATCHES];
};

static int drop_mac_override(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &header, data))
		return -errno;
	data[1].effective &= ~CAP_TO_MASK(CAP_MAC_OVERRIDE);
	return syscall(__NR_capset, &header, data) ? -errno : 0;
}

static int attempt_fn(void *arg)
{
	struct attempt *a = arg;
	int ret = 0;

	if (a->restricted)
		ret = drop_mac_override();
	a->ret[KEY] = watch_key(a->key, a->fd, KEY);
	a->ret[MOUNT] = mount_notify(AT_FDCWD, "dir", 0, a->fd, MOUNT);
	a->ret[SB] = sb_notify(AT_FDCWD, "mnt", 0, a->fd, SB);
	a->ret[TRACEFS] = sb_notify(AT_FDCWD, "trace", 0, a->fd, TRACEFS);
	a->ret[ALL_SBS] = sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, a->fd, ALL_SBS);
	a->ret[BLOCK] = block_notify(AT_FDCWD, DISK_NODE, 0, a->fd, BLOCK);
	a->ret[ALL_BLOCKS] = block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, a->fd,
					  ALL_BLOCKS);
	return ret;
}

/* An event for each of the watches.  All have been posted when this returns. */
static int cause_events(void *arg)
{
	const int32_t *key = arg;
	int ret;

	ret = update_key(*key);
	if (!ret)
		ret = sys_mount("none", "dir/x", "tmpfs", 0, NULL);
	if (!ret)
		ret = sys_umount("dir/x", 0);
	if (!ret)
		ret = touch_sb("mnt");
	if (!ret)
		ret = touch_sb("trace");
	if (!ret && can_watch_blocks() && disk_read(1) != -EIO)
		ret = -EPROTO;
	return ret;
}

/* Watch all, and see that what is allowed is watched, and that nothing else is. */
static void expect_watches(struct __test_metadata *_metadata,
			   enum queue_kind kind, unsigned int size,
			   const char *label, struct attempt *a, int32_t key,
			   const int *expected)
{
	struct queue q;
	int i, nr = can_watch_blocks() ? NR_WATCHES : BLOCK, tags = 0;

	ASSERT_EQ(0, queue_open(&q, kind, size));
	memset(a->ret, -1, sizeof(a->ret));
	a->key = key;
	a->fd = q.fd;
	ASSERT_EQ(0, run_in(label, attempt_fn, a));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(expected[i], a->ret[i])
			TH_LOG("%s: watch %d", label, i);
		if (!expected[i])
			tags |= 1 << i;
	}
	ASSERT_EQ(0, queue_tags(&q));
	ASSERT_EQ(0, cause_events(&key));
	EXPECT_EQ(tags, queue_tags(&q))
		TH_LOG("%s", label);
	queue_close(&q);
}

FIXTURE(selinux)
{
	struct disk disk;
	struct attempt *shared;
	int32_t key;
};

QUEUE_VARIANTS(selinux, 64, 1);

#define DOMAIN(type)	"user_u:base_r:" type

static void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

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
	if (!open_or_skip(_metadata, &q, variant->kind, variant->size))
		return;
	queue_close(&q);

	self->shared = shared_memory(sizeof(*self->shared));
	ASSERT_NE(NULL, self->shared);
	ASSERT_EQ(0, prepare(NULL, &self->key, &self->disk));
}

FIXTURE_TEARDOWN(selinux)
{
	disk_put(&self->disk);
}

/* Each domain lacks one permission, and just one of the watches takes that. */
TEST_F(selinux, watches)
{
	static const struct {
		const char *domain;
		int expected[NR_WATCHES];
	} domains[] = {
		{ DOMAIN("base_t"), { 0 } },
		{ DOMAIN("no_key_view_t"), { [KEY] = -EACCES } },
		{ DOMAIN("no_watch_mount_t"), { [MOUNT] = -EACCES } },
		{ DOMAIN("no_watch_sb_t"), { [SB] = -EACCES, [TRACEFS] = -EACCES } },
		{ DOMAIN("no_watch_tracefs_t"), { [TRACEFS] = -EACCES } },
		{ DOMAIN("no_watch_all_sb_t"), { [ALL_SBS] = -EACCES } },
		{ DOMAIN("no_watch_block_t"), { [BLOCK] = -EACCES } },
		{ DOMAIN("no_watch_all_block_t"), { [ALL_BLOCKS] = -EACCES } },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(domains); i++)
		expect_watches(_metadata, variant->kind, variant->size,
			       domains[i].domain, self->shared, self->key,
			       domains[i].expected);
}

static int watch_automounts_fn(void *arg)
{
	const struct queue *q = arg;

	return sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, SB);
}

static int walk_fn(void *arg)
{
	struct stat st;

	return stat(arg, &st) ? -errno : 0;
}

/*
 * A watch is extended to what is mounted if its owner may watch that.  It does
 * not matter who makes the kernel mount it.
 */
TEST_F(selinux, automount)
{
	static const struct {
		const char *watcher, *walker;
		int tags;
	} cases[] = {
		{ DOMAIN("base_t"), DOMAIN("base_t"), 1 << SB },
		{ DOMAIN("base_t"), DOMAIN("no_watch_tracefs_t"), 1 << SB },
		{ DOMAIN("no_watch_tracefs_t"), DOMAIN("base_t"), 0 },
	};
	struct queue q;
	unsigned int i;

	ASSERT_EQ(0, mkdir("debug", 0755));
	ASSERT_EQ(0, sys_mount("none", "debug", "debugfs", 0, NULL));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		ASSERT_EQ(0, run_in(cases[i].watcher, watch_automounts_fn, &q));
		ASSERT_EQ(0, run_in(cases[i].walker, walk_fn, "debug/tracing/."));
		ASSERT_EQ(0, touch_sb("debug/tracing"));
		EXPECT_EQ(cases[i].tags, queue_tags(&q))
			TH_LOG("case %u", i);
		ASSERT_EQ(0, sys_umount("debug/tracing", 0));
		queue_close(&q);
	}
}

struct children {
	int32_t keyring;
	int fd;
	int32_t keys[2];
};

static int watch_children_fn(void *arg)
{
	const struct children *c = arg;

	return sys_keyctl(KEYCTL_WATCH_KEYRING, c->keyring, c->fd, KEY,
			  KEYCTL_WATCH_CHILDREN);
}

/* Two keys in the keyring, the second with the label of the kernel. */
static int link_fn(void *arg)
{
	struct children *c = arg;
	int ret;

	c->keys[0] = add_key("user", "watch_queue:own", "x", c->keyring);
	ret = write_string("/proc/self/attr/keycreate", DOMAIN("kernel_t"));
	if (ret)
		return ret;
	c->keys[1] = add_key("user", "watch_queue:kernel", "x", c->keyring);
	if (c->keys[0] < 0 || c->keys[1] < 0)
		return -ENOKEY;
	return update_key(c->keys[0]) ?: update_key(c->keys[1]);
}

/* A watch is extended to a key if its owner may view that, whoever links it. */
TEST_F(selinux, children)
{
	static const struct {
		const char *watcher, *linker;
		int updates;
	} cases[] = {
		{ DOMAIN("base_t"), DOMAIN("base_t"), 3 },
		{ DOMAIN("base_t"), DOMAIN("no_kernel_key_view_t"), 3 },
		{ DOMAIN("no_kernel_key_view_t"), DOMAIN("base_t"), 1 },
	};
	struct children *c;
	union record rec;
	struct queue q;
	unsigned int i;
	int updates;

	c = shared_memory(sizeof(*c));
	ASSERT_NE(NULL, c);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		c->fd = q.fd;
		c->keyring = add_key("keyring", "watch_queue:keyring", NULL,
				     KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, c->keyring);
		ASSERT_EQ(0, run_in(cases[i].watcher, watch_children_fn, c));
		ASSERT_EQ(0, run_in(cases[i].linker, link_fn, c));

		/* The bits of the keys that were seen to be updated. */
		updates = 0;
		while (queue_next(&q, &rec, 0) == 1) {
			ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
			if (rec_subtype(&rec) == NOTIFY_KEY_UPDATED)
				updates |= rec.key.key_id == c->keys[0] ? 1 : 2;
		}
		EXPECT_EQ(cases[i].updates, updates)
			TH_LOG("case %u", i);
		queue_close(&q);
	}
}

FIXTURE(smack)
{
	struct disk disk;
	struct attempt *shared;
	struct queue queue;
	int32_t key;
	int kmsg;
};

QUEUE_VARIANTS(smack, 64, 1);

#define WATCHER	"WqWatcher"
#define POSTER	"WqPoster"
#define UNHEARD	"WqUnheard"
#define SECRET	"WqSecret"

static int set_rule(const char *subject, const char *object, const char *access)
{
	char rule[80];

	snprintf(rule, sizeof(rule), "%s %s %s", subject, object, access);
	return write_string("smack/load2", rule);
}

FIXTURE_SETUP(smack)
{
	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (access("/sys/fs/smackfs", F_OK))
		SKIP(return, "Smack is not in use");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	/* Directories get the label of whoever makes them: not yet WATCHER's. */
	ASSERT_EQ(0, prepare("smackfsfloor=" SECRET, &self->key, &self->disk));
	ASSERT_EQ(0, mkdir("smack", 0755));
	ASSERT_EQ(0, sys_mount("none", "smack", "smackfs", 0, NULL));
	ASSERT_EQ(0, setxattr("dir", "security.SMACK64", SECRET, strlen(SECRET), 0));
	if (can_watch_blocks())
		ASSERT_EQ(0, setxattr(DISK_NODE, "security.SMACK64", SECRET,
				      strlen(SECRET), 0));

	/* The key is to be the watcher's. */
	ASSERT_EQ(0, write_string("/proc/self/attr/current", WATCHER));
	ASSERT_LT(0, join_new_session());
	self->key = add_key("user", "watch_queue:smack", "x", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->key);

	ASSERT_EQ(0, write_string("/proc/sys/kernel/printk_ratelimit", "0"));
	self->kmsg = sys_open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->kmsg);
	ASSERT_LE(0, lseek(self->kmsg, 0, SEEK_END));

	self->shared = shared_memory(sizeof(*self->shared));
	ASSERT_NE(NULL, self->shared);
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

TEST_F(smack, watches)
{
	static const int all[NR_WATCHES] = { 0 };
	static const int restricted[NR_WATCHES] = {
		[KEY] = -EACCES,
		[MOUNT] = -EACCES,
		[SB] = -EACCES,
		[ALL_SBS] = -EACCES,
		[BLOCK] = -EACCES,
		[ALL_BLOCKS] = -EACCES,
	};
	static const int granted[NR_WATCHES] = {
		[ALL_SBS] = -EACCES,
		[ALL_BLOCKS] = -EACCES,
	};

	/* Who watches is told, so this is about the watches alone. */
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "w"));

	/* Who may override is not restricted. */
	expect_watches(_metadata, variant->kind, variant->size, POSTER,
		       self->shared, self->key, all);

	/* To go there is one thing, to read it is another. */
	self->shared->restricted = true;
	ASSERT_EQ(0, set_rule(POSTER, SECRET, "x"));
	expect_watches(_metadata, variant->kind, variant->size, POSTER,
		       self->shared, self->key, restricted);
	ASSERT_EQ(0, set_rule(POSTER, SECRET, "rx"));
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "r"));
	expect_watches(_metadata, variant->kind, variant->size, POSTER,
		       self->shared, self->key, granted);
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "-"));
}

static int update_fn(void *arg)
{
	const int32_t *key = arg;

	return update_key(*key);
}

static int unwatch_fn(void *arg)
{
	const struct attempt *a = arg;

	return watch_key(a->key, a->fd, -1);
}

static void expect_record(struct __test_metadata *_metadata, struct queue *q,
			  unsigned int type, unsigned int subtype)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(type, rec_type(&rec));
	EXPECT_EQ(subtype, rec_subtype(&rec));
}

/* Nothing to read, no wake-up, no count: only, in a ring, these flags. */
static void expect_flags(struct __test_metadata *_metadata, struct queue *q,
			 uint32_t flags)
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

TEST_F(smack, withheld)
{
	struct queue *q = &self->queue;
	struct attempt unwatch = { .key = self->key, .fd = q->fd };

	ASSERT_EQ(0, watch_key(self->key, q->fd, KEY));
	expect_flags(_metadata, q, 0);

	/* One's own label, then one that may not write to it. */
	ASSERT_EQ(0, update_key(self->key));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	expect_flags(_metadata, q, 0);
	ASSERT_EQ(0, run_in(POSTER, update_fn, &self->key));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
	ASSERT_EQ(0, run_in(POSTER, update_fn, &self->key));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);

	/* The flag stays, and keeps nothing back. */
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "w"));
	ASSERT_EQ(0, run_in(POSTER, update_fn, &self->key));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);

	/* That the watch is gone is told, whoever removed it. */
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "-"));
	ASSERT_EQ(0, run_in(POSTER, unwatch_fn, &unwatch));
	expect_record(_metadata, q, WATCH_TYPE_META, WATCH_META_REMOVAL_NOTIFICATION);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
}

static int watch_children_restricted_fn(void *arg)
{
	return drop_mac_override() ?: watch_children_fn(arg);
}

static int add_child_fn(void *arg)
{
	struct children *c = arg;

	c->keys[0] = add_key("user", "watch_queue:child", "x", c->keyring);
	return c->keys[0] < 0 ? c->keys[0] : 0;
}

/*
 * A watch is not extended to a key that its owner may not watch, though who links it
 * overrides all rules.  That something is withheld shows.
 */
TEST_F(smack, children)
{
	struct queue *q = &self->queue;
	struct children *c;

	c = shared_memory(sizeof(*c));
	ASSERT_NE(NULL, c);
	c->fd = q->fd;
	c->keyring = add_key("keyring", "watch_queue:keyring", NULL,
			     KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, c->keyring);
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "w"));
	ASSERT_EQ(0, run_in(WATCHER, watch_children_restricted_fn, c));
	expect_flags(_metadata, q, 0);

	ASSERT_EQ(0, run_in(POSTER, add_child_fn, c));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_LINKED);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
	ASSERT_EQ(0, update_key(c->keys[0]));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);

	/* He may watch it from now on, if it is linked again. */
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "r"));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_UNLINK, c->keys[0], c->keyring, 0, 0));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UNLINKED);
	ASSERT_EQ(0, run_in(POSTER, add_child_fn, c));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_LINKED);
	ASSERT_EQ(0, update_key(c->keys[0]));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "-"));
}

/* The owner of a watch counts, not who has the queue or happens to read it. */
TEST_F(smack, owner)
{
	struct queue *q = &self->queue;

	memset(self->shared, 0, sizeof(*self->shared));
	self->shared->key = self->key;
	self->shared->fd = q->fd;
	ASSERT_EQ(0, run_in(POSTER, attempt_fn, self->shared));
	ASSERT_EQ(0, self->shared->ret[KEY]);
	ASSERT_EQ(0, run_in(POSTER, update_fn, &self->key));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, update_key(self->key));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
}

/*
 * How often the kernel said since the last time that it withheld a record from
 * @poster.  To know that all has been said, wait for @last's.
 */
static int audited(int kmsg, const char *poster, const char *last)
{
	char line[2048], subject[40], end[40];
	int n = 0, len, tries;

	snprintf(subject, sizeof(subject), "subject=\"%s\"", poster);
	snprintf(end, sizeof(end), "subject=\"%s\"", last);
	for (tries = 0; tries < SOON / 10; tries++) {
		while ((len = read(kmsg, line, sizeof(line) - 1)) > 0) {
			line[len] = '\0';
			if (!strstr(line, "smack_post_notification"))
				continue;
			if (strstr(line, subject))
				n++;
			if (strstr(line, end))
				return n;
		}
		sleep_for(10);
	}
	return -ETIMEDOUT;
}

/* What a queue does not want is not put to the security module. */
TEST_F(smack, unwanted)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter type;
	} filter = { .head.nr_filters = 1 };
	struct queue *q = &self->queue, other;

	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, watch_key(self->key, q->fd, KEY));
	ASSERT_EQ(0, watch_key(self->key, other.fd, KEY));

	/* Of another type, and of another subtype. */
	filter.type.type = WATCH_TYPE_MOUNT_NOTIFY;
	memset(filter.type.subtype_filter, 0xff, sizeof(filter.type.subtype_filter));
	ASSERT_EQ(0, set_filter(q->fd, &filter));
	filter.type.type = WATCH_TYPE_KEY_NOTIFY;
	filter.type.subtype_filter[0] = 1U << NOTIFY_KEY_REVOKED;
	ASSERT_EQ(0, set_filter(other.fd, &filter));

	ASSERT_EQ(0, run_in(UNHEARD, update_fn, &self->key));
	expect_flags(_metadata, q, 0);
	expect_flags(_metadata, &other, 0);

	/* One of them wants it now. */
	filter.type.subtype_filter[0] |= 1U << NOTIFY_KEY_UPDATED;
	ASSERT_EQ(0, set_filter(other.fd, &filter));
	ASSERT_EQ(0, run_in(POSTER, update_fn, &self->key));
	expect_flags(_metadata, q, 0);
	expect_flags(_metadata, &other, WATCH_QUEUE_RING_POLICY);
	EXPECT_EQ(0, audited(self->kmsg, UNHEARD, POSTER));
	ASSERT_EQ(0, run_in(UNHEARD, update_fn, &self->key));
	ASSERT_EQ(0, run_in(POSTER, update_fn, &self->key));
	EXPECT_EQ(1, audited(self->kmsg, UNHEARD, POSTER));
	queue_close(&other);
}

/* All that is not of keys is told without anybody's credentials. */
TEST_F(smack, nobody)
{
	struct queue *q = &self->queue;
	int tags;

	ASSERT_EQ(0, watch_key(self->key, q->fd, KEY));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "dir", 0, q->fd, MOUNT));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "mnt", 0, q->fd, SB));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, q->fd, ALL_SBS));
	tags = 1 << MOUNT | 1 << SB | 1 << ALL_SBS;
	if (can_watch_blocks()) {
		ASSERT_EQ(0, block_notify(AT_FDCWD, DISK_NODE, 0, q->fd, BLOCK));
		tags |= 1 << BLOCK;
	}
	ASSERT_EQ(0, run_in(POSTER, cause_events, &self->key));
	EXPECT_EQ(tags, queue_tags(q));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
}

TEST_HARNESS_MAIN
