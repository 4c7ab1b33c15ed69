// SPDX-License-Identifier: GPL-2.0
/*
 * Watch keys through /dev/watch_queue and print each record.
 *
 *	watch_ring [KEY]...
 *
 * The session keyring is watched with the tag 1, the keys that are named by
 * their ids with the tags from 2 up.  Ends when none of them is left.
 *
 * See Documentation/userspace-api/watch_queue.rst
 */

#define _GNU_SOURCE
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

#define BUF_SIZE	1	/* In pages */
#define SLOT_SIZE	8

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static const struct watch_notification_filter *key_filter(void)
{
	static union {
		struct watch_notification_filter filter;
		char space[sizeof(struct watch_notification_filter) +
			   sizeof(struct watch_notification_type_filter)];
	} u;
	struct watch_notification_type_filter *rule = u.filter.filters;

	u.filter.nr_filters = 1;
	rule->type = WATCH_TYPE_KEY_NOTIFY;
	memset(rule->subtype_filter, 0xff, sizeof(rule->subtype_filter));
	return &u.filter;
}

static long keyctl_watch_key(int key, int watch_fd, int watch_id)
{
	return syscall(__NR_keyctl, KEYCTL_WATCH_KEY, key, watch_fd, watch_id);
}

static unsigned int tag_of(const struct watch_notification *n)
{
	return (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
}

static void print_key(const struct watch_notification *n)
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

/* Print a record, and return how many watches it says are gone. */
static int print_record(const struct watch_notification *n, unsigned int len)
{
	if (n->type == WATCH_TYPE_KEY_NOTIFY && len >= sizeof(struct key_notification)) {
		print_key(n);
	} else if (n->type != WATCH_TYPE_META) {
		printf("OTHER   tag=%u type=%u subtype=%u length=%u\n",
		       tag_of(n), n->type, n->subtype, len);
	} else if (n->subtype == WATCH_META_REMOVAL_NOTIFICATION) {
		printf("REMOVAL tag=%u", tag_of(n));
		if (len >= sizeof(struct watch_notification_removal))
			printf(" id=%llu", (unsigned long long)
			       ((const struct watch_notification_removal *)n)->id);
		printf("\n");
		return 1;
	} else if (n->subtype == WATCH_META_LOSS_NOTIFICATION) {
		const struct watch_notification_loss *loss = (const void *)n;

		printf("LOSS    %llu records of types %#x\n",
		       (unsigned long long)loss->nr_lost, loss->types);
	}
	return 0;
}

/*
 * Take all that is in the ring, and return how many watches are gone.
 */
static int consume(struct watch_queue_ring *ring)
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
			gone += print_record(n, len);
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

int main(int argc, char **argv)
{
	struct pollfd pollfd = { .events = POLLIN };
	struct watch_queue_ring *ring;
	int fd, i, watches = argc;

	fd = open("/dev/watch_queue", O_RDWR);
	if (fd == -1)
		err(EXIT_FAILURE, "/dev/watch_queue");
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, BUF_SIZE) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_SIZE");
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, key_filter()) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_FILTER");

	ring = mmap(NULL, BUF_SIZE * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");

	if (keyctl_watch_key(KEY_SPEC_SESSION_KEYRING, fd, 0x01) == -1)
		err(EXIT_FAILURE, "the session keyring");
	for (i = 1; i < argc; i++) {
		if (keyctl_watch_key(strtoul(argv[i], NULL, 0), fd, 0x01 + i) == -1)
			err(EXIT_FAILURE, "key %s", argv[i]);
	}

	pollfd.fd = fd;
	while (watches > 0) {
		if (poll(&pollfd, 1, -1) == -1 && errno != EINTR)
			err(EXIT_FAILURE, "poll");
		if (pollfd.revents & POLLERR)
			errx(EXIT_FAILURE, "the ring is corrupt");
		watches -= consume(ring);
	}
	return EXIT_SUCCESS;
}
