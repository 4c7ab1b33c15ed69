/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests with the harness share: queues of both kinds as the variants of a
 * fixture, and what is expected of a queue.
 */
#ifndef SELFTESTS_WATCH_QUEUE_EXPECT_H
#define SELFTESTS_WATCH_QUEUE_EXPECT_H

#include <assert.h>

#include "kselftest_harness.h"
#include "watch_queue.h"

/*
 * The variants "pipe" and "device" of the fixture @type, with the sizes of their
 * queues: records, and pages, of which there must be a power of two.
 */
#define QUEUE_VARIANTS(type, pipe_size, device_size)			\
	FIXTURE_VARIANT(type)						\
	{								\
		enum queue_kind kind;					\
		unsigned int size;					\
	};								\
	FIXTURE_VARIANT_ADD(type, pipe)					\
	{								\
		.kind = QUEUE_PIPE,					\
		.size = pipe_size,					\
	};								\
	FIXTURE_VARIANT_ADD(type, device)				\
	{								\
		.kind = QUEUE_DEVICE,					\
		.size = device_size,					\
	};								\
	static_assert(__builtin_popcount(device_size) == 1, "size of a ring")

/* Open a queue, or skip the test: false, and then the caller is to return. */
static inline bool open_or_skip(struct __test_metadata *_metadata,
				struct queue *q, enum queue_kind kind,
				unsigned int size)
{
	int ret = queue_open(q, kind, size);

	if (no_queue(q, ret))
		SKIP(return false, "%s", no_queue(q, ret));
	ASSERT_EQ(0, ret);
	return true;
}

/* An event of a key.  It may come from the garbage collector. */
static inline void expect_key(struct __test_metadata *_metadata,
			      struct queue *q, unsigned int subtype,
			      unsigned int tag, int32_t key, int32_t aux)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	ASSERT_EQ(subtype, rec_subtype(&rec));
	ASSERT_EQ(sizeof(rec.key), rec_len(&rec));
	ASSERT_EQ(tag, rec_tag(&rec));
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(key, (int32_t)rec.key.key_id);
	ASSERT_EQ(aux, (int32_t)rec.key.aux);
}

/* A watch on the object @id has ended, and its record comes within @timeout ms. */
static inline void expect_removal_within(struct __test_metadata *_metadata,
					 struct queue *q, int timeout,
					 unsigned int tag, uint64_t id)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, timeout));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
	ASSERT_EQ(sizeof(rec.removal), rec_len(&rec));
	ASSERT_EQ(tag, rec_tag(&rec));
	ASSERT_EQ(id, rec.removal.id);
}

static inline void expect_removal(struct __test_metadata *_metadata,
				  struct queue *q, unsigned int tag, uint64_t id)
{
	expect_removal_within(_metadata, q, SOON, tag, id);
}

static inline void expect_nothing(struct __test_metadata *_metadata,
				  struct queue *q)
{
	union record rec;

	ASSERT_EQ(0, queue_next(q, &rec, 0));
}

#endif /* SELFTESTS_WATCH_QUEUE_EXPECT_H */
