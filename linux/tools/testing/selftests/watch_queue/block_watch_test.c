// SPDX-License-Identifier: GPL-2.0
/* Block device watches: how they are set, by whom, and what ends them. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/fuse.h>
#include <linux/mount.h>

#include "block_fixture.h"

/* A major number for local use, which no driver has. */
#define NO_MAJOR	120

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

/* fdinfo shows the watches, with the number of the device. */
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

	/* With the queue: no other queue gets a record, and nothing remains. */
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

TEST_HARNESS_MAIN
