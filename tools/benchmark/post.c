// SPDX-License-Identifier: GPL-2.0
/*
 * post: what a watch adds to the update of a key, and what a BPF program pays for the same. In
 * bursts of 100, the first of which finds an empty queue and is not counted.
 * consume: what it costs to take such a burst.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bench.h"

#define BURST	100
#define ROUNDS	15

static int32_t key;

/* Updates until the burst is complete: the median of one. */
static void burst(struct samples *s)
{
	update_key(key);
	for (int i = 1; i < BURST; i++) {
		uint64_t begin = now();
		update_key(key);
		sample(s, begin);
	}
}

static uint64_t unwatched(void)
{
	struct samples s = { .count = 0 };

	burst(&s);
	burst(&s);
	return median(&s);
}

static uint64_t ring_post(struct ring *r)
{
	struct samples s = { .count = 0 };

	for (int i = 0; i < 2; i++) {
		burst(&s);
		ring_take(r);
	}
	return median(&s);
}

static uint64_t pipe_post(struct pipe *p)
{
	struct samples s = { .count = 0 };

	for (int i = 0; i < 2; i++) {
		burst(&s);
		pipe_take(p, NULL);
	}
	return median(&s);
}

/* One output of a program, by the difference of many and few. */
static uint64_t output(enum bpf_output kind, bool *fits)
{
	struct samples few = { .count = 0 }, many = { .count = 0 };
	struct bpf b;

	*fits = bpf_open(&b, kind, 1 << 16);
	if (!*fits)
		return 0;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now();
		bpf_post(&b, 100);
		sample(&few, begin);
		if (kind != BPF_NONE)
			bpf_take(&b);
		begin = now();
		bpf_post(&b, 600);
		sample(&many, begin);
		if (kind != BPF_NONE)
			bpf_take(&b);
	}
	bpf_close(&b);
	return (median(&many) - median(&few)) / 500;
}

void bench_post(int argc, char **argv)
{
	uint64_t none, without;
	struct ring r;
	struct pipe p;
	bool fits;

	(void)argc;
	(void)argv;
	key = make_key(0);
	none = unwatched();
	result("update-key", 0, none);

	ring_open(&r, 16);
	watch_key(key, r.fd, 1);
	result("post-ring", 16, ring_post(&r) - none);
	filter_queue(r.fd, WATCH_TYPE_MOUNT_NOTIFY, ~0, -1);
	result("filtered-type-ring", 16, ring_post(&r) - none);
	filter_queue(r.fd, WATCH_TYPE_KEY_NOTIFY, 1 << NOTIFY_KEY_CLEARED, -1);
	result("filtered-subtype-ring", 16, ring_post(&r) - none);
	ring_close(&r);

	pipe_open(&p, 512);
	watch_key(key, p.fd, 1);
	result("post-pipe", 16, pipe_post(&p) - none);
	pipe_close(&p);

	without = output(BPF_NONE, &fits);
	if (!fits)
		die("BPF_PROG_LOAD");
	none = output(BPF_RINGBUF, &fits);
	if (fits)
		result("post-ringbuf", 24, none - without);
	none = output(BPF_PERF, &fits);
	if (fits)
		result("post-perf", 24, none - without);
}

/* Let the ring be filled with records of 24 bytes by write(). */
static void inject(int fd)
{
	struct {
		struct watch_notification n;
		uint64_t words[2];
	} records[BURST];

	memset(records, 0, sizeof(records));
	for (int i = 0; i < BURST; i++) {
		records[i].n.type = WATCH_TYPE_KEY_NOTIFY;
		records[i].n.info = sizeof(records[i]);
	}
	check(write(fd, records, sizeof(records)), "inject records");
}

void bench_consume(int argc, char **argv)
{
	struct samples s = { .count = 0 };
	struct ring r;
	struct pipe p;
	struct bpf b;

	(void)argc;
	(void)argv;
	key = make_key(0);

	ring_open(&r, 16);
	for (int i = 0; i < ROUNDS; i++) {
		inject(r.fd);
		uint64_t begin = now();
		if (ring_take(&r) != BURST)
			die("records are missing");
		sample(&s, begin);
	}
	result("consume-ring", 24, median(&s) / BURST);
	ring_close(&r);

	pipe_open(&p, 512);
	watch_key(key, p.fd, 1);
	for (int i = 0; i < ROUNDS; i++) {
		for (int n = 0; n < BURST; n++)
			update_key(key);
		uint64_t begin = now();
		if (pipe_take(&p, NULL) != BURST)
			die("records are missing");
		sample(&s, begin);
	}
	result("consume-pipe", 16, median(&s) / BURST);
	pipe_close(&p);

	for (enum bpf_output kind = BPF_RINGBUF; kind <= BPF_PERF; kind++) {
		if (!bpf_open(&b, kind, 1 << 16))
			continue;
		for (int i = 0; i < ROUNDS; i++) {
			bpf_post(&b, BURST);
			uint64_t begin = now();
			if (bpf_take(&b) != BURST)
				die("records are missing");
			sample(&s, begin);
		}
		result(kind == BPF_RINGBUF ? "consume-ringbuf" : "consume-perf", 24,
		       median(&s) / BURST);
		bpf_close(&b);
	}
}
