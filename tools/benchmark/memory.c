// SPDX-License-Identifier: GPL-2.0
/*
 * memory PAGES: how much of each kind of kernel memory many queues and many watches take, by what
 * /proc/slabinfo tells before and after. The pages of a ring are not in there; nor is what a mapping
 * takes, and the struct file, which any descriptor has, is told but not added.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

#define COUNT	1000

struct cache {
	char name[32];
	long objects, size;
};

static unsigned int read_slabs(struct cache *caches, unsigned int most)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	unsigned int count = 0;
	char line[512];

	if (!f)
		die("/proc/slabinfo");
	while (count < most && fgets(line, sizeof(line), f)) {
		struct cache *c = &caches[count];

		if (sscanf(line, "%31s %ld %*d %ld", c->name, &c->objects, &c->size) == 3)
			count++;
	}
	fclose(f);
	return count;
}

/* What has come since, per one of COUNT things. A cache with less than half an object each is noise. */
static void tell(const char *what, long parameter, const struct cache *before, unsigned int count)
{
	static struct cache after[512];
	long bytes = 0;
	char name[64];

	if (read_slabs(after, ARRAY_SIZE(after)) != count)
		die("the caches have changed");
	for (unsigned int i = 0; i < count; i++) {
		long each = (after[i].objects - before[i].objects + COUNT / 2) / COUNT;

		if (each <= 0)
			continue;
		snprintf(name, sizeof(name), "memory-%s:%s*%ld", what, after[i].name, each);
		result(name, parameter, each * after[i].size);
		if (strcmp(after[i].name, "filp") != 0)
			bytes += each * after[i].size;
	}
	snprintf(name, sizeof(name), "memory-%s", what);
	result(name, parameter, bytes);
}

static void watch_mounts(int fd, const char *path)
{
	check(syscall(__NR_mount_notify, AT_FDCWD, path, 0, fd, 1), path);
}

void bench_memory(int argc, char **argv)
{
	static const struct rlimit limit = { 8 * COUNT, 8 * COUNT };
	static struct cache before[512];
	static int fds[COUNT];
	int32_t key = make_key(0);
	unsigned long pages = argc > 1 ? atol(argv[1]) : 1;
	unsigned int caches;
	char path[32];

	check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
	/* Let the table of files grow before. */
	for (int i = 0; i < COUNT; i++)
		fds[i] = dup(1);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);

	caches = read_slabs(before, ARRAY_SIZE(before));
	for (int i = 0; i < COUNT; i++) {
		fds[i] = check(sys_open("/dev/watch_queue", O_RDWR), "/dev/watch_queue");
		check(ioctl(fds[i], IOC_WATCH_QUEUE_SET_SIZE, pages), "SET_SIZE");
	}
	tell("queue", pages, before, caches);
	if (pages > 1)
		return;

	read_slabs(before, ARRAY_SIZE(before));
	for (int i = 0; i < COUNT; i++)
		watch_key(key, fds[i], 1);
	tell("watch", 0, before, caches);

	/* The first watch on an object sets up what the others share. */
	make_mounts(0);
	for (int i = 0; i < COUNT; i++) {
		snprintf(path, sizeof(path), PLACE "/%d", i);
		check(mkdir(path, 0755), path);
	}
	watch_mounts(fds[0], PLACE);
	read_slabs(before, ARRAY_SIZE(before));
	for (int i = 1; i < COUNT; i++)
		watch_mounts(fds[i], PLACE);
	tell("mount-watch", 0, before, caches);
	read_slabs(before, ARRAY_SIZE(before));
	for (int i = 0; i < COUNT; i++) {
		snprintf(path, sizeof(path), PLACE "/%d", i);
		watch_mounts(fds[i], path);
	}
	tell("mount-watch-of-a-directory-of-its-own", 0, before, caches);
}
