/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A watch queue that keeps its records for a KUnit test to look at
 */
#ifndef _KUNIT_WATCH_QUEUE_H
#define _KUNIT_WATCH_QUEUE_H

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/watch_queue.h>

#define TEST_RECORDS	8
#define TEST_TAG	0x33

struct test_queue {
	struct watch_queue queue;
	struct kunit *test;
	unsigned int nr;	/* Records that came, be there room for them or not */
	unsigned int taken;
	u64 records[TEST_RECORDS][DIV_ROUND_UP(WATCH_INFO_LENGTH, sizeof(u64))];
};

static inline bool test_queue_match(const void *filter,
				    const struct watch_notification *n)
{
	return true;
}

static inline bool test_queue_post(struct watch_queue *wqueue,
				   const struct watch_notification *n)
{
	struct test_queue *q = container_of(wqueue, struct test_queue, queue);

	if (q->nr < TEST_RECORDS)
		memcpy(q->records[q->nr], n, n->info & WATCH_INFO_LENGTH);
	q->nr++;
	return false;
}

/* Nothing is ever taken: all records are unread. */
static inline bool test_queue_unread(struct watch_queue *wqueue, u32 *head)
{
	*head = container_of(wqueue, struct test_queue, queue)->nr;
	return true;
}

static inline void test_queue_lose(struct watch_queue *wqueue, u32 type)
{
	struct test_queue *q = container_of(wqueue, struct test_queue, queue);

	KUNIT_FAIL(q->test, "a record of type %u is lost", type);
}

/* The memory is the test's. */
static inline void test_queue_nop(struct watch_queue *wqueue)
{
}

static const struct watch_queue_ops test_queue_ops = {
	.match		= test_queue_match,
	.post		= test_queue_post,
	.wake		= test_queue_nop,
	.unread		= test_queue_unread,
	.lose		= test_queue_lose,
	.close		= test_queue_nop,
	.release	= test_queue_nop,
};

static inline void test_queue_end(void *data)
{
	struct test_queue *q = data;

	watch_queue_clear(&q->queue);
	/* A watch that was removed has a reference for a grace period. */
	rcu_barrier();
	KUNIT_EXPECT_EQ(q->test, 1, kref_read(&q->queue.usage));
	put_watch_queue(&q->queue);
}

static inline struct test_queue *test_queue_start(struct kunit *test)
{
	struct test_queue *q = kunit_kzalloc(test, sizeof(*q), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, q);
	q->test = test;
	init_watch_queue(&q->queue, &test_queue_ops);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_queue_end, q));
	return q;
}

/* The next record, which must be of this type. */
static inline const void *test_queue_next(struct kunit *test,
					  struct test_queue *q,
					  unsigned int type, unsigned int subtype)
{
	const struct watch_notification *n;

	KUNIT_ASSERT_LT(test, q->taken, q->nr);
	KUNIT_ASSERT_LT(test, q->taken, TEST_RECORDS);
	n = (const void *)q->records[q->taken++];
	KUNIT_ASSERT_EQ(test, type, (u32)n->type);
	KUNIT_ASSERT_EQ(test, subtype, (u32)n->subtype);
	KUNIT_EXPECT_EQ(test, TEST_TAG,
			(n->info & WATCH_INFO_ID) >> WATCH_INFO_ID__SHIFT);
	return n;
}

static inline void test_queue_is_empty(struct kunit *test,
				       const struct test_queue *q)
{
	KUNIT_EXPECT_EQ(test, q->taken, q->nr);
}

static inline void test_queue_expect_removal(struct kunit *test,
					     struct test_queue *q, u64 id)
{
	const struct watch_notification_removal *n;

	n = test_queue_next(test, q, WATCH_TYPE_META,
			    WATCH_META_REMOVAL_NOTIFICATION);
	KUNIT_EXPECT_EQ(test, id, n->id);
}

#endif /* _KUNIT_WATCH_QUEUE_H */
