// SPDX-License-Identifier: GPL-2.0
/*
 * burden: what a watch on mounts makes others pay. Each operation is done with and without the watch, by
 * turns, and the result is the least of each: an interrupt can only add to it.
 */
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define MNT_DETACH	2
#define TREE		1000		/* Mounts that go in one call */
#define PAIRS		500		/* Of what is done with a watch and without */
#define TURN		4		/* So many of the one, and so many of the other */
#define MOST_QUEUES	64
#define USER		1000

static struct ring rings[MOST_QUEUES];

static void watch(int fd, const char *path, int tag)
{
	check(syscall(__NR_mount_notify, AT_FDCWD, path, 0, fd, tag), "mount_notify");
}

static void take_all(unsigned int queues)
{
	for (unsigned int i = 0; i < queues; i++)
		ring_take(&rings[i]);
}

/* Mounts in a directory that is so far down in the tmpfs on PLACE, in PLACE/top. */
static void make_tree(unsigned int depth)
{
	char name[16];

	check(sys_mount("bench", PLACE, "tmpfs", 0), "mount a tmpfs");
	check(mkdir(PLACE "/top", 0755), "mkdir");
	check(chdir(PLACE "/top"), "chdir");
	for (unsigned int i = 1; i < depth; i++) {
		check(mkdir("d", 0755), "mkdir");
		check(chdir("d"), "chdir");
	}
	for (unsigned int i = 0; i < TREE; i++) {
		snprintf(name, sizeof(name), "%u", i);
		check(mkdir(name, 0755), "mkdir");
		check(sys_mount("/tmp", name, NULL, MS_BIND), "bind");
	}
	check(chdir("/"), "chdir");
}

/* umount -l of all of them, watched at the root of the tmpfs, at a directory in it, or not at all. */
static void burden_umount(unsigned int depth)
{
	static const char *const where[] = { NULL, PLACE, PLACE "/top" };
	static const char *const names[] = { "umount-unwatched", "umount-watched-root", "umount-watched-directory" };
	struct samples s[ARRAY_SIZE(where)] = { 0 };
	uint64_t begin;

	/* By turns, as the dentries of one round are still there in the next. */
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
			make_tree(depth);
			if (where[i]) {
				ring_open(&rings[0], 512);
				watch(rings[0].fd, where[i], 1);
			}
			begin = now();
			check(sys_umount(PLACE, MNT_DETACH), "umount");
			sample(&s[i], begin);
			if (where[i]) {
				unsigned int records = ring_take(&rings[0]);

				/* Of each of them, or that they are to be listed. */
				if (rings[0].lost || records < (depth < 100 ? TREE : 1))
					die("records are missing");
				ring_close(&rings[0]);
			}
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(where); i++)
		result(names[i], depth, least(&s[i]));
}

static void rename_it(const char *from, const char *to)
{
	check(syscall(__NR_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), "rename");
}

static void mount_pair(void)
{
	mount_spare();
	umount_spare();
}

/* A directory goes to another one and back. */
static void rename_pair(void)
{
	rename_it(PLACE "/a/x", PLACE "/b/x");
	rename_it(PLACE "/b/x", PLACE "/a/x");
}

static uint64_t rename_pairs(void)
{
	struct samples s = { .count = 0 };
	uint64_t begin;

	for (int i = 0; i < 200; i++) {
		begin = now();
		rename_pair();
		sample(&s, begin);
		ring_take(&rings[0]);
	}
	return least(&s);
}

static uint64_t directory_pairs(bool watched)
{
	struct samples s = { .count = 0 };
	uint64_t begin;

	for (int i = 0; i < 200; i++) {
		begin = now();
		check(mkdir(PLACE "/new", 0755), "mkdir");
		if (watched) {
			watch(rings[0].fd, PLACE "/new", 2);
			watch(rings[0].fd, PLACE "/new", -1);
		}
		check(rmdir(PLACE "/new"), "rmdir");
		sample(&s, begin);
		ring_take(&rings[0]);
	}
	return least(&s);
}

static void burden_directories(unsigned int mounts)
{
	make_mounts(mounts);
	check(mkdir(PLACE "/a", 0755), "mkdir");
	check(mkdir(PLACE "/b", 0755), "mkdir");
	check(mkdir(PLACE "/a/x", 0755), "mkdir");
	check(mkdir(PLACE "/elsewhere", 0755), "mkdir");
	ring_open(&rings[0], 16);
	result("rename-unwatched", mounts, rename_pairs());
	watch(rings[0].fd, PLACE "/a", 1);
	watch(rings[0].fd, PLACE "/a", -1);
	watch(rings[0].fd, PLACE "/elsewhere", 1);
	result("rename-watched-before", mounts, rename_pairs());
	watch(rings[0].fd, PLACE "/a", 1);
	result("rename-watched", mounts, rename_pairs());
	watch(rings[0].fd, PLACE "/a", -1);
	result("rmdir", mounts, directory_pairs(false));
	result("watch-rmdir", mounts, directory_pairs(true));
	ring_close(&rings[0]);
}

static uint64_t mount_pairs(unsigned int queues)
{
	struct samples s = { .count = 0 };
	uint64_t begin;

	for (int i = 0; i < PAIRS; i++) {
		begin = now();
		mount_pair();
		sample(&s, begin);
		take_all(queues);
	}
	return least(&s);
}

static void setattr(void)
{
	static const struct mount_attr set = { .attr_set = MOUNT_ATTR_NODEV }, clear = { .attr_clr = MOUNT_ATTR_NODEV };
	static bool on;

	on = !on;
	check(syscall(__NR_mount_setattr, AT_FDCWD, SPARE, 0, on ? &set : &clear, sizeof(set)), "mount_setattr");
}

static void watch_all(unsigned int queues, int tag)
{
	for (unsigned int i = 0; i < queues; i++)
		watch(rings[i].fd, PLACE, tag);
}

/*
 * How much more an operation takes that so many queues watch. By turns with the watches and without, as what the
 * allocators and the scheduler take changes slowly.
 */
static uint64_t more_when_watched(unsigned int queues, void (*operation)(void))
{
	struct samples with = { .count = 0 }, without = { .count = 0 };
	uint64_t begin;

	for (int i = 0; i < 2 * PAIRS; i++) {
		if (i % (2 * TURN) == 0)
			watch_all(queues, 1);
		else if (i % TURN == 0)
			watch_all(queues, -1);
		begin = now();
		operation();
		sample(i % (2 * TURN) < TURN ? &with : &without, begin);
		take_all(queues);
	}
	return least(&with) - least(&without);
}

static void burden_queues(void)
{
	static const int counts[] = { 1, 10, MOST_QUEUES };
	static const struct rlimit limit = { 16384, 16384 };
	uint64_t idle;
	int fan;

	/* Watches that were removed count until RCU has let go of them. */
	check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
	make_mounts(0);
	for (int i = 0; i < MOST_QUEUES; i++)
		ring_open(&rings[i], 1);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		result("mount-watched", counts[i], more_when_watched(counts[i], mount_pair));
	mount_spare();
	result("setattr-watched", 1, more_when_watched(1, setattr));
	umount_spare();
	for (int i = 0; i < MOST_QUEUES; i++)
		ring_close(&rings[i]);
	idle = mount_pairs(0);
	fan = fanotify_open();
	result("mount-fanotify", 1, mount_pairs(0) - idle);
	close(fan);
}

/* A process that has so many watches in a user namespace of its own, until it is killed. */
static int watcher(unsigned int watches, volatile unsigned int *ready_count)
{
	static const struct rlimit limit = { 16384, 16384 };
	int pid = check(fork(), "fork");
	int fd;

	if (pid)
		return pid;
	check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
	check(setgid(USER), "setgid");
	check(setuid(USER), "setuid");
	check(syscall(__NR_unshare, CLONE_NEWUSER | CLONE_NEWNS), "unshare");
	for (unsigned int i = 0; i < watches; i++) {
		fd = check(sys_open("/dev/watch_queue", O_RDWR), "/dev/watch_queue");
		/* What the limit leaves room for. */
		if (syscall(__NR_mount_notify, AT_FDCWD, "/", 0, fd, 1))
			break;
		__atomic_add_fetch(&ready_count[1], 1, __ATOMIC_RELAXED);
	}
	__atomic_add_fetch(&ready_count[0], 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

/* Root's mount + umount on a shared root, with so many user namespaces that have so many watches each. */
static void burden_namespaces(unsigned int namespaces, unsigned int watches)
{
	volatile unsigned int *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pids[64];

	make_mounts(0);
	check(sys_mount("", "/", NULL, MS_REC | MS_SHARED), "make / shared");
	for (unsigned int i = 0; i < namespaces; i++)
		pids[i] = watcher(watches, count);
	while (__atomic_load_n(&count[0], __ATOMIC_ACQUIRE) < namespaces)
		usleep(1000);
	result(watches ? "namespaces-watched" : "namespaces-unwatched", namespaces, mount_pairs(0));
	if (watches)
		result("namespaces-watches", namespaces, count[1]);
	for (unsigned int i = 0; i < namespaces; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

/* How often a reader that keeps up is woken while so many mounts go in one call. */
static void burden_wakeups(void)
{
	volatile unsigned int *wakeups = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int reader;

	make_mounts(0);
	make_tree(1);
	ring_open(&rings[0], 512);
	watch(rings[0].fd, PLACE, 1);
	reader = check(fork(), "fork");
	while (reader == 0) {
		ready(rings[0].fd);
		ring_take(&rings[0]);
		++*wakeups;
	}
	usleep(10000);
	*wakeups = 0;
	check(sys_umount(PLACE, MNT_DETACH), "umount");
	usleep(10000);
	result("umount-wakeups", TREE, *wakeups);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
}

/* A mount and a umount while so many epoll instances wait for a file. */
static uint64_t with_epolls(int file, unsigned int events, unsigned int epolls, unsigned int (*take)(void))
{
	struct epoll_event event = { .events = events };
	int *fds = calloc(epolls, sizeof(*fds));
	struct samples s = { .count = 0 };
	uint64_t begin;

	for (unsigned int i = 0; i < epolls; i++) {
		fds[i] = check(epoll_create1(0), "epoll_create1");
		check(epoll_ctl(fds[i], EPOLL_CTL_ADD, file, &event), "epoll_ctl");
	}
	for (int i = 0; i < 10; i++) {
		begin = now();
		mount_spare();
		umount_spare();
		sample(&s, begin);
		take();
	}
	for (unsigned int i = 0; i < epolls; i++)
		close(fds[i]);
	free(fds);
	return least(&s);
}

static unsigned int take_ring(void) { return ring_take(&rings[0]); }
static int mountinfo;
static unsigned int take_mountinfo(void) { return mountinfo_ready(mountinfo); }

static void burden_epolls(unsigned int epolls)
{
	const struct rlimit limit = { epolls + 64, epolls + 64 };

	check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
	make_mounts(0);
	mountinfo = mountinfo_open();
	result("epolls-mountinfo", epolls, with_epolls(mountinfo, EPOLLPRI, epolls, take_mountinfo));
	close(mountinfo);
	ring_open(&rings[0], 1);
	watch(rings[0].fd, PLACE, 1);
	result("epolls-ring", epolls, with_epolls(rings[0].fd, EPOLLIN, epolls, take_ring));
}

static void put(const char *path, const char *text)
{
	int fd = check(sys_open(path, O_WRONLY), path);

	check(write(fd, text, strlen(text)), path);
	close(fd);
}

struct held {
	double most, all;	/* In us */
	bool shared;		/* By readers, too */
};

/* How long a lock was held, by CONFIG_LOCK_STAT. */
static struct held lock_held(const char *lock)
{
	FILE *file = fopen("/proc/lock_stat", "r");
	struct held held = { 0 };
	char line[512], *name, *values;
	double most, all;

	if (!file)
		die("/proc/lock_stat");
	while (fgets(line, sizeof(line), file)) {
		name = line + strspn(line, " ");
		values = name + strlen(lock);
		if (strncmp(name, lock, strlen(lock)) || (*values != ':' && *values != '-'))
			continue;
		held.shared |= strncmp(values, "-R", 2) == 0;
		/* Contentions and waiting first, then acquisitions, and how long it is held: least, most, all. */
		values = strchr(values, ':');
		if (values && sscanf(values + 1, "%*f %*f %*f %*f %*f %*f %*f %*f %*f %lf %lf", &most, &all) == 2) {
			held.all += all;
			if (most > held.most)
				held.most = most;
		}
	}
	fclose(file);
	return held;
}

/* The locks of umount -l, with lockdep, in instructions. */
static void burden_locks(unsigned int mounts, bool watched)
{
	struct held mount_lock, namespace_sem;

	make_mounts(mounts);
	if (watched) {
		ring_open(&rings[0], 512);
		watch(rings[0].fd, PLACE, 1);
	}
	put("/proc/lock_stat", "0");
	check(sys_umount(PLACE, MNT_DETACH), "umount");
	mount_lock = lock_held("mount_lock");
	namespace_sem = lock_held("namespace_sem");
	/* What was held exclusively is forgotten when it is downgraded; in that time mount_lock was held longest. */
	if (namespace_sem.shared)
		namespace_sem.all += mount_lock.most;
	result("held-mount-lock", mounts, mount_lock.all * 1000);
	result("held-namespace-sem", mounts, namespace_sem.all * 1000);
	if (watched && ring_take(&rings[0]) < mounts)
		die("records are missing");
}

static uint64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The median of what this takes of the processor: whatever runs in between does not count. */
static uint64_t processor_time(void (*operation)(void))
{
	struct samples s = { .count = 0 };
	uint64_t begin;

	for (int i = 0; i < 200; i++) {
		begin = cpu_now();
		operation();
		sample(&s, now() - (cpu_now() - begin));
		usleep(1000);
	}
	return median(&s);
}

/* A user with a user namespace does everything there that may delay others. */
static int attacker(volatile unsigned int *ready_count, bool watches)
{
	static const struct rlimit limit = { 16384, 16384 };
	static const char *const crossed[] = { PLACE "/a", PLACE "/b", PLACE, "/" };
	char name[32];
	int pid = check(fork(), "fork");

	if (pid)
		return pid;
	setpgid(0, 0);
	check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
	check(setgid(USER), "setgid");
	check(setuid(USER), "setuid");
	check(syscall(__NR_unshare, CLONE_NEWUSER | CLONE_NEWNS), "unshare");
	/* Else /proc/self is root's, after setuid(). */
	check(prctl(PR_SET_DUMPABLE, 1), "PR_SET_DUMPABLE");
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 1000 1");
	put("/proc/self/gid_map", "0 1000 1");
	/* His share of watches, on what others use, and mounts of his own there. */
	for (int i = 0; i < MOST_QUEUES; i++) {
		ring_open(&rings[i], 1);
		if (watches)
			syscall(__NR_mount_notify, AT_FDCWD, crossed[i % 4], 0, rings[i].fd, 1);
	}
	check(sys_mount("attack", PLACE "/elsewhere", "tmpfs", 0), "mount");
	check(chdir(PLACE "/elsewhere"), "chdir");
	for (int i = 0; i < 1000; i++) {
		check(mkdir("d", 0755), "mkdir");
		check(chdir("d"), "chdir");
	}
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		check(mkdir(name, 0755), "mkdir");
		check(sys_mount("/proc", name, NULL, MS_BIND), "bind");
	}
	check(mkdir("from", 0755) | mkdir("to", 0755) | mkdir("from/x", 0755), "mkdir");
	__atomic_add_fetch(&ready_count[0], 1, __ATOMIC_RELEASE);

	/* One reads, one renames, one watches, one mounts. */
	pid = fork() ? (fork() ? 0 : 1) : (fork() ? 2 : 3);
	for (unsigned int i = 0;; i++) {
		switch (pid) {
		case 0:
			for (int q = 0; q < MOST_QUEUES; q++)
				store_release(&rings[q].shared->tail, load_acquire(&rings[q].shared->head));
			break;
		case 1:
			rename_it("from/x", "to/x");
			rename_it("to/x", "from/x");
			break;
		case 2:
			mkdir("new", 0755);
			if (!watches) {
				rmdir("new");
				break;
			}
			syscall(__NR_mount_notify, AT_FDCWD, "from", 0, rings[0].fd, 2);
			syscall(__NR_mount_notify, AT_FDCWD, "new", 0, rings[1].fd, 2);
			syscall(__NR_mount_notify, AT_FDCWD, "from", 0, rings[0].fd, -1);
			rmdir("new");
			break;
		case 3:
			snprintf(name, sizeof(name), "%u", i % 10000);
			sys_umount(name, MNT_DETACH);
			sys_mount("/proc", name, NULL, MS_BIND);
			break;
		}
	}
}

/* Without watches the attacker does only what needs none. */
static void burden_attack(bool watches)
{
	volatile unsigned int *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t mount, rename;
	int pid;

	make_mounts(0);
	check(mkdir(PLACE "/a", 0755) | mkdir(PLACE "/b", 0755) | mkdir(PLACE "/a/x", 0755), "mkdir");
	check(mkdir(PLACE "/elsewhere", 0777), "mkdir");
	check(sys_mount("", "/", NULL, MS_REC | MS_SHARED), "make / shared");
	mount = processor_time(mount_pair);
	rename = processor_time(rename_pair);
	pid = attacker(count, watches);
	while (!__atomic_load_n(&count[0], __ATOMIC_ACQUIRE))
		usleep(10000);
	usleep(200000);
	result("alone-mount", 0, mount);
	result("alone-rename", 0, rename);
	result(watches ? "attacked-mount" : "busy-mount", 0, processor_time(mount_pair));
	result(watches ? "attacked-rename" : "busy-rename", 0, processor_time(rename_pair));
	check(kill(-pid, SIGKILL), "kill");
	waitpid(pid, NULL, 0);
}

/* For trace.py: what each of these takes, function by function. */
static void burden_trace(unsigned int queues)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV };

	make_mounts(0);
	for (unsigned int i = 0; i < queues; i++) {
		ring_open(&rings[i], 1);
		watch(rings[i].fd, PLACE, 1);
	}
	mount_pairs(queues);
	trace_next("watched-mount", "__x64_sys_mount", 0);
	mount_spare();
	take_all(queues);
	trace_next("watched-setattr", "__x64_sys_mount_setattr", 0);
	check(syscall(__NR_mount_setattr, AT_FDCWD, SPARE, 0, &attr, sizeof(attr)), "mount_setattr");
	take_all(queues);
	trace_next("watched-umount", "__x64_sys_umount", 0);
	umount_spare();
	trace_next("end", "", 0);
}

void bench_burden(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long parameter = argc > 2 ? atol(argv[2]) : 0;

	if (strcmp(what, "umount") == 0) {
		make_mounts(0);
		burden_umount(parameter);
	} else if (strcmp(what, "directories") == 0) {
		burden_directories(parameter);
	} else if (strcmp(what, "wakeups") == 0) {
		burden_wakeups();
	} else if (strcmp(what, "epolls") == 0) {
		burden_epolls(parameter);
	} else if (strcmp(what, "locks") == 0) {
		burden_locks(parameter, argc > 3);
	} else if (strcmp(what, "attack") == 0) {
		burden_attack(parameter);
	} else if (strcmp(what, "trace") == 0) {
		burden_trace(parameter);
	} else if (strcmp(what, "queues") == 0) {
		burden_queues();
	} else if (strcmp(what, "namespaces") == 0 && argc > 3) {
		burden_namespaces(parameter, atol(argv[3]));
	} else {
		fprintf(stderr, "usage: bench burden umount DEPTH|directories MOUNTS|queues|namespaces N WATCHES|wakeups|epolls N|attack WATCHES|"
			"locks MOUNTS [watched]|trace QUEUES\n");
		exit(2);
	}
}
