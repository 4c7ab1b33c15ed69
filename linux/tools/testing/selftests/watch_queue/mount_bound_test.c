// SPDX-License-Identifier: GPL-2.0
/*
 * What others pay for watches on mounts is bounded.  Where a bound is exceeded, watchers
 * get RESCAN instead of the records.
 */

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_fixture.h"

/* With CAP_SYS_RESOURCE there may be so many on a directory. */
#define MANY		64
#define FEW		8

/* Mounts that go in one call, and the most records that this makes. */
#define NR_MOUNTS	100
#define MOST_RECORDS	(1024 + 8 * (NR_MOUNTS + 1))

static struct queue queues[MANY];

/* /dev is in the namespace that the test came from. */
static int open_queues(const struct _test_data_mount *self)
{
	const struct rlimit limit = { 4096, 4096 };
	const enum queue_kind kind = self->queue.kind;
	int ns = ns_fd(self->proc), i, ret;

	ret = or_errno(setrlimit(RLIMIT_NOFILE, &limit)) ?: sys_setns(self->home, CLONE_NEWNS);
	for (i = 0; i < MANY && !ret; i++)
		ret = queue_open(&queues[i], kind, kind == QUEUE_PIPE ? 128 : 2);
	ret = ret ?: sys_setns(ns, CLONE_NEWNS);
	close(ns);
	return ret;
}

static int watch_with(unsigned int nr, const char *path)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = mount_notify(AT_FDCWD, path, 0, queues[i].fd, TAG);
	return ret;
}

static int unwatch_with(unsigned int nr, const char *path)
{
	union record rec;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		ret = mount_notify(AT_FDCWD, path, 0, queues[i].fd, -1);
		while (queue_next(&queues[i], &rec, 0) > 0)
			;
	}
	return ret;
}

static void close_queues(void)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		queue_close(&queues[i]);
}

/* A mount with NR_MOUNTS below it. */
static int make_tree(const char *path)
{
	char name[64];
	int i, ret = mount_tmpfs(path);

	for (i = 0; i < NR_MOUNTS && !ret; i++) {
		snprintf(name, sizeof(name), "%s/%d", path, i);
		ret = or_errno(mkdir(name, 0755)) ?: bind("/o", name, 0);
	}
	return ret;
}

/* One call makes so many records for all watches together, however many there are. */
TEST_F(mount, many_watchers)
{
	unsigned int i, nr, records = 0;
	union record rec;
	uint64_t id;

	ASSERT_EQ(0, make_tree("/w/c"));
	ASSERT_EQ(0, open_queues(self));
	ASSERT_EQ(0, watch_with(MANY, "/w"));
	ASSERT_EQ(0, sys_umount("/w/c", MNT_DETACH));
	for (i = 0; i < MANY; i++) {
		for (nr = 0;; nr++) {
			ASSERT_EQ(1, queue_next(&queues[i], &rec, SOON));
			ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
			if (rec_subtype(&rec) == RESCAN)
				break;
			ASSERT_EQ(UNMOUNT, rec_subtype(&rec));
		}
		EXPECT_EQ(mount_id("/w"), rec.mount.mnt_id);
		EXPECT_LT(0, nr);
		records += nr;
	}
	EXPECT_LT(1024 - MANY, records);
	EXPECT_GE(MOST_RECORDS, records);

	/* The next call makes records of its own. */
	sleep_for(100);
	for (i = 0; i < MANY; i++)
		queue_tags(&queues[i]);
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	id = mount_id("/w/b");
	for (i = 0; i < MANY; i++) {
		expect_event(_metadata, &queues[i], NEW, SUB, id);
		expect_nothing(_metadata, &queues[i]);
	}
	close_queues();
}

/* The same of mounts that propagate to namespaces of others, but fewer. */
TEST_F(mount, many_watchers_elsewhere)
{
	int here, there;
	union record rec;
	unsigned int i;
	uint64_t w;

	ASSERT_EQ(0, open_queues(self));
	ASSERT_EQ(0, set_propagation("/", MS_REC | MS_SHARED));
	here = ns_fd(self->proc);
	ASSERT_LE(0, here);
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	there = ns_fd(self->proc);
	ASSERT_LE(0, there);
	w = mount_id("/w");
	ASSERT_EQ(0, watch_with(FEW, "/w"));
	ASSERT_EQ(0, sys_setns(here, CLONE_NEWNS));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	for (i = 0; i < FEW; i++) {
		ASSERT_EQ(1, queue_next(&queues[i], &rec, 0));
		EXPECT_EQ(NEW, rec_subtype(&rec));
		EXPECT_EQ(SUB | PROP, rec.watch.info & WATCH_INFO_TYPE_INFO);
		expect_nothing(_metadata, &queues[i]);
	}

	ASSERT_EQ(0, sys_setns(there, CLONE_NEWNS));
	ASSERT_EQ(0, unwatch_with(FEW, "/w"));
	ASSERT_EQ(0, watch_with(MANY, "/w"));
	ASSERT_EQ(0, sys_setns(here, CLONE_NEWNS));
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	for (i = 0; i < MANY; i++) {
		expect_rescan(_metadata, &queues[i], TAG, w);
		expect_nothing(_metadata, &queues[i]);
	}
	close_queues();
	close(there);
	close(here);
}

/*
 * A rename marks one of the watches on a directory, for all.  When that goes before the
 * worker comes, the others still get RESCAN.
 */
TEST_F(mount, rename_and_unwatch)
{
	static const char * const dirs[] = { "/w/a", "/o/c/a" };
	uint64_t ids[ARRAY_SIZE(dirs)];
	struct queue *q = &self->queue;
	unsigned int i, round;
	union record rec;

	ASSERT_EQ(0, bind("/w", "/o/c", 0));
	ASSERT_EQ(0, mkdir("/w/a/x", 0755));
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		ids[i] = mount_id(dirs[i]);
		ASSERT_EQ(0, mount_notify(AT_FDCWD, dirs[i], 0, q->fd, i));
	}
	for (round = 0; round < 20; round++) {
		i = round % ARRAY_SIZE(dirs);
		ASSERT_EQ(0, sys_rename("/w/a/x", "/w/b/x", 0));
		ASSERT_EQ(0, mount_notify(AT_FDCWD, dirs[i], 0, q->fd, -1));
		do {
			ASSERT_EQ(1, queue_next(q, &rec, SOON))
				TH_LOG("round %u", round);
		} while (rec_type(&rec) != WATCH_TYPE_MOUNT_NOTIFY || rec_tag(&rec) == i);
		EXPECT_EQ(RESCAN, rec_subtype(&rec));
		EXPECT_EQ(ids[!i], rec.mount.mnt_id);

		ASSERT_EQ(0, mount_notify(AT_FDCWD, dirs[i], 0, q->fd, i));
		ASSERT_EQ(0, sys_rename("/w/b/x", "/w/a/x", 0));
		sleep_for(100);
		while (queue_next(q, &rec, 0) > 0)
			;
	}
}

TEST_HARNESS_MAIN
