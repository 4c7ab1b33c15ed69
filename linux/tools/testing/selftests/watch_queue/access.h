/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The permission to watch objects, without a security module: a fixture with a
 * variant for each place, and a table of objects to be tried in each.
 */
#ifndef SELFTESTS_WATCH_QUEUE_ACCESS_H
#define SELFTESTS_WATCH_QUEUE_ACCESS_H

#include "disk.h"
#include "expect.h"
#include "people.h"
#include "places.h"

FIXTURE(access)
{
	struct child child;	/* Started by prepare(), if at all */
	struct disk disk;	/* Likewise */
};

FIXTURE_VARIANT(access)
{
	enum place place;
};

/* What a program that includes this defines: why its tests have to be skipped, or NULL. */
static const char *cannot_test(void);
/* And: make the objects. */
static int prepare(struct _test_data_access *self);

FIXTURE_VARIANT_ADD(access, root) { .place = ROOT };
FIXTURE_VARIANT_ADD(access, no_caps) { .place = NO_CAPS };
FIXTURE_VARIANT_ADD(access, user) { .place = USER };
FIXTURE_VARIANT_ADD(access, userns) { .place = USERNS };
FIXTURE_VARIANT_ADD(access, container) { .place = CONTAINER };
FIXTURE_VARIANT_ADD(access, chroot) { .place = CHROOT };
FIXTURE_VARIANT_ADD(access, chroot_user) { .place = CHROOT_USER };

FIXTURE_SETUP(access)
{
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	ASSERT_EQ(0, prepare_places());
	ASSERT_LT(0, join_new_session());
	ASSERT_EQ(0, prepare(self));
}

FIXTURE_TEARDOWN(access)
{
	end_child(&self->child);
	disk_put(&self->disk);
}

/*
 * An object: the ID of a key, or a descriptor.  The current directory is watched
 * by its path, and all else by the descriptor itself.
 */
static const int here = AT_FDCWD;

static inline const char *path_of(int object)
{
	return object == AT_FDCWD ? "." : "";
}

static inline unsigned int flags_of(int object)
{
	return object == AT_FDCWD ? 0 : AT_EMPTY_PATH;
}

struct row {
	const char *name;
	int (*watch)(int object, int fd, int tag);
	const int *object;
	/* In the order of the places. */
	int expected[NR_PLACES];
};

struct visit {
	const struct row *rows;
	unsigned int nr;
	int fd;
	int *results;		/* Two for each row */
};

/* Try all that is in the table, and at once undo what was allowed. */
static inline int visit_fn(void *arg)
{
	const struct visit *v = arg;
	const struct row *row;
	unsigned int i;

	for (i = 0; i < v->nr; i++) {
		row = &v->rows[i];
		v->results[2 * i] = row->watch(*row->object, v->fd, i);
		v->results[2 * i + 1] = row->watch(*row->object, v->fd, -1);
	}
	return 0;
}

static inline void expect_visit(struct __test_metadata *_metadata,
				const struct visit *v, enum place where,
				struct queue *q)
{
	const int *result = v->results;
	const struct row *row;
	union record rec;
	unsigned int i;
	int expected;

	for (i = 0; i < v->nr; i++, result += 2) {
		row = &v->rows[i];
		expected = row->expected[where];
		EXPECT_EQ(expected, result[0])
			TH_LOG("%s: %s", place_names[where], row->name);
		/* To remove a watch takes no more, and there is none else. */
		if (expected && result[1] != expected)
			expected = -EBADSLT;
		EXPECT_EQ(expected, result[1])
			TH_LOG("%s: %s: removal", place_names[where], row->name);

		if (expected)
			continue;
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		EXPECT_EQ(WATCH_TYPE_META, rec_type(&rec));
		EXPECT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		EXPECT_EQ(i, rec_tag(&rec));
	}
}

/*
 * Try a table in a place, with a queue of each kind that there is.  @cause has
 * events happen to all the objects.
 */
static inline void expect_table(struct __test_metadata *_metadata,
				const struct row *rows, unsigned int nr,
				enum place place, int (*cause)(void *arg))
{
	struct visit v = { .rows = rows, .nr = nr };
	unsigned int tested = 0;
	struct child visitor;
	enum queue_kind kind;
	struct queue q;
	int ret;

	v.results = shared_memory(2 * nr * sizeof(*v.results));
	ASSERT_NE(NULL, v.results);
	for (kind = QUEUE_PIPE; kind <= QUEUE_DEVICE; kind++) {
		/* Room for all the records of removal. */
		ret = queue_open(&q, kind, kind == QUEUE_PIPE ? 64 : 1);
		if (no_queue(&q, ret))
			continue;
		ASSERT_EQ(0, ret);
		v.fd = q.fd;
		ret = start_visitor(&visitor, place);
		if (no_namespaces(place, ret))
			SKIP(return, "no such namespaces");
		ASSERT_EQ(0, ret)
			TH_LOG("to enter the place: %d", ret);
		memset(v.results, 0xff, 2 * nr * sizeof(*v.results));
		ASSERT_EQ(0, call(&visitor, visit_fn, &v));
		expect_visit(_metadata, &v, place, &q);

		/* No watch is left. */
		ASSERT_EQ(0, cause(NULL));
		expect_nothing(_metadata, &q);
		end_child(&visitor);
		queue_close(&q);
		tested++;
	}
	if (!tested)
		SKIP(return, "no queues");
}

#endif /* SELFTESTS_WATCH_QUEUE_ACCESS_H */
