// SPDX-License-Identifier: GPL-2.0
/* What users show each other by watches on keyrings. */

#include <sys/wait.h>
#include <unistd.h>

#include "keyring_fixture.h"

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

TEST_HARNESS_MAIN
