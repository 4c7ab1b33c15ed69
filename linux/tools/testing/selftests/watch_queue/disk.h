/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A block device that fails where a test wants it to.  All functions return
 * -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_DISK_H
#define SELFTESTS_WATCH_QUEUE_DISK_H

#include <stdbool.h>

#define DIR_SIZE	32

struct disk {
	char name[32];		/* In /sys/block */
	bool live;
};

/*
 * Go into a mount namespace of one's own, in a tmpfs where device nodes work;
 * its name is written to @dir.  And leave it, if it was entered.
 */
int enter_dir(char dir[DIR_SIZE]);
void leave_dir(const char *dir);

/* The current directory must be such a one. */
int make_node(const char *name, const char *node);
int disk_new(struct disk *disk);
int disk_set(const struct disk *disk, const char *attr, const char *value);
int disk_insert(const struct disk *disk, const char *node);
int disk_add(struct disk *disk, unsigned int mib);
/* Blocks are of 1 KiB. */
int disk_fail(const struct disk *disk, unsigned int block, bool fail);
int disk_read(unsigned int block);
int disk_make_xfs(void);	/* Takes 320 MiB; -ENOENT without mkfs.xfs */
int disk_remove(struct disk *disk);
void disk_put(struct disk *disk);

#define DISK_NODE	"disk"	/* The device */
#define DISK_CONFIG	"config" /* Where configfs is mounted */

#endif /* SELFTESTS_WATCH_QUEUE_DISK_H */
