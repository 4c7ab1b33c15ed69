// SPDX-License-Identifier: GPL-2.0
/*
 * The permission to watch mounts, and the watches that each user can have.  And a
 * watch in one mount namespace reports nothing of another.
 */

#include "mounts.h"

#include <sys/stat.h>
#include <linux/sched.h>

#include "access.h"
#include "container.h"
#include "share.h"

static int dir, private_dir, detached, other_ns;

static const char *cannot_test(void)
{
	if (mount_notify(AT_FDCWD, "/", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_MOUNT_NOTIFICATIONS";
	return NULL;
}

static int make_dirs(void *arg)
{
	(void)arg;
	return or_errno(mkdir("dir", 0755)) ?: or_errno(mkdir("dir/x", 0755));
}

static int enter_mntns_fn(void *arg)
{
	(void)arg;
	return sys_unshare(CLONE_NEWNS);
}

static int prepare(struct _test_data_access *self)
{
	int ret = make_dirs(NULL);

	if (!ret)
		ret = or_errno(mkdir("private", 0700));
	if (!ret)
		ret = start_child(&self->child, enter_mntns_fn, NULL);
	if (ret)
		return ret;
	dir = open_dir("dir");
	private_dir = open_dir("private");
	detached = tmpfs_fd(0);
	other_ns = open_of_child(&self->child, "cwd/dir");
	return dir < 0 || private_dir < 0 || detached < 0 || other_ns < 0 ? -EBADF : 0;
}

static int cause_events(void *arg)
{
	(void)arg;
	return sys_mount("none", "dir/x", "tmpfs", 0, NULL) ?: sys_umount("dir/x", 0);
}

static int watch_mount(int object, int fd, int tag)
{
	return mount_notify(object, path_of(object), flags_of(object), fd, tag);
}

static const struct row table[] = {
#define A	(-EACCES)
#define P	(-EPERM)
#define I	(-EINVAL)
	/*					root nocap user userns cont chr chr-user */
	{ "own directory", watch_mount, &here,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "directory", watch_mount, &dir,		{ 0, 0, 0, 0, P, 0, P } },
	/* Which root may search. */
	{ "private directory", watch_mount, &private_dir, { 0, 0, A, A, A, 0, A } },
	/* Which is in no namespace. */
	{ "detached mount", watch_mount, &detached,	{ I, I, I, I, I, I, I } },
	/* Which is root's. */
	{ "mount in another namespace", watch_mount, &other_ns,
							{ 0, P, P, P, P, 0, P } },
#undef A
#undef P
#undef I
};

TEST_F(access, table)
{
	expect_table(_metadata, table, ARRAY_SIZE(table), variant->place, cause_events);
}

static int watch_here_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_mount(here, q->fd, TAG);
}

TEST_F(container, isolation)
{
	ASSERT_EQ(0, make_dirs(NULL));
	ASSERT_EQ(0, call(&self->child, make_dirs, NULL));
	expect_isolation(_metadata, self, watch_here_fn, cause_events);
}

/* Root may look into a container, and so may whoever made its user namespace. */
TEST_F(container, from_outside)
{
	static const int expected[NR_OUTSIDERS] = {
		[OUT_NO_CAPS] = -EPERM,
		[OUT_BOB] = -EPERM,
		[OUT_USERNS] = -EPERM,
		[OUT_CONTAINER] = -EPERM,
	};

	expect_outsiders(_metadata, self, watch_mount, expected);
}

/*
 * A namespace of Alice's that mounts propagate to.  What a watch there reports
 * is of the mounts there, and no group is that of those outside.
 */
static int slave_fn(void *arg)
{
	int ret;

	ret = become(&alice);
	if (!ret)
		ret = enter_userns(ALICE, CLONE_NEWNS);
	return ret ?: watch_here_fn(arg);
}

static int list_fn(void *arg)
{
	return list_mounts(arg, 0);
}

TEST_F(container, propagation)
{
	struct queue *q = &self->out;
	struct listing *listing;
	struct child slave;
	union record rec;

	listing = shared_memory(sizeof(*listing));
	ASSERT_NE(NULL, listing);
	ASSERT_EQ(0, make_dirs(NULL));
	ASSERT_EQ(0, set_propagation(".", MS_SHARED));
	ASSERT_EQ(0, start_child(&slave, slave_fn, q));
	ASSERT_EQ(0, sys_mount("none", "dir/x", "tmpfs", 0, NULL));
	ASSERT_EQ(0, call(&slave, list_fn, listing));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_MOUNT_NEW_MOUNT, rec_subtype(&rec));
	EXPECT_NE(mount_id("dir/x"), rec.mount.mnt_id);
	EXPECT_NE(NULL, find_mount(listing, rec.mount.mnt_id));
	EXPECT_NE(NULL, find_mount(listing, rec.mount.mnt_parent_id));
	EXPECT_EQ(MS_SLAVE, rec.mount.mnt_propagation);
	EXPECT_EQ(0, rec.mount.mnt_peer_group);
	expect_nothing(_metadata, q);
	end_child(&slave);
}

/* The watches of a mount namespace count together, on whatever directory they are. */
static int watch_shared(const struct _test_data_share *self, int nr, int tag)
{
	return mount_notify(AT_FDCWD, nr % 2 ? "." : "dir", 0, self->fds[nr], tag);
}

FIXTURE_VARIANT_ADD(share, mounts) { .watch = watch_shared, .share = 48 };

/* How many watches a user can set in how many user namespaces. */
struct many {
	int fds[48];
	unsigned int nr, namespaces;
	int ret;
};

static int watch_many_fn(void *arg)
{
	struct many *many = arg;
	unsigned int i;

	for (many->namespaces = 0; many->namespaces < 25; many->namespaces++) {
		many->ret = enter_userns(many->namespaces ? 0 : ALICE, CLONE_NEWNS);
		for (i = 0; i < ARRAY_SIZE(many->fds) && !many->ret; i++, many->nr++)
			many->ret = mount_notify(AT_FDCWD, "/", 0, many->fds[i], 1);
		if (many->ret) {
			many->nr--;
			break;
		}
		/* It has to stay when there is nobody in it. */
		if (sys_open("/proc/self/ns/mnt", O_RDONLY) < 0)
			return -EBADF;
	}
	return 0;
}

/* In all a user can have 1024, whatever user namespaces he makes, and has them again. */
TEST(watches_in_all_namespaces)
{
	const struct rlimit limit = { 4096, 4096 };
	struct many *many = shared_memory(sizeof(*many));
	int i, round, pair[2];

	if (geteuid() != 0 || !have_userns())
		SKIP(return, "not root, or no user namespaces");
	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	ASSERT_NE(NULL, many);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(many->fds); i++) {
			ASSERT_EQ(0, sys_pipe(pair, O_NOTIFICATION_PIPE));
			close(pair[1]);
			many->fds[i] = pair[0];
		}
		many->nr = 0;
		ASSERT_EQ(0, run_as(&alice, watch_many_fn, many));
		EXPECT_EQ(-ENOSPC, many->ret);
		EXPECT_EQ(1024, many->nr);
		for (i = 0; i < ARRAY_SIZE(many->fds); i++)
			close(many->fds[i]);
	}
}

TEST_HARNESS_MAIN
