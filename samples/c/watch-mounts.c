// SPDX-License-Identifier: MIT OR Apache-2.0
// watch-mounts PATH: print what happens to the mounts at PATH and below it; wait with poll().
// The steps are those of "Protocol" in Documentation/userspace-api/watch_queue/device.rst.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/watch_queue.h>	// after fcntl.h

#define BUF_SIZE 4		// in pages: some 250 records of mounts
#define mount_notify(...) syscall(__NR_mount_notify, __VA_ARGS__)

static struct watch_notification_filter filter = {
	.nr_filters = 1,
	.filters = { { .type = WATCH_TYPE_MOUNT_NOTIFY, .subtype_filter = { 0x1ff } } },
};

// Print one record, and return whether it says that the watch is gone.
static int print(const struct watch_notification *n, __u32 len)
{
	static const char *const events[] = {	// by subtype
		"was mounted", "was unmounted", "expired", "became writable", "has other attributes",
		"was moved away", "was moved here", "has another propagation",
	};
	const struct mount_notification *m = (const void *)n;
	const struct watch_notification_loss *loss = (const void *)n;

	if (n->type == WATCH_TYPE_MOUNT_NOTIFY && n->subtype == NOTIFY_MOUNT_RESCAN)
		printf("list the mounts again\n");
	else if (n->type == WATCH_TYPE_MOUNT_NOTIFY && len >= sizeof(*m) && n->subtype < 8)
		printf("mount %llu on %llu %s\n", m->mnt_id, m->mnt_parent_id,
		       n->info & NOTIFY_MOUNT_IS_NOW_RO ? "became read-only" : events[n->subtype]);
	if (n->type == WATCH_TYPE_META && n->subtype == WATCH_META_LOSS_NOTIFICATION && len >= sizeof(*loss))
		printf("%llu records are missing here\n", loss->nr_lost);
	return n->type == WATCH_TYPE_META && n->subtype == WATCH_META_REMOVAL_NOTIFICATION;
}

static void read_ring(int fd, struct watch_queue_ring *buf)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	__u32 head, len, tail = buf->tail;
	__u64 lost, known = 0, gone = 0;

	while (!gone) {
		head = __atomic_load_n(&buf->head, __ATOMIC_ACQUIRE);	// step 1, and 5
		lost = __atomic_load_n(&buf->lost, __ATOMIC_RELAXED);
		if (head == tail && lost == known) {
			if (poll(&pollfd, 1, -1) == -1)
				err(1, "poll");
			if (pollfd.revents & POLLERR)
				errx(1, "somebody wrote into the ring");
			continue;
		}
		if (lost != known)
			printf("records were lost: list the mounts again\n");
		for (known = lost; tail != head; tail += (len + 7) / 8) {	// step 2
			const struct watch_notification *n = (void *)((__u64 *)buf + (tail & buf->mask));

			len = n->info & WATCH_INFO_LENGTH;
			if (len < sizeof(*n))
				errx(1, "somebody wrote into the ring");
			gone |= print(n, len);	// passes over META/SKIP as over all that it does not know
		}
		__atomic_store_n(&buf->tail, tail, __ATOMIC_RELEASE);	// step 3
		__atomic_thread_fence(__ATOMIC_SEQ_CST);		// step 4
	}
}

int main(int argc, char **argv)
{
	int fd = open("/dev/watch_queue", O_RDWR | O_CLOEXEC);
	struct watch_queue_ring *buf;

	if (argc != 2)
		errx(2, "usage: watch-mounts PATH");
	if (fd == -1 && errno == ENOENT)
		errx(1, "there is no /dev/watch_queue: boot a kernel with CONFIG_WATCH_QUEUE_DEV=y");
	if (fd == -1)
		err(1, "open /dev/watch_queue");
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, BUF_SIZE) == -1)
		err(1, "ioctl IOC_WATCH_QUEUE_SET_SIZE");
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, &filter) == -1)
		err(1, "ioctl IOC_WATCH_QUEUE_SET_FILTER");
	buf = mmap(NULL, BUF_SIZE * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (buf == MAP_FAILED)
		err(1, "mmap /dev/watch_queue");
	if (buf->version != WATCH_QUEUE_RING_VERSION)
		errx(1, "the kernel's ring is of another version, %u", buf->version);
	if (mount_notify(AT_FDCWD, argv[1], 0, fd, 0x02) == -1)
		err(1, "mount_notify %s", argv[1]);
	setlinebuf(stdout);	// also where it is a pipe
	printf("watching the mounts below %s\n", argv[1]);	// to have a list of them, read it now
	read_ring(fd, buf);
	printf("no longer watching\n");
}
