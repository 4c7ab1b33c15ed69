// SPDX-License-Identifier: GPL-2.0
/* How many watches a watch on a keyring makes, and that none of them is left. */

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keyring_fixture.h"

/* How many watches this user has, if at most @max: by how many more there can be. */
static int nr_watches(int32_t keyring, unsigned int max)
{
	struct rlimit limit, few;
	int32_t keys[256];
	int fds[2], i, ret;
	char name[32];

	if (max > ARRAY_SIZE(keys) || getrlimit(RLIMIT_NOFILE, &limit))
		return -EINVAL;
	ret = sys_pipe(fds, O_NOTIFICATION_PIPE);
	if (ret)
		return ret;
	few = limit;
	few.rlim_cur = max;
	if (setrlimit(RLIMIT_NOFILE, &few))
		return -errno;
	for (i = 0; i < max; i++) {
		snprintf(name, sizeof(name), "watch_queue:probe %d", i);
		keys[i] = add_key("user", name, "x", keyring);
		if (keys[i] < 0)
			return keys[i];
		ret = watch_key(keys[i], fds[0], 0);
		if (ret)
			break;
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	close(fds[0]);
	close(fds[1]);
	return ret && ret != -EAGAIN ? ret : (int)max - i;
}

/* The same, when RCU has let go of those that ended, our own included. */
static int nr_watches_settled(int32_t keyring, unsigned int max, int expected)
{
	int nr, delay;

	for (delay = 10; ; delay *= 2) {
		sleep_for(delay);
		nr = nr_watches(keyring, max);
		if (nr == expected || delay > SOON / 3)
			return nr;
	}
}

TEST_F(children, counted)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t probes, i;
	int before;

	probes = add_keyring("watch_queue:probes", k->session);
	ASSERT_LT(0, probes);
	before = nr_watches_settled(probes, 64, 0);
	ASSERT_LE(0, before);

	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	/* A second reason is no second watch. */
	ASSERT_EQ(0, watch_key(k->leaf, q->fd, OWN_TAG));
	ASSERT_EQ(0, link_key(k->child, k->inner));
	ASSERT_EQ(before + 4, nr_watches_settled(probes, 64, before + 4));

	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, k->inner, 0, 0, 0));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, k->top, 0, 0, 0));
	ASSERT_EQ(before + 2, nr_watches_settled(probes, 64, before + 2));
	queue_close(q);
	ASSERT_EQ(before, nr_watches_settled(probes, 64, before));

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
		ASSERT_EQ(0, link_key(k->inner, k->top));
		ASSERT_EQ(0, link_key(k->leaf, k->inner));
		ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
		if (i & 1)
			ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
		queue_close(q);
	}
	ASSERT_EQ(before, nr_watches_settled(probes, 64, before));
}

static int set_nofile(unsigned int nr)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = nr;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

/* Set a watch by which the user may have @nr, when RCU has let go of others. */
static int watch_within(int32_t keyring, int fd, unsigned int nr)
{
	int ret, tries = 0;

	do {
		sleep_for(10);
		ret = set_nofile(nr) ?: watch_keyring(keyring, fd, TAG, CHILDREN);
		if (set_nofile(1024))
			return -EPERM;
	} while (ret == -EAGAIN && ++tries < SOON / 10);
	return ret;
}

/* To watch what is there already is done wholly, or not at all. */
TEST_F(children, limit_when_set)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	char name[32];
	int32_t key;
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		key = add_key("user", name, "x", k->top);
		ASSERT_LT(0, key);
	}

	ASSERT_EQ(0, set_nofile(64));
	EXPECT_EQ(-EAGAIN, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_unwatched(_metadata, q, k->child);
	expect_unwatched(_metadata, q, key);
	EXPECT_EQ(-EBADSLT, watch_keyring(k->top, q->fd, -1, CHILDREN));

	/* Nothing is left of it. */
	ASSERT_EQ(0, set_nofile(1024));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, CHILDREN));
	expect_update(_metadata, q, TAG, key);
}

/*
 * What is linked later and cannot be watched is a loss to the queue, and does not
 * concern the task that links.  The owner's limit is that when the watch was set.
 */
TEST_F(children, limit_at_link)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	union record rec;
	char name[32];
	int i, nr_lost = 0;
	int32_t key;
	bool lost;

	ASSERT_EQ(0, watch_within(k->top, q->fd, 64));

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		key = add_key("user", name, "x", k->top);
		ASSERT_LT(0, key);

		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		/* Those of an earlier test may make room when they are freed. */
		lost = rec_type(&rec) == WATCH_TYPE_META;
		if (lost) {
			ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
			if (q->kind == QUEUE_DEVICE) {
				ASSERT_EQ(sizeof(rec.loss), rec_len(&rec));
				ASSERT_EQ(1, rec.loss.nr_lost);
				ASSERT_EQ(1 << WATCH_TYPE_KEY_NOTIFY, rec.loss.types);
			}
			ASSERT_EQ(1, queue_next(q, &rec, SOON));
			nr_lost++;
		}
		ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
		ASSERT_EQ(NOTIFY_KEY_LINKED, rec_subtype(&rec));
		ASSERT_EQ(key, (int32_t)rec.key.aux);
		if (lost)
			expect_unwatched(_metadata, q, key);
		else
			expect_update(_metadata, q, TAG, key);
	}
	EXPECT_LE(36, nr_lost);
	if (q->kind == QUEUE_DEVICE)
		EXPECT_EQ(nr_lost, q->ring->lost);
	expect_update(_metadata, q, TAG, k->child);
}

/* A filter that wants no key events does not want to know of their loss, either. */
TEST_F(children, loss_filtered)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter entry;
	} f = { .head.nr_filters = 1, .entry.type = WATCH_TYPE__NR };
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	char name[32];
	int i;

	ASSERT_EQ(0, watch_within(k->top, q->fd, 64));
	ASSERT_EQ(0, set_filter(q->fd, &f));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		ASSERT_LT(0, add_key("user", name, "x", k->top));
	}
	expect_nothing(_metadata, q);
}

/* Keys that anybody may view, in two keyrings. */
#define NR_MANY		40

static int add_many(int32_t *keys, int32_t keyring, int32_t other)
{
	char name[32];
	int i, ret;

	for (i = 0; i < NR_MANY; i++) {
		snprintf(name, sizeof(name), "watch_queue:many %d", i);
		keys[i] = add_key("user", name, "x", keyring);
		if (keys[i] < 0)
			return keys[i];
		ret = sys_keyctl(KEYCTL_SETPERM, keys[i], POS_ALL | USR_ALL | OTH_ALL, 0, 0) ?:
			link_key(keys[i], other);
		if (ret)
			return ret;
	}
	return 0;
}

static int32_t many[2][NR_MANY], rings[2], others[2];

static int do_take_over(const struct keys *k __attribute__((unused)), struct queue *q)
{
	int i, ret = set_nofile(64);

	for (i = 0; i < 2 * NR_MANY && !ret; i++)
		ret = watch_key(many[i / NR_MANY][i % NR_MANY], q->fd, OTHER_TAG);
	return ret == -EAGAIN && i == 64 + 1 ? 0 : -1;
}

static int do_extend_over(const struct keys *k __attribute__((unused)), struct queue *q)
{
	return set_nofile(64) ?: watch_keyring(others[0], q->fd, OTHER_TAG, CHILDREN) ?:
		watch_keyring(others[1], q->fd, OTHER_TAG, CHILDREN);
}

/* To go on with the watch of somebody else counts like a watch. */
TEST_F(children, limit_at_hand_over)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int i, losses = 0, by_other = 0;
	union record rec;

	if (geteuid() != 0)
		SKIP(return, "cannot become another user");
	for (i = 0; i < 2; i++) {
		rings[i] = add_keyring(i ? "watch_queue:b" : "watch_queue:a", k->top);
		others[i] = add_keyring(i ? "watch_queue:d" : "watch_queue:c", k->session);
		ASSERT_LT(0, rings[i]);
		ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, others[i],
					POS_ALL | USR_ALL | OTH_ALL, 0, 0));
		ASSERT_EQ(0, add_many(many[i], rings[i], others[i]));
	}

	/* By watching the keys. */
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	ASSERT_EQ(0, as_another(do_take_over, k, q));
	for (i = 0; i < 2 * NR_MANY; i++) {
		ASSERT_EQ(0, update_key(many[i / NR_MANY][i % NR_MANY]));
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(i < 64 ? OTHER_TAG : TAG, rec_tag(&rec));
	}
	queue_close(q);

	/* By having other watches extend to them, when the first one goes. */
	ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, TAG, NESTED));
	ASSERT_EQ(0, as_another(do_extend_over, k, q));
	expect_update(_metadata, q, TAG, many[1][0]);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));
	while (queue_next(q, &rec, 0) > 0) {
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		losses += rec_subtype(&rec) == WATCH_META_LOSS_NOTIFICATION;
	}
	EXPECT_LT(0, losses);
	for (i = 0; i < 2 * NR_MANY; i++) {
		ASSERT_EQ(0, update_key(many[i / NR_MANY][i % NR_MANY]));
		if (queue_next(q, &rec, 0) == 1) {
			ASSERT_EQ(OTHER_TAG, rec_tag(&rec));
			by_other++;
		}
	}
	EXPECT_EQ(64 - 2, by_other);
}

static int watch_as_user(int32_t keyring, int fd, unsigned int flags)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		if (set_nofile(4096) || setuid(1235))
			_exit(EPROTO);
		_exit(-watch_keyring(keyring, fd, TAG, flags));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	return -WEXITSTATUS(status);
}

static void expect_loss(struct __test_metadata *_metadata, struct queue *q)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
}

/* A watch extends along so many links, unless its owner has CAP_SYS_RESOURCE. */
#define MOST_LINKS	512

TEST_F_TIMEOUT(children, too_many_links, 300)
{
	const struct keys *k = &self->keys;
	struct queue *q = &self->queue;
	int32_t keys[MOST_LINKS + 1];
	struct queue other;
	union record rec;
	char name[40];
	int i, nr;

	if (!show_or_skip(_metadata, k))
		return;
	nr = sys_keyctl(KEYCTL_READ, k->top, 0, 0, 0) / sizeof(keys[0]);
	for (; nr < MOST_LINKS; nr++) {
		snprintf(name, sizeof(name), "watch_queue:link %d", nr);
		ASSERT_LT(0, add_key("user", name, "x", k->top));
	}
	ASSERT_EQ(nr * sizeof(keys[0]),
		  sys_keyctl(KEYCTL_READ, k->top, (long)keys, sizeof(keys), 0));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, keys[i],
					POS_ALL | USR_ALL | OTH_ALL, 0, 0));

	/* All of these, but one more is a loss. */
	ASSERT_EQ(0, watch_as_user(k->top, q->fd, CHILDREN));
	expect_nothing(_metadata, q);
	ASSERT_LT(0, add_key("user", "watch_queue:more", "x", k->top));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	if (rec_type(&rec) == WATCH_TYPE_META) {
		ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	} else {
		expect_loss(_metadata, q);
	}
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, watch_keyring(k->top, q->fd, -1, 0));

	/* To set it now is an error, but not if it is about a nested keyring. */
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	EXPECT_EQ(-ENOSPC, watch_as_user(k->top, other.fd, CHILDREN));
	expect_nothing(_metadata, &other);
	ASSERT_EQ(0, link_key(k->top, k->keep));
	EXPECT_EQ(0, watch_as_user(k->keep, other.fd, NESTED));
	expect_loss(_metadata, &other);
	queue_close(&other);

	/* With the capability there is no such limit. */
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, set_nofile(4096));
	EXPECT_EQ(0, watch_keyring(k->top, other.fd, TAG, CHILDREN));
	queue_close(&other);
}

/* Of one keyring so many watches extend to its children, and no more. */
TEST_F(children, too_many_extend)
{
	const struct keys *k = &self->keys;
	int fds[36][2], i, ret = 0, status;
	struct queue *q = &self->queue;
	union record rec;
	pid_t pid;

	if (!show_or_skip(_metadata, k))
		return;
	ASSERT_EQ(0, link_key(k->top, k->keep));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (set_nofile(4096) || setuid(1235))
			_exit(1);
		for (i = 0; i < 36; i++) {
			if (sys_pipe(fds[i], O_NOTIFICATION_PIPE))
				_exit(2);
			ret = watch_keyring(k->top, fds[i][0], TAG, CHILDREN);
			if (ret)
				break;
		}
		if (i != 32 || ret != -ENOSPC)
			_exit(3);
		/* One keyring further up that is only a loss. */
		queue_close(q);
		if (queue_open(q, variant->kind, variant->size) ||
		    watch_keyring(k->keep, q->fd, TAG, NESTED))
			_exit(6);
		if (queue_next(q, &rec, 0) != 1 || rec_type(&rec) != WATCH_TYPE_META ||
		    rec_subtype(&rec) != WATCH_META_LOSS_NOTIFICATION ||
		    queue_next(q, &rec, 0) != 0)
			_exit(7);
		queue_close(q);
		/* Plain watches are another matter. */
		if (watch_key(k->top, fds[i][0], TAG))
			_exit(4);
		close(fds[0][0]);
		close(fds[0][1]);
		if (watch_key(k->top, fds[i][0], -1) ||
		    watch_keyring(k->top, fds[i][0], TAG, CHILDREN))
			_exit(5);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

/*
 * Processes that link, unlink and move keys, that set and remove watches, and
 * that close queues, all at once.
 */
#define SECONDS		3
#define NR_RINGS	4
#define NR_KEYS		6
#define NR_QUEUES	3

static unsigned int seed;

static unsigned int below(unsigned int n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static bool over(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= SECONDS;
}

static void storm_link(const int32_t *rings, const int32_t *keys)
{
	int32_t ring = rings[below(NR_RINGS)], key = keys[below(NR_KEYS)];

	switch (below(9)) {
	case 0:
	case 1:
		link_key(key, ring);
		break;
	case 2:
		unlink_key(key, ring);
		break;
	case 3:
		link_key(rings[below(NR_RINGS)], ring);
		break;
	case 4:
		unlink_key(rings[below(NR_RINGS)], ring);
		break;
	case 5:
		sys_keyctl(KEYCTL_MOVE, key, ring, rings[below(NR_RINGS)], 0);
		break;
	case 6:
		sys_keyctl(KEYCTL_CLEAR, ring, 0, 0, 0);
		break;
	case 7:
		update_key(key);
		break;
	case 8:
		/* One that dies when it is displaced or unlinked. */
		add_key("user", below(2) ? "watch_queue:a" : "watch_queue:b", "x", ring);
		break;
	}
}

static void storm_watch(struct queue *queues, enum queue_kind kind,
			unsigned int size, const int32_t *rings, const int32_t *keys)
{
	struct queue *q = &queues[below(NR_QUEUES)];
	union record rec;

	switch (below(6)) {
	case 0:
	case 1:
		watch_keyring(rings[below(NR_RINGS)], q->fd, below(256), below(4));
		break;
	case 2:
		watch_keyring(rings[below(NR_RINGS)], q->fd, -1, 0);
		break;
	case 3:
		watch_key(keys[below(NR_KEYS)], q->fd, below(3) - 1);
		break;
	case 4:
		while (queue_next(q, &rec, 0) > 0)
			;
		break;
	case 5:
		queue_close(q);
		if (queue_open(q, kind, size))
			_exit(2);
		break;
	}
}

TEST_F(children, storm)
{
	int32_t rings[NR_RINGS], keys[NR_KEYS], probes;
	const struct keys *k = &self->keys;
	struct queue queues[NR_QUEUES];
	struct timespec start;
	int i, before, status;
	char name[32];
	pid_t pid;

	for (i = 0; i < NR_RINGS; i++) {
		snprintf(name, sizeof(name), "watch_queue:storm %d", i);
		rings[i] = add_keyring(name, k->session);
		ASSERT_LT(0, rings[i]);
	}
	for (i = 0; i < NR_KEYS; i++) {
		snprintf(name, sizeof(name), "watch_queue:key %d", i);
		keys[i] = add_user_key(name, k->keep);
		ASSERT_LT(0, keys[i]);
	}
	probes = add_keyring("watch_queue:probes", k->session);
	ASSERT_LT(0, probes);
	before = nr_watches_settled(probes, 64, 0);
	ASSERT_LE(0, before);

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (pid)
			continue;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		seed = start.tv_nsec + i;
		if (i & 1) {
			while (!over(&start))
				storm_link(rings, keys);
			_exit(0);
		}
		for (i = 0; i < ARRAY_SIZE(queues); i++) {
			if (queue_open(&queues[i], variant->kind, variant->size))
				_exit(1);
		}
		while (!over(&start))
			storm_watch(queues, variant->kind, variant->size, rings, keys);
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_LT(0, waitpid(-1, &status, 0));
		ASSERT_EQ(0, status);
	}

	/* No watch is left, and it works as before. */
	ASSERT_EQ(before, nr_watches_settled(probes, 64, before));
	ASSERT_EQ(0, watch_keyring(k->top, self->queue.fd, TAG, NESTED));
	expect_update(_metadata, &self->queue, TAG, k->leaf);
}

TEST_HARNESS_MAIN
