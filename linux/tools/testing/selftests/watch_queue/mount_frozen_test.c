// SPDX-License-Identifier: GPL-2.0
/* Watches on directories of a frozen filesystem: nothing waits for the thaw. */

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "mounts.h"

#include "disk.h"
#include "expect.h"

#define TAG	5

FIXTURE(frozen)
{
	char dir[DIR_SIZE];
	struct queue queue;
	struct disk disk;
	int fd;			/* The root directory of the filesystem, to thaw it */
};

QUEUE_VARIANTS(frozen, 64, 1);

FIXTURE_SETUP(frozen)
{
	int ret;

	self->fd = -1;
	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (mount_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "no CONFIG_MOUNT_NOTIFICATIONS");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;
	ASSERT_EQ(0, enter_dir(self->dir));
	ASSERT_EQ(0, mkdir("mnt", 0755));
	ret = disk_add(&self->disk, 320);
	if (ret == -ENOENT || ret == -ENODEV)
		SKIP(return, "no null_blk");
	ASSERT_EQ(0, ret);
	ret = disk_make_xfs();
	if (ret == -ENOENT)
		SKIP(return, "no mkfs.xfs");
	ASSERT_EQ(0, ret);
	ret = sys_mount(DISK_NODE, "mnt", "xfs", 0, NULL);
	if (ret == -ENODEV)
		SKIP(return, "no xfs");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, mkdir("mnt/dir", 0755));
	ASSERT_EQ(0, mkdir("mnt/dir/x", 0755));
	self->fd = sys_open("mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(frozen)
{
	ioctl(self->fd, FITHAW, NULL);
	close(self->fd);
	queue_close(&self->queue);
	disk_put(&self->disk);
	leave_dir(self->dir);
}

static void expect_mount(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int subtype, uint64_t id)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
	ASSERT_EQ(subtype, rec_subtype(&rec));
	ASSERT_EQ(id, rec.mount.mnt_id);
}

TEST_F_TIMEOUT(frozen, watches, 60)
{
	struct queue *q = &self->queue, other;
	const uint64_t mnt = mount_id("mnt");
	uint64_t x;

	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "mnt/dir", 0, q->fd, TAG));
	ASSERT_EQ(0, ioctl(self->fd, FIFREEZE, NULL));

	/* To remove a watch, to set one, to report a mount, to close a queue ... */
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "mnt/dir", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, TAG, mnt);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "mnt", 0, q->fd, TAG));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "mnt/dir", 0, other.fd, TAG));
	ASSERT_EQ(0, sys_mount("none", "mnt/dir/x", "tmpfs", 0, NULL));
	x = mount_id("mnt/dir/x");
	expect_mount(_metadata, q, NOTIFY_MOUNT_NEW_MOUNT, x);
	expect_mount(_metadata, &other, NOTIFY_MOUNT_NEW_MOUNT, x);
	queue_close(&other);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "mnt/dir", 0, q->fd, TAG + 1));

	/* ... and to unmount what is watched takes no thaw. */
	ASSERT_EQ(0, sys_umount("mnt", MNT_DETACH));
	expect_mount(_metadata, q, NOTIFY_MOUNT_UNMOUNT, x);
	expect_mount(_metadata, q, NOTIFY_MOUNT_UNMOUNT, x);
	ASSERT_EQ((1 << TAG) | (1 << (TAG + 1)), queue_tags(q));

	/* Nothing of the watches is left to hold the filesystem. */
	ASSERT_EQ(0, ioctl(self->fd, FITHAW, NULL));
	close(self->fd);
	self->fd = sys_open(DISK_NODE, O_RDONLY | O_EXCL | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

TEST_HARNESS_MAIN
