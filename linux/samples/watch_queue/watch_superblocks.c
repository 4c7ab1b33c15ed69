// SPDX-License-Identifier: GPL-2.0
/*
 * Watch the superblocks of files, and print each record on a line of its own.
 *
 *	watch_superblocks PATH...
 *
 * The watches have the tags from 1 up, in the order of the command line.  Ends when
 * none of them is left.
 *
 * See Documentation/userspace-api/watch_queue/superblocks.rst
 */

#define _GNU_SOURCE
#include "watch_queue_sample.h"

#include <linux/mount.h>
#include <linux/quota.h>

static void print_sb_flags(const char *what, __u32 sb_flags)
{
	static const struct name names[] = {
		{ MS_SYNCHRONOUS,	"sync" },
		{ MS_DIRSYNC,		"dirsync" },
		{ MS_LAZYTIME,		"lazytime" },
	};

	printf("%s%s", what, sb_flags & MS_RDONLY ? "ro" : "rw");
	print_bits(names, ARRAY_SIZE(names), ",", sb_flags & ~MS_RDONLY);
}

static void print_error(const struct superblock_error_notification *e)
{
	static const char * const types[] = {
		[SUPERBLOCK_ERROR_BUFFERED_READ]	= "buffered_read",
		[SUPERBLOCK_ERROR_BUFFERED_WRITE]	= "buffered_write",
		[SUPERBLOCK_ERROR_DIRECT_READ]		= "direct_read",
		[SUPERBLOCK_ERROR_DIRECT_WRITE]		= "direct_write",
		[SUPERBLOCK_ERROR_DATA_LOST]		= "data_lost",
		[SUPERBLOCK_ERROR_METADATA]		= "metadata",
	};

	printf(" errno=%u (%s) type=", e->error, strerror(e->error));
	print_name(types, ARRAY_SIZE(types), e->type);
	if (e->ino)
		printf(" ino=%llu generation=%u", (unsigned long long)e->ino, e->generation);
	if (e->pos || e->len)
		printf(" pos=%llu len=%llu", (unsigned long long)e->pos,
		       (unsigned long long)e->len);
}

static void print_quota(const struct superblock_quota_notification *q)
{
	static const char * const types[] = {
		[USRQUOTA]	= "user",
		[GRPQUOTA]	= "group",
		[PRJQUOTA]	= "project",
	};
	static const char * const warnings[] = {
		[QUOTA_NL_IHARDWARN]		= "inode_hard_limit_reached",
		[QUOTA_NL_ISOFTLONGWARN]	= "inode_grace_time_expired",
		[QUOTA_NL_ISOFTWARN]		= "inode_soft_limit_exceeded",
		[QUOTA_NL_BHARDWARN]		= "block_hard_limit_reached",
		[QUOTA_NL_BSOFTLONGWARN]	= "block_grace_time_expired",
		[QUOTA_NL_BSOFTWARN]		= "block_soft_limit_exceeded",
		[QUOTA_NL_IHARDBELOW]		= "below_inode_hard_limit",
		[QUOTA_NL_ISOFTBELOW]		= "below_inode_soft_limit",
		[QUOTA_NL_BHARDBELOW]		= "below_block_hard_limit",
		[QUOTA_NL_BSOFTBELOW]		= "below_block_soft_limit",
	};

	printf(" ");
	print_name(types, ARRAY_SIZE(types), q->quota_type);
	printf("=%u warning=", q->id);
	print_name(warnings, ARRAY_SIZE(warnings), q->warning);
}

static void print_superblock(const struct watch_notification *n, unsigned int len)
{
	static const char * const events[] = {
		[NOTIFY_SUPERBLOCK_READONLY]		= "readonly",
		[NOTIFY_SUPERBLOCK_ERROR]		= "error",
		[NOTIFY_SUPERBLOCK_EDQUOT]		= "edquot",
		[NOTIFY_SUPERBLOCK_NETWORK]		= "network",
		[NOTIFY_SUPERBLOCK_FREEZE]		= "freeze",
		[NOTIFY_SUPERBLOCK_THAW]		= "thaw",
		[NOTIFY_SUPERBLOCK_SHUTDOWN]		= "shutdown",
		[NOTIFY_SUPERBLOCK_RECONFIGURED]	= "reconfigured",
	};
	static const struct name flags[] = {
		{ NOTIFY_SUPERBLOCK_IS_NOW_RO,	"is_now_ro" },
	};
	const struct superblock_notification *s = (const void *)n;
	const struct superblock_flags_notification *f = (const void *)n;

	printf("SB      tag=%u sb=%llu ", tag_of(n), (unsigned long long)s->sb_id);
	print_name(events, ARRAY_SIZE(events), n->subtype);

	switch (n->subtype) {
	case NOTIFY_SUPERBLOCK_READONLY:
	case NOTIFY_SUPERBLOCK_RECONFIGURED:
		if (len < sizeof(*f))
			break;
		print_sb_flags(" flags=", f->sb_flags);
		print_sb_flags(" old_flags=", f->sb_flags_old);
		break;
	case NOTIFY_SUPERBLOCK_ERROR:
		if (len >= sizeof(struct superblock_error_notification))
			print_error((const void *)n);
		break;
	case NOTIFY_SUPERBLOCK_EDQUOT:
		if (len >= sizeof(struct superblock_quota_notification))
			print_quota((const void *)n);
		break;
	}
	print_bits(flags, ARRAY_SIZE(flags), " ", n->info & WATCH_INFO_TYPE_INFO);
	printf("\n");
}

static int print(const struct watch_notification *n, unsigned int len)
{
	if (n->type != WATCH_TYPE_SB_NOTIFY || len < sizeof(struct superblock_notification))
		return print_other(n, len);
	print_superblock(n, len);
	return 0;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 2) {
		fprintf(stderr, "Usage: watch_superblocks PATH...\n");
		return EXIT_FAILURE;
	}

	fd = open_queue(WATCH_TYPE_SB_NOTIFY);
	for (int tag = 1; tag < argc; tag++)
		watch_path(__NR_sb_notify, "CONFIG_SB_NOTIFICATIONS", argv[tag], 0, fd, tag);
	read_queue(fd, argc - 1, print);
	return EXIT_SUCCESS;
}
