/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of superblock watches share: the system call, the records, and
 * small filesystems on the disk of disk.h.  All functions return -errno on
 * failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_SUPERBLOCKS_H
#define SELFTESTS_WATCH_QUEUE_SUPERBLOCKS_H

#include <stdbool.h>

#define RECORD_VIEWS					\
	struct superblock_notification sb;		\
	struct superblock_flags_notification sb_flags;	\
	struct superblock_error_notification sb_error;	\
	struct superblock_quota_notification sb_quota

#include "disk.h"
#include "watch_queue.h"

int sb_notify(int dfd, const char *path, unsigned int at_flags, int fd, int tag);
/* Change the flags of a superblock twice. */
int touch_sb(const char *path);

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

/* Write a filesystem to DISK_NODE. */
int disk_make_fs(bool quota);
/* With a file "bad", of which nothing but the first cluster is to be found. */
int disk_make_fat(void);
int disk_make_exfat(void);

#endif /* SELFTESTS_WATCH_QUEUE_SUPERBLOCKS_H */
