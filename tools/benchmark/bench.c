// SPDX-License-Identifier: GPL-2.0
/* bench NAME [ARGUMENT]...: run one of the benchmarks and print its results. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

static uint64_t clock_cost;

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void sample(struct samples *s, uint64_t begin)
{
	uint64_t end = now();

	if (s->count < ARRAY_SIZE(s->value))
		s->value[s->count++] = end - begin - clock_cost;
}

uint64_t median(struct samples *s)
{
	unsigned int count = s->count;

	if (count == 0)
		die("no samples");
	s->count = 0;
	qsort(s->value, count, sizeof(s->value[0]), compare);
	return s->value[count / 2];
}

uint64_t least(struct samples *s)
{
	uint64_t value = UINT64_MAX;

	while (s->count > 0) {
		if (s->value[--s->count] < value)
			value = s->value[s->count];
	}
	return value;
}

static void measure_clock(void)
{
	struct samples s = { .count = 0 };

	for (int i = 0; i < 100; i++)
		sample(&s, now());
	clock_cost = median(&s);
}

void result(const char *name, long parameter, uint64_t value)
{
	printf("%s %ld %llu\n", name, parameter, (unsigned long long)value);
	fflush(stdout);
}

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

long check(long result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

int sys_open(const char *path, int flags)
{
	return syscall(__NR_openat, AT_FDCWD, path, flags, 0);
}

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags)
{
	return syscall(__NR_mount, source, target, type, flags, NULL);
}

int sys_umount(const char *target, int flags)
{
	return syscall(__NR_umount2, target, flags);
}

long sys_keyctl(int cmd, long a, long b, long c, long d)
{
	return syscall(__NR_keyctl, cmd, a, b, c, d);
}

int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, -1);
}

bool more(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

volatile uint64_t learnt;

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(int argc, char **argv);
	} benches[] = {
		{ "learn", bench_learn },
		{ "consume", bench_consume },
		{ "post", bench_post },
		{ "fanout", bench_fanout },
		{ "storm", bench_storm },
		{ "memory", bench_memory },
		{ "burden", bench_burden },
		{ "posters", bench_posters },
		{ "trace", bench_trace },
	};

	check(sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0), "join a session keyring");
	measure_clock();
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(benches); i++) {
		if (strcmp(argv[1], benches[i].name) == 0) {
			benches[i].run(argc - 1, argv + 1);
			return 0;
		}
	}
	fprintf(stderr, "usage: bench NAME [ARGUMENT]...\n");
	return 2;
}
