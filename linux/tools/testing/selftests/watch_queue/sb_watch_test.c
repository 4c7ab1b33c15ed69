// SPDX-License-Identifier: GPL-2.0
/* Superblock watches: how they are set, by whom, and what ends them. */

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>

#include "sb_fixture.h"

TEST_F(sb, arguments)
{
	int fd = self->queue.fd, mnt, closed;

	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("mnt/dir", 0755));
	mnt = sys_open("mnt", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, mnt);

	/* Tags. */
	EXPECT_EQ(-EINVAL, watch_sb("mnt", fd, -2));
	EXPECT_EQ(-EINVAL, watch_sb("mnt", fd, 256));
	EXPECT_EQ(-EINVAL, watch_sb("mnt", fd, 0x7fffffff));
	EXPECT_EQ(0, watch_sb("mnt", fd, 255));
	EXPECT_EQ(0, watch_sb("mnt", fd, -1));
	EXPECT_EQ(0, watch_sb("mnt", fd, 0));

	/* One watch of a queue on a superblock, wherever it is looked up. */
	EXPECT_EQ(-EBUSY, watch_sb("mnt", fd, 0));
	EXPECT_EQ(-EBUSY, watch_sb("mnt/dir", fd, 1));
	EXPECT_EQ(0, watch_sb("mnt/dir", fd, -1));
	EXPECT_EQ(-EBADSLT, watch_sb("mnt", fd, -1));

	/* Queues. */
	EXPECT_EQ(-EBADF, watch_sb("mnt", -1, 0));
	closed = dup(fd);
	close(closed);
	EXPECT_EQ(-EBADF, watch_sb("mnt", closed, 0));
	EXPECT_EQ(-EBADF, watch_sb("mnt", closed, -1));
	EXPECT_EQ(-EINVAL, watch_sb("mnt", sys_open("/dev/null", O_RDWR), 0));

	/* Flags. */
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "mnt", AT_SYMLINK_FOLLOW, fd, 0));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "mnt", 0x80000000, fd, 0));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "mnt", 0x4, fd, 0));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "mnt", AT_RECURSIVE, fd, 0));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "mnt", 0x4, -1, 0));

	/* Paths. */
	EXPECT_EQ(-ENOENT, watch_sb("absent", fd, 0));
	EXPECT_EQ(-ENOENT, watch_sb("", fd, 0));
	EXPECT_EQ(-EFAULT, sb_notify(AT_FDCWD, (void *)1, 0, fd, 0));
	EXPECT_EQ(-EBADF, sb_notify(-1, "mnt", 0, fd, 0));
	EXPECT_EQ(-ENOTDIR, sb_notify(fd, "mnt", 0, fd, 0));
	EXPECT_EQ(0, sb_notify(mnt, "dir", 0, fd, 0));
	EXPECT_EQ(-EBUSY, sb_notify(mnt, "", AT_EMPTY_PATH, fd, 0));
	EXPECT_EQ(0, sb_notify(mnt, "", AT_EMPTY_PATH, fd, -1));
	EXPECT_EQ(0, sb_notify(-1, self->dir, 0, fd, 0));
	EXPECT_EQ(0, watch_sb(self->dir, fd, -1));

	/* A link that leads there, or where it is. */
	ASSERT_EQ(0, symlink("mnt", "link"));
	EXPECT_EQ(0, watch_sb("link", fd, 0));
	EXPECT_EQ(0, sb_notify(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, fd, 1));
	EXPECT_EQ(-EBUSY, watch_sb("mnt", fd, 0));
	EXPECT_EQ(-EBUSY, watch_sb(".", fd, 0));
	EXPECT_EQ(0, sb_notify(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, fd, -1));
	EXPECT_EQ(-EBADSLT, watch_sb(".", fd, -1));
	EXPECT_EQ(0, watch_sb("mnt", fd, -1));
}

TEST_F(sb, removal)
{
	struct queue *q = &self->queue;
	struct queue other;
	uint64_t id, ids[4];
	unsigned int i, k;
	struct stat st;
	int fd;

	/* By hand. */
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	id = sb_id("mnt");
	ASSERT_NE(0, id);
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, -1));
	expect_removal(_metadata, q, TAG, id);
	ASSERT_EQ(0, set_ro());
	expect_nothing(_metadata, q);

	/* With the superblock, which a watch does not hold: for all queues. */
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_sb("mnt", other.fd, NEW_TAG));
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, id);
	expect_removal(_metadata, &other, NEW_TAG, id);

	/* With the queue: no other queue gets a record, and nothing remains. */
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_sb("mnt", other.fd, NEW_TAG));
	queue_close(&other);
	ASSERT_EQ(0, set_ro());
	expect_ro(_metadata, q, TAG, sb_id("mnt"));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, -1));
	expect_removal(_metadata, q, TAG, sb_id("mnt"));
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_nothing(_metadata, q);

	/* Not before the last mount and the last file. */
	ASSERT_EQ(0, mkdir("bind", 0755));
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, sys_mount("mnt", "bind", NULL, MS_BIND, NULL));
	id = sb_id("mnt");
	ASSERT_EQ(id, sb_id("bind"));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(-EBUSY, watch_sb("bind", q->fd, TAG));
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, reconfigure("bind", "lazytime", NULL));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, id,
		     0, MS_LAZYTIME);
	fd = sys_open("bind", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-EBUSY, sys_umount("bind", 0));
	ASSERT_EQ(0, sys_umount("bind", MNT_DETACH));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, fstat(fd, &st));
	close(fd);
	expect_removal(_metadata, q, TAG, id);

	/* A superblock has an identifier that none had before. */
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
		ids[i] = sb_id("mnt");
		ASSERT_LT(id, ids[i]);
		for (k = 0; k < i; k++)
			ASSERT_NE(ids[k], ids[i]);
		if (i % 2)
			ASSERT_EQ(0, sys_umount("mnt", 0));
	}
	while (!sys_umount("mnt", 0))
		;
}

/* fdinfo shows the watches, with the number of the superblock. */
TEST_F(sb, fdinfo)
{
	struct fdinfo info;

	if (variant->kind != QUEUE_DEVICE)
		SKIP(return, "only of the device");

	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, watch_sb("mnt", self->queue.fd, TAG));
	ASSERT_EQ(0, read_fdinfo(self->queue.fd, &info));
	ASSERT_EQ(1, info.nr_watches);
	EXPECT_EQ(WATCH_TYPE_SB_NOTIFY, info.watches[0].type);
	EXPECT_EQ((unsigned int)sb_id("mnt"), info.watches[0].id);
	EXPECT_EQ(TAG, info.watches[0].tag);
}

/* -EACCES if the errors are withheld, but the rest is not. */
static int counters_fn(void *arg)
{
	struct counters c;
	int ret = read_counters(arg, &c);

	if (ret)
		return ret;
	if (c.mask == SB_ALL_COUNTERS)
		return 0;
	if (c.mask == (SB_ALL_COUNTERS & ~STATMOUNT_SB_ERRORS) && !c.errors)
		return -EACCES;
	return -EPROTO;
}

/* -EACCES if the number of changes is withheld as well. */
static int changes_fn(void *arg)
{
	struct counters c;
	int ret = read_counters(arg, &c);

	if (ret)
		return ret;
	if (c.mask & STATMOUNT_SB_CHANGES)
		return 0;
	return c.mask & STATMOUNT_SB_ERRORS || c.changes ? -EPROTO : -EACCES;
}

/* A tmpfs in the user namespace, and a mount of a directory in it. */
static int own_sb_fn(void *arg)
{
	const struct queue *q = arg;
	struct counters c;
	int ret;

	ret = or_errno(unshare(CLONE_NEWNS));
	if (!ret)
		ret = sys_mount("none", "mnt", "tmpfs", 0, NULL);
	if (!ret)
		ret = or_errno(mkdir("mnt/dir", 0755));
	if (!ret)
		ret = sys_mount("mnt/dir", "mnt", NULL, MS_BIND, NULL);
	if (!ret)
		ret = watch_sb("mnt", q->fd, TAG);
	if (!ret)
		ret = reconfigure("mnt", "lazytime", NULL);
	if (!ret)
		ret = read_counters("mnt", &c);
	if (!ret && (c.mask != SB_ALL_COUNTERS || c.changes != 1))
		ret = -EPROTO;
	return ret;
}

/*
 * A program may watch if it reaches the root of the filesystem, or has
 * CAP_SYS_ADMIN where the filesystem was mounted.
 */
TEST_F(sb, permissions)
{
	struct queue *q = &self->queue;
	union record rec;
	uint64_t id;

	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, "mode=755"));
	ASSERT_EQ(0, mkdir("mnt/dir", 0755));
	ASSERT_EQ(0, mkdir("mnt/private", 0700));
	ASSERT_EQ(0, mkdir("bind", 0755));
	ASSERT_EQ(0, sys_mount("mnt/dir", "bind", NULL, MS_BIND, NULL));
	id = sb_id("mnt");

	/* It does not matter where below the root. */
	EXPECT_EQ(0, watch_as(&alice, "mnt", 0, q->fd, TAG));
	EXPECT_EQ(0, watch_sb("mnt", q->fd, -1));
	EXPECT_EQ(0, watch_as(&alice, "mnt/dir", 0, q->fd, TAG));

	/* Such a watch sees changes of state. */
	ASSERT_EQ(0, reconfigure("mnt", "lazytime", NULL));
	expect_removal(_metadata, q, TAG, id);
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, id,
		     0, MS_LAZYTIME);

	/* Removing a watch needs no more than setting it. */
	EXPECT_EQ(0, watch_as(&bob, "mnt", 0, q->fd, -1));
	expect_removal(_metadata, q, TAG, id);

	/* The path must be walked. */
	EXPECT_EQ(-EACCES, watch_as(&alice, "mnt/private/x", 0, q->fd, TAG));

	/* A directory of it is not its root. */
	EXPECT_EQ(-EPERM, watch_as(&alice, "bind", 0, q->fd, TAG));
	EXPECT_EQ(-EPERM, watch_as(&alice, "mnt", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	EXPECT_EQ(0, watch_sb("bind", q->fd, TAG));
	EXPECT_EQ(0, watch_sb("bind", q->fd, -1));
	expect_removal(_metadata, q, TAG, id);

	/* Errors need the capability; changes need the permission to watch. */
	EXPECT_EQ(0, counters_fn("mnt"));
	EXPECT_EQ(-EACCES, run_as(&alice, counters_fn, "mnt"));
	EXPECT_EQ(0, run_as(&alice, changes_fn, "mnt"));
	EXPECT_EQ(-EACCES, run_as(&alice, changes_fn, "bind"));
	EXPECT_EQ(0, run_as(&root, changes_fn, "bind"));

	/* Root in a user namespace is nobody special out here. */
	if (!have_userns())
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, watch_as(&alice_as_root, "mnt", 0, q->fd, TAG));
	EXPECT_EQ(0, watch_as(&alice_as_root, "mnt", 0, q->fd, -1));
	expect_removal(_metadata, q, TAG, id);
	EXPECT_EQ(-EPERM, watch_as(&alice_as_root, "bind", 0, q->fd, TAG));
	EXPECT_EQ(-EACCES, run_as(&alice_as_root, counters_fn, "mnt"));

	/* But so he is of what he mounted, which goes with his namespace. */
	EXPECT_EQ(0, run_as(&alice_as_root, own_sb_fn, q));
	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	ASSERT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(&rec));
	ASSERT_EQ(NOTIFY_SUPERBLOCK_RECONFIGURED, rec_subtype(&rec));
	ASSERT_LT(id, rec.sb.sb_id);
	expect_removal(_metadata, q, TAG, rec.sb.sb_id);
	expect_nothing(_metadata, q);
}

/*
 * All superblocks.  Other programs have events too: skip those of superblocks
 * that are none of ours.
 */
static void expect_any(struct __test_metadata *_metadata, struct queue *q,
		       uint64_t id, unsigned int subtype)
{
	union record rec;

	do {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
	} while (rec_type(&rec) != WATCH_TYPE_SB_NOTIFY || rec.sb.sb_id != id);
	ASSERT_EQ(subtype, rec_subtype(&rec));
	ASSERT_EQ(NEW_TAG, rec_tag(&rec));
}

TEST_F(sb, all)
{
	struct queue *q = &self->queue, other;
	union record rec;
	uint64_t id, new;
	int fd;

	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	fd = other.fd;

	/* Nothing but these arguments. */
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "/", SB_NOTIFY_ALL, fd, 1));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, "", SB_NOTIFY_ALL, fd, 1));
	EXPECT_EQ(-EINVAL, sb_notify(fd, NULL, SB_NOTIFY_ALL, fd, 1));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, NULL,
				     SB_NOTIFY_ALL | SB_NOTIFY_SUBMOUNTS, fd, 1));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, NULL,
				     SB_NOTIFY_ALL | AT_EMPTY_PATH, fd, 1));
	EXPECT_EQ(-EINVAL, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, 256));
	EXPECT_EQ(-EBADF, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, -1, 1));
	EXPECT_EQ(-EBADSLT, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, -1));

	/* For root, and the one of the machine. */
	EXPECT_EQ(-EPERM, watch_as(&alice, NULL, SB_NOTIFY_ALL, fd, 1));
	if (have_userns())
		EXPECT_EQ(-EPERM, watch_as(&alice_as_root, NULL, SB_NOTIFY_ALL, fd, 1));

	/* Those that are there, and those to come. */
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	id = sb_id("mnt");
	ASSERT_EQ(0, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, NEW_TAG));
	EXPECT_EQ(-EBUSY, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, 1));
	ASSERT_EQ(0, mkdir("new", 0755));
	ASSERT_EQ(0, sys_mount("none", "new", "tmpfs", 0, NULL));
	new = sb_id("new");
	ASSERT_EQ(0, set_ro());
	ASSERT_EQ(0, remount("new", MS_SYNCHRONOUS));
	expect_any(_metadata, &other, id, NOTIFY_SUPERBLOCK_READONLY);
	expect_any(_metadata, &other, new, NOTIFY_SUPERBLOCK_RECONFIGURED);

	/* Watches of single ones are apart from it. */
	ASSERT_EQ(0, watch_sb("new", q->fd, TAG));
	ASSERT_EQ(0, remount("new", 0));
	expect_any(_metadata, &other, new, NOTIFY_SUPERBLOCK_RECONFIGURED);
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, new,
		     MS_SYNCHRONOUS, 0);
	expect_nothing(_metadata, q);

	/* It delays no umount, and outlives every one of them. */
	ASSERT_EQ(0, sys_umount("new", 0));
	expect_removal(_metadata, q, TAG, new);
	ASSERT_EQ(0, set_none());
	expect_any(_metadata, &other, id, NOTIFY_SUPERBLOCK_READONLY);

	ASSERT_EQ(0, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, -1));
	EXPECT_EQ(-EBADSLT, sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, -1));
	ASSERT_EQ(0, set_ro());
	while (queue_next(&other, &rec, 0) == 1)
		ASSERT_FALSE(rec_type(&rec) == WATCH_TYPE_SB_NOTIFY &&
			     rec.sb.sb_id == id);
	queue_close(&other);
}

TEST_HARNESS_MAIN
