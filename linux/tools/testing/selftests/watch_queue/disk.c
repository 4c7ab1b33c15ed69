// SPDX-License-Identifier: GPL-2.0
/* A block device in memory, by way of null_blk, which can fail or vanish. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/mount.h>

#include "disk.h"
#include "watch_queue.h"

#define BLOCK_SIZE	1024

int disk_set(const struct disk *disk, const char *attr, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), DISK_CONFIG "/nullb/%s/%s", disk->name, attr);
	return write_string(path, value);
}

int enter_dir(char dir[DIR_SIZE])
{
	int ret;

	strcpy(dir, "/tmp/watch_queue.XXXXXX");
	if (!mkdtemp(dir) || unshare(CLONE_NEWNS))
		return -errno;
	ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", dir, "tmpfs", 0, "mode=755");
	return ret ?: or_errno(chdir(dir));
}

void leave_dir(const char *dir)
{
	if (!dir[0])
		return;
	chdir("/");
	sys_umount(dir, MNT_DETACH);
	rmdir(dir);
}

/* Make a device node for what sysfs knows as /sys/class/block/@name. */
int make_node(const char *name, const char *node)
{
	unsigned int major, minor;
	char path[96];
	int ret;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	ret = fscanf(f, "%u:%u", &major, &minor);
	fclose(f);
	if (ret != 2)
		return -EPROTO;
	ret = mknod(node, S_IFBLK | 0600, makedev(major, minor));
	return ret < 0 ? -errno : 0;
}

/* A disk that is not there yet: -ENOENT or -ENODEV if null_blk is absent. */
int disk_new(struct disk *disk)
{
	static unsigned int nr;
	char path[64];

	if (mkdir(DISK_CONFIG, 0700) == 0) {
		if (sys_mount("none", DISK_CONFIG, "configfs", 0, NULL) < 0)
			return -errno;
	} else if (errno != EEXIST) {
		return -errno;
	}

	snprintf(disk->name, sizeof(disk->name), "watch_queue%d-%u", getpid(), nr++);
	snprintf(path, sizeof(path), DISK_CONFIG "/nullb/%s", disk->name);
	if (mkdir(path, 0700) < 0)
		return -errno;
	disk->live = true;
	return 0;
}

/* Put it in. */
int disk_insert(const struct disk *disk, const char *node)
{
	int ret = disk_set(disk, "power", "1");

	return ret ?: make_node(disk->name, node);
}

/*
 * Bring in a disk of @mib MiB as DISK_NODE: -ENOENT or -ENODEV if null_blk is
 * absent.  What was not written to takes no memory.
 */
int disk_add(struct disk *disk, unsigned int mib)
{
	char size[16];
	int ret;

	snprintf(size, sizeof(size), "%u", mib);
	ret = disk_new(disk);
	if (!ret)
		ret = disk_set(disk, "size", size);
	if (!ret)
		ret = disk_set(disk, "memory_backed", "1");
	return ret ?: disk_insert(disk, DISK_NODE);
}

/* Let a block fail from now on, or no longer. */
int disk_fail(const struct disk *disk, unsigned int block, bool fail)
{
	char range[32];

	snprintf(range, sizeof(range), "%c%u-%u", fail ? '+' : '-', block * 2,
		 block * 2 + 1);
	return disk_set(disk, "badblocks", range);
}

/* Read a block. */
int disk_read(unsigned int block)
{
	char buf[BLOCK_SIZE];
	int fd, ret = 0;

	fd = sys_open(DISK_NODE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (pread(fd, buf, sizeof(buf), block * BLOCK_SIZE) != sizeof(buf))
		ret = errno ? -errno : -EPROTO;
	close(fd);
	return ret;
}

/* Pull it out. */
int disk_remove(struct disk *disk)
{
	return disk_set(disk, "power", "0");
}

void disk_put(struct disk *disk)
{
	char path[64];

	if (!disk->live)
		return;
	snprintf(path, sizeof(path), DISK_CONFIG "/nullb/%s", disk->name);
	rmdir(path);
	disk->live = false;
}

int disk_make_xfs(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("mkfs.xfs", "mkfs.xfs", "-q", "-f", DISK_NODE, NULL);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}
