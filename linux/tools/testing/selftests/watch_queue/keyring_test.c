// SPDX-License-Identifier: GPL-2.0
/* Watches on keyrings that extend to what is linked there, over both kinds of queue. */

#include <errno.h>

#include "keyring_fixture.h"

/*
 * The table of operations: what is done, and the records that a watch on "top"
 * gives, with the flag and then by which of the two it is.
 */
static int do_update_child(struct keys *k)
{
	return update_key(k->child);
}

static int do_update_leaf(struct keys *k)
{
	return update_key(k->leaf);
}

static int do_add(struct keys *k)
{
	k->other = add_key("user", "watch_queue:other", "x", k->top);
	return update_key(k->other);
}

static int do_add_inner(struct keys *k)
{
	k->other = add_key("user", "watch_queue:other", "x", k->inner);
	return update_key(k->other);
}

/* A keyring that holds something already. */
static int do_link_full(struct keys *k)
{
	int32_t key;

	k->other = add_keyring("watch_queue:full", k->session);
	key = add_user_key("watch_queue:content", k->other);
	k->leaf = key;
	return link_key(k->other, k->top) ?: update_key(key);
}

static int do_link_again(struct keys *k)
{
	return link_key(k->child, k->top) ?: update_key(k->child);
}

static int do_unlink(struct keys *k)
{
	return unlink_key(k->child, k->top) ?: update_key(k->child);
}

static int do_unlink_inner(struct keys *k)
{
	return unlink_key(k->inner, k->top) ?: update_key(k->leaf);
}

static int do_unlink_leaf(struct keys *k)
{
	return unlink_key(k->leaf, k->inner) ?: update_key(k->leaf);
}

static int do_clear(struct keys *k)
{
	return sys_keyctl(KEYCTL_CLEAR, k->top, 0, 0, 0) ?: update_key(k->child);
}

static int do_clear_inner(struct keys *k)
{
	return sys_keyctl(KEYCTL_CLEAR, k->inner, 0, 0, 0) ?: update_key(k->leaf);
}

static int move(int32_t key, int32_t from, int32_t to)
{
	return sys_keyctl(KEYCTL_MOVE, key, from, to, 0) ?: update_key(key);
}

static int do_move_out(struct keys *k)
{
	return move(k->child, k->top, k->session);
}

static int do_move_down(struct keys *k)
{
	return move(k->child, k->top, k->inner);
}

static int do_move_up(struct keys *k)
{
	return move(k->leaf, k->inner, k->top);
}

static int do_displace(struct keys *k)
{
	int ret;

	k->other = add_key("user", "watch_queue:child", "x", k->session);
	ret = link_key(k->other, k->top);
	return ret ?: update_key(k->child) ?: update_key(k->other);
}

static int do_revoke(struct keys *k)
{
	return sys_keyctl(KEYCTL_REVOKE, k->child, 0, 0, 0);
}

static int do_revoke_top(struct keys *k)
{
	return sys_keyctl(KEYCTL_REVOKE, k->top, 0, 0, 0) ?: update_key(k->child);
}

static int do_invalidate(struct keys *k)
{
	return sys_keyctl(KEYCTL_INVALIDATE, k->child, 0, 0, 0);
}

static int do_invalidate_inner(struct keys *k)
{
	return sys_keyctl(KEYCTL_INVALIDATE, k->inner, 0, 0, 0);
}

static int do_setperm(struct keys *k)
{
	return sys_keyctl(KEYCTL_SETPERM, k->child, POS_ALL, 0, 0);
}

/* A key in two keyrings, one of which is in the other. */
static int do_diamond(struct keys *k)
{
	return link_key(k->child, k->inner) ?: update_key(k->child) ?:
		unlink_key(k->child, k->top) ?: update_key(k->child) ?:
		unlink_key(k->child, k->inner) ?: update_key(k->child);
}

static int do_cycle(struct keys *k)
{
	return link_key(k->top, k->inner) == -EDEADLK &&
		link_key(k->top, k->top) == -EDEADLK ? 0 : -EPROTO;
}

static int do_rmall(struct keys *k)
{
	return unlink_key(k->top, k->session);
}

static const struct op {
	const char *name;
	int (*run)(struct keys *k);
	struct expected children[8];
	struct expected nested[8];	/* Where it differs */
} ops[] = {
	{ "update child", do_update_child, { UPDATED(CHILD) }, {} },
	{ "update leaf", do_update_leaf, {}, { UPDATED(LEAF) } },
	{ "add", do_add, { LINKED(TOP, OTHER), UPDATED(OTHER) }, {} },
	{ "add inside", do_add_inner, { LINKED(INNER, OTHER) },
		{ LINKED(INNER, OTHER), UPDATED(OTHER) } },
	{ "link a full keyring", do_link_full, { LINKED(TOP, OTHER) },
		{ LINKED(TOP, OTHER), UPDATED(LEAF) } },
	{ "link again", do_link_again, { LINKED(TOP, CHILD), UPDATED(CHILD) }, {} },
	{ "unlink", do_unlink, { UNLINKED(TOP, CHILD), REMOVED(CHILD) }, {} },
	{ "unlink keyring", do_unlink_inner,
		{ UNLINKED(TOP, INNER), REMOVED(INNER) },
		{ UNLINKED(TOP, INNER), REMOVED(INNER), REMOVED(LEAF) } },
	{ "unlink inside", do_unlink_leaf, { UNLINKED(INNER, LEAF) },
		{ UNLINKED(INNER, LEAF), REMOVED(LEAF) } },
	{ "clear", do_clear, { CLEARED(TOP), REMOVED(CHILD), REMOVED(INNER) },
		{ CLEARED(TOP), REMOVED(CHILD), REMOVED(INNER), REMOVED(LEAF) } },
	{ "clear inside", do_clear_inner, { CLEARED(INNER) },
		{ CLEARED(INNER), REMOVED(LEAF) } },
	{ "move out", do_move_out, { UNLINKED(TOP, CHILD), REMOVED(CHILD) }, {} },
	{ "move down", do_move_down,
		{ UNLINKED(TOP, CHILD), REMOVED(CHILD), LINKED(INNER, CHILD) },
		{ UNLINKED(TOP, CHILD), LINKED(INNER, CHILD), UPDATED(CHILD) } },
	{ "move up", do_move_up,
		{ UNLINKED(INNER, LEAF), LINKED(TOP, LEAF), UPDATED(LEAF) }, {} },
	{ "displace", do_displace,
		{ LINKED(TOP, OTHER), REMOVED(CHILD), UPDATED(OTHER) }, {} },
	{ "revoke", do_revoke, { { NOTIFY_KEY_REVOKED, CHILD, NOBODY } }, {} },
	{ "revoke keyring", do_revoke_top,
		{ { NOTIFY_KEY_REVOKED, TOP, NOBODY }, REMOVED(CHILD), REMOVED(INNER) },
		{ { NOTIFY_KEY_REVOKED, TOP, NOBODY }, REMOVED(CHILD), REMOVED(INNER),
		  REMOVED(LEAF) } },
	{ "invalidate", do_invalidate,
		{ { NOTIFY_KEY_INVALIDATED, CHILD, NOBODY }, REMOVED(CHILD) }, {} },
	{ "invalidate keyring", do_invalidate_inner,
		{ { NOTIFY_KEY_INVALIDATED, INNER, NOBODY }, REMOVED(INNER) },
		{ { NOTIFY_KEY_INVALIDATED, INNER, NOBODY }, REMOVED(INNER),
		  REMOVED(LEAF) } },
	{ "setperm", do_setperm, { { NOTIFY_KEY_SETATTR, CHILD, NOBODY } }, {} },
	{ "diamond", do_diamond,
		{ LINKED(INNER, CHILD), UPDATED(CHILD), UNLINKED(TOP, CHILD),
		  REMOVED(CHILD), UNLINKED(INNER, CHILD) },
		{ LINKED(INNER, CHILD), UPDATED(CHILD), UNLINKED(TOP, CHILD),
		  UPDATED(CHILD), UNLINKED(INNER, CHILD), REMOVED(CHILD) } },
	{ "cycle", do_cycle, {}, {} },
	{ "keyring dies", do_rmall, { REMOVED(TOP), REMOVED(CHILD), REMOVED(INNER) },
		{ REMOVED(TOP), REMOVED(CHILD), REMOVED(INNER), REMOVED(LEAF) } },
};

static void run_ops(struct __test_metadata *_metadata, struct queue *q,
		    enum queue_kind kind, unsigned int size, unsigned int flags)
{
	const struct expected *list;
	const struct op *op;
	struct keys k;

	for (op = ops; op < ops + ARRAY_SIZE(ops); op++) {
		TH_LOG("%s", op->name);

		queue_close(q);
		ASSERT_EQ(0, queue_open(q, kind, size));
		ASSERT_EQ(0, make_keys(&k));
		ASSERT_EQ(0, watch_keyring(k.top, q->fd, TAG, flags));
		ASSERT_EQ(0, op->run(&k));

		list = op->children;
		if (flags & NESTED && op->nested[0].key)
			list = op->nested;
		expect_records(_metadata, q, &k, list);
	}
}

TEST_F(children, events)
{
	run_ops(_metadata, &self->queue, variant->kind, variant->size, CHILDREN);
}

TEST_F(children, events_nested)
{
	run_ops(_metadata, &self->queue, variant->kind, variant->size, NESTED);
}

TEST_F(children, events_both_flags)
{
	run_ops(_metadata, &self->queue, variant->kind, variant->size,
		CHILDREN | NESTED);
}

TEST_F(children, errors)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	unsigned char caps[4] = { 0 };

	EXPECT_LE(2, sys_keyctl(KEYCTL_CAPABILITIES, (unsigned long)caps,
				sizeof(caps), 0, 0));
	EXPECT_TRUE(caps[1] & KEYCTL_CAPS1_WATCH_KEYRING);

	EXPECT_EQ(-EINVAL, watch_keyring(k->top, q->fd, TAG, 4));
	EXPECT_EQ(-EINVAL, watch_keyring(k->top, q->fd, TAG, 0x80000000));
	EXPECT_EQ(-EINVAL, watch_keyring(k->top, q->fd, -1, 4));
	EXPECT_EQ(-EINVAL, watch_keyring(k->top, q->fd, 256, CHILDREN));
	EXPECT_EQ(-EINVAL, watch_keyring(k->top, q->fd, -2, CHILDREN));
	EXPECT_EQ(-EBADF, watch_keyring(k->top, -1, TAG, CHILDREN));
	EXPECT_EQ(-ENOTDIR, watch_keyring(k->child, q->fd, TAG, CHILDREN));
	EXPECT_EQ(-ENOTDIR, watch_keyring(k->child, q->fd, -1, 0));
	EXPECT_EQ(-EBADSLT, watch_keyring(k->top, q->fd, -1, CHILDREN));
	EXPECT_EQ(-EINVAL, watch_keyring(0, q->fd, TAG, CHILDREN));

	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->top, POS_ALL & ~POS_VIEW, 0, 0));
	EXPECT_EQ(-EACCES, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	EXPECT_EQ(-EACCES, watch_keyring(k->top, q->fd, -1, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->top, POS_ALL, 0, 0));

	/* One watch that user space sets, with whatever flags. */
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	EXPECT_EQ(-EBUSY, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	EXPECT_EQ(-EBUSY, watch_keyring(k->top, q->fd, TAG, NESTED));
	EXPECT_EQ(-EBUSY, watch_keyring(k->top, q->fd, OTHER_TAG, 0));
	EXPECT_EQ(-EBUSY, watch_key(k->top, q->fd, OTHER_TAG));
	expect_nothing(_metadata, q);
}

/* Without a flag it is KEYCTL_WATCH_KEY; each can remove what the other set. */
TEST_F(children, removal)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	const struct expected both[8] = { REMOVED(TOP), REMOVED(CHILD), REMOVED(INNER) };
	const struct expected all[8] = {
		REMOVED(TOP), REMOVED(CHILD), REMOVED(INNER), REMOVED(LEAF),
	};

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, 0));
	expect_unwatched(_metadata, q, k->child);
	ASSERT_EQ(0, watch_key(k->top, q->fd, -1));
	expect_removal(_metadata, q, TAG, k->top);

	ASSERT_EQ(0, watch_key(k->top, q->fd, TAG));
	expect_unwatched(_metadata, q, k->child);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, NESTED));
	expect_removal(_metadata, q, TAG, k->top);

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	/* What was extended cannot be removed by itself. */
	EXPECT_EQ(-EBADSLT, watch_key(k->child, q->fd, -1));
	EXPECT_EQ(-EBADSLT, watch_keyring(k->inner, q->fd, -1, 0));
	expect_update(_metadata, q, TAG, k->child);
	ASSERT_EQ(0, watch_key(k->top, q->fd, -1));
	expect_records(_metadata, q, k, both);
	expect_unwatched(_metadata, q, k->child);

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	expect_update(_metadata, q, TAG, k->leaf);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
	expect_records(_metadata, q, k, all);
	expect_unwatched(_metadata, q, k->leaf);
}

/* A key that is watched itself has its own tag, and one record for an event. */
TEST_F(children, own_watch)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;

	/* First its own, then the keyring's. */
	ASSERT_EQ(0, watch_key(k->child, q->fd, OWN_TAG));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_update(_metadata, q, OWN_TAG, k->child);
	EXPECT_EQ(-EBUSY, watch_key(k->child, q->fd, OTHER_TAG));

	/* When its own goes the keyring's takes over, and nothing ended. */
	ASSERT_EQ(0, watch_key(k->child, q->fd, -1));
	expect_update(_metadata, q, TAG, k->child);
	EXPECT_EQ(-EBADSLT, watch_key(k->child, q->fd, -1));

	/* The other way around. */
	ASSERT_EQ(0, watch_key(k->child, q->fd, OWN_TAG));
	expect_update(_metadata, q, OWN_TAG, k->child);
	ASSERT_EQ(0, unlink_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, TAG, k->top, k->child);
	expect_update(_metadata, q, OWN_TAG, k->child);
	ASSERT_EQ(0, watch_key(k->child, q->fd, -1));
	expect_removal(_metadata, q, OWN_TAG, k->child);
	expect_unwatched(_metadata, q, k->child);

	/* A plain watch on a keyring is nothing to what another one extends to there. */
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
	expect_removal(_metadata, q, TAG, k->top);
	expect_removal(_metadata, q, TAG, k->inner);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	expect_update(_metadata, q, TAG, k->leaf);
	ASSERT_EQ(0, watch_keyring(k->inner, q->fd, OWN_TAG, 0));
	expect_update(_metadata, q, TAG, k->leaf);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->inner, POS_ALL | USR_ALL, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, OWN_TAG, k->inner, 0);
	ASSERT_EQ(0, watch_keyring(k->inner, q->fd, -1, 0));
	expect_nothing(_metadata, q);
	expect_update(_metadata, q, TAG, k->leaf);
}

/* Two keyrings of one queue that hold the same key. */
TEST_F(children, two_keyrings)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	ASSERT_EQ(0, watch_keyring(k->keep, q->fd, OTHER_TAG, CHILDREN));
	expect_update(_metadata, q, TAG, k->child);
	expect_update(_metadata, q, OTHER_TAG, k->leaf);

	/* From one to the next without an end. */
	ASSERT_EQ(0, unlink_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, TAG, k->top, k->child);
	expect_update(_metadata, q, OTHER_TAG, k->child);
	ASSERT_EQ(0, link_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, k->child);
	expect_update(_metadata, q, OTHER_TAG, k->child);
	ASSERT_EQ(0, unlink_key(k->child, k->keep));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, OTHER_TAG, k->keep, k->child);
	expect_update(_metadata, q, TAG, k->child);

	/* Nor is there one if the watch that it came by goes. */
	ASSERT_EQ(0, link_key(k->child, k->keep));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, OTHER_TAG, k->keep, k->child);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
	expect_removal(_metadata, q, TAG, k->top);
	expect_nothing(_metadata, q);
	expect_update(_metadata, q, OTHER_TAG, k->child);
	expect_update(_metadata, q, OTHER_TAG, k->leaf);

	/* A move from one to the other. */
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_MOVE, k->leaf, k->keep, k->top, 0));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, OTHER_TAG, k->keep, k->leaf);
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, k->leaf);
	expect_update(_metadata, q, TAG, k->leaf);
}

/* Nested and not nested over the same keyrings: the wider one counts. */
TEST_F(children, two_depths)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t outer;

	outer = add_keyring("watch_queue:outer", k->session);
	ASSERT_EQ(0, link_key(k->top, outer));

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_unwatched(_metadata, q, k->leaf);
	ASSERT_EQ(0, watch_keyring(outer, q->fd, OTHER_TAG, NESTED));
	/* Only the other one extends to the leaf; to the child it came second. */
	expect_update(_metadata, q, OTHER_TAG, k->leaf);
	expect_update(_metadata, q, TAG, k->child);

	ASSERT_EQ(0, watch_keyring(outer, q->fd, -1, 0));
	expect_removal(_metadata, q, OTHER_TAG, outer);
	expect_removal(_metadata, q, OTHER_TAG, k->leaf);
	expect_unwatched(_metadata, q, k->leaf);
	expect_update(_metadata, q, TAG, k->child);

	ASSERT_EQ(0, watch_keyring(outer, q->fd, OTHER_TAG, NESTED));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
	expect_nothing(_metadata, q);
	expect_update(_metadata, q, OTHER_TAG, k->leaf);
	expect_update(_metadata, q, OTHER_TAG, k->child);
	ASSERT_EQ(0, unlink_key(k->top, outer));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, OTHER_TAG, outer, k->top);
	ASSERT_EQ(0, update_key(k->leaf));
}

/* The bound on nesting is that of a search: the keys of the seventh keyring. */
TEST_F(children, depth)
{
	int32_t rings[10], keys[10], top = self->keys.session;
	struct queue *q = &self->queue;
	union record rec;
	char name[32];
	int i;

	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "watch_queue:ring %d", i);
		/* So deep in each other they would not be found to be possessed. */
		rings[i] = add_keyring(name, top);
		ASSERT_LT(0, rings[i]);
		if (i)
			ASSERT_EQ(0, link_key(rings[i], rings[i - 1]));
		snprintf(name, sizeof(name), "watch_queue:key %d", i);
		keys[i] = add_user_key(name, rings[i]);
		ASSERT_LT(0, keys[i]);
	}
	ASSERT_EQ(0, watch_keyring(rings[0], q->fd, TAG, NESTED));
	for (i = 0; i < 10; i++) {
		if (i <= 6)
			expect_update(_metadata, q, TAG, keys[i]);
		else
			expect_unwatched(_metadata, q, keys[i]);
	}
	/* The eighth keyring is in the seventh, but what is in it is not. */
	ASSERT_LT(0, add_user_key("watch_queue:new", rings[8]));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, rings[7], POS_ALL, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, TAG, rings[7], 0);

	/* A shorter way to the same, and back. */
	ASSERT_EQ(0, link_key(rings[4], rings[0]));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, rings[0], rings[4]);
	for (i = 0; i < 10; i++)
		expect_update(_metadata, q, TAG, keys[i]);
	ASSERT_EQ(0, unlink_key(rings[4], rings[0]));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, TAG, rings[0], rings[4]);
	/* Two keyrings, their keys, that of the eighth keyring, and the new one. */
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
	}
	expect_nothing(_metadata, q);
	for (i = 0; i < 10; i++) {
		if (i <= 6)
			expect_update(_metadata, q, TAG, keys[i]);
		else
			expect_unwatched(_metadata, q, keys[i]);
	}
}

TEST_F(children, two_queues)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	struct queue other;

	ASSERT_EQ(0, queue_open(&other, QUEUE_PIPE, 32));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	ASSERT_EQ(0, watch_keyring(k->top, other.fd, OTHER_TAG, NESTED));

	ASSERT_EQ(0, update_key(k->child));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, TAG, k->child, 0);
	expect_key(_metadata, &other, NOTIFY_KEY_UPDATED, OTHER_TAG, k->child, 0);
	ASSERT_EQ(0, update_key(k->leaf));
	expect_key(_metadata, &other, NOTIFY_KEY_UPDATED, OTHER_TAG, k->leaf, 0);
	expect_nothing(_metadata, q);

	queue_close(q);
	expect_update(_metadata, &other, OTHER_TAG, k->child);
	ASSERT_EQ(0, unlink_key(k->child, k->top));
	expect_key(_metadata, &other, NOTIFY_KEY_UNLINKED, OTHER_TAG, k->top, k->child);
	expect_removal(_metadata, &other, OTHER_TAG, k->child);
	expect_nothing(_metadata, &other);
	queue_close(&other);
}

/* What does not let its owner view it is not watched, nor does anything show it. */
TEST_F(children, no_view)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	struct fdinfo info;

	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->child, (POS_ALL & ~POS_VIEW) |
				(USR_ALL & ~(POS_VIEW >> 8)), 0, 0));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_unwatched(_metadata, q, k->child);
	if (q->kind == QUEUE_DEVICE) {
		ASSERT_EQ(0, read_fdinfo(q->fd, &info));
		EXPECT_EQ(2, info.nr_watches);
		EXPECT_NE(k->child, info.watches[0].id);
		EXPECT_NE(k->child, info.watches[1].id);
	}

	/* That changes with the next link, not with the permission. */
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->child, POS_ALL | USR_ALL, 0, 0));
	expect_unwatched(_metadata, q, k->child);
	ASSERT_EQ(0, link_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, k->child);
	expect_update(_metadata, q, TAG, k->child);

	/* Nor does its loss end the watch. */
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->child, (POS_ALL & ~POS_VIEW) |
				(USR_ALL & ~(POS_VIEW >> 8)), 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, TAG, k->child, 0);
	expect_update(_metadata, q, TAG, k->child);
	ASSERT_EQ(0, unlink_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, TAG, k->top, k->child);
	expect_removal(_metadata, q, TAG, k->child);
	ASSERT_EQ(0, link_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, k->child);
	expect_unwatched(_metadata, q, k->child);
	ASSERT_EQ(0, unlink_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, TAG, k->top, k->child);
	expect_nothing(_metadata, q);

	/* The owner's possession of the keyring is enough. */
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->child, POS_ALL, 0, 0));
	ASSERT_EQ(0, link_key(k->child, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, k->child);
	expect_update(_metadata, q, TAG, k->child);
}

/* A key that has expired is unlinked by the garbage collector. */
TEST_F(children, expiry)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	char delay[16] = "";
	int fd;

	fd = sys_open("/proc/sys/kernel/keys/gc_delay", O_RDWR);
	if (fd < 0)
		SKIP(return, "cannot set gc_delay: %s", strerror(-fd));
	ASSERT_LT(0, read(fd, delay, sizeof(delay) - 1));
	ASSERT_EQ(1, pwrite(fd, "0", 1, 0));

	EXPECT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	EXPECT_EQ(0, sys_keyctl(KEYCTL_SET_TIMEOUT, k->child, 1, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, TAG, k->child, 0);
	expect_removal(_metadata, q, TAG, k->child);
	expect_nothing(_metadata, q);

	EXPECT_EQ(strlen(delay), pwrite(fd, delay, strlen(delay), 0));
	close(fd);
}

TEST_HARNESS_MAIN
