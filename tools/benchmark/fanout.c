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

static uint64_t update(int32_t key)
{
	struct samples s = { .count = 0 };

	/* The first one finds the queues empty. */
	update_key(key);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now();
		update_key(key);
		sample(&s, begin);
	}
	return median(&s);
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
	int32_t key = make_key(0);
	long have = 0;
	uint64_t none;

	(void)argc;
	(void)argv;
	raise_limits();
	/* With more keys it takes longer to find one, watched or not. */
	for (long i = 1; i <= MOST; i++)
		make_key(i);
	none = update(key);
	rings = calloc(MOST + 1, sizeof(*rings));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (; have < counts[i]; have++) {
			ring_open(&rings[have], 1);
			watch_key(key, rings[have].fd, 1);
		}
		result("watchers", counts[i], update(key) - none);
		drain(have);
	}

	while (have > 1)
		ring_close(&rings[--have]);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (; have < counts[i] + 1; have++) {
			ring_open(&rings[have], 1);
			watch_key(make_key(have), rings[have].fd, 1);
		}
		result("queues", counts[i], update(key) - none);
		drain(have);
	}
}
