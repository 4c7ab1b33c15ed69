/* SPDX-License-Identifier: GPL-2.0 */
/* A ring of one page and a watch on a key, for the tests of /dev/watch_queue. */
#ifndef SELFTESTS_WATCH_QUEUE_DEVICE_FIXTURE_H
#define SELFTESTS_WATCH_QUEUE_DEVICE_FIXTURE_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

#define KEY_TAG		7

#define SLOT		8
#define HEADER_SLOTS	(sizeof(struct watch_queue_ring) / SLOT)
#define KEY_SLOTS	(sizeof(struct key_notification) / SLOT)
#define LOSS_SLOTS	(sizeof(struct watch_notification_loss) / SLOT)

/* A ring of one page and a watch on a key. */
FIXTURE(device)
{
	struct queue queue;
	size_t page;
	int32_t key;
};

FIXTURE_SETUP(device)
{
	int ret;

	self->page = sysconf(_SC_PAGESIZE);
	if (!open_or_skip(_metadata, &self->queue, QUEUE_DEVICE, 1))
		return;

	ASSERT_LT(0, join_new_session());
	self->key = add_key("user", "watch_queue:device", "old",
			    KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->key);
	ret = watch_key(self->key, self->queue.fd, KEY_TAG);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no CONFIG_KEY_NOTIFICATIONS");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(device)
{
	queue_close(&self->queue);
}

static inline void update_times(struct __test_metadata *_metadata, int32_t key, int times)
{
	int ret;

	while (times--) {
		ret = update_key(key);
		ASSERT_EQ(0, ret);
	}
}

static inline void expect_update(struct __test_metadata *_metadata,
				 struct queue *q, int32_t key)
{
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, key, 0);
}

static inline void expect_updates(struct __test_metadata *_metadata,
				  struct queue *q, int32_t key, int times)
{
	while (times--)
		expect_update(_metadata, q, key);
}

static inline void expect_loss(struct __test_metadata *_metadata,
			       struct queue *q, uint64_t nr_lost,
			       uint32_t types)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
	ASSERT_EQ(sizeof(rec.loss), rec.watch.info);
	ASSERT_EQ(nr_lost, rec.loss.nr_lost);
	ASSERT_EQ(types, rec.loss.types);
	ASSERT_EQ(0, rec.loss.__reserved);
}

static inline uint32_t ring_flags(const struct queue *q)
{
	return __atomic_load_n(&q->ring->flags, __ATOMIC_ACQUIRE);
}

static inline uint64_t ring_lost(const struct queue *q)
{
	return q->ring->lost;
}

static inline void store_tail(struct queue *q, uint32_t tail)
{
	__atomic_store_n(&q->ring->tail, tail, __ATOMIC_RELEASE);
}

/* How many key events fit into a ring that was never read. */
static inline int nr_fit(const struct queue *q)
{
	return (q->slots - HEADER_SLOTS) / KEY_SLOTS;
}

/* A process that updates the key after @delay ms; ends with its parent. */
static inline pid_t start_poster(struct __test_metadata *_metadata, int32_t key,
				 int times, int delay)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (pid)
		return pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sleep_for(delay);
	while (times--) {
		if (update_key(key))
			_exit(KSFT_FAIL);
	}
	_exit(KSFT_PASS);
}

static inline void wait_for(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

/* For those that would go on. */
static inline void stop(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
}

#endif /* SELFTESTS_WATCH_QUEUE_DEVICE_FIXTURE_H */
