// SPDX-License-Identifier: GPL-2.0
/*
 * Watch keys through /dev/watch_queue and print each record on a line of its own.
 *
 *	watch_ring [KEY]...
 *
 * The session keyring is watched with the tag 1, and the keys with these serial
 * numbers with the tags from 2 up, in the order of the command line.  Ends when none
 * of them is left.
 *
 * See Documentation/userspace-api/watch_queue/device.rst
 */

#define _GNU_SOURCE
#include "watch_queue_sample.h"

static void watch_key(const char *name, int key, int watch_fd, int watch_id)
{
	if (syscall(__NR_keyctl, KEYCTL_WATCH_KEY, key, watch_fd, watch_id) == -1)
		err(EXIT_FAILURE, "key %s", name);
}

static int print(const struct watch_notification *n, unsigned int len)
{
	if (n->type != WATCH_TYPE_KEY_NOTIFY || len < sizeof(struct key_notification))
		return print_other(n, len);
	print_key(n);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = open_queue(WATCH_TYPE_KEY_NOTIFY);

	if (!ring)
		errx(EXIT_FAILURE, "there is no /dev/watch_queue");

	watch_key("@s", KEY_SPEC_SESSION_KEYRING, fd, 1);
	for (int i = 1; i < argc; i++)
		watch_key(argv[i], strtoul(argv[i], NULL, 0), fd, i + 1);
	read_queue(fd, argc, print);
	return EXIT_SUCCESS;
}
