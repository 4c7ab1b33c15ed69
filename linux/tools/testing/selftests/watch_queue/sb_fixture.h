/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mount namespace of its own for each test of superblock watches, and what
 * records and counters are expected there.
 */
#ifndef SELFTESTS_WATCH_QUEUE_SB_FIXTURE_H
#define SELFTESTS_WATCH_QUEUE_SB_FIXTURE_H

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/mount.h>

#include "superblocks.h"

#include "expect.h"
#include "mount_calls.h"
#include "people.h"

#define EXT4_IOC_SHUTDOWN	_IOR('X', 125, __u32)
#define SHUTDOWN_DEFAULT	0	/* Freeze first */
#define SHUTDOWN_NOLOGFLUSH	2

#define TAG		0x33
#define NEW_TAG		0x44

static inline int watch_sb(const char *path, int fd, int tag)
{
	return sb_notify(AT_FDCWD, path, 0, fd, tag);
}

static inline int remount(const char *path, unsigned long flags)
{
	return sys_mount(NULL, path, NULL, MS_REMOUNT | flags, NULL);
}

static inline int shut_down(const char *path, __u32 how)
{
	return ioctl_on(path, EXT4_IOC_SHUTDOWN, &how);
}

#define SB_ALL_COUNTERS	(STATMOUNT_SB_ID | STATMOUNT_SB_CHANGES | \
			 STATMOUNT_SB_ERRORS)

struct counters {
	uint64_t mask;		/* SB_ALL_COUNTERS or less */
	uint64_t id, changes, errors;
};

static inline int read_counters(const char *path, struct counters *c)
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
static inline uint64_t sb_id(const char *path)
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

static inline int notify_fn(void *arg)
{
	const struct notify_args *a = arg;

	return sb_notify(a->dfd, a->path, a->flags, a->fd, a->tag);
}

static inline int watch_as(const struct someone *who, const char *path,
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

static inline int set_ro(void)
{
	return remount("mnt", MS_RDONLY);
}

static inline int set_none(void)
{
	return remount("mnt", 0);
}

static inline int look_up(const char *path)
{
	struct stat st;

	return or_errno(stat(path, &st));
}

static inline void expect_header(struct __test_metadata *_metadata,
				 struct queue *q, union record *rec,
				 unsigned int subtype, unsigned int len,
				 unsigned int tag, uint64_t id)
{
	ASSERT_EQ(1, queue_next(q, rec, SOON));
	ASSERT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(rec));
	ASSERT_EQ(subtype, rec_subtype(rec));
	ASSERT_EQ(len, rec_len(rec));
	ASSERT_EQ(tag, rec_tag(rec));
	ASSERT_EQ(id, rec->sb.sb_id);
}

/* FREEZE, THAW or SHUTDOWN. */
static inline void expect_event(struct __test_metadata *_metadata,
				struct queue *q, unsigned int subtype,
				unsigned int tag, uint64_t id)
{
	union record rec;

	expect_header(_metadata, q, &rec, subtype, sizeof(rec.sb), tag, id);
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
}

static inline void expect_flags(struct __test_metadata *_metadata,
				struct queue *q, unsigned int subtype,
				unsigned int tag, uint64_t id, uint32_t old,
				uint32_t new)
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

static inline void expect_ro(struct __test_metadata *_metadata, struct queue *q,
			     unsigned int tag, uint64_t id)
{
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_READONLY, tag, id,
		     0, MS_RDONLY);
}

static inline void expect_rw(struct __test_metadata *_metadata, struct queue *q,
			     unsigned int tag, uint64_t id)
{
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_READONLY, tag, id,
		     MS_RDONLY, 0);
}

/* How much the counters have grown. */
static inline void expect_counted(struct __test_metadata *_metadata,
				  const char *path,
				  const struct counters *before,
				  unsigned int changes, unsigned int errors)
{
	struct counters now;

	ASSERT_EQ(0, read_counters(path, &now));
	ASSERT_EQ(SB_ALL_COUNTERS, now.mask);
	ASSERT_EQ(before->id, now.id);
	ASSERT_EQ(changes, now.changes - before->changes);
	ASSERT_EQ(errors, now.errors - before->errors);
}

/* Make a disk. */
static inline bool disk_or_skip(struct __test_metadata *_metadata,
				struct disk *disk, unsigned int mib)
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
static inline uint64_t mount_disk(struct __test_metadata *_metadata,
				  struct disk *disk, bool quota,
				  const char *options)
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

#endif /* SELFTESTS_WATCH_QUEUE_SB_FIXTURE_H */
