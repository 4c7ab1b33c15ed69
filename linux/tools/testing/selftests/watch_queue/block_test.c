// SPDX-License-Identifier: GPL-2.0
/* Errors of block devices and watches on them, the same over both kinds of queue. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/fuse.h>
#include <linux/mount.h>

#include "blocks.h"
#include "disk.h"
#include "expect.h"
#include "people.h"

#define TAG		0x33
#define NEW_TAG		0x44

/* A major number for local use, which no driver has. */
#define NO_MAJOR	120

#define OP_READ		BLOCK_NOTIFY_OP_READ
#define OP_WRITE	BLOCK_NOTIFY_OP_WRITE
#define OP_FLUSH	BLOCK_NOTIFY_OP_FLUSH
#define OP_DISCARD	BLOCK_NOTIFY_OP_DISCARD
#define OP_ZERO		BLOCK_NOTIFY_OP_WRITE_ZEROES
#define OP_ZONE		BLOCK_NOTIFY_OP_ZONE

/* With one of these, the range is marked as a hint. */
#define INEXACT		0x100

static int watch_dev(const char *path, int fd, int tag)
{
	return block_notify(AT_FDCWD, path, 0, fd, tag);
}

static int watch_all(int fd, int tag)
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

static bool is_absent(int ret)
{
	return ret == -ENOENT || ret == -ENODEV;
}

/*
 * Bring in a null_blk disk as @node.  @options are "NAME=VALUE ...", as configfs
 * has them; there is 1 MiB in sectors of 512 bytes unless they say otherwise.
 */
static int add_disk(struct disk *disk, const char *node, const char *options)
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
static unsigned long long disk_or_skip(struct __test_metadata *_metadata,
				       struct disk *disk, const char *node,
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
static unsigned long long scsi_or_skip(struct __test_metadata *_metadata,
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
static bool fail_or_skip(struct __test_metadata *_metadata,
			 const struct disk *disk, const char *status)
{
	int ret = block_fail(disk->name, "READ", status);

	if (is_absent(ret))
		SKIP(return false, "no error injection in the block layer");
	ASSERT_EQ(0, ret);
	return true;
}

/* Where a node is "disk", that of its partition 1 is "disk1". */
static int make_part_node(const struct disk *disk, const char *node, int nr)
{
	char name[48], part[16];

	snprintf(name, sizeof(name), "%sp%d", disk->name, nr);
	snprintf(part, sizeof(part), "%s%d", node, nr);
	unlink(part);
	return make_node(name, part);
}

static int add_part(const struct disk *disk, const char *node, int nr,
		    uint64_t sector, uint64_t sectors)
{
	int ret = add_partition(node, nr, sector, sectors);

	return ret ?: make_part_node(disk, node, nr);
}

static unsigned long long record_dev(const union record *rec)
{
	return (unsigned long long)rec->block.dev_major << 20 |
		rec->block.dev_minor;
}

static void check_error(struct __test_metadata *_metadata,
			const union record *rec, unsigned int tag,
			unsigned long long dev, unsigned int subtype,
			unsigned int error, unsigned int op, uint64_t sector,
			unsigned int nr)
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

static void expect_error(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int tag, unsigned long long dev,
			 unsigned int subtype, unsigned int error,
			 unsigned int op, uint64_t sector, unsigned int nr)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	check_error(_metadata, &rec, tag, dev, subtype, error, op, sector, nr);
}

/* What null_blk says of a bad block, and most others of most things. */
static void expect_io(struct __test_metadata *_metadata, struct queue *q,
		      unsigned int tag, unsigned long long dev, unsigned int op,
		      uint64_t sector, unsigned int nr)
{
	expect_error(_metadata, q, tag, dev, NOTIFY_BLOCK_ERROR_IO, EIO, op, sector,
		     nr);
}

/* The next error that the tracepoint tells of this disk. */
static int next_traced(struct trace *trace, unsigned long long dev,
		       struct traced *traced)
{
	int ret;

	do {
		ret = trace_next(trace, traced);
	} while (ret == 1 && traced->dev != dev);
	return ret;
}

/* Every operation on a disk with two bad sectors, 100 and 101. */
static const struct op {
	const char *name;
	enum io io;
	unsigned int sector, nr;
	bool fails;
	unsigned int op;
} ops[] = {
	{ "read", IO_READ, 96, 8, true, OP_READ },
	{ "read one", IO_READ, 100, 1, true, OP_READ },
	{ "read the other", IO_READ, 101, 1, true, OP_READ },
	{ "read before", IO_READ, 92, 8, false, 0 },
	{ "read after", IO_READ, 102, 8, false, 0 },
	{ "read much", IO_READ, 0, 1000, true, OP_READ },
	{ "write", IO_WRITE, 96, 8, true, OP_WRITE },
	{ "write one", IO_WRITE, 101, 1, true, OP_WRITE },
	{ "write after", IO_WRITE, 102, 1, false, 0 },
	{ "write sync", IO_WRITE_SYNC, 96, 8, true, OP_WRITE },
	{ "write back", IO_WRITE_BACK, 96, 8, true, OP_WRITE },
	{ "write back before", IO_WRITE_BACK, 88, 8, false, 0 },
	{ "flush", IO_FLUSH, 0, 0, false, 0 },
	{ "discard", IO_DISCARD, 50, 100, true, OP_DISCARD },
	{ "discard before", IO_DISCARD, 50, 50, false, 0 },
	/* null_blk cannot, so the block layer writes. */
	{ "zero", IO_ZERO, 96, 8, true, OP_WRITE },
};

TEST_F(block, operations)
{
	struct queue *q = &self->queue;
	unsigned long long dev;
	const struct op *op;
	unsigned int turn;
	int ret;

	dev = disk_or_skip(_metadata, &self->disks[0], "disk",
			   "memory_backed=1 discard=1 max_sectors=2048");
	if (!dev)
		return;
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));
	ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));

	/* With and without statistics, by which requests know their partition. */
	for (turn = 0; turn < 2; turn++) {
		ASSERT_EQ(0, set_block_attr(self->disks[0].name, "queue/iostats",
					    turn ? "0" : "1"));
		for (op = ops; op < ops + ARRAY_SIZE(ops); op++) {
			TH_LOG("%s", op->name);
			ret = do_io("disk", op->io, op->sector, op->nr);
			ASSERT_EQ(op->fails ? -EIO : 0, ret);
			if (op->fails)
				expect_io(_metadata, q, TAG, dev, op->op,
					  op->sector, op->nr);
			expect_nothing(_metadata, q);
		}
	}

	/* No longer bad, no longer an error. */
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "-100-101"));
	ASSERT_EQ(0, do_io("disk", IO_READ, 96, 8));
	expect_nothing(_metadata, q);
}

/*
 * A write that the block layer makes into a write and a flush is one request,
 * and fails once.
 */
TEST_F(block, write_then_flush)
{
	struct queue *q = &self->queue;
	unsigned long long dev;

	dev = disk_or_skip(_metadata, &self->disks[0], "disk",
			   "memory_backed=1 cache_size=1 fua=0");
	if (!dev)
		return;
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));
	ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));
	ASSERT_EQ(-EIO, do_io("disk", IO_WRITE_SYNC, 96, 8));
	expect_io(_metadata, q, TAG, dev, OP_WRITE, 96, 8);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, do_io("disk", IO_WRITE_SYNC, 200, 8));
	ASSERT_EQ(0, do_io("disk", IO_FLUSH, 0, 0));
	expect_nothing(_metadata, q);
}

/* What a SCSI disk may answer to a read, and what becomes of it. */
#define GOOD		0x00
#define CHECK_CONDITION	0x02
#define CONFLICT	0x18

static const struct cause {
	const char *name;
	struct scsi_result result;
	int error;		/* 0 if there is none */
	unsigned int subtype;	/* 0 if the block layer is told to keep it quiet */
} causes[] = {
	{ "no connection", { 0x01, GOOD, 0, 0, 0 },
		EIO, NOTIFY_BLOCK_ERROR_IO },
	{ "transport", { 0x0f, GOOD, 0, 0, 0 },
		ENOLINK, NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT },
	{ "conflict", { 0, CONFLICT, 0, 0, 0 },
		EBADE, NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS },
	{ "recovered", { 0, CHECK_CONDITION, 0x1, 0x17, 0x01 },
		0, 0 },
	{ "medium", { 0, CHECK_CONDITION, 0x3, 0x11, 0x00 },
		ENODATA, NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM },
	{ "hardware", { 0, CHECK_CONDITION, 0x4, 0x44, 0x00 },
		EREMOTEIO, NOTIFY_BLOCK_ERROR_CRITICAL_TARGET },
	{ "out of range", { 0, CHECK_CONDITION, 0x5, 0x21, 0x00 },
		EREMOTEIO, NOTIFY_BLOCK_ERROR_CRITICAL_TARGET },
	{ "no space", { 0, CHECK_CONDITION, 0x7, 0x27, 0x07 },
		ENOSPC, NOTIFY_BLOCK_ERROR_NO_SPACE },
	{ "open zones", { 0, CHECK_CONDITION, 0x7, 0x55, 0x0e },
		ETOOMANYREFS, NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE },
	{ "protection", { 0, CHECK_CONDITION, 0xb, 0x10, 0x01 },
		EILSEQ, NOTIFY_BLOCK_ERROR_PROTECTION },
	{ "duration limit", { 0, CHECK_CONDITION, 0xb, 0x2e, 0x01 },
		ETIME, 0 },
};

/* The commands that sd uses for small disks. */
#define READ_10			0x28
#define WRITE_10		0x2a
#define SYNCHRONIZE_CACHE_10	0x35
#define WRITE_SAME_10		0x41
#define WRITE_SAME_16		0x93

TEST_F(block, causes)
{
	struct queue *q = &self->queue;
	const struct cause *cause;
	unsigned long long dev;
	int ret, fd;

	dev = scsi_or_skip(_metadata, &self->scsi);
	if (!dev)
		return;
	ASSERT_EQ(0, watch_dev("scsi", q->fd, TAG));
	ASSERT_EQ(0, do_io("scsi", IO_READ, 16, 8));
	expect_nothing(_metadata, q);

	for (cause = causes; cause < causes + ARRAY_SIZE(causes); cause++) {
		TH_LOG("%s", cause->name);
		ret = scsi_fail(&self->scsi, READ_10, &cause->result);
		if (is_absent(ret))
			SKIP(return, "no error injection in scsi_debug");
		ASSERT_EQ(0, ret);
		ASSERT_EQ(-cause->error, do_io("scsi", IO_READ, 16, 8));
		if (cause->subtype)
			expect_error(_metadata, q, TAG, dev, cause->subtype,
				     cause->error, OP_READ, 16, 8);
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, scsi_work(&self->scsi, READ_10));
		ASSERT_EQ(0, do_io("scsi", IO_READ, 16, 8));
		expect_nothing(_metadata, q);
	}

	/* Nobody asks a disk that is offline. */
	fd = sys_open("scsi", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_block_attr(self->scsi.name, "device/state", "offline\n"));
	ASSERT_EQ(-EIO, do_read(fd, 16, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 16, 8);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, set_block_attr(self->scsi.name, "device/state", "running\n"));
	ASSERT_EQ(0, do_read(fd, 16, 8));
	expect_nothing(_metadata, q);
	close(fd);
}

/* A medium that is bad, flushes, and what is not data. */
TEST_F(block, commands)
{
	static const struct scsi_result medium = {
		0, CHECK_CONDITION, 0x3, 0x11, 0x00
	};
	const unsigned int bad = 0x1234;
	struct queue *q = &self->queue, part;
	unsigned long long dev;
	unsigned int i;
	char name[40];
	int ret;

	dev = scsi_or_skip(_metadata, &self->scsi);
	if (!dev)
		return;
	ASSERT_EQ(0, watch_dev("scsi", q->fd, TAG));

	ASSERT_EQ(0, scsi_bad_medium(bad, 10));
	ASSERT_EQ(-ENODATA, do_io("scsi", IO_READ, bad - 4, 8));
	expect_error(_metadata, q, TAG, dev, NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
		     ENODATA, OP_READ, bad - 4, 8);
	ASSERT_EQ(-ENODATA, do_io("scsi", IO_READ, bad + 8, 8));
	expect_error(_metadata, q, TAG, dev, NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
		     ENODATA, OP_READ, bad + 8, 8);
	ASSERT_EQ(0, do_io("scsi", IO_READ, bad + 10, 8));
	ASSERT_EQ(0, do_io("scsi", IO_READ, bad - 8, 8));
	ASSERT_EQ(0, scsi_bad_medium(0, 0));
	ASSERT_EQ(0, do_io("scsi", IO_READ, bad, 8));
	expect_nothing(_metadata, q);

	ret = scsi_fail(&self->scsi, SYNCHRONIZE_CACHE_10, &medium);
	if (is_absent(ret))
		SKIP(return, "no error injection in scsi_debug");
	ASSERT_EQ(0, ret);
	/* A flush is of the whole disk, whoever asks for it. */
	ASSERT_EQ(0, add_partition("scsi", 1, 64, 64));
	snprintf(name, sizeof(name), "%s1", self->scsi.name);
	ASSERT_EQ(0, make_node(name, "scsi1"));
	ASSERT_EQ(0, queue_open(&part, variant->kind, variant->size));
	ASSERT_EQ(0, watch_dev("scsi1", part.fd, NEW_TAG));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(-ENODATA, do_io(i ? "scsi1" : "scsi", IO_FLUSH, 0, 0));
		expect_error(_metadata, q, TAG, dev,
			     NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM, ENODATA, OP_FLUSH,
			     0, 0);
		expect_nothing(_metadata, q);
		expect_nothing(_metadata, &part);
	}
	ASSERT_EQ(0, scsi_work(&self->scsi, SYNCHRONIZE_CACHE_10));
	ASSERT_EQ(0, do_io("scsi", IO_FLUSH, 0, 0));
	queue_close(&part);

	ASSERT_EQ(0, scsi_fail(&self->scsi, WRITE_SAME_10, &medium));
	ASSERT_EQ(0, scsi_fail(&self->scsi, WRITE_SAME_16, &medium));
	ASSERT_EQ(-ENODATA, do_io("scsi", IO_ZERO, 64, 32));
	expect_error(_metadata, q, TAG, dev, NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM,
		     ENODATA, OP_ZERO, 64, 32);
	expect_nothing(_metadata, q);
}

TEST_F_TIMEOUT(block, timeout, 60)
{
	struct queue *q = &self->queue;
	unsigned long long dev;
	int ret;

	dev = disk_or_skip(_metadata, &self->disks[0], "disk", "");
	if (!dev)
		return;
	ret = disk_set(&self->disks[0], "timeout_inject/probability", "100");
	if (is_absent(ret))
		SKIP(return, "no fault injection in null_blk");
	ASSERT_EQ(0, ret);
	/* Without the stack in the log. */
	ASSERT_EQ(0, disk_set(&self->disks[0], "timeout_inject/verbose", "0"));
	ASSERT_EQ(0, set_block_attr(self->disks[0].name, "queue/io_timeout", "100"));
	ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));
	ASSERT_EQ(0, disk_set(&self->disks[0], "timeout_inject/times", "1"));
	ASSERT_EQ(-ETIMEDOUT, do_io("disk", IO_READ, 16, 8));
	expect_error(_metadata, q, TAG, dev, NOTIFY_BLOCK_ERROR_TIMEOUT, ETIMEDOUT,
		     OP_READ, 16, 8);
	ASSERT_EQ(0, do_io("disk", IO_READ, 16, 8));
	expect_nothing(_metadata, q);
}

/* Three partitions with gaps between some of them. */
static const struct extent {
	uint64_t sector, nr;
} extents[] = {
	{ 64, 64 }, { 128, 128 }, { 512, 1000 },
};

#define NR_PARTS	ARRAY_SIZE(extents)

/* What is read, where, and what of that the disk and each partition have. */
static const struct part_op {
	const char *name, *node;
	enum io io;
	unsigned int sector, nr, op;
	struct extent disk, parts[NR_PARTS];
} part_ops[] = {
	{ "within one", "disk", IO_READ, 120, 4, OP_READ,
		{ 120, 4 }, { { 56, 4 } } },
	{ "across two", "disk", IO_READ, 100, 64, OP_READ,
		{ 100, 64 }, { { 36, 28 }, { 0, 36 } } },
	{ "across all", "disk", IO_READ, 32, 1000, OP_READ,
		{ 32, 1000 }, { { 0, 64 }, { 0, 128 }, { 0, 520 } } },
	{ "across the end", "disk", IO_READ, 252, 12, OP_READ,
		{ 252, 12 }, { { 0, 0 }, { 124, 4 } } },
	{ "in a gap", "disk", IO_READ, 256, 8, OP_READ,
		{ 256, 8 }, { } },
	{ "in the first", "disk1", IO_READ, 56, 8, OP_READ,
		{ 120, 8 }, { { 56, 8 } } },
	{ "in the second", "disk2", IO_READ, 0, 8, OP_READ,
		{ 128, 8 }, { { 0, 0 }, { 0, 8 } } },
	{ "write in the first", "disk1", IO_WRITE, 56, 8, OP_WRITE,
		{ 120, 8 }, { { 56, 8 } } },
	{ "write across two", "disk", IO_WRITE, 127, 2, OP_WRITE,
		{ 127, 2 }, { { 63, 1 }, { 0, 1 } } },
	{ "discard across two", "disk", IO_DISCARD, 64, 100, OP_DISCARD,
		{ 64, 100 }, { { 0, 64 }, { 0, 36 } } },
	{ "discard the first", "disk1", IO_DISCARD, 0, 64, OP_DISCARD,
		{ 64, 64 }, { { 0, 64 } } },
};

static const char bad_parts[] = "+120-135", bad_gap[] = "+256-259";

TEST_F(block, partitions)
{
	/* Merged into one request, which is accounted to the first alone. */
	static const struct part_op merged = {
		"merged", NULL, IO_READ, 0, 0, OP_READ,
		{ 104, 48 }, { { 40, 24 }, { 0, 24 } }
	};
	struct one_read reads[] = {
		{ "disk1", 40, 8, 0 }, { "disk1", 48, 16, 0 },
		{ "disk2", 0, 16, 0 }, { "disk2", 16, 8, 0 },
	};
	unsigned long long devs[NR_PARTS + 1];
	struct queue *q = &self->queue, parts[NR_PARTS];
	const struct part_op *op;
	unsigned int turn, i;
	char node[16];

	if (!disk_or_skip(_metadata, &self->disks[0], "disk",
			  "memory_backed=1 discard=1 max_sectors=2048"))
		return;
	ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));
	for (i = 0; i < NR_PARTS; i++) {
		ASSERT_EQ(0, add_part(&self->disks[0], "disk", i + 1,
				      extents[i].sector, extents[i].nr));
		snprintf(node, sizeof(node), "disk%u", i + 1);
		devs[i] = device_number(node);
		ASSERT_NE(0, devs[i]);
		ASSERT_EQ(0, queue_open(&parts[i], variant->kind, variant->size));
		ASSERT_EQ(0, watch_dev(node, parts[i].fd, i));
	}
	devs[NR_PARTS] = device_number("disk");
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", bad_parts));
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", bad_gap));

	for (turn = 0; turn < 2; turn++) {
		ASSERT_EQ(0, set_block_attr(self->disks[0].name, "queue/iostats",
					    turn ? "0" : "1"));
		for (op = part_ops; op <= part_ops + ARRAY_SIZE(part_ops); op++) {
			if (op == part_ops + ARRAY_SIZE(part_ops)) {
				op = &merged;
				ASSERT_EQ(0, do_reads(reads, ARRAY_SIZE(reads)));
				for (i = 0; i < ARRAY_SIZE(reads); i++)
					ASSERT_EQ(-EIO, reads[i].result);
			} else {
				ASSERT_EQ(-EIO, do_io(op->node, op->io, op->sector,
						      op->nr));
			}
			TH_LOG("%s", op->name);
			expect_io(_metadata, q, TAG, devs[NR_PARTS], op->op,
				  op->disk.sector, op->disk.nr);
			expect_nothing(_metadata, q);
			for (i = 0; i < NR_PARTS; i++) {
				if (op->parts[i].nr)
					expect_io(_metadata, &parts[i], i, devs[i],
						  op->op, op->parts[i].sector,
						  op->parts[i].nr);
				expect_nothing(_metadata, &parts[i]);
			}
			if (op == &merged)
				break;
		}
	}

	/* A partition may be watched without its disk, and the other way round. */
	ASSERT_EQ(0, watch_dev("disk", q->fd, -1));
	expect_removal(_metadata, q, TAG, devs[NR_PARTS]);
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 100, 64));
	expect_nothing(_metadata, q);
	expect_io(_metadata, &parts[0], 0, devs[0], OP_READ, 36, 28);
	expect_io(_metadata, &parts[1], 1, devs[1], OP_READ, 0, 36);
	ASSERT_EQ(0, watch_dev("disk1", parts[0].fd, -1));
	expect_removal(_metadata, &parts[0], 0, devs[0]);
	ASSERT_EQ(-EIO, do_io("disk1", IO_READ, 56, 8));
	expect_nothing(_metadata, &parts[0]);

	/* It is watched as far as it reaches. */
	ASSERT_EQ(0, resize_partition("disk", 2, 128, 4));
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 100, 64));
	expect_io(_metadata, &parts[1], 1, devs[1], OP_READ, 0, 4);
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 132, 8));
	expect_nothing(_metadata, &parts[1]);

	for (i = 0; i < NR_PARTS; i++)
		queue_close(&parts[i]);
}

/* A zone that is offline cannot be reset; more than one cannot be open, or active. */
TEST_F(block, zones)
{
	struct queue *q = &self->queue;
	unsigned long long dev;
	unsigned int turn;
	int ret;

	for (turn = 0; turn < 2; turn++) {
		ret = add_disk(&self->disks[turn], "disk",
			       turn ? "zoned=1 zone_size=1 size=4 zone_max_active=1" :
			       "zoned=1 zone_size=1 size=4 zone_max_open=1");
		if (is_absent(ret) || ret == -EINVAL)
			SKIP(return, "no null_blk with zones");
		ASSERT_EQ(0, ret);
		dev = device_number("disk");
		ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));

		ASSERT_EQ(0, do_io("disk", IO_ZONE_OPEN, 0, 2048));
		if (turn) {
			ASSERT_EQ(-EOVERFLOW, do_io("disk", IO_ZONE_OPEN, 2048, 2048));
			expect_error(_metadata, q, TAG, dev,
				     NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE,
				     EOVERFLOW, OP_ZONE, 2048, 0);
		} else {
			ASSERT_EQ(-ETOOMANYREFS, do_io("disk", IO_ZONE_OPEN, 2048, 2048));
			expect_error(_metadata, q, TAG, dev,
				     NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE,
				     ETOOMANYREFS, OP_ZONE, 2048, 0);
		}
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, disk_set(&self->disks[turn], "zone_offline", "4096"));
		ASSERT_EQ(-EIO, do_io("disk", IO_ZONE_RESET, 4096, 2048));
		expect_io(_metadata, q, TAG, dev, OP_ZONE, 4096, 0);
		expect_nothing(_metadata, q);

		/* Several at once are a request each. */
		ASSERT_EQ(0, disk_set(&self->disks[turn], "zone_offline", "6144"));
		ASSERT_EQ(-EIO, do_io("disk", IO_ZONE_RESET, 2048, 6144));
		expect_io(_metadata, q, TAG, dev, OP_ZONE, 4096, 0);
		expect_io(_metadata, q, TAG, dev, OP_ZONE, 6144, 0);
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, do_io("disk", IO_ZONE_RESET, 0, 2048));
		expect_nothing(_metadata, q);
	}
}

/* Every status that there is, of a device without requests. */
static const struct status {
	const char *name;
	int error;
	unsigned int subtype;
} statuses[] = {
	{ "NOTSUPP", EOPNOTSUPP, NOTIFY_BLOCK_ERROR_NOT_SUPPORTED },
	{ "TIMEOUT", ETIMEDOUT, NOTIFY_BLOCK_ERROR_TIMEOUT },
	{ "NOSPC", ENOSPC, NOTIFY_BLOCK_ERROR_NO_SPACE },
	{ "TRANSPORT", ENOLINK, NOTIFY_BLOCK_ERROR_RECOVERABLE_TRANSPORT },
	{ "TARGET", EREMOTEIO, NOTIFY_BLOCK_ERROR_CRITICAL_TARGET },
	{ "RESV_CONFLICT", EBADE, NOTIFY_BLOCK_ERROR_CRITICAL_NEXUS },
	{ "MEDIUM", ENODATA, NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM },
	{ "PROTECTION", EILSEQ, NOTIFY_BLOCK_ERROR_PROTECTION },
	{ "RESOURCE", ENOMEM, NOTIFY_BLOCK_ERROR_KERNEL_RESOURCE },
	{ "DEV_RESOURCE", EBUSY, NOTIFY_BLOCK_ERROR_DEVICE_RESOURCE },
	{ "AGAIN", EAGAIN, NOTIFY_BLOCK_ERROR_NONBLOCKING_RETRY },
	{ "OFFLINE", ENODEV, NOTIFY_BLOCK_ERROR_OFFLINE },
	{ "ZONE_OPEN_RESOURCE", ETOOMANYREFS, NOTIFY_BLOCK_ERROR_ZONE_OPEN_RESOURCE },
	{ "ZONE_ACTIVE_RESOURCE", EOVERFLOW, NOTIFY_BLOCK_ERROR_ZONE_ACTIVE_RESOURCE },
	{ "DURATION_LIMIT", ETIME, NOTIFY_BLOCK_ERROR_DURATION_LIMIT },
	{ "INVAL", EINVAL, NOTIFY_BLOCK_ERROR_INVALID },
	{ "IOERR", EIO, NOTIFY_BLOCK_ERROR_IO },
};

/*
 * Add a device of the device mapper.  A "%s" in @table is the major and minor
 * number of @below.
 */
static int add_mapped(char name[DM_SIZE], const char *node, const char *table,
		      const char *below)
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
static unsigned long long mapped_or_skip(struct __test_metadata *_metadata,
					 char name[DM_SIZE], const char *node,
					 const char *table, const char *below)
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

TEST_F(block, statuses)
{
	struct queue *q = &self->queue, below;
	const struct status *status;
	unsigned long long dev;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk", ""))
		return;
	dev = mapped_or_skip(_metadata, self->dm[0], "mapped",
			     "0 1024 linear %s 512", "disk");
	if (!dev)
		return;
	ASSERT_EQ(0, queue_open(&below, variant->kind, variant->size));
	ASSERT_EQ(0, watch_dev("mapped", q->fd, TAG));
	ASSERT_EQ(0, watch_dev("disk", below.fd, NEW_TAG));

	for (status = statuses; status < statuses + ARRAY_SIZE(statuses); status++) {
		TH_LOG("%s", status->name);
		if (!fail_or_skip(_metadata, &self->disks[0], status->name))
			return;
		ASSERT_EQ(-status->error, do_io("mapped", IO_READ, 40, 8));
		expect_error(_metadata, q, TAG, dev, status->subtype,
			     status->error, OP_READ | INEXACT, 40, 8);
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, block_work(self->disks[0].name));
		ASSERT_EQ(0, do_io("mapped", IO_READ, 40, 8));
	}

	/* It never got there. */
	expect_nothing(_metadata, &below);
	queue_close(&below);
}

/* Each device of a stack tells its own errors, once. */
TEST_F(block, stack)
{
	struct queue *q = &self->queue, middle, bottom;
	unsigned long long dev, middle_dev, bottom_dev;
	char path[16];

	if (!disk_or_skip(_metadata, &self->disks[0], "disk",
			  "memory_backed=1 discard=1 max_sectors=16"))
		return;
	middle_dev = mapped_or_skip(_metadata, self->dm[1], "middle",
				    "0 1024 linear %s 512", "disk");
	if (!middle_dev)
		return;
	ASSERT_EQ(0, add_mapped(self->dm[0], "top", "0 512 linear %s 256",
				"middle"));
	dev = device_number("top");
	bottom_dev = device_number("disk");

	ASSERT_EQ(0, queue_open(&middle, variant->kind, variant->size));
	ASSERT_EQ(0, queue_open(&bottom, variant->kind, variant->size));
	ASSERT_EQ(0, watch_dev("top", q->fd, 0));
	ASSERT_EQ(0, watch_dev("middle", middle.fd, 1));
	ASSERT_EQ(0, watch_dev("disk", bottom.fd, 2));
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+800-803"));

	ASSERT_EQ(-EIO, do_io("top", IO_READ, 32, 8));
	expect_io(_metadata, q, 0, dev, OP_READ | INEXACT, 32, 8);
	expect_io(_metadata, &middle, 1, middle_dev, OP_READ | INEXACT, 288, 8);
	expect_io(_metadata, &bottom, 2, bottom_dev, OP_READ, 800, 8);
	ASSERT_EQ(-EIO, do_io("top", IO_WRITE, 34, 1));
	expect_io(_metadata, q, 0, dev, OP_WRITE | INEXACT, 34, 1);
	expect_io(_metadata, &middle, 1, middle_dev, OP_WRITE | INEXACT, 290, 1);
	expect_io(_metadata, &bottom, 2, bottom_dev, OP_WRITE, 802, 1);

	/* What others do to a device below does not concern those above. */
	ASSERT_EQ(-EIO, do_io("middle", IO_READ, 288, 8));
	expect_nothing(_metadata, q);
	expect_io(_metadata, &middle, 1, middle_dev, OP_READ | INEXACT, 288, 8);
	expect_io(_metadata, &bottom, 2, bottom_dev, OP_READ, 800, 8);
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 800, 8));
	expect_io(_metadata, &bottom, 2, bottom_dev, OP_READ, 800, 8);
	expect_nothing(_metadata, &middle);

	/* The disk takes so little at once that this is several requests. */
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 784, 64));
	expect_io(_metadata, &bottom, 2, bottom_dev, OP_READ, 800, 16);
	ASSERT_EQ(0, do_io("top", IO_READ, 0, 32));
	ASSERT_EQ(0, do_io("top", IO_READ, 36, 4));

	/* Of several bios, chained for one discard, only those that fail. */
	snprintf(path, sizeof(path), "dm-%llu", middle_dev & 0xfffff);
	ASSERT_EQ(0, set_block_attr(path, "queue/discard_max_bytes", "4096"));
	ASSERT_EQ(-EIO, do_io("middle", IO_DISCARD, 272, 64));
	expect_io(_metadata, &middle, 1, middle_dev, OP_DISCARD | INEXACT, 288, 8);
	expect_io(_metadata, &bottom, 2, bottom_dev, OP_DISCARD, 800, 8);
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &middle);
	expect_nothing(_metadata, &bottom);

	queue_close(&middle);
	queue_close(&bottom);
}

/* Targets of the device mapper that fail by themselves. */
TEST_F(block, failing_targets)
{
	static const char * const tables[] = {
		"0 1024 error",
		/* Never up, always down. */
		"0 1024 flakey %s 0 0 1",
		"0 1024 flakey %s 0 0 1 1 error_writes",
	};
	struct queue *q = &self->queue;
	unsigned long long dev;
	unsigned int i;
	int ret;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk", ""))
		return;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		TH_LOG("%s", tables[i]);
		unlink("mapped");
		ret = add_mapped(self->dm[0], "mapped", tables[i], "disk");
		if (is_absent(ret) || ret == -EINVAL)
			SKIP(return, "no such target of the device mapper");
		ASSERT_EQ(0, ret);
		dev = device_number("mapped");
		ASSERT_EQ(0, watch_dev("mapped", q->fd, TAG));
		if (i < 2) {
			ASSERT_EQ(-EIO, do_io("mapped", IO_READ, 32, 8));
			expect_io(_metadata, q, TAG, dev, OP_READ | INEXACT, 32, 8);
		}
		ASSERT_EQ(-EIO, do_io("mapped", IO_WRITE, 1016, 8));
		expect_io(_metadata, q, TAG, dev, OP_WRITE | INEXACT, 1016, 8);
		expect_nothing(_metadata, q);

		ASSERT_EQ(0, dm_remove(self->dm[0]));
		self->dm[0][0] = '\0';
		expect_removal(_metadata, q, TAG, dev);
	}
}

/* A mirror hides what one of its disks alone cannot do. */
TEST_F(block, mirror)
{
	static const char * const members[] = { "disk0", "disk1" };
	struct queue *q = &self->queue, below[2];
	unsigned long long dev, devs[2];
	unsigned int i, errors[2] = { };
	union record rec;
	int ret;

	for (i = 0; i < 2; i++) {
		devs[i] = disk_or_skip(_metadata, &self->disks[i], members[i],
				       "memory_backed=1");
		if (!devs[i])
			return;
	}
	ret = mirror_create(members, "mirror");
	if (is_absent(ret) || ret == -ENXIO || ret == -EINVAL)
		SKIP(return, "no mirrors");
	ASSERT_EQ(0, ret);
	self->mirror = true;
	dev = device_number("mirror");
	ASSERT_EQ(0, watch_dev("mirror", q->fd, TAG));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, queue_open(&below[i], variant->kind, variant->size));
		ASSERT_EQ(0, watch_dev(members[i], below[i].fd, i));
	}
	ASSERT_EQ(0, do_io("mirror", IO_WRITE, 96, 8));
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, do_io("mirror", IO_READ, 96, 8));
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+500-501"));
	ASSERT_EQ(0, disk_set(&self->disks[1], "badblocks", "+500-501"));
	ASSERT_EQ(-EIO, do_io("mirror", IO_READ, 496, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ | INEXACT, 496, 8);
	expect_nothing(_metadata, q);

	/* How often it tries, it alone knows. */
	for (i = 0; i < 2; i++) {
		while (queue_next(&below[i], &rec, 0) == 1) {
			ASSERT_EQ(WATCH_TYPE_BLOCK_NOTIFY, rec_type(&rec));
			ASSERT_EQ(devs[i], record_dev(&rec));
			ASSERT_EQ(EIO, rec.block.error);
			errors[i]++;
		}
		queue_close(&below[i]);
	}
	ASSERT_LT(0, errors[0] + errors[1]);

	ASSERT_EQ(0, mirror_remove("mirror"));
	self->mirror = false;
	expect_removal(_metadata, q, TAG, dev);
}

/* A file that is shorter than the loop device on it, or cannot grow. */
TEST_F(block, loop)
{
	struct queue *q = &self->queue;
	unsigned long long dev;
	unsigned int sector;
	int ret = 0;

	ASSERT_EQ(0, mkdir("small", 0755));
	ASSERT_EQ(0, sys_mount("none", "small", "tmpfs", 0, "size=256k"));
	ASSERT_EQ(0, close(sys_open("small/file", O_CREAT | O_WRONLY | O_CLOEXEC)));
	ASSERT_EQ(0, truncate("small/file", 2048 * SECTOR));
	self->loop = loop_add("small/file", "loop");
	if (is_absent(self->loop))
		SKIP(return, "no loop devices");
	ASSERT_LE(0, self->loop);
	dev = device_number("loop");
	ASSERT_EQ(0, watch_dev("loop", q->fd, TAG));
	ASSERT_EQ(0, do_io("loop", IO_READ, 96, 8));
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, truncate("small/file", 100 * SECTOR));
	ASSERT_EQ(-EIO, do_io("loop", IO_READ, 96, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 100, 4);
	ASSERT_EQ(-EIO, do_io("loop", IO_READ, 200, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 200, 8);
	ASSERT_EQ(0, do_io("loop", IO_READ, 88, 8));
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, truncate("small/file", 2048 * SECTOR));
	for (sector = 0; sector < 2048 && !ret; sector += 8)
		ret = do_io("loop", IO_WRITE, sector, 8);
	ASSERT_EQ(-ENOSPC, ret);
	expect_error(_metadata, q, TAG, dev, NOTIFY_BLOCK_ERROR_NO_SPACE, ENOSPC,
		     OP_WRITE, sector - 8, 8);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, loop_remove(self->loop));
	self->loop = -1;
	expect_removal(_metadata, q, TAG, dev);
}

/*
 * Random requests to a disk and its partitions, and merged ones.  What the
 * tracepoint tells of the disk is what each watch must have told, as far as it
 * is in its range.
 */
#define MAX_ERRORS	32

struct errors {
	unsigned int nr;
	struct one_error {
		uint64_t sector;
		uint32_t nr, error, op;
	} list[MAX_ERRORS];
};

static int compare_errors(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct one_error));
}

static void add_error(struct __test_metadata *_metadata, struct errors *errors,
		      uint64_t sector, uint32_t nr, uint32_t error, uint32_t op)
{
	ASSERT_LT(errors->nr, MAX_ERRORS);
	errors->list[errors->nr++] = (struct one_error){ sector, nr, error, op };
}

static void read_errors(struct __test_metadata *_metadata, struct queue *q,
			unsigned long long dev, struct errors *errors)
{
	union record rec;
	int ret;

	errors->nr = 0;
	while ((ret = queue_next(q, &rec, 0)) == 1) {
		ASSERT_EQ(WATCH_TYPE_BLOCK_NOTIFY, rec_type(&rec));
		ASSERT_EQ(dev, record_dev(&rec));
		ASSERT_EQ(NOTIFY_BLOCK_ERROR_IO, rec_subtype(&rec));
		add_error(_metadata, errors, rec.block.sector,
			  rec.block.nr_sectors, rec.block.error, rec.block.op);
	}
	ASSERT_EQ(0, ret);
}

static void expect_same(struct __test_metadata *_metadata, struct errors *told,
			struct errors *traced)
{
	unsigned int i;

	ASSERT_EQ(traced->nr, told->nr);
	qsort(told->list, told->nr, sizeof(told->list[0]), compare_errors);
	qsort(traced->list, traced->nr, sizeof(traced->list[0]), compare_errors);
	for (i = 0; i < told->nr; i++) {
		ASSERT_EQ(traced->list[i].sector, told->list[i].sector);
		ASSERT_EQ(traced->list[i].nr, told->list[i].nr);
		ASSERT_EQ(traced->list[i].error, told->list[i].error);
		ASSERT_EQ(traced->list[i].op, told->list[i].op);
	}
}

/* The numbers are the same in each run. */
static unsigned int random_below(unsigned int *state, unsigned int n)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 8) % n;
}

static void do_something(struct __test_metadata *_metadata, unsigned int *seed)
{
	static const char * const nodes[] = { "disk", "disk1", "disk2", "disk3" };
	static const enum io ios[] = { IO_READ, IO_WRITE, IO_WRITE_SYNC, IO_DISCARD };
	unsigned int size, sector, i, which = random_below(seed, 6);
	struct one_read reads[MAX_READS];
	int ret;

	if (which < 4) {
		size = which ? extents[which - 1].nr : 2048;
		sector = random_below(seed, size);
		ret = do_io(nodes[which], ios[random_below(seed, 4)], sector,
			    1 + random_below(seed, MIN(size - sector, 64)));
		ASSERT_TRUE(ret == 0 || ret == -EIO);
		return;
	}

	/* One after the other, across the end of the first partition. */
	sector = 100 + random_below(seed, 20);
	for (i = 0; i < 4; i++) {
		size = 1 + random_below(seed, 16);
		if (sector < 128)
			size = MIN(size, 128 - sector);
		which = sector < 128 ? 0 : 1;
		reads[i].node = nodes[1 + which];
		reads[i].sector = sector - extents[which].sector;
		reads[i].nr = size;
		sector += size;
	}
	ASSERT_EQ(0, do_reads(reads, 4));
}

static const struct how {
	const char *options, *attr, *value;
} hows[] = {
	{ "irqmode=0", NULL, NULL },
	{ "irqmode=1", "queue/iostats", "0" },
	/* From an interrupt. */
	{ "irqmode=2", NULL, NULL },
	{ "irqmode=2 max_sectors=8", "queue/iostats", "0" },
	{ "irqmode=1", "queue/scheduler", "mq-deadline" },
};

TEST_F_TIMEOUT(block, traced, 60)
{
	struct errors told, traced[NR_PARTS + 1];
	unsigned long long devs[NR_PARTS + 1];
	unsigned int i, n, total, spanning, seed = 1;
	struct queue queues[NR_PARTS + 1];
	const struct how *how;
	struct traced event;
	uint64_t from, to;
	char options[96], node[16];
	int ret;

	if (trace_start(&self->trace))
		SKIP(return, "no tracepoints");

	for (how = hows; how < hows + ARRAY_SIZE(hows); how++) {
		TH_LOG("%s %s", how->options, how->attr ?: "");
		snprintf(options, sizeof(options), "memory_backed=1 discard=1 %s",
			 how->options);
		if (!disk_or_skip(_metadata, &self->disks[0], "disk", options))
			return;
		if (how->attr)
			ASSERT_EQ(0, set_block_attr(self->disks[0].name, how->attr,
						    how->value));
		for (i = 0; i <= NR_PARTS; i++) {
			strcpy(node, "disk");
			if (i) {
				ASSERT_EQ(0, add_part(&self->disks[0], "disk", i,
						      extents[i - 1].sector,
						      extents[i - 1].nr));
				snprintf(node, sizeof(node), "disk%u", i);
			}
			devs[i] = device_number(node);
			ASSERT_EQ(0, queue_open(&queues[i], variant->kind,
						variant->size));
			ASSERT_EQ(0, watch_dev(node, queues[i].fd, i));
		}
		ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", bad_parts));
		ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", bad_gap));
		ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+1000-1003"));
		ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+1700-1700"));

		total = 0;
		spanning = 0;
		for (n = 0; n < 100; n++) {
			do_something(_metadata, &seed);
			for (i = 0; i <= NR_PARTS; i++)
				traced[i].nr = 0;
			while ((ret = next_traced(&self->trace, devs[0], &event)) == 1) {
				ret = event.op[0] == 'D' ? OP_DISCARD :
					strchr(event.op, 'W') ? OP_WRITE : OP_READ;
				add_error(_metadata, &traced[0], event.sector,
					  event.nr, -event.error, ret);
				spanning += event.sector < 128 &&
					event.sector + event.nr > 128;
				for (i = 1; i <= NR_PARTS; i++) {
					from = MAX(event.sector, extents[i - 1].sector);
					to = MIN(event.sector + event.nr,
						 extents[i - 1].sector + extents[i - 1].nr);
					if (from < to)
						add_error(_metadata, &traced[i],
							  from - extents[i - 1].sector,
							  to - from, -event.error, ret);
				}
			}
			ASSERT_EQ(0, ret);
			total += traced[0].nr;
			for (i = 0; i <= NR_PARTS; i++) {
				read_errors(_metadata, &queues[i], devs[i], &told);
				expect_same(_metadata, &told, &traced[i]);
			}
		}
		/* There was something to compare. */
		ASSERT_LT(10, total);
		ASSERT_LT(0, spanning);

		for (i = 0; i <= NR_PARTS; i++)
			queue_close(&queues[i]);
		disk_put(&self->disks[0]);
	}
}

TEST_F(block, arguments)
{
	int fd = self->queue.fd, closed, dir, node;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk", ""))
		return;
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));

	/* Tags. */
	EXPECT_EQ(-EINVAL, watch_dev("disk", fd, -2));
	EXPECT_EQ(-EINVAL, watch_dev("disk", fd, 256));
	EXPECT_EQ(-EINVAL, watch_dev("disk", fd, 0x7fffffff));
	EXPECT_EQ(0, watch_dev("disk", fd, 255));
	EXPECT_EQ(0, watch_dev("disk", fd, -1));
	EXPECT_EQ(-EBADSLT, watch_dev("disk", fd, -1));
	EXPECT_EQ(0, watch_dev("disk", fd, 0));

	/* One watch of a queue on a device, whatever its node. */
	EXPECT_EQ(-EBUSY, watch_dev("disk", fd, 0));
	ASSERT_EQ(0, make_node(self->disks[0].name, "again"));
	EXPECT_EQ(-EBUSY, watch_dev("again", fd, 1));
	EXPECT_EQ(0, watch_dev("disk1", fd, 1));
	EXPECT_EQ(-EBUSY, watch_dev("disk1", fd, 1));
	EXPECT_EQ(0, watch_dev("disk1", fd, -1));
	EXPECT_EQ(0, watch_dev("again", fd, -1));
	EXPECT_EQ(-EBADSLT, watch_dev("disk", fd, -1));

	/* Queues. */
	EXPECT_EQ(-EBADF, watch_dev("disk", -1, 0));
	closed = dup(fd);
	close(closed);
	EXPECT_EQ(-EBADF, watch_dev("disk", closed, 0));
	EXPECT_EQ(-EBADF, watch_dev("disk", closed, -1));
	EXPECT_EQ(-EINVAL, watch_dev("disk", sys_open("/dev/null", O_RDWR), 0));

	/* Flags. */
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "disk", AT_SYMLINK_FOLLOW, fd, 0));
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "disk", 0x80000000, fd, 0));
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "disk", 0x2, fd, 0));
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "disk", AT_RECURSIVE, fd, 0));
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "disk", 0x2, -1, 0));
	EXPECT_EQ(0, block_notify(AT_FDCWD, "disk", AT_NO_AUTOMOUNT, fd, 0));
	EXPECT_EQ(0, watch_dev("disk", fd, -1));

	/* Paths. */
	EXPECT_EQ(-ENOENT, watch_dev("absent", fd, 0));
	EXPECT_EQ(-ENOENT, watch_dev("", fd, 0));
	EXPECT_EQ(-EFAULT, watch_dev(NULL, fd, 0));
	EXPECT_EQ(-EFAULT, watch_dev((void *)1, fd, 0));
	EXPECT_EQ(-EBADF, block_notify(-1, "disk", 0, fd, 0));
	EXPECT_EQ(-ENOTDIR, block_notify(fd, "disk", 0, fd, 0));
	EXPECT_EQ(-ENOTDIR, watch_dev("disk/x", fd, 0));
	dir = sys_open(".", O_PATH | O_CLOEXEC);
	node = sys_open("disk", O_PATH | O_CLOEXEC);
	EXPECT_EQ(0, block_notify(dir, "disk", 0, fd, 0));
	EXPECT_EQ(-EBUSY, block_notify(node, "", AT_EMPTY_PATH, fd, 0));
	EXPECT_EQ(0, block_notify(node, "", AT_EMPTY_PATH, fd, -1));
	EXPECT_EQ(-ENOENT, block_notify(node, "", 0, fd, 0));

	/* What is no block device. */
	EXPECT_EQ(-ENOTBLK, watch_dev(".", fd, 0));
	EXPECT_EQ(-ENOTBLK, watch_dev("/dev/null", fd, 0));
	EXPECT_EQ(-ENOTBLK, watch_dev("/proc/self/stat", fd, 0));
	EXPECT_EQ(-ENOTBLK, block_notify(fd, "", AT_EMPTY_PATH, fd, 0));
	EXPECT_EQ(-ENOTBLK, watch_dev(".", fd, -1));
	ASSERT_EQ(0, symlink("disk", "link"));
	EXPECT_EQ(-ENOTBLK, block_notify(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, fd, 0));
	EXPECT_EQ(0, watch_dev("link", fd, 0));
	EXPECT_EQ(-EBUSY, watch_dev("disk", fd, 0));
	EXPECT_EQ(0, watch_dev("link", fd, -1));

	/* No such device. */
	ASSERT_EQ(0, mknod("none", S_IFBLK | 0600, makedev(NO_MAJOR, 1)));
	EXPECT_EQ(-ENXIO, sys_open("none", O_RDONLY));
	EXPECT_EQ(-ENXIO, watch_dev("none", fd, 0));
	/* Whether there is one is not told to whom it does not concern. */
	EXPECT_EQ(-EBADSLT, watch_dev("none", fd, -1));
}

/* fdinfo tells of the watches, the number of the device included. */
TEST_F(block, fdinfo)
{
	struct fdinfo info;

	if (variant->kind != QUEUE_DEVICE)
		SKIP(return, "only of the device");
	if (!disk_or_skip(_metadata, &self->disks[0], "disk", ""))
		return;
	ASSERT_EQ(0, watch_dev("disk", self->queue.fd, TAG));
	ASSERT_EQ(0, read_fdinfo(self->queue.fd, &info));
	ASSERT_EQ(1, info.nr_watches);
	EXPECT_EQ(WATCH_TYPE_BLOCK_NOTIFY, info.watches[0].type);
	EXPECT_EQ(device_number("disk"), info.watches[0].id);
	EXPECT_EQ(TAG, info.watches[0].tag);
}

TEST_F(block, filter)
{
	struct {
		struct watch_notification_filter filter;
		struct watch_notification_type_filter type;
	} f = {
		.filter.nr_filters = 1,
		.type.type = WATCH_TYPE_BLOCK_NOTIFY,
	};
	static const unsigned int wanted[] = {
		NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM, NOTIFY_BLOCK_ERROR_IO,
		NOTIFY_BLOCK_ERROR_OFFLINE, NOTIFY_BLOCK_ERROR_INVALID,
	};
	struct queue *q = &self->queue;
	const struct status *status;
	unsigned long long dev;
	unsigned int i;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk", ""))
		return;
	dev = mapped_or_skip(_metadata, self->dm[0], "mapped",
			     "0 1024 linear %s 0", "disk");
	if (!dev)
		return;
	ASSERT_EQ(0, watch_dev("mapped", q->fd, TAG));

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		f.type.subtype_filter[0] = 1 << wanted[i];
		ASSERT_EQ(0, set_filter(q->fd, &f));
		for (status = statuses; status < statuses + ARRAY_SIZE(statuses);
		     status++) {
			if (!fail_or_skip(_metadata, &self->disks[0], status->name))
				return;
			ASSERT_EQ(-status->error, do_io("mapped", IO_READ, 40, 8));
			ASSERT_EQ(0, block_work(self->disks[0].name));
			if (status->subtype == wanted[i])
				expect_error(_metadata, q, TAG, dev, wanted[i],
					     status->error, OP_READ | INEXACT, 40, 8);
			expect_nothing(_metadata, q);
		}
	}

	/* A filter that wants no such type at all. */
	f.type.type = WATCH_TYPE_KEY_NOTIFY;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, block_fail(self->disks[0].name, "READ", "INVAL"));
	ASSERT_EQ(-EINVAL, do_io("mapped", IO_READ, 40, 8));
	expect_nothing(_metadata, q);
}

TEST_F(block, removal)
{
	struct queue *q = &self->queue, other;
	unsigned long long dev, dev1, dev2;
	int fd;

	dev = disk_or_skip(_metadata, &self->disks[0], "disk",
			   "memory_backed=1");
	if (!dev)
		return;
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));

	/* By hand. */
	ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));
	ASSERT_EQ(0, watch_dev("disk", q->fd, -1));
	expect_removal(_metadata, q, TAG, dev);
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 96, 8));
	expect_nothing(_metadata, q);

	/* With the queue: nobody else is told, and nothing remains. */
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, watch_dev("disk", q->fd, TAG));
	ASSERT_EQ(0, watch_dev("disk", other.fd, NEW_TAG));
	queue_close(&other);
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 96, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 96, 8);
	expect_nothing(_metadata, q);

	/* With a partition, for all queues; its neighbour and the disk stay. */
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 2, 128, 64));
	dev1 = device_number("disk1");
	dev2 = device_number("disk2");
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, watch_dev("disk1", q->fd, 1));
	ASSERT_EQ(0, watch_dev("disk1", other.fd, 1));
	ASSERT_EQ(0, watch_dev("disk2", other.fd, 2));
	ASSERT_EQ(0, delete_partition("disk", 1));
	expect_removal(_metadata, q, 1, dev1);
	expect_removal(_metadata, &other, 1, dev1);
	ASSERT_EQ(-ENXIO, watch_dev("disk1", other.fd, 1));
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 100, 40));
	expect_io(_metadata, q, TAG, dev, OP_READ, 100, 40);
	expect_io(_metadata, &other, 2, dev2, OP_READ, 0, 12);
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &other);

	/* One that comes in its place is another. */
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
	ASSERT_EQ(-EIO, do_io("disk1", IO_READ, 32, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 96, 8);
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &other);

	/* With all partitions, as there is no table that has them. */
	ASSERT_EQ(0, watch_dev("disk1", q->fd, 1));
	dev1 = device_number("disk1");
	ASSERT_EQ(0, reread_partitions("disk"));
	expect_removal(_metadata, q, 1, dev1);
	expect_removal(_metadata, &other, 2, dev2);
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 100, 40));
	expect_io(_metadata, q, TAG, dev, OP_READ, 100, 40);
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &other);
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 2, 128, 64));
	dev2 = device_number("disk2");
	ASSERT_EQ(0, watch_dev("disk2", other.fd, 2));

	/* With the disk, its partitions included, though it is open. */
	fd = sys_open("disk2", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, disk_remove(&self->disks[0]));
	expect_removal(_metadata, &other, 2, dev2);
	expect_removal(_metadata, q, TAG, dev);
	ASSERT_EQ(-ENXIO, watch_dev("disk", q->fd, TAG));
	ASSERT_EQ(-ENXIO, watch_dev("disk2", q->fd, TAG));
	close(fd);
	expect_nothing(_metadata, q);
	expect_nothing(_metadata, &other);

	/* One that has the number next is another. */
	disk_put(&self->disks[0]);
	ASSERT_EQ(0, add_disk(&self->disks[0], "disk", "memory_backed=1"));
	ASSERT_EQ(dev, device_number("disk"));
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 96, 8));
	expect_nothing(_metadata, q);
	queue_close(&other);
}

/*
 * A watch keeps nothing: the number of a partition is free again as soon as
 * nobody has its inode, the name of a SCSI disk when the disk is released.
 */
TEST_F(block, pins_nothing)
{
	struct queue *q = &self->queue;
	unsigned long long dev, again;
	char name[32];
	int tries;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk",
			  "memory_backed=1"))
		return;
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
	dev = device_number("disk1");
	ASSERT_EQ(0, watch_dev("disk1", q->fd, TAG));
	ASSERT_EQ(0, delete_partition("disk", 1));
	for (tries = 0; tries < SOON / 50; tries++) {
		ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
		again = device_number("disk1");
		if (again == dev)
			break;
		ASSERT_EQ(0, delete_partition("disk", 1));
		sleep_for(50);
	}
	ASSERT_EQ(dev, again);
	expect_removal(_metadata, q, TAG, dev);

	if (!scsi_or_skip(_metadata, &self->scsi))
		return;
	strcpy(name, self->scsi.name);
	dev = device_number("scsi");
	ASSERT_EQ(0, watch_dev("scsi", q->fd, TAG));
	ASSERT_EQ(0, scsi_remove(&self->scsi));
	expect_removal(_metadata, q, TAG, dev);
	for (tries = 0; tries < SOON / 50; tries++) {
		ASSERT_EQ(0, scsi_add(&self->scsi, "scsi"));
		if (!strcmp(name, self->scsi.name))
			break;
		ASSERT_EQ(0, scsi_remove(&self->scsi));
		sleep_for(50);
	}
	ASSERT_STREQ(name, self->scsi.name);
	ASSERT_EQ(dev, device_number("scsi"));
	expect_nothing(_metadata, q);
}

/* All devices.  Skip what is of those that are none of ours. */
static void expect_any(struct __test_metadata *_metadata, struct queue *q,
		       unsigned long long dev, uint64_t sector, unsigned int nr)
{
	union record rec;

	do {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
	} while (rec_type(&rec) != WATCH_TYPE_BLOCK_NOTIFY ||
		 record_dev(&rec) != dev || rec_tag(&rec) != NEW_TAG);
	check_error(_metadata, &rec, NEW_TAG, dev, NOTIFY_BLOCK_ERROR_IO, EIO,
		    OP_READ, sector, nr);
}

static void expect_not(struct __test_metadata *_metadata, struct queue *q,
		       unsigned long long dev)
{
	union record rec;

	while (queue_next(q, &rec, 0) == 1)
		ASSERT_FALSE(rec_type(&rec) == WATCH_TYPE_BLOCK_NOTIFY &&
			     record_dev(&rec) == dev);
}

struct notify_args {
	const char *path;
	unsigned int flags;
	int fd, tag;
};

static int notify_fn(void *arg)
{
	const struct notify_args *a = arg;

	return block_notify(AT_FDCWD, a->path, a->flags, a->fd, a->tag);
}

static int watch_as(const struct someone *who, const char *path,
		    unsigned int flags, int fd, int tag)
{
	struct notify_args args = { path, flags, fd, tag };

	return run_as(who, notify_fn, &args);
}

TEST_F(block, all)
{
	struct queue *q = &self->queue, other;
	unsigned long long dev, dev2;
	union record rec;
	int fd;

	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	fd = other.fd;

	/* Nothing but these arguments. */
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "/dev", BLOCK_NOTIFY_ALL, fd, 1));
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, "", BLOCK_NOTIFY_ALL, fd, 1));
	EXPECT_EQ(-EINVAL, block_notify(fd, NULL, BLOCK_NOTIFY_ALL, fd, 1));
	EXPECT_EQ(-EINVAL, block_notify(AT_FDCWD, NULL,
					BLOCK_NOTIFY_ALL | AT_EMPTY_PATH, fd, 1));
	EXPECT_EQ(-EINVAL, watch_all(fd, 256));
	EXPECT_EQ(-EBADF, watch_all(-1, 1));
	EXPECT_EQ(-EBADSLT, watch_all(fd, -1));

	/* For root, and the one of the machine. */
	EXPECT_EQ(-EPERM, watch_as(&alice, NULL, BLOCK_NOTIFY_ALL, fd, 1));
	if (have_userns())
		EXPECT_EQ(-EPERM, watch_as(&alice_as_root, NULL, BLOCK_NOTIFY_ALL, fd, 1));

	dev = disk_or_skip(_metadata, &self->disks[0], "disk",
			   "memory_backed=1");
	if (!dev)
		return;
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));

	/* Those that are there, and those to come. */
	ASSERT_EQ(0, watch_all(fd, NEW_TAG));
	EXPECT_EQ(-EBUSY, watch_all(fd, 1));
	ASSERT_EQ(0, add_disk(&self->disks[1], "new", "memory_backed=1"));
	dev2 = device_number("new");
	ASSERT_EQ(0, disk_set(&self->disks[1], "badblocks", "+200-201"));
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 96, 8));
	expect_any(_metadata, &other, dev, 96, 8);
	ASSERT_EQ(-EIO, do_io("new", IO_READ, 200, 1));
	expect_any(_metadata, &other, dev2, 200, 1);

	/* What happens in a partition happens on the disk, once. */
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
	ASSERT_EQ(-EIO, do_io("disk1", IO_READ, 32, 8));
	expect_any(_metadata, &other, dev, 96, 8);
	expect_not(_metadata, &other, dev);

	/* Watches of single ones are apart from it, of the same queue too. */
	ASSERT_EQ(0, watch_dev("disk1", q->fd, TAG));
	ASSERT_EQ(0, watch_dev("disk", fd, TAG));
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 96, 8));
	expect_io(_metadata, q, TAG, device_number("disk1"), OP_READ, 32, 8);
	expect_any(_metadata, &other, dev, 96, 8);
	expect_io(_metadata, &other, TAG, dev, OP_READ, 96, 8);

	/* It outlives every device. */
	disk_put(&self->disks[0]);
	do {
		ASSERT_EQ(1, queue_next(&other, &rec, SOON));
	} while (rec_type(&rec) != WATCH_TYPE_META);
	ASSERT_EQ(dev, rec.removal.id);
	ASSERT_EQ(TAG, rec_tag(&rec));
	ASSERT_EQ(-EIO, do_io("new", IO_READ, 200, 1));
	expect_any(_metadata, &other, dev2, 200, 1);

	ASSERT_EQ(0, watch_all(fd, -1));
	EXPECT_EQ(-EBADSLT, watch_all(fd, -1));
	ASSERT_EQ(-EIO, do_io("new", IO_READ, 200, 1));
	expect_not(_metadata, &other, dev2);
	queue_close(&other);
}

static int open_fn(void *arg)
{
	int fd = sys_open(arg, O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd < 0 ? fd : 0;
}

/* Whoever may open it for reading may watch it, and nobody else. */
static void expect_may(struct __test_metadata *_metadata, struct queue *q,
		       const struct someone *who, const char *node, int error)
{
	ASSERT_EQ(error, run_as(who, open_fn, (void *)node));
	ASSERT_EQ(error, watch_as(who, node, 0, q->fd, TAG));
	if (!error) {
		ASSERT_EQ(0, watch_dev(node, q->fd, -1));
		expect_removal(_metadata, q, TAG, device_number(node));
	}
}

TEST_F(block, permissions)
{
	static const struct someone in_group = { .uid = BOB, .group = ALICE };
	struct queue *q = &self->queue;
	unsigned long long dev;

	dev = disk_or_skip(_metadata, &self->disks[0], "disk",
			   "memory_backed=1");
	if (!dev)
		return;
	ASSERT_EQ(0, mkdir("private", 0700));
	ASSERT_EQ(0, mkdir("nodev", 0755));
	ASSERT_EQ(0, sys_mount("none", "nodev", "tmpfs", MS_NODEV, "mode=755"));
	ASSERT_EQ(0, make_node(self->disks[0].name, "private/disk"));
	ASSERT_EQ(0, make_node(self->disks[0].name, "nodev/disk"));
	ASSERT_EQ(0, chmod("private/disk", 0666));
	ASSERT_EQ(0, chmod("nodev/disk", 0666));

	/* The mode of the node. */
	expect_may(_metadata, q, &root, "disk", 0);
	expect_may(_metadata, q, &alice, "disk", -EACCES);
	ASSERT_EQ(0, chmod("disk", 0222));
	expect_may(_metadata, q, &alice, "disk", -EACCES);
	ASSERT_EQ(0, chmod("disk", 0644));
	expect_may(_metadata, q, &alice, "disk", 0);
	ASSERT_EQ(0, chmod("disk", 0640));
	ASSERT_EQ(0, chown("disk", 0, ALICE));
	expect_may(_metadata, q, &alice, "disk", 0);
	expect_may(_metadata, q, &in_group, "disk", 0);
	expect_may(_metadata, q, &bob, "disk", -EACCES);

	/* The path, and the mount, which root must heed too. */
	expect_may(_metadata, q, &alice, "private/disk", -EACCES);
	expect_may(_metadata, q, &alice, "nodev/disk", -EACCES);
	expect_may(_metadata, q, &root, "nodev/disk", -EACCES);

	/* Her watch tells her, whatever becomes of the mode; anybody may remove it. */
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+100-101"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, chmod("disk", 0644));
	ASSERT_EQ(0, watch_as(&alice, "disk", 0, q->fd, TAG));
	ASSERT_EQ(0, chmod("disk", 0600));
	ASSERT_EQ(-EIO, do_io("disk", IO_READ, 96, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 96, 8);
	ASSERT_EQ(0, watch_as(&bob, "disk", 0, q->fd, -1));
	expect_removal(_metadata, q, TAG, dev);

	if (!have_userns())
		SKIP(return, "no user namespaces");
	expect_may(_metadata, q, &alice_as_root, "disk", -EACCES);
	expect_may(_metadata, q, &alice_as_root, "nodev/disk", -EACCES);
	ASSERT_EQ(0, chmod("disk", 0644));
	expect_may(_metadata, q, &alice_as_root, "disk", 0);
}

/* The device cgroup has its say on reading, not on writing. */
TEST_F(block, device_cgroup)
{
	struct queue *q = &self->queue;
	unsigned long long dev;
	char group[32], path[64], what[48];

	dev = disk_or_skip(_metadata, &self->disks[0], "disk", "");
	if (!dev)
		return;
	ASSERT_EQ(0, mkdir("cgroup", 0755));
	if (sys_mount("none", "cgroup", "cgroup", 0, "devices"))
		SKIP(return, "no device cgroup of version 1");
	snprintf(group, sizeof(group), "cgroup/watch_queue%d", getpid());
	ASSERT_EQ(0, mkdir(group, 0755));
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	ASSERT_EQ(0, write_string(path, "0"));

	snprintf(path, sizeof(path), "%s/devices.deny", group);
	snprintf(what, sizeof(what), "b %llu:%llu w", dev >> 20, dev & 0xfffff);
	EXPECT_EQ(0, write_string(path, what));
	expect_may(_metadata, q, &root, "disk", 0);
	snprintf(what, sizeof(what), "b %llu:%llu r", dev >> 20, dev & 0xfffff);
	EXPECT_EQ(0, write_string(path, what));
	EXPECT_EQ(-EPERM, run_as(&root, open_fn, "disk"));
	EXPECT_EQ(-EPERM, watch_as(&root, "disk", 0, q->fd, TAG));

	EXPECT_EQ(0, write_string("cgroup/cgroup.procs", "0"));
	expect_may(_metadata, q, &root, "disk", 0);
	EXPECT_EQ(0, rmdir(group));
}

/*
 * A filesystem in user space with nothing but "disk", which it claims to be the
 * device @dev that anybody may read.
 */
#define FUSE_NODE	"fuse.dev"

union fuse_body {
	struct fuse_init_out init;
	struct fuse_attr_out attr;
	struct fuse_entry_out entry;
};

static void fuse_attr(struct fuse_attr *attr, unsigned int ino, uint64_t dev)
{
	const unsigned int maj = dev >> 20, min = dev & 0xfffff;

	attr->ino = ino;
	attr->nlink = 1;
	attr->mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFBLK | 0666;
	if (ino != FUSE_ROOT_ID)
		attr->rdev = (min & 0xff) | maj << 8 | (min & ~0xff) << 12;
}

/* How long the answer is. */
static uint64_t fuse_reply(const struct fuse_in_header *in, uint64_t dev,
			   union fuse_body *body, int *error)
{
	switch (in->opcode) {
	case FUSE_INIT:
		body->init.major = FUSE_KERNEL_VERSION;
		body->init.minor = FUSE_KERNEL_MINOR_VERSION;
		body->init.max_write = 4096;
		return sizeof(body->init);
	case FUSE_GETATTR:
		fuse_attr(&body->attr.attr, in->nodeid, dev);
		return sizeof(body->attr);
	case FUSE_LOOKUP:
		if (strcmp((const char *)(in + 1), "disk"))
			break;
		body->entry.nodeid = FUSE_ROOT_ID + 1;
		fuse_attr(&body->entry.attr, FUSE_ROOT_ID + 1, dev);
		return sizeof(body->entry);
	}
	*error = in->opcode == FUSE_LOOKUP ? -ENOENT : -ENOSYS;
	return 0;
}

static void serve_fuse(int fd, uint64_t dev)
{
	union {
		struct fuse_in_header header;
		uint8_t bytes[FUSE_MIN_READ_BUFFER];
	} in;
	struct {
		struct fuse_out_header header;
		union fuse_body body;
	} out;

	while (read(fd, &in, sizeof(in)) >= (int)sizeof(in.header)) {
		if (in.header.opcode == FUSE_FORGET ||
		    in.header.opcode == FUSE_BATCH_FORGET)
			continue;
		memset(&out, 0, sizeof(out));
		out.header.unique = in.header.unique;
		out.header.len = sizeof(out.header) +
			fuse_reply(&in.header, dev, &out.body, &out.header.error);
		if (write(fd, &out, out.header.len) < 0)
			break;
	}
}

struct fuse_args {
	unsigned long long dev;
	int fd;
};

static int fuse_fn(void *arg)
{
	const struct fuse_args *a = arg;
	int fd, ret, opened;
	char options[80];
	pid_t pid;

	fd = sys_open(FUSE_NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = or_errno(unshare(CLONE_NEWNS));
	if (ret)
		return ret;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions", fd);
	ret = sys_mount("none", "fuse", "fuse", 0, options);
	if (ret)
		return ret;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_fuse(fd, a->dev);
		_exit(0);
	}
	close(fd);
	opened = open_fn("fuse/disk");
	ret = watch_dev("fuse/disk", a->fd, TAG);
	if (ret != opened)
		ret = -EPROTO;
	if (!ret)
		ret = watch_dev("fuse/disk", a->fd, -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ret;
}

/* Whoever mounts it can make it show any device, but not make it work. */
TEST_F(block, fuse)
{
	struct fuse_args args = { .fd = self->queue.fd };
	struct queue *q = &self->queue;
	int ret;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk", ""))
		return;
	args.dev = device_number("disk");
	ASSERT_EQ(0, mkdir("fuse", 0755));
	ASSERT_EQ(0, mknod(FUSE_NODE, S_IFCHR | 0666, makedev(10, 229)));
	ASSERT_EQ(0, chmod(FUSE_NODE, 0666));

	/* Root can mount it so that the node works, as mknod() by root would. */
	ret = run_as(&root, fuse_fn, &args);
	if (is_absent(ret) || ret == -ENXIO)
		SKIP(return, "no FUSE");
	ASSERT_EQ(0, ret);
	expect_removal(_metadata, q, TAG, args.dev);

	if (!have_userns())
		SKIP(return, "no user namespaces");
	EXPECT_EQ(-EACCES, run_as(&alice_as_root, fuse_fn, &args));
	args.dev = 8 << 20;
	EXPECT_EQ(-EACCES, run_as(&alice_as_root, fuse_fn, &args));
	expect_nothing(_metadata, q);
}

/*
 * A storm of errors, from two processes, on a queue with little room: all of
 * them are seen or counted as lost, and the machine goes on to do other things.
 * BLOCK_STORM is how many there are.  A pipe does not count, so less will do.
 */
#define STORM_NODE	"disk"
#define PER_READ	256	/* As many requests as the disk makes of one read */

#define FIRST_READS	16	/* After so many the queue has no room */

static void make_storm(unsigned int reads, unsigned int *done)
{
	while (reads--) {
		if (do_io(STORM_NODE, IO_READ, 0, PER_READ * 8) != -EIO)
			_exit(1);
		__atomic_add_fetch(done, 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

static uint64_t milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

TEST_F_TIMEOUT(block, storm, 600)
{
	const unsigned int most = variant->kind == QUEUE_DEVICE ? 1000000 : 100000;
	const char *number = getenv("BLOCK_STORM");
	const unsigned int reads = (number ? atoi(number) : most) / (2 * PER_READ) + 1;
	const uint64_t total = 2ULL * reads * PER_READ;
	uint64_t seen = 0, lost = 0, start, now, worst = 0, begun;
	struct queue *q = &self->queue;
	unsigned int i, live = 2, losses = 0, *done;
	unsigned long long dev;
	pid_t pids[2];
	union record rec;
	int ret, status;

	ASSERT_LE(FIRST_READS, 2 * reads);
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, done);
	dev = disk_or_skip(_metadata, &self->disks[0], STORM_NODE,
			   "max_sectors=8");
	if (!dev)
		return;
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+0-2047"));
	ASSERT_EQ(0, watch_dev(STORM_NODE, q->fd, TAG));

	begun = milliseconds();
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			make_storm(reads, done);
		}
	}
	while (__atomic_load_n(done, __ATOMIC_RELAXED) < FIRST_READS)
		sleep_for(10);

	/* Read at leisure, and see how long it takes to wake up. */
	while (live || ret == 1) {
		ret = queue_next(q, &rec, 0);
		ASSERT_LE(0, ret);
		if (ret == 1 && rec_type(&rec) == WATCH_TYPE_META) {
			ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
			lost += rec.loss.nr_lost;
			losses++;
		} else if (ret == 1) {
			ASSERT_EQ(dev, record_dev(&rec));
			ASSERT_EQ(8, rec.block.nr_sectors);
			ASSERT_EQ(EIO, rec.block.error);
			seen++;
		}
		if (ret == 1 && (!live || seen % 32))
			continue;
		start = milliseconds();
		sleep_for(10);
		now = milliseconds();
		worst = MAX(worst, now - start);
		for (i = 0; live && i < 2; i++) {
			if (!pids[i] || waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			ASSERT_EQ(0, status);
			pids[i] = 0;
			live--;
			ret = 1;
		}
	}
	TH_LOG("%llu errors, %llu of them seen, in %llu ms; asleep for 10 ms: at most %llu",
	       (unsigned long long)total, (unsigned long long)seen,
	       (unsigned long long)(milliseconds() - begun), (unsigned long long)worst);

	ASSERT_LT(0, seen);
	ASSERT_LT(0, losses);
	ASSERT_GT(5000, worst);
	if (variant->kind == QUEUE_DEVICE) {
		ASSERT_EQ(total, seen + lost);
		ASSERT_EQ(lost, q->ring->lost);
	} else {
		ASSERT_GT(total, seen);
	}

	/* As if nothing had been. */
	ASSERT_EQ(-EIO, do_io(STORM_NODE, IO_READ, 40, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 40, 8);
	expect_nothing(_metadata, q);
}

/*
 * Watches are set and removed while a partition and its disk come, fail and go.
 * Each tells of its end, and nothing after that.
 */
struct churn {
	unsigned int added[2], gone[2], errors, lost;
};

static void read_churn(struct __test_metadata *_metadata, struct queue *q,
		       struct churn *c)
{
	union record rec;
	unsigned int tag;
	int ret;

	while ((ret = queue_next(q, &rec, 0)) == 1) {
		if (rec_type(&rec) == WATCH_TYPE_META &&
		    rec_subtype(&rec) == WATCH_META_LOSS_NOTIFICATION) {
			c->lost++;
			continue;
		}
		tag = rec_tag(&rec);
		ASSERT_GT(2, tag);
		if (!c->lost)
			ASSERT_LT(c->gone[tag], c->added[tag]);
		if (rec_type(&rec) == WATCH_TYPE_META) {
			ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
			c->gone[tag]++;
			continue;
		}
		ASSERT_EQ(WATCH_TYPE_BLOCK_NOTIFY, rec_type(&rec));
		ASSERT_EQ(tag ? 32 : 96, rec.block.sector);
		c->errors++;
	}
	ASSERT_EQ(0, ret);
}

/* -ENOENT if the node is just not there, -ENXIO if the device is not. */
static int change_watch(const char *node, int fd, int tag)
{
	int ret = watch_dev(node, fd, tag);

	return ret == -ENOENT || ret == -ENXIO ? -EAGAIN : ret;
}

static void make_churn(struct disk *disk)
{
	unsigned int i, n;

	for (i = 0; i < 15; i++) {
		if (disk_set(disk, "badblocks", "+100-101"))
			_exit(1);
		for (n = 0; n < 8; n++) {
			if (do_io("disk1", IO_READ, 32, 8) != -EIO ||
			    delete_partition("disk", 1) ||
			    add_part(disk, "disk", 1, 64, 64))
				_exit(2);
		}
		if (disk_remove(disk) || disk_set(disk, "power", "1") ||
		    add_part(disk, "disk", 1, 64, 64))
			_exit(3);
	}
	_exit(0);
}

TEST_F_TIMEOUT(block, churn, 300)
{
	static const char * const nodes[] = { "disk", "disk1" };
	struct queue *q = &self->queue, all;
	unsigned int i, n = 0, heard = 0;
	struct churn c = { };
	union record rec;
	int ret, status;
	pid_t pid;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk",
			  "memory_backed=1 irqmode=2"))
		return;
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
	ASSERT_EQ(0, queue_open(&all, variant->kind, variant->size));
	ASSERT_EQ(0, watch_all(all.fd, NEW_TAG));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		make_churn(&self->disks[0]);
	}

	while (waitpid(pid, &status, WNOHANG) == 0) {
		for (i = 0; i < 2; i++) {
			ret = change_watch(nodes[i], q->fd, i);
			ASSERT_TRUE(ret == 0 || ret == -EBUSY || ret == -EAGAIN);
			c.added[i] += ret == 0;
			if (++n % 5)
				continue;
			ret = change_watch(nodes[i], q->fd, -1);
			ASSERT_TRUE(ret == 0 || ret == -EBADSLT || ret == -EAGAIN);
		}
		read_churn(_metadata, q, &c);
		while ((ret = queue_next(&all, &rec, 0)) == 1)
			heard++;
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, status);

	for (i = 0; i < 2; i++) {
		ret = watch_dev(nodes[i], q->fd, -1);
		ASSERT_TRUE(ret == 0 || ret == -EBADSLT);
	}
	read_churn(_metadata, q, &c);
	ASSERT_LT(0, c.added[0]);
	ASSERT_LT(0, c.added[1]);
	ASSERT_LT(0, heard);
	if (!c.lost) {
		ASSERT_EQ(c.added[0], c.gone[0]);
		ASSERT_EQ(c.added[1], c.gone[1]);
	}
	queue_close(&all);
}

TEST_HARNESS_MAIN
