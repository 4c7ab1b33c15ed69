// SPDX-License-Identifier: GPL-2.0
/* Errors, freezes and shutdowns of filesystems on disks. */

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "sb_fixture.h"

#ifndef EFSCORRUPTED
#define EFSCORRUPTED		EUCLEAN
#endif

static int freeze(const char *path)
{
	return ioctl_on(path, FIFREEZE, NULL);
}

static int thaw(const char *path)
{
	return ioctl_on(path, FITHAW, NULL);
}

/* What ext4 says of an inode. */
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
	ASSERT_EQ(GENERATION(ino), rec.sb_error.generation);
	ASSERT_EQ(0, rec.sb_error.__reserved);
	ASSERT_EQ(0, rec.sb_error.pos);
	ASSERT_EQ(0, rec.sb_error.len);
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
		for (; count < i; count++)
			expect_error(_metadata, q, TAG, id, EIO, DIR_INO);
		expect_nothing(_metadata, q);
	}

	/* The medium is fine, the contents are not. */
	ASSERT_EQ(-EFSCORRUPTED, look_up("mnt/bad/x"));
	expect_error(_metadata, q, TAG, id, EFSCORRUPTED, BAD_DIR_INO);

	/* Nor are these errors. */
	ASSERT_EQ(0, disk_fail(&self->disk, BLOCK_DIR, false));
	ASSERT_EQ(-ENOENT, look_up("mnt/dir/x"));
	ASSERT_EQ(-ENOENT, look_up("mnt/x"));
	expect_nothing(_metadata, q);
	/* It takes the capability, as FAN_FS_ERROR does. */
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
	ASSERT_EQ(-EINVAL, thaw("mnt"));
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &plain);
	expect_counted(_metadata, "mnt", &c, 0, 2);

	/* The same of a filesystem that is read-only. */
	ASSERT_EQ(0, set_ro());
	expect_ro(_metadata, q, TAG, id);
	ASSERT_EQ(0, freeze("mnt"));
	ASSERT_EQ(0, thaw("mnt"));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_FREEZE, TAG, id);
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_THAW, TAG, id);
	ASSERT_EQ(0, set_none());
	expect_rw(_metadata, q, TAG, id);
	expect_ro(_metadata, &plain, NEW_TAG, id);
	expect_rw(_metadata, &plain, NEW_TAG, id);
	expect_nothing(_metadata, &plain);
	expect_counted(_metadata, "mnt", &c, 2, 4);
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
	expect_counted(_metadata, "mnt", &c, 1, 2);
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

TEST_HARNESS_MAIN
