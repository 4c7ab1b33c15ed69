/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of mount watches share: system calls, the records, and the state
 * of a mount namespace as listmount() and statmount() show it.  Functions that
 * return an int return -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_MOUNTS_H
#define SELFTESTS_WATCH_QUEUE_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/mount.h>

#define RECORD_VIEWS	struct mount_notification mount

#include "mount_calls.h"
#include "watch_queue.h"

/* System calls. */
int sys_mount_setattr(int dfd, const char *path, unsigned int flags,
		      const struct mount_attr *attr);
int sys_setns(int fd, int type);
int sys_rename(const char *from, const char *to, unsigned int flags);
int sys_statmount(uint64_t id, uint64_t ns, uint64_t mask,
		  struct statmount *buf, size_t size);
int mount_notify(int dfd, const char *path, unsigned int at_flags, int fd,
		 int tag);

int set_attr(const char *path, unsigned int flags, uint64_t set, uint64_t clear);
/* The id of the mount on top at @path; that of its namespace; 0 on failure. */
uint64_t mount_id(const char *path);
uint64_t mntns_id(uint64_t id);
/* How often mounts changed in the namespace @ns of the mount @id. */
int count_changes(uint64_t id, uint64_t ns, uint64_t *changes);

/*
 * Go into a new mount namespace whose root directory is an empty tmpfs that
 * nothing is mounted on.
 */
int enter_empty_mntns(void);

#define MAX_MOUNTS	1024
#define MAX_POINT	512

struct mnt {
	uint64_t id, parent, attr, group;
	uint32_t propagation;
	bool deep;		/* Not at the watched directory, but further down */
	char point[MAX_POINT];	/* In a listing only */
};

/* All mounts of a namespace, in the order of their ids. */
struct listing {
	unsigned int nr;
	struct mnt mnts[MAX_MOUNTS];
};

/* @ns is 0 for one's own.  -E2BIG if these are not all. */
int list_mounts(struct listing *l, uint64_t ns);
const struct mnt *find_mount(const struct listing *l, uint64_t id);

#endif /* SELFTESTS_WATCH_QUEUE_MOUNTS_H */
