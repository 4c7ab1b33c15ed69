// SPDX-License-Identifier: GPL-2.0
/* The records and counts of each change of a superblock, over both kinds of queue. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sb_fixture.h"

/*
 * The table of operations on "mnt": what is done, which flags the superblock
 * had and has, in how many steps.  All begin with no flag set.
 */
static int set_sync(void) { return remount("mnt", MS_SYNCHRONOUS); }
static int set_lazytime(void) { return remount("mnt", MS_LAZYTIME); }
static int config_ro(void) { return reconfigure("mnt", "ro", NULL); }
static int config_sync(void) { return reconfigure("mnt", "sync", NULL); }
static int config_lazytime(void) { return reconfigure("mnt", "lazytime", NULL); }
static int config_both(void) { return reconfigure("mnt", "ro", "sync"); }
static int set_all(void)
{
	return remount("mnt", MS_RDONLY | MS_SYNCHRONOUS | MS_LAZYTIME);
}

static int ro_and_back(void)
{
	return set_ro() ?: set_ro() ?: reconfigure("mnt", "rw", NULL);
}

static int sync_then_lazytime(void)
{
	return config_sync() ?: config_lazytime() ?:
		reconfigure("mnt", "async", NULL);
}

static int sync_to_ro(void)
{
	return config_sync() ?: set_ro();
}

/* These change the mount. */
static int bind_ro(void) { return remount("mnt", MS_BIND | MS_RDONLY); }
static int set_nosuid(void) { return remount("mnt", MS_NOSUID); }

/* These change options that are no flags. */
static int set_option(void)
{
	return sys_mount(NULL, "mnt", NULL, MS_REMOUNT, "nr_inodes=100");
}

/* These fail. */
static int ro_while_writing(void)
{
	int fd = sys_open("mnt/file", O_CREAT | O_WRONLY | O_CLOEXEC), ret;

	ret = fd < 0 ? fd : set_ro();
	close(fd);
	return ret == -EBUSY ? 0 : -EPROTO;
}

static int bad_option(void)
{
	return sys_mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, "x") == -EINVAL ?
		0 : -EPROTO;
}

/* Nobody may change it, whatever a filesystem makes of it at mount(). */
static int config_dirsync(void)
{
	return reconfigure("mnt", "dirsync", NULL) == -EINVAL ? 0 : -EPROTO;
}

#define RO(old, new)	{ STEP_READONLY, old, new }
#define OTHER(old, new)	{ STEP_RECONFIGURED, old, new }
#define NONE		{ STEP_END, 0, 0 }
#define SYNC		MS_SYNCHRONOUS
#define LAZY		MS_LAZYTIME

static const struct op {
	const char *name;
	int (*run)(void);
	struct {
		enum { STEP_END, STEP_READONLY, STEP_RECONFIGURED } what;
		uint32_t old, new;
	} steps[4];
} ops[] = {
	{ "ro", set_ro, { RO(0, MS_RDONLY) } },
	{ "sync", set_sync, { OTHER(0, SYNC) } },
	{ "lazytime", set_lazytime, { OTHER(0, LAZY) } },
	{ "all", set_all, { RO(0, MS_RDONLY),
			    OTHER(MS_RDONLY, MS_RDONLY | SYNC | LAZY) } },
	{ "none", set_none, { NONE } },
	{ "config ro", config_ro, { RO(0, MS_RDONLY) } },
	{ "config sync", config_sync, { OTHER(0, SYNC) } },
	{ "config lazytime", config_lazytime, { OTHER(0, LAZY) } },
	{ "config both", config_both, { RO(0, MS_RDONLY),
					OTHER(MS_RDONLY, MS_RDONLY | SYNC) } },
	{ "ro and back", ro_and_back, { RO(0, MS_RDONLY), RO(MS_RDONLY, 0) } },
	{ "sync then lazytime", sync_then_lazytime,
		{ OTHER(0, SYNC), OTHER(SYNC, SYNC | LAZY),
		  OTHER(SYNC | LAZY, LAZY) } },
	{ "sync to ro", sync_to_ro,
		{ OTHER(0, SYNC), RO(SYNC, MS_RDONLY | SYNC),
		  OTHER(MS_RDONLY | SYNC, MS_RDONLY) } },
	{ "bind ro", bind_ro, { NONE } },
	{ "nosuid", set_nosuid, { NONE } },
	{ "option", set_option, { NONE } },
	{ "ro while writing", ro_while_writing, { NONE } },
	{ "bad option", bad_option, { NONE } },
	{ "dirsync", config_dirsync, { NONE } },
};

static void check_op(struct __test_metadata *_metadata, struct queue *q,
		     const struct op *op)
{
	struct counters c;
	unsigned int i;
	uint64_t id;

	TH_LOG("%s", op->name);
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, read_counters("mnt", &c));
	id = c.id;
	ASSERT_NE(0, id);

	if (q)
		ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, op->run());
	for (i = 0; op->steps[i].what != STEP_END; i++) {
		if (q)
			expect_flags(_metadata, q,
				     op->steps[i].what == STEP_READONLY ?
				     NOTIFY_SUPERBLOCK_READONLY :
				     NOTIFY_SUPERBLOCK_RECONFIGURED,
				     TAG, id, op->steps[i].old, op->steps[i].new);
	}
	if (q)
		expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, i, 0);

	ASSERT_EQ(0, sys_umount("mnt", 0));
	if (q) {
		expect_removal(_metadata, q, TAG, id);
		expect_nothing(_metadata, q);
	}
}

TEST_F(sb, operations)
{
	const struct op *op;

	for (op = ops; op < ops + ARRAY_SIZE(ops); op++)
		check_op(_metadata, &self->queue, op);
}

/* The counters count the same with nobody there to see it. */
TEST_F(sb, unwatched_operations)
{
	const struct op *op;

	for (op = ops; op < ops + ARRAY_SIZE(ops); op++)
		check_op(_metadata, NULL, op);
}

/* Events that a filter keeps off are no events, but they are counted. */
TEST_F(sb, filter)
{
	struct {
		struct watch_notification_filter filter;
		struct watch_notification_type_filter type;
	} f = {
		.filter.nr_filters = 1,
		.type.type = WATCH_TYPE_SB_NOTIFY,
		.type.info_filter = NOTIFY_SUPERBLOCK_IS_NOW_RO,
		.type.info_mask = NOTIFY_SUPERBLOCK_IS_NOW_RO,
		.type.subtype_filter[0] = 1 << NOTIFY_SUPERBLOCK_READONLY,
	};
	struct queue *q = &self->queue;
	struct counters c;

	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, read_counters("mnt", &c));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, set_sync());
	ASSERT_EQ(0, set_none());
	ASSERT_EQ(0, set_ro());
	ASSERT_EQ(0, set_none());
	expect_ro(_metadata, q, TAG, c.id);
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 4, 0);

	/* A filter that wants no such type at all. */
	f.type.type = WATCH_TYPE_KEY_NOTIFY;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, set_ro());
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 5, 0);
}

/*
 * Watches are set and removed while superblocks come, change and go.  What is
 * heard of one is heard in order, and nothing after its removal.
 */
TEST_F_TIMEOUT(sb, storm, 300)
{
	struct queue *q = &self->queue, all;
	uint32_t last_flags = 0;
	uint64_t last_id = 0;
	bool follow = false;
	unsigned int i, added = 0, heard = 0;
	union record rec;
	int ret, status;
	pid_t pid;

	ASSERT_EQ(0, queue_open(&all, variant->kind, variant->size));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, all.fd, NEW_TAG));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < 300; i++) {
			if (sys_mount("none", "mnt", "tmpfs", 0, NULL) ||
			    set_ro() || set_none() ||
			    sys_umount("mnt", MNT_DETACH))
				_exit(1);
		}
		_exit(0);
	}

	while (waitpid(pid, &status, WNOHANG) == 0) {
		/* That is the superblock beneath if "mnt" is not mounted. */
		ret = watch_sb("mnt", q->fd, TAG);
		ASSERT_TRUE(ret == 0 || ret == -EBUSY);
		added += ret == 0;
		if (added % 3 == 0) {
			ret = watch_sb("mnt", q->fd, -1);
			ASSERT_TRUE(ret == 0 || ret == -EBADSLT);
		}

		while ((ret = queue_next(q, &rec, 0)) == 1) {
			if (rec_type(&rec) == WATCH_TYPE_META) {
				follow = false;
				continue;
			}
			ASSERT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(&rec));
			ASSERT_EQ(NOTIFY_SUPERBLOCK_READONLY, rec_subtype(&rec));
			ASSERT_LE(last_id, rec.sb.sb_id);
			if (follow && rec.sb.sb_id == last_id)
				ASSERT_EQ(last_flags, rec.sb_flags.sb_flags_old);
			last_id = rec.sb.sb_id;
			last_flags = rec.sb_flags.sb_flags;
			follow = true;
		}
		ASSERT_EQ(0, ret);

		/* This one has 600 of them, if it can keep up. */
		while ((ret = queue_next(&all, &rec, 0)) == 1)
			heard++;
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, status);
	ASSERT_LT(0, added);
	ASSERT_LT(0, heard);
	queue_close(&all);
}

TEST_HARNESS_MAIN
