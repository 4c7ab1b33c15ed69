// SPDX-License-Identifier: GPL-2.0
/*
 * What is particular to notification pipes.  See key_test.c for the events and
 * the errors that both kinds of queue have.
 */

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "expect.h"

#define NOBODY		65534

/* Pipes take records by the page full. */
#define NOTE_SIZE	128
#define NOTES_PER_PAGE	(sysconf(_SC_PAGESIZE) / NOTE_SIZE)

FIXTURE(pipe)
{
	struct queue queue;
	int32_t key;
};

FIXTURE_SETUP(pipe)
{
	int ret;

	if (!open_or_skip(_metadata, &self->queue, QUEUE_PIPE, 0))
		return;

	ret = set_size(self->queue.fd, 0);
	if (no_queue(&self->queue, ret))
		SKIP(return, "%s", no_queue(&self->queue, ret));
	ASSERT_EQ(-EINVAL, ret);

	ASSERT_LT(0, join_new_session());
	self->key = add_key("user", "watch_queue:pipe", "old",
			    KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, self->key);
}

static void update_times(struct __test_metadata *_metadata, int32_t key, int times)
{
	int ret;

	while (times--) {
		ret = update_key(key);
		ASSERT_EQ(0, ret);
	}
}

FIXTURE_TEARDOWN(pipe)
{
	queue_close(&self->queue);
}

TEST_F(pipe, set_size)
{
	struct queue q;

	EXPECT_EQ(-EINVAL, set_size(self->queue.fd, 513));
	EXPECT_EQ(-EINVAL, set_size(self->queue.fd, 0xffffffff));
	EXPECT_EQ(0, set_size(self->queue.fd, 1));
	EXPECT_EQ(-EBUSY, set_size(self->queue.fd, 1));
	EXPECT_EQ(-EBUSY, set_size(self->queue.fd, 2));
	EXPECT_EQ(-EBUSY, set_size(self->queue.fd, 513));

	/* Either end will do. */
	ASSERT_EQ(0, queue_open(&q, QUEUE_PIPE, 0));
	EXPECT_EQ(0, set_size(q.write_fd, 512));
	EXPECT_EQ(-EBUSY, set_size(q.fd, 512));
	EXPECT_EQ(0, watch_key(self->key, q.write_fd, 1));
	EXPECT_EQ(-EBUSY, watch_key(self->key, q.fd, 1));
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(POLLIN, poll_for(q.fd, 0));
	queue_close(&q);
}

TEST_F(pipe, ordinary_pipe)
{
	struct watch_notification_filter filter = { .nr_filters = 1 };
	int fds[2];

	ASSERT_EQ(0, sys_pipe(fds, 0));
	EXPECT_EQ(-ENODEV, set_size(fds[0], 1));
	EXPECT_EQ(-ENODEV, set_size(fds[1], 0));
	EXPECT_EQ(-ENODEV, set_filter(fds[0], NULL));
	EXPECT_EQ(-ENODEV, set_filter(fds[0], &filter));
	EXPECT_EQ(-EINVAL, watch_key(self->key, fds[0], 0));
	EXPECT_EQ(-EINVAL, watch_key(self->key, fds[1], -1));
	close(fds[0]);
	close(fds[1]);
}

/* An unprivileged user who holds more of pipes than is fair gets no more. */
TEST_F(pipe, set_size_over_limit)
{
	const unsigned long mib = 1 << 20;
	int fds[2], i, ret, status;
	struct queue q;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (setuid(NOBODY))
			_exit(KSFT_SKIP);

		/* Take all that pipe-user-pages-soft has, 64 MiB as a rule. */
		for (i = 0; i < 200; i++) {
			if (sys_pipe(fds, 0))
				_exit(KSFT_SKIP);
			ret = sys_fcntl(fds[0], F_SETPIPE_SZ, mib);
			if (ret == -EPERM)
				break;
			if (ret < 0)
				_exit(KSFT_SKIP);
		}
		if (i == 200)
			_exit(KSFT_SKIP);

		if (queue_open(&q, QUEUE_PIPE, 0))
			_exit(10);
		if (set_size(q.fd, 512) != -EPERM)
			_exit(11);
		/* Nothing came of that, and what every pipe may have is left. */
		if (set_size(q.fd, 2 * NOTES_PER_PAGE))
			_exit(12);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "cannot come to the limit");
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(pipe, neither_written_nor_resized)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, set_size(q->fd, 1));
	EXPECT_EQ(-1, write(q->write_fd, "12345678", 8));
	EXPECT_EQ(EXDEV, errno);
	EXPECT_EQ(-EBUSY, sys_fcntl(q->fd, F_SETPIPE_SZ, 1 << 16));
}

TEST_F(pipe, read)
{
	struct queue *q = &self->queue;
	uint8_t buf[64];
	int avail;

	ASSERT_EQ(0, set_size(q->fd, 8));
	ASSERT_EQ(0, watch_key(self->key, q->fd, 7));

	EXPECT_EQ(0, poll_for(q->fd, 0));
	EXPECT_EQ(-1, read(q->fd, buf, sizeof(buf)));
	EXPECT_EQ(EAGAIN, errno);

	update_times(_metadata, self->key, 2);
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
	ASSERT_EQ(0, ioctl(q->fd, FIONREAD, &avail));
	EXPECT_EQ(32, avail);

	/* No part of a record is ever read. */
	EXPECT_EQ(-1, read(q->fd, buf, 15));
	EXPECT_EQ(ENOBUFS, errno);
	EXPECT_EQ(16, read(q->fd, buf, 31));

	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(32, read(q->fd, buf, 64));
	EXPECT_EQ(0, poll_for(q->fd, 0));
}

TEST_F(pipe, loss)
{
	struct queue *q = &self->queue;
	const int nr_notes = NOTES_PER_PAGE;
	union record rec;
	int i, lap;

	/* A size is rounded up to whole pages. */
	ASSERT_EQ(0, set_size(q->fd, 1));
	ASSERT_EQ(0, watch_key(self->key, q->fd, 7));

	for (lap = 0; lap < 3; lap++) {
		update_times(_metadata, self->key, nr_notes + 1 + lap);
		for (i = 0; i < nr_notes; i++) {
			ASSERT_EQ(1, queue_next(q, &rec, 0));
			ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
			ASSERT_EQ(NOTIFY_KEY_UPDATED, rec_subtype(&rec));
		}

		/* However many were lost, that is one record, in its place. */
		ASSERT_EQ(0, update_key(self->key));
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(sizeof(rec.watch), rec.watch.info);

		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
		ASSERT_EQ(0, queue_next(q, &rec, 0));
	}

	/* A full pipe has lost nothing yet. */
	update_times(_metadata, self->key, nr_notes);
	for (i = 0; i < nr_notes; i++) {
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	}
	ASSERT_EQ(0, queue_next(q, &rec, 0));
}

/*
 * A watch may come before the size, but no record does.  That it was lost is
 * told although there is no record in the pipe to tell it after.
 */
TEST_F(pipe, watch_before_size)
{
	struct queue *q = &self->queue;
	union record rec;

	ASSERT_EQ(0, watch_key(self->key, q->fd, 7));
	update_times(_metadata, self->key, 20);
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
	ASSERT_EQ(0, set_size(q->fd, 1));
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_META, rec_type(&rec));
	EXPECT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
	EXPECT_EQ(0, poll_for(q->fd, 0));
	ASSERT_EQ(0, update_key(self->key));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_KEY_UPDATED, rec_subtype(&rec));
	EXPECT_EQ(7, rec_tag(&rec));
	EXPECT_EQ(0, queue_next(q, &rec, 0));
}

/* Both of two pages of notes, several times over, each record with its own key. */
TEST_F(pipe, every_note)
{
	const int rounds = 10 * NOTES_PER_PAGE;
	struct queue *q = &self->queue;
	int32_t ring, keys[3];
	char description[32];
	union record rec;
	int i;

	ring = add_key("keyring", "watch_queue:ring", NULL, KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, ring);
	for (i = 0; i < 3; i++) {
		snprintf(description, sizeof(description), "watch_queue:%d", i);
		keys[i] = add_key("user", description, "x", KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, keys[i]);
	}
	ASSERT_EQ(0, set_size(q->fd, NOTES_PER_PAGE + 1));
	ASSERT_EQ(0, watch_key(ring, q->fd, 7));

	for (i = 0; i < rounds; i++) {
		const int32_t key = keys[i % 3];

		ASSERT_EQ(0, sys_keyctl(KEYCTL_LINK, key, ring, 0, 0));
		ASSERT_EQ(0, sys_keyctl(KEYCTL_UNLINK, key, ring, 0, 0));
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(NOTIFY_KEY_LINKED, rec_subtype(&rec));
		ASSERT_EQ(key, (int32_t)rec.key.aux);
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		ASSERT_EQ(NOTIFY_KEY_UNLINKED, rec_subtype(&rec));
		ASSERT_EQ(key, (int32_t)rec.key.aux);
		ASSERT_EQ(ring, (int32_t)rec.key.key_id);
	}
	ASSERT_EQ(0, queue_next(q, &rec, 0));
}

/* A closed descriptor gave EINVAL before there was /dev/watch_queue. */
TEST_F(pipe, bad_fd)
{
	EXPECT_EQ(-EBADF, watch_key(self->key, -1, 0));
	EXPECT_EQ(-EBADF, watch_key(self->key, 1000, 0));
	EXPECT_EQ(-EBADF, watch_key(self->key, 1000, -1));
}

TEST_HARNESS_MAIN
