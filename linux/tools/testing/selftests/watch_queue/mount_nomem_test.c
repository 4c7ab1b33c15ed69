// SPDX-License-Identifier: GPL-2.0
/* Out of memory: a mount is watched, or is made where mounts are watched. */

#include <sys/stat.h>

#include "mounts.h"

#include "nomem.h"

static int call_mount(const void *arg)
{
	const struct queue *q = arg;

	return mount_notify(AT_FDCWD, "/", 0, q->fd, TAG);
}

TEST_F(nomem, watches)
{
	if (mount_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "not configured");
	expect_nomem_watch(_metadata, self->attempt, call_mount, &self->queue);
}

/* A tree of two mounts, which propagates. */
static int call_attach(const void *arg)
{
	(void)arg;
	return attach(sys_open_tree(AT_FDCWD, "tree", OPEN_TREE_CLONE | AT_RECURSIVE), "a", 0);
}

static int make_peers(void)
{
	int ret = enter_tmp(NULL);

	ret = ret ?: or_errno(mkdir("a", 0755) | mkdir("peer", 0755) | mkdir("tree", 0755));
	ret = ret ?: set_propagation(".", MS_SHARED);
	ret = ret ?: sys_mount(".", "peer", NULL, MS_BIND, NULL);
	ret = ret ?: sys_mount("none", "tree", "tmpfs", 0, NULL);
	ret = ret ?: set_propagation("tree", MS_PRIVATE);
	return ret ?: or_errno(mkdir("tree/x", 0755)) ?: sys_mount("x", "tree/x", "tmpfs", 0, NULL);
}

/* Each mount in a namespace that is watched takes some memory more, before it is there. */
TEST_F(nomem, mounts)
{
	struct queue *q = &self->queue;
	unsigned int unwatched, watched;
	union record rec;

	if (mount_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "not configured");
	ASSERT_EQ(0, make_peers());
	unwatched = expect_nomem(_metadata, self->attempt, call_attach, NULL);
	ASSERT_EQ(0, sys_umount("a", MNT_DETACH));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "a", 0, q->fd, TAG));
	watched = expect_nomem(_metadata, self->attempt, call_attach, NULL);
	/* On a kernel for debugging it may be something else that did without memory. */
	if (!self->attempt->injected)
		EXPECT_EQ(unwatched + 4, watched);

	/* What failed made no record. */
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(NOTIFY_MOUNT_NEW_MOUNT, rec_subtype(&rec));
	EXPECT_EQ(mount_id("a"), rec.mount.mnt_id);
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(NOTIFY_MOUNT_NEW_MOUNT, rec_subtype(&rec));
	EXPECT_EQ(mount_id("a/x"), rec.mount.mnt_id);
	EXPECT_EQ(0, queue_next(q, &rec, 0));
}

TEST_HARNESS_MAIN
