// SPDX-License-Identifier: GPL-2.0
/*
 * One queue with a watch of each kind: it tells of all that happens, in the order
 * in which it happened, once, each by its tag.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "expect.h"
#include "mounts.h"

#define ROUNDS	200

enum source { KEY, MOUNT, SB, BLOCK, NR_SOURCES };

FIXTURE(sources)
{
	struct queue queue;
	char dir[DIR_SIZE];
	struct disk disk;
	int32_t key;
	bool mounted;
	void *page;
};

QUEUE_VARIANTS(sources, 64, 1);

static int watch(struct _test_data_sources *self, enum source source, int tag)
{
	const int fd = self->queue.fd;

	switch (source) {
	case KEY:
		return watch_key(self->key, fd, tag);
	case MOUNT:
		return mount_notify(AT_FDCWD, "mnt", 0, fd, tag);
	case SB:
		return sb_notify(AT_FDCWD, "mnt", 0, fd, tag);
	default:
		return block_notify(AT_FDCWD, DISK_NODE, 0, fd, tag);
	}
}

/* Have something happen that makes so many records; or -errno. */
static int cause(struct _test_data_sources *self, enum source source)
{
	int fd, ret;

	switch (source) {
	case KEY:
		return update_key(self->key) ?: 1;
	case MOUNT:
		if (self->mounted)
			ret = sys_umount("mnt/x", 0);
		else
			ret = sys_mount("mnt/x", "mnt/x", NULL, MS_BIND, NULL);
		self->mounted = !self->mounted;
		return ret ?: 1;
	case SB:
		return touch_sb("mnt") ?: 2;
	default:
		fd = sys_open(DISK_NODE, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			return fd;
		ret = pread(fd, self->page, 4096, 0) < 0 ? -errno : -EPROTO;
		close(fd);
		return ret == -EIO ? 1 : ret;
	}
}

static void expect_records(struct __test_metadata *_metadata, struct queue *q,
			   enum source source, int nr)
{
	static const struct {
		unsigned int type, subtypes;
	} of[NR_SOURCES] = {
		{ WATCH_TYPE_KEY_NOTIFY, 1 << NOTIFY_KEY_UPDATED },
		{ WATCH_TYPE_MOUNT_NOTIFY,
		  1 << NOTIFY_MOUNT_NEW_MOUNT | 1 << NOTIFY_MOUNT_UNMOUNT },
		{ WATCH_TYPE_SB_NOTIFY, 1 << NOTIFY_SUPERBLOCK_RECONFIGURED },
		{ WATCH_TYPE_BLOCK_NOTIFY, 1 << NOTIFY_BLOCK_ERROR_IO },
	};
	union record rec;

	while (nr--) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(of[source].type, rec_type(&rec));
		ASSERT_NE(0, of[source].subtypes & 1 << rec_subtype(&rec));
		ASSERT_EQ(source, rec_tag(&rec));
	}
}

FIXTURE_SETUP(sources)
{
	enum source source;
	int ret;

	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;
	if (sb_notify(-1, "", 0, -1, 0) == -ENOSYS || block_notify(-1, "", 0, -1, 0) == -ENOSYS ||
	    mount_notify(AT_FDCWD, "/", 0, -1, 0) == -ENOSYS)
		SKIP(return, "not all sources are configured");

	ASSERT_EQ(0, enter_dir(self->dir));
	ASSERT_EQ(0, posix_memalign(&self->page, 4096, 4096));
	ret = disk_add(&self->disk, 1);
	if (ret == -ENOENT || ret == -ENODEV)
		SKIP(return, "no null_blk");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, disk_fail(&self->disk, 1, true));
	ASSERT_EQ(0, mkdir("mnt", 0755));
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("mnt/x", 0755));
	self->key = add_key("user", "watch_queue:key", "x", join_new_session());
	ASSERT_LT(0, self->key);
	for (source = 0; source < NR_SOURCES; source++)
		ASSERT_EQ(0, watch(self, source, source));
}

FIXTURE_TEARDOWN(sources)
{
	queue_close(&self->queue);
	disk_put(&self->disk);
	leave_dir(self->dir);
}

TEST_F(sources, order)
{
	const unsigned int seed = time(NULL);
	enum source order[8];
	int nr[8], i, n;

	TH_LOG("seed %u", seed);
	srandom(seed);
	for (i = 0; i < ROUNDS; i++) {
		for (n = 0; n < ARRAY_SIZE(order); n++) {
			order[n] = random() % NR_SOURCES;
			nr[n] = cause(self, order[n]);
			ASSERT_LT(0, nr[n]);
		}
		for (n = 0; n < ARRAY_SIZE(order); n++)
			expect_records(_metadata, &self->queue, order[n], nr[n]);
		expect_nothing(_metadata, &self->queue);
	}
}

/* Each watch goes by itself. */
TEST_F(sources, removal)
{
	struct queue *q = &self->queue;
	enum source source, gone;
	union record rec;
	int nr;

	for (gone = 0; gone < NR_SOURCES; gone++) {
		EXPECT_EQ(-EBUSY, watch(self, gone, NR_SOURCES));
		ASSERT_EQ(0, watch(self, gone, -1));
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(gone, rec_tag(&rec));
		EXPECT_EQ(-EBADSLT, watch(self, gone, -1));
		for (source = 0; source < NR_SOURCES; source++) {
			nr = cause(self, source);
			ASSERT_LT(0, nr);
			if (source > gone)
				expect_records(_metadata, q, source, nr);
			expect_nothing(_metadata, q);
		}
	}
}

TEST_HARNESS_MAIN
