// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of watches on superblocks, part of fs/sb_watch.c
 */

#include <kunit/watch_queue.h>

#define TEST_UID	1000
#define TEST_GID	1001
#define TEST_GROUP	1002	/* Supplementary */

/* A watch whose owner is the user above, to be given to sb_tailor(). */
static struct sb_watch *some_watch(struct kunit *test, bool privileged)
{
	struct sb_watch *swatch = kunit_kzalloc(test, sizeof(*swatch), GFP_KERNEL);
	struct cred *cred = kunit_kzalloc(test, sizeof(*cred), GFP_KERNEL);
	struct group_info *groups;

	KUNIT_ASSERT_NOT_NULL(test, swatch);
	KUNIT_ASSERT_NOT_NULL(test, cred);
	groups = kunit_kzalloc(test, struct_size(groups, gid, 1), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, groups);
	groups->ngroups = 1;
	groups->gid[0] = KGIDT_INIT(TEST_GROUP);
	cred->user_ns = &init_user_ns;
	cred->fsuid = KUIDT_INIT(TEST_UID);
	cred->fsgid = KGIDT_INIT(TEST_GID);
	cred->group_info = groups;
	swatch->watch.cred = cred;
	swatch->privileged = privileged;
	return swatch;
}

static void sb_watch_tailor_subtype(struct kunit *test)
{
	static const struct {
		unsigned int subtype;
		bool plain;
	} cases[] = {
		{ NOTIFY_SUPERBLOCK_READONLY, true },
		{ NOTIFY_SUPERBLOCK_RECONFIGURED, true },
		{ NOTIFY_SUPERBLOCK_SHUTDOWN, true },
		{ NOTIFY_SUPERBLOCK_ERROR, false },
		{ NOTIFY_SUPERBLOCK_FREEZE, false },
		{ NOTIFY_SUPERBLOCK_THAW, false },
	};
	struct sb_watch *privileged = some_watch(test, true);
	struct sb_watch *plain = some_watch(test, false);
	struct superblock_error_notification n, copy;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		n = (struct superblock_error_notification) {
			.s.watch.type	= WATCH_TYPE_SB_NOTIFY,
			.s.watch.subtype = cases[i].subtype,
			.error		= EIO,
			.ino		= 1,
		};
		copy = n;
		KUNIT_EXPECT_TRUE(test, sb_tailor(&privileged->watch, &copy.s.watch));
		KUNIT_EXPECT_MEMEQ(test, &copy, &n, sizeof(n));
		KUNIT_EXPECT_EQ_MSG(test, cases[i].plain,
				    sb_tailor(&plain->watch, &copy.s.watch),
				    "subtype %u", cases[i].subtype);
	}
}

static void sb_watch_tailor_quota(struct kunit *test)
{
	static const struct {
		unsigned int type, id;
		bool own;
	} cases[] = {
		{ USRQUOTA, TEST_UID, true },
		{ USRQUOTA, 0, false },
		{ USRQUOTA, TEST_GID, false },
		{ GRPQUOTA, TEST_GID, true },
		{ GRPQUOTA, TEST_GROUP, true },
		{ GRPQUOTA, TEST_UID, false },
		{ PRJQUOTA, TEST_UID, false },
	};
	struct sb_watch *privileged = some_watch(test, true);
	struct sb_watch *plain = some_watch(test, false);
	struct superblock_quota_notification n;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		n = (struct superblock_quota_notification) {
			.s.watch.type	= WATCH_TYPE_SB_NOTIFY,
			.s.watch.subtype = NOTIFY_SUPERBLOCK_EDQUOT,
			.quota_type	= cases[i].type,
			.id		= cases[i].id,
		};
		KUNIT_EXPECT_TRUE(test, sb_tailor(&privileged->watch, &n.s.watch));
		KUNIT_EXPECT_EQ(test, cases[i].id, n.id);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].own,
				    sb_tailor(&plain->watch, &n.s.watch),
				    "type %u, id %u", cases[i].type, cases[i].id);
	}
}

/* A superblock of no filesystem, watched. */
static void remove_lone_sb(void *data)
{
	struct super_block *sb = data;

	remove_watch_list(rcu_dereference_raw(sb->s_watch.watchers),
			  sb->s_watch.id);
	rcu_barrier();
}

static struct super_block *lone_sb(struct kunit *test, struct test_queue *q)
{
	struct super_block *sb = kunit_kzalloc(test, sizeof(*sb), GFP_KERNEL);
	struct watch_list *wlist;
	struct sb_watch *swatch;

	KUNIT_ASSERT_NOT_NULL(test, sb);
	sb_watch_init(sb);
	wlist = sb_watch_list(sb);
	KUNIT_ASSERT_NOT_NULL(test, wlist);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, remove_lone_sb, sb));

	swatch = alloc_watch(sizeof(*swatch), &q->queue, WATCH_TYPE_SB_NOTIFY,
			     sb->s_watch.id, TEST_TAG);
	KUNIT_ASSERT_NOT_NULL(test, swatch);
	KUNIT_ASSERT_EQ(test, 0, add_watch_to_object(&swatch->watch, wlist));
	return sb;
}

static void expect_flags(struct kunit *test, struct test_queue *q,
			 unsigned int subtype, u32 old, u32 new)
{
	const struct superblock_flags_notification *n;
	unsigned int info = 0;

	if (subtype == NOTIFY_SUPERBLOCK_READONLY && new & SB_RDONLY)
		info = NOTIFY_SUPERBLOCK_IS_NOW_RO;
	n = test_queue_next(test, q, WATCH_TYPE_SB_NOTIFY, subtype);
	KUNIT_EXPECT_EQ(test, watch_sizeof(*n), n->s.watch.info & WATCH_INFO_LENGTH);
	KUNIT_EXPECT_EQ(test, info, n->s.watch.info & WATCH_INFO_TYPE_INFO);
	KUNIT_EXPECT_EQ(test, old, n->sb_flags_old);
	KUNIT_EXPECT_EQ(test, new, n->sb_flags);
}

static void sb_watch_flags_change(struct kunit *test)
{
	struct test_queue *q = test_queue_start(test);
	struct super_block *sb = lone_sb(test, q);

	/* Nobody sees it before it is born, and nobody knows it otherwise. */
	sb->s_flags = SB_RDONLY | SB_SYNCHRONOUS;
	notify_sb_flags(sb);
	sb_watch_born(sb);
	sb->s_flags |= SB_BORN;
	notify_sb_flags(sb);
	test_queue_is_empty(test, q);

	/* Each way, alone and with another flag. */
	sb->s_flags &= ~SB_RDONLY;
	notify_sb_flags(sb);
	notify_sb_flags(sb);
	expect_flags(test, q, NOTIFY_SUPERBLOCK_READONLY,
		     SB_RDONLY | SB_SYNCHRONOUS, SB_SYNCHRONOUS);
	sb->s_flags ^= SB_SYNCHRONOUS | SB_LAZYTIME;
	notify_sb_flags(sb);
	expect_flags(test, q, NOTIFY_SUPERBLOCK_RECONFIGURED,
		     SB_SYNCHRONOUS, SB_LAZYTIME);
	sb->s_flags ^= SB_RDONLY | SB_DIRSYNC;
	notify_sb_flags(sb);
	expect_flags(test, q, NOTIFY_SUPERBLOCK_READONLY,
		     SB_LAZYTIME, SB_LAZYTIME | SB_RDONLY);
	expect_flags(test, q, NOTIFY_SUPERBLOCK_RECONFIGURED,
		     SB_LAZYTIME | SB_RDONLY, SB_LAZYTIME | SB_RDONLY | SB_DIRSYNC);

	/* Flags that statmount() does not show are not told of. */
	sb->s_flags |= SB_POSIXACL | SB_NOSEC;
	notify_sb_flags(sb);
	test_queue_is_empty(test, q);
	KUNIT_EXPECT_EQ(test, 4, atomic64_read(&sb->s_watch.changes));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&sb->s_watch.errors));
}

/* Read-only without the flag, which stays so, and the end. */
static void sb_watch_emergency(struct kunit *test)
{
	struct test_queue *q = test_queue_start(test);
	struct super_block *sb = lone_sb(test, q);

	sb->s_flags = SB_BORN;
	notify_sb_emergency_ro(sb);
	notify_sb_emergency_ro(sb);
	expect_flags(test, q, NOTIFY_SUPERBLOCK_READONLY, 0, SB_RDONLY);
	sb->s_flags |= SB_RDONLY;
	notify_sb_flags(sb);
	sb->s_flags &= ~SB_RDONLY;
	notify_sb_flags(sb);
	test_queue_is_empty(test, q);

	notify_sb_shutdown(sb);
	notify_sb_shutdown(sb);
	test_queue_next(test, q, WATCH_TYPE_SB_NOTIFY, NOTIFY_SUPERBLOCK_SHUTDOWN);
	test_queue_is_empty(test, q);
}

/* A helper that filesystems in trouble call, as often as they like. */
static void sb_watch_rdonly_on_error(struct kunit *test)
{
	struct test_queue *q = test_queue_start(test);
	struct super_block *sb = lone_sb(test, q);

	sb->s_flags = SB_BORN | SB_SYNCHRONOUS;
	sb_watch_born(sb);
	sb->s_watch.flags = SB_SYNCHRONOUS;
	KUNIT_EXPECT_TRUE(test, sb_set_rdonly_on_error(sb));
	KUNIT_EXPECT_FALSE(test, sb_set_rdonly_on_error(sb));
	KUNIT_EXPECT_EQ(test, SB_BORN | SB_SYNCHRONOUS | SB_RDONLY, sb->s_flags);
	expect_flags(test, q, NOTIFY_SUPERBLOCK_READONLY,
		     SB_SYNCHRONOUS, SB_SYNCHRONOUS | SB_RDONLY);
	test_queue_is_empty(test, q);
}

static struct kunit_case sb_watch_cases[] = {
	KUNIT_CASE(sb_watch_tailor_subtype),
	KUNIT_CASE(sb_watch_tailor_quota),
	KUNIT_CASE(sb_watch_flags_change),
	KUNIT_CASE(sb_watch_emergency),
	KUNIT_CASE(sb_watch_rdonly_on_error),
	{}
};

static struct kunit_suite sb_watch_suite = {
	.name = "sb_watch",
	.test_cases = sb_watch_cases,
};

kunit_test_suite(sb_watch_suite);
