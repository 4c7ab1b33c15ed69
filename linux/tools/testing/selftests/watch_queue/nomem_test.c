// SPDX-License-Identifier: GPL-2.0
/*
 * Out of memory: whichever allocation of a call fails, the call says so, nothing
 * is watched, and the next one works.
 *
 * One allocation after the other is made to fail by /proc/thread-self/fail-nth.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "expect.h"
#include "mounts.h"

#define INJECTION	"/sys/kernel/debug/failslab/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"

#define TAG		7

/* More allocations than any of the calls makes. */
#define MOST		200

FIXTURE(nomem)
{
	struct queue queue;
	struct attempt {
		int ret;
		bool injected;
	} *attempt;
	int32_t keyring, key;
};

QUEUE_VARIANTS(nomem, 64, 1);

FIXTURE_SETUP(nomem)
{
	self->queue.fd = -1;
	self->queue.write_fd = -1;
	if (geteuid() != 0)
		SKIP(return, "not root");
	if (write_string(INJECTION "ignore-gfp-wait", "N") || access(FAIL_NTH, W_OK))
		SKIP(return, "no failslab");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;
	/* A stack for each failure would look like a complaint in the log. */
	ASSERT_EQ(0, write_string(INJECTION "verbose", "0"));
	self->attempt = mmap(NULL, sizeof(*self->attempt), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->attempt);
	self->keyring = add_key("keyring", "watch_queue:ring", NULL, join_new_session());
	ASSERT_LT(0, self->keyring);
	self->key = add_key("user", "watch_queue:key", "x", self->keyring);
	ASSERT_LT(0, self->key);
}

FIXTURE_TEARDOWN(nomem)
{
	queue_close(&self->queue);
	write_string(INJECTION "ignore-gfp-wait", "Y");
	write_string(INJECTION "verbose", "2");
}

/* A call with its @nth allocation failing, by a process with credentials of its own. */
static int attempt(struct attempt *a, unsigned int nth, int (*call)(const void *arg),
		   const void *arg)
{
	char text[16];
	int fd, status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		snprintf(text, sizeof(text), "%u", nth);
		fd = sys_open(FAIL_NTH, O_RDWR);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			_exit(1);
		a->ret = call(arg);
		memset(text, 0, sizeof(text));
		if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
			_exit(1);
		a->injected = atoi(text) == 0;
		_exit(pwrite(fd, "0", 1, 0) != 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -EIO : 0;
}

/* The call fails as often as there is something to fail, and then works. */
static void expect_nomem(struct __test_metadata *_metadata, struct attempt *a,
			 int (*call)(const void *arg), const void *arg)
{
	unsigned int nth, failed = 0;

	for (nth = 1; nth < MOST; nth++) {
		ASSERT_EQ(0, attempt(a, nth, call, arg));
		if (a->ret == 0)
			break;
		ASSERT_TRUE(a->injected);
		ASSERT_EQ(-ENOMEM, a->ret)
			TH_LOG("allocation %u", nth);
		failed++;
	}
	EXPECT_LT(0, failed);
	EXPECT_GT(MOST, nth);
	TH_LOG("%u allocations failed", failed);
}

struct watched {
	int fd;
	int32_t key, keyring;
};

static int call_key(const void *arg)
{
	const struct watched *w = arg;

	return watch_key(w->key, w->fd, TAG);
}

static int call_mount(const void *arg)
{
	const struct watched *w = arg;

	return mount_notify(AT_FDCWD, "/", 0, w->fd, TAG);
}

static int call_sb(const void *arg)
{
	const struct watched *w = arg;

	return sb_notify(AT_FDCWD, "/tmp", 0, w->fd, TAG);
}

static int call_all_sbs(const void *arg)
{
	const struct watched *w = arg;

	return sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, w->fd, TAG);
}

static int call_all_blocks(const void *arg)
{
	const struct watched *w = arg;

	return block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, w->fd, TAG);
}

TEST_F(nomem, watches)
{
	static int (* const calls[])(const void *arg) = {
		call_key, call_mount, call_sb, call_all_sbs, call_all_blocks,
	};
	const struct watched w = {
		.fd = self->queue.fd, .key = self->key, .keyring = self->keyring,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		TH_LOG("call %u", i);
		expect_nomem(_metadata, self->attempt, calls[i], &w);
		/* It is watched, and just once. */
		EXPECT_EQ(-EBUSY, calls[i](&w));
	}
}

/* What cannot be watched in a keyring is lost, but the keyring is watched. */
static int call_keyring(const void *arg)
{
	const struct watched *w = arg;

	return watch_keyring(w->keyring, w->fd, TAG, KEYCTL_WATCH_CHILDREN);
}

TEST_F(nomem, keyrings)
{
	const struct watched w = {
		.fd = self->queue.fd, .key = self->key, .keyring = self->keyring,
	};
	unsigned int nth, lost = 0, refused = 0;
	union record rec;

	for (nth = 1; nth < MOST; nth++) {
		ASSERT_EQ(0, attempt(self->attempt, nth, call_keyring, &w));
		if (!self->attempt->injected)
			break;
		if (self->attempt->ret) {
			ASSERT_EQ(-ENOMEM, self->attempt->ret);
			refused++;
		} else {
			ASSERT_EQ(0, watch_keyring(w.keyring, w.fd, -1, 0));
			lost++;
		}
		while (queue_next(&self->queue, &rec, 0) == 1)
			;
	}
	ASSERT_EQ(0, self->attempt->ret);
	EXPECT_LT(0, refused);
	TH_LOG("refused %u times, incomplete %u times", refused, lost);
	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, &self->queue, NOTIFY_KEY_UPDATED, TAG, self->key, 0);
}

static int call_filter(const void *arg)
{
	const struct watched *w = arg;
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter type;
	} filter = {
		.head.nr_filters = 1,
		.type.type = WATCH_TYPE_KEY_NOTIFY,
		.type.subtype_filter[0] = 1U << NOTIFY_KEY_UPDATED,
	};

	return set_filter(w->fd, &filter);
}

TEST_F(nomem, filter)
{
	const struct watched w = { .fd = self->queue.fd };

	expect_nomem(_metadata, self->attempt, call_filter, &w);
}

struct kind {
	enum queue_kind kind;
	unsigned int size;
};

static int call_open(const void *arg)
{
	const struct kind *kind = arg;
	struct queue q;
	int ret = queue_open(&q, kind->kind, kind->size);

	if (!ret)
		queue_close(&q);
	/* What pipe2() says when there is no memory for the pipe. */
	return ret == -ENFILE ? -ENOMEM : ret;
}

TEST_F(nomem, queue)
{
	const struct kind kind = { variant->kind, variant->size };

	expect_nomem(_metadata, self->attempt, call_open, &kind);
}

TEST_HARNESS_MAIN
