// SPDX-License-Identifier: GPL-2.0
/*
 * The permission to watch superblocks, the watches that each user can have, and which
 * IDs of users and groups a watch shows.  And a watch in a container reports
 * nothing of what is outside.
 */

#include "superblocks.h"

#include <sys/stat.h>
#include <linux/mount.h>
#include <linux/quota.h>

#include "access.h"
#include "container.h"
#include "share.h"

#define OVERFLOW_ID	65534	/* What an ID is that has no name here */

static int root_of_sb, bind, of_pipes;

static const char *cannot_test(void)
{
	if (sb_notify(-1, "", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_SB_NOTIFICATIONS";
	return NULL;
}

static int prepare(struct _test_data_access *self)
{
	int ret, pipe[2];

	(void)self;
	if (mkdir("mnt", 0755) || mkdir("bind", 0755))
		return -errno;
	ret = sys_mount("none", "mnt", "tmpfs", 0, NULL);
	if (!ret)
		ret = or_errno(mkdir("mnt/dir", 0755));
	if (!ret)
		ret = sys_mount("mnt/dir", "bind", NULL, MS_BIND, NULL);
	if (!ret)
		ret = sys_pipe(pipe, O_CLOEXEC);
	if (ret)
		return ret;
	root_of_sb = open_dir("mnt");
	bind = open_dir("bind");
	of_pipes = pipe[0];
	return root_of_sb < 0 || bind < 0 ? -EBADF : 0;
}

static int cause_events(void *arg)
{
	(void)arg;
	return touch_sb(".");
}

static int cause_all(void *arg)
{
	return cause_events(arg) ?: touch_sb("mnt");
}

static int watch_sb(int object, int fd, int tag)
{
	return sb_notify(object, path_of(object), flags_of(object), fd, tag);
}

static int watch_submounts(int object, int fd, int tag)
{
	return sb_notify(object, path_of(object), flags_of(object) | SB_NOTIFY_SUBMOUNTS,
			 fd, tag);
}

static int watch_all(int object, int fd, int tag)
{
	return sb_notify(object, NULL, SB_NOTIFY_ALL, fd, tag);
}

static const struct row table[] = {
#define P	(-EPERM)
#define I	(-EINVAL)
	/*					root nocap user userns cont chr chr-user */
	{ "own superblock", watch_sb, &here,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "superblock", watch_sb, &root_of_sb,		{ 0, 0, 0, 0, 0, 0, 0 } },
	/* By a mount that does not show the root of the filesystem. */
	{ "part of a filesystem", watch_sb, &bind,	{ 0, P, P, P, P, 0, P } },
	{ "own superblock with submounts", watch_submounts, &here,
							{ 0, P, P, P, 0, 0, P } },
	{ "superblock with submounts", watch_submounts, &root_of_sb,
							{ 0, P, P, P, P, 0, P } },
	/* Which is mounted nowhere. */
	{ "superblock of pipes", watch_sb, &of_pipes,	{ I, I, I, I, I, I, I } },
	{ "all superblocks", watch_all, &here,		{ 0, P, P, P, P, 0, P } },
#undef P
#undef I
};

TEST_F(access, table)
{
	expect_table(_metadata, table, ARRAY_SIZE(table), variant->place, cause_all);
}

static int watch_here_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_sb(here, q->fd, TAG);
}

TEST_F(container, isolation)
{
	expect_isolation(_metadata, self, watch_here_fn, cause_events);
}

/*
 * Root may look into a container and watch what is mounted there later, and so
 * may whoever made its user namespace.
 */
TEST_F(container, from_outside)
{
	static const int expected[NR_OUTSIDERS] = { 0 };
	static const int with_submounts[NR_OUTSIDERS] = {
		[OUT_NO_CAPS] = -EPERM,
		[OUT_BOB] = -EPERM,
		[OUT_USERNS] = -EPERM,
		[OUT_CONTAINER] = -EPERM,
	};

	expect_outsiders(_metadata, self, watch_sb, expected);
	expect_outsiders(_metadata, self, watch_submounts, with_submounts);
}

static int own_fn(void *arg)
{
	const struct queue *q = arg;
	int ret;

	if (mkdir("a", 0755) || mkdir("b", 0755))
		return -errno;
	ret = sys_mount("a", "b", NULL, MS_BIND, NULL);
	return ret ?: sb_notify(AT_FDCWD, "b", 0, q->fd, TAG);
}

/* In a container its root may do what root may do outside. */
TEST_F(container, own)
{
	ASSERT_EQ(0, call(&self->child, own_fn, &self->in));
	ASSERT_EQ(0, call(&self->child, cause_events, NULL));
	EXPECT_LT(0, queue_tags(&self->in));
}

struct quota {
	const char *dir;
	struct someone who;
	int fd;
};

static int use_quota_fn(void *arg)
{
	const struct quota *quota = arg;
	char path[64];
	int ret, i;

	ret = become(&quota->who);
	for (i = 0; i < 2 && !ret; i++) {
		snprintf(path, sizeof(path), "%s/%d", quota->dir, i);
		ret = mkdir(path, 0755) ? -errno : 0;
	}
	return ret;
}

static int watch_quota_fn(void *arg)
{
	const struct quota *quota = arg;
	int ret;

	ret = become(&quota->who);
	if (!ret)
		ret = sb_notify(AT_FDCWD, quota->dir, 0, quota->fd, TAG);
	return ret;
}

static void expect_quota(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int type, unsigned int id)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_SUPERBLOCK_EDQUOT, rec_subtype(&rec));
	EXPECT_EQ(type, rec.sb_quota.quota_type);
	EXPECT_EQ(QUOTA_NL_IHARDWARN, rec.sb_quota.warning);
	EXPECT_EQ(id, rec.sb_quota.id);
	expect_nothing(_metadata, q);
}

/* The IDs of users and groups are as the watcher's namespace has them. */
TEST_F(container, quota)
{
	/* Alice is also in Bob's group, for which she has no name inside. */
	struct quota watcher = {
		.who = { .uid = ALICE, .group = BOB, .in_userns = true },
		.fd = self->in.fd,
	};
	struct quota user = { .dir = "usrquota", .who = alice };
	struct quota group = { .dir = "grpquota", .who = bob };
	struct child child;

	ASSERT_EQ(0, mkdir("usrquota", 0755));
	ASSERT_EQ(0, mkdir("grpquota", 0755));
	if (sys_mount("none", "usrquota", "tmpfs", 0,
		      "mode=777,usrquota,usrquota_inode_hardlimit=1"))
		SKIP(return, "no quotas in tmpfs");
	ASSERT_EQ(0, sys_mount("none", "grpquota", "tmpfs", 0,
			       "mode=777,grpquota,grpquota_inode_hardlimit=1"));

	watcher.dir = "usrquota";
	ASSERT_EQ(0, start_child(&child, watch_quota_fn, &watcher));
	end_child(&child);
	watcher.dir = "grpquota";
	ASSERT_EQ(0, start_child(&child, watch_quota_fn, &watcher));
	end_child(&child);
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "usrquota", 0, self->out.fd, TAG));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "grpquota", 0, self->out.fd, TAG));

	ASSERT_EQ(-EDQUOT, start_child(&child, use_quota_fn, &user));
	end_child(&child);
	expect_quota(_metadata, &self->out, USRQUOTA, ALICE);
	expect_quota(_metadata, &self->in, USRQUOTA, 0);

	ASSERT_EQ(-EDQUOT, start_child(&child, use_quota_fn, &group));
	end_child(&child);
	expect_quota(_metadata, &self->out, GRPQUOTA, BOB);
	expect_quota(_metadata, &self->in, GRPQUOTA, OVERFLOW_ID);
}

static int watch_shared(const struct _test_data_share *self, int nr, int tag)
{
	return sb_notify(AT_FDCWD, ".", 0, self->fds[nr], tag);
}

FIXTURE_VARIANT_ADD(share, sb) { .watch = watch_shared, .share = SHARE };

TEST_HARNESS_MAIN
