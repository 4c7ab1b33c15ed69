// SPDX-License-Identifier: GPL-2.0
/* The records of errors of disks, the same over both kinds of queue. */

#include <errno.h>

#include "block_fixture.h"

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

TEST_HARNESS_MAIN
