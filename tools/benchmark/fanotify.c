// SPDX-License-Identifier: GPL-2.0
/* fanotify: a mark on the mount namespace tells the id of a mount that was attached or detached. */
#include <linux/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

int fanotify_open(void)
{
	int ns = check(sys_open("/proc/self/ns/mnt", O_RDONLY), "/proc/self/ns/mnt");
	int fd = check(syscall(__NR_fanotify_init, FAN_REPORT_MNT | FAN_NONBLOCK, O_RDONLY),
		       "fanotify_init");

	check(syscall(__NR_fanotify_mark, fd, FAN_MARK_ADD | FAN_MARK_MNTNS,
		      FAN_MNT_ATTACH | FAN_MNT_DETACH, ns, NULL), "fanotify_mark");
	close(ns);
	return fd;
}

/* One read(), of as many events as fit. */
unsigned int fanotify_take(int fd, uint64_t *lost)
{
	static char buf[4096] __attribute__((aligned(8)));
	unsigned int events = 0;
	long bytes = read(fd, buf, sizeof(buf));

	for (long at = 0; at < bytes;) {
		const struct fanotify_event_metadata *event = (const void *)(buf + at);
		const struct fanotify_event_info_mnt *info = (const void *)(event + 1);

		if (event->mask & FAN_Q_OVERFLOW) {
			++*lost;
		} else {
			learnt = info->mnt_id;
			events++;
		}
		at += event->event_len;
	}
	return events;
}
