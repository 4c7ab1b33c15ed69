/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the samples share: a queue, the loop that reads it, and how records are
 * printed, each on a line of its own.
 */
#ifndef WATCH_QUEUE_SAMPLE_H
#define WATCH_QUEUE_SAMPLE_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyctl.h>
#include <linux/watch_queue.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Set a filter that takes all records of a type. */
static inline void set_filter(int fd, unsigned int type)
{
	static union {
		struct watch_notification_filter filter;
		char space[sizeof(struct watch_notification_filter) +
			   sizeof(struct watch_notification_type_filter)];
	} u;

	u.filter.nr_filters = 1;
	u.filter.filters[0].type = type;
	memset(u.filter.filters[0].subtype_filter, 0xff,
	       sizeof(u.filter.filters[0].subtype_filter));
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, &u.filter) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_FILTER");
}

#define RING_PAGES	1
#define SLOT_SIZE	8

/* The ring of the queue, or NULL if it is a notification pipe. */
static struct watch_queue_ring *ring;

static inline void map_ring(int fd, unsigned int type)
{
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, RING_PAGES) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_SIZE");
	set_filter(fd, type);
	ring = mmap(NULL, RING_PAGES * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
}

/* Make a queue for records of a type: a pipe where there is no device. */
static inline int open_queue(unsigned int type)
{
	int fds[2], fd = open("/dev/watch_queue", O_RDWR);

	if (fd != -1) {
		map_ring(fd, type);
		return fd;
	}
	if (errno != ENOENT)
		err(EXIT_FAILURE, "/dev/watch_queue");

	/* The writing end stays open, or there would be nothing to wait for. */
	if (pipe2(fds, O_NOTIFICATION_PIPE) == -1)
		err(EXIT_FAILURE, "pipe2");
	if (ioctl(fds[0], IOC_WATCH_QUEUE_SET_SIZE, 256) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_SIZE");
	set_filter(fds[0], type);
	return fds[0];
}

/* Set a watch by a system call that takes a path.  Without one, watch everything. */
static inline void watch_path(long call, const char *option, const char *path,
			      unsigned int at_flags, int watch_fd, int watch_id)
{
	if (syscall(call, AT_FDCWD, path, at_flags, watch_fd, watch_id) == 0)
		return;
	if (errno == ENOSYS)
		errx(EXIT_FAILURE, "the kernel was built without %s", option);
	err(EXIT_FAILURE, "%s", path ? path : "all");
}

static inline unsigned int tag_of(const struct watch_notification *n)
{
	return (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
}

struct name {
	unsigned int value;
	const char *name;
};

/* Print the names of the bits that are set, each after the separator. */
static inline void print_bits(const struct name *names, size_t nr, const char *separator,
			      unsigned long long bits)
{
	for (size_t i = 0; i < nr; i++) {
		if (bits & names[i].value)
			printf("%s%s", separator, names[i].name);
		bits &= ~(unsigned long long)names[i].value;
	}
	if (bits)
		printf("%s%#llx", separator, bits);
}

/* Print the name of a value that may be newer than this program. */
static inline void print_name(const char * const *names, size_t nr, unsigned int value)
{
	if (value < nr && names[value])
		printf("%s", names[value]);
	else
		printf("%u", value);
}

static inline void print_key(const struct watch_notification *n)
{
	static const char * const changes[] = {
		[NOTIFY_KEY_INSTANTIATED]	= "instantiated",
		[NOTIFY_KEY_UPDATED]		= "updated",
		[NOTIFY_KEY_LINKED]		= "linked",
		[NOTIFY_KEY_UNLINKED]		= "unlinked",
		[NOTIFY_KEY_CLEARED]		= "cleared",
		[NOTIFY_KEY_REVOKED]		= "revoked",
		[NOTIFY_KEY_INVALIDATED]	= "invalidated",
		[NOTIFY_KEY_SETATTR]		= "setattr",
	};
	const struct key_notification *k = (const void *)n;

	printf("KEY     tag=%u key=%u ", tag_of(n), k->key_id);
	if (n->subtype < ARRAY_SIZE(changes))
		printf("%s", changes[n->subtype]);
	else
		printf("change=%u", n->subtype);
	if (n->subtype == NOTIFY_KEY_LINKED || n->subtype == NOTIFY_KEY_UNLINKED)
		printf(" other=%u", k->aux);
	else if (k->aux)
		printf(" aux=%u", k->aux);
	printf("\n");
}

/* Print a record that the program itself has no use for.  True if a watch is gone. */
static inline int print_other(const struct watch_notification *n, unsigned int len)
{
	const struct watch_notification_removal *r = (const void *)n;
	const struct watch_notification_loss *loss = (const void *)n;

	if (n->type != WATCH_TYPE_META) {
		printf("OTHER   tag=%u type=%u subtype=%u length=%u\n",
		       tag_of(n), n->type, n->subtype, len);
	} else if (n->subtype == WATCH_META_REMOVAL_NOTIFICATION) {
		printf("REMOVAL tag=%u", tag_of(n));
		if (len >= sizeof(*r))
			printf(" id=%llu", (unsigned long long)r->id);
		printf("\n");
		return 1;
	} else if (n->subtype == WATCH_META_LOSS_NOTIFICATION && len >= sizeof(*loss)) {
		printf("LOSS    %llu records of types %#x\n",
		       (unsigned long long)loss->nr_lost, loss->types);
	} else if (n->subtype == WATCH_META_LOSS_NOTIFICATION) {
		printf("LOSS    records were lost before this\n");
	}
	return 0;
}

/*
 * Take all that is in the ring, and return how many watches are gone.
 */
static inline int consume(int (*print)(const struct watch_notification *n, unsigned int len))
{
	unsigned int head, tail = ring->tail, len;
	const struct watch_notification *n;
	int gone = 0;

	/* Pairs with the kernel's release: the records up to head are there. */
	while (head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), tail != head) {
		while (tail != head) {
			n = (const void *)ring + (tail & ring->mask) * SLOT_SIZE;
			len = n->info & WATCH_INFO_LENGTH;
			if (len < sizeof(*n))
				errx(EXIT_FAILURE, "record of length %u", len);
			gone += print(n, len);
			tail += (len + SLOT_SIZE - 1) / SLOT_SIZE;
		}

		/* Pairs with the kernel's acquire: their space is free. */
		__atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);

		/*
		 * Look at head only after that.  Pairs with the kernel's
		 * barrier between its store of head and its second look at
		 * tail: one of us sees what the other stored.
		 */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}

	fflush(stdout);
	return gone;
}

static inline void read_ring(int fd, int watches,
			     int (*print)(const struct watch_notification *n, unsigned int len))
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	while (watches > 0) {
		if (poll(&pollfd, 1, -1) == -1 && errno != EINTR)
			err(EXIT_FAILURE, "poll");
		if (pollfd.revents & POLLERR)
			errx(EXIT_FAILURE, "the ring is corrupt");
		watches -= consume(print);
	}
}

/*
 * Read records and have print() print each, until none of the watches is left.
 * print() returns how many the record says are gone.
 */
static inline void read_queue(int fd, int watches,
			      int (*print)(const struct watch_notification *n, unsigned int len))
{
	union {
		struct watch_notification n;
		char space[WATCH_INFO_LENGTH + 1];
		__u64 align;
	} record;
	char buffer[4096];

	if (ring) {
		read_ring(fd, watches, print);
		return;
	}

	while (watches > 0) {
		ssize_t size = read(fd, buffer, sizeof(buffer)), len;

		if (size == -1)
			err(EXIT_FAILURE, "read");
		for (char *p = buffer; size > 0; p += len, size -= len) {
			memcpy(&record, p, sizeof(record.n));
			len = record.n.info & WATCH_INFO_LENGTH;
			if (len < (ssize_t)sizeof(record.n) || len > size)
				errx(EXIT_FAILURE, "record of length %zd", len);
			memcpy(&record, p, len);
			watches -= print(&record.n, len);
		}
		fflush(stdout);
	}
}

#endif
