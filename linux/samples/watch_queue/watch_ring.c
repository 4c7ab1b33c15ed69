// SPDX-License-Identifier: GPL-2.0
/*
 * Watch keys, mounts, superblocks and block devices through /dev/watch_queue and
 * print each record on a line of its own.
 *
 *	watch_ring [-b DEV]... [-k KEYRING]... [-m DIR]... [-s PATH]... [KEY]...
 *
 *	-b DEV	the errors of the block device, or of all if DEV is "all"
 *	-m DIR	the mounts at the directory and below
 *	-s PATH	the superblock of the file
 *	-k KEYRING
 *		the keyring with this id, what is linked there and in nested keyrings
 *	KEY	the key with this id
 *
 * What is named is watched with the tags from 2 up, in the order of the command
 * line.  The session keyring is watched with the tag 1, unless there is an
 * option.  Ends when none of them is left.
 *
 * See Documentation/userspace-api/watch_queue.rst
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/quota.h>
#include <linux/watch_queue.h>

#define BUF_SIZE	1	/* In pages */
#define SLOT_SIZE	8

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static const struct watch_notification_filter *everything(void)
{
	static const unsigned int types[] = {
		WATCH_TYPE_KEY_NOTIFY,
		WATCH_TYPE_MOUNT_NOTIFY,
		WATCH_TYPE_SB_NOTIFY,
		WATCH_TYPE_BLOCK_NOTIFY,
	};
	static union {
		struct watch_notification_filter filter;
		char space[sizeof(struct watch_notification_filter) +
			   ARRAY_SIZE(types) * sizeof(struct watch_notification_type_filter)];
	} u;
	struct watch_notification_type_filter *rule = u.filter.filters;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++, rule++) {
		rule->type = types[i];
		memset(rule->subtype_filter, 0xff, sizeof(rule->subtype_filter));
	}
	u.filter.nr_filters = ARRAY_SIZE(types);
	return &u.filter;
}

static long keyctl_watch_key(int key, int watch_fd, int watch_id)
{
	return syscall(__NR_keyctl, KEYCTL_WATCH_KEY, key, watch_fd, watch_id);
}

/* The serial number of the keyring behind a tag whose watch extends to its keys. */
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

/* Without a path, all that there is. */
static void watch_file(long call, const char *option, const char *path, unsigned int at_flags,
		       int watch_fd, int watch_id)
{
	if (syscall(call, AT_FDCWD, path, at_flags, watch_fd, watch_id) == 0)
		return;
	if (errno == ENOSYS)
		errx(EXIT_FAILURE, "the kernel was built without %s", option);
	err(EXIT_FAILURE, "%s", path ? path : "all");
}

static void watch_mounts(const char *path, int watch_fd, int watch_id)
{
	watch_file(__NR_mount_notify, "CONFIG_MOUNT_NOTIFICATIONS", path, 0, watch_fd, watch_id);
}

static void watch_superblock(const char *path, int watch_fd, int watch_id)
{
	watch_file(__NR_sb_notify, "CONFIG_SB_NOTIFICATIONS", path, 0, watch_fd, watch_id);
}

static void watch_block(const char *path, int watch_fd, int watch_id)
{
	unsigned int at_flags = 0;

	if (strcmp(path, "all") == 0) {
		path = NULL;
		at_flags = BLOCK_NOTIFY_ALL;
	}
	watch_file(__NR_block_notify, "CONFIG_BLK_NOTIFICATIONS", path, at_flags,
		   watch_fd, watch_id);
}

static unsigned int tag_of(const struct watch_notification *n)
{
	return (n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT;
}

static void print_key(const struct watch_notification *n)
{
	static const char * const changes[] = {
		[NOTIFY_KEY_INSTANTIATED]	= "instantiated",
		[NOTIFY_KEY_UPDATED]		= "updated",
		[NOTIFY_KEY_LINKED]		= "linked",
		[NOTIFY_KEY_UNLINKED]		= "unlinked",
		[NOTIFY_KEY_CLEARED]		= "cleared",
		[NOTIFY_KEY_REVOKED]		= "revoked",
		[NOTIFY_KEY_INVALIDATED]	= "invalidated",
		[NOTIFY_KEY_SETATTR]		= "setattr",
	};
	const struct key_notification *k = (const void *)n;

	printf("KEY     tag=%u key=%u ", tag_of(n), k->key_id);
	if (n->subtype < ARRAY_SIZE(changes))
		printf("%s", changes[n->subtype]);
	else
		printf("change=%u", n->subtype);
	if (n->subtype == NOTIFY_KEY_LINKED || n->subtype == NOTIFY_KEY_UNLINKED)
		printf(" other=%u", k->aux);
	else if (k->aux)
		printf(" aux=%u", k->aux);
	printf("\n");
}

struct name {
	unsigned int value;
	const char *name;
};

/* Print the names of the bits that are set, each after the separator. */
static void print_bits(const struct name *names, size_t nr, const char *separator,
		       unsigned long long bits)
{
	for (size_t i = 0; i < nr; i++) {
		if (bits & names[i].value)
			printf("%s%s", separator, names[i].name);
		bits &= ~(unsigned long long)names[i].value;
	}
	if (bits)
		printf("%s%#llx", separator, bits);
}

/* Print the name of a value that may be newer than this program. */
static void print_name(const char * const *names, size_t nr, unsigned int value)
{
	if (value < nr && names[value])
		printf("%s", names[value]);
	else
		printf("%u", value);
}

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

/* The watch of a keyring extends to keys that come and go while it stays. */
static int print_removal(const struct watch_notification *n, unsigned int len)
{
	const struct watch_notification_removal *r = (const void *)n;
	unsigned int keyring = keyrings[tag_of(n)];

	printf("REMOVAL tag=%u", tag_of(n));
	if (len >= sizeof(*r))
		printf(" id=%llu", (unsigned long long)r->id);
	printf("\n");
	return !keyring || (len >= sizeof(*r) && r->id == keyring);
}

/* Print a record, and return how many watches it says are gone. */
static int print_record(const struct watch_notification *n, unsigned int len)
{
	if (n->type == WATCH_TYPE_KEY_NOTIFY && len >= sizeof(struct key_notification)) {
		print_key(n);
	} else if (n->type == WATCH_TYPE_MOUNT_NOTIFY && len >= sizeof(struct mount_notification)) {
		print_mount(n);
	} else if (n->type == WATCH_TYPE_SB_NOTIFY &&
		   len >= sizeof(struct superblock_notification)) {
		print_superblock(n, len);
	} else if (n->type == WATCH_TYPE_BLOCK_NOTIFY && len >= sizeof(struct block_notification)) {
		print_block(n);
	} else if (n->type != WATCH_TYPE_META) {
		printf("OTHER   tag=%u type=%u subtype=%u length=%u\n",
		       tag_of(n), n->type, n->subtype, len);
	} else if (n->subtype == WATCH_META_REMOVAL_NOTIFICATION) {
		return print_removal(n, len);
	} else if (n->subtype == WATCH_META_LOSS_NOTIFICATION) {
		const struct watch_notification_loss *loss = (const void *)n;

		printf("LOSS    %llu records of types %#x\n",
		       (unsigned long long)loss->nr_lost, loss->types);
	}
	return 0;
}

/*
 * Take all that is in the ring, and return how many watches are gone.
 */
static int consume(struct watch_queue_ring *ring)
{
	unsigned int head, tail = ring->tail, len;
	const struct watch_notification *n;
	int gone = 0;

	/* Pairs with the kernel's release: the records up to head are there. */
	while (head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), tail != head) {
		while (tail != head) {
			n = (const void *)ring + (tail & ring->mask) * SLOT_SIZE;
			len = n->info & WATCH_INFO_LENGTH;
			if (len < sizeof(*n))
				errx(EXIT_FAILURE, "record of length %u", len);
			gone += print_record(n, len);
			tail += (len + SLOT_SIZE - 1) / SLOT_SIZE;
		}

		/* Pairs with the kernel's acquire: their space is free. */
		__atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);

		/*
		 * Look at head only after that.  Pairs with the kernel's
		 * barrier between its store of head and its second look at
		 * tail: one of us sees what the other stored.
		 */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}

	fflush(stdout);
	return gone;
}

int main(int argc, char **argv)
{
	struct pollfd pollfd = { .events = POLLIN };
	struct watch_queue_ring *ring;
	int fd, option, tag = 2, watches;

	fd = open("/dev/watch_queue", O_RDWR);
	if (fd == -1)
		err(EXIT_FAILURE, "/dev/watch_queue");
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_SIZE, BUF_SIZE) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_SIZE");
	if (ioctl(fd, IOC_WATCH_QUEUE_SET_FILTER, everything()) == -1)
		err(EXIT_FAILURE, "IOC_WATCH_QUEUE_SET_FILTER");

	ring = mmap(NULL, BUF_SIZE * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");

	while ((option = getopt(argc, argv, "+b:k:m:s:")) != -1) {
		switch (option) {
		case 'b':
			watch_block(optarg, fd, tag++);
			break;
		case 'k':
			watch_keyring(optarg, fd, tag++);
			break;
		case 'm':
			watch_mounts(optarg, fd, tag++);
			break;
		case 's':
			watch_superblock(optarg, fd, tag++);
			break;
		default:
			fprintf(stderr,
				"Usage: watch_ring [-b DEV]... [-k KEYRING]... [-m DIR]... [-s PATH]... [KEY]...\n");
			return EXIT_FAILURE;
		}
	}
	watches = tag - 2;
	if (!watches) {
		if (keyctl_watch_key(KEY_SPEC_SESSION_KEYRING, fd, 1) == -1)
			err(EXIT_FAILURE, "the session keyring");
		watches = 1;
	}
	for (; optind < argc; optind++, watches++) {
		if (keyctl_watch_key(strtoul(argv[optind], NULL, 0), fd, tag++) == -1)
			err(EXIT_FAILURE, "key %s", argv[optind]);
	}

	pollfd.fd = fd;
	while (watches > 0) {
		if (poll(&pollfd, 1, -1) == -1 && errno != EINTR)
			err(EXIT_FAILURE, "poll");
		if (pollfd.revents & POLLERR)
			errx(EXIT_FAILURE, "the ring is corrupt");
		watches -= consume(ring);
	}
	return EXIT_SUCCESS;
}
