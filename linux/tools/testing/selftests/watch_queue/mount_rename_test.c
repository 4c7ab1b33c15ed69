// SPDX-License-Identifier: GPL-2.0
/* Directories that are renamed take the mounts on them and below them along. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_fixture.h"
#include "people.h"

#define SENTINEL	0x77

/*
 * A worker posts RESCAN records, in the order of the renames.  So when the one has come
 * that this provokes, all have.
 */
static void settle(struct __test_metadata *_metadata, struct queue *q)
{
	uint64_t id = mount_id("/o");

	mkdir("/o/sentinel", 0755);
	mkdir("/o/sentinel/d", 0755);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/o/sentinel", 0, q->fd, SENTINEL));
	ASSERT_EQ(0, sys_rename("/o/sentinel/d", "/o/d", 0));
	expect_rescan(_metadata, q, SENTINEL, id);
	ASSERT_EQ(0, rmdir("/o/d"));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/o/sentinel", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, SENTINEL, id);
	expect_nothing(_metadata, q);
}

/* A rename that takes something out of a watched directory, or into it. */
TEST_F(mount, rename)
{
	struct queue *q = &self->queue;
	const bool out = !variant->at_root;
	const char *to = out ? "/o/moved" : "/w/moved";
	uint64_t deep, ns, w = mount_id("/w"), before, changes;

	ASSERT_EQ(0, mkdir("/w/a/m", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	ASSERT_EQ(0, mkdir("/w/a/m/n", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/m/n"));
	deep = mount_id("/w/a/m/n");
	ns = mntns_id(deep);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, count_changes(deep, ns, &before));

	ASSERT_EQ(0, sys_rename("/w/a", to, 0));
	if (out)
		expect_rescan(_metadata, q, TAG, w);
	settle(_metadata, q);
	/* No mount changed. */
	ASSERT_EQ(0, count_changes(deep, ns, &changes));
	EXPECT_EQ(before, changes);
	/* What went out is not below the watch any more. */
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
	if (out)
		expect_rescan(_metadata, q, TAG, w);
	settle(_metadata, q);
	ASSERT_EQ(0, sys_umount("/w/a/m", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, deep);
	expect_nothing(_metadata, q);
}

/* Each watch gets a record of what crosses its directory, and of nothing else. */
TEST_F(mount, rename_between_watches)
{
	struct queue *q = &self->queue;
	const uint64_t w = mount_id("/w");
	union record rec;
	uint64_t b;

	ASSERT_EQ(0, mkdir("/w/a/x", 0755));
	ASSERT_EQ(0, mkdir("/w/a/x/m", 0755));
	ASSERT_EQ(0, mkdir("/w/b/y", 0755));
	ASSERT_EQ(0, mkdir("/w/b/y/m", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/x/m"));
	ASSERT_EQ(0, mount_tmpfs("/w/b/y/m"));
	b = mount_id("/w/b/y/m");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
	expect_nothing(_metadata, q);

	/* One comes as the other goes. */
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/b/y", RENAME_EXCHANGE));
	expect_rescan(_metadata, q, 1, w);
	settle(_metadata, q);
	ASSERT_EQ(b, mount_id("/w/a/x/m"));

	/* Within the directory, and over an empty one outside. */
	ASSERT_EQ(0, mkdir("/w/a/z", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/a/z/x", 0));
	settle(_metadata, q);
	ASSERT_EQ(0, mkdir("/w/c/empty", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/z/x", "/w/c/empty", 0));
	expect_rescan(_metadata, q, 1, w);
	/* What nobody watches on either side. */
	ASSERT_EQ(0, sys_rename("/w/c/empty", "/w/b/x", 0));
	settle(_metadata, q);

	/* An exchange with a file. */
	ASSERT_EQ(0, mknod("/w/a/file", S_IFREG | 0600, 0));
	ASSERT_EQ(0, sys_rename("/w/a/file", "/w/b/x", RENAME_EXCHANGE));
	expect_rescan(_metadata, q, 1, w);
	settle(_metadata, q);
	ASSERT_EQ(0, sys_umount("/w/a/file/m", 0));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
	EXPECT_EQ(b, rec.mount.mnt_id);
	expect_nothing(_metadata, q);

	/* A file takes nothing along. */
	ASSERT_EQ(0, mknod("/w/a/plain", S_IFREG | 0600, 0));
	ASSERT_EQ(0, sys_rename("/w/a/plain", "/w/b/plain", 0));
	settle(_metadata, q);

	/* With the watch goes the interest. */
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 2));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(0, sys_rename("/w/b/y", "/w/b/z", 0));
	ASSERT_EQ(0, mkdir("/w/a/deep", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/deep", "/w/c/deep", 0));
	settle(_metadata, q);
}

/* However often somebody renames, a reader that is behind gets one record. */
TEST_F(mount, rename_again_and_again)
{
	struct queue *q = &self->queue;
	const uint64_t w = mount_id("/w");
	union record rec;
	uint64_t id;
	int i;

	ASSERT_EQ(0, mount_tmpfs("/w/c"));
	ASSERT_EQ(0, mkdir("/w/a/x", 0755));
	ASSERT_EQ(0, mkdir("/w/a/x/m", 0755));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, sys_rename("/w/a/x", "/w/b/x", 0));
		ASSERT_EQ(0, sys_rename("/w/b/x", "/w/a/x", 0));
	}
	expect_rescan(_metadata, q, TAG, w);
	/* The worker may have posted once more since that was taken. */
	sleep_for(100);
	while (queue_next(q, &rec, 0) > 0)
		;

	/* Another record comes between: the next rename makes a RESCAN record again. */
	ASSERT_EQ(0, mount_tmpfs("/w/a/x/m"));
	id = mount_id("/w/a/x/m");
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/b/x", 0));
	sleep_for(100);
	ASSERT_EQ(0, sys_rename("/w/b/x", "/w/a/x", 0));
	sleep_for(100);
	expect_event(_metadata, q, NEW, SUB, id);
	expect_rescan(_metadata, q, TAG, w);
	expect_nothing(_metadata, q);
}

/* What another namespace has mounted on a file or directory goes along as well. */
TEST_F(mount, rename_in_other_namespace)
{
	struct queue *q = &self->queue;
	uint64_t id;
	int here, fd;

	ASSERT_EQ(0, mkdir("/w/a/dir", 0755));
	ASSERT_EQ(0, mknod("/w/a/file", S_IFREG | 0600, 0));
	here = ns_fd(self->proc);
	ASSERT_LE(0, here);
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, bind("/w/c", "/w/a/dir", 0));
	ASSERT_EQ(0, bind("/w/a/file", "/w/a/file", 0));
	id = mount_id("/w");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	fd = ns_fd(self->proc);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sys_setns(here, CLONE_NEWNS));

	ASSERT_EQ(0, sys_rename("/w/a/dir", "/w/b/dir", 0));
	expect_rescan(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_rename("/w/a/file", "/w/b/file", 0));
	expect_rescan(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_rename("/w/b/dir", "/w/a/dir", 0));
	expect_rescan(_metadata, q, TAG, id);
	ASSERT_EQ(0, sys_rename("/w/b/file", "/w/a/file", 0));
	expect_rescan(_metadata, q, TAG, id);
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
	settle(_metadata, q);
}

/*
 * However often directories above are renamed meanwhile, a watch gets a change once.  One
 * that the mount leaves and enters gets the change or not, and RESCAN after the last rename.
 */
TEST_F(mount, rename_storm)
{
	struct mount_attr attr = { 0 };
	struct queue *q = &self->queue;
	unsigned int seen, nr_rescans = 0, last = 0;
	unsigned int *round;
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
		while (last == __atomic_load_n(round, __ATOMIC_RELAXED))
			usleep(10);
		last = __atomic_load_n(round, __ATOMIC_RELAXED);
		for (i = 0; i < 4; i++)
			if (sys_rename("/w/b/d", "/w/c/d", 0) ||
			    sys_rename("/w/c/d", "/w/b/d", 0))
				_exit(1);
	}

	for (i = 0; i < 1000 || nr_rescans < 100; i++) {
		__atomic_store_n(round, i + 1, __ATOMIC_RELAXED);
		attr.attr_set = i & 1 ? 0 : MOUNT_ATTR_NODEV;
		attr.attr_clr = i & 1 ? MOUNT_ATTR_NODEV : 0;
		ASSERT_EQ(0, sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr));
		for (seen = 0; queue_next(q, &rec, 0) > 0;) {
			ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
			if (rec_subtype(&rec) == RESCAN) {
				ASSERT_EQ(1, rec_tag(&rec));
				nr_rescans++;
				continue;
			}
			ASSERT_EQ(SETATTR, rec_subtype(&rec));
			ASSERT_EQ(SUB, rec.watch.info & WATCH_INFO_TYPE_INFO);
			ASSERT_EQ(id, rec.mount.mnt_id);
			seen += rec_tag(&rec) == TAG;
		}
		ASSERT_EQ(1, seen);
	}
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(fd);
}

TEST_HARNESS_MAIN
