/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Out of memory: whichever allocation of a call fails, the call says so, nothing
 * is watched, and the next one works.
 *
 * One allocation after the other is made to fail by /proc/thread-self/fail-nth.
 */
#ifndef SELFTESTS_WATCH_QUEUE_NOMEM_H
#define SELFTESTS_WATCH_QUEUE_NOMEM_H

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "people.h"

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
	self->attempt = shared_memory(sizeof(*self->attempt));
	ASSERT_NE(NULL, self->attempt);
}

FIXTURE_TEARDOWN(nomem)
{
	queue_close(&self->queue);
	write_string(INJECTION "ignore-gfp-wait", "Y");
	write_string(INJECTION "verbose", "2");
}

/* A call with its @nth allocation failing, by a process with credentials of its own. */
static inline int attempt(struct attempt *a, unsigned int nth,
			  int (*call)(const void *arg), const void *arg)
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

/* The call fails as often as there is something to fail, which is returned, and then works. */
static inline unsigned int expect_nomem(struct __test_metadata *_metadata,
					struct attempt *a,
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
	return failed;
}

/* The same of a call that sets a watch: then there is just the one. */
static inline void expect_nomem_watch(struct __test_metadata *_metadata,
				      struct attempt *a,
				      int (*call)(const void *arg),
				      const void *arg)
{
	expect_nomem(_metadata, a, call, arg);
	EXPECT_EQ(-EBUSY, call(arg));
}

#endif /* SELFTESTS_WATCH_QUEUE_NOMEM_H */
