// SPDX-License-Identifier: GPL-2.0
/* Mounts that go along when directories are renamed. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_fixture.h"
#include "people.h"

/*
 * Directories that are renamed take the mounts below them along.  A watch reports
 * that if they go out of what is watched or into it, with the mounts below.
 */
TEST_F(mount, rename)
{
	struct queue *q = &self->queue;
	const bool out = !variant->at_root;
	const char *to = out ? "/o/moved" : "/w/moved";
	uint64_t id, deep, ns, before, changes;

	ASSERT_EQ(0, mkdir("/w/a/m", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	ASSERT_EQ(0, mkdir("/w/a/m/n", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/m/n"));
	id = mount_id("/w/a/m");
	deep = mount_id("/w/a/m/n");
	ns = mntns_id(id);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, count_changes(id, ns, &before));

	ASSERT_EQ(0, sys_rename("/w/a", to, 0));
	ASSERT_EQ(0, count_changes(id, ns, &changes));
	EXPECT_EQ(out, changes > before);
	if (out) {
		expect_event(_metadata, q, MOVE_FROM, SUB, id);
		expect_event(_metadata, q, MOVE_FROM, SUB | REC, deep);
	}
	expect_nothing(_metadata, q);
	/* It is not below the watch any more, if it went out. */
	ASSERT_EQ(0, sys_umount(out ? "/o/moved/m/n" : "/w/moved/m/n", 0));
	if (!out)
		expect_event(_metadata, q, UNMOUNT, SUB, deep);
	expect_nothing(_metadata, q);

	/* And back again, with another one. */
	ASSERT_EQ(0, mount_tmpfs(out ? "/o/moved/m" : "/w/moved/m"));
	deep = mount_id(out ? "/o/moved/m" : "/w/moved/m");
	if (!out)
		expect_event(_metadata, q, NEW, SUB, deep);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_rename(to, "/w/a", 0));
	if (out) {
		expect_event(_metadata, q, MOVE_TO, SUB, id);
		expect_event(_metadata, q, MOVE_TO, SUB | REC, deep);
	}
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("/w/a/m", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, deep);
	expect_nothing(_metadata, q);
}

/* Each watch sees what of a rename concerns it. */
TEST_F(mount, rename_between_watches)
{
	struct queue *q = &self->queue;
	unsigned int i, nr_from = 0;
	uint64_t a, b, before, changes;
	union record rec;
	bool from;

	ASSERT_EQ(0, mkdir("/w/a/x", 0755));
	ASSERT_EQ(0, mkdir("/w/a/x/m", 0755));
	ASSERT_EQ(0, mkdir("/w/b/y", 0755));
	ASSERT_EQ(0, mkdir("/w/b/y/m", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/x/m"));
	ASSERT_EQ(0, mount_tmpfs("/w/b/y/m"));
	a = mount_id("/w/a/x/m");
	b = mount_id("/w/b/y/m");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	expect_nothing(_metadata, q);

	/* One comes as the other goes. */
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/b/y", RENAME_EXCHANGE));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		from = rec_subtype(&rec) == MOVE_FROM;
		EXPECT_EQ(from ? MOVE_FROM : MOVE_TO, rec_subtype(&rec));
		EXPECT_EQ(from ? a : b, rec.mount.mnt_id);
		EXPECT_EQ(SUB, rec.watch.info & WATCH_INFO_TYPE_INFO);
		EXPECT_EQ(mount_id("/w/a"), rec.mount.mnt_parent_id);
		EXPECT_EQ(0, rec.mount.mnt_parent_id_old);
		nr_from += from;
	}
	EXPECT_EQ(1, nr_from);
	expect_nothing(_metadata, q);
	ASSERT_EQ(b, mount_id("/w/a/x/m"));

	/* Within the directory, and over an empty one outside. */
	ASSERT_EQ(0, mkdir("/w/a/z", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/a/z/x", 0));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mkdir("/w/c/empty", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/z/x", "/w/c/empty", 0));
	expect_event(_metadata, q, MOVE_FROM, SUB, b);
	/* What nobody watches on either side, and what nothing is mounted below. */
	ASSERT_EQ(0, sys_rename("/w/c/empty", "/w/b/x", 0));
	ASSERT_EQ(0, sys_rename("/w/a/z", "/w/c/z", 0));
	expect_nothing(_metadata, q);

	/* An exchange with a file. */
	ASSERT_EQ(0, mknod("/w/a/file", S_IFREG | 0600, 0));
	ASSERT_EQ(0, sys_rename("/w/a/file", "/w/b/x", RENAME_EXCHANGE));
	expect_event(_metadata, q, MOVE_TO, SUB, b);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("/w/a/file/m", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, b);
	ASSERT_EQ(a, mount_id("/w/b/y/m"));
	expect_nothing(_metadata, q);

	/* With the watch goes the interest. */
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, TAG + 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(0, count_changes(a, mntns_id(a), &before));
	ASSERT_EQ(0, sys_rename("/w/b/y", "/w/b/z", 0));
	ASSERT_EQ(0, mkdir("/w/a/deep", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/deep", "/w/c/deep", 0));
	ASSERT_EQ(0, count_changes(a, mntns_id(a), &changes));
	EXPECT_EQ(before, changes);
	expect_nothing(_metadata, q);
}

/* What another namespace has mounted on a file or directory goes along as well. */
TEST_F(mount, rename_in_other_namespace)
{
	struct queue *q = &self->queue;
	uint64_t dir, file;
	int here, fd;

	ASSERT_EQ(0, mkdir("/w/a/dir", 0755));
	ASSERT_EQ(0, mknod("/w/a/file", S_IFREG | 0600, 0));
	here = ns_fd(self->proc);
	ASSERT_LE(0, here);
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, bind("/w/c", "/w/a/dir", 0));
	ASSERT_EQ(0, bind("/w/a/file", "/w/a/file", 0));
	dir = mount_id("/w/a/dir");
	file = mount_id("/w/a/file");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	fd = ns_fd(self->proc);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sys_setns(here, CLONE_NEWNS));

	ASSERT_EQ(0, sys_rename("/w/a/dir", "/w/b/dir", 0));
	expect_event(_metadata, q, MOVE_FROM, SUB, dir);
	ASSERT_EQ(0, sys_rename("/w/a/file", "/w/b/file", 0));
	expect_event(_metadata, q, MOVE_FROM, SUB, file);
	ASSERT_EQ(0, sys_rename("/w/b/dir", "/w/a/dir", 0));
	expect_event(_metadata, q, MOVE_TO, SUB, dir);
	ASSERT_EQ(0, sys_rename("/w/b/file", "/w/a/file", 0));
	expect_event(_metadata, q, MOVE_TO, SUB, file);
	expect_nothing(_metadata, q);
	close(fd);
	close(here);
}

/* The watched directory itself may be renamed. */
TEST_F(mount, rename_watched)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, mkdir("/w/b/sub", 0755));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	ASSERT_EQ(0, sys_rename("/w/a", "/w/b/moved", 0));
	ASSERT_EQ(0, mount_tmpfs("/w/b/moved"));
	expect_event(_metadata, q, NEW, 0, mount_id("/w/b/moved"));
	ASSERT_EQ(0, mount_tmpfs("/w/b/sub"));
	expect_nothing(_metadata, q);
}

/*
 * However often directories above are renamed meanwhile: a watch reports a change once, and
 * to a watch that the mount leaves and enters, only while it is there.
 */
TEST_F(mount, rename_storm)
{
	struct mount_attr attr = { 0 };
	struct queue *q = &self->queue;
	unsigned int seen, nr_moves = 0, last = 0;
	unsigned int *round;
	bool there = true;
	union record rec;
	int fd, i, status;
	uint64_t id;
	pid_t pid;

	ASSERT_EQ(0, mkdir("/w/b/d", 0755));
	ASSERT_EQ(0, mkdir("/w/b/d/e", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/b/d/e"));
	id = mount_id("/w/b/d/e");
	fd = sys_open("/w/b/d/e", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 1));

	round = shared_memory(sizeof(*round));
	ASSERT_NE(NULL, round);
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		/* A few in each round, so that there is room for all records. */
		while (last == __atomic_load_n(round, __ATOMIC_RELAXED))
			usleep(10);
		last = __atomic_load_n(round, __ATOMIC_RELAXED);
		for (i = 0; i < 4; i++)
			if (sys_rename("/w/b/d", "/w/c/d", 0) ||
			    sys_rename("/w/c/d", "/w/b/d", 0))
				_exit(1);
	}

	for (i = 0; i < 1000 || nr_moves < 100; i++) {
		__atomic_store_n(round, i + 1, __ATOMIC_RELAXED);
		attr.attr_set = i & 1 ? 0 : MOUNT_ATTR_NODEV;
		attr.attr_clr = i & 1 ? MOUNT_ATTR_NODEV : 0;
		ASSERT_EQ(0, sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr));
		for (seen = 0; queue_next(q, &rec, 0) > 0;) {
			ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
			ASSERT_EQ(SUB, rec.watch.info & WATCH_INFO_TYPE_INFO);
			ASSERT_EQ(id, rec.mount.mnt_id);
			if (rec_tag(&rec) == TAG) {
				ASSERT_EQ(SETATTR, rec_subtype(&rec));
				seen++;
			} else if (rec_subtype(&rec) == SETATTR) {
				ASSERT_TRUE(there);
			} else {
				ASSERT_EQ(there ? MOVE_FROM : MOVE_TO, rec_subtype(&rec));
				there = !there;
				nr_moves++;
			}
		}
		ASSERT_EQ(1, seen);
	}
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(fd);
}

TEST_HARNESS_MAIN
