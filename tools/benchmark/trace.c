// SPDX-License-Identifier: GPL-2.0
/*
 * trace: do what is to be traced, announcing each by a call of trace_next(), at which the tracer
 * has a breakpoint. It then counts the instructions of the next call of that function of the kernel,
 * for which it sets the length of the record. trace idle: only what can be done on any kernel.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

/* What the tracer is told by its registers. */
__attribute__((noinline)) void trace_next(const char *name, const char *function, long length)
{
	__asm__ volatile("" : : "r"(name), "r"(function), "r"(length) : "memory");
}

static int32_t key;

/* A few records that nobody takes, so that the next one wakes nobody. */
static void warm_up(void)
{
	for (int i = 0; i < 4; i++)
		update_key(key);
}

static void trace_post(const char *name, long length)
{
	warm_up();
	trace_next(name, "__post_watch_notification", length);
	update_key(key);
}

/* Not of the type, not of the subtype, not with the tag, and all of them. */
static void trace_filtered(const char *peer, int fd)
{
	char name[32];

	filter_queue(fd, WATCH_TYPE_MOUNT_NOTIFY, ~0, -1);
	snprintf(name, sizeof(name), "filtered-type-%s", peer);
	trace_post(name, 24);
	filter_queue(fd, WATCH_TYPE_KEY_NOTIFY, 1 << NOTIFY_KEY_CLEARED, -1);
	snprintf(name, sizeof(name), "filtered-subtype-%s", peer);
	trace_post(name, 24);
	filter_queue(fd, WATCH_TYPE_KEY_NOTIFY, ~0, 2);
	snprintf(name, sizeof(name), "filtered-info-%s", peer);
	trace_post(name, 24);
	filter_queue(fd, WATCH_TYPE_KEY_NOTIFY, ~0, 1);
	snprintf(name, sizeof(name), "filter-passed-%s", peer);
	trace_post(name, 24);
}

/* What nobody watches, for comparison with a kernel where nobody can. */
static void trace_idle(void)
{
	int disk = sys_open("/dev/nullb0", O_RDONLY | O_DIRECT);
	int32_t unwatched = make_key(1);
	void *block;

	if (disk < 0 || posix_memalign(&block, 4096, 4096))
		die("/dev/nullb0");
	make_mounts(0);
	for (int i = 0; i < 4; i++) {
		update_key(unwatched);
		check(pread(disk, block, 4096, 0), "read a block");
		mount_spare();
		umount_spare();
	}
	/* Something else may be done along with one of them. */
	for (int i = 0; i < 5; i++) {
		trace_next("idle-key", "__x64_sys_keyctl", 0);
		update_key(unwatched);
		trace_next("idle-block", "__x64_sys_pread64", 0);
		check(pread(disk, block, 4096, 0), "read a block");
		trace_next("idle-mount", "__x64_sys_mount", 0);
		mount_spare();
		trace_next("idle-umount", "__x64_sys_umount", 0);
		umount_spare();
	}
	close(disk);
}

/* A process sleeps in poll(): from the call that wakes it to when it sleeps again. */
static void trace_sleeper(const char *name, int fd, unsigned int (*take)(void))
{
	const struct sched_param param = { .sched_priority = 1 };
	int reader = check(fork(), "fork");

	if (reader == 0) {
		check(sched_setscheduler(0, SCHED_FIFO, &param), "sched_setscheduler");
		for (;;) {
			ready(fd);
			take();
		}
	}
	/* It sleeps when this goes on, and then is warm. */
	for (int i = 0; i < 4; i++) {
		sched_yield();
		update_key(key);
	}
	trace_next(name, "__wake_up>schedule", 0);
	update_key(key);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
}

static struct ring ring;
static unsigned int take_ring(void) { return ring_take(&ring); }

void bench_trace(int argc, char **argv)
{
	struct ring r;
	struct pipe p;
	struct bpf b;

	key = make_key(0);
	if (argc > 1 && strcmp(argv[1], "idle") == 0) {
		trace_idle();
		trace_next("end", "", 0);
		return;
	}

	ring_open(&ring, 16);
	watch_key(key, ring.fd, 1);
	trace_sleeper("asleep-ring", ring.fd, take_ring);
	ring_close(&ring);

	ring_open(&r, 16);
	watch_key(key, r.fd, 1);
	trace_post("post-ring", 24);
	trace_post("post-ring-16", 16);
	trace_post("post-ring-64", 64);
	ring_take(&r);
	trace_next("post-ring-caught-up", "__post_watch_notification", 24);
	update_key(key);
	trace_next("poll-ring", "__x64_sys_poll", 0);
	ready(r.fd);
	trace_filtered("ring", r.fd);
	ring_close(&r);

	pipe_open(&p, 512);
	watch_key(key, p.fd, 1);
	trace_post("post-pipe", 24);
	trace_post("post-pipe-16", 16);
	trace_next("poll-pipe", "__x64_sys_poll", 0);
	ready(p.fd);
	trace_filtered("pipe", p.fd);
	pipe_close(&p);

	if (bpf_open(&b, BPF_RINGBUF, 1 << 16)) {
		bpf_post(&b, 4);
		trace_next("post-ringbuf", "bpf_ringbuf_output", 0);
		bpf_post(&b, 1);
		bpf_close(&b);
	}
	if (bpf_open(&b, BPF_PERF, 1 << 16)) {
		bpf_post(&b, 4);
		trace_next("post-perf", "bpf_skb_event_output", 0);
		bpf_post(&b, 1);
		bpf_close(&b);
	}

	trace_idle();
	trace_next("end", "", 0);
}
