// SPDX-License-Identifier: GPL-2.0
/* /dev/watch_queue: records are taken straight out of the mapped ring. */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

volatile uint64_t ring_mount, ring_parent;

void ring_open(struct ring *r, unsigned int pages)
{
	size_t bytes = (size_t)pages * sysconf(_SC_PAGESIZE);

	r->fd = check(sys_open("/dev/watch_queue", O_RDWR), "/dev/watch_queue");
	check(ioctl(r->fd, IOC_WATCH_QUEUE_SET_SIZE, (unsigned long)pages), "SET_SIZE");
	r->shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (r->shared == MAP_FAILED)
		die("mmap");
	r->slots = (const uint64_t *)r->shared;
	r->mask = r->shared->mask;
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
	uint32_t head = load_acquire(&r->shared->head), tail = r->shared->tail;
	unsigned int records = 0;

	while (tail != head) {
		const struct watch_notification *n = (const void *)&r->slots[tail & r->mask];

		if (n->type == WATCH_TYPE_MOUNT_NOTIFY) {
			const struct mount_notification *m = (const void *)n;

			ring_mount = m->mnt_id;
			ring_parent = m->mnt_parent_id;
		}
		records += n->type != WATCH_TYPE_META;
		tail += ((n->info & WATCH_INFO_LENGTH) + 7) / 8;
	}
	store_release(&r->shared->tail, tail);
	return records;
}

unsigned int ring_take_all(struct ring *r, uint64_t *lost)
{
	uint32_t head = load_acquire(&r->shared->head), tail = r->shared->tail;
	unsigned int records = 0;

	while (tail != head) {
		const struct watch_notification *n = (const void *)&r->slots[tail & r->mask];

		if (n->type != WATCH_TYPE_META)
			records++;
		else if (n->subtype == WATCH_META_LOSS_NOTIFICATION)
			*lost += ((const struct watch_notification_loss *)n)->nr_lost;
		tail += ((n->info & WATCH_INFO_LENGTH) + 7) / 8;
	}
	store_release(&r->shared->tail, tail);
	return records;
}
