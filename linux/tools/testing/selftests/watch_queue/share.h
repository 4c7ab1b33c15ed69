/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A user can have so many watches on an object, whatever user namespaces he makes,
 * and keeps nobody else from having as many.  A program that includes this adds
 * the variants: what is watched.
 */
#ifndef SELFTESTS_WATCH_QUEUE_SHARE_H
#define SELFTESTS_WATCH_QUEUE_SHARE_H

#include <sys/resource.h>
#include <sys/stat.h>

#include "disk.h"
#include "expect.h"
#include "people.h"

#define SHARE		256
#define SHARE_EXTENDED	32	/* Of watches that extend to what is in a keyring */
#define MORE		8
#define SHARE_TAG	7

FIXTURE(share)
{
	char dir[DIR_SIZE];
	struct disk disk;
	int32_t keyring;	/* Anybody may view it */
	int fds[SHARE + MORE];
};

FIXTURE_VARIANT(share)
{
	int (*prepare)(struct _test_data_share *self);	/* 0, -errno or NULL */
	int (*watch)(const struct _test_data_share *self, int nr, int tag);
	int share;
};

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

	if (variant->prepare) {
		ret = variant->prepare(self);
		if (ret == -ENOENT || ret == -ENODEV)
			SKIP(return, "no null_blk");
		ASSERT_EQ(0, ret);
	}
	ret = variant->watch(self, 0, SHARE_TAG);
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

static inline int use_fn(void *arg)
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
	struct use all = { self, variant, 0, share, SHARE_TAG };
	struct use more = { self, variant, share, 1, SHARE_TAG };
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

static inline int without_caps_fn(void *arg)
{
	return drop_caps() ?: use_fn(arg);
}

/* What root sets with the capability is nobody's share, not even root's without. */
TEST_F_TIMEOUT(share, of_root, 120)
{
	struct use all = { self, variant, 0, variant->share, SHARE_TAG };
	struct use more = { self, variant, variant->share, 1, SHARE_TAG };

	ASSERT_EQ(0, run_as(&root, use_fn, &all));
	EXPECT_EQ(0, run_as(&root, without_caps_fn, &more));
}

/* The other way around: what is done in a user namespace is done by its maker. */
TEST_F_TIMEOUT(share, of_a_userns, 120)
{
	struct use all = { self, variant, 0, variant->share, SHARE_TAG };
	struct use more = { self, variant, variant->share, 1, SHARE_TAG };

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
static inline int refill_fn(void *arg)
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
		all->tag = SHARE_TAG;
	} while (ret == -EAGAIN && ++tries < SOON / 10);
	return ret;
}

TEST_F_TIMEOUT(share, comes_back, 120)
{
	struct use all = { self, variant, 0, variant->share, SHARE_TAG };
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

#endif /* SELFTESTS_WATCH_QUEUE_SHARE_H */
