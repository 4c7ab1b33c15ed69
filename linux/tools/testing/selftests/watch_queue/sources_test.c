// SPDX-License-Identifier: GPL-2.0
/*
 * One queue with a watch of each kind: it reports all that happens, in the order
 * in which it happened, once, each with the tag of its watch.  A source takes
 * part if the headers and the kernel have it.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/mount.h>

#include "disk.h"
#include "expect.h"
#include "keyrings.h"

#define ROUNDS	200

FIXTURE(sources)
{
	struct queue queue;
	char dir[DIR_SIZE];
	struct disk disk;
	int32_t key, keyring, child;
	bool mounted;
	void *page;
};

QUEUE_VARIANTS(sources, 64, 1);

/* Watch the key by itself. */
static int watch_one_key(struct _test_data_sources *self, int tag)
{
	return watch_key(self->key, self->queue.fd, tag);
}

static int cause_key(struct _test_data_sources *self)
{
	return update_key(self->key) ?: 1;
}

/* Watch another key by the keyring that it is in. */
static int watch_children(struct _test_data_sources *self, int tag)
{
	return watch_keyring(self->keyring, self->queue.fd, tag,
			     tag < 0 ? 0 : KEYCTL_WATCH_CHILDREN);
}

static int cause_child(struct _test_data_sources *self)
{
	return update_key(self->child) ?: 1;
}

#ifdef __NR_mount_notify
static int watch_mount(struct _test_data_sources *self, int tag)
{
	return or_errno(syscall(__NR_mount_notify, AT_FDCWD, "mnt", 0,
				self->queue.fd, tag));
}

static int cause_mount(struct _test_data_sources *self)
{
	int ret;

	if (self->mounted)
		ret = sys_umount("mnt/x", 0);
	else
		ret = sys_mount("mnt/x", "mnt/x", NULL, MS_BIND, NULL);
	self->mounted = !self->mounted;
	return ret ?: 1;
}
#endif

#ifdef __NR_sb_notify
static int watch_sb(struct _test_data_sources *self, int tag)
{
	return or_errno(syscall(__NR_sb_notify, AT_FDCWD, "mnt", 0,
				self->queue.fd, tag));
}

static int cause_sb(struct _test_data_sources *self)
{
	int ret;

	(void)self;
	ret = sys_mount(NULL, "mnt", NULL, MS_REMOUNT | MS_LAZYTIME, NULL);
	if (!ret)
		ret = sys_mount(NULL, "mnt", NULL, MS_REMOUNT, NULL);
	return ret ?: 2;
}
#endif

#ifdef __NR_block_notify
static int watch_block(struct _test_data_sources *self, int tag)
{
	return or_errno(syscall(__NR_block_notify, AT_FDCWD, DISK_NODE, 0,
				self->queue.fd, tag));
}

static int cause_block(struct _test_data_sources *self)
{
	int fd, ret;

	fd = sys_open(DISK_NODE, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = pread(fd, self->page, 4096, 0) < 0 ? -errno : -EPROTO;
	close(fd);
	return ret == -EIO ? 1 : ret;
}
#endif

static const struct source {
	const char *name;
	unsigned int type, subtypes;
	int (*watch)(struct _test_data_sources *self, int tag);
	/* Have something happen that makes so many records; or -errno. */
	int (*cause)(struct _test_data_sources *self);
	int nr_objects;		/* That the watch is on: each has its own removal */
} all[] = {
	{ "a key", WATCH_TYPE_KEY_NOTIFY, 1 << NOTIFY_KEY_UPDATED,
	  watch_one_key, cause_key, 1 },
	{ "what is in a keyring", WATCH_TYPE_KEY_NOTIFY, 1 << NOTIFY_KEY_UPDATED,
	  watch_children, cause_child, 2 },
#ifdef __NR_mount_notify
	{ "mounts", WATCH_TYPE_MOUNT_NOTIFY,
	  1 << NOTIFY_MOUNT_NEW_MOUNT | 1 << NOTIFY_MOUNT_UNMOUNT,
	  watch_mount, cause_mount, 1 },
#endif
#ifdef __NR_sb_notify
	{ "a superblock", WATCH_TYPE_SB_NOTIFY, 1 << NOTIFY_SUPERBLOCK_RECONFIGURED,
	  watch_sb, cause_sb, 1 },
#endif
#ifdef __NR_block_notify
	{ "a block device", WATCH_TYPE_BLOCK_NOTIFY, 1 << NOTIFY_BLOCK_ERROR_IO,
	  watch_block, cause_block, 1 },
#endif
};

/* Those that take part.  Their numbers here are their tags. */
static const struct source *sources[ARRAY_SIZE(all)];
static int nr_sources;

static void expect_records(struct __test_metadata *_metadata, struct queue *q,
			   int source, int nr)
{
	union record rec;

	while (nr--) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(sources[source]->type, rec_type(&rec));
		ASSERT_NE(0, sources[source]->subtypes & 1 << rec_subtype(&rec));
		ASSERT_EQ(source, rec_tag(&rec));
	}
}

FIXTURE_SETUP(sources)
{
	unsigned int i;
	int ret;

	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	ASSERT_EQ(0, enter_dir(self->dir));
	ASSERT_EQ(0, posix_memalign(&self->page, 4096, 4096));
	/* Without null_blk there is no disk to watch. */
	ret = disk_add(&self->disk, 1);
	if (ret != -ENOENT && ret != -ENODEV) {
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, disk_fail(&self->disk, 1, true));
	}
	ASSERT_EQ(0, mkdir("mnt", 0755));
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("mnt/x", 0755));
	self->key = add_key("user", "watch_queue:key", "x", join_new_session());
	ASSERT_LT(0, self->key);
	self->keyring = add_key("keyring", "watch_queue:ring", NULL,
				KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->keyring);
	self->child = add_key("user", "watch_queue:child", "x", self->keyring);
	ASSERT_LT(0, self->child);

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ret = all[i].watch(self, nr_sources);
		if (ret == -ENOSYS || ret == -EOPNOTSUPP ||
		    (ret == -ENOENT && !self->disk.live))
			continue;
		ASSERT_EQ(0, ret)
			TH_LOG("%s", all[i].name);
		TH_LOG("with %s", all[i].name);
		sources[nr_sources++] = &all[i];
	}
	if (nr_sources < 2)
		SKIP(return, "less than two sources");
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
	int order[8], nr[8], i, n;

	TH_LOG("seed %u", seed);
	srandom(seed);
	for (i = 0; i < ROUNDS; i++) {
		for (n = 0; n < ARRAY_SIZE(order); n++) {
			order[n] = random() % nr_sources;
			nr[n] = sources[order[n]]->cause(self);
			ASSERT_LT(0, nr[n])
				TH_LOG("%s", sources[order[n]]->name);
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
	union record rec;
	int i, gone, nr;

	for (gone = 0; gone < nr_sources; gone++) {
		EXPECT_EQ(-EBUSY, sources[gone]->watch(self, nr_sources));
		ASSERT_EQ(0, sources[gone]->watch(self, -1));
		for (i = 0; i < sources[gone]->nr_objects; i++) {
			ASSERT_EQ(1, queue_next(q, &rec, SOON));
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
			ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
			ASSERT_EQ(gone, rec_tag(&rec));
		}
		EXPECT_EQ(-EBADSLT, sources[gone]->watch(self, -1));
		for (i = 0; i < nr_sources; i++) {
			nr = sources[i]->cause(self);
			ASSERT_LT(0, nr);
			if (i > gone)
				expect_records(_metadata, q, i, nr);
			expect_nothing(_metadata, q);
		}
	}
}

TEST_HARNESS_MAIN
