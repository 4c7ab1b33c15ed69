// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts, moves, renames, rmdir, attributes, propagation, deaths of namespaces,
 * and watches that are added, removed and closed, all at once.  What any of it
 * returns does not matter; afterwards all of it must be gone again.  To be run
 * on a kernel with lockdep and KASAN.
 */

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mounts.h"

#include "expect.h"
#include "people.h"

#define SECONDS		3
#define NR_QUEUES	4
#define NR_MOUNTS	500

/*
 * The processes that change mounts, those that watch them, and one without privilege that
 * does both in namespaces of its own, to which mounts propagate.
 */
#define NR_CHANGERS	3
#define NR_WATCHERS	2
#define STRANGER	(NR_CHANGERS + NR_WATCHERS)
#define NR_PROCESSES	(STRANGER + 1)

static uint32_t state;

static unsigned int below(unsigned int limit)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % limit;
}

static const char *place(void)
{
	static const char * const places[] = {
		"/d", "/d/x", "/d/y", "/d/x/z", "/d/y/z", "/e", "/e/x", "/e/y", "/e/x/z",
	};

	return places[below(ARRAY_SIZE(places))];
}

static void make_places(void)
{
	static const char * const places[] = {
		"/d", "/e", "/d/x", "/d/y", "/e/x", "/e/y", "/d/x/z", "/d/y/z", "/e/x/z",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		mkdir(places[i], 0755);
}

static bool over(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= SECONDS;
}

/* Unmount all but the root, /proc and /dev; what lies hidden comes to light. */
static int clean_up(int rounds)
{
	static struct listing l;
	const char *point;
	unsigned int i;
	int ret;

	while (rounds--) {
		ret = list_mounts(&l, 0);
		if (ret && ret != -E2BIG)
			return ret;
		if (l.nr == 3)
			return 0;
		for (i = 0; i < l.nr; i++) {
			point = l.mnts[i].point;
			if (strcmp(point, "/") && strcmp(point, "/proc") &&
			    strcmp(point, "/dev"))
				sys_umount(point, MNT_DETACH);
		}
	}
	return -EBUSY;
}

static void change_something(int home)
{
	static const unsigned long types[] = {
		MS_SHARED, MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE,
	};
	static const int how[] = { 0, MNT_DETACH, MNT_DETACH, MNT_EXPIRE };

	switch (below(14)) {
	case 0:
	case 1:
		sys_mount("storm", place(), "tmpfs", 0, NULL);
		make_places();
		break;
	case 2:
		sys_mount(place(), place(), NULL, MS_BIND | (below(2) ? MS_REC : 0), NULL);
		break;
	case 3:
		sys_mount(place(), place(), NULL, MS_MOVE, NULL);
		break;
	case 4:
		attach(tmpfs_fd(0), place(), MOVE_MOUNT_BENEATH);
		break;
	case 5:
	case 6:
		sys_umount(place(), how[below(ARRAY_SIZE(how))]);
		break;
	case 7:
		set_propagation(place(), types[below(ARRAY_SIZE(types))] |
				(below(2) ? MS_REC : 0));
		break;
	case 8:
		set_attr(place(), below(2) ? AT_RECURSIVE : 0, MOUNT_ATTR_NODEV,
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
		break;
	case 9:
		set_attr(place(), below(2) ? AT_RECURSIVE : 0,
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NODEV);
		break;
	case 10:
		sys_rename(place(), place(), below(3));
		sys_rename("/d/x", "/e/x", 0);
		sys_rename("/e/x", "/d/x", 0);
		make_places();
		break;
	case 11:
		rmdir(place());
		make_places();
		break;
	case 12:
		/* Into a copy of the namespace; the old one may die with that. */
		sys_unshare(CLONE_NEWNS);
		break;
	case 13:
		/* Back to where all meet, which must not become too crowded. */
		sys_setns(home, CLONE_NEWNS);
		if (below(4) == 0)
			clean_up(1);
		break;
	}
}

static void watch_something(struct queue *queues, enum queue_kind kind,
			    unsigned int size)
{
	struct queue *q = &queues[below(NR_QUEUES)];
	union record rec;

	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		mount_notify(AT_FDCWD, place(), 0, q->fd, below(256));
		break;
	case 3:
		mount_notify(AT_FDCWD, place(), 0, q->fd, -1);
		break;
	case 4:
		mount_notify(AT_FDCWD, "/", 0, q->fd, below(256) - 1);
		break;
	case 5:
		while (queue_next(q, &rec, 0) > 0)
			;
		break;
	case 6:
		queue_close(q);
		if (queue_open(q, kind, size))
			_exit(2);
		break;
	case 7:
		make_places();
		break;
	}
}

/* How many watches this user may still have, if so many as files. */
static int watches_left(int fd)
{
	struct rlimit limit, few;
	char path[16];
	int i, nr;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	few = limit;
	few.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &few))
		return -errno;
	for (nr = 0; nr < 100; nr++) {
		snprintf(path, sizeof(path), "/watch%d", nr);
		mkdir(path, 0755);
		if (mount_notify(AT_FDCWD, path, 0, fd, 0))
			break;
	}
	for (i = 0; i <= nr; i++) {
		snprintf(path, sizeof(path), "/watch%d", i);
		rmdir(path);
	}
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : nr;
}

/* A copy of the directory @path in the namespace that is entered later. */
static int take_along(const char *path)
{
	return sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
}

static int put_down(int fd, const char *path)
{
	mkdir(path, 0755);
	return attach(fd, path, 0);
}

/*
 * Mounts of shared mounts on one another can double at each operation.  How many
 * there may be in a namespace; returns how many there might be before.
 */
static int limit_mounts(int max)
{
	static const char name[] = "/proc/sys/fs/mount-max";
	FILE *file = fopen(name, "r+");
	int before;

	if (!file)
		return -errno;
	if (fscanf(file, "%d", &before) != 1)
		before = -EINVAL;
	rewind(file);
	fprintf(file, "%d\n", max);
	return fclose(file) ? -errno : before;
}

FIXTURE(storm)
{
	int mount_max;
};

QUEUE_VARIANTS(storm, 32, 1);

FIXTURE_SETUP(storm)
{
	struct queue q;
	int ret;

	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &q, variant->kind, variant->size))
		return;
	ret = mount_notify(AT_FDCWD, "/", 0, q.fd, -1);
	queue_close(&q);
	if (ret == -ENOSYS)
		SKIP(return, "no CONFIG_MOUNT_NOTIFICATIONS");
	ASSERT_EQ(-EBADSLT, ret);
	self->mount_max = limit_mounts(NR_MOUNTS);
	ASSERT_LT(0, self->mount_max);
}

FIXTURE_TEARDOWN_PARENT(storm)
{
	if (self->mount_max > 0)
		limit_mounts(self->mount_max);
}

TEST_F_TIMEOUT(storm, all_at_once, 60)
{
	int home, proc, dev, left = 0, now = -1, i, j, status, tries;
	struct queue queues[NR_QUEUES], q;
	bool have_stranger = have_userns();
	pid_t pids[NR_PROCESSES];
	struct timespec start;
	union record rec;

	proc = take_along("/proc");
	dev = take_along("/dev");
	ASSERT_EQ(0, enter_empty_mntns());
	ASSERT_EQ(0, put_down(proc, "/proc"));
	ASSERT_EQ(0, put_down(dev, "/dev"));
	home = sys_open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, home);
	make_places();
	ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
	/* Once those of an earlier test are gone. */
	for (tries = 0; tries < SOON / 100 && (!left || now != left); tries++) {
		sleep_for(100);
		left = now;
		now = watches_left(q.fd);
	}
	ASSERT_LT(0, left);
	while (queue_next(&q, &rec, 0) > 0)
		;
	ASSERT_EQ(0, set_propagation("/", MS_SHARED));

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i])
			continue;
		state = start.tv_nsec ^ (i + 1) * 0x9e3779b9;
		state = state ?: 1;
		for (j = 0; j < NR_QUEUES && i >= NR_CHANGERS; j++)
			if (queue_open(&queues[j], variant->kind, variant->size))
				_exit(1);
		if (i == STRANGER && !have_stranger)
			_exit(0);
		if (i == STRANGER && (become(&alice) || enter_userns(ALICE, CLONE_NEWNS)))
			_exit(1);
		while (!over(&start)) {
			/* Watchers go with the root that there is now. */
			if (i >= NR_CHANGERS && i < STRANGER)
				sys_setns(home, CLONE_NEWNS);
			for (j = 0; j < 16; j++) {
				if (i < NR_CHANGERS || (i == STRANGER && j & 1))
					change_something(home);
				else
					watch_something(queues, variant->kind,
							variant->size);
			}
		}
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}

	EXPECT_EQ(0, clean_up(1000));

	/* So have all the watches, some time after the queues. */
	for (tries = 0; tries < SOON / 100; tries++) {
		now = watches_left(q.fd);
		if (now >= left)
			break;
		sleep_for(100);
	}
	EXPECT_LE(left, now);
	while (queue_next(&q, &rec, 0) > 0)
		;

	/* A new watch works as ever. */
	make_places();
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/d", 0, q.fd, 7));
	ASSERT_EQ(0, sys_mount("storm", "/d", "tmpfs", 0, NULL));
	ASSERT_EQ(1, queue_next(&q, &rec, 0));
	EXPECT_EQ(NOTIFY_MOUNT_NEW_MOUNT, rec_subtype(&rec));
	EXPECT_EQ(mount_id("/d"), rec.mount.mnt_id);
	EXPECT_EQ(0, queue_next(&q, &rec, 0));
	ASSERT_EQ(0, sys_umount("/d", 0));
	ASSERT_EQ(1, queue_next(&q, &rec, 0));
	EXPECT_EQ(NOTIFY_MOUNT_UNMOUNT, rec_subtype(&rec));
	queue_close(&q);
}

TEST_HARNESS_MAIN
