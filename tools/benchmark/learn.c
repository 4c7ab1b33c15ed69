// SPDX-License-Identifier: GPL-2.0
/* learn MOUNTS: one mount is made among so many. What does it cost to learn of it, and of which it is? */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define ROUNDS	25

static struct ring ring;
static struct pipe pipe_;
static int fan, mountinfo;
static uint64_t lost;

static unsigned int take_ring(void) { return ring_take(&ring); }
static unsigned int take_pipe(void) { return pipe_take(&pipe_, &lost); }
static unsigned int take_fanotify(void) { return fanotify_take(fan, &lost); }
static unsigned int take_mountinfo(void) { return mountinfo_take(mountinfo); }

/*
 * The notification is there already: wait for it, and take it. Empty before and after. It must be of the
 * right mount, if @tells; otherwise it takes a comparison to know, which is not done here.
 */
static void learn_ready(const char *name, long mounts, int fd, int (*wait)(int fd),
			unsigned int (*take)(void), bool tells)
{
	struct samples s = { .count = 0 };

	for (int i = 0; i < ROUNDS; i++) {
		mount_spare();
		uint64_t begin = now();
		if (wait)
			wait(fd);
		unsigned int got = take();
		sample(&s, begin);
		if (got == 0 || (tells && learnt != spare_id()))
			die("no record of it");
		umount_spare();
		if (wait)
			wait(fd);
		take();
	}
	result(name, mounts, median(&s));
}

/*
 * A process sleeps in poll(), of a priority that lets it run as soon as it is woken. Counted is all
 * from a mount's being moved to when it sleeps again, less the same with a watch but nobody asleep.
 * Moved, since that allocates nothing: the allocator of per-CPU memory, which a new mount needs,
 * searches for thousands of instructions now and then.
 */
static void learn_asleep(const char *name, long mounts, int fd, unsigned int (*take)(void))
{
	volatile unsigned int *times = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct samples s = { .count = 0 };
	uint64_t alone, asleep;
	int reader;

	mount_spare();
	take();
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now();
		move_spare();
		sample(&s, begin);
		take();
	}
	alone = median(&s);

	reader = check(fork(), "fork");
	if (reader == 0) {
		const struct sched_param param = { .sched_priority = 1 };

		check(sched_setscheduler(0, SCHED_FIFO, &param), "sched_setscheduler");
		for (*times = 1;; ++*times) {
			ready(fd);
			take();
		}
	}
	while (*times == 0)
		sched_yield();
	for (int i = 0; i < ROUNDS; i++) {
		unsigned int before = *times;
		uint64_t begin = now();
		move_spare();
		sample(&s, begin);
		if (*times == before)
			die("the reader did not run");
	}
	asleep = median(&s);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	munmap((void *)times, 4096);
	umount_spare();
	take();
	result(name, mounts, asleep - alone);
}

void bench_learn(int argc, char **argv)
{
	long mounts = argc > 1 ? atol(argv[1]) : 100;

	make_mounts(mounts);

	ring_open(&ring, 16);
	ring_watch_mounts(&ring, "/");
	learn_ready("learn-ring", mounts, ring.fd, ready, take_ring, true);
	learn_ready("learn-ring-mapped", mounts, -1, NULL, take_ring, true);
	learn_asleep("asleep-ring", mounts, ring.fd, take_ring);
	ring_close(&ring);

	pipe_open(&pipe_, 512);
	check(syscall(__NR_mount_notify, AT_FDCWD, "/", 0, pipe_.fd, 1), "mount_notify");
	learn_ready("learn-pipe", mounts, pipe_.fd, ready, take_pipe, true);
	learn_asleep("asleep-pipe", mounts, pipe_.fd, take_pipe);
	pipe_close(&pipe_);

	fan = fanotify_open();
	learn_ready("learn-fanotify", mounts, fan, ready, take_fanotify, true);
	learn_asleep("asleep-fanotify", mounts, fan, take_fanotify);
	close(fan);

	mountinfo = mountinfo_open();
	learn_ready("learn-mountinfo", mounts, mountinfo, mountinfo_ready, take_mountinfo, false);
	close(mountinfo);
	learn_ready("learn-statmount", mounts, -1, NULL, statmount_take, false);
}
