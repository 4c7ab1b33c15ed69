/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mount namespace of its own for each test of block device watches, the
 * devices that it uses, and what records are expected of them.
 */
#ifndef SELFTESTS_WATCH_QUEUE_BLOCK_FIXTURE_H
#define SELFTESTS_WATCH_QUEUE_BLOCK_FIXTURE_H

#include <errno.h>
#include <unistd.h>

#include "blocks.h"

#include "disk.h"
#include "expect.h"
#include "people.h"

#define TAG		0x33
#define NEW_TAG		0x44

#define OP_READ		BLOCK_NOTIFY_OP_READ
#define OP_WRITE	BLOCK_NOTIFY_OP_WRITE
#define OP_FLUSH	BLOCK_NOTIFY_OP_FLUSH
#define OP_DISCARD	BLOCK_NOTIFY_OP_DISCARD
#define OP_ZERO		BLOCK_NOTIFY_OP_WRITE_ZEROES
#define OP_ZONE		BLOCK_NOTIFY_OP_ZONE

/* With one of these, the range is marked as a hint. */
#define INEXACT		0x100

static inline int watch_dev(const char *path, int fd, int tag)
{
	return block_notify(AT_FDCWD, path, 0, fd, tag);
}

static inline int watch_all(int fd, int tag)
{
	return block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, fd, tag);
}

#define DM_SIZE		32

/*
 * Every test is in a mount namespace of its own, in a tmpfs where device nodes
 * work.
 */
FIXTURE(block)
{
	char dir[DIR_SIZE];
	struct queue queue;
	struct disk disks[2];
	struct scsi scsi;
	struct trace trace;
	int loop;
	char dm[2][DM_SIZE];	/* Names, those above others first */
	bool mirror;		/* There is one, called "mirror" */
};

QUEUE_VARIANTS(block, 64, 1);

FIXTURE_SETUP(block)
{
	self->queue.fd = -1;
	self->queue.write_fd = -1;
	self->loop = -1;
	if (block_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "no CONFIG_BLK_NOTIFICATIONS");
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	ASSERT_EQ(0, enter_dir(self->dir));
}

FIXTURE_TEARDOWN(block)
{
	unsigned int i;

	queue_close(&self->queue);
	trace_stop(&self->trace);
	for (i = 0; i < ARRAY_SIZE(self->dm); i++) {
		if (self->dm[i][0])
			dm_remove(self->dm[i]);
	}
	if (self->mirror)
		mirror_remove("mirror");
	if (self->loop >= 0)
		loop_remove(self->loop);
	if (self->scsi.live)
		scsi_bad_medium(0, 0);
	scsi_remove(&self->scsi);
	for (i = 0; i < ARRAY_SIZE(self->disks); i++)
		disk_put(&self->disks[i]);
	leave_dir(self->dir);
}

static inline bool is_absent(int ret)
{
	return ret == -ENOENT || ret == -ENODEV;
}

/*
 * Bring in a null_blk disk as @node.  @options are "NAME=VALUE ...", as configfs
 * has them; there is 1 MiB in sectors of 512 bytes unless they say otherwise.
 */
static inline int add_disk(struct disk *disk, const char *node, const char *options)
{
	char copy[128], *name, *value, *next;
	int ret;

	ret = disk_new(disk);
	if (!ret)
		ret = disk_set(disk, "size", "1");
	if (!ret)
		ret = disk_set(disk, "blocksize", "512");
	snprintf(copy, sizeof(copy), "%s", options);
	for (name = strtok_r(copy, " ", &next); name && !ret;
	     name = strtok_r(NULL, " ", &next)) {
		value = strchr(name, '=');
		*value++ = '\0';
		ret = disk_set(disk, name, value);
	}
	unlink(node);
	return ret ?: disk_insert(disk, node);
}

/*
 * The same, and the number of the device; or skip the test: 0, and then the
 * caller is to return.
 */
static inline unsigned long long disk_or_skip(struct __test_metadata *_metadata,
					      struct disk *disk,
					      const char *node,
					      const char *options)
{
	unsigned long long dev;
	int ret;

	ret = add_disk(disk, node, options);
	if (is_absent(ret))
		SKIP(return 0, "no null_blk");
	ASSERT_EQ(0, ret);
	dev = device_number(node);
	ASSERT_NE(0, dev);
	return dev;
}

/* A SCSI disk likewise, as "scsi". */
static inline unsigned long long scsi_or_skip(struct __test_metadata *_metadata,
					      struct scsi *scsi)
{
	unsigned long long dev;
	int ret;

	ret = scsi_add(scsi, "scsi");
	if (is_absent(ret))
		SKIP(return 0, "no scsi_debug");
	ASSERT_EQ(0, ret);
	dev = device_number("scsi");
	ASSERT_NE(0, dev);
	return dev;
}

/* Have reads of a disk fail with the status @status, or skip the test: false. */
static inline bool fail_or_skip(struct __test_metadata *_metadata,
				const struct disk *disk, const char *status)
{
	int ret = block_fail(disk->name, "READ", status);

	if (is_absent(ret))
		SKIP(return false, "no error injection in the block layer");
	ASSERT_EQ(0, ret);
	return true;
}

/* Where a node is "disk", that of its partition 1 is "disk1". */
static inline int make_part_node(const struct disk *disk, const char *node, int nr)
{
	char name[48], part[16];

	snprintf(name, sizeof(name), "%sp%d", disk->name, nr);
	snprintf(part, sizeof(part), "%s%d", node, nr);
	unlink(part);
	return make_node(name, part);
}

static inline int add_part(const struct disk *disk, const char *node, int nr,
			   uint64_t sector, uint64_t sectors)
{
	int ret = add_partition(node, nr, sector, sectors);

	return ret ?: make_part_node(disk, node, nr);
}

static inline unsigned long long record_dev(const union record *rec)
{
	return (unsigned long long)rec->block.dev_major << 20 |
		rec->block.dev_minor;
}

static inline void check_error(struct __test_metadata *_metadata,
			       const union record *rec, unsigned int tag,
			       unsigned long long dev, unsigned int subtype,
			       unsigned int error, unsigned int op,
			       uint64_t sector, unsigned int nr)
{
	ASSERT_EQ(WATCH_TYPE_BLOCK_NOTIFY, rec_type(rec));
	ASSERT_EQ(sizeof(rec->block), rec_len(rec));
	ASSERT_EQ(tag, rec_tag(rec));
	ASSERT_EQ(0, rec->watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(dev, record_dev(rec));
	ASSERT_EQ(subtype, rec_subtype(rec));
	ASSERT_EQ(error, rec->block.error);
	ASSERT_EQ(op & ~INEXACT, rec->block.op);
	ASSERT_EQ(op & INEXACT ? BLOCK_NOTIFY_RANGE_INEXACT : 0, rec->block.flags);
	ASSERT_EQ(sector, rec->block.sector);
	ASSERT_EQ(nr, rec->block.nr_sectors);
}

static inline void expect_error(struct __test_metadata *_metadata,
				struct queue *q, unsigned int tag,
				unsigned long long dev, unsigned int subtype,
				unsigned int error, unsigned int op,
				uint64_t sector, unsigned int nr)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	check_error(_metadata, &rec, tag, dev, subtype, error, op, sector, nr);
}

/* What null_blk says of a bad block, and most others of most things. */
static inline void expect_io(struct __test_metadata *_metadata, struct queue *q,
			     unsigned int tag, unsigned long long dev,
			     unsigned int op, uint64_t sector, unsigned int nr)
{
	expect_error(_metadata, q, tag, dev, NOTIFY_BLOCK_ERROR_IO, EIO, op, sector,
		     nr);
}

/*
 * Add a device of the device mapper.  A "%s" in @table is the major and minor
 * number of @below.
 */
static inline int add_mapped(char name[DM_SIZE], const char *node,
			     const char *table, const char *below)
{
	unsigned long long dev = device_number(below);
	char number[24], line[128];
	int ret;

	snprintf(name, DM_SIZE, "watch_queue%d-%s", getpid(), node);
	snprintf(number, sizeof(number), "%llu:%llu", dev >> 20, dev & 0xfffff);
	snprintf(line, sizeof(line), table, number);
	ret = dm_create(name, line, node);
	if (ret)
		name[0] = '\0';
	return ret;
}

/* The same, and the number of the device, or 0 if the test is skipped. */
static inline unsigned long long mapped_or_skip(struct __test_metadata *_metadata,
						char name[DM_SIZE],
						const char *node,
						const char *table,
						const char *below)
{
	unsigned long long dev;
	int ret;

	ret = add_mapped(name, node, table, below);
	if (is_absent(ret))
		SKIP(return 0, "no device mapper");
	ASSERT_EQ(0, ret);
	dev = device_number(node);
	ASSERT_NE(0, dev);
	return dev;
}

struct notify_args {
	const char *path;
	unsigned int flags;
	int fd, tag;
};

static inline int notify_fn(void *arg)
{
	const struct notify_args *a = arg;

	return block_notify(AT_FDCWD, a->path, a->flags, a->fd, a->tag);
}

static inline int watch_as(const struct someone *who, const char *path,
			   unsigned int flags, int fd, int tag)
{
	struct notify_args args = { path, flags, fd, tag };

	return run_as(who, notify_fn, &args);
}

#endif /* SELFTESTS_WATCH_QUEUE_BLOCK_FIXTURE_H */
