// SPDX-License-Identifier: GPL-2.0
/* Out of memory: a queue is opened, its filter is set, a key is watched. */

#include "nomem.h"

static int32_t key;

static int call_key(const void *arg)
{
	const struct queue *q = arg;

	return watch_key(key, q->fd, TAG);
}

TEST_F(nomem, watches)
{
	key = add_key("user", "watch_queue:key", "x", join_new_session());
	ASSERT_LT(0, key);
	expect_nomem_watch(_metadata, self->attempt, call_key, &self->queue);
}

static int call_filter(const void *arg)
{
	const struct queue *q = arg;
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter type;
	} filter = {
		.head.nr_filters = 1,
		.type.type = WATCH_TYPE_KEY_NOTIFY,
		.type.subtype_filter[0] = 1U << NOTIFY_KEY_UPDATED,
	};

	return set_filter(q->fd, &filter);
}

TEST_F(nomem, filter)
{
	expect_nomem(_metadata, self->attempt, call_filter, &self->queue);
}

struct kind {
	enum queue_kind kind;
	unsigned int size;
};

static int call_open(const void *arg)
{
	const struct kind *kind = arg;
	struct queue q;
	int ret = queue_open(&q, kind->kind, kind->size);

	if (!ret)
		queue_close(&q);
	/* What pipe2() says when there is no memory for the pipe. */
	return ret == -ENFILE ? -ENOMEM : ret;
}

TEST_F(nomem, queue)
{
	const struct kind kind = { variant->kind, variant->size };

	expect_nomem(_metadata, self->attempt, call_open, &kind);
}

TEST_HARNESS_MAIN
