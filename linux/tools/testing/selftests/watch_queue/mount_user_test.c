// SPDX-License-Identifier: GPL-2.0
/* The permission to watch mounts, in each kind of namespace. */

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_fixture.h"
#include "people.h"

/* An unprivileged user, within what he can reach. */
TEST_F(mount, plain_user)
{
	struct queue *q = &self->queue;
	int in, out, pipe[2], status;
	uint64_t moved;
	char word;
	pid_t pid;

	ASSERT_EQ(0, mkdir("/w/private", 0700));
	ASSERT_EQ(0, mkdir("/w/no_exec", 0744));
	ASSERT_EQ(0, mkdir("/w/no_read", 0711));
	ASSERT_EQ(0, mkdir("/w/private/in", 0755));
	out = sys_open("/o", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, out);
	in = sys_open("/w/private", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, in);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (become(&alice))
			_exit(1);
		/* Execute permission on the directory, which needs no other. */
		if (mount_notify(AT_FDCWD, "/w/private", 0, q->fd, 1) != -EACCES ||
		    mount_notify(AT_FDCWD, "/w/private/in", 0, q->fd, 1) != -EACCES ||
		    mount_notify(AT_FDCWD, "/w/no_exec", 0, q->fd, 1) != -EACCES ||
		    mount_notify(in, "", AT_EMPTY_PATH, q->fd, 1) != -EACCES)
			_exit(2);
		if (mount_notify(AT_FDCWD, "/w/no_read", 0, q->fd, 1) ||
		    mount_notify(AT_FDCWD, "/w/no_read", 0, q->fd, -1))
			_exit(3);
		/* What a descriptor leads to must be below one's root. */
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) ||
		    mount_notify(out, "", AT_EMPTY_PATH, q->fd, -1))
			_exit(4);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	expect_removal_within(_metadata, q, 0, 1, mount_id("/w"));
	expect_removal_within(_metadata, q, 0, 1, mount_id("/"));

	/* In a chroot nothing is seen, and nothing can be watched, outside. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (chroot("/w") || chdir("/"))
			_exit(1);
		/* The owner of the namespace may watch anything in it. */
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) ||
		    mount_notify(out, "", AT_EMPTY_PATH, q->fd, -1))
			_exit(2);
		if (become(&alice))
			_exit(3);
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) != -EPERM ||
		    mount_notify(out, "a", 0, q->fd, 1) != -EPERM ||
		    mount_notify(out, "a", 0, q->fd, -1) != -EBADSLT)
			_exit(4);
		if (mount_notify(AT_FDCWD, "/", 0, q->fd, TAG))
			_exit(5);
		if (write(pipe[1], "!", 1) != 1)
			_exit(6);
		pause();
	}
	close(pipe[1]);
	ASSERT_EQ(1, read(pipe[0], &word, 1));
	expect_removal_within(_metadata, q, 0, 1, mount_id("/"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/o/a"));
	ASSERT_EQ(0, set_attr("/o/a", 0, MOUNT_ATTR_RDONLY, 0));
	ASSERT_EQ(0, set_attr("/", 0, MOUNT_ATTR_NOSUID, 0));
	expect_nothing(_metadata, q);
	/* Nor is it told where a mount came from or went to. */
	moved = mount_id("/o/a");
	ASSERT_EQ(0, move("/o/a", "/w/a"));
	expect_event(_metadata, q, MOVE_TO, SUB, moved);
	ASSERT_EQ(0, move("/w/a", "/o/a"));
	expect_event(_metadata, q, MOVE_FROM, SUB, moved);
	expect_nothing(_metadata, q);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
}

static int write_file(int proc, const char *path, const char *text)
{
	int fd, ret;

	fd = syscall(__NR_openat, proc, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
	close(fd);
	return ret;
}

/* The root of a user namespace, in a mount namespace of his own. */
TEST_F(mount, user_namespace)
{
	struct queue *q = &self->queue;
	int out, pipe[2], back[2], status;
	uint64_t theirs;
	union record rec;
	char word;
	pid_t pid;

	ASSERT_EQ(0, set_propagation("/", MS_SHARED | MS_REC));
	out = sys_open("/o", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, out);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(back, O_CLOEXEC));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (sys_unshare(CLONE_NEWUSER | CLONE_NEWNS))
			_exit(errno == EINVAL || errno == ENOSPC ? 4 : 1);
		if (write_file(self->proc, "self/setgroups", "deny") ||
		    write_file(self->proc, "self/uid_map", "0 0 1") ||
		    write_file(self->proc, "self/gid_map", "0 0 1"))
			_exit(2);
		/* His own, but nothing of the one that he came from. */
		if (mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG))
			_exit(3);
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) != -EPERM ||
		    mount_notify(out, "a", 0, q->fd, 1) != -EPERM)
			_exit(5);
		theirs = mount_id("/w");
		if (write(pipe[1], &theirs, sizeof(theirs)) != sizeof(theirs) ||
		    read(back[0], &word, 1) != 1)
			_exit(6);
		/* A mount of his own, which others are not told of. */
		if (mount_tmpfs("/w/b"))
			_exit(7);
		theirs = mount_id("/w/b");
		if (write(pipe[1], &theirs, sizeof(theirs)) != sizeof(theirs))
			_exit(8);
		pause();
	}
	close(pipe[1]);
	ASSERT_EQ(sizeof(theirs), read(pipe[0], &theirs, sizeof(theirs))) {
		waitpid(pid, &status, 0);
		TH_LOG("status %#x", status);
	}

	/* The records are of alice's own copy. */
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(NEW, rec_subtype(&rec));
	EXPECT_EQ(SUB | PROP, rec.watch.info & WATCH_INFO_TYPE_INFO);
	EXPECT_NE(mount_id("/w/a"), rec.mount.mnt_id);
	EXPECT_EQ(theirs, rec.mount.mnt_parent_id);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, set_attr("/w/a", 0, MOUNT_ATTR_NOEXEC, 0));
	ASSERT_EQ(0, set_attr("/w/a", 0, MOUNT_ATTR_RDONLY, 0));
	expect_nothing(_metadata, q);

	ASSERT_EQ(1, write(back[1], "!", 1));
	ASSERT_EQ(sizeof(theirs), read(pipe[0], &theirs, sizeof(theirs)));
	expect_event(_metadata, q, NEW, SUB, theirs);
	expect_nothing(_metadata, q);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
}

/* Another namespace, watched with the capability for it; and its end. */
TEST_F(mount, other_namespace)
{
	struct queue *q = &self->queue;
	int mine, theirs, dir, status;
	uint64_t id, a, x, root, before, after;
	union record rec;
	pid_t pid;

	mine = ns_fd(self->proc);
	ASSERT_LE(0, mine);
	root = mount_id("/");
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	theirs = ns_fd(self->proc);
	ASSERT_LE(0, theirs);
	ASSERT_EQ(0, tree_at("/w/a"));
	id = mount_id("/w");
	a = mount_id("/w/a");
	x = mount_id("/w/a/x");
	dir = sys_open("/w", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, sys_setns(mine, CLONE_NEWNS));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (become(&alice))
			_exit(1);
		_exit(mount_notify(dir, "", AT_EMPTY_PATH, q->fd, TAG) == -EPERM ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, TAG));

	/* Of the one that is watched, and not of one's own. */
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, count_changes(root, 0, &before));
	ASSERT_EQ(0, sys_setns(theirs, CLONE_NEWNS));
	ASSERT_EQ(0, set_attr("/w/a", 0, MOUNT_ATTR_NODEV, 0));
	ASSERT_EQ(0, sys_setns(mine, CLONE_NEWNS));
	expect_event(_metadata, q, SETATTR, SUB, a);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, count_changes(root, 0, &after));
	EXPECT_EQ(before, after);

	/* Neither the watch nor an open file keeps it alive. */
	close(theirs);
	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
	EXPECT_EQ(a, rec.mount.mnt_id);
	EXPECT_EQ(id, rec.mount.mnt_parent_id);
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
	EXPECT_EQ(x, rec.mount.mnt_id);
	EXPECT_EQ(SUB | REC, rec.watch.info & WATCH_INFO_TYPE_INFO);
	expect_removal_within(_metadata, q, 0, TAG, id);
	expect_nothing(_metadata, q);
	EXPECT_EQ(-EINVAL, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, TAG));
	close(dir);
	close(mine);
}

/* Go down so many directories, which are made. */
static int descend(int levels)
{
	int ret = 0;

	while (levels-- && !ret)
		ret = mkdir("d", 0755) || chdir("d") ? -errno : 0;
	return ret;
}

/*
 * From a directory, the kernel looks for watches in 128 directories, and in the roots of
 * all mounts above.  Others get one record for all that they miss.
 */
TEST_F(mount, deep_directories)
{
	struct queue *q = &self->queue;
	const uint64_t w = mount_id("/w");
	int i, rescans[256] = { 0 }, unmounts[256] = { 0 };
	union record rec;

	ASSERT_EQ(0, chdir("/w/a"));
	ASSERT_EQ(0, descend(200));
	for (i = 0; i < 3; i++) {
		char name[] = { 'm', '0' + i, 0 };

		ASSERT_EQ(0, mkdir(name, 0755));
		ASSERT_EQ(0, mount_tmpfs(name));
	}
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "..", 0, q->fd, 2));
	ASSERT_EQ(0, sys_umount("m0", 0));
	/* Whoever watches a directory of that mount gets one for the call. */
	while (queue_next(q, &rec, 0) > 0) {
		ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
		if (rec_subtype(&rec) == RESCAN) {
			EXPECT_EQ(w, rec.mount.mnt_id);
			rescans[rec_tag(&rec)]++;
		} else {
			EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
			unmounts[rec_tag(&rec)]++;
		}
	}
	EXPECT_EQ(!variant->at_root, rescans[TAG]);
	EXPECT_EQ(variant->at_root, unmounts[TAG]);
	EXPECT_EQ(1, rescans[1]);
	EXPECT_EQ(0, unmounts[1]);
	EXPECT_EQ(1, rescans[2]);
	EXPECT_EQ(1, unmounts[2]);

	/* 128 is near enough. */
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, -1));
	expect_removal(_metadata, q, TAG, w);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 1, w);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "..", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 2, w);
	ASSERT_EQ(0, chdir("/w/b"));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, ".", 0, q->fd, TAG));
	ASSERT_EQ(0, descend(127));
	ASSERT_EQ(0, mount_tmpfs("../d"));
	expect_event(_metadata, q, NEW, SUB, mount_id("../d"));
	expect_nothing(_metadata, q);
}

TEST_HARNESS_MAIN
