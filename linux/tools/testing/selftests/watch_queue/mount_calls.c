// SPDX-License-Identifier: GPL-2.0
/* System calls that make, move and reconfigure mounts. */

#include <sys/syscall.h>
#include <unistd.h>
#include <linux/mount.h>

#include "mount_calls.h"
#include "watch_queue.h"

int sys_open_tree(int dfd, const char *path, unsigned int flags)
{
	return or_errno(syscall(__NR_open_tree, dfd, path,
				flags | OPEN_TREE_CLOEXEC));
}

int sys_move_mount(int from_dfd, const char *from, int to_dfd, const char *to,
		   unsigned int flags)
{
	return or_errno(syscall(__NR_move_mount, from_dfd, from, to_dfd, to,
				flags));
}

int sys_fsopen(const char *type)
{
	return or_errno(syscall(__NR_fsopen, type, FSOPEN_CLOEXEC));
}

int sys_fsconfig(int fd, unsigned int cmd, const char *key, const char *value)
{
	return or_errno(syscall(__NR_fsconfig, fd, cmd, key, value, 0));
}

int sys_fsmount(int fd, unsigned int attr)
{
	return or_errno(syscall(__NR_fsmount, fd, FSMOUNT_CLOEXEC, attr));
}

int tmpfs_fd(unsigned int attr)
{
	int fd, mnt;

	fd = sys_fsopen("tmpfs");
	if (fd < 0)
		return fd;
	mnt = sys_fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (mnt >= 0)
		mnt = sys_fsmount(fd, attr);
	close(fd);
	return mnt;
}

int attach(int fd, const char *to, unsigned int flags)
{
	int ret;

	if (fd < 0)
		return fd;
	ret = sys_move_mount(fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH | flags);
	close(fd);
	return ret;
}

int set_propagation(const char *path, unsigned long type)
{
	return sys_mount(NULL, path, NULL, type, NULL);
}

int reconfigure(const char *path, const char *flag, const char *other)
{
	int fd, ret;

	fd = or_errno(syscall(__NR_fspick, AT_FDCWD, path, FSPICK_CLOEXEC));
	if (fd < 0)
		return fd;
	ret = sys_fsconfig(fd, FSCONFIG_SET_FLAG, flag, NULL);
	if (!ret && other)
		ret = sys_fsconfig(fd, FSCONFIG_SET_FLAG, other, NULL);
	if (!ret)
		ret = sys_fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL);
	close(fd);
	return ret;
}
