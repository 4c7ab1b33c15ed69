// SPDX-License-Identifier: MIT OR Apache-2.0
// watch-superblock PATH: print what happens to the filesystem of PATH, until there is standard input (from a
// pipe or terminal) or its end; wait for both with epoll. The steps are those of "Protocol" in watch_queue.rst.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/watch_queue.h>	// after fcntl.h
#define BUF_SIZE 1		// in pages: some 170 records of superblocks
#define sb_notify(...) syscall(__NR_sb_notify, __VA_ARGS__)

static struct watch_notification_filter filter = {	// all subtypes but RECONFIGURED
	.nr_filters = 1, .filters = { { WATCH_TYPE_SB_NOTIFY, .subtype_filter = { 0x7f } } },
};

static int check(const char *call, int result)
{
	if (result == -1)
		err(1, "%s", call);
	return result;
}

static void print(const struct watch_notification *n, __u32 len)
{
	static const char *const events[] = {	// by subtype
		"became writable", "has an error", "has a quota overrun, or no longer", "(reserved)",
		"was frozen", "was thawed", "was shut down" };
	const struct superblock_error_notification *e = (const void *)n;

	if (n->type == WATCH_TYPE_META && n->subtype == WATCH_META_REMOVAL_NOTIFICATION)
		printf("the filesystem is gone\n");
	if (n->type != WATCH_TYPE_SB_NOTIFY || len < sizeof(e->s) || n->subtype > 6)
		return;		// META/SKIP, META/LOSS (which "lost" reported already), or not known yet
	printf("superblock %llu %s", e->s.sb_id,
	       n->info & NOTIFY_SUPERBLOCK_IS_NOW_RO ? "became read-only" : events[n->subtype]);
	if (n->subtype == NOTIFY_SUPERBLOCK_ERROR && len >= sizeof(*e))
		printf(": %s", strerror(e->error));
	printf("\n");
}

static void drain(struct watch_queue_ring *buf)
{
	static __u64 lost, known;
	__u32 head, len, tail = buf->tail;

	while (head = __atomic_load_n(&buf->head, __ATOMIC_ACQUIRE),		// step 1, and 5
	       lost = __atomic_load_n(&buf->lost, __ATOMIC_RELAXED), head != tail || lost != known) {
		if (lost != known)
			printf("%llu records were lost: read its state again\n", lost - known);
		for (known = lost; tail != head; tail += (len + 7) / 8) {	// step 2
			const struct watch_notification *n = (void *)((__u64 *)buf + (tail & buf->mask));

			len = n->info & WATCH_INFO_LENGTH;
			if (len < sizeof(*n))
				errx(1, "somebody wrote into the ring");
			print(n, len);
		}
		__atomic_store_n(&buf->tail, tail, __ATOMIC_RELEASE);		// step 3
		__atomic_thread_fence(__ATOMIC_SEQ_CST);	// step 4, or EPOLLET might sleep for ever
	}
}

int main(int argc, char **argv)
{
	int epoll = check("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
	int fd = open("/dev/watch_queue", O_RDWR | O_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = STDIN_FILENO };
	struct watch_queue_ring *buf;

	if (argc != 2)
		errx(2, "usage: watch-superblock PATH");
	if (fd == -1 && errno == ENOENT)
		errx(1, "there is no /dev/watch_queue: boot a kernel with CONFIG_WATCH_QUEUE_DEV=y");
	check("open /dev/watch_queue", fd);
	check("ioctl IOC_WATCH_QUEUE_SET_SIZE", ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, BUF_SIZE));
	check("ioctl IOC_WATCH_QUEUE_SET_FILTER", ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, &filter));
	buf = mmap(NULL, BUF_SIZE * getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check("mmap /dev/watch_queue", buf == MAP_FAILED ? -1 : 0);
	if (buf->version != WATCH_QUEUE_RING_VERSION)
		errx(1, "the kernel's ring is of another version, %u", buf->version);
	check("epoll_ctl standard input", epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event));
	event = (struct epoll_event){ .events = EPOLLIN | EPOLLET, .data.fd = fd };
	check("epoll_ctl /dev/watch_queue", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	check("sb_notify", sb_notify(AT_FDCWD, argv[1], 0, fd, 0x03));
	setlinebuf(stdout);	// also where it is a pipe
	printf("watching the filesystem of %s\n", argv[1]);	// to know its state, read it now
	do {
		drain(buf);
		if (epoll_wait(epoll, &event, 1, -1) == -1 && errno != EINTR)
			err(1, "epoll_wait");
		if (event.events & EPOLLERR)
			errx(1, "somebody wrote into the ring");
	} while (event.data.fd == fd);
}
