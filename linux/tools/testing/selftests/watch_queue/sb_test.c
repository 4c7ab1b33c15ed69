// SPDX-License-Identifier: GPL-2.0
/* Superblock events, watches and counters, the same over both kinds of queue. */

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/auto_fs.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/quota.h>

#include "disk.h"
#include "expect.h"
#include "people.h"

#ifndef EFSCORRUPTED
#define EFSCORRUPTED		EUCLEAN
#endif
#define EXT4_IOC_SHUTDOWN	_IOR('X', 125, __u32)
#define SHUTDOWN_DEFAULT	0	/* Freeze first */
#define SHUTDOWN_NOLOGFLUSH	2

#define TAG		0x33
#define NEW_TAG		0x44

static int watch_sb(const char *path, int fd, int tag)
{
	return sb_notify(AT_FDCWD, path, 0, fd, tag);
}

static int remount(const char *path, unsigned long flags)
{
	return sys_mount(NULL, path, NULL, MS_REMOUNT | flags, NULL);
}

/* Set or clear flags one by one, where remount() sets all that it knows. */
static int reconfigure(const char *path, const char *flag, const char *other)
{
	int fd, ret;

	fd = or_errno(syscall(__NR_fspick, AT_FDCWD, path, FSPICK_CLOEXEC));
	if (fd < 0)
		return fd;
	ret = or_errno(syscall(__NR_fsconfig, fd, FSCONFIG_SET_FLAG, flag, NULL, 0));
	if (!ret && other)
		ret = or_errno(syscall(__NR_fsconfig, fd, FSCONFIG_SET_FLAG, other,
				       NULL, 0));
	if (!ret)
		ret = or_errno(syscall(__NR_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE,
				       NULL, NULL, 0));
	close(fd);
	return ret;
}

static int freeze(const char *path)
{
	return ioctl_on(path, FIFREEZE, NULL);
}

static int thaw(const char *path)
{
	return ioctl_on(path, FITHAW, NULL);
}

static int shut_down(const char *path, __u32 how)
{
	return ioctl_on(path, EXT4_IOC_SHUTDOWN, &how);
}

#define SB_ALL_COUNTERS	(STATMOUNT_SB_ID | STATMOUNT_SB_CHANGES | \
			 STATMOUNT_SB_ERRORS)

struct counters {
	uint64_t mask;		/* SB_ALL_COUNTERS or less */
	uint64_t id, changes, errors;
};

static int read_counters(const char *path, struct counters *c)
{
	struct mnt_id_req req = {
		.size = MNT_ID_REQ_SIZE_VER1,
		.param = SB_ALL_COUNTERS,
	};
	struct statmount sm;
	int fd, ret;

	/* This does not cause an automount. */
	fd = sys_open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return fd;
	req.mnt_fd = fd;
	memset(&sm, 0, sizeof(sm));
	ret = or_errno(syscall(__NR_statmount, &req, &sm, sizeof(sm),
			       STATMOUNT_BY_FD));
	close(fd);
	c->mask = sm.mask & SB_ALL_COUNTERS;
	c->id = sm.sb_id;
	c->changes = sm.sb_changes;
	c->errors = sm.sb_errors;
	return ret;
}

/* The superblock's identifier, or 0. */
static uint64_t sb_id(const char *path)
{
	struct counters c;

	if (read_counters(path, &c) < 0 || !(c.mask & STATMOUNT_SB_ID))
		return 0;
	return c.id;
}

struct notify_args {
	int dfd;
	const char *path;
	unsigned int flags;
	int fd, tag;
};

static int notify_fn(void *arg)
{
	const struct notify_args *a = arg;

	return sb_notify(a->dfd, a->path, a->flags, a->fd, a->tag);
}

static int watch_as(const struct someone *who, const char *path,
		    unsigned int flags, int fd, int tag)
{
	struct notify_args args = { AT_FDCWD, path, flags, fd, tag };

	return run_as(who, notify_fn, &args);
}

/*
 * Every test is in a mount namespace of its own, in a tmpfs.  "mnt" is there to
 * mount something on.
 */
FIXTURE(sb)
{
	char dir[DIR_SIZE];
	struct queue queue;
	struct disk disk;
	pid_t daemon;
};

QUEUE_VARIANTS(sb, 64, 1);

FIXTURE_SETUP(sb)
{
	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (sb_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "no CONFIG_SB_NOTIFICATIONS");
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	ASSERT_EQ(0, enter_dir(self->dir));
	ASSERT_EQ(0, mkdir("mnt", 0755));
}

FIXTURE_TEARDOWN(sb)
{
	queue_close(&self->queue);
	if (self->daemon) {
		kill(self->daemon, SIGKILL);
		waitpid(self->daemon, NULL, 0);
	}
	disk_put(&self->disk);
	leave_dir(self->dir);
}

static void expect_header(struct __test_metadata *_metadata, struct queue *q,
			  union record *rec, unsigned int subtype,
			  unsigned int len, unsigned int tag, uint64_t id)
{
	ASSERT_EQ(1, queue_next(q, rec, SOON));
	ASSERT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(rec));
	ASSERT_EQ(subtype, rec_subtype(rec));
	ASSERT_EQ(len, rec_len(rec));
	ASSERT_EQ(tag, rec_tag(rec));
	ASSERT_EQ(id, rec->sb.sb_id);
}

/* FREEZE, THAW or SHUTDOWN. */
static void expect_event(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int subtype, unsigned int tag, uint64_t id)
{
	union record rec;

	expect_header(_metadata, q, &rec, subtype, sizeof(rec.sb), tag, id);
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
}

static void expect_flags(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int subtype, unsigned int tag, uint64_t id,
			 uint32_t old, uint32_t new)
{
	unsigned int info = 0;
	union record rec;

	if (subtype == NOTIFY_SUPERBLOCK_READONLY && (new & MS_RDONLY))
		info = NOTIFY_SUPERBLOCK_IS_NOW_RO;

	expect_header(_metadata, q, &rec, subtype, sizeof(rec.sb_flags), tag, id);
	ASSERT_EQ(info, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(old, rec.sb_flags.sb_flags_old);
	ASSERT_EQ(new, rec.sb_flags.sb_flags);
}

static void expect_ro(struct __test_metadata *_metadata, struct queue *q,
		      unsigned int tag, uint64_t id)
{
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_READONLY, tag, id,
		     0, MS_RDONLY);
}

static void expect_rw(struct __test_metadata *_metadata, struct queue *q,
		      unsigned int tag, uint64_t id)
{
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_READONLY, tag, id,
		     MS_RDONLY, 0);
}

/* What ext4 says of an inode; nothing but the error if @ino is 0. */
static void expect_error(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int tag, uint64_t id, unsigned int error,
			 unsigned int ino)
{
	union record rec;

	expect_header(_metadata, q, &rec, NOTIFY_SUPERBLOCK_ERROR,
		      sizeof(rec.sb_error), tag, id);
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(error, rec.sb_error.error);
	ASSERT_EQ(SUPERBLOCK_ERROR_METADATA, rec.sb_error.type);
	ASSERT_EQ(ino, rec.sb_error.ino);
	ASSERT_EQ(ino ? GENERATION(ino) : 0, rec.sb_error.generation);
	ASSERT_EQ(0, rec.sb_error.__reserved);
	ASSERT_EQ(0, rec.sb_error.pos);
	ASSERT_EQ(0, rec.sb_error.len);
}

static void expect_quota(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int tag, uint64_t id, unsigned int type,
			 unsigned int warning, unsigned int whose)
{
	union record rec;

	expect_header(_metadata, q, &rec, NOTIFY_SUPERBLOCK_EDQUOT,
		      sizeof(rec.sb_quota), tag, id);
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(type, rec.sb_quota.quota_type);
	ASSERT_EQ(warning, rec.sb_quota.warning);
	ASSERT_EQ(whose, rec.sb_quota.id);
	ASSERT_EQ(0, rec.sb_quota.__reserved);
}

/* How much the counters have grown. */
static void expect_counted(struct __test_metadata *_metadata, const char *path,
			   const struct counters *before, unsigned int changes,
			   unsigned int errors)
{
	struct counters now;

	ASSERT_EQ(0, read_counters(path, &now));
	ASSERT_EQ(SB_ALL_COUNTERS, now.mask);
	ASSERT_EQ(before->id, now.id);
	ASSERT_EQ(changes, now.changes - before->changes);
	ASSERT_EQ(errors, now.errors - before->errors);
}

/*
 * The table of operations on "mnt": what is done, which flags the superblock
 * had and has, in how many steps.  All begin with no flag set.
 */
static int set_ro(void) { return remount("mnt", MS_RDONLY); }
static int set_sync(void) { return remount("mnt", MS_SYNCHRONOUS); }
static int set_lazytime(void) { return remount("mnt", MS_LAZYTIME); }
static int set_none(void) { return remount("mnt", 0); }
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

	/* With the queue: nobody else is told, and nothing remains. */
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

/* fdinfo tells of the watches, the number of the superblock included. */
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
 * Who may watch: whoever reaches the root of the filesystem, or has
 * CAP_SYS_ADMIN where it was mounted.
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

	/* The errors are not for all to see, the changes are for who may watch. */
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

/* Make a disk. */
static bool disk_or_skip(struct __test_metadata *_metadata, struct disk *disk,
			 unsigned int mib)
{
	int ret;

	ret = disk_add(disk, mib);
	if (ret == -ENOENT || ret == -ENODEV)
		SKIP(return false, "no null_blk");
	ASSERT_EQ(0, ret);
	return true;
}

/*
 * Make the disk and mount it at "mnt": the superblock's identifier; or skip the
 * test: 0.
 */
static uint64_t mount_disk(struct __test_metadata *_metadata, struct disk *disk,
			   bool quota, const char *options)
{
	int ret;

	if (!disk_or_skip(_metadata, disk, 1))
		return 0;
	ASSERT_EQ(0, disk_make_fs(quota));
	ret = sys_mount(DISK_NODE, "mnt", "ext4", 0, options);
	if (ret == -ENODEV || (ret == -EINVAL && quota))
		SKIP(return 0, "no ext4, or no quotas in it");
	ASSERT_EQ(0, ret);
	ASSERT_NE(0, sb_id("mnt"));
	return sb_id("mnt");
}

/* How many errors ext4 itself has counted. */
static int ext4_errors(const struct disk *disk)
{
	char path[64];
	int n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/fs/ext4/%s/errors_count", disk->name);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static int look_up(const char *path)
{
	struct stat st;

	return or_errno(stat(path, &st));
}

/* Every error is a record: none is merged with another, or lost. */
TEST_F(sb, errors)
{
	struct queue *q = &self->queue, plain;
	struct counters c;
	int i, count;
	uint64_t id;

	id = mount_disk(_metadata, &self->disk, false, "errors=continue");
	if (!id)
		return;
	ASSERT_EQ(0, queue_open(&plain, variant->kind, variant->size));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_as(&alice, "mnt", 0, plain.fd, NEW_TAG));
	ASSERT_EQ(0, read_counters("mnt", &c));
	count = ext4_errors(&self->disk);
	ASSERT_EQ(0, count);

	/* More than the kernel keeps in store for its asynchronous reports. */
	ASSERT_EQ(0, disk_fail(&self->disk, BLOCK_DIR, true));
	for (i = 1; i <= 50; i++) {
		ASSERT_EQ(-EIO, look_up("mnt/dir/x"));
		ASSERT_EQ(i, ext4_errors(&self->disk));
		if (i % 10)
			continue;
		for (; count < i; count++) {
			expect_error(_metadata, q, TAG, id, EIO, DIR_INO);
			expect_error(_metadata, &plain, NEW_TAG, id, EIO, 0);
		}
		expect_nothing(_metadata, q);
		expect_nothing(_metadata, &plain);
	}

	/* The medium is fine, the contents are not. */
	ASSERT_EQ(-EFSCORRUPTED, look_up("mnt/bad/x"));
	expect_error(_metadata, q, TAG, id, EFSCORRUPTED, BAD_DIR_INO);
	expect_error(_metadata, &plain, NEW_TAG, id, EFSCORRUPTED, 0);

	/* Nor are these errors. */
	ASSERT_EQ(0, disk_fail(&self->disk, BLOCK_DIR, false));
	ASSERT_EQ(-ENOENT, look_up("mnt/dir/x"));
	ASSERT_EQ(-ENOENT, look_up("mnt/x"));
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &plain);
	expect_counted(_metadata, "mnt", &c, 0, 51);
	ASSERT_EQ(51, ext4_errors(&self->disk));

	/* They count without a watch. */
	ASSERT_EQ(0, watch_sb("mnt", q->fd, -1));
	ASSERT_EQ(0, watch_sb("mnt", plain.fd, -1));
	expect_removal(_metadata, q, TAG, id);
	expect_removal(_metadata, &plain, NEW_TAG, id);
	ASSERT_EQ(-EFSCORRUPTED, look_up("mnt/bad/x"));
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 0, 52);
	queue_close(&plain);
}

/* errors=remount-ro, which sets no flag of the superblock. */
TEST_F(sb, emergency)
{
	struct queue *q = &self->queue;
	struct counters c;
	uint64_t id;

	id = mount_disk(_metadata, &self->disk, false, "errors=remount-ro");
	if (!id)
		return;
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, read_counters("mnt", &c));

	ASSERT_EQ(0, disk_fail(&self->disk, BLOCK_DIR, true));
	ASSERT_EQ(-EIO, look_up("mnt/dir/x"));
	ASSERT_EQ(-EROFS, or_errno(mkdir("mnt/new", 0755)));
	expect_error(_metadata, q, TAG, id, EIO, DIR_INO);
	expect_ro(_metadata, q, TAG, id);
	expect_nothing(_metadata, q);

	/* Once is enough; what ext4 says no more, nobody hears. */
	ASSERT_EQ(-EIO, look_up("mnt/dir/x"));
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 1, 1);
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, id);
}

/* Filesystems that set SB_RDONLY when they find an error. */
static int make_ext2(void) { return disk_make_fs(false); }
static int walk_bad(void) { return look_up("mnt/bad/x"); }

static int read_bad(void)
{
	int fd = sys_open("mnt/bad", O_RDONLY | O_CLOEXEC), ret;
	char buf[4096];

	if (fd < 0)
		return fd;
	ret = or_errno(pread(fd, buf, sizeof(buf), 0));
	/* The first cluster is fine. */
	if (ret >= 0)
		ret = or_errno(pread(fd, buf, 512, 2048));
	close(fd);
	return ret;
}

static const struct fs {
	const char *name;
	int (*make)(void);
	int (*find_error)(void);
} rdonly_fs[] = {
	{ "ext2", make_ext2, walk_bad },
	{ "vfat", disk_make_fat, read_bad },
	{ "exfat", disk_make_exfat, read_bad },
};

/* How many READONLY records came; they and errors are all that may come. */
static int count_ro(struct __test_metadata *_metadata, struct queue *q, uint64_t id)
{
	union record rec;
	int n = 0;

	while (queue_next(q, &rec, 0) == 1) {
		ASSERT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(&rec));
		ASSERT_EQ(id, rec.sb.sb_id);
		if (rec_subtype(&rec) == NOTIFY_SUPERBLOCK_ERROR)
			continue;
		ASSERT_EQ(NOTIFY_SUPERBLOCK_READONLY, rec_subtype(&rec));
		ASSERT_EQ(NOTIFY_SUPERBLOCK_IS_NOW_RO,
			  rec.watch.info & WATCH_INFO_TYPE_INFO);
		ASSERT_EQ(0, rec.sb_flags.sb_flags_old);
		ASSERT_EQ(MS_RDONLY, rec.sb_flags.sb_flags);
		n++;
	}
	return n;
}

TEST_F(sb, rdonly_on_error)
{
	struct queue *q = &self->queue;
	const struct fs *fs;
	struct counters c, now;
	int ret, i, tested = 0;

	if (!disk_or_skip(_metadata, &self->disk, 1))
		return;
	for (fs = rdonly_fs; fs < rdonly_fs + ARRAY_SIZE(rdonly_fs); fs++) {
		ASSERT_EQ(0, fs->make());
		ret = sys_mount(DISK_NODE, "mnt", fs->name, 0, "errors=remount-ro");
		if (ret == -ENODEV) {
			ksft_print_msg("no %s\n", fs->name);
			continue;
		}
		TH_LOG("%s", fs->name);
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, read_counters("mnt", &c));
		ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
		expect_nothing(_metadata, q);

		/* Once, however often it is found. */
		for (i = 0; i < 3; i++) {
			ASSERT_GT(0, fs->find_error());
			ASSERT_EQ(i == 0, count_ro(_metadata, q, c.id));
			ASSERT_EQ(-EROFS, or_errno(mkdir("mnt/new", 0755)));
		}
		ASSERT_EQ(0, read_counters("mnt", &now));
		ASSERT_EQ(1, now.changes - c.changes);
		ASSERT_EQ(0, sys_umount("mnt", 0));
		expect_removal(_metadata, q, TAG, c.id);
		tested++;
	}
	if (!tested)
		SKIP(return, "none of the filesystems");
}

TEST_F(sb, freeze)
{
	struct queue *q = &self->queue, plain;
	struct counters c;
	uint64_t id;
	int fd;

	id = mount_disk(_metadata, &self->disk, false, NULL);
	if (!id)
		return;
	ASSERT_EQ(0, queue_open(&plain, variant->kind, variant->size));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_as(&alice, "mnt", 0, plain.fd, NEW_TAG));
	ASSERT_EQ(0, read_counters("mnt", &c));

	ASSERT_EQ(0, freeze("mnt"));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_FREEZE, TAG, id);
	expect_event(_metadata, &plain, NOTIFY_SUPERBLOCK_FREEZE, NEW_TAG, id);

	/* Neither a second freeze nor a remount, which is refused. */
	ASSERT_EQ(-EBUSY, freeze("mnt"));
	ASSERT_EQ(-EBUSY, set_ro());
	expect_nothing(_metadata, q);

	/* Watches come and go all the same. */
	ASSERT_EQ(0, watch_sb("mnt", q->fd, -1));
	expect_removal(_metadata, q, TAG, id);
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));

	ASSERT_EQ(0, thaw("mnt"));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_THAW, TAG, id);
	expect_event(_metadata, &plain, NOTIFY_SUPERBLOCK_THAW, NEW_TAG, id);
	ASSERT_EQ(-EINVAL, thaw("mnt"));
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 2, 0);

	/* The same of a filesystem that is read-only. */
	ASSERT_EQ(0, set_ro());
	expect_ro(_metadata, q, TAG, id);
	ASSERT_EQ(0, freeze("mnt"));
	ASSERT_EQ(0, thaw("mnt"));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_FREEZE, TAG, id);
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_THAW, TAG, id);
	ASSERT_EQ(0, set_none());
	expect_rw(_metadata, q, TAG, id);
	expect_counted(_metadata, "mnt", &c, 6, 0);
	queue_close(&plain);

	/* What is frozen lasts until it is thawed. */
	fd = sys_open("mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, freeze("mnt"));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_FREEZE, TAG, id);
	ASSERT_EQ(0, sys_umount("mnt", MNT_DETACH));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, ioctl(fd, FITHAW, NULL));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_THAW, TAG, id);
	expect_nothing(_metadata, q);
	close(fd);
	expect_removal(_metadata, q, TAG, id);
}

TEST_F(sb, shutdown)
{
	struct queue *q = &self->queue;
	struct counters c;
	uint64_t id;

	id = mount_disk(_metadata, &self->disk, false, NULL);
	if (!id)
		return;
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, read_counters("mnt", &c));

	ASSERT_EQ(0, shut_down("mnt", SHUTDOWN_NOLOGFLUSH));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_SHUTDOWN, TAG, id);
	ASSERT_EQ(-EIO, or_errno(mkdir("mnt/new", 0755)));

	/* It cannot be any more so, even if the device goes as well. */
	ASSERT_EQ(0, shut_down("mnt", SHUTDOWN_NOLOGFLUSH));
	ASSERT_EQ(0, disk_remove(&self->disk));
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 1, 0);

	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, id);
}

/* The device is frozen meanwhile, and with it what is on it. */
TEST_F(sb, shutdown_by_freeze)
{
	struct queue *q = &self->queue;
	struct counters c;
	uint64_t id;

	id = mount_disk(_metadata, &self->disk, false, NULL);
	if (!id)
		return;
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, read_counters("mnt", &c));

	ASSERT_EQ(0, shut_down("mnt", SHUTDOWN_DEFAULT));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_FREEZE, TAG, id);
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_THAW, TAG, id);
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_SHUTDOWN, TAG, id);
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 3, 0);
}

TEST_F(sb, device_dies)
{
	struct queue *q = &self->queue;
	struct counters c;
	uint64_t id;

	id = mount_disk(_metadata, &self->disk, false, NULL);
	if (!id)
		return;
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, read_counters("mnt", &c));

	ASSERT_EQ(0, disk_remove(&self->disk));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_SHUTDOWN, TAG, id);
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 1, 0);

	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, id);
	expect_nothing(_metadata, q);
}

/* The errors of the last writes come before the removal; nothing after it. */
TEST_F(sb, last_errors)
{
	struct queue *q = &self->queue;
	unsigned int errors = 0;
	union record rec;
	uint64_t id;
	int fd;

	id = mount_disk(_metadata, &self->disk, false,
			"errors=continue,no_prefetch_block_bitmaps");
	if (!id)
		return;
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));

	/* Where the blocks are to go is not decided yet. */
	fd = sys_open("mnt/file", O_CREAT | O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(5, write(fd, "hello", 5));
	close(fd);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, disk_fail(&self->disk, BLOCK_BITMAP, true));
	ASSERT_EQ(0, sys_umount("mnt", 0));
	for (;;) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		if (rec_type(&rec) == WATCH_TYPE_META)
			break;
		ASSERT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(&rec));
		ASSERT_EQ(NOTIFY_SUPERBLOCK_ERROR, rec_subtype(&rec));
		ASSERT_EQ(id, rec.sb.sb_id);
		errors++;
	}
	ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
	ASSERT_EQ(id, rec.removal.id);
	ASSERT_LT(0, errors);
	expect_nothing(_metadata, q);

	/* The superblock really is gone: it no longer claims the device. */
	fd = sys_open(DISK_NODE, O_RDONLY | O_EXCL | O_CLOEXEC);
	ASSERT_LE(0, fd);
	close(fd);
}

static int limit_inodes(int type, unsigned int id, unsigned int soft,
			unsigned int hard)
{
	struct if_dqblk limits = {
		.dqb_isoftlimit = soft,
		.dqb_ihardlimit = hard,
		.dqb_valid = QIF_ILIMITS,
	};
	int fd = sys_open("mnt", O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = or_errno(syscall(__NR_quotactl_fd, fd, QCMD(Q_SETQUOTA, type), id,
			       &limits));
	close(fd);
	return ret;
}

static int create_fn(void *arg)
{
	return or_errno(mkdir(arg, 0755));
}

static int create(const struct someone *who, const char *path)
{
	return run_as(who, create_fn, (void *)path);
}

TEST_F(sb, quota)
{
	static const struct someone in_group = { .uid = BOB, .group = ALICE };
	struct queue *q = &self->queue, plain[4];
	struct counters c;
	unsigned int i;
	uint64_t id;

	if (!have_userns())
		SKIP(return, "no user namespaces");
	id = mount_disk(_metadata, &self->disk, true, "usrquota,grpquota,prjquota");
	if (!id)
		return;
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		ASSERT_EQ(0, queue_open(&plain[i], variant->kind, variant->size));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_as(&alice, "mnt", 0, plain[0].fd, 0));
	ASSERT_EQ(0, watch_as(&bob, "mnt", 0, plain[1].fd, 1));
	ASSERT_EQ(0, watch_as(&in_group, "mnt", 0, plain[2].fd, 2));
	ASSERT_EQ(0, watch_as(&alice_as_root, "mnt", 0, plain[3].fd, 3));
	ASSERT_EQ(0, read_counters("mnt", &c));

	/* A soft limit, then a hard one: once each, for her and for root only. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 1, 3));
	ASSERT_EQ(0, create(&alice, "mnt/dir/a"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, create(&alice, "mnt/dir/b"));
	ASSERT_EQ(0, create(&alice, "mnt/dir/c"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_ISOFTWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_ISOFTWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_ISOFTWARN, 0);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(-EDQUOT, create(&alice, "mnt/dir/d"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_IHARDWARN, 0);
	expect_nothing(_metadata, q);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		expect_nothing(_metadata, &plain[i]);
	expect_counted(_metadata, "mnt", &c, 0, 2);

	/* That is over, and begins again. */
	ASSERT_EQ(0, rmdir("mnt/dir/c"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDBELOW, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_IHARDBELOW, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_IHARDBELOW, 0);
	ASSERT_EQ(0, create(&alice, "mnt/dir/c"));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/dir/d"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_IHARDWARN, 0);

	/* Another user does not matter to her. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, BOB, 0, 1));
	ASSERT_EQ(0, create(&bob, "mnt/dir/e"));
	ASSERT_EQ(-EDQUOT, create(&bob, "mnt/dir/f"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDWARN, BOB);
	expect_quota(_metadata, &plain[1], 1, id, USRQUOTA, QUOTA_NL_IHARDWARN, BOB);
	expect_quota(_metadata, &plain[2], 2, id, USRQUOTA, QUOTA_NL_IHARDWARN, BOB);
	expect_nothing(_metadata, &plain[0]);

	/* A group, whether it is one's own or one of several. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 0, 0));
	ASSERT_EQ(0, limit_inodes(GRPQUOTA, ALICE, 0, 1));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/dir/g"));
	expect_quota(_metadata, q, TAG, id, GRPQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, GRPQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[2], 2, id, GRPQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, GRPQUOTA, QUOTA_NL_IHARDWARN, 0);
	expect_nothing(_metadata, &plain[1]);

	/* A project is no user's. */
	ASSERT_EQ(0, limit_inodes(GRPQUOTA, ALICE, 0, 0));
	ASSERT_EQ(0, limit_inodes(PRJQUOTA, PROJECT, 0, 1));
	ASSERT_EQ(0, create(&alice, "mnt/h"));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/i"));
	expect_quota(_metadata, q, TAG, id, PRJQUOTA, QUOTA_NL_IHARDWARN, PROJECT);
	expect_nothing(_metadata, q);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		expect_nothing(_metadata, &plain[i]);

	for (i = 0; i < ARRAY_SIZE(plain); i++)
		queue_close(&plain[i]);
}

/* An xfs with quotas of users on a new disk at "mnt"; or skip the test: false. */
static bool xfs_or_skip(struct __test_metadata *_metadata, struct disk *disk)
{
	int status, ret;
	pid_t pid;

	if (!disk_or_skip(_metadata, disk, 320))
		return false;
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		execlp("mkfs.xfs", "mkfs.xfs", "-q", "-f", DISK_NODE, NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		SKIP(return false, "no mkfs.xfs");
	ASSERT_EQ(0, status);
	ret = sys_mount(DISK_NODE, "mnt", "xfs", 0, "uquota");
	if (ret == -ENODEV || ret == -EINVAL)
		SKIP(return false, "no xfs, or no quotas in it");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, chmod("mnt", 0777));
	return true;
}

/* As direct I/O, for which there must be blocks at once. */
static int write_fn(void *arg)
{
	static char data[2 << 20] __attribute__((aligned(4096)));
	int fd = or_errno(syscall(__NR_openat, AT_FDCWD, arg, O_CREAT | O_WRONLY |
				  O_DIRECT | O_CLOEXEC, 0644));
	int ret;

	if (fd < 0)
		return fd;
	ret = or_errno(pwrite(fd, data, sizeof(data), 0));
	close(fd);
	return ret < 0 ? ret : 0;
}

static int inodes_of(unsigned int id)
{
	struct if_dqblk usage;
	int fd = sys_open("mnt", O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = or_errno(syscall(__NR_quotactl_fd, fd, QCMD(Q_GETQUOTA, USRQUOTA),
			       id, &usage));
	close(fd);
	return ret ?: usage.dqb_curinodes;
}

/* An xfs has accounting of its own, and tells of an overrun as often as others. */
TEST_F_TIMEOUT(sb, xfs_quota, 120)
{
	struct if_dqblk limits = {
		.dqb_bhardlimit = 1024,
		.dqb_valid = QIF_BLIMITS,
	};
	struct queue *q = &self->queue;
	struct counters c;
	union record rec;
	int fd, i;

	if (!xfs_or_skip(_metadata, &self->disk))
		return;
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 1, 3));
	ASSERT_EQ(0, read_counters("mnt", &c));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));

	ASSERT_EQ(0, create(&alice, "mnt/a"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, create(&alice, "mnt/b"));
	ASSERT_EQ(0, create(&alice, "mnt/c"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_ISOFTWARN, ALICE);
	expect_nothing(_metadata, q);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(-EDQUOT, create(&alice, "mnt/d"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_nothing(_metadata, q);

	/* That is over when something is freed, which xfs does when it likes. */
	ASSERT_EQ(0, rmdir("mnt/c"));
	for (i = 0; i < SOON && inodes_of(ALICE) != 2; i += 10)
		sleep_for(10);
	ASSERT_EQ(2, inodes_of(ALICE));
	ASSERT_EQ(0, create(&alice, "mnt/c"));
	expect_nothing(_metadata, q);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(-EDQUOT, create(&alice, "mnt/d"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_nothing(_metadata, q);

	/* New limits make a new overrun. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 0, 3));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/d"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_nothing(_metadata, q);

	/* The same of blocks, where it tries twice before it gives up. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 0, 0));
	fd = sys_open("mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, syscall(__NR_quotactl_fd, fd, QCMD(Q_SETQUOTA, USRQUOTA),
			     ALICE, &limits));
	close(fd);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EDQUOT, run_as(&alice, write_fn, "mnt/file"));
		if (i == 0)
			expect_quota(_metadata, q, TAG, c.id, USRQUOTA,
				     QUOTA_NL_BHARDWARN, ALICE);
		/* To direct I/O this is an error like any other. */
		expect_header(_metadata, q, &rec, NOTIFY_SUPERBLOCK_ERROR,
			      sizeof(rec.sb_error), TAG, c.id);
		ASSERT_EQ(SUPERBLOCK_ERROR_DIRECT_WRITE, rec.sb_error.type);
		expect_nothing(_metadata, q);
	}
	expect_counted(_metadata, "mnt", &c, 0, 5 + 3);
}

TEST_F_TIMEOUT(sb, xfs_shutdown, 120)
{
	struct queue *q = &self->queue;
	struct counters c;

	if (!xfs_or_skip(_metadata, &self->disk))
		return;
	ASSERT_EQ(0, read_counters("mnt", &c));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, shut_down("mnt", SHUTDOWN_NOLOGFLUSH));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_SHUTDOWN, TAG, c.id);
	ASSERT_EQ(-EIO, or_errno(mkdir("mnt/new", 0755)));
	ASSERT_EQ(-EIO, shut_down("mnt", SHUTDOWN_NOLOGFLUSH));
	ASSERT_EQ(0, disk_remove(&self->disk));
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 1, 0);
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, c.id);
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

/* Expect the removal of two watches, in whatever order. */
static void expect_removals(struct __test_metadata *_metadata, struct queue *q,
			    unsigned int tag, uint64_t id1, uint64_t id2)
{
	uint64_t ids[2] = { 0, 0 };
	union record rec;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(tag, rec_tag(&rec));
		ids[i] = rec.removal.id;
	}
	ASSERT_TRUE((ids[0] == id1 && ids[1] == id2) ||
		    (ids[0] == id2 && ids[1] == id1));
}

/* Mount debugfs at "debug": its superblock's identifier; or skip the test: 0. */
static uint64_t debugfs_or_skip(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, mkdir("debug", 0755));
	if (sys_mount("none", "debug", "debugfs", 0, NULL) == -ENODEV)
		SKIP(return 0, "no debugfs");
	ASSERT_NE(0, sb_id("debug"));
	return sb_id("debug");
}

/* The same, and have it mount tracefs at "debug/tracing". */
static uint64_t automount_or_skip(struct __test_metadata *_metadata)
{
	uint64_t debug = debugfs_or_skip(_metadata);

	if (debug && !sb_id("debug/tracing"))
		SKIP(return 0, "no automount of tracefs");
	return debug;
}

/* debugfs mounts tracefs on one of its directories if somebody goes there. */
TEST_F(sb, automount)
{
	struct queue *q = &self->queue;
	uint64_t debug, trace;

	debug = debugfs_or_skip(_metadata);
	if (!debug)
		return;

	/* One can watch what is beneath, without that it happens. */
	if (sb_notify(AT_FDCWD, "debug/tracing", AT_NO_AUTOMOUNT, q->fd, 0) == -ENOENT)
		SKIP(return, "no automount of tracefs");
	ASSERT_EQ(debug, sb_id("debug/tracing"));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, 0, debug);

	/* The watch asked for no more than debugfs itself. */
	ASSERT_EQ(0, watch_sb("debug", q->fd, TAG));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	trace = sb_id("debug/tracing");
	ASSERT_NE(debug, trace);
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, TAG, debug);

	/* This one asks for more. */
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(debug, sb_id("debug/tracing"));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(trace, sb_id("debug/tracing"));
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, trace,
		     0, MS_LAZYTIME);
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, trace,
		     MS_LAZYTIME, 0);

	/* To watch it again is refused, and it goes with the first one. */
	ASSERT_EQ(-EBUSY, watch_sb("debug/tracing", q->fd, NEW_TAG));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removals(_metadata, q, TAG, debug, trace);
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBADSLT, watch_sb("debug/tracing", q->fd, -1));

	/* Where there is a watch already, that one stays as it is. */
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, NEW_TAG));
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, TAG, debug);
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, NEW_TAG, trace,
		     0, MS_LAZYTIME);
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, NEW_TAG, trace,
		     MS_LAZYTIME, 0);
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, -1));
	expect_removal(_metadata, q, NEW_TAG, trace);
}

/* As a user who has no other watch, and may have one; but with root's power. */
static int watch_one_fn(void *arg)
{
	const struct rlimit one = { 1, 1 };

	if (setresuid(100000 + getpid(), 0, 0) || setrlimit(RLIMIT_NOFILE, &one))
		return -errno;
	return notify_fn(arg);
}

/* As a walker who may have none. */
static int walk_fn(void *arg)
{
	const struct rlimit none = { 0, 0 };

	return or_errno(setrlimit(RLIMIT_NOFILE, &none)) ?: look_up(arg);
}

/* The limits of the owner of the watch count, and if one is hit, he is told. */
TEST_F(sb, automount_limits)
{
	struct queue *q = &self->queue;
	struct notify_args one = {
		AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG
	};
	uint64_t debug, trace;

	debug = automount_or_skip(_metadata);
	if (!debug)
		return;

	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, run_as(&root, walk_fn, "debug/tracing/."));
	trace = sb_id("debug/tracing");
	ASSERT_NE(debug, trace);
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBUSY, watch_sb("debug/tracing", q->fd, TAG));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removals(_metadata, q, TAG, debug, trace);
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));

	ASSERT_EQ(0, run_as(&root, watch_one_fn, &one));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(trace, sb_id("debug/tracing"));
	expect_removal(_metadata, q, TAG, trace);
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBADSLT, watch_sb("debug/tracing", q->fd, -1));

	/* He who watches it already misses nothing. */
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	expect_removal(_metadata, q, TAG, trace);
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, NEW_TAG));
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, -1));
	expect_removal(_metadata, q, NEW_TAG, trace);
}

static int mount_copy(const char *from, const char *to)
{
	int fd = or_errno(syscall(__NR_open_tree, AT_FDCWD, from,
				  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)), ret;

	if (fd < 0)
		return fd;
	ret = or_errno(syscall(__NR_move_mount, fd, "", AT_FDCWD, to,
			       MOVE_MOUNT_F_EMPTY_PATH));
	close(fd);
	return ret;
}

/* Mount what is at "mnt" on the automount point as well, without an automount. */
static int mount_by_hand(void)
{
	return mount_copy("mnt", "debug/tracing");
}

static int own_mount_fn(void *arg)
{
	(void)arg;
	return or_errno(unshare(CLONE_NEWNS)) ?: mount_by_hand();
}

/* Who has power over the superblock serves as a daemon, but nobody else. */
TEST_F(sb, automount_by_hand)
{
	struct queue *q = &self->queue;
	uint64_t debug, id;
	struct stat st;

	debug = automount_or_skip(_metadata);
	if (!debug)
		return;
	if (!have_userns())
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	id = sb_id("mnt");
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));

	ASSERT_EQ(0, stat("debug", &st));
	ASSERT_EQ(0, chmod("debug", 0755));
	EXPECT_EQ(0, run_as(&alice_as_root, own_mount_fn, NULL));
	ASSERT_EQ(0, chmod("debug", st.st_mode & 07777));
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBADSLT, watch_sb("mnt", q->fd, -1));

	ASSERT_EQ(0, mount_by_hand());
	ASSERT_EQ(id, sb_id("debug/tracing"));
	ASSERT_EQ(0, set_ro());
	expect_ro(_metadata, q, TAG, id);
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removals(_metadata, q, TAG, debug, id);
}

static int move(const char *from, const char *to)
{
	return or_errno(syscall(__NR_move_mount, AT_FDCWD, from, AT_FDCWD, to, 0));
}

static int copy_automount_fn(void *arg)
{
	(void)arg;
	return or_errno(unshare(CLONE_NEWNS)) ?:
	       mount_copy("more/tracing", "debug/tracing");
}

/* Have it mounted, no longer watched by the queue, and move it. */
static int move_automount_fn(void *arg)
{
	int ret = or_errno(unshare(CLONE_NEWNS));

	if (!ret)
		look_up("more/tracing/.");
	return ret ?: watch_sb("more/tracing", *(int *)arg, -1) ?:
	       move("more/tracing", "debug/tracing");
}

/* A mount that an automount has made can be copied and moved, which is none itself. */
TEST_F(sb, automount_elsewhere)
{
	struct queue *q = &self->queue;
	uint64_t debug, trace;
	struct stat st;

	debug = debugfs_or_skip(_metadata);
	if (!debug)
		return;
	if (!have_userns())
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, mkdir("more", 0755));
	ASSERT_EQ(0, sys_mount("none", "more", "debugfs", 0, NULL));
	ASSERT_EQ(debug, sb_id("more"));
	if (!sb_id("more/tracing"))
		SKIP(return, "no automount of tracefs");
	ASSERT_EQ(0, look_up("more/tracing/."));
	trace = sb_id("more/tracing");
	ASSERT_NE(debug, trace);
	ASSERT_EQ(0, stat("debug", &st));
	ASSERT_EQ(0, chmod("debug", 0755));

	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	EXPECT_EQ(0, run_as(&alice_as_root, copy_automount_fn, NULL));
	expect_nothing(_metadata, q);
	EXPECT_EQ(-EBADSLT, watch_sb("more/tracing", q->fd, -1));

	ASSERT_EQ(0, sys_umount("more/tracing", 0));
	EXPECT_EQ(0, run_as(&alice_as_root, move_automount_fn, &q->fd));
	expect_removal(_metadata, q, TAG, trace);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, chmod("debug", st.st_mode & 07777));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, TAG, debug);
}

/* Automounts come and go while watches do: none is left without the other. */
TEST_F_TIMEOUT(sb, automount_storm, 120)
{
	struct queue *q = &self->queue;
	union record rec;
	int ret, status;
	unsigned int i;
	pid_t pid;

	if (!automount_or_skip(_metadata))
		return;

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < 300; i++) {
			if (look_up("debug/tracing/.") ||
			    sys_umount("debug/tracing", 0))
				_exit(1);
		}
		_exit(0);
	}

	for (i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		/* Those that were removed count for a while. */
		while ((ret = sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS,
					q->fd, TAG)) == -EAGAIN)
			sleep_for(1);
		ASSERT_EQ(0, ret);
		while ((ret = queue_next(q, &rec, 0)) == 1)
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(0, ret);
		if (i % 4 == 0) {
			queue_close(q);
			ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
		} else {
			ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
		}
	}
	ASSERT_EQ(0, status);
	ASSERT_LT(0, i);
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(-EBADSLT, watch_sb("debug/tracing", q->fd, -1));
}

/*
 * A daemon for the autofs at "auto": it mounts a tmpfs on whatever directory
 * somebody looks for; on "slow" when it is told to, and says so.
 */
static void serve_autofs(int requests, int said, int go)
{
	union {
		struct autofs_v5_packet v5;
		uint8_t bytes[512];
	} packet;
	int root = sys_open("auto", O_RDONLY | O_CLOEXEC);
	char path[NAME_MAX + 8];
	char c = 0;
	bool slow;
	int ret;

	while (root >= 0 && read(requests, &packet, sizeof(packet)) > 0) {
		if (packet.v5.hdr.type != autofs_ptype_missing_indirect)
			break;
		slow = strcmp(packet.v5.name, "slow") == 0;
		if (slow && (write(said, &c, 1) != 1 || read(go, &c, 1) != 1))
			break;
		snprintf(path, sizeof(path), "auto/%s", packet.v5.name);
		ret = or_errno(mkdir(path, 0755));
		if (!ret)
			ret = sys_mount("none", path, "tmpfs", 0, NULL);
		ioctl(root, ret ? AUTOFS_IOC_FAIL : AUTOFS_IOC_READY,
		      packet.v5.wait_queue_token);
		if (slow && write(said, &c, 1) != 1)
			break;
	}
	_exit(0);
}

TEST_F(sb, autofs)
{
	struct queue *q = &self->queue;
	uint64_t autofs, first, second, third, slow;
	int requests[2], started[2], go[2], i;
	char options[80], ready;
	pid_t walker;

	ASSERT_EQ(0, mkdir("auto", 0755));
	ASSERT_EQ(0, sys_pipe(requests, O_CLOEXEC));
	ASSERT_EQ(0, sys_pipe(started, O_CLOEXEC));
	ASSERT_EQ(0, sys_pipe(go, O_CLOEXEC));

	self->daemon = fork();
	ASSERT_LE(0, self->daemon);
	if (self->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* What this process group does in there is no request. */
		setpgid(0, 0);
		snprintf(options, sizeof(options),
			 "fd=%d,pgrp=%d,minproto=5,maxproto=5,indirect",
			 requests[1], getpid());
		ready = -sys_mount("none", "auto", "autofs", 0, options);
		if (write(started[1], &ready, 1) != 1 || ready)
			_exit(1);
		close(requests[1]);
		close(go[1]);
		serve_autofs(requests[0], started[1], go[0]);
	}
	close(started[1]);
	close(go[0]);
	ASSERT_EQ(1, read(started[0], &ready, 1));
	if (ready == ENODEV)
		SKIP(return, "no autofs");
	ASSERT_EQ(0, ready);

	autofs = sb_id("auto");
	ASSERT_NE(0, autofs);
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "auto", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, look_up("auto/first/."));
	ASSERT_EQ(0, look_up("auto/second/."));
	first = sb_id("auto/first");
	second = sb_id("auto/second");
	ASSERT_LT(autofs, first);
	ASSERT_LT(first, second);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, remount("auto/second", MS_RDONLY));
	expect_ro(_metadata, q, TAG, second);
	ASSERT_EQ(0, remount("auto/first", MS_SYNCHRONOUS));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, first,
		     0, MS_SYNCHRONOUS);

	/* It does not take the walker, who may not live to see it. */
	walker = fork();
	ASSERT_LE(0, walker);
	if (walker == 0) {
		look_up("auto/slow/.");
		_exit(0);
	}
	ASSERT_EQ(1, read(started[0], &ready, 1));
	kill(walker, SIGKILL);
	ASSERT_EQ(walker, waitpid(walker, &i, 0));
	ASSERT_EQ(SIGKILL, WTERMSIG(i));
	ASSERT_EQ(1, write(go[1], &ready, 1));
	ASSERT_EQ(1, read(started[0], &ready, 1));
	slow = sb_id("auto/slow");
	ASSERT_LT(second, slow);
	ASSERT_EQ(0, remount("auto/slow", MS_RDONLY));
	expect_ro(_metadata, q, TAG, slow);
	ASSERT_EQ(0, sys_umount("auto/slow", 0));
	expect_removal(_metadata, q, TAG, slow);

	/* It goes with its superblock, or with the watch that it came from. */
	ASSERT_EQ(0, sys_umount("auto/first", 0));
	expect_removal(_metadata, q, TAG, first);
	ASSERT_EQ(0, watch_sb("auto", q->fd, -1));
	expect_removals(_metadata, q, TAG, autofs, second);
	ASSERT_EQ(0, remount("auto/second", 0));
	expect_nothing(_metadata, q);

	/* That one may also go with its superblock. */
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "auto", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, look_up("auto/third/."));
	third = sb_id("auto/third");
	ASSERT_LT(slow, third);
	ASSERT_EQ(0, sys_mount("auto/third", "mnt", NULL, MS_BIND, NULL));
	kill(self->daemon, SIGKILL);
	ASSERT_EQ(self->daemon, waitpid(self->daemon, NULL, 0));
	self->daemon = 0;
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("auto", MNT_DETACH));
	expect_removals(_metadata, q, TAG, autofs, third);
	ASSERT_EQ(third, sb_id("mnt"));
	ASSERT_EQ(0, set_ro());
	expect_nothing(_metadata, q);
}

/*
 * What an automounter mounts may have automount points of its own in it, as with
 * several exports of one server.  They are mounts of autofs themselves, on plain
 * directories.
 */
TEST_F(sb, autofs_offset)
{
	struct queue *q = &self->queue;
	uint64_t top, offset, id;
	int requests[2], ret;
	char options[80];
	union record rec;

	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("mnt/offset", 0755));
	top = sb_id("mnt");
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "mnt", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));

	/* We are the daemon, who may walk there. */
	ASSERT_EQ(0, sys_pipe(requests, O_CLOEXEC));
	snprintf(options, sizeof(options),
		 "fd=%d,pgrp=%d,minproto=5,maxproto=5,offset", requests[1], getpgrp());
	ret = sys_mount("none", "mnt/offset", "autofs", 0, options);
	if (ret == -ENODEV)
		SKIP(return, "no autofs");
	ASSERT_EQ(0, ret);
	offset = sb_id("mnt/offset");
	ASSERT_LT(top, offset);
	ASSERT_EQ(0, sys_mount("none", "mnt/offset", "tmpfs", 0, NULL));
	id = sb_id("mnt/offset");
	ASSERT_LT(offset, id);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, remount("mnt/offset", MS_RDONLY));
	expect_ro(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_umount("mnt/offset", 0));
	expect_removal(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_umount("mnt/offset", 0));
	/* The daemon is gone by then. */
	close(requests[0]);
	while ((ret = queue_next(q, &rec, SOON)) == 1 &&
	       rec_type(&rec) != WATCH_TYPE_META)
		ASSERT_EQ(offset, rec.sb.sb_id);
	ASSERT_EQ(1, ret);
	ASSERT_EQ(offset, rec.removal.id);
	expect_nothing(_metadata, q);
}

/*
 * The emergency remount of sysrq makes all filesystems on block devices of the
 * machine read-only.  That is for machines that are there for tests.
 */
TEST_F(sb, emergency_remount)
{
	struct queue *q = &self->queue;
	struct counters c;
	int i;

	if (!getenv("WATCH_QUEUE_TEST_SYSRQ"))
		SKIP(return, "needs WATCH_QUEUE_TEST_SYSRQ set, makes all filesystems read-only");
	if (look_up("/proc/sysrq-trigger") < 0)
		SKIP(return, "no CONFIG_MAGIC_SYSRQ");
	if (!mount_disk(_metadata, &self->disk, false, NULL))
		return;
	ASSERT_EQ(0, read_counters("mnt", &c));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, write_string("/proc/sysrq-trigger", "u"));
		expect_ro(_metadata, q, TAG, c.id);
		ASSERT_EQ(-EROFS, or_errno(mkdir("mnt/new", 0755)));
		ASSERT_EQ(0, set_none());
		expect_rw(_metadata, q, TAG, c.id);
	}
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 4, 0);
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, c.id);
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
