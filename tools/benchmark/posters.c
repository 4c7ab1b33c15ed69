// SPDX-License-Identifier: GPL-2.0
/*
 * posters PROCESSES: so many processes, on a processor each, post to one queue at the same time.
 * Told is how long an event takes them all, in ns of the VM, in the round that was disturbed least.
 * Only the ratios of one run mean something.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define BURST	100	/* Of each process; all of them fit into a pipe */
#define ROUNDS	200
#define MOST	4

static struct {
	unsigned int round;		/* Begun */
	unsigned int done;		/* Processes that have ended it */
} volatile *shared;

static long processes;
static int32_t keys[MOST];
static struct ring ring;
static struct pipe pipe_;
static struct bpf bpf;

static void post_keys(int number)
{
	for (int i = 0; i < BURST; i++)
		update_key(keys[number]);
}

static void post_bpf(int number)
{
	(void)number;
	bpf_post(&bpf, BURST);
}

static void take_nothing(void) { }
static void take_ring(void) { ring_take(&ring); }
static void take_bpf(void) { bpf_take(&bpf); }

static void take_pipe(void)
{
	for (long left = processes * BURST; left > 0;)
		left -= pipe_take(&pipe_, NULL);
}

static void bind_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	check(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void run(const char *name, void (*post)(int number), void (*take)(void))
{
	struct samples s = { .count = 0 };
	int children[MOST];

	shared->round = shared->done = 0;
	for (int n = 1; n < processes; n++) {
		children[n] = check(fork(), "fork");
		if (children[n] == 0) {
			bind_to(n);
			for (unsigned int round = 1;; round++) {
				while (load_acquire(&shared->round) != round)
					;
				post(n);
				__atomic_fetch_add(&shared->done, 1, __ATOMIC_RELEASE);
			}
		}
	}
	bind_to(0);
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		uint64_t begin = now();

		store_release(&shared->round, round);
		post(0);
		__atomic_fetch_add(&shared->done, 1, __ATOMIC_RELEASE);
		while (load_acquire(&shared->done) != round * processes) {
			if (processes > 1 && waitpid(-1, NULL, WNOHANG) != 0)
				die("a process has ended");
		}
		sample(&s, begin);
		take();
	}
	for (int n = 1; n < processes; n++) {
		kill(children[n], SIGKILL);
		waitpid(children[n], NULL, 0);
	}
	result(name, processes, least(&s) / BURST);
}

static void watch_all(int fd)
{
	for (int n = 0; n < processes; n++)
		watch_key(keys[n], fd, 1);
}

void bench_posters(int argc, char **argv)
{
	processes = argc > 1 ? atol(argv[1]) : 2;
	if (processes < 1 || processes > MOST)
		die("how many?");
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int n = 0; n < processes; n++)
		keys[n] = make_key(n);

	run("posters-none", post_keys, take_nothing);

	ring_open(&ring, 16);
	watch_all(ring.fd);
	run("posters-ring", post_keys, take_ring);
	ring_close(&ring);

	pipe_open(&pipe_, 512);
	watch_all(pipe_.fd);
	run("posters-pipe", post_keys, take_pipe);
	pipe_close(&pipe_);

	if (!bpf_open(&bpf, BPF_NONE, 0))
		die("BPF_PROG_LOAD");
	run("posters-bpf-none", post_bpf, take_nothing);
	bpf_close(&bpf);

	if (bpf_open(&bpf, BPF_RINGBUF, 1 << 16)) {
		run("posters-ringbuf", post_bpf, take_bpf);
		bpf_close(&bpf);
	}
}
