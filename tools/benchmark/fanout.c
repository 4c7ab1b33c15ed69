// SPDX-License-Identifier: GPL-2.0
/*
 * fanout: the update of a key that so many queues watch, and of one that a single queue watches
 * while so many others watch other keys.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "bench.h"

#define MOST	1000
#define ROUNDS	15

static struct ring *rings;

/* Next to the update of a key that nobody watches: what the allocator does depends on what went before. */
static int64_t update(int32_t key, int32_t unwatched)
{
	struct samples one = { .count = 0 }, other = { .count = 0 };
	uint64_t begin;

	/* The first one finds the queues empty. */
	update_key(key);
	for (int i = 0; i < ROUNDS; i++) {
		begin = now();
		update_key(key);
		sample(&one, begin);
		begin = now();
		update_key(unwatched);
		sample(&other, begin);
	}
	return median(&one) - median(&other);
}

static void drain(long count)
{
	for (long i = 0; i < count; i++)
		ring_take(&rings[i]);
}

static void raise_limits(void)
{
	static const struct rlimit limit = { 4 * MOST, 4 * MOST };

	check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
}

void bench_fanout(int argc, char **argv)
{
	static const long counts[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, MOST };
	int32_t key = make_key(0), unwatched = make_key(MOST + 1);
	long have = 0;
	int64_t none;

	(void)argc;
	(void)argv;
	raise_limits();
	/* With more keys it takes longer to find one, watched or not, and some are found sooner than others. */
	for (long i = 1; i <= MOST; i++)
		make_key(i);
	none = update(key, unwatched);
	rings = calloc(MOST + 1, sizeof(*rings));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (; have < counts[i]; have++) {
			ring_open(&rings[have], 1);
			watch_key(key, rings[have].fd, 1);
		}
		result("watchers", counts[i], update(key, unwatched) - none);
		drain(have);
	}

	while (have > 1)
		ring_close(&rings[--have]);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (; have < counts[i] + 1; have++) {
			ring_open(&rings[have], 1);
			watch_key(make_key(have), rings[have].fd, 1);
		}
		result("queues", counts[i], update(key, unwatched) - none);
		drain(have);
	}
}
