// SPDX-License-Identifier: GPL-2.0
/* /proc/self/mountinfo: poll() tells that something changed, and all of it is read again. */
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"

int mountinfo_open(void)
{
	return check(sys_open("/proc/self/mountinfo", O_RDONLY), "mountinfo");
}

int mountinfo_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	return poll(&p, 1, -1);
}

/* Returns how many lines there are. Who has to know what changed compares them, which is not done here. */
unsigned int mountinfo_take(int fd)
{
	static char buf[1 << 16];
	unsigned int lines = 0;
	long bytes;

	lseek(fd, 0, SEEK_SET);
	while ((bytes = check(read(fd, buf, sizeof(buf)), "mountinfo")) > 0) {
		for (const char *p = buf; (p = memchr(p, '\n', buf + bytes - p)); p++)
			lines++;
	}
	return lines;
}
