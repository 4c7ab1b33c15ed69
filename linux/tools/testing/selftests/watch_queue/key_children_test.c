// SPDX-License-Identifier: GPL-2.0
/* Watches on keyrings that extend to what is linked there, the same over both kinds of queue. */

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "expect.h"

#define TAG		0x11
#define OWN_TAG		0x22
#define OTHER_TAG	0x33

#define CHILDREN	KEYCTL_WATCH_CHILDREN
#define NESTED		KEYCTL_WATCH_NESTED

#define POS_SEARCH	0x08000000
#define USR_VIEW	0x00010000
#define OTH_ALL		0x0000003f

/*
 * What the tests begin with, where "keep" is not watched:
 *
 *	session -> top -> child
 *		       -> inner -> leaf
 *		-> keep -> child, inner, leaf
 */
struct keys {
	int32_t session, keep, top, child, inner, leaf;
	int32_t other;		/* What an operation made */
};

FIXTURE(children)
{
	struct queue queue;
	struct keys keys;
};

QUEUE_VARIANTS(children, 256, 2);

static int32_t add_user_key(const char *description, int32_t keyring)
{
	int32_t key = add_key("user", description, "old", keyring);

	if (key > 0)
		sys_keyctl(KEYCTL_SETPERM, key, POS_ALL | USR_ALL, 0, 0);
	return key;
}

static int32_t add_keyring(const char *description, int32_t keyring)
{
	return add_key("keyring", description, NULL, keyring);
}

static int link_key(int32_t key, int32_t keyring)
{
	return sys_keyctl(KEYCTL_LINK, key, keyring, 0, 0);
}

static int unlink_key(int32_t key, int32_t keyring)
{
	return sys_keyctl(KEYCTL_UNLINK, key, keyring, 0, 0);
}

static int make_keys(struct keys *k)
{
	memset(k, 0, sizeof(*k));
	k->session = join_new_session();
	if (k->session < 0)
		return k->session;
	k->keep = add_keyring("watch_queue:keep", k->session);
	k->top = add_keyring("watch_queue:top", k->session);
	k->child = add_user_key("watch_queue:child", k->top);
	k->inner = add_keyring("watch_queue:inner", k->top);
	k->leaf = add_user_key("watch_queue:leaf", k->inner);
	return link_key(k->child, k->keep) ?: link_key(k->inner, k->keep) ?:
		link_key(k->leaf, k->keep);
}

FIXTURE_SETUP(children)
{
	int ret;

	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	ASSERT_EQ(0, make_keys(&self->keys));
	ret = watch_keyring(self->keys.top, self->queue.fd, TAG, CHILDREN);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no KEYCTL_WATCH_KEYRING");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, watch_keyring(self->keys.top, self->queue.fd, -1, 0));
	queue_close(&self->queue);
	ASSERT_EQ(0, queue_open(&self->queue, variant->kind, variant->size));
}

FIXTURE_TEARDOWN(children)
{
	queue_close(&self->queue);
}

static void expect_update(struct __test_metadata *_metadata, struct queue *q,
			  unsigned int tag, int32_t key)
{
	ASSERT_EQ(0, update_key(key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, tag, key, 0);
	expect_nothing(_metadata, q);
}

static void expect_unwatched(struct __test_metadata *_metadata, struct queue *q,
			     int32_t key)
{
	ASSERT_EQ(0, update_key(key));
	expect_nothing(_metadata, q);
}

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

enum who { NOBODY, TOP, CHILD, INNER, LEAF, OTHER };

static int32_t who_is(const struct keys *k, enum who who)
{
	switch (who) {
	case TOP:	return k->top;
	case CHILD:	return k->child;
	case INNER:	return k->inner;
	case LEAF:	return k->leaf;
	case OTHER:	return k->other;
	default:	return 0;
	}
}

#define REMOVAL		0xff
#define UPDATED(x)	{ NOTIFY_KEY_UPDATED, x, NOBODY }
#define LINKED(r, x)	{ NOTIFY_KEY_LINKED, r, x }
#define UNLINKED(r, x)	{ NOTIFY_KEY_UNLINKED, r, x }
#define CLEARED(r)	{ NOTIFY_KEY_CLEARED, r, NOBODY }
#define REMOVED(x)	{ REMOVAL, x, NOBODY }

struct expected {
	unsigned int what;
	enum who key, aux;
};

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

static bool is_removal(const struct expected *e)
{
	return e->key && e->what == REMOVAL;
}

/* Removals that follow each other come in any order. */
static void expect_records(struct __test_metadata *_metadata, struct queue *q,
			   const struct keys *k, const struct expected *list)
{
	struct expected e[8];
	union record rec;
	int i, j;

	memcpy(e, list, sizeof(e));
	for (i = 0; i < 8 && e[i].key; i++) {
		if (!is_removal(&e[i])) {
			expect_key(_metadata, q, e[i].what, TAG,
				   who_is(k, e[i].key), who_is(k, e[i].aux));
			continue;
		}
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(TAG, rec_tag(&rec));
		for (j = i; j < 8 && is_removal(&e[j]); j++) {
			if (rec.removal.id == (uint64_t)who_is(k, e[j].key))
				break;
		}
		ASSERT_TRUE(j < 8 && is_removal(&e[j]));
		e[j] = e[i];
	}
	expect_nothing(_metadata, q);
}

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

/*
 * Somebody else links his keys into the watched keyring.  What counts is what the
 * owner of the watch may do.
 */
TEST_F(children, linked_by_another)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t shown, hidden;
	int fds[2], status;
	pid_t pid;

	if (geteuid() != 0)
		SKIP(return, "cannot become another user");

	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->top, POS_ALL | USR_ALL |
				(USR_ALL >> 16), 0, 0));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	ASSERT_EQ(0, sys_pipe(fds, 0));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		int32_t ids[2], session;

		if (setgid(1234) || setuid(1234))
			_exit(1);
		session = join_new_session();
		ids[0] = add_key("user", "watch_queue:shown", "x", session);
		ids[1] = add_key("user", "watch_queue:hidden", "x", session);
		if (ids[0] < 0 || ids[1] < 0)
			_exit(2);
		/* Others may view the one; of the other they may do all else. */
		if (sys_keyctl(KEYCTL_SETPERM, ids[0], POS_ALL | USR_ALL |
			       (USR_ALL >> 16), 0, 0) ||
		    sys_keyctl(KEYCTL_SETPERM, ids[1], (POS_ALL & ~POS_VIEW) | USR_ALL |
			       ((USR_ALL >> 16) & ~(POS_VIEW >> 24)), 0, 0))
			_exit(3);
		if (link_key(ids[0], k->top) || link_key(ids[1], k->top))
			_exit(4);
		if (update_key(ids[0]) || update_key(ids[1]))
			_exit(5);
		_exit(write(fds[1], ids, sizeof(ids)) != sizeof(ids));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(sizeof(shown), read(fds[0], &shown, sizeof(shown)));
	ASSERT_EQ(sizeof(hidden), read(fds[0], &hidden, sizeof(hidden)));
	close(fds[0]);
	close(fds[1]);

	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, shown);
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, hidden);
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, TAG, shown, 0);
	expect_nothing(_metadata, q);
}

/*
 * Have another user, who shares the queue but possesses nothing, do something: one
 * that nobody else was.
 */
static int as_another(int (*run)(const struct keys *k, struct queue *q),
		      const struct keys *k, struct queue *q)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		unsigned int id = 100000 + getpid();

		if (syscall(__NR_setresgid, id, id, id) ||
		    syscall(__NR_setresuid, id, id, id) ||
		    join_new_session() < 0)
			_exit(100);
		_exit(-run(k, q));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

/*
 * Have keys that are root's in keyrings that all may view, or skip the test: false,
 * and then the caller is to return.
 */
static bool show_or_skip(struct __test_metadata *_metadata, const struct keys *k)
{
	unsigned int all = POS_ALL | USR_ALL | OTH_ALL;

	if (geteuid() != 0)
		SKIP(return false, "cannot become another user");
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->top, all, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->keep, all, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->inner, all, 0, 0));
	return true;
}

static int do_watch_nested(const struct keys *k, struct queue *q)
{
	return watch_keyring(k->top, q->fd, OTHER_TAG, NESTED);
}

static int do_watch_plain(const struct keys *k, struct queue *q)
{
	return watch_key(k->inner, q->fd, OTHER_TAG);
}

/* A plain watch lends nothing to what another user's watch extends to. */
TEST_F(children, plain_watch_of_another)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t shown;

	if (!show_or_skip(_metadata, k))
		return;
	shown = add_user_key("watch_queue:shown", k->inner);
	ASSERT_LT(0, shown);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, shown, POS_ALL | USR_ALL | OTH_ALL, 0, 0));

	ASSERT_EQ(0, watch_key(k->inner, q->fd, OWN_TAG));
	ASSERT_EQ(0, as_another(do_watch_nested, k, q));
	expect_unwatched(_metadata, q, k->leaf);
	expect_unwatched(_metadata, q, k->child);
	expect_update(_metadata, q, OTHER_TAG, shown);
}

/* Nor does it take anything away. */
TEST_F(children, plain_watch_by_another)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t added;

	if (!show_or_skip(_metadata, k))
		return;
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	ASSERT_EQ(0, as_another(do_watch_plain, k, q));
	added = add_user_key("watch_queue:added", k->inner);
	ASSERT_LT(0, added);
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, OTHER_TAG, k->inner, added);
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, TAG, added, 0);
	expect_update(_metadata, q, TAG, added);
	expect_update(_metadata, q, TAG, k->leaf);
}

/* When a watch goes, another user's does not keep what only its owner may view. */
TEST_F(children, hand_over_to_another)
{
	const struct keys *k = &self->keys;
	const struct expected gone[8] = { REMOVED(CHILD), REMOVED(LEAF) };
	struct queue *q = &self->queue;
	int i;

	if (!show_or_skip(_metadata, k))
		return;
	ASSERT_EQ(0, watch_keyring(k->keep, q->fd, TAG, NESTED));
	ASSERT_EQ(0, as_another(do_watch_nested, k, q));
	expect_update(_metadata, q, TAG, k->leaf);

	ASSERT_EQ(0, watch_keyring(k->keep, q->fd, -1, 0));
	expect_removal(_metadata, q, TAG, k->keep);
	expect_records(_metadata, q, k, gone);
	for (i = 0; i < 2; i++) {
		expect_unwatched(_metadata, q, k->leaf);
		expect_unwatched(_metadata, q, k->child);
		/* What is linked from now on is judged likewise. */
		ASSERT_EQ(0, unlink_key(k->leaf, k->inner));
		expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, OTHER_TAG, k->inner, k->leaf);
		ASSERT_EQ(0, link_key(k->leaf, k->inner));
		expect_key(_metadata, q, NOTIFY_KEY_LINKED, OTHER_TAG, k->inner, k->leaf);
	}
}

/*
 * The leaf can be viewed only by who possesses it.  There is a way to the keyring
 * that it is in that gives no possession, and then another one that does.
 */
TEST_F(children, possession)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t hidden, outer;

	hidden = add_keyring("watch_queue:hidden", k->session);
	outer = add_keyring("watch_queue:outer", hidden);
	ASSERT_LT(0, outer);
	ASSERT_EQ(0, link_key(k->inner, outer));
	ASSERT_EQ(0, link_key(k->inner, hidden));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, outer, POS_ALL | USR_ALL, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->inner, POS_ALL | USR_ALL, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->leaf, POS_ALL, 0, 0));
	ASSERT_EQ(0, link_key(hidden, k->top));
	/* From here on a search does not get beyond it. */
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, hidden, (POS_ALL & ~POS_SEARCH) |
				USR_VIEW, 0, 0));

	ASSERT_EQ(0, watch_keyring(outer, q->fd, TAG, NESTED));
	expect_unwatched(_metadata, q, k->leaf);
	ASSERT_EQ(0, watch_keyring(k->inner, q->fd, OWN_TAG, CHILDREN));
	expect_update(_metadata, q, OWN_TAG, k->leaf);
	ASSERT_EQ(0, watch_keyring(k->inner, q->fd, -1, 0));
	expect_removal(_metadata, q, OWN_TAG, k->leaf);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, OTHER_TAG, NESTED));
	expect_update(_metadata, q, OTHER_TAG, k->leaf);
	queue_close(q);

	/* Both ways below one keyring. */
	ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
	ASSERT_EQ(0, unlink_key(k->inner, k->top));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	expect_unwatched(_metadata, q, k->leaf);
	ASSERT_EQ(0, link_key(k->inner, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, TAG, k->top, k->inner);
	expect_update(_metadata, q, TAG, k->leaf);
	ASSERT_EQ(0, unlink_key(k->inner, k->top));
	expect_key(_metadata, q, NOTIFY_KEY_UNLINKED, TAG, k->top, k->inner);
	expect_removal(_metadata, q, TAG, k->leaf);
	expect_unwatched(_metadata, q, k->leaf);
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

/* How many watches this user has, if at most @max: by how many more there can be. */
static int nr_watches(int32_t keyring, unsigned int max)
{
	struct rlimit limit, few;
	int32_t keys[256];
	int fds[2], i, ret;
	char name[32];

	if (max > ARRAY_SIZE(keys) || getrlimit(RLIMIT_NOFILE, &limit))
		return -EINVAL;
	ret = sys_pipe(fds, O_NOTIFICATION_PIPE);
	if (ret)
		return ret;
	few = limit;
	few.rlim_cur = max;
	if (setrlimit(RLIMIT_NOFILE, &few))
		return -errno;
	for (i = 0; i < max; i++) {
		snprintf(name, sizeof(name), "watch_queue:probe %d", i);
		keys[i] = add_key("user", name, "x", keyring);
		if (keys[i] < 0)
			return keys[i];
		ret = watch_key(keys[i], fds[0], 0);
		if (ret)
			break;
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	close(fds[0]);
	close(fds[1]);
	return ret && ret != -EAGAIN ? ret : (int)max - i;
}

/* The same, when RCU has let go of those that ended, our own included. */
static int nr_watches_settled(int32_t keyring, unsigned int max, int expected)
{
	int nr, delay;

	for (delay = 10; ; delay *= 2) {
		sleep_for(delay);
		nr = nr_watches(keyring, max);
		if (nr == expected || delay > SOON / 3)
			return nr;
	}
}

TEST_F(children, counted)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t probes, i;
	int before;

	probes = add_keyring("watch_queue:probes", k->session);
	ASSERT_LT(0, probes);
	before = nr_watches_settled(probes, 64, 0);
	ASSERT_LE(0, before);

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	/* A second reason is no second watch. */
	ASSERT_EQ(0, watch_key(k->leaf, q->fd, OWN_TAG));
	ASSERT_EQ(0, link_key(k->child, k->inner));
	ASSERT_EQ(before + 4, nr_watches_settled(probes, 64, before + 4));

	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, k->inner, 0, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, k->top, 0, 0, 0));
	ASSERT_EQ(before + 2, nr_watches_settled(probes, 64, before + 2));
	queue_close(q);
	ASSERT_EQ(before, nr_watches_settled(probes, 64, before));

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
		ASSERT_EQ(0, link_key(k->inner, k->top));
		ASSERT_EQ(0, link_key(k->leaf, k->inner));
		ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
		if (i & 1)
			ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
		queue_close(q);
	}
	ASSERT_EQ(before, nr_watches_settled(probes, 64, before));
}

static int set_nofile(unsigned int nr)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = nr;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

/* Set a watch by which the user may have @nr, when RCU has let go of others. */
static int watch_within(int32_t keyring, int fd, unsigned int nr)
{
	int ret, tries = 0;

	do {
		sleep_for(10);
		ret = set_nofile(nr) ?: watch_keyring(keyring, fd, TAG, CHILDREN);
		if (set_nofile(1024))
			return -EPERM;
	} while (ret == -EAGAIN && ++tries < SOON / 10);
	return ret;
}

/* To watch what is there already is done wholly, or not at all. */
TEST_F(children, limit_when_set)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	char name[32];
	int32_t key;
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		key = add_key("user", name, "x", k->top);
		ASSERT_LT(0, key);
	}

	ASSERT_EQ(0, set_nofile(64));
	EXPECT_EQ(-EAGAIN, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_unwatched(_metadata, q, k->child);
	expect_unwatched(_metadata, q, key);
	EXPECT_EQ(-EBADSLT, watch_keyring(k->top, q->fd, -1, CHILDREN));

	/* Nothing is left of it. */
	ASSERT_EQ(0, set_nofile(1024));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_update(_metadata, q, TAG, key);
}

/*
 * What is linked later and cannot be watched is a loss to the queue, and no
 * matter to who links.  It is by the limit of the owner at the time of the watch.
 */
TEST_F(children, limit_at_link)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	union record rec;
	char name[32];
	int i, nr_lost = 0;
	int32_t key;
	bool lost;

	ASSERT_EQ(0, watch_within(k->top, q->fd, 64));

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		key = add_key("user", name, "x", k->top);
		ASSERT_LT(0, key);

		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		/* Those of an earlier test may make room when they are freed. */
		lost = rec_type(&rec) == WATCH_TYPE_META;
		if (lost) {
			ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
			if (q->kind == QUEUE_DEVICE) {
				ASSERT_EQ(sizeof(rec.loss), rec_len(&rec));
				ASSERT_EQ(1, rec.loss.nr_lost);
				ASSERT_EQ(1 << WATCH_TYPE_KEY_NOTIFY, rec.loss.types);
			}
			ASSERT_EQ(1, queue_next(q, &rec, SOON));
			nr_lost++;
		}
		ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
		ASSERT_EQ(NOTIFY_KEY_LINKED, rec_subtype(&rec));
		ASSERT_EQ(key, (int32_t)rec.key.aux);
		if (lost)
			expect_unwatched(_metadata, q, key);
		else
			expect_update(_metadata, q, TAG, key);
	}
	EXPECT_LE(36, nr_lost);
	if (q->kind == QUEUE_DEVICE)
		EXPECT_EQ(nr_lost, q->ring->lost);
	expect_update(_metadata, q, TAG, k->child);
}

/* A filter that wants no key events does not want to know of their loss, either. */
TEST_F(children, loss_filtered)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter entry;
	} f = { .head.nr_filters = 1, .entry.type = WATCH_TYPE__NR };
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	char name[32];
	int i;

	ASSERT_EQ(0, watch_within(k->top, q->fd, 64));
	ASSERT_EQ(0, set_filter(q->fd, &f));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		ASSERT_LT(0, add_key("user", name, "x", k->top));
	}
	expect_nothing(_metadata, q);
}

/* Keys that anybody may view, in two keyrings. */
#define NR_MANY		40

static int add_many(int32_t *keys, int32_t keyring, int32_t other)
{
	char name[32];
	int i, ret;

	for (i = 0; i < NR_MANY; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		keys[i] = add_key("user", name, "x", keyring);
		if (keys[i] < 0)
			return keys[i];
		ret = sys_keyctl(KEYCTL_SETPERM, keys[i], POS_ALL | USR_ALL | OTH_ALL, 0, 0) ?:
			link_key(keys[i], other);
		if (ret)
			return ret;
	}
	return 0;
}

static int32_t many[2][NR_MANY], rings[2], others[2];

static int do_take_over(const struct keys *k __attribute__((unused)), struct queue *q)
{
	int i, ret = set_nofile(64);

	for (i = 0; i < 2 * NR_MANY && !ret; i++)
		ret = watch_key(many[i / NR_MANY][i % NR_MANY], q->fd, OTHER_TAG);
	return ret == -EAGAIN && i == 64 + 1 ? 0 : -1;
}

static int do_extend_over(const struct keys *k __attribute__((unused)), struct queue *q)
{
	return set_nofile(64) ?: watch_keyring(others[0], q->fd, OTHER_TAG, CHILDREN) ?:
		watch_keyring(others[1], q->fd, OTHER_TAG, CHILDREN);
}

/* To go on with the watch of somebody else counts like a watch. */
TEST_F(children, limit_at_hand_over)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int i, losses = 0, by_other = 0;
	union record rec;

	if (geteuid() != 0)
		SKIP(return, "cannot become another user");
	for (i = 0; i < 2; i++) {
		rings[i] = add_keyring(i ? "watch_queue:b" : "watch_queue:a", k->top);
		others[i] = add_keyring(i ? "watch_queue:d" : "watch_queue:c", k->session);
		ASSERT_LT(0, rings[i]);
		ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, others[i],
					POS_ALL | USR_ALL | OTH_ALL, 0, 0));
		ASSERT_EQ(0, add_many(many[i], rings[i], others[i]));
	}

	/* By watching the keys. */
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	ASSERT_EQ(0, as_another(do_take_over, k, q));
	for (i = 0; i < 2 * NR_MANY; i++) {
		ASSERT_EQ(0, update_key(many[i / NR_MANY][i % NR_MANY]));
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(i < 64 ? OTHER_TAG : TAG, rec_tag(&rec));
	}
	queue_close(q);

	/* By having other watches extend to them, when the first one goes. */
	ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	ASSERT_EQ(0, as_another(do_extend_over, k, q));
	expect_update(_metadata, q, TAG, many[1][0]);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
	while (queue_next(q, &rec, 0) > 0) {
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		losses += rec_subtype(&rec) == WATCH_META_LOSS_NOTIFICATION;
	}
	EXPECT_LT(0, losses);
	for (i = 0; i < 2 * NR_MANY; i++) {
		ASSERT_EQ(0, update_key(many[i / NR_MANY][i % NR_MANY]));
		if (queue_next(q, &rec, 0) == 1) {
			ASSERT_EQ(OTHER_TAG, rec_tag(&rec));
			by_other++;
		}
	}
	EXPECT_EQ(64 - 2, by_other);
}

static int watch_as_user(int32_t keyring, int fd, unsigned int flags)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		if (set_nofile(4096) || setuid(1235))
			_exit(EPROTO);
		_exit(-watch_keyring(keyring, fd, TAG, flags));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	return -WEXITSTATUS(status);
}

static void expect_loss(struct __test_metadata *_metadata, struct queue *q)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
}

/* A watch extends along so many links, unless its owner has CAP_SYS_RESOURCE. */
#define MOST_LINKS	512

TEST_F_TIMEOUT(children, too_many_links, 300)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t keys[MOST_LINKS + 1];
	struct queue other;
	union record rec;
	char name[40];
	int i, nr;

	if (!show_or_skip(_metadata, k))
		return;
	nr = sys_keyctl(KEYCTL_READ, k->top, 0, 0, 0) / sizeof(keys[0]);
	for (; nr < MOST_LINKS; nr++) {
		snprintf(name, sizeof(name), "watch_queue:link %d", nr);
		ASSERT_LT(0, add_key("user", name, "x", k->top));
	}
	ASSERT_EQ(nr * sizeof(keys[0]),
		  sys_keyctl(KEYCTL_READ, k->top, (long)keys, sizeof(keys), 0));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, keys[i],
					POS_ALL | USR_ALL | OTH_ALL, 0, 0));

	/* All of these, but one more is a loss. */
	ASSERT_EQ(0, watch_as_user(k->top, q->fd, CHILDREN));
	expect_nothing(_metadata, q);
	ASSERT_LT(0, add_key("user", "watch_queue:more", "x", k->top));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	if (rec_type(&rec) == WATCH_TYPE_META) {
		ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	} else {
		expect_loss(_metadata, q);
	}
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));

	/* To set it now is an error, but not if it is about a nested keyring. */
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	EXPECT_EQ(-ENOSPC, watch_as_user(k->top, other.fd, CHILDREN));
	expect_nothing(_metadata, &other);
	ASSERT_EQ(0, link_key(k->top, k->keep));
	EXPECT_EQ(0, watch_as_user(k->keep, other.fd, NESTED));
	expect_loss(_metadata, &other);
	queue_close(&other);

	/* Who has the capability has no such limit. */
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, set_nofile(4096));
	EXPECT_EQ(0, watch_keyring(k->top, other.fd, TAG, CHILDREN));
	queue_close(&other);
}

/* Of one keyring so many watches extend to its children, and no more. */
TEST_F(children, too_many_extend)
{
	const struct keys *k = &self->keys;
	int fds[36][2], i, ret = 0, status;
	struct queue *q = &self->queue;
	union record rec;
	pid_t pid;

	if (!show_or_skip(_metadata, k))
		return;
	ASSERT_EQ(0, link_key(k->top, k->keep));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (set_nofile(4096) || setuid(1235))
			_exit(1);
		for (i = 0; i < 36; i++) {
			if (sys_pipe(fds[i], O_NOTIFICATION_PIPE))
				_exit(2);
			ret = watch_keyring(k->top, fds[i][0], TAG, CHILDREN);
			if (ret)
				break;
		}
		if (i != 32 || ret != -ENOSPC)
			_exit(3);
		/* One keyring further up that is only a loss. */
		queue_close(q);
		if (queue_open(q, variant->kind, variant->size) ||
		    watch_keyring(k->keep, q->fd, TAG, NESTED))
			_exit(6);
		if (queue_next(q, &rec, 0) != 1 || rec_type(&rec) != WATCH_TYPE_META ||
		    rec_subtype(&rec) != WATCH_META_LOSS_NOTIFICATION ||
		    queue_next(q, &rec, 0) != 0)
			_exit(7);
		queue_close(q);
		/* Plain watches are another matter. */
		if (watch_key(k->top, fds[i][0], TAG))
			_exit(4);
		close(fds[0][0]);
		close(fds[0][1]);
		if (watch_key(k->top, fds[i][0], -1) ||
		    watch_keyring(k->top, fds[i][0], TAG, CHILDREN))
			_exit(5);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

/*
 * Processes that link, unlink and move keys, that set and remove watches, and
 * that close queues, all at once.
 */
#define SECONDS		3
#define NR_RINGS	4
#define NR_KEYS		6
#define NR_QUEUES	3

static unsigned int seed;

static unsigned int below(unsigned int n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static bool over(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= SECONDS;
}

static void storm_link(const int32_t *rings, const int32_t *keys)
{
	int32_t ring = rings[below(NR_RINGS)], key = keys[below(NR_KEYS)];

	switch (below(9)) {
	case 0:
	case 1:
		link_key(key, ring);
		break;
	case 2:
		unlink_key(key, ring);
		break;
	case 3:
		link_key(rings[below(NR_RINGS)], ring);
		break;
	case 4:
		unlink_key(rings[below(NR_RINGS)], ring);
		break;
	case 5:
		sys_keyctl(KEYCTL_MOVE, key, ring, rings[below(NR_RINGS)], 0);
		break;
	case 6:
		sys_keyctl(KEYCTL_CLEAR, ring, 0, 0, 0);
		break;
	case 7:
		update_key(key);
		break;
	case 8:
		/* One that dies when it is displaced or unlinked. */
		add_key("user", below(2) ? "watch_queue:a" : "watch_queue:b", "x", ring);
		break;
	}
}

static void storm_watch(struct queue *queues, enum queue_kind kind,
			unsigned int size, const int32_t *rings, const int32_t *keys)
{
	struct queue *q = &queues[below(NR_QUEUES)];
	union record rec;

	switch (below(6)) {
	case 0:
	case 1:
		watch_keyring(rings[below(NR_RINGS)], q->fd, below(256), below(4));
		break;
	case 2:
		watch_keyring(rings[below(NR_RINGS)], q->fd, -1, 0);
		break;
	case 3:
		watch_key(keys[below(NR_KEYS)], q->fd, below(3) - 1);
		break;
	case 4:
		while (queue_next(q, &rec, 0) > 0)
			;
		break;
	case 5:
		queue_close(q);
		if (queue_open(q, kind, size))
			_exit(2);
		break;
	}
}

TEST_F(children, storm)
{
	int32_t rings[NR_RINGS], keys[NR_KEYS], probes;
	const struct keys *k = &self->keys;
	struct queue queues[NR_QUEUES];
	struct timespec start;
	int i, before, status;
	char name[32];
	pid_t pid;

	for (i = 0; i < NR_RINGS; i++) {
		snprintf(name, sizeof(name), "watch_queue:storm %d", i);
		rings[i] = add_keyring(name, k->session);
		ASSERT_LT(0, rings[i]);
	}
	for (i = 0; i < NR_KEYS; i++) {
		snprintf(name, sizeof(name), "watch_queue:key %d", i);
		keys[i] = add_user_key(name, k->keep);
		ASSERT_LT(0, keys[i]);
	}
	probes = add_keyring("watch_queue:probes", k->session);
	ASSERT_LT(0, probes);
	before = nr_watches_settled(probes, 64, 0);
	ASSERT_LE(0, before);

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (pid)
			continue;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		seed = start.tv_nsec + i;
		if (i & 1) {
			while (!over(&start))
				storm_link(rings, keys);
			_exit(0);
		}
		for (i = 0; i < ARRAY_SIZE(queues); i++) {
			if (queue_open(&queues[i], variant->kind, variant->size))
				_exit(1);
		}
		while (!over(&start))
			storm_watch(queues, variant->kind, variant->size, rings, keys);
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_LT(0, waitpid(-1, &status, 0));
		ASSERT_EQ(0, status);
	}

	/* No watch is left, and it works as before. */
	ASSERT_EQ(before, nr_watches_settled(probes, 64, before));
	ASSERT_EQ(0, watch_keyring(k->top, self->queue.fd, TAG, NESTED));
	expect_update(_metadata, &self->queue, TAG, k->leaf);
}

TEST_HARNESS_MAIN
