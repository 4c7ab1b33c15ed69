// SPDX-License-Identifier: GPL-2.0
/*
 * The permission to watch what is in a keyring, what of it a watch shows, and how
 * many such watches each user can have.  And a watch in a container reports
 * nothing of what is outside.
 */

#include "access.h"
#include "container.h"
#include "keyrings.h"
#include "share.h"

static const int session = KEY_SPEC_SESSION_KEYRING;
/* The first keyring has both keys; all may view it, and the first key. */
static int ring_for_all, ring_of_root, key_for_all, key_of_root;

static const char *cannot_test(void)
{
	if (watch_keyring(session, -1, 0, KEYCTL_WATCH_NESTED) == -EOPNOTSUPP)
		return "no KEYCTL_WATCH_KEYRING";
	return NULL;
}

static int prepare(struct _test_data_access *self)
{
	(void)self;
	ring_for_all = make_key("keyring", "watch_queue:ring", 0, USR_ALL | OTH_VIEW);
	ring_of_root = make_key("keyring", "watch_queue:root_ring", 0, USR_ALL);
	key_for_all = make_key("user", "watch_queue:all", 0, USR_ALL | OTH_VIEW);
	key_of_root = make_key("user", "watch_queue:root", 0, USR_ALL);
	if (ring_for_all < 0 || ring_of_root < 0 || key_for_all < 0 || key_of_root < 0)
		return -ENOKEY;
	return sys_keyctl(KEYCTL_LINK, key_for_all, ring_for_all, 0, 0) ?:
		sys_keyctl(KEYCTL_LINK, key_of_root, ring_for_all, 0, 0);
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
	int32_t key = add_key("user", "watch_queue:event", "x", ring_of_root);

	if (key < 0)
		return key;
	return cause_events(arg) ?: update_key(key) ?:
		sys_keyctl(KEYCTL_CLEAR, ring_of_root, 0, 0, 0);
}

static int watch_nested(int keyring, int fd, int tag)
{
	return watch_keyring(keyring, fd, tag, KEYCTL_WATCH_NESTED);
}

static const struct row table[] = {
#define A	(-EACCES)
	/*					root nocap user userns cont chr chr-user */
	{ "what is in the own session", watch_nested, &session,
							{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "what is in a keyring of root", watch_nested, &ring_of_root,
							{ 0, 0, A, A, A, 0, A } },
#undef A
};

TEST_F(access, table)
{
	expect_table(_metadata, table, ARRAY_SIZE(table), variant->place, cause_all);
}

static int watch_ring_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_nested(ring_for_all, q->fd, TAG);
}

/* Of what is in a keyring that all may view, a watch shows what its setter may view. */
TEST_F(access, children)
{
	const bool may_view_roots = variant->place == ROOT || variant->place == NO_CAPS ||
				    variant->place == CHROOT;
	struct child visitor;
	union record rec;
	struct queue q;
	int ret;

	ASSERT_EQ(0, queue_open(&q, QUEUE_PIPE, 64));
	ret = start_visitor(&visitor, variant->place);
	if (no_namespaces(variant->place, ret))
		SKIP(return, "no such namespaces");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, call(&visitor, watch_ring_fn, &q));

	ASSERT_EQ(0, update_key(key_for_all));
	ASSERT_EQ(0, update_key(key_of_root));
	ASSERT_EQ(1, queue_next(&q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	EXPECT_EQ(key_for_all, rec.key.key_id);
	if (may_view_roots) {
		ASSERT_EQ(1, queue_next(&q, &rec, 0));
		EXPECT_EQ(key_of_root, rec.key.key_id);
	}
	expect_nothing(_metadata, &q);
	end_child(&visitor);
	queue_close(&q);
}

static int watch_session_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_nested(session, q->fd, TAG);
}

TEST_F(container, isolation)
{
	expect_isolation(_metadata, self, watch_session_fn, cause_events);
}

static int watch_shared(const struct _test_data_share *self, int nr, int tag)
{
	return watch_keyring(self->keyring, self->fds[nr], tag, KEYCTL_WATCH_CHILDREN);
}

FIXTURE_VARIANT_ADD(share, children) { .watch = watch_shared, .share = SHARE_EXTENDED };

TEST_HARNESS_MAIN
