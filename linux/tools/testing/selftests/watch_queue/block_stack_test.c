// SPDX-License-Identifier: GPL-2.0
/* Errors of devices on other devices, and every status that there is. */

#include <errno.h>
#include <sys/stat.h>

#include "block_fixture.h"

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

TEST_HARNESS_MAIN
