// SPDX-License-Identifier: GPL-2.0
/* /dev/watch_queue: records are taken straight out of the mapped ring. */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

void ring_open(struct ring *r, unsigned int pages)
{
	size_t bytes = (size_t)pages * sysconf(_SC_PAGESIZE);

	r->fd = check(sys_open("/dev/watch_queue", O_RDWR), "/dev/watch_queue");
	check(ioctl(r->fd, IOC_WATCH_QUEUE_SET_SIZE, (unsigned long)pages), "SET_SIZE");
	r->shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (r->shared == MAP_FAILED)
		die("mmap");
	r->mask = r->shared->mask;
	r->tail = r->shared->tail;
	r->lost = 0;
}

void ring_close(struct ring *r)
{
	munmap(r->shared, (r->mask + 1) * sizeof(uint64_t));
	close(r->fd);
}

void ring_watch_mounts(struct ring *r, const char *path)
{
	check(syscall(__NR_mount_notify, AT_FDCWD, path, 0, r->fd, 1), "mount_notify");
}

unsigned int ring_take(struct ring *r)
{
	struct watch_queue_ring *shared = r->shared;
	uint32_t head = load_acquire(&shared->head), tail = r->tail;
	uint64_t lost = __atomic_load_n(&shared->lost, __ATOMIC_RELAXED);
	unsigned int records = 0;

	/* Who keeps a copy of what is watched now has to read all of it. */
	if (__builtin_expect(lost != r->lost, false))
		r->lost = lost;
	while (tail != head) {
		const uint64_t *slot = (const uint64_t *)shared + (tail & r->mask);
		const struct watch_notification n = *(const struct watch_notification *)slot;

		if (n.type != WATCH_TYPE_META) {
			if (n.type == WATCH_TYPE_MOUNT_NOTIFY)
				learnt = ((const struct mount_notification *)slot)->mnt_id;
			records++;
		}
		tail += ((n.info & WATCH_INFO_LENGTH) + 7) / 8;
	}
	r->tail = tail;
	store_release(&shared->tail, tail);
	return records;
}
