/* SPDX-License-Identifier: GPL-2.0 */
/* A fixture: a container of Alice's, with a queue inside and one outside. */
#ifndef SELFTESTS_WATCH_QUEUE_CONTAINER_H
#define SELFTESTS_WATCH_QUEUE_CONTAINER_H

#include "expect.h"
#include "people.h"
#include "places.h"

#define TAG	6

FIXTURE(container)
{
	struct queue in, out;
	struct child child;
};

QUEUE_VARIANTS(container, 64, 1);

/* What a program that includes this defines: why its tests have to be skipped, or NULL. */
static const char *cannot_test(void);

FIXTURE_SETUP(container)
{
	int ret;

	self->in.fd = -1;
	self->in.write_fd = -1;
	self->out.fd = -1;
	self->out.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	if (!open_or_skip(_metadata, &self->in, variant->kind, variant->size))
		return;
	ASSERT_EQ(0, prepare_places());
	ASSERT_LT(0, join_new_session());
	ASSERT_EQ(0, queue_open(&self->out, variant->kind, variant->size));
	ret = start_visitor(&self->child, CONTAINER);
	if (no_namespaces(CONTAINER, ret))
		SKIP(return, "no such namespaces");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(container)
{
	end_child(&self->child);
	queue_close(&self->in);
	queue_close(&self->out);
}

/*
 * With watches on both sides, which @watch sets with TAG on the queue that it is
 * given, an event outside makes no record inside, and the other way round.
 */
static inline void expect_isolation(struct __test_metadata *_metadata,
				    struct _test_data_container *self,
				    int (*watch)(void *queue),
				    int (*cause)(void *arg))
{
	ASSERT_EQ(0, call(&self->child, watch, &self->in));
	ASSERT_EQ(0, watch(&self->out));

	ASSERT_EQ(0, cause(NULL));
	EXPECT_EQ(1 << TAG, queue_tags(&self->out));
	expect_nothing(_metadata, &self->in);

	ASSERT_EQ(0, call(&self->child, cause, NULL));
	EXPECT_EQ(1 << TAG, queue_tags(&self->in));
	expect_nothing(_metadata, &self->out);
}

/* Tasks outside that have the container's root directory open. */
enum outsider {
	OUT_ROOT,
	OUT_NO_CAPS,
	OUT_ALICE,
	OUT_BOB,
	OUT_USERNS,
	OUT_CONTAINER,
	NR_OUTSIDERS,
};

struct outside {
	enum outsider who;
	int (*watch)(int object, int fd, int tag);
	int dir, fd;
};

static inline int enter_outside_fn(void *arg)
{
	const struct outside *o = arg;

	switch (o->who) {
	case OUT_ALICE:
		return become(&alice);
	case OUT_BOB:
		return become(&bob);
	case OUT_NO_CAPS:
		return enter(NO_CAPS);
	case OUT_USERNS:
		return enter(USERNS);
	case OUT_CONTAINER:
		return enter(CONTAINER);
	default:
		return enter(ROOT);
	}
}

static inline int watch_outside_fn(void *arg)
{
	const struct outside *o = arg;

	return o->watch(o->dir, o->fd, TAG);
}

/* What @watch of the container's root directory returns to each of them. */
static inline void expect_outsiders(struct __test_metadata *_metadata,
				    struct _test_data_container *self,
				    int (*watch)(int object, int fd, int tag),
				    const int expected[NR_OUTSIDERS])
{
	static const char * const names[NR_OUTSIDERS] = {
		"root", "root without capabilities", "Alice", "Bob",
		"another user namespace", "another container",
	};
	struct outside o = { .watch = watch, .fd = self->out.fd };
	struct child child;

	o.dir = open_of_child(&self->child, "root");
	ASSERT_LE(0, o.dir);
	for (o.who = 0; o.who < NR_OUTSIDERS; o.who++) {
		ASSERT_EQ(0, start_child(&child, enter_outside_fn, &o))
			TH_LOG("%s", names[o.who]);
		EXPECT_EQ(expected[o.who], call(&child, watch_outside_fn, &o))
			TH_LOG("%s", names[o.who]);
		end_child(&child);
		if (!expected[o.who])
			EXPECT_EQ(0, watch(o.dir, o.fd, -1));
	}
}

#endif /* SELFTESTS_WATCH_QUEUE_CONTAINER_H */
