/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A block device that fails where a test wants it to, and small filesystems on it.
 * All functions return -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_DISK_H
#define SELFTESTS_WATCH_QUEUE_DISK_H

#include <stdbool.h>

/* What the ext4 is made of: one group with blocks of 1 KiB. */
enum {
	BLOCK_BITMAP	= 3,
	BLOCK_DIR	= 14,
	BLOCK_BAD_DIR	= 15,
};

/* Two directories in its root. */
#define DIR_INO		12	/* "dir", in BLOCK_DIR */
#define BAD_DIR_INO	13	/* "bad", its contents make no sense */
#define GENERATION(ino)	(0x5eed0000 + (ino))

/*
 * Anybody may write to the root and to "dir".  There are quotas of users,
 * groups and projects if it is made so; the root's project is this.
 */
#define PROJECT		77

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
int disk_make_fs(bool quota);
/* With a file "bad", of which nothing but the first cluster is to be found. */
int disk_make_fat(void);
int disk_make_exfat(void);
int disk_fail(const struct disk *disk, unsigned int block, bool fail);
int disk_read(unsigned int block);
int disk_remove(struct disk *disk);
void disk_put(struct disk *disk);

#define DISK_NODE	"disk"	/* The device */
#define DISK_CONFIG	"config" /* Where configfs is mounted */

#endif /* SELFTESTS_WATCH_QUEUE_DISK_H */
