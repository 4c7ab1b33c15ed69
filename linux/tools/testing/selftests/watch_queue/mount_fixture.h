/* SPDX-License-Identifier: GPL-2.0 */
/* A mount namespace of its own for each test of mount watches. */
#ifndef SELFTESTS_WATCH_QUEUE_MOUNT_FIXTURE_H
#define SELFTESTS_WATCH_QUEUE_MOUNT_FIXTURE_H

#include <sys/stat.h>
#include <sys/syscall.h>

#include "mounts.h"

#include "expect.h"

#define TAG		0x5a

#define SUB		NOTIFY_MOUNT_IN_SUBTREE
#define REC		NOTIFY_MOUNT_RECURSIVE
#define RO		NOTIFY_MOUNT_IS_NOW_RO
#define PROP		NOTIFY_MOUNT_PROPAGATED
#define AUTO		NOTIFY_MOUNT_IS_SUBMOUNT

#define NEW		NOTIFY_MOUNT_NEW_MOUNT
#define UNMOUNT		NOTIFY_MOUNT_UNMOUNT
#define EXPIRY		NOTIFY_MOUNT_EXPIRY
#define READONLY	NOTIFY_MOUNT_READONLY
#define SETATTR		NOTIFY_MOUNT_SETATTR
#define MOVE_FROM	NOTIFY_MOUNT_MOVE_FROM
#define MOVE_TO		NOTIFY_MOUNT_MOVE_TO
#define PROPAGATION	NOTIFY_MOUNT_PROPAGATION
#define RESCAN		NOTIFY_MOUNT_RESCAN

FIXTURE(mount)
{
	int home;		/* The namespace that the test came from */
	int proc;		/* Its /proc */
	struct queue queue;
};

/*
 * What is watched is always "/w": a directory of the filesystem at the root, or
 * the root directory of a mount.
 */
FIXTURE_VARIANT(mount)
{
	enum queue_kind kind;
	unsigned int size;
	bool at_root;
};

FIXTURE_VARIANT_ADD(mount, pipe_dir)
{
	.kind = QUEUE_PIPE,
	.size = 128,
};

FIXTURE_VARIANT_ADD(mount, pipe_root)
{
	.kind = QUEUE_PIPE,
	.size = 128,
	.at_root = true,
};

FIXTURE_VARIANT_ADD(mount, device_dir)
{
	.kind = QUEUE_DEVICE,
	.size = 4,
};

FIXTURE_VARIANT_ADD(mount, device_root)
{
	.kind = QUEUE_DEVICE,
	.size = 4,
	.at_root = true,
};

static inline int mount_tmpfs(const char *path)
{
	return sys_mount("watch_queue", path, "tmpfs", 0, NULL);
}

static inline int bind(const char *from, const char *to, unsigned long flags)
{
	return sys_mount(from, to, NULL, MS_BIND | flags, NULL);
}

/*
 * A namespace of nothing but a private tmpfs with "/w" to watch, which has the
 * directories a, b and c, and "/o", which has them too.
 */
static inline int build_world(bool at_root)
{
	static const char * const dirs[] = {
		"/w/a", "/w/b", "/w/c", "/o", "/o/a", "/o/b", "/o/c",
	};
	unsigned int i;
	int ret;

	ret = enter_empty_mntns();
	if (!ret)
		ret = mkdir("/w", 0755) ? -errno : 0;
	if (!ret && at_root)
		ret = mount_tmpfs("/w");
	for (i = 0; i < ARRAY_SIZE(dirs) && !ret; i++)
		ret = mkdir(dirs[i], 0755) ? -errno : 0;
	return ret;
}

FIXTURE_SETUP(mount)
{
	int ret;

	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	ret = mount_notify(AT_FDCWD, "/", 0, self->queue.fd, -1);
	if (ret == -ENOSYS)
		SKIP(return, "no CONFIG_MOUNT_NOTIFICATIONS");
	ASSERT_EQ(-EBADSLT, ret);

	self->home = sys_open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->home);
	self->proc = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->proc);
	ASSERT_EQ(0, build_world(variant->at_root));
}

FIXTURE_TEARDOWN(mount)
{
	queue_close(&self->queue);
}

static inline int ns_fd(int proc)
{
	int fd = syscall(__NR_openat, proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline void expect_event(struct __test_metadata *_metadata,
				struct queue *q, unsigned int subtype,
				unsigned int flags, uint64_t id)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
	ASSERT_EQ(sizeof(rec.mount), rec_len(&rec));
	ASSERT_EQ(TAG, rec_tag(&rec));
	ASSERT_EQ(subtype, rec_subtype(&rec));
	ASSERT_EQ(flags, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(id, rec.mount.mnt_id);
}

/* A worker posts it, some time after what it is posted for. */
static inline void expect_rescan(struct __test_metadata *_metadata, struct queue *q,
				 unsigned int tag, uint64_t mount)
{
	struct mount_notification expected = { .mnt_id = mount };
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
	ASSERT_EQ(sizeof(rec.mount), rec_len(&rec));
	ASSERT_EQ(tag, rec_tag(&rec));
	ASSERT_EQ(RESCAN, rec_subtype(&rec));
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	expected.watch = rec.watch;
	ASSERT_EQ(0, memcmp(&expected, &rec.mount, sizeof(expected)));
}

static inline int move(const char *from, const char *to)
{
	return sys_mount(from, to, NULL, MS_MOVE, NULL);
}

/* A mount with another one below it. */
static inline int tree_at(const char *dir)
{
	char path[32];
	int ret;

	ret = mount_tmpfs(dir);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/x", dir);
	mkdir(path, 0755);
	return mount_tmpfs(path);
}

#endif /* SELFTESTS_WATCH_QUEUE_MOUNT_FIXTURE_H */
