/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What queues and watches may cost: a fixture with memory cgroups, and what is
 * charged to them.
 */
#ifndef SELFTESTS_WATCH_QUEUE_LIMIT_H
#define SELFTESTS_WATCH_QUEUE_LIMIT_H

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "expect.h"

#define MIB		1048576

/* What a processor keeps charged in advance, times some processors. */
#define NOISE		MIB

/*
 * A memory cgroup with two groups, to one of which each test's process belongs.
 */
FIXTURE(limit)
{
	char root[32];
	char group[64], other[64];
	bool mounted, grouped;
};

FIXTURE_VARIANT(limit)
{
	enum queue_kind kind;
	unsigned int size;	/* The largest there is */
	unsigned int bytes;	/* What a queue of it takes, at least */
};

FIXTURE_VARIANT_ADD(limit, pipe)
{
	.kind = QUEUE_PIPE,
	.size = 512,
	.bytes = 512 * 128,
};

FIXTURE_VARIANT_ADD(limit, device)
{
	.kind = QUEUE_DEVICE,
	.size = WATCH_QUEUE_MAX_PAGES,
	.bytes = WATCH_QUEUE_MAX_PAGES * 4096,
};

static inline int write_to(const char *dir, const char *file, const char *text)
{
	char path[96];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = sys_open(path, O_WRONLY);
	if (fd < 0)
		return fd;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static inline long read_number(const char *dir, const char *file)
{
	char path[96], text[32] = "";
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = sys_open(path, O_RDONLY);
	if (fd < 0)
		return fd;
	ret = read(fd, text, sizeof(text) - 1);
	close(fd);
	return ret > 0 ? atol(text) : -EIO;
}

static inline long usage(const char *group)
{
	return read_number(group, "memory.current");
}

/* The same, when what is freed in its own time is gone: at most @max. */
static inline long settled_usage(const char *group, long max)
{
	int tries;
	long now;

	for (tries = 0; tries < SOON / 10; tries++) {
		now = usage(group);
		if (now <= max)
			break;
		sleep_for(10);
	}
	return now;
}

/* Does the kernel keep what is freed, to find who uses it still?  It stays charged. */
static inline bool has_quarantine(void)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	bool found = false;
	char line[256];

	while (symbols && !found && fgets(line, sizeof(line), symbols))
		found = strstr(line, " kasan_quarantine_put\n");
	if (symbols)
		fclose(symbols);
	return found;
}

FIXTURE_SETUP(limit)
{
	struct rlimit files = { 4096, 4096 };
	struct queue q;
	int ret;

	if (geteuid() != 0)
		SKIP(return, "not root");
	if (has_quarantine())
		SKIP(return, "what is freed stays charged");

	if (!open_or_skip(_metadata, &q, variant->kind, variant->size))
		return;
	queue_close(&q);

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	strcpy(self->root, "/tmp/watch_queue.XXXXXX");
	ASSERT_TRUE(!!mkdtemp(self->root));
	ret = sys_mount("cgroup2", self->root, "cgroup2", 0, NULL);
	if (ret)
		SKIP(return, "no cgroup2: %s", strerror(-ret));
	self->mounted = true;
	if (write_to(self->root, "cgroup.subtree_control", "+memory"))
		SKIP(return, "no memory controller");
	snprintf(self->group, sizeof(self->group), "%s/watch_queue.group", self->root);
	snprintf(self->other, sizeof(self->other), "%s/watch_queue.other", self->root);
	/* If a test was killed they are still there. */
	rmdir(self->group);
	rmdir(self->other);
	ASSERT_EQ(0, mkdir(self->group, 0755));
	ASSERT_EQ(0, mkdir(self->other, 0755));
	self->grouped = true;
	ASSERT_EQ(0, write_to(self->group, "cgroup.procs", "0"));
}

FIXTURE_TEARDOWN(limit)
{
	if (self->grouped) {
		write_to(self->root, "cgroup.procs", "0");
		rmdir(self->group);
		rmdir(self->other);
	}
	if (self->mounted)
		sys_umount(self->root, MNT_DETACH);
	rmdir(self->root);
}

static inline int add_keys(int32_t *keys, int nr, int32_t keyring)
{
	char name[32];
	int i;

	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "watch_queue:key %d", i);
		keys[i] = add_key("user", name, "x", keyring);
		if (keys[i] < 0)
			return keys[i];
	}
	return 0;
}

/* A keyring of a session of its own. */
static inline int32_t new_ring(void)
{
	return add_key("keyring", "watch_queue:ring", NULL, join_new_session());
}

/* Close a queue with watches on the keys of @ring, which go too: all is given back. */
static inline void expect_given_back(struct __test_metadata *_metadata,
				     struct queue *q, int32_t ring,
				     const char *group, long before)
{
	queue_close(q);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, ring, 0, 0, 0));
	EXPECT_GE(before + NOISE / 2, settled_usage(group, before + NOISE / 2));
}

#endif /* SELFTESTS_WATCH_QUEUE_LIMIT_H */
