// SPDX-License-Identifier: GPL-2.0
/* Mount watches: how they are set, what ends them, and the count of changes. */

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_fixture.h"

struct filter {
	struct watch_notification_filter head;
	struct watch_notification_type_filter entry;
};

TEST_F(mount, filter)
{
	struct queue *q = &self->queue;
	struct filter f = { 0 };

	f.head.nr_filters = 1;
	f.entry.type = WATCH_TYPE_MOUNT_NOTIFY;
	f.entry.info_mask = NOTIFY_MOUNT_IN_SUBTREE;
	f.entry.subtype_filter[0] = 0xff;
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));

	/* Nothing that is further down. */
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, tree_at("/w/a"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/w"));
	expect_event(_metadata, q, NEW, 0, mount_id("/w"));
	ASSERT_EQ(0, sys_umount("/w", 0));
	ASSERT_EQ(1, queue_next(q, &(union record){ 0 }, 0));
	expect_nothing(_metadata, q);

	/* Only that. */
	f.entry.info_filter = NOTIFY_MOUNT_IN_SUBTREE;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, mount_tmpfs("/w"));
	ASSERT_EQ(0, sys_umount("/w", 0));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	expect_event(_metadata, q, NEW, SUB, mount_id("/w/b"));

	/* By subtype. */
	f.entry.subtype_filter[0] = 1 << READONLY;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, set_attr("/w/b", 0, MOUNT_ATTR_NOEXEC, 0));
	ASSERT_EQ(0, set_attr("/w/b", 0, MOUNT_ATTR_RDONLY, 0));
	expect_event(_metadata, q, READONLY, SUB | RO, mount_id("/w/b"));
	expect_nothing(_metadata, q);
}

/* Watches on several directories, which need not be mount points, and queues. */
TEST_F(mount, several)
{
	struct queue *q = &self->queue, other;
	union record rec;
	unsigned int tags;

	ASSERT_EQ(0, sys_setns(self->home, CLONE_NEWNS));
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, build_world(variant->at_root));
	ASSERT_EQ(0, mkdir("/w/a/m", 0755));

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/", 0, q->fd, 0));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 2));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/m", 0, q->fd, 3));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 4));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, other.fd, 255));

	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	for (tags = 0; queue_next(q, &rec, 0) > 0; tags |= 1 << rec_tag(&rec)) {
		ASSERT_EQ(NEW, rec_subtype(&rec));
		EXPECT_EQ(mount_id("/w/a/m"), rec.mount.mnt_id);
		EXPECT_EQ(rec_tag(&rec) != 3, !!(rec.watch.info & SUB));
		EXPECT_EQ(0, tags & (1 << rec_tag(&rec)));
	}
	EXPECT_EQ(0x0f, tags);
	ASSERT_EQ(1, queue_next(&other, &rec, 0));
	EXPECT_EQ(255, rec_tag(&rec));
	expect_nothing(_metadata, &other);

	/* What is below the one and not the other is moved. */
	ASSERT_EQ(0, move("/w/a/m", "/w/b"));
	for (tags = 0; queue_next(q, &rec, 0) > 0; tags |= 1 << rec_tag(&rec)) {
		EXPECT_EQ(0, tags & (1 << rec_tag(&rec)));
		if (rec_tag(&rec) == 2 || rec_tag(&rec) == 3) {
			EXPECT_EQ(MOVE_FROM, rec_subtype(&rec));
		} else {
			EXPECT_EQ(MOVE_TO, rec_subtype(&rec));
			EXPECT_EQ(rec_tag(&rec) == 4 ? 0 : mount_id("/w"),
				  rec.mount.mnt_parent_id_old);
		}
	}
	EXPECT_EQ(0x1f, tags);
	ASSERT_EQ(1, queue_next(&other, &rec, 0));
	EXPECT_EQ(MOVE_FROM, rec_subtype(&rec));
	expect_nothing(_metadata, &other);

	/* One queue goes, the other remains. */
	queue_close(q);
	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	ASSERT_EQ(1, queue_next(&other, &rec, 0));
	EXPECT_EQ(NEW, rec_subtype(&rec));
	queue_close(&other);
}

TEST_F(mount, errors)
{
	struct queue *q = &self->queue;
	struct rlimit limit, none;
	char long_path[8192];
	int fds[2], fd, dir;

	/* Identifiers. */
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, q->fd, -2));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, q->fd, 256));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, q->fd, 0x7fffffff));

	/* Flags. */
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 1, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", AT_SYMLINK_FOLLOW, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", AT_RECURSIVE, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0x80000000, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 1, -1, 0));

	/* Queues. */
	EXPECT_EQ(-EBADF, mount_notify(AT_FDCWD, "/w", 0, -1, 0));
	EXPECT_EQ(-EBADF, mount_notify(AT_FDCWD, "/w", 0, 1000, 0));
	ASSERT_EQ(0, sys_pipe(fds, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, fds[0], 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, fds[0], -1));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, self->home, 0));
	fd = sys_open("/w", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, mount_notify(AT_FDCWD, "/w", 0, fd, 0));

	/* Paths. */
	EXPECT_EQ(-ENOENT, mount_notify(AT_FDCWD, "/none", 0, q->fd, 0));
	EXPECT_EQ(-EFAULT, mount_notify(AT_FDCWD, (void *)1, 0, q->fd, 0));
	EXPECT_EQ(-EBADF, mount_notify(-1, "w", 0, q->fd, 0));
	EXPECT_EQ(-ENOENT, mount_notify(fd, "", 0, q->fd, 0));
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, mount_notify(AT_FDCWD, long_path, 0, q->fd, 0));
	ASSERT_EQ(0, mknod("/w/file", S_IFREG | 0644, 0));
	EXPECT_EQ(-ENOTDIR, mount_notify(AT_FDCWD, "/w/file", 0, q->fd, 0));
	ASSERT_EQ(0, symlink("/w/a", "/w/link"));
	EXPECT_EQ(-ENOTDIR, mount_notify(AT_FDCWD, "/w/link", AT_SYMLINK_NOFOLLOW,
					 q->fd, 0));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w/link", 0, q->fd, TAG));
	EXPECT_EQ(-EBUSY, mount_notify(AT_FDCWD, "/w/a", AT_SYMLINK_NOFOLLOW, q->fd, 0));
	EXPECT_EQ(-EBUSY, mount_notify(fd, "a", AT_NO_AUTOMOUNT, q->fd, TAG));
	EXPECT_EQ(0, mount_notify(fd, "a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, TAG, mount_id("/w"));
	EXPECT_EQ(-EBADSLT, mount_notify(fd, "a", 0, q->fd, -1));
	EXPECT_EQ(0, mount_notify(fd, "", AT_EMPTY_PATH, q->fd, TAG));
	EXPECT_EQ(-EBUSY, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	EXPECT_EQ(0, mount_notify(fd, "", AT_EMPTY_PATH, q->fd, -1));
	expect_removal_within(_metadata, q, 0, TAG, mount_id("/w"));
	EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w", 0, q->fd, -1));

	/* A watch is of one mount and one directory of it. */
	ASSERT_EQ(0, bind("/w", "/o/b", 0));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/o/b/a", 0, q->fd, 2));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 1, mount_id("/w"));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/o/b/a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 2, mount_id("/o/b"));

	/* A directory that is gone. */
	ASSERT_EQ(0, mkdir("/w/gone", 0755));
	dir = sys_open("/w/gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, rmdir("/w/gone"));
	EXPECT_EQ(-ENOENT, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, 0));
	close(dir);

	/* Mounts that are nowhere. */
	dir = tmpfs_fd(0);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EINVAL, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, 0));
	close(dir);
	dir = sys_open_tree(AT_FDCWD, "/w", OPEN_TREE_CLONE);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EINVAL, mount_notify(dir, "a", 0, q->fd, 0));
	close(dir);
	ASSERT_EQ(0, mount_tmpfs("/w/c"));
	dir = sys_open("/w/c", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, sys_umount("/w/c", MNT_DETACH));
	EXPECT_EQ(-EINVAL, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, 0));
	close(dir);

	/* A user has no more watches than files. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EAGAIN, mount_notify(AT_FDCWD, "/w", 0, q->fd, 1));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, 1));
	close(fd);
	expect_nothing(_metadata, q);
}

/* Nothing of a failure is left: it takes no watch, and it gives no record. */
TEST_F(mount, failed_operations)
{
	struct queue *q = &self->queue;
	int fd;

	ASSERT_EQ(0, tree_at("/w/a"));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));

	EXPECT_EQ(-EBUSY, sys_umount("/w/a", 0));
	EXPECT_EQ(-EBUSY, sys_umount("/w/a", MNT_EXPIRE));
	EXPECT_EQ(-EAGAIN, sys_umount("/w/a/x", MNT_EXPIRE));
	EXPECT_EQ(-ELOOP, move("/w/a", "/w/a/x"));
	EXPECT_EQ(-EINVAL, set_attr("/w/a", 0, 1ULL << 40, 0));
	EXPECT_EQ(-EINVAL, set_attr("/w/a", 0, MOUNT_ATTR_NOATIME, 0));
	EXPECT_EQ(-EINVAL, set_propagation("/w/b", MS_SHARED));
	/* One of the tree cannot be made read-only, so none is. */
	fd = syscall(__NR_openat, AT_FDCWD, "/w/a/x/file", O_CREAT | O_RDWR | O_CLOEXEC,
		     0600);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, set_attr("/w/a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0));
	close(fd);
	fd = sys_open_tree(AT_FDCWD, "/w/a", OPEN_TREE_CLONE | AT_RECURSIVE);
	ASSERT_LE(0, fd);
	close(fd);

	expect_nothing(_metadata, q);
}

/* A watch holds no mount: one can be unmounted, and expires, as without it. */
TEST_F(mount, umount_watched)
{
	struct queue *q = &self->queue;
	uint64_t id, below;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mount_tmpfs("/w/a"));
		ASSERT_EQ(0, mkdir("/w/a/d", 0755));
		id = mount_id("/w/a");
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/d", 0, q->fd, 2));
		ASSERT_EQ(-EAGAIN, sys_umount("/w/a", MNT_EXPIRE));
		if (i == 0) {
			ASSERT_EQ(0, sys_umount("/w/a", 0));
		} else if (i == 1) {
			ASSERT_EQ(0, sys_umount("/w/a", MNT_EXPIRE));
		} else {
			/* Unlike a mount on it, which goes first. */
			ASSERT_EQ(0, mount_tmpfs("/w/a/d"));
			below = mount_id("/w/a/d");
			ASSERT_EQ(2, (queue_next(q, &(union record){ 0 }, 0) +
				      queue_next(q, &(union record){ 0 }, 0)));
			expect_nothing(_metadata, q);
			ASSERT_EQ(-EBUSY, sys_umount("/w/a", 0));
			ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
			expect_removal_within(_metadata, q, 0, 1, id);
			ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
			ASSERT_EQ(0, sys_umount("/w/a", MNT_DETACH));
		}

		if (i < 2) {
			bool first, second;
			union record rec;

			ASSERT_EQ(1, queue_next(q, &rec, 0));
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
			ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
			EXPECT_EQ(id, rec.removal.id);
			first = rec_tag(&rec) == 1;
			ASSERT_EQ(1, queue_next(q, &rec, 0));
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
			EXPECT_EQ(id, rec.removal.id);
			second = rec_tag(&rec) == 1;
			EXPECT_NE(first, second);
			expect_nothing(_metadata, q);
		} else {
			unsigned int unmounts = 0, removals = 0;
			union record rec;

			while (queue_next(q, &rec, 0) > 0) {
				if (rec_type(&rec) == WATCH_TYPE_META) {
					EXPECT_EQ(id, rec.removal.id);
					removals |= rec_tag(&rec) == TAG ? 1 : 2;
					continue;
				}
				EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
				EXPECT_EQ(below, rec.mount.mnt_id);
				EXPECT_EQ(rec_tag(&rec) == TAG ? SUB | REC : REC,
					  rec.watch.info & WATCH_INFO_TYPE_INFO);
				/* Before it says that it goes. */
				unmounts |= rec_tag(&rec) == TAG ? 1 : 2;
				EXPECT_EQ(0, unmounts & removals);
			}
			EXPECT_EQ(3, unmounts);
			EXPECT_EQ(3, removals);
		}
		/* What comes to the same place is another. */
		EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	}
}

/*
 * Without any watch the kernel does not look for what changes, and a while after
 * the last one has gone it no longer does.  Neither shows when there is a watch
 * again, not even for mounts that changed meanwhile.
 */
TEST_F(mount, watched_again)
{
	struct queue *q = &self->queue;
	uint64_t a, b, w;
	int i;

	if (variant->at_root)
		SKIP(return, "a directory will do");

	w = mount_id("/w");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mount_tmpfs("/w/a"));
		a = mount_id("/w/a");
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, mount_tmpfs("/w/b"));
		b = mount_id("/w/b");
		expect_event(_metadata, q, NEW, SUB, b);
		ASSERT_EQ(0, move("/w/a", "/w/c"));
		expect_event(_metadata, q, MOVE_TO, SUB, a);
		ASSERT_EQ(0, sys_umount("/w/b", 0));
		expect_event(_metadata, q, UNMOUNT, SUB, b);
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, -1));
		expect_removal(_metadata, q, TAG, w);
		if (i == 1)
			sleep(8);
		ASSERT_EQ(0, set_attr("/w/c", 0, MOUNT_ATTR_RDONLY, 0));
		ASSERT_EQ(0, sys_umount("/w/c", 0));
		expect_nothing(_metadata, q);
	}
}

/* The watched directory goes. */
TEST_F(mount, rmdir_watched)
{
	struct queue *q = &self->queue;
	const uint64_t id = mount_id("/w");
	int mine;

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 2));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/c", 0, q->fd, 3));
	ASSERT_EQ(0, rmdir("/w/a"));
	expect_removal_within(_metadata, q, 0, 1, id);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mkdir("/w/a", 0755));
	EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	expect_nothing(_metadata, q);

	/* By being replaced; what replaces it may be watched itself. */
	ASSERT_EQ(0, sys_rename("/w/b", "/w/c", 0));
	expect_removal_within(_metadata, q, 0, 3, id);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/c", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 2, id);

	/* From another namespace, with what is mounted there. */
	mine = ns_fd(self->proc);
	ASSERT_LE(0, mine);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/c", 0, q->fd, TAG));
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, sys_umount("/w/a", 0));
	ASSERT_EQ(0, rmdir("/w/c"));
	ASSERT_EQ(0, sys_setns(mine, CLONE_NEWNS));
	expect_removal_within(_metadata, q, 0, TAG, id);
	expect_nothing(_metadata, q);
	close(mine);
}

/* A watch is counted until RCU lets go of it; wait for that if it takes that. */
static int watch_in_time(const char *path, int fd, int tag)
{
	int tries, ret;

	for (tries = 0; tries < SOON; tries++) {
		ret = mount_notify(AT_FDCWD, path, 0, fd, tag);
		if (ret != -EAGAIN)
			break;
		sleep_for(1);
	}
	return ret;
}

/* A watch that outlives neither its queue nor its directory is given back. */
TEST_F_TIMEOUT(mount, watches_are_given_back, 300)
{
	struct rlimit limit;
	struct queue q;
	int i;

	/* Where there is a /dev. */
	ASSERT_EQ(0, sys_setns(self->home, CLONE_NEWNS));
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, set_propagation("/", MS_PRIVATE | MS_REC));
	ASSERT_EQ(0, mount_tmpfs("/tmp"));
	ASSERT_EQ(0, mkdir("/tmp/a", 0755));

	/* Room for few more watches than this user may have by now. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_LE(64, limit.rlim_max);
	limit.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		if (i % 4 == 0)
			ASSERT_EQ(0, mount_tmpfs("/tmp/a"));
		ASSERT_EQ(0, watch_in_time("/tmp/a", q.fd, 0));
		if (i % 4 == 0)
			ASSERT_EQ(0, sys_umount("/tmp/a", 0));
		if (i % 4 == 1)
			ASSERT_EQ(0, mount_notify(AT_FDCWD, "/tmp/a", 0, q.fd, -1));
		if (i % 4 == 2)
			ASSERT_EQ(0, rmdir("/tmp/a") ?: mkdir("/tmp/a", 0755));
		queue_close(&q);
	}
}

/* The counter is the namespace's own. */
TEST_F(mount, counter)
{
	const uint64_t id = mount_id("/");
	uint64_t mine[3], theirs[2], ns, other;
	struct statmount sm;
	int fd;

	ns = mntns_id(id);
	ASSERT_NE(0, ns);
	queue_close(&self->queue);
	ASSERT_EQ(0, count_changes(id, ns, &mine[0]));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	ASSERT_EQ(0, count_changes(id, ns, &mine[1]));
	EXPECT_LT(mine[0], mine[1]);
	/* It is the same seen from any mount. */
	ASSERT_EQ(0, count_changes(mount_id("/w/a"), ns, &mine[2]));
	EXPECT_EQ(mine[1], mine[2]);

	fd = ns_fd(self->proc);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	other = mount_id("/");
	ASSERT_EQ(0, count_changes(other, 0, &theirs[0]));
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	ASSERT_EQ(0, count_changes(other, 0, &theirs[1]));
	EXPECT_LT(theirs[0], theirs[1]);
	ASSERT_EQ(0, count_changes(id, ns, &mine[2]));
	EXPECT_EQ(mine[1], mine[2]);

	/* Who does not ask for it does not get it. */
	ASSERT_EQ(0, sys_statmount(other, 0, STATMOUNT_MNT_BASIC, &sm, sizeof(sm)));
	EXPECT_EQ(0, sm.mask & STATMOUNT_MNT_NS_CHANGES);
	close(fd);
}

/* That a mount has another master now is not in any record, but it counts. */
TEST_F(mount, counter_of_slaves)
{
	uint64_t before, after, id, ns;
	int home, other;

	home = ns_fd(self->proc);
	ASSERT_LE(0, home);
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	ASSERT_EQ(0, set_propagation("/w/a", MS_SHARED));
	ASSERT_EQ(0, bind("/w/a", "/w/b", 0));
	ASSERT_EQ(0, set_propagation("/w/b", MS_SLAVE));
	ASSERT_EQ(0, set_propagation("/w/b", MS_SHARED));

	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	/* It is to outlive that this leaves it. */
	other = ns_fd(self->proc);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, set_propagation("/w/b", MS_SLAVE));
	id = mount_id("/w/b");
	ns = mntns_id(id);
	ASSERT_NE(0, ns);
	ASSERT_EQ(0, count_changes(id, ns, &before));

	/* Its master in the other namespace hands it on to its own. */
	ASSERT_EQ(0, sys_setns(home, CLONE_NEWNS));
	ASSERT_EQ(0, set_propagation("/w/b", MS_PRIVATE));
	ASSERT_EQ(0, count_changes(id, ns, &after));
	EXPECT_LT(before, after);
	close(other);
	close(home);
}

TEST_HARNESS_MAIN
