// SPDX-License-Identifier: GPL-2.0
/*
 * The permission to watch a key, and the watches that each user can have.  And a
 * watch on a key in a container reports nothing of what is outside.
 */

#include "access.h"
#include "container.h"
#include "share.h"

static const int session = KEY_SPEC_SESSION_KEYRING;
static int for_all, of_root, of_alice;

static const char *cannot_test(void)
{
	if (watch_key(session, -1, 0) == -EOPNOTSUPP)
		return "no CONFIG_KEY_NOTIFICATIONS";
	return NULL;
}

static int prepare(struct _test_data_access *self)
{
	(void)self;
	for_all = make_key("user", "watch_queue:all", 0, USR_ALL | OTH_VIEW);
	of_root = make_key("user", "watch_queue:root", 0, USR_ALL);
	of_alice = make_key("user", "watch_queue:alice", ALICE, USR_VIEW);
	return for_all < 0 || of_root < 0 || of_alice < 0 ? -ENOKEY : 0;
}

/* Change one's session keyring and a key in it. */
static int cause_events(void *arg)
{
	int32_t key = add_key("user", "watch_queue:event", "x", session);

	(void)arg;
	return key < 0 ? key : update_key(key);
}

static int cause_all(void *arg)
{
	return cause_events(arg) ?: update_key(for_all) ?: update_key(of_root);
}

static const struct row table[] = {
#define A	(-EACCES)
	/*					root nocap user userns cont chr chr-user */
	{ "own session", watch_key, &session,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "key for all", watch_key, &for_all,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "key of root", watch_key, &of_root,		{ 0, 0, A, A, A, 0, A } },
	{ "key of Alice", watch_key, &of_alice,		{ A, A, 0, 0, 0, A, 0 } },
#undef A
};

TEST_F(access, table)
{
	expect_table(_metadata, table, ARRAY_SIZE(table), variant->place, cause_all);
}

static int watch_session_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_key(session, q->fd, TAG);
}

TEST_F(container, isolation)
{
	expect_isolation(_metadata, self, watch_session_fn, cause_events);
}

static int watch_shared(const struct _test_data_share *self, int nr, int tag)
{
	return watch_key(self->keyring, self->fds[nr], tag);
}

FIXTURE_VARIANT_ADD(share, key) { .watch = watch_shared, .share = SHARE };

TEST_HARNESS_MAIN
