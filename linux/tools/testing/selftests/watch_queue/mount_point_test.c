// SPDX-License-Identifier: GPL-2.0
/* Watches on mount points, roots of mounts and automount points. */

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/auto_fs.h>

#include "mount_fixture.h"
#include "mount_model.h"

/* A watch on the root of a mount reports that mount too, and that it moves. */
TEST_F(mount, the_mount_itself)
{
	struct queue *q = &self->queue;
	const uint64_t id = mount_id("/w");
	union record rec;

	if (!variant->at_root)
		SKIP(return, "only for the root of a mount");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));

	ASSERT_EQ(0, set_attr("/w", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(0, rec.watch.info & (SUB | REC | PROP));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, rec.mount.mnt_attr);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, set_propagation("/w", MS_SHARED));
	expect_event(_metadata, q, PROPAGATION, 0, id);
	ASSERT_EQ(0, set_propagation("/w", MS_PRIVATE));
	expect_event(_metadata, q, PROPAGATION, 0, id);

	ASSERT_EQ(0, move("/w", "/o/a"));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(MOVE_TO, rec_subtype(&rec));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	EXPECT_EQ(mount_id("/"), rec.mount.mnt_parent_id);
	EXPECT_EQ(0, rec.mount.mnt_parent_id_old);

	/* Beneath it, which is not below it. */
	ASSERT_EQ(0, attach(tmpfs_fd(0), "/o/a", MOVE_MOUNT_BENEATH));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(MOVE_TO, rec_subtype(&rec));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(0, rec.mount.mnt_parent_id_old);
	EXPECT_NE(mount_id("/"), rec.mount.mnt_parent_id);
	expect_nothing(_metadata, q);

	/* It is still watched there. */
	ASSERT_EQ(0, mount_tmpfs("/o/a/a"));
	expect_event(_metadata, q, NEW, SUB, mount_id("/o/a/a"));
	expect_nothing(_metadata, q);
}

/* Attributes of the mount that a watched directory is in are not below it. */
TEST_F(mount, the_mount_around)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	ASSERT_EQ(0, set_attr("/", 0, MOUNT_ATTR_NODEV, 0));
	ASSERT_EQ(0, set_propagation("/", MS_SHARED));
	if (variant->at_root) {
		ASSERT_EQ(0, set_attr("/w", 0, MOUNT_ATTR_NODEV, 0));
		ASSERT_EQ(0, set_propagation("/w", MS_SHARED));
	}
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	expect_event(_metadata, q, NEW, 0, mount_id("/w/a"));
	expect_nothing(_metadata, q);
}

/* debugfs mounts tracefs on one of its directories if somebody goes there. */
TEST_F(mount, automount)
{
	struct queue *q = &self->queue;
	struct stat st;
	uint64_t id;

	if (sys_mount("watch_queue", "/w/a", "debugfs", 0, NULL) == -ENODEV)
		SKIP(return, "no debugfs");
	if (lstat("/w/a/tracing", &st) < 0)
		SKIP(return, "no automount of tracefs");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, stat("/w/a/tracing/.", &st));
	id = mount_id("/w/a/tracing");
	ASSERT_NE(mount_id("/w/a"), id);
	expect_event(_metadata, q, NEW, SUB | AUTO, id);
	expect_nothing(_metadata, q);

	/* Each time, and on that directory only. */
	ASSERT_EQ(0, sys_umount("/w/a/tracing", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, id);
	ASSERT_EQ(0, stat("/w/a/tracing/.", &st));
	id = mount_id("/w/a/tracing");
	expect_event(_metadata, q, NEW, SUB | AUTO, id);
	ASSERT_EQ(0, bind("/w/a/tracing", "/w/b", 0));
	expect_event(_metadata, q, NEW, SUB, mount_id("/w/b"));
	expect_nothing(_metadata, q);
}

/* The directory can be watched itself, also while nothing can be looked up there. */
TEST_F(mount, automount_point)
{
	struct queue *q = &self->queue;
	struct stat st;

	if (sys_mount("watch_queue", "/w/a", "debugfs", 0, NULL) == -ENODEV)
		SKIP(return, "no debugfs");
	if (lstat("/w/a/tracing", &st) < 0)
		SKIP(return, "no automount of tracefs");
	EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w/a/tracing", 0, q->fd, -1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tracing", AT_NO_AUTOMOUNT, q->fd, TAG));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, stat("/w/a/tracing/.", &st));
	expect_event(_metadata, q, NEW, AUTO, mount_id("/w/a/tracing"));
	expect_nothing(_metadata, q);
}

/* Say of each expiry that it is done, until the mount goes. */
static void expire_autofs(int requests, int root)
{
	union autofs_v5_packet_union packet;

	while (read(requests, &packet, sizeof(packet.expire_indirect)) > 0)
		if (packet.hdr.type == autofs_ptype_expire_indirect)
			ioctl(root, AUTOFS_IOC_READY,
			      packet.expire_indirect.wait_queue_token);
	_exit(0);
}

static int expire_now(int root)
{
	int how = AUTOFS_EXP_IMMEDIATE;

	return ioctl(root, AUTOFS_IOC_EXPIRE_MULTI, &how) ? -errno : 0;
}

/* A watch on directories of autofs does not keep them from being seen as unused. */
TEST_F(mount, autofs_expiry)
{
	struct queue *q = &self->queue;
	int requests[2], root, dir, ret;
	char options[80];
	pid_t pid;

	/* We are the daemon, and so is the child. */
	ASSERT_EQ(0, setpgid(0, 0));
	ASSERT_EQ(0, sys_pipe(requests, O_CLOEXEC));
	snprintf(options, sizeof(options),
		 "fd=%d,pgrp=%d,minproto=5,maxproto=5,indirect", requests[1], getpid());
	ret = sys_mount("none", "/w/a", "autofs", 0, options);
	if (ret == -ENODEV)
		SKIP(return, "no autofs");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, mkdir("/w/a/tree", 0755));
	ASSERT_EQ(0, mkdir("/w/a/tree/leaf", 0755));
	root = sys_open("/w/a", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, root);
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		expire_autofs(requests[0], root);
	}

	/* Who is in there keeps it busy. */
	dir = sys_open("/w/a/tree/leaf", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EAGAIN, expire_now(root));
	close(dir);
	EXPECT_EQ(0, expire_now(root));

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tree", 0, q->fd, TAG));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tree/leaf", 0, q->fd, TAG + 1));
	EXPECT_EQ(0, expire_now(root));
	dir = sys_open("/w/a/tree/leaf", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EAGAIN, expire_now(root));
	close(dir);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tree/leaf", 0, q->fd, -1));
	EXPECT_EQ(0, expire_now(root));

	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &ret, 0));
	close(root);
}

static struct world {
	struct listing before, after;
	struct model model;
} world;

TEST_F(mount, pivot_root)
{
	struct queue *q = &self->queue;
	const uint64_t old_root = mount_id("/");
	const char *wrong;
	uint64_t new_root;

	ASSERT_EQ(0, mount_tmpfs("/o/a"));
	ASSERT_EQ(0, mkdir("/o/a/old", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	new_root = mount_id("/o/a");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, variant->at_root ? "/o/a" : "/o/a/old",
				  0, q->fd, TAG));
	memset(&world.model, 0, sizeof(world.model));
	world.model.mount = new_root;
	world.model.tag = TAG;
	world.model.dir = variant->at_root ? NULL : "/old";
	ASSERT_EQ(0, list_mounts(&world.before, 0));
	/* Nothing is below it yet but, if that is watched, it itself. */
	model_start(&world.model, &world.before);
	ASSERT_EQ(variant->at_root, world.model.nr);

	ASSERT_EQ(0, sys_pivot_root("/o/a", "/o/a/old"));
	ASSERT_EQ(0, chdir("/"));
	ASSERT_EQ(new_root, mount_id("/"));
	ASSERT_EQ(old_root, mount_id("/old"));
	ASSERT_EQ(0, list_mounts(&world.after, 0));
	wrong = model_read(&world.model, q) ?: model_compare(&world.model, &world.after);
	if (wrong)
		model_print(&world.model, &world.after);
	ASSERT_EQ(NULL, wrong) {
		TH_LOG("%s", wrong);
	}
	/* The old root and all below it came; the new one moved. */
	EXPECT_EQ(variant->at_root ? 4 : 2, world.model.nr_records);
}

TEST_HARNESS_MAIN
