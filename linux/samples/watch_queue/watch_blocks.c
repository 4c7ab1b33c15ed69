// SPDX-License-Identifier: GPL-2.0
/*
 * Watch block devices for errors, and print each record on a line of its own.
 *
 *	watch_blocks DEV...
 *
 * DEV is the node of a disk or a partition, or "all".  The watches have the tags
 * from 1 up, in the order of the command line.  Ends when none of them is left.
 *
 * See Documentation/userspace-api/watch_queue/block.rst
 */

#define _GNU_SOURCE
#include "watch_queue_sample.h"

static void watch_block(const char *path, int watch_fd, int watch_id)
{
	unsigned int at_flags = 0;

	if (strcmp(path, "all") == 0) {
		path = NULL;
		at_flags = BLOCK_NOTIFY_ALL;
	}
	watch_path(__NR_block_notify, "CONFIG_BLK_NOTIFICATIONS", path, at_flags,
		   watch_fd, watch_id);
}

static void print_block(const struct watch_notification *n)
{
	static const char * const errors[] = {
		[NOTIFY_BLOCK_ERROR_TIMEOUT]			= "timeout",
		[NOTIFY_BLOCK_ERROR_NO_SPACE]			= "no_space",
		[NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT]	= "recoverable_transport",
		[NOTIFY_BLOCK_ERROR_CRITICAL_TARGET]		= "critical_target",
		[NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS]		= "critical_nexus",
		[NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM]		= "critical_medium",
		[NOTIFY_BLOCK_ERROR_PROTECTION]			= "protection",
		[NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE]		= "kernel_resource",
		[NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE]		= "device_resource",
		[NOTIFY_BLOCK_ERROR_IO]				= "io",
		[NOTIFY_BLOCK_ERROR_NOT_SUPPORTED]		= "not_supported",
		[NOTIFY_BLOCK_ERROR_NONBLOCKING_RETRY]		= "nonblocking_retry",
		[NOTIFY_BLOCK_ERROR_OFFLINE]			= "offline",
		[NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE]		= "zone_open_resource",
		[NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE]	= "zone_active_resource",
		[NOTIFY_BLOCK_ERROR_DURATION_LIMIT]		= "duration_limit",
		[NOTIFY_BLOCK_ERROR_INVALID]			= "invalid",
	};
	static const char * const ops[] = {
		[BLOCK_NOTIFY_OP_READ]		= "read",
		[BLOCK_NOTIFY_OP_WRITE]		= "write",
		[BLOCK_NOTIFY_OP_FLUSH]		= "flush",
		[BLOCK_NOTIFY_OP_DISCARD]	= "discard",
		[BLOCK_NOTIFY_OP_SECURE_ERASE]	= "secure_erase",
		[BLOCK_NOTIFY_OP_WRITE_ZEROES]	= "write_zeroes",
		[BLOCK_NOTIFY_OP_ZONE]		= "zone",
		[BLOCK_NOTIFY_OP_OTHER]		= "other",
	};
	const struct block_notification *b = (const void *)n;

	printf("BLOCK   tag=%u dev=%u:%u ", tag_of(n), b->dev_major, b->dev_minor);
	print_name(errors, ARRAY_SIZE(errors), n->subtype);
	printf(" errno=%u (%s) op=", b->error, strerror(b->error));
	print_name(ops, ARRAY_SIZE(ops), b->op);
	printf(" sector=%llu nr_sectors=%u%s\n", (unsigned long long)b->sector, b->nr_sectors,
	       b->flags & BLOCK_NOTIFY_RANGE_INEXACT ? " inexact" : "");
}

static int print(const struct watch_notification *n, unsigned int len)
{
	if (n->type != WATCH_TYPE_BLOCK_NOTIFY || len < sizeof(struct block_notification))
		return print_other(n, len);
	print_block(n);
	return 0;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 2) {
		fprintf(stderr, "Usage: watch_blocks DEV...\n");
		return EXIT_FAILURE;
	}

	fd = open_queue(WATCH_TYPE_BLOCK_NOTIFY);
	for (int tag = 1; tag < argc; tag++)
		watch_block(argv[tag], fd, tag);
	read_queue(fd, argc - 1, print);
	return EXIT_SUCCESS;
}
