// SPDX-License-Identifier: GPL-2.0
/* The keys that the benchmarks change, and watching them. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

int32_t make_key(unsigned int number)
{
	char name[32];

	snprintf(name, sizeof(name), "bench:%u", number);
	return check(syscall(__NR_add_key, "user", name, "a", 1, KEY_SPEC_SESSION_KEYRING), "add_key");
}

void update_key(int32_t key)
{
	check(sys_keyctl(KEYCTL_UPDATE, key, (long)"b", 1, 0), "update a key");
}

void watch_key(int32_t key, int fd, int tag)
{
	check(sys_keyctl(KEYCTL_WATCH_KEY, key, fd, tag, 0), "watch a key");
}

void filter_queue(int fd, unsigned int type, unsigned int subtypes, int tag)
{
	union {
		struct watch_notification_filter filter;
		char space[sizeof(struct watch_notification_filter) +
			   sizeof(struct watch_notification_type_filter)];
	} u;

	memset(&u, 0, sizeof(u));
	u.filter.nr_filters = 1;
	u.filter.filters[0].type = type;
	u.filter.filters[0].subtype_filter[0] = subtypes;
	if (tag >= 0) {
		u.filter.filters[0].info_mask = WATCH_INFO_ID;
		u.filter.filters[0].info_filter = (uint32_t)tag << WATCH_INFO_ID__SHIFT;
	}
	check(ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, &u), "SET_FILTER");
}
