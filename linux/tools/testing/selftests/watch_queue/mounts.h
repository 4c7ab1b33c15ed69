/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of mount watches share: system calls, the state of a mount
 * namespace as listmount() and statmount() tell it, and a model of what is below
 * a watch that is kept up to date from its records alone.  Functions that return
 * an int or a long return -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_MOUNTS_H
#define SELFTESTS_WATCH_QUEUE_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/mount.h>

#include "watch_queue.h"

/* System calls. */
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_open_tree(int dfd, const char *path, unsigned int flags);
int sys_move_mount(int from_dfd, const char *from, int to_dfd, const char *to,
		   unsigned int flags);
int sys_mount_setattr(int dfd, const char *path, unsigned int flags,
		      const struct mount_attr *attr);
int sys_fsopen(const char *type);
int sys_fsconfig(int fd, unsigned int cmd, const char *key, const char *value);
int sys_fsmount(int fd, unsigned int attr);
int sys_unshare(unsigned int flags);
int sys_setns(int fd, int type);
int sys_rename(const char *from, const char *to, unsigned int flags);
int sys_statmount(uint64_t id, uint64_t ns, uint64_t mask,
		  struct statmount *buf, size_t size);
int mount_notify(int dfd, const char *path, unsigned int at_flags, int fd,
		 int tag);

/* Have the flags of a superblock change, twice. */
int touch_sb(const char *path);
/* A detached tmpfs with the attributes @attr. */
int tmpfs_fd(unsigned int attr);
int set_propagation(const char *path, unsigned long type);
int set_attr(const char *path, unsigned int flags, uint64_t set, uint64_t clear);
/* The id of the mount on top at @path; that of its namespace; 0 on failure. */
uint64_t mount_id(const char *path);
uint64_t mntns_id(uint64_t id);

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
/* How often mounts changed in the namespace @ns of the mount @id. */
int count_changes(uint64_t id, uint64_t ns, uint64_t *changes);

/* A watch, and what its records say of the mounts below it. */
#define MAX_RECORDS	1024

struct model {
	uint64_t mount;		/* The mount that is watched */
	const char *dir;	/* The watched directory; NULL if it is the root of the mount */
	unsigned int tag;
	bool removed;		/* The watch is gone */
	bool lost;		/* Records were lost */
	unsigned int nr;
	struct mnt mnts[MAX_MOUNTS];
	/* Of the last operation: */
	unsigned int nr_records;
	struct mount_notification records[MAX_RECORDS];
};

void model_start(struct model *m, const struct listing *l);
/* Each returns what is wrong, or NULL. */
const char *model_read(struct model *m, struct queue *q);
const char *model_compare(struct model *m, const struct listing *l);
void model_print(const struct model *m, const struct listing *l);
void print_record(const struct mount_notification *n);

#endif /* SELFTESTS_WATCH_QUEUE_MOUNTS_H */
