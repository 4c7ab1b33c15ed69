// SPDX-License-Identifier: GPL-2.0
/* What queues and watches may cost: memory is charged, to whom, and given back. */

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "expect.h"

#define USER		1236
#define OTHER_USER	1237
#define MOST_FILES	128	/* And watches */

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

static int write_to(const char *dir, const char *file, const char *text)
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

static long read_number(const char *dir, const char *file)
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

static long usage(const char *group)
{
	return read_number(group, "memory.current");
}

/* The same, when what is freed in its own time is gone: at most @max. */
static long settled_usage(const char *group, long max)
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
static bool has_quarantine(void)
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

/* The memory that records are stored in. */
TEST_F(limit, queues_are_charged)
{
	const int nr = 8 * MIB / variant->bytes;
	struct queue queues[8 * MIB / (512 * 128)];
	long before, full;
	int i;

	before = usage(self->group);
	ASSERT_LE(0, before);
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, queue_open(&queues[i], variant->kind, variant->size));
	full = usage(self->group);
	EXPECT_LE(before + 8 * MIB - NOISE, full);

	for (i = 0; i < nr; i++)
		queue_close(&queues[i]);
	EXPECT_GE(before + NOISE, settled_usage(self->group, before + NOISE));
}

/* A group that has too little gets an error, and none of its processes dies. */
TEST_F(limit, group_is_full)
{
	struct queue queues[256];
	long before;
	int i, nr, ret, status;
	pid_t pid;

	before = usage(self->group);
	write_to(self->group, "memory.swap.max", "0");
	ASSERT_EQ(0, write_to(self->group, "memory.max", "12M"));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		for (i = 0; i < ARRAY_SIZE(queues); i++) {
			ret = queue_open(&queues[i], variant->kind, variant->size);
			if (ret)
				break;
		}
		nr = i;
		if (ret != -ENOMEM || nr < 2)
			_exit(1);
		for (i = 0; i < nr; i++)
			queue_close(&queues[i]);
		_exit(queue_open(&queues[0], variant->kind, variant->size) != 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, write_to(self->group, "memory.max", "max"));
	EXPECT_GE(before + NOISE, settled_usage(self->group, before + NOISE));
}

static int add_keys(int32_t *keys, int nr, int32_t keyring)
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
static int32_t new_ring(void)
{
	return add_key("keyring", "watch_queue:ring", NULL, join_new_session());
}

/* Close a queue with watches on the keys of @ring, which go too: all is given back. */
static void expect_given_back(struct __test_metadata *_metadata, struct queue *q,
			      int32_t ring, const char *group, long before)
{
	queue_close(q);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, ring, 0, 0, 0));
	EXPECT_GE(before + NOISE / 2, settled_usage(group, before + NOISE / 2));
}

TEST_F(limit, watches_are_charged)
{
	const int nr = 3000;
	int32_t ring, keys[3000];
	struct queue q;
	long before;
	int i;

	ring = new_ring();
	ASSERT_LT(0, ring);
	ASSERT_EQ(0, add_keys(keys, nr, ring));

	ASSERT_EQ(0, queue_open(&q, variant->kind, 1));
	before = usage(self->group);
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, watch_key(keys[i], q.fd, 1));
	/* A watch and the list of the key. */
	EXPECT_LE(before + nr * 280 - NOISE / 2, usage(self->group));
	expect_given_back(_metadata, &q, ring, self->group, before);
}

/* What somebody else links is charged to the group of the watch, too. */
TEST_F(limit, extended_watches_are_charged_to_their_owner)
{
	const int nr = 3000;
	int32_t ring, keys[3000];
	long before, other, grown;
	struct queue q;
	int status;
	pid_t pid;

	ring = new_ring();
	ASSERT_LT(0, ring);
	ASSERT_EQ(0, queue_open(&q, variant->kind, 1));
	ASSERT_EQ(0, watch_keyring(ring, q.fd, 1, KEYCTL_WATCH_CHILDREN));
	before = usage(self->group);

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (write_to(self->other, "cgroup.procs", "0"))
			_exit(1);
		other = usage(self->other);
		if (other < 0 || add_keys(keys, nr, ring))
			_exit(2);
		grown = usage(self->other) - other;
		_exit(grown > NOISE / 2 ? 3 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_LE(before + nr * 300 - NOISE / 2, usage(self->group));
	expect_given_back(_metadata, &q, ring, self->group, before);
}

/* A group that is at its limit, maybe with nothing but page cache, is no loss. */
TEST_F(limit, links_do_not_wait_for_a_full_group)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter entry;
	} f = {
		.head.nr_filters = 1,
		.entry.type = WATCH_TYPE_KEY_NOTIFY,
		.entry.subtype_filter = { 1 << NOTIFY_KEY_UPDATED },
	};
	const int nr = 3000;
	int32_t ring, keys[3000];
	union record rec;
	char max[32];
	struct queue q;
	int status;
	pid_t pid;

	ring = new_ring();
	ASSERT_LT(0, ring);
	ASSERT_EQ(0, queue_open(&q, variant->kind, 1));
	ASSERT_EQ(0, set_filter(q.fd, &f));
	ASSERT_EQ(0, watch_keyring(ring, q.fd, 1, KEYCTL_WATCH_CHILDREN));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (write_to(self->other, "cgroup.procs", "0"))
			_exit(1);
		snprintf(max, sizeof(max), "%ld", usage(self->group) + MIB / 4);
		if (write_to(self->group, "memory.max", max))
			_exit(2);
		status = add_keys(keys, nr, ring) ?: update_key(keys[nr - 1]);
		if (write_to(self->group, "memory.max", "max"))
			_exit(3);
		_exit(status ? 4 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(1, queue_next(&q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_KEY_UPDATED, rec_subtype(&rec));
	EXPECT_EQ(0, queue_next(&q, &rec, 0));
	queue_close(&q);
}

/*
 * Two users.  The first one takes all that a user can have: memory, watches and
 * files.  The second one does not notice, and neither does the first one after.
 */
static int become(unsigned int uid)
{
	const struct rlimit files = { MOST_FILES, MOST_FILES }, memory = { 512 * 4096, 512 * 4096 };

	if (setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_MEMLOCK, &memory) ||
	    setgid(uid) || setuid(uid))
		return -errno;
	return join_new_session() < 0 ? -EPERM : 0;
}

static int use_a_queue(enum queue_kind kind)
{
	union record rec;
	struct queue q;
	int32_t key;
	int ret;

	key = add_key("user", "watch_queue:key", "x", KEY_SPEC_SESSION_KEYRING);
	if (key < 0)
		return key;
	ret = queue_open(&q, kind, kind == QUEUE_DEVICE ? 16 : 32);
	if (ret)
		return ret;
	ret = watch_key(key, q.fd, 1) ?: update_key(key);
	if (!ret)
		ret = queue_next(&q, &rec, SOON) == 1 ? 0 : -EPROTO;
	queue_close(&q);
	return ret;
}

/* Until there is nothing to be had of anything. */
static int exhaust(enum queue_kind kind)
{
	int32_t keys[192];
	struct queue q, full;
	int i, ret, files = 0, tries = 0;

	/* Watches: one for each file that there could be. */
	ret = queue_open(&q, kind, kind == QUEUE_DEVICE ? 512 : 32);
	if (ret)
		return ret;
	ret = add_keys(keys, ARRAY_SIZE(keys), KEY_SPEC_SESSION_KEYRING);
	if (ret)
		return ret;
	for (i = 0; i < MOST_FILES; i++) {
		/* Those of an earlier test count until RCU has let go of them. */
		while ((ret = watch_key(keys[i], q.fd, 1)) == -EAGAIN && ++tries < SOON / 10)
			sleep_for(10);
		if (ret)
			return ret;
	}
	if (watch_key(keys[i], q.fd, 1) != -EAGAIN)
		return -EPROTO;

	/* Memory. */
	if (kind == QUEUE_DEVICE) {
		ret = queue_open(&full, kind, 1);
		if (ret != -ENOMEM)
			return -EPROTO;
	}

	/* Files. */
	do {
		ret = queue_open(&full, kind, 0);
		files++;
	} while (!ret && files < 256);
	return ret == -EMFILE ? 0 : -EPROTO;
}

TEST_F(limit, users)
{
	int up[2], down[2], status, tries;
	pid_t pid, other;
	char word;

	ASSERT_EQ(0, sys_pipe(up, 0));
	ASSERT_EQ(0, sys_pipe(down, 0));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (become(USER))
			_exit(1);
		if (exhaust(variant->kind))
			_exit(2);
		if (write(up[1], "!", 1) != 1 || read(down[0], &word, 1) != 1)
			_exit(3);
		_exit(0);
	}
	close(up[1]);
	ASSERT_EQ(1, read(up[0], &word, 1));

	other = fork();
	ASSERT_LE(0, other);
	if (other == 0)
		_exit(become(OTHER_USER) ? 1 : -use_a_queue(variant->kind));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	EXPECT_EQ(0, status);

	/* Another process of the first one has no watch left. */
	other = fork();
	ASSERT_LE(0, other);
	if (other == 0)
		_exit(become(USER) ? 1 : -use_a_queue(variant->kind));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(variant->kind == QUEUE_DEVICE ? ENOMEM : EAGAIN, WEXITSTATUS(status));

	ASSERT_EQ(1, write(down[1], "!", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);

	/* It is given back when RCU lets go of it. */
	for (tries = 0; tries < SOON / 10; tries++) {
		other = fork();
		ASSERT_LE(0, other);
		if (other == 0) {
			if (become(USER))
				_exit(1);
			_exit(exhaust(variant->kind) ? EAGAIN : 0);
		}
		ASSERT_EQ(other, waitpid(other, &status, 0));
		if (status == 0)
			break;
		sleep_for(10);
	}
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
