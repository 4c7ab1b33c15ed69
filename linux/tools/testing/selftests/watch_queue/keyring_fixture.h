/* SPDX-License-Identifier: GPL-2.0 */
/* Keyrings with something in them, for the tests of watches that extend to that. */
#ifndef SELFTESTS_WATCH_QUEUE_KEYRING_FIXTURE_H
#define SELFTESTS_WATCH_QUEUE_KEYRING_FIXTURE_H

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "keyrings.h"

#define TAG		0x11
#define OWN_TAG		0x22
#define OTHER_TAG	0x33

#define CHILDREN	KEYCTL_WATCH_CHILDREN
#define NESTED		KEYCTL_WATCH_NESTED

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

static inline int32_t add_user_key(const char *description, int32_t keyring)
{
	int32_t key = add_key("user", description, "old", keyring);

	if (key > 0)
		sys_keyctl(KEYCTL_SETPERM, key, POS_ALL | USR_ALL, 0, 0);
	return key;
}

static inline int32_t add_keyring(const char *description, int32_t keyring)
{
	return add_key("keyring", description, NULL, keyring);
}

static inline int link_key(int32_t key, int32_t keyring)
{
	return sys_keyctl(KEYCTL_LINK, key, keyring, 0, 0);
}

static inline int unlink_key(int32_t key, int32_t keyring)
{
	return sys_keyctl(KEYCTL_UNLINK, key, keyring, 0, 0);
}

static inline int make_keys(struct keys *k)
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

static inline void expect_update(struct __test_metadata *_metadata,
				 struct queue *q, unsigned int tag, int32_t key)
{
	ASSERT_EQ(0, update_key(key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, tag, key, 0);
	expect_nothing(_metadata, q);
}

static inline void expect_unwatched(struct __test_metadata *_metadata,
				    struct queue *q, int32_t key)
{
	ASSERT_EQ(0, update_key(key));
	expect_nothing(_metadata, q);
}

/* What a test expects, by the names that the keys have in struct keys. */
enum who { NOBODY, TOP, CHILD, INNER, LEAF, OTHER };

static inline int32_t who_is(const struct keys *k, enum who who)
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

static inline bool is_removal(const struct expected *e)
{
	return e->key && e->what == REMOVAL;
}

/* Removals that follow each other come in any order. */
static inline void expect_records(struct __test_metadata *_metadata,
				  struct queue *q, const struct keys *k,
				  const struct expected *list)
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

/*
 * Have another user, who shares the queue but possesses nothing, do something: one
 * that nobody else was.
 */
static inline int as_another(int (*run)(const struct keys *k, struct queue *q),
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
static inline bool show_or_skip(struct __test_metadata *_metadata, const struct keys *k)
{
	unsigned int all = POS_ALL | USR_ALL | OTH_ALL;

	if (geteuid() != 0)
		SKIP(return false, "cannot become another user");
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->top, all, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->keep, all, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, k->inner, all, 0, 0));
	return true;
}

#endif /* SELFTESTS_WATCH_QUEUE_KEYRING_FIXTURE_H */
