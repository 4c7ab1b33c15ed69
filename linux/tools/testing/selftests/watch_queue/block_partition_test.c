// SPDX-License-Identifier: GPL-2.0
/* Errors of partitions, and that no record is missing or too many. */

#include <stdlib.h>
#include <sys/param.h>

#include "block_fixture.h"

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

/* The next error that the tracepoint shows for this disk. */
static int next_traced(struct trace *trace, unsigned long long dev,
		       struct traced *traced)
{
	int ret;

	do {
		ret = trace_next(trace, traced);
	} while (ret == 1 && traced->dev != dev);
	return ret;
}

/*
 * Random requests to a disk and its partitions, and merged ones.  Each watch must
 * have reported what the tracepoint shows for the disk and the range of the watch.
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

TEST_HARNESS_MAIN
