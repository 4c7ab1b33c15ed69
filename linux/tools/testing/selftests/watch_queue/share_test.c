// SPDX-License-Identifier: GPL-2.0
/*
 * A user can have so many watches on an object, whatever user namespaces he makes,
 * and keeps nobody else from having as many.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "disk.h"
#include "expect.h"
#include "mounts.h"
#include "people.h"

#define SHARE		256
#define SHARE_EXTENDED	32	/* Of watches that extend to what is in a keyring */
#define MORE		8
#define TAG		7

FIXTURE(share)
{
	char dir[DIR_SIZE];
	struct disk disk;
	int32_t keyring;
	int fds[SHARE + MORE];
};

FIXTURE_VARIANT(share)
{
	int (*watch)(const struct _test_data_share *self, int nr, int tag);
	int share;
};

static int watch_a_key(const struct _test_data_share *self, int nr, int tag)
{
	return watch_key(self->keyring, self->fds[nr], tag);
}

static int watch_children(const struct _test_data_share *self, int nr, int tag)
{
	return watch_keyring(self->keyring, self->fds[nr], tag, KEYCTL_WATCH_CHILDREN);
}

/* That of a mount namespace is not one for each directory. */
static int watch_mounts(const struct _test_data_share *self, int nr, int tag)
{
	return mount_notify(AT_FDCWD, nr % 2 ? "." : "dir", 0, self->fds[nr], tag);
}

static int watch_a_sb(const struct _test_data_share *self, int nr, int tag)
{
	return sb_notify(AT_FDCWD, ".", 0, self->fds[nr], tag);
}

static int watch_a_disk(const struct _test_data_share *self, int nr, int tag)
{
	return block_notify(AT_FDCWD, DISK_NODE, 0, self->fds[nr], tag);
}

FIXTURE_VARIANT_ADD(share, key) { .watch = watch_a_key, .share = SHARE };
FIXTURE_VARIANT_ADD(share, children) { .watch = watch_children, .share = SHARE_EXTENDED };
FIXTURE_VARIANT_ADD(share, mounts) { .watch = watch_mounts, .share = SHARE };
FIXTURE_VARIANT_ADD(share, sb) { .watch = watch_a_sb, .share = SHARE };
FIXTURE_VARIANT_ADD(share, block) { .watch = watch_a_disk, .share = SHARE };

FIXTURE_SETUP(share)
{
	const struct rlimit limit = { 4 * SHARE, 4 * SHARE };
	int i, ret, pair[2];

	if (geteuid() != 0)
		SKIP(return, "not root");
	ASSERT_EQ(0, enter_dir(self->dir));
	ASSERT_EQ(0, mkdir("dir", 0755));
	ASSERT_EQ(0, chmod(".", 0755));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < ARRAY_SIZE(self->fds); i++) {
		ret = sys_pipe(pair, O_NOTIFICATION_PIPE);
		if (ret == -ENOPKG)
			SKIP(return, "no CONFIG_WATCH_QUEUE");
		ASSERT_EQ(0, ret);
		self->fds[i] = pair[0];
		close(pair[1]);
	}

	/* Anybody may view it, as a member of nothing. */
	self->keyring = add_key("keyring", "watch_queue:shared", NULL, join_new_session());
	ASSERT_LT(0, self->keyring);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, self->keyring, 0x3f3f0101, 0, 0));

	if (variant->watch == watch_a_disk) {
		ret = disk_add(&self->disk, 1);
		if (ret == -ENOENT || ret == -ENODEV)
			SKIP(return, "no null_blk");
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, chmod(DISK_NODE, 0644));
	}
	ret = variant->watch(self, 0, TAG);
	if (ret == -ENOSYS || ret == -EOPNOTSUPP)
		SKIP(return, "not configured");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, variant->watch(self, 0, -1));
}

FIXTURE_TEARDOWN(share)
{
	disk_put(&self->disk);
	leave_dir(self->dir);
}

struct use {
	const struct _test_data_share *self;
	const struct _fixture_variant_share *variant;
	int first, nr, tag;
};

static int use_fn(void *arg)
{
	const struct use *use = arg;
	int i, ret = 0;

	for (i = use->first; i < use->first + use->nr && !ret; i++)
		ret = use->variant->watch(use->self, i, use->tag);
	return ret;
}

TEST_F_TIMEOUT(share, of_a_user, 120)
{
	const int share = variant->share;
	struct use all = { self, variant, 0, share, TAG };
	struct use more = { self, variant, share, 1, TAG };
	struct use first = { self, variant, 0, 1, -1 };

	ASSERT_EQ(0, run_as(&alice, use_fn, &all));
	EXPECT_EQ(-ENOSPC, run_as(&alice, use_fn, &more));
	/* What he does in a user namespace is no less his. */
	if (have_userns())
		EXPECT_EQ(-ENOSPC, run_as(&alice_as_root, use_fn, &more));

	/* Others have theirs, and one who has the capability needs none. */
	EXPECT_EQ(0, run_as(&bob, use_fn, &more));
	more.first++;
	EXPECT_EQ(0, run_as(&root, use_fn, &more));

	/* Each that goes makes room for one. */
	more.first++;
	EXPECT_EQ(0, run_as(&alice, use_fn, &first));
	EXPECT_EQ(0, run_as(&alice, use_fn, &more));
	more.first++;
	EXPECT_EQ(-ENOSPC, run_as(&alice, use_fn, &more));
}

static int without_caps_fn(void *arg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(__NR_capset, &header, data) ? -errno : use_fn(arg);
}

/* What root sets with the capability is nobody's share, not even root's without. */
TEST_F_TIMEOUT(share, of_root, 120)
{
	struct use all = { self, variant, 0, variant->share, TAG };
	struct use more = { self, variant, variant->share, 1, TAG };

	ASSERT_EQ(0, run_as(&root, use_fn, &all));
	EXPECT_EQ(0, run_as(&root, without_caps_fn, &more));
}

/* The other way around: what is done in a user namespace is done by its maker. */
TEST_F_TIMEOUT(share, of_a_userns, 120)
{
	struct use all = { self, variant, 0, variant->share, TAG };
	struct use more = { self, variant, variant->share, 1, TAG };

	if (!have_userns())
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, run_as(&alice_as_root, use_fn, &all));
	EXPECT_EQ(-ENOSPC, run_as(&alice_as_root, use_fn, &more));
	EXPECT_EQ(-ENOSPC, run_as(&alice, use_fn, &more));
	EXPECT_EQ(0, run_as(&bob, use_fn, &more));
}

/*
 * All of it comes back when the queues are closed: without any watch left to him
 * but those that he may have, a user has as many again.
 */
static int refill_fn(void *arg)
{
	struct use *all = arg;
	const struct rlimit limit = { all->nr, all->nr };
	int ret, tries = 0;

	/* A watch counts until RCU has let go of it. */
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	do {
		sleep_for(10);
		ret = use_fn(all);
		if (ret == -EBUSY)
			ret = -EAGAIN;
		else if (!ret)
			return 0;
		all->tag = -1;
		use_fn(all);
		all->tag = TAG;
	} while (ret == -EAGAIN && ++tries < SOON / 10);
	return ret;
}

TEST_F_TIMEOUT(share, comes_back, 120)
{
	struct use all = { self, variant, 0, variant->share, TAG };
	int i, pair[2];

	ASSERT_EQ(0, run_as(&alice, use_fn, &all));
	for (i = 0; i < ARRAY_SIZE(self->fds); i++) {
		close(self->fds[i]);
		ASSERT_EQ(0, sys_pipe(pair, O_NOTIFICATION_PIPE));
		self->fds[i] = pair[0];
		close(pair[1]);
	}
	EXPECT_EQ(0, run_as(&alice, refill_fn, &all));
}

TEST_HARNESS_MAIN
