// SPDX-License-Identifier: GPL-2.0
/*
 * storm EVENTS: a reader sleeps while so many mounts come and go one by one, and while as many go away
 * in a single system call; then it is stopped while they come and go. How often is it woken, how much
 * is lost, what does it cost to know again what is mounted?
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

/* What the reader, a process of its own, has come to. */
struct progress {
	uint64_t wakeups, events, lost;
};

static volatile struct progress *seen;
static struct ring ring;
static struct pipe pipe_;
static int fan;

static unsigned int take_ring(uint64_t *lost)
{
	uint64_t before = ring.lost;
	unsigned int records = ring_take(&ring);

	*lost += ring.lost - before;
	return records;
}

static unsigned int take_pipe(uint64_t *lost) { return pipe_take(&pipe_, lost); }
static unsigned int take_fanotify(uint64_t *lost) { return fanotify_take(fan, lost); }

static int start_reader(int fd, unsigned int (*take)(uint64_t *lost))
{
	int reader;

	memset((void *)seen, 0, sizeof(*seen));
	reader = check(fork(), "fork");
	if (reader == 0) {
		for (;;) {
			uint64_t lost = 0;

			ready(fd);
			/* What a single read() takes is a matter of the buffer. */
			do {
				seen->events += take(&lost);
			} while (more(fd));
			seen->lost += lost;
			seen->wakeups++;
		}
	}
	sched_yield();
	return reader;
}

/* Let the reader go on until it has nothing left to do. */
static void settle(void)
{
	uint64_t before;

	do {
		before = seen->wakeups;
		for (int i = 0; i < 100; i++)
			sched_yield();
	} while (seen->wakeups != before);
}

static void tell(const char *storm, const char *peer, long events)
{
	char name[64];

	settle();
	snprintf(name, sizeof(name), "%s-%s-wakeups", storm, peer);
	result(name, events, seen->wakeups);
	snprintf(name, sizeof(name), "%s-%s-events", storm, peer);
	result(name, events, seen->events);
	snprintf(name, sizeof(name), "%s-%s-lost", storm, peer);
	result(name, events, seen->lost);
	memset((void *)seen, 0, sizeof(*seen));
}

/* A mount with as many below it. */
static void grow(long count)
{
	check(sys_mount(PLACE "/tree", PLACE "/tree", NULL, 4096 /* MS_BIND */), "bind");
	for (long i = 0; i < count; i++) {
		char path[64];

		snprintf(path, sizeof(path), PLACE "/tree/%ld", i);
		mkdir(path, 0755);
		check(sys_mount(PLACE "/tree", path, NULL, 4096), path);
	}
}

static void storms(const char *peer, long events, int fd, unsigned int (*take)(uint64_t *lost))
{
	int reader = start_reader(fd, take);

	for (long i = 0; i < events; i += 2) {
		mount_spare();
		umount_spare();
	}
	tell("single", peer, events);

	grow(events - 1);
	settle();
	memset((void *)seen, 0, sizeof(*seen));
	check(sys_umount(PLACE "/tree", 2 /* MNT_DETACH */), "umount");
	tell("bulk", peer, events);

	kill(reader, SIGSTOP);
	waitpid(reader, NULL, WUNTRACED);
	for (long i = 0; i < events; i += 2) {
		mount_spare();
		umount_spare();
	}
	kill(reader, SIGCONT);
	tell("stopped", peer, events);

	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
}

void bench_storm(int argc, char **argv)
{
	long events = argc > 1 ? atol(argv[1]) : 1000;
	struct samples s = { .count = 0 };
	int mountinfo;

	make_mounts(0);
	check(mkdir(PLACE "/tree", 0755), "tree");
	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ring_open(&ring, 16);
	ring_watch_mounts(&ring, "/");
	storms("ring", events, ring.fd, take_ring);
	ring_close(&ring);

	pipe_open(&pipe_, 512);
	check(syscall(__NR_mount_notify, AT_FDCWD, "/", 0, pipe_.fd, 1), "mount_notify");
	storms("pipe", events, pipe_.fd, take_pipe);
	pipe_close(&pipe_);

	fan = fanotify_open();
	storms("fanotify", events, fan, take_fanotify);
	close(fan);

	/* After a loss everything is read again, by whichever of the two. */
	grow(events - 1);
	mountinfo = mountinfo_open();
	for (int i = 0; i < 5; i++) {
		uint64_t begin = now();

		statmount_take();
		sample(&s, begin);
	}
	result("resync-statmount", events, median(&s));
	for (int i = 0; i < 5; i++) {
		uint64_t begin = now();

		mountinfo_take(mountinfo);
		sample(&s, begin);
	}
	result("resync-mountinfo", events, median(&s));

	/* Unless the counter says that nothing has changed. */
	for (int i = 0; i < 5; i++) {
		uint64_t begin = now(), changes = statmount_changes();

		sample(&s, begin);
		mount_spare();
		umount_spare();
		if (statmount_changes() == changes)
			die("changes are not counted");
	}
	result("resync-counter", events, median(&s));
}
