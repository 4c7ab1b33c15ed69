// SPDX-License-Identifier: GPL-2.0
/* The permission to watch block devices, and the watches that each user can have. */

#include "blocks.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/mount.h>

#include "access.h"
#include "share.h"

/* Of one disk, the first for root alone; of no disk; a directory. */
static int node, node_for_all, nodev, no_disk, dir;

static const char *cannot_test(void)
{
	if (block_notify(-1, "", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_BLK_NOTIFICATIONS";
	return NULL;
}

static int open_node(const char *path, mode_t mode, dev_t dev)
{
	if (mknod(path, S_IFBLK | mode, dev) || chmod(path, mode))
		return -errno;
	return sys_open(path, O_PATH | O_CLOEXEC);
}

/* Block 1 of the disk cannot be read. */
static int prepare(struct _test_data_access *self)
{
	struct stat st;
	int ret;

	ret = disk_add(&self->disk, 1);
	if (!ret)
		ret = disk_fail(&self->disk, 1, true);
	if (!ret && (stat(DISK_NODE, &st) || mkdir("nodev", 0755)))
		ret = -errno;
	if (!ret)
		ret = sys_mount("none", "nodev", "tmpfs", MS_NODEV, NULL);
	if (ret)
		return ret;
	node = open_node("node", 0600, st.st_rdev);
	node_for_all = open_node("node_for_all", 0644, st.st_rdev);
	nodev = open_node("nodev/node", 0644, st.st_rdev);
	no_disk = open_node("no_node", 0644, makedev(4095, 1));
	dir = open_dir("jail");
	return node < 0 || node_for_all < 0 || nodev < 0 || no_disk < 0 || dir < 0 ?
		-EBADF : 0;
}

static int cause_events(void *arg)
{
	(void)arg;
	return disk_read(1) == -EIO ? 0 : -EPROTO;
}

static int watch_disk(int object, int fd, int tag)
{
	return block_notify(object, path_of(object), flags_of(object), fd, tag);
}

static int watch_all(int object, int fd, int tag)
{
	return block_notify(object, NULL, BLOCK_NOTIFY_ALL, fd, tag);
}

static const struct row table[] = {
#define A	(-EACCES)
#define P	(-EPERM)
#define B	(-ENOTBLK)
#define X	(-ENXIO)
	/*					root nocap user userns cont chr chr-user */
	{ "disk", watch_disk, &node,			{ 0, 0, A, A, A, 0, A } },
	{ "disk for all", watch_disk, &node_for_all,	{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "disk on a nodev mount", watch_disk, &nodev,	{ A, A, A, A, A, A, A } },
	{ "no disk", watch_disk, &no_disk,		{ X, X, X, X, X, X, X } },
	{ "directory as a disk", watch_disk, &dir,	{ B, B, B, B, B, B, B } },
	{ "all disks", watch_all, &here,		{ 0, P, P, P, P, 0, P } },
#undef A
#undef P
#undef B
#undef X
};

TEST_F(access, table)
{
	expect_table(_metadata, table, ARRAY_SIZE(table), variant->place, cause_events);
}

static int prepare_shared(struct _test_data_share *self)
{
	return disk_add(&self->disk, 1) ?: or_errno(chmod(DISK_NODE, 0644));
}

static int watch_shared(const struct _test_data_share *self, int nr, int tag)
{
	return block_notify(AT_FDCWD, DISK_NODE, 0, self->fds[nr], tag);
}

FIXTURE_VARIANT_ADD(share, block) {
	.prepare = prepare_shared,
	.watch = watch_shared,
	.share = SHARE,
};

TEST_HARNESS_MAIN
