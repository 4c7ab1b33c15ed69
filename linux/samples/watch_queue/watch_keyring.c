// SPDX-License-Identifier: GPL-2.0
/*
 * Watch keyrings, what is linked there and in nested keyrings, and print each record
 * on a line of its own.
 *
 *	watch_keyring KEYRING...
 *
 * KEYRING is the serial number of a keyring, or a special one such as -3 for the
 * session keyring.  The watches have the tags from 1 up, in the order of the command
 * line.  Ends when none of the keyrings is watched any more.
 *
 * See Documentation/userspace-api/watch_queue/keyrings.rst
 */

#define _GNU_SOURCE
#include "watch_queue_sample.h"

/* The serial numbers of the keyrings, by the tags of their watches. */
static unsigned int keyrings[256];

static void watch_keyring(const char *name, int watch_fd, int watch_id)
{
	long id = syscall(__NR_keyctl, KEYCTL_GET_KEYRING_ID, strtol(name, NULL, 0), 0);

	if (id == -1 ||
	    syscall(__NR_keyctl, KEYCTL_WATCH_KEYRING, id, watch_fd, watch_id,
		    KEYCTL_WATCH_NESTED) == -1)
		err(EXIT_FAILURE, "keyring %s", name);
	keyrings[watch_id] = id;
}

/* Keys that are watched through a keyring come and go while its watch stays. */
static int print(const struct watch_notification *n, unsigned int len)
{
	const struct watch_notification_removal *r = (const void *)n;

	if (n->type == WATCH_TYPE_KEY_NOTIFY && len >= sizeof(struct key_notification)) {
		print_key(n);
		return 0;
	}
	return print_other(n, len) && len >= sizeof(*r) && r->id == keyrings[tag_of(n)];
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 2) {
		fprintf(stderr, "Usage: watch_keyring KEYRING...\n");
		return EXIT_FAILURE;
	}

	fd = open_queue(WATCH_TYPE_KEY_NOTIFY);
	for (int tag = 1; tag < argc; tag++)
		watch_keyring(argv[tag], fd, tag);
	read_queue(fd, argc - 1, print);
	return EXIT_SUCCESS;
}
