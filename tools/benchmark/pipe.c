// SPDX-License-Identifier: GPL-2.0
/* A notification pipe: records are copied out by read(). */
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

void pipe_open(struct pipe *p, unsigned int notes)
{
	int fds[2];

	check(syscall(__NR_pipe2, fds, O_NOTIFICATION_PIPE), "pipe2");
	p->fd = fds[0];
	p->write_fd = fds[1];
	check(ioctl(p->fd, IOC_WATCH_QUEUE_SET_SIZE, (unsigned long)notes), "pipe size");
}

void pipe_close(struct pipe *p)
{
	close(p->fd);
	close(p->write_fd);
}

/* One read(), of as many records as fit. A loss tells that there was one, not of how many. */
unsigned int pipe_take(struct pipe *p, uint64_t *lost)
{
	static char buf[4096] __attribute__((aligned(8)));
	unsigned int records = 0;
	long bytes = check(read(p->fd, buf, sizeof(buf)), "read a pipe");

	for (long at = 0; at < bytes;) {
		const struct watch_notification *n = (const void *)(buf + at);

		if (n->type != WATCH_TYPE_META) {
			if (n->type == WATCH_TYPE_MOUNT_NOTIFY)
				learnt = ((const struct mount_notification *)n)->mnt_id;
			records++;
		} else if (lost) {
			++*lost;
		}
		at += n->info & WATCH_INFO_LENGTH;
	}
	return records;
}
