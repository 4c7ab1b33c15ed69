// SPDX-License-Identifier: GPL-2.0
/* Superblock watches that extend to automounts. */

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/auto_fs.h>

#include "sb_fixture.h"

/* Expect the removal of two watches, in whatever order. */
static void expect_removals(struct __test_metadata *_metadata, struct queue *q,
			    unsigned int tag, uint64_t id1, uint64_t id2)
{
	uint64_t ids[2] = { 0, 0 };
	union record rec;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(tag, rec_tag(&rec));
		ids[i] = rec.removal.id;
	}
	ASSERT_TRUE((ids[0] == id1 && ids[1] == id2) ||
		    (ids[0] == id2 && ids[1] == id1));
}

/* Mount debugfs at "debug": its superblock's identifier; or skip the test: 0. */
static uint64_t debugfs_or_skip(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, mkdir("debug", 0755));
	if (sys_mount("none", "debug", "debugfs", 0, NULL) == -ENODEV)
		SKIP(return 0, "no debugfs");
	ASSERT_NE(0, sb_id("debug"));
	return sb_id("debug");
}

/* The same, and have it mount tracefs at "debug/tracing". */
static uint64_t automount_or_skip(struct __test_metadata *_metadata)
{
	uint64_t debug = debugfs_or_skip(_metadata);

	if (debug && !sb_id("debug/tracing"))
		SKIP(return 0, "no automount of tracefs");
	return debug;
}

/* debugfs mounts tracefs on one of its directories if somebody goes there. */
TEST_F(sb, automount)
{
	struct queue *q = &self->queue;
	uint64_t debug, trace;

	debug = debugfs_or_skip(_metadata);
	if (!debug)
		return;

	/* One can watch what is beneath, without that it happens. */
	if (sb_notify(AT_FDCWD, "debug/tracing", AT_NO_AUTOMOUNT, q->fd, 0) == -ENOENT)
		SKIP(return, "no automount of tracefs");
	ASSERT_EQ(debug, sb_id("debug/tracing"));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, 0, debug);

	/* The watch asked for no more than debugfs itself. */
	ASSERT_EQ(0, watch_sb("debug", q->fd, TAG));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	trace = sb_id("debug/tracing");
	ASSERT_NE(debug, trace);
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, TAG, debug);

	/* This one asks for more. */
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(debug, sb_id("debug/tracing"));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(trace, sb_id("debug/tracing"));
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, trace,
		     0, MS_LAZYTIME);
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, trace,
		     MS_LAZYTIME, 0);

	/* To watch it again is refused, and it goes with the first one. */
	ASSERT_EQ(-EBUSY, watch_sb("debug/tracing", q->fd, NEW_TAG));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removals(_metadata, q, TAG, debug, trace);
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBADSLT, watch_sb("debug/tracing", q->fd, -1));

	/* Where there is a watch already, that one stays as it is. */
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, NEW_TAG));
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, TAG, debug);
	ASSERT_EQ(0, reconfigure("debug/tracing", "lazytime", NULL));
	ASSERT_EQ(0, reconfigure("debug/tracing", "nolazytime", NULL));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, NEW_TAG, trace,
		     0, MS_LAZYTIME);
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, NEW_TAG, trace,
		     MS_LAZYTIME, 0);
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, -1));
	expect_removal(_metadata, q, NEW_TAG, trace);
}

/* As a user who has no other watch, and may have one; but with root's power. */
static int watch_one_fn(void *arg)
{
	const struct rlimit one = { 1, 1 };

	if (setresuid(100000 + getpid(), 0, 0) || setrlimit(RLIMIT_NOFILE, &one))
		return -errno;
	return notify_fn(arg);
}

/* As a walker who may have none. */
static int walk_fn(void *arg)
{
	const struct rlimit none = { 0, 0 };

	return or_errno(setrlimit(RLIMIT_NOFILE, &none)) ?: look_up(arg);
}

/* The limits of the owner of the watch count, and a record reports that one is hit. */
TEST_F(sb, automount_limits)
{
	struct queue *q = &self->queue;
	struct notify_args one = {
		AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG
	};
	uint64_t debug, trace;

	debug = automount_or_skip(_metadata);
	if (!debug)
		return;

	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, run_as(&root, walk_fn, "debug/tracing/."));
	trace = sb_id("debug/tracing");
	ASSERT_NE(debug, trace);
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBUSY, watch_sb("debug/tracing", q->fd, TAG));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removals(_metadata, q, TAG, debug, trace);
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));

	ASSERT_EQ(0, run_as(&root, watch_one_fn, &one));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(trace, sb_id("debug/tracing"));
	expect_removal(_metadata, q, TAG, trace);
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBADSLT, watch_sb("debug/tracing", q->fd, -1));

	/* A queue that watches it already misses nothing. */
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	expect_removal(_metadata, q, TAG, trace);
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, NEW_TAG));
	ASSERT_EQ(0, sys_umount("debug/tracing", 0));
	ASSERT_EQ(0, look_up("debug/tracing/."));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, watch_sb("debug/tracing", q->fd, -1));
	expect_removal(_metadata, q, NEW_TAG, trace);
}

static int mount_copy(const char *from, const char *to)
{
	return attach(sys_open_tree(AT_FDCWD, from, OPEN_TREE_CLONE), to, 0);
}

/* Mount what is at "mnt" on the automount point as well, without an automount. */
static int mount_by_hand(void)
{
	return mount_copy("mnt", "debug/tracing");
}

static int own_mount_fn(void *arg)
{
	(void)arg;
	return or_errno(unshare(CLONE_NEWNS)) ?: mount_by_hand();
}

/* A task with the capability over the superblock serves as a daemon, no other. */
TEST_F(sb, automount_by_hand)
{
	struct queue *q = &self->queue;
	uint64_t debug, id;
	struct stat st;

	debug = automount_or_skip(_metadata);
	if (!debug)
		return;
	if (!have_userns())
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	id = sb_id("mnt");
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));

	ASSERT_EQ(0, stat("debug", &st));
	ASSERT_EQ(0, chmod("debug", 0755));
	EXPECT_EQ(0, run_as(&alice_as_root, own_mount_fn, NULL));
	ASSERT_EQ(0, chmod("debug", st.st_mode & 07777));
	expect_nothing(_metadata, q);
	ASSERT_EQ(-EBADSLT, watch_sb("mnt", q->fd, -1));

	ASSERT_EQ(0, mount_by_hand());
	ASSERT_EQ(id, sb_id("debug/tracing"));
	ASSERT_EQ(0, set_ro());
	expect_ro(_metadata, q, TAG, id);
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removals(_metadata, q, TAG, debug, id);
}

static int copy_automount_fn(void *arg)
{
	(void)arg;
	return or_errno(unshare(CLONE_NEWNS)) ?:
	       mount_copy("more/tracing", "debug/tracing");
}

/* Have it mounted, no longer watched by the queue, and move it. */
static int move_automount_fn(void *arg)
{
	int ret = or_errno(unshare(CLONE_NEWNS));

	if (!ret)
		look_up("more/tracing/.");
	return ret ?: watch_sb("more/tracing", *(int *)arg, -1) ?:
	       sys_move_mount(AT_FDCWD, "more/tracing", AT_FDCWD, "debug/tracing", 0);
}

/* A mount that an automount has made can be copied and moved, which is none itself. */
TEST_F(sb, automount_elsewhere)
{
	struct queue *q = &self->queue;
	uint64_t debug, trace;
	struct stat st;

	debug = debugfs_or_skip(_metadata);
	if (!debug)
		return;
	if (!have_userns())
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, mkdir("more", 0755));
	ASSERT_EQ(0, sys_mount("none", "more", "debugfs", 0, NULL));
	ASSERT_EQ(debug, sb_id("more"));
	if (!sb_id("more/tracing"))
		SKIP(return, "no automount of tracefs");
	ASSERT_EQ(0, look_up("more/tracing/."));
	trace = sb_id("more/tracing");
	ASSERT_NE(debug, trace);
	ASSERT_EQ(0, stat("debug", &st));
	ASSERT_EQ(0, chmod("debug", 0755));

	ASSERT_EQ(0, sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	EXPECT_EQ(0, run_as(&alice_as_root, copy_automount_fn, NULL));
	expect_nothing(_metadata, q);
	EXPECT_EQ(-EBADSLT, watch_sb("more/tracing", q->fd, -1));

	ASSERT_EQ(0, sys_umount("more/tracing", 0));
	EXPECT_EQ(0, run_as(&alice_as_root, move_automount_fn, &q->fd));
	expect_removal(_metadata, q, TAG, trace);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, chmod("debug", st.st_mode & 07777));
	ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
	expect_removal(_metadata, q, TAG, debug);
}

/* Automounts come and go while watches do: none is left without the other. */
TEST_F_TIMEOUT(sb, automount_storm, 120)
{
	struct queue *q = &self->queue;
	union record rec;
	int ret, status;
	unsigned int i;
	pid_t pid;

	if (!automount_or_skip(_metadata))
		return;

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < 300; i++) {
			if (look_up("debug/tracing/.") ||
			    sys_umount("debug/tracing", 0))
				_exit(1);
		}
		_exit(0);
	}

	for (i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		/* Those that were removed count for a while. */
		while ((ret = sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS,
					q->fd, TAG)) == -EAGAIN)
			sleep_for(1);
		ASSERT_EQ(0, ret);
		while ((ret = queue_next(q, &rec, 0)) == 1)
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(0, ret);
		if (i % 4 == 0) {
			queue_close(q);
			ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
		} else {
			ASSERT_EQ(0, watch_sb("debug", q->fd, -1));
		}
	}
	ASSERT_EQ(0, status);
	ASSERT_LT(0, i);
	ASSERT_EQ(0, look_up("debug/tracing/."));
	ASSERT_EQ(-EBADSLT, watch_sb("debug/tracing", q->fd, -1));
}

/*
 * A daemon for the autofs at "auto": it mounts a tmpfs on whatever directory
 * somebody looks for; on "slow" when it is told to, and says so.
 */
static void serve_autofs(int requests, int said, int go)
{
	union {
		struct autofs_v5_packet v5;
		uint8_t bytes[512];
	} packet;
	int root = sys_open("auto", O_RDONLY | O_CLOEXEC);
	char path[NAME_MAX + 8];
	char c = 0;
	bool slow;
	int ret;

	while (root >= 0 && read(requests, &packet, sizeof(packet)) > 0) {
		if (packet.v5.hdr.type != autofs_ptype_missing_indirect)
			break;
		slow = strcmp(packet.v5.name, "slow") == 0;
		if (slow && (write(said, &c, 1) != 1 || read(go, &c, 1) != 1))
			break;
		snprintf(path, sizeof(path), "auto/%s", packet.v5.name);
		ret = or_errno(mkdir(path, 0755));
		if (!ret)
			ret = sys_mount("none", path, "tmpfs", 0, NULL);
		ioctl(root, ret ? AUTOFS_IOC_FAIL : AUTOFS_IOC_READY,
		      packet.v5.wait_queue_token);
		if (slow && write(said, &c, 1) != 1)
			break;
	}
	_exit(0);
}

TEST_F(sb, autofs)
{
	struct queue *q = &self->queue;
	uint64_t autofs, first, second, third, slow;
	int requests[2], started[2], go[2], i;
	char options[80], ready;
	pid_t walker;

	ASSERT_EQ(0, mkdir("auto", 0755));
	ASSERT_EQ(0, sys_pipe(requests, O_CLOEXEC));
	ASSERT_EQ(0, sys_pipe(started, O_CLOEXEC));
	ASSERT_EQ(0, sys_pipe(go, O_CLOEXEC));

	self->daemon = fork();
	ASSERT_LE(0, self->daemon);
	if (self->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* What this process group does in there is no request. */
		setpgid(0, 0);
		snprintf(options, sizeof(options),
			 "fd=%d,pgrp=%d,minproto=5,maxproto=5,indirect",
			 requests[1], getpid());
		ready = -sys_mount("none", "auto", "autofs", 0, options);
		if (write(started[1], &ready, 1) != 1 || ready)
			_exit(1);
		close(requests[1]);
		close(go[1]);
		serve_autofs(requests[0], started[1], go[0]);
	}
	close(started[1]);
	close(go[0]);
	ASSERT_EQ(1, read(started[0], &ready, 1));
	if (ready == ENODEV)
		SKIP(return, "no autofs");
	ASSERT_EQ(0, ready);

	autofs = sb_id("auto");
	ASSERT_NE(0, autofs);
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "auto", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, look_up("auto/first/."));
	ASSERT_EQ(0, look_up("auto/second/."));
	first = sb_id("auto/first");
	second = sb_id("auto/second");
	ASSERT_LT(autofs, first);
	ASSERT_LT(first, second);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, remount("auto/second", MS_RDONLY));
	expect_ro(_metadata, q, TAG, second);
	ASSERT_EQ(0, remount("auto/first", MS_SYNCHRONOUS));
	expect_flags(_metadata, q, NOTIFY_SUPERBLOCK_RECONFIGURED, TAG, first,
		     0, MS_SYNCHRONOUS);

	/* It does not take the walker, who may not live to see it. */
	walker = fork();
	ASSERT_LE(0, walker);
	if (walker == 0) {
		look_up("auto/slow/.");
		_exit(0);
	}
	ASSERT_EQ(1, read(started[0], &ready, 1));
	kill(walker, SIGKILL);
	ASSERT_EQ(walker, waitpid(walker, &i, 0));
	ASSERT_EQ(SIGKILL, WTERMSIG(i));
	ASSERT_EQ(1, write(go[1], &ready, 1));
	ASSERT_EQ(1, read(started[0], &ready, 1));
	slow = sb_id("auto/slow");
	ASSERT_LT(second, slow);
	ASSERT_EQ(0, remount("auto/slow", MS_RDONLY));
	expect_ro(_metadata, q, TAG, slow);
	ASSERT_EQ(0, sys_umount("auto/slow", 0));
	expect_removal(_metadata, q, TAG, slow);

	/* It goes with its superblock, or with the watch that it came from. */
	ASSERT_EQ(0, sys_umount("auto/first", 0));
	expect_removal(_metadata, q, TAG, first);
	ASSERT_EQ(0, watch_sb("auto", q->fd, -1));
	expect_removals(_metadata, q, TAG, autofs, second);
	ASSERT_EQ(0, remount("auto/second", 0));
	expect_nothing(_metadata, q);

	/* That one may also go with its superblock. */
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "auto", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));
	ASSERT_EQ(0, look_up("auto/third/."));
	third = sb_id("auto/third");
	ASSERT_LT(slow, third);
	ASSERT_EQ(0, sys_mount("auto/third", "mnt", NULL, MS_BIND, NULL));
	kill(self->daemon, SIGKILL);
	ASSERT_EQ(self->daemon, waitpid(self->daemon, NULL, 0));
	self->daemon = 0;
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("auto", MNT_DETACH));
	expect_removals(_metadata, q, TAG, autofs, third);
	ASSERT_EQ(third, sb_id("mnt"));
	ASSERT_EQ(0, set_ro());
	expect_nothing(_metadata, q);
}

/*
 * What an automounter mounts may have automount points of its own in it, as with
 * several exports of one server.  They are mounts of autofs themselves, on plain
 * directories.
 */
TEST_F(sb, autofs_offset)
{
	struct queue *q = &self->queue;
	uint64_t top, offset, id;
	int requests[2], ret;
	char options[80];
	union record rec;

	ASSERT_EQ(0, sys_mount("none", "mnt", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("mnt/offset", 0755));
	top = sb_id("mnt");
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "mnt", SB_NOTIFY_SUBMOUNTS, q->fd, TAG));

	/* We are the daemon, who may walk there. */
	ASSERT_EQ(0, sys_pipe(requests, O_CLOEXEC));
	snprintf(options, sizeof(options),
		 "fd=%d,pgrp=%d,minproto=5,maxproto=5,offset", requests[1], getpgrp());
	ret = sys_mount("none", "mnt/offset", "autofs", 0, options);
	if (ret == -ENODEV)
		SKIP(return, "no autofs");
	ASSERT_EQ(0, ret);
	offset = sb_id("mnt/offset");
	ASSERT_LT(top, offset);
	ASSERT_EQ(0, sys_mount("none", "mnt/offset", "tmpfs", 0, NULL));
	id = sb_id("mnt/offset");
	ASSERT_LT(offset, id);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, remount("mnt/offset", MS_RDONLY));
	expect_ro(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_umount("mnt/offset", 0));
	expect_removal(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_umount("mnt/offset", 0));
	/* The daemon is gone by then. */
	close(requests[0]);
	while ((ret = queue_next(q, &rec, SOON)) == 1 &&
	       rec_type(&rec) != WATCH_TYPE_META)
		ASSERT_EQ(offset, rec.sb.sb_id);
	ASSERT_EQ(1, ret);
	ASSERT_EQ(offset, rec.removal.id);
	expect_nothing(_metadata, q);
}

TEST_HARNESS_MAIN
