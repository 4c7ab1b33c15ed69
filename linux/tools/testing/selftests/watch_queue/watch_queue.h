/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Both kinds of notification queue behind one small interface, and the system
 * calls that the tests need.  All functions return -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_H
#define SELFTESTS_WATCH_QUEUE_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/*
 * This brings in linux/fcntl.h, which does not go together with the C library's
 * fcntl.h: hence sys_open() and sys_fcntl().
 */
#include <linux/watch_queue.h>
#include <linux/keyctl.h>

#define DEVICE		"/dev/watch_queue"

/* How long to wait, in ms, for what the kernel does in its own time. */
#define SOON		10000

/* <sys/mount.h> has these, but does not go together with <linux/mount.h>. */
#define MNT_FORCE		1
#define MNT_DETACH		2
#define MNT_EXPIRE		4
#define UMOUNT_NOFOLLOW		8

/* Permissions of keys, which no UAPI header has. */
#define POS_VIEW	0x01000000
#define POS_SEARCH	0x08000000
#define POS_SETATTR	0x20000000
#define POS_ALL		0x3f000000
#define USR_ALL		0x003f0000

enum queue_kind {
	QUEUE_PIPE,
	QUEUE_DEVICE,
};

/*
 * A record, as each of the structures that it can be.  For another source than
 * keys, the header of that source names its structures in RECORD_VIEWS: a test
 * that reads such records includes it first.
 */
union record {
	struct watch_notification watch;
	struct watch_notification_removal removal;
	struct watch_notification_loss loss;
	struct key_notification key;
#ifdef RECORD_VIEWS
	RECORD_VIEWS;
#endif
	uint8_t bytes[128];
};

struct queue {
	enum queue_kind kind;
	int fd;			/* To read or map, poll, control and watch with */
	int write_fd;		/* The pipe's other end, or -1 */

	/* Pipe: what was read and not yet given out. */
	uint8_t buf[1024];
	unsigned int pos, len;

	/* Device. */
	struct watch_queue_ring *ring;
	size_t bytes;
	uint32_t slots;
	uint32_t skips;		/* BIT(n) if padding of n slots was stepped over */
	uint64_t laps;		/* Times that the reader came by the header */
};

struct fdinfo {
	unsigned int size, head, tail;
	unsigned long long lost;
	unsigned int nr_watches;
	struct {
		unsigned int type, id, tag;
	} watches[8];
};

static inline long or_errno(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* System calls. */
int sys_open(const char *path, int flags);
int sys_pipe(int fds[2], int flags);
int sys_fcntl(int fd, int cmd, unsigned long arg);
long sys_keyctl(int cmd, unsigned long arg2, unsigned long arg3,
		unsigned long arg4, unsigned long arg5);
int set_size(int fd, unsigned long size);
int set_filter(int fd, const void *filter);
int write_string(const char *path, const char *text);
int ioctl_on(const char *path, unsigned long cmd, void *arg);
int sys_mount(const char *source, const char *target, const char *type,
	      unsigned long flags, const char *data);
int sys_umount(const char *target, int flags);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_unshare(unsigned int flags);
/*
 * Go into a new mount namespace, where an empty tmpfs is mounted on /tmp with
 * @options and is the current directory.
 */
int enter_tmp(const char *options);
int poll_for(int fd, int timeout);
void sleep_for(int ms);
int select_for(int fd, int timeout);
int task_state(int pid);

/* Keys. */
int32_t add_key(const char *type, const char *description, const char *payload,
		int32_t keyring);
int32_t request_key(const char *type, const char *description,
		    const char *callout, int32_t keyring);
int update_key(int32_t key);
int watch_key(int32_t key, int fd, int tag);
int32_t join_new_session(void);

/* Queues. */
int queue_open(struct queue *q, enum queue_kind kind, unsigned int size);
/* Why a test is to be skipped if queue_open() returned @ret, or NULL. */
const char *no_queue(const struct queue *q, int ret);
int queue_map(struct queue *q, unsigned int pages);
void queue_close(struct queue *q);
int queue_next(struct queue *q, union record *rec, int timeout);
int ring_next(struct queue *q, union record *rec);
int queue_tags(struct queue *q);
int read_fdinfo(int fd, struct fdinfo *info);

static inline unsigned int rec_type(const union record *rec)
{
	return rec->watch.type;
}

static inline unsigned int rec_subtype(const union record *rec)
{
	return rec->watch.subtype;
}

static inline unsigned int rec_len(const union record *rec)
{
	return rec->watch.info & WATCH_INFO_LENGTH;
}

static inline unsigned int rec_tag(const union record *rec)
{
	return (rec->watch.info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
}

#endif /* SELFTESTS_WATCH_QUEUE_H */
