// SPDX-License-Identifier: GPL-2.0
/*
 * The permission to watch what is in a keyring, by a security module: a watch is
 * not extended to keys that it does not let the owner of the watch view.
 */

#include "keyrings.h"
#include "lsm.h"

enum { KEYRING, NR_WATCHES };

/* With a key in it. */
static int32_t keyring, key;

static const char *cannot_test(void)
{
	if (watch_keyring(KEY_SPEC_SESSION_KEYRING, -1, 0, 0) == -EOPNOTSUPP)
		return "no KEYCTL_WATCH_KEYRING";
	return NULL;
}

/* A key belongs to the session keyring, and has the label of its maker. */
static int prepare(struct disk *disk, const char *label)
{
	(void)disk;
	(void)label;
	return 0;
}

static int make_keyring(void)
{
	keyring = add_key("keyring", "watch_queue:lsm", NULL, KEY_SPEC_SESSION_KEYRING);
	key = add_key("user", "watch_queue:lsm", "x", keyring);
	return key < 0 ? key : 0;
}

static int watch(unsigned int nr, int fd)
{
	return watch_keyring(keyring, fd, nr, KEYCTL_WATCH_CHILDREN);
}

static int cause_events(void *arg)
{
	(void)arg;
	return update_key(key);
}

TEST_F(selinux, watches)
{
	static const struct denial denials[] = {
		{ DOMAIN("no_key_view_t"), KEYRING },
	};

	ASSERT_EQ(0, make_keyring());
	expect_denials(_metadata, variant->kind, variant->size, NR_WATCHES,
		       denials, ARRAY_SIZE(denials));
}

struct children {
	int32_t keyring;
	int fd;
	int32_t keys[2];
};

static int watch_children_fn(void *arg)
{
	const struct children *c = arg;

	return watch_keyring(c->keyring, c->fd, KEYRING, KEYCTL_WATCH_CHILDREN);
}

/* Two keys in the keyring, the second with the label of the kernel. */
static int link_fn(void *arg)
{
	struct children *c = arg;
	int ret;

	c->keys[0] = add_key("user", "watch_queue:own", "x", c->keyring);
	ret = write_string("/proc/self/attr/keycreate", DOMAIN("kernel_t"));
	if (ret)
		return ret;
	c->keys[1] = add_key("user", "watch_queue:kernel", "x", c->keyring);
	if (c->keys[0] < 0 || c->keys[1] < 0)
		return -ENOKEY;
	return update_key(c->keys[0]) ?: update_key(c->keys[1]);
}

/* A watch is extended to a key if its owner may view that, whoever links it. */
TEST_F(selinux, children)
{
	static const struct {
		const char *watcher, *linker;
		int updates;
	} cases[] = {
		{ DOMAIN("base_t"), DOMAIN("base_t"), 3 },
		{ DOMAIN("base_t"), DOMAIN("no_kernel_key_view_t"), 3 },
		{ DOMAIN("no_kernel_key_view_t"), DOMAIN("base_t"), 1 },
	};
	struct children *c;
	union record rec;
	struct queue q;
	unsigned int i;
	int updates;

	c = shared_memory(sizeof(*c));
	ASSERT_NE(NULL, c);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		c->fd = q.fd;
		c->keyring = add_key("keyring", "watch_queue:keyring", NULL,
				     KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, c->keyring);
		ASSERT_EQ(0, run_in(cases[i].watcher, watch_children_fn, c));
		ASSERT_EQ(0, run_in(cases[i].linker, link_fn, c));

		/* The bits of the keys that were seen to be updated. */
		updates = 0;
		while (queue_next(&q, &rec, 0) == 1) {
			ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
			if (rec_subtype(&rec) == NOTIFY_KEY_UPDATED)
				updates |= rec.key.key_id == c->keys[0] ? 1 : 2;
		}
		EXPECT_EQ(cases[i].updates, updates)
			TH_LOG("case %u", i);
		queue_close(&q);
	}
}

TEST_F(smack, watches)
{
	static const int restricted[NR_WATCHES] = { -EACCES };
	static const int granted[NR_WATCHES] = { 0 };

	ASSERT_EQ(0, make_keyring());
	expect_rules(_metadata, variant->kind, variant->size, NR_WATCHES,
		     restricted, granted);
}

static int watch_children_restricted_fn(void *arg)
{
	return drop_mac_override() ?: watch_children_fn(arg);
}

static int add_child_fn(void *arg)
{
	struct children *c = arg;

	c->keys[0] = add_key("user", "watch_queue:child", "x", c->keyring);
	return c->keys[0] < 0 ? c->keys[0] : 0;
}

/*
 * A watch is not extended to a key that its owner may not watch, though whoever
 * links it overrides all rules.  That something is withheld shows.
 */
TEST_F(smack, children)
{
	struct queue *q = &self->queue;
	struct children *c;

	c = shared_memory(sizeof(*c));
	ASSERT_NE(NULL, c);
	c->fd = q->fd;
	c->keyring = add_key("keyring", "watch_queue:keyring", NULL,
			     KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, c->keyring);
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "w"));
	ASSERT_EQ(0, run_in(WATCHER, watch_children_restricted_fn, c));
	expect_flags(_metadata, q, 0);

	ASSERT_EQ(0, run_in(POSTER, add_child_fn, c));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_LINKED);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
	ASSERT_EQ(0, update_key(c->keys[0]));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);

	/* He may watch it from now on, if it is linked again. */
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "r"));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_UNLINK, c->keys[0], c->keyring, 0, 0));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UNLINKED);
	ASSERT_EQ(0, run_in(POSTER, add_child_fn, c));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_LINKED);
	ASSERT_EQ(0, update_key(c->keys[0]));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
	ASSERT_EQ(0, set_rule(WATCHER, POSTER, "-"));
}

TEST_HARNESS_MAIN
