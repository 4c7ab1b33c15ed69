// SPDX-License-Identifier: GPL-2.0
/* Both kinds of notification queue behind one small interface. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/time_types.h>

#include "watch_queue.h"

int sys_open(const char *path, int flags)
{
	return or_errno(syscall(__NR_openat, AT_FDCWD, path, flags, 0));
}

int sys_pipe(int fds[2], int flags)
{
	return or_errno(syscall(__NR_pipe2, fds, flags));
}

int sys_fcntl(int fd, int cmd, unsigned long arg)
{
#ifdef __NR_fcntl64
	return or_errno(syscall(__NR_fcntl64, fd, cmd, arg));
#else
	return or_errno(syscall(__NR_fcntl, fd, cmd, arg));
#endif
}

long sys_keyctl(int cmd, unsigned long arg2, unsigned long arg3,
		unsigned long arg4, unsigned long arg5)
{
	return or_errno(syscall(__NR_keyctl, cmd, arg2, arg3, arg4, arg5));
}

int set_size(int fd, unsigned long size)
{
	return or_errno(ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, size));
}

int set_filter(int fd, const void *filter)
{
	return or_errno(ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, filter));
}

/* A C library of 32 bits may have no usleep() here, for want of time of 32 bits. */
void sleep_for(int ms)
{
	poll(NULL, 0, ms);
}

int write_string(const char *path, const char *text)
{
	int fd = sys_open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int ioctl_on(const char *path, unsigned long cmd, void *arg)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = or_errno(ioctl(fd, cmd, arg));
	close(fd);
	return ret;
}

int sys_mount(const char *source, const char *target, const char *type,
	      unsigned long flags, const char *data)
{
	return or_errno(syscall(__NR_mount, source, target, type, flags, data));
}

int sys_umount(const char *target, int flags)
{
	return or_errno(syscall(__NR_umount2, target, flags));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return or_errno(syscall(__NR_pivot_root, new_root, put_old));
}

int sys_unshare(unsigned int flags)
{
	return or_errno(syscall(__NR_unshare, flags));
}

int enter_tmp(const char *options)
{
	int ret = sys_unshare(CLONE_NEWNS);

	if (!ret)
		ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", "/tmp", "tmpfs", 0, options);
	return ret ?: or_errno(chdir("/tmp"));
}

/* What poll() says within @timeout ms: the events, or 0. */
int poll_for(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int ret = or_errno(poll(&pfd, 1, timeout));

	return ret < 0 ? ret : pfd.revents;
}

/*
 * The same by select(): 1 if there is something to read, or 0.  A 64-bit kernel
 * may have no time of 32 bits, and then the C library of 32 bits no select().
 */
int select_for(int fd, int timeout)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout / 1000,
		.tv_nsec = timeout % 1000 * 1000000,
	};
	fd_set set;
	int ret;

	FD_ZERO(&set);
	FD_SET(fd, &set);
#ifdef __NR_pselect6_time64
	ret = syscall(__NR_pselect6_time64, fd + 1, &set, NULL, NULL, &ts, NULL);
#else
	ret = syscall(__NR_pselect6, fd + 1, &set, NULL, NULL, &ts, NULL);
#endif
	return ret < 0 ? -errno : ret == 1 && FD_ISSET(fd, &set);
}

/* 'S' if the process sleeps where a signal would wake it, and so on. */
int task_state(int pid)
{
	char path[32], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state;
}

int32_t add_key(const char *type, const char *description, const char *payload,
		int32_t keyring)
{
	return or_errno(syscall(__NR_add_key, type, description, payload,
				payload ? strlen(payload) : 0, keyring));
}

int32_t request_key(const char *type, const char *description,
		    const char *callout, int32_t keyring)
{
	return or_errno(syscall(__NR_request_key, type, description, callout,
				keyring));
}

int update_key(int32_t key)
{
	return sys_keyctl(KEYCTL_UPDATE, key, (unsigned long)"new", 3, 0);
}

int watch_key(int32_t key, int fd, int tag)
{
	return sys_keyctl(KEYCTL_WATCH_KEY, key, fd, tag, 0);
}

/* An anonymous session keyring, so that all keys go with the test. */
int32_t join_new_session(void)
{
	return sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
}

/* Map the first @pages pages of the ring. */
int queue_map(struct queue *q, unsigned int pages)
{
	void *p;

	q->bytes = pages * sysconf(_SC_PAGESIZE);
	q->slots = q->bytes / 8;
	p = mmap(NULL, q->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, q->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	q->ring = p;
	return 0;
}

/*
 * Open a queue of @size: records of a pipe, pages of the device.  No size is
 * set if it is 0.
 */
int queue_open(struct queue *q, enum queue_kind kind, unsigned int size)
{
	int fds[2], ret;

	memset(q, 0, sizeof(*q));
	q->kind = kind;
	q->write_fd = -1;

	if (kind == QUEUE_PIPE) {
		ret = sys_pipe(fds, O_NOTIFICATION_PIPE | O_CLOEXEC | O_NONBLOCK);
		if (ret < 0)
			return ret;
		q->fd = fds[0];
		q->write_fd = fds[1];
	} else {
		q->fd = sys_open(DEVICE, O_RDWR | O_CLOEXEC);
		if (q->fd < 0)
			return q->fd;
	}

	if (size) {
		ret = set_size(q->fd, size);
		if (!ret && kind == QUEUE_DEVICE)
			ret = queue_map(q, size);
		if (ret < 0) {
			queue_close(q);
			return ret;
		}
	}
	return 0;
}

const char *no_queue(const struct queue *q, int ret)
{
	if (q->kind == QUEUE_DEVICE &&
	    (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO))
		return "no " DEVICE;
	if (q->kind == QUEUE_PIPE && ret == -ENOPKG)
		return "no CONFIG_WATCH_QUEUE";
	if (q->kind == QUEUE_PIPE && ret == -ENOTTY)
		return "no ioctl() on pipes for 32-bit programs";
	return NULL;
}

void queue_close(struct queue *q)
{
	if (q->ring)
		munmap(q->ring, q->bytes);
	q->ring = NULL;
	if (q->fd >= 0)
		close(q->fd);
	if (q->write_fd >= 0)
		close(q->write_fd);
	q->fd = -1;
	q->write_fd = -1;
}

static int pipe_next(struct queue *q, union record *rec)
{
	const struct watch_notification *n;
	unsigned int len;
	ssize_t ret;

	if (q->pos == q->len) {
		ret = or_errno(read(q->fd, q->buf, sizeof(q->buf)));
		if (ret == -EAGAIN)
			return 0;
		if (ret <= 0)
			return ret ?: -EPIPE;
		q->pos = 0;
		q->len = ret;
	}

	n = (const void *)(q->buf + q->pos);
	len = n->info & WATCH_INFO_LENGTH;
	if (q->len - q->pos < sizeof(*n) || len < sizeof(*n) ||
	    len > q->len - q->pos)
		return -EPROTO;

	memset(rec, 0, sizeof(*rec));
	memcpy(rec, n, len);
	q->pos += len;
	return 1;
}

/*
 * Take the next record out of the ring, stepping over padding: 1, or 0 if there
 * is none, or -EPROTO if what is there cannot be a record.
 */
int ring_next(struct queue *q, union record *rec)
{
	const uint64_t *slots = (const uint64_t *)q->ring;
	uint32_t head, tail, at, len, nr;
	bool skip;

	/* Only the reader stores tail. */
	tail = __atomic_load_n(&q->ring->tail, __ATOMIC_RELAXED);

	for (;;) {
		head = __atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE);
		if (head == tail)
			return 0;
		if (head - tail > q->slots)
			return -EPROTO;

		at = tail & (q->slots - 1);
		memset(rec, 0, sizeof(*rec));
		memcpy(rec, slots + at, sizeof(rec->watch));
		len = rec_len(rec);
		nr = (len + 7) / 8;
		if (len < sizeof(rec->watch) || nr > q->slots - at ||
		    nr > head - tail)
			return -EPROTO;
		memcpy(rec, slots + at, len);

		/* The release lets the kernel store here again. */
		tail += nr;
		__atomic_store_n(&q->ring->tail, tail, __ATOMIC_RELEASE);

		skip = rec_type(rec) == WATCH_TYPE_META &&
		       rec_subtype(rec) == WATCH_META_SKIP_NOTIFICATION;
		if (!skip)
			return 1;
		if (at == 0)
			q->laps++;
		else
			q->skips |= 1U << nr;
	}
}

static int device_next(struct queue *q, union record *rec)
{
	int ret = ring_next(q, rec);

	if (ret)
		return ret;

	/*
	 * The kernel wakes the reader if, after it stored head, it finds that
	 * tail had caught up.  So look at head once more after the last store
	 * of tail, and fence in between.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_next(q, rec);
}

/* The next record, waiting for at most @timeout ms: 1, or 0 if none came. */
int queue_next(struct queue *q, union record *rec, int timeout)
{
	int ret, events;

	for (;;) {
		if (q->kind == QUEUE_PIPE)
			ret = pipe_next(q, rec);
		else
			ret = device_next(q, rec);
		if (ret)
			return ret;

		events = poll_for(q->fd, timeout);
		if (events < 0)
			return events;
		if (events & POLLERR)
			return -EIO;
		if (!(events & POLLIN))
			return 0;
	}
}

/* The tags of the records that are there, a bit for each of the tags 0 to 30. */
int queue_tags(struct queue *q)
{
	union record rec;
	int tags = 0, ret;

	while ((ret = queue_next(q, &rec, 0)) == 1)
		tags |= 1 << rec_tag(&rec);
	return ret < 0 ? ret : tags;
}

int read_fdinfo(int fd, struct fdinfo *info)
{
	unsigned int type, id, tag, seen = 0;
	char line[128];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fd);
	f = fopen(line, "re");
	if (!f)
		return -errno;

	memset(info, 0, sizeof(*info));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "size:\t%u", &info->size) == 1)
			seen |= 1;
		if (sscanf(line, "head:\t%u", &info->head) == 1)
			seen |= 2;
		if (sscanf(line, "tail:\t%u", &info->tail) == 1)
			seen |= 4;
		if (sscanf(line, "lost:\t%llu", &info->lost) == 1)
			seen |= 8;
		if (sscanf(line, "watch:\ttype=%u id=%u tag=%u", &type, &id, &tag) == 3 &&
		    info->nr_watches < 8) {
			info->watches[info->nr_watches].type = type;
			info->watches[info->nr_watches].id = id;
			info->watches[info->nr_watches].tag = tag;
			info->nr_watches++;
		}
	}
	fclose(f);
	return seen == 15 ? 0 : -EPROTO;
}
