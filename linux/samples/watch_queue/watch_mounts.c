// SPDX-License-Identifier: GPL-2.0
/*
 * Watch the mounts at directories and below, and print each record on a line of
 * its own.
 *
 *	watch_mounts DIR...
 *
 * The watches have the tags from 1 up, in the order of the command line.  Ends when
 * none of them is left.
 *
 * See Documentation/userspace-api/watch_queue/mounts.rst
 */

#define _GNU_SOURCE
#include "watch_queue_sample.h"

#include <linux/mount.h>

static void print_attr(const char *what, __u64 attr)
{
	static const struct name names[] = {
		{ MOUNT_ATTR_NOSUID,		"nosuid" },
		{ MOUNT_ATTR_NODEV,		"nodev" },
		{ MOUNT_ATTR_NOEXEC,		"noexec" },
		{ MOUNT_ATTR_NODIRATIME,	"nodiratime" },
		{ MOUNT_ATTR_IDMAP,		"idmapped" },
		{ MOUNT_ATTR_NOSYMFOLLOW,	"nosymfollow" },
	};
	const char *atime;

	switch (attr & MOUNT_ATTR__ATIME) {
	case MOUNT_ATTR_RELATIME:
		atime = "relatime";
		break;
	case MOUNT_ATTR_NOATIME:
		atime = "noatime";
		break;
	default:
		atime = "strictatime";
		break;
	}
	printf("%s%s,%s", what, attr & MOUNT_ATTR_RDONLY ? "ro" : "rw", atime);
	print_bits(names, ARRAY_SIZE(names), ",",
		   attr & ~(__u64)(MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME));
}

/* A mount that is both shared and a slave passes on what it gets. */
static void print_propagation(const char *what, __u32 propagation)
{
	static const struct name names[] = {
		{ MS_SHARED,		"shared" },
		{ MS_SLAVE,		"slave" },
		{ MS_PRIVATE,		"private" },
		{ MS_UNBINDABLE,	"unbindable" },
	};

	print_bits(names, ARRAY_SIZE(names), what, propagation);
}

static void print_mount(const struct watch_notification *n)
{
	static const char * const changes[] = {
		[NOTIFY_MOUNT_NEW_MOUNT]	= "new_mount",
		[NOTIFY_MOUNT_UNMOUNT]		= "unmount",
		[NOTIFY_MOUNT_EXPIRY]		= "expiry",
		[NOTIFY_MOUNT_READONLY]		= "readonly",
		[NOTIFY_MOUNT_SETATTR]		= "setattr",
		[NOTIFY_MOUNT_MOVE_FROM]	= "move_from",
		[NOTIFY_MOUNT_MOVE_TO]		= "move_to",
		[NOTIFY_MOUNT_PROPAGATION]	= "propagation",
		[NOTIFY_MOUNT_RESCAN]		= "rescan",
	};
	static const struct name flags[] = {
		{ NOTIFY_MOUNT_IN_SUBTREE,	"in_subtree" },
		{ NOTIFY_MOUNT_RECURSIVE,	"recursive" },
		{ NOTIFY_MOUNT_IS_NOW_RO,	"is_now_ro" },
		{ NOTIFY_MOUNT_IS_SUBMOUNT,	"is_submount" },
		{ NOTIFY_MOUNT_PROPAGATED,	"propagated" },
	};
	const struct mount_notification *m = (const void *)n;

	printf("MOUNT   tag=%u mnt=%llu ", tag_of(n), (unsigned long long)m->mnt_id);
	print_name(changes, ARRAY_SIZE(changes), n->subtype);
	printf(" parent=%llu", (unsigned long long)m->mnt_parent_id);
	if (m->mnt_parent_id_old)
		printf(" old_parent=%llu", (unsigned long long)m->mnt_parent_id_old);

	print_attr(" attr=", m->mnt_attr);
	if (m->mnt_attr_old != m->mnt_attr)
		print_attr(" old_attr=", m->mnt_attr_old);

	print_propagation(" ", m->mnt_propagation);
	if (m->mnt_propagation_old != m->mnt_propagation)
		print_propagation(" was_", m->mnt_propagation_old);
	if (m->mnt_peer_group)
		printf(" peer_group=%llu", (unsigned long long)m->mnt_peer_group);

	print_bits(flags, ARRAY_SIZE(flags), " ", n->info & WATCH_INFO_TYPE_INFO);
	printf("\n");
}

static int print(const struct watch_notification *n, unsigned int len)
{
	if (n->type != WATCH_TYPE_MOUNT_NOTIFY || len < sizeof(struct mount_notification))
		return print_other(n, len);
	print_mount(n);
	return 0;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 2) {
		fprintf(stderr, "Usage: watch_mounts DIR...\n");
		return EXIT_FAILURE;
	}

	fd = open_queue(WATCH_TYPE_MOUNT_NOTIFY);
	for (int tag = 1; tag < argc; tag++)
		watch_path(__NR_mount_notify, "CONFIG_MOUNT_NOTIFICATIONS", argv[tag], 0, fd, tag);
	read_queue(fd, argc - 1, print);
	return EXIT_SUCCESS;
}
