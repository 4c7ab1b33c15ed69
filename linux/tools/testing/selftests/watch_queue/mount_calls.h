/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls that make, move and reconfigure mounts.  All functions return
 * -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_MOUNT_CALLS_H
#define SELFTESTS_WATCH_QUEUE_MOUNT_CALLS_H

int sys_open_tree(int dfd, const char *path, unsigned int flags);
int sys_move_mount(int from_dfd, const char *from, int to_dfd, const char *to,
		   unsigned int flags);
int sys_fsopen(const char *type);
int sys_fsconfig(int fd, unsigned int cmd, const char *key, const char *value);
int sys_fsmount(int fd, unsigned int attr);

/* A detached tmpfs with the attributes @attr. */
int tmpfs_fd(unsigned int attr);
/* Put the detached mount @fd, which may be an error, at @to; and close it. */
int attach(int fd, const char *to, unsigned int flags);
int set_propagation(const char *path, unsigned long type);

/* Set or clear one or two flags of a superblock, and leave the others alone. */
int reconfigure(const char *path, const char *flag, const char *other);

#endif /* SELFTESTS_WATCH_QUEUE_MOUNT_CALLS_H */
