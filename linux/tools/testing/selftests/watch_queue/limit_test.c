// SPDX-License-Identifier: GPL-2.0
/* What queues and watches may cost: memory is charged, to whom, and given back. */

#include <signal.h>
#include <sys/prctl.h>

#include "limit.h"

#define USER		1236
#define OTHER_USER	1237
#define MOST_FILES	128	/* And watches */

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
