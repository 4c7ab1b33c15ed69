// SPDX-License-Identifier: GPL-2.0
/* The file /dev/watch_queue: its calls, its mappings and readers that wait. */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "device_fixture.h"

/* A user who has locked no memory. */
#define SOME_UID	54321

static_assert(sizeof(struct watch_queue_ring) == 72, "ring header");
static_assert(offsetof(struct watch_queue_ring, tail) == 64, "tail");

TEST_F(device, node)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0666, st.st_mode & 07777);
}

TEST_F(device, set_size)
{
	unsigned int pages;
	struct queue q;

	ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, 0));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 0));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 3));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 511));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 513));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 1024));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 0x80000000));
	EXPECT_EQ(-EINVAL, set_size(q.fd, -1));
	EXPECT_EQ(-EINVAL, set_size(q.fd, 1UL << (8 * sizeof(long) - 1) | 1));
	EXPECT_EQ(0, set_size(q.fd, 1));
	EXPECT_EQ(-EBUSY, set_size(q.fd, 1));
	EXPECT_EQ(-EBUSY, set_size(q.fd, 2));
	queue_close(&q);

	for (pages = 1; pages <= WATCH_QUEUE_MAX_PAGES; pages *= 2) {
		struct watch_queue_ring *ring;

		ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, pages));
		ring = q.ring;
		EXPECT_EQ(WATCH_TYPE_META, (int)ring->watch.type);
		EXPECT_EQ(WATCH_META_SKIP_NOTIFICATION, (int)ring->watch.subtype);
		EXPECT_EQ(sizeof(*ring), ring->watch.info);
		EXPECT_EQ(HEADER_SLOTS, ring->head);
		EXPECT_EQ(HEADER_SLOTS, ring->tail);
		EXPECT_EQ(pages * self->page / SLOT - 1, ring->mask);
		EXPECT_EQ(0, ring->lost);
		EXPECT_EQ(WATCH_QUEUE_RING_VERSION, ring->version);
		EXPECT_EQ(0, ring->flags);
		EXPECT_EQ(0, poll_for(q.fd, 0));
		queue_close(&q);
	}
}

static int try_mmap(struct queue *q, size_t len, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, len, prot, flags, q->fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

TEST_F(device, mmap)
{
	const int rw = PROT_READ | PROT_WRITE;
	const size_t page = self->page;
	struct queue q;
	void *p;

	ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, 0));
	EXPECT_EQ(-EINVAL, try_mmap(&q, page, rw, MAP_SHARED, 0));

	ASSERT_EQ(0, set_size(q.fd, 2));
	EXPECT_EQ(-EINVAL, try_mmap(&q, 2 * page, rw, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, try_mmap(&q, 2 * page, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, try_mmap(&q, page, rw, MAP_SHARED, page));
	EXPECT_EQ(-EINVAL, try_mmap(&q, page, rw, MAP_SHARED, 2 * page));
	EXPECT_EQ(-EINVAL, try_mmap(&q, 3 * page, rw, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, try_mmap(&q, 2 * page + 1, rw, MAP_SHARED, 0));
	EXPECT_EQ(-EPERM, try_mmap(&q, 2 * page, rw | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(0, try_mmap(&q, page, rw, MAP_SHARED, 0));
	EXPECT_EQ(0, try_mmap(&q, 2 * page, rw, MAP_SHARED, 0));

	/* What is mapped becomes neither executable nor longer. */
	p = mmap(NULL, page, rw, MAP_SHARED, q.fd, 0);
	ASSERT_TRUE(p != MAP_FAILED);
	EXPECT_EQ(-1, mprotect(p, page, rw | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_TRUE(mremap(p, page, 2 * page, MREMAP_MAYMOVE) == MAP_FAILED);
	EXPECT_EQ(EFAULT, errno);
	munmap(p, page);

	p = mmap(NULL, 2 * page, rw, MAP_SHARED, q.fd, 0);
	ASSERT_TRUE(p != MAP_FAILED);
	EXPECT_TRUE(mremap(p, 2 * page, 4 * page, MREMAP_MAYMOVE) == MAP_FAILED);
	EXPECT_EQ(EFAULT, errno);

	/* Two mappings show the same. */
	ASSERT_EQ(0, queue_map(&q, 2));
	store_tail(&q, 12345);
	EXPECT_EQ(12345, ((struct watch_queue_ring *)p)->tail);
	munmap(p, 2 * page);
	queue_close(&q);
}

TEST_F(device, mmap_needs_read_and_write)
{
	struct queue q;

	memset(&q, 0, sizeof(q));
	q.fd = sys_open(DEVICE, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, q.fd);
	ASSERT_EQ(0, set_size(q.fd, 1));
	EXPECT_EQ(-EACCES, try_mmap(&q, self->page, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, try_mmap(&q, self->page, PROT_READ | PROT_WRITE,
				    MAP_SHARED, 0));
	close(q.fd);

	q.fd = sys_open(DEVICE, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, q.fd);
	ASSERT_EQ(0, set_size(q.fd, 1));
	EXPECT_EQ(-EACCES, try_mmap(&q, self->page, PROT_READ | PROT_WRITE,
				    MAP_SHARED, 0));
	close(q.fd);
}

TEST_F(device, calls_that_it_has_not)
{
	struct queue *q = &self->queue;
	char buf[128];
	int arg;

	EXPECT_EQ(-1, ioctl(q->fd, _IO('W', 0x62), 0));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(q->fd, _IO('W', 0x5f), 0));
	EXPECT_EQ(ENOTTY, errno);
	/* The number alone does not make it. */
	EXPECT_EQ(-1, ioctl(q->fd, _IOW('W', 0x60, int), 1));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(q->fd, FIONREAD, &arg));
	EXPECT_EQ(ENOTTY, errno);

	EXPECT_EQ(-1, read(q->fd, buf, sizeof(buf)));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(-1, read(q->fd, buf, sizeof(buf)));
	EXPECT_EQ(EINVAL, errno);
	expect_update(_metadata, q, self->key);
}

TEST_F(device, before_set_size)
{
	struct queue q;

	ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, 0));
	EXPECT_EQ(POLLERR, poll_for(q.fd, 0));
	EXPECT_EQ(0, set_filter(q.fd, NULL));

	/* Nobody is harmed by a watch that is set too early. */
	ASSERT_EQ(0, watch_key(self->key, q.fd, KEY_TAG));
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(POLLERR, poll_for(q.fd, 0));

	ASSERT_EQ(0, set_size(q.fd, 1));
	ASSERT_EQ(0, queue_map(&q, 1));
	EXPECT_EQ(0, poll_for(q.fd, 0) & POLLERR);
	ASSERT_EQ(0, update_key(self->key));

	/* What came before the size was lost, and the loss is reported. */
	EXPECT_EQ(1, ring_lost(&q));
	expect_loss(_metadata, &q, 1, 1 << WATCH_TYPE_KEY_NOTIFY);
	expect_update(_metadata, &q, self->key);
	expect_nothing(_metadata, &q);
	queue_close(&q);
}

TEST_F(device, each_open_is_a_queue)
{
	struct queue *q = &self->queue;
	struct queue other;

	ASSERT_EQ(0, queue_open(&other, QUEUE_DEVICE, 2));
	ASSERT_EQ(0, update_key(self->key));
	expect_nothing(_metadata, &other);
	ASSERT_EQ(0, watch_key(self->key, other.fd, KEY_TAG));
	ASSERT_EQ(0, update_key(self->key));
	expect_update(_metadata, &other, self->key);
	expect_nothing(_metadata, &other);

	/* A filter or an insane tail of one is nothing to the other. */
	store_tail(&other, other.ring->head + 1);
	EXPECT_EQ(POLLERR, poll_for(other.fd, 0));
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(POLLERR, poll_for(other.fd, 0));
	expect_updates(_metadata, q, self->key, 3);
	expect_nothing(_metadata, q);
	EXPECT_EQ(0, ring_lost(q));
	EXPECT_EQ(1, ring_lost(&other));
	queue_close(&other);
}

/* A duplicate is the same queue, and so is what a process inherits. */
TEST_F(device, dup_and_fork)
{
	struct queue *q = &self->queue;
	int status, fd;
	pid_t pid;

	fd = dup(q->fd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, set_size(fd, 1));
	EXPECT_EQ(-EBUSY, watch_key(self->key, fd, 1));
	close(q->fd);
	q->fd = fd;
	ASSERT_EQ(0, update_key(self->key));
	expect_update(_metadata, q, self->key);

	update_times(_metadata, self->key, 3);
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		/* The child's mapping is the parent's, and so is its tail. */
		expect_updates(_metadata, q, self->key, 2);
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	expect_update(_metadata, q, self->key);
	expect_nothing(_metadata, q);

	/* The child's end did not end the queue. */
	ASSERT_EQ(0, update_key(self->key));
	expect_update(_metadata, q, self->key);
}

TEST_F(device, fd_passed_on)
{
	struct queue *q = &self->queue;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = '!';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int sockets[2], status;
	struct queue got;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		queue_close(q);
		ASSERT_EQ(1, recvmsg(sockets[1], &msg, 0));
		memset(&got, 0, sizeof(got));
		got.kind = QUEUE_DEVICE;
		got.write_fd = -1;
		memcpy(&got.fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		ASSERT_EQ(0, queue_map(&got, 1));
		expect_update(_metadata, &got, self->key);
		ASSERT_EQ(1, write(sockets[1], &byte, 1));
		/* The sender has let go of it by the time of the second one. */
		expect_update(_metadata, &got, self->key);
		queue_close(&got);
		_exit(_metadata->exit_code);
	}

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &q->fd, sizeof(int));
	ASSERT_EQ(1, sendmsg(sockets[0], &msg, 0));
	ASSERT_EQ(0, update_key(self->key));
	ASSERT_EQ(1, read(sockets[0], &byte, 1));
	queue_close(q);
	ASSERT_EQ(0, update_key(self->key));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* A mapping holds the file, as any does. */
TEST_F(device, mapping_outlives_descriptor)
{
	struct queue *q = &self->queue;
	union record rec;

	close(q->fd);
	q->fd = -1;
	ASSERT_EQ(0, update_key(self->key));
	ASSERT_EQ(1, ring_next(q, &rec));
	EXPECT_EQ((uint32_t)self->key, rec.key.key_id);
	ASSERT_EQ(0, ring_next(q, &rec));
}

/* Watches that are there when the queue goes are no longer there. */
TEST_F(device, release_with_watches)
{
	struct queue q;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, 1 << (i % 4)));
		ASSERT_EQ(0, watch_key(self->key, q.fd, KEY_TAG));
		ASSERT_EQ(0, watch_key(KEY_SPEC_SESSION_KEYRING, q.fd, 1));
		ASSERT_EQ(0, watch_key(KEY_SPEC_PROCESS_KEYRING, q.fd, 2));
		ASSERT_EQ(0, update_key(self->key));
		expect_update(_metadata, &q, self->key);
		queue_close(&q);
		ASSERT_EQ(0, update_key(self->key));
	}
	expect_updates(_metadata, &self->queue, self->key, 40);
	expect_nothing(_metadata, &self->queue);
}

TEST_F(device, post_races_with_close)
{
	struct queue q;
	pid_t poster;
	int i;

	poster = start_poster(_metadata, self->key, INT_MAX, 0);
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, 1));
		ASSERT_EQ(0, watch_key(self->key, q.fd, KEY_TAG));
		if (i % 3 == 0)
			expect_update(_metadata, &q, self->key);
		if (i % 3 == 1)
			ASSERT_EQ(0, watch_key(self->key, q.fd, -1));
		queue_close(&q);
	}
	stop(_metadata, poster);
}

/* Every record of two posters is read or counted. */
TEST_F(device, concurrent_posters)
{
	struct queue *q = &self->queue;
	uint64_t read = 0, told = 0;
	union record rec;
	pid_t posters[2];
	int32_t keys[2];
	unsigned int i;
	bool done;

	for (i = 0; i < 2; i++) {
		keys[i] = add_key("user", i ? "watch_queue:b" : "watch_queue:a",
				  "x", KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, keys[i]);
		ASSERT_EQ(0, watch_key(keys[i], q->fd, i));
	}
	for (i = 0; i < 2; i++)
		posters[i] = start_poster(_metadata, keys[i], 3000, 0);

	do {
		/* poll() stores a loss record once all else was read. */
		while (queue_next(q, &rec, 200) == 1) {
			if (rec_type(&rec) == WATCH_TYPE_META) {
				ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION,
					  rec_subtype(&rec));
				told += rec.loss.nr_lost;
				continue;
			}
			ASSERT_GT(2, rec_tag(&rec));
			ASSERT_EQ((uint32_t)keys[rec_tag(&rec)], rec.key.key_id);
			read++;
		}
		done = read + told == 6000;
	} while (!done && ring_flags(q) & WATCH_QUEUE_RING_OVERRUN);

	for (i = 0; i < 2; i++)
		wait_for(_metadata, posters[i]);
	while (!done && queue_next(q, &rec, 0) == 1) {
		if (rec_type(&rec) == WATCH_TYPE_META)
			told += rec.loss.nr_lost;
		else
			read++;
	}
	EXPECT_EQ(6000, read + told);
	EXPECT_EQ(told, ring_lost(q));
	EXPECT_LT(0, read);
}

TEST_F(device, fdinfo)
{
	struct queue *q = &self->queue;
	struct fdinfo info;
	int32_t other;
	unsigned int i;

	ASSERT_EQ(0, read_fdinfo(q->fd, &info));
	EXPECT_EQ(1, info.size);
	EXPECT_EQ(q->ring->head, info.head);
	EXPECT_EQ(q->ring->tail, info.tail);
	EXPECT_EQ(0, info.lost);
	ASSERT_EQ(1, info.nr_watches);
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, info.watches[0].type);
	EXPECT_EQ((uint32_t)self->key, info.watches[0].id);
	EXPECT_EQ(KEY_TAG, info.watches[0].tag);

	other = add_key("user", "watch_queue:other", "x", KEY_SPEC_SESSION_KEYRING);
	ASSERT_LT(0, other);
	ASSERT_EQ(0, watch_key(other, q->fd, 255));
	update_times(_metadata, self->key, nr_fit(q) + 3);
	ASSERT_EQ(0, read_fdinfo(q->fd, &info));
	EXPECT_EQ(q->ring->head, info.head);
	EXPECT_EQ(q->ring->tail, info.tail);
	EXPECT_NE(info.head, info.tail);
	EXPECT_EQ(3, info.lost);
	ASSERT_EQ(2, info.nr_watches);
	for (i = 0; i < 2; i++) {
		const bool is_other = info.watches[i].id == (uint32_t)other;

		EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, info.watches[i].type);
		EXPECT_EQ(is_other ? other : self->key, (int32_t)info.watches[i].id);
		EXPECT_EQ(is_other ? 255 : KEY_TAG, info.watches[i].tag);
	}
	EXPECT_NE(info.watches[0].id, info.watches[1].id);

	/* Watches that ended are not listed. */
	ASSERT_EQ(0, watch_key(self->key, q->fd, -1));
	ASSERT_EQ(0, read_fdinfo(q->fd, &info));
	ASSERT_EQ(1, info.nr_watches);
	EXPECT_EQ((uint32_t)other, info.watches[0].id);
}

TEST_F(device, wake_up)
{
	struct epoll_event ev = { .events = EPOLLIN }, got;
	struct queue *q = &self->queue;
	pid_t poster;
	int epfd, i;

	epfd = epoll_create1(0);
	ASSERT_LE(0, epfd);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, q->fd, &ev));

	for (i = 0; i < 9; i++) {
		poster = start_poster(_metadata, self->key, 1, 20);
		switch (i % 3) {
		case 0:
			ASSERT_EQ(POLLIN, poll_for(q->fd, SOON));
			break;
		case 1:
			ASSERT_EQ(1, select_for(q->fd, SOON));
			break;
		case 2:
			ASSERT_EQ(1, epoll_wait(epfd, &got, 1, SOON));
			ASSERT_EQ(EPOLLIN, got.events);
			/* By level: again, as long as there is something. */
			ASSERT_EQ(1, epoll_wait(epfd, &got, 1, 0));
			break;
		}
		wait_for(_metadata, poster);
		expect_update(_metadata, q, self->key);
		ASSERT_EQ(0, epoll_wait(epfd, &got, 1, 0));
		ASSERT_EQ(0, select_for(q->fd, 0));
	}
	close(epfd);
}

TEST_F(device, poll_events)
{
	struct pollfd pfd = { .fd = self->queue.fd };

	pfd.events = POLLIN | POLLRDNORM | POLLOUT | POLLPRI;
	ASSERT_EQ(0, poll(&pfd, 1, 0));
	ASSERT_EQ(0, update_key(self->key));
	ASSERT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLRDNORM, pfd.revents);
}

/* By edge: one event for each time that an empty ring got a record. */
TEST_F(device, epoll_edge)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got;
	struct queue *q = &self->queue;
	pid_t poster;
	int epfd, i;

	epfd = epoll_create1(0);
	ASSERT_LE(0, epfd);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, q->fd, &ev));
	ASSERT_EQ(0, epoll_wait(epfd, &got, 1, 0));

	for (i = 0; i < 3; i++) {
		poster = start_poster(_metadata, self->key, 1, 20);
		ASSERT_EQ(1, epoll_wait(epfd, &got, 1, SOON));
		ASSERT_EQ(EPOLLIN, got.events);
		wait_for(_metadata, poster);

		/* Not drained, and so the reader knows already. */
		ASSERT_EQ(0, epoll_wait(epfd, &got, 1, 0));
		ASSERT_EQ(0, update_key(self->key));
		ASSERT_EQ(0, epoll_wait(epfd, &got, 1, 0));

		/* Half drained is not drained. */
		expect_update(_metadata, q, self->key);
		ASSERT_EQ(0, update_key(self->key));
		ASSERT_EQ(0, epoll_wait(epfd, &got, 1, 0));

		expect_updates(_metadata, q, self->key, 2);
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, epoll_wait(epfd, &got, 1, 0));
	}
	close(epfd);
}

/* A reader that drains by edge misses none of what comes meanwhile. */
TEST_F(device, epoll_edge_race)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got;
	struct queue *q = &self->queue;
	unsigned int read = 0, told = 0;
	union record rec;
	pid_t poster;
	int epfd;

	epfd = epoll_create1(0);
	ASSERT_LE(0, epfd);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, q->fd, &ev));
	poster = start_poster(_metadata, self->key, 5000, 0);

	while (read + told < 5000) {
		ASSERT_EQ(1, epoll_wait(epfd, &got, 1, SOON));
		ASSERT_EQ(EPOLLIN, got.events);
		for (;;) {
			while (ring_next(q, &rec) == 1) {
				if (rec_type(&rec) == WATCH_TYPE_META)
					told += rec.loss.nr_lost;
				else
					read++;
			}
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if (__atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE) !=
			    q->ring->tail)
				continue;

			/* What was lost at the end only poll() will tell. */
			if (!(ring_flags(q) & WATCH_QUEUE_RING_OVERRUN))
				break;
			ASSERT_EQ(POLLIN, poll_for(q->fd, 0));
		}
	}
	wait_for(_metadata, poster);
	EXPECT_EQ(5000, read + told);
	EXPECT_EQ(told, ring_lost(q));
	EXPECT_LT(0, read);
	expect_nothing(_metadata, q);
	close(epfd);
}

/*
 * A user who may not lock memory at will is charged for it, and for as long as
 * the queue is there.
 */
TEST_F(device, memory_limit)
{
	const struct rlimit limit = { 4 * self->page, 4 * self->page };
	struct queue a, b;
	int status, i;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
		if (setuid(SOME_UID))
			_exit(KSFT_SKIP);

		ASSERT_EQ(0, queue_open(&a, QUEUE_DEVICE, 0));
		EXPECT_EQ(-ENOMEM, set_size(a.fd, 8));
		EXPECT_EQ(-ENOMEM, set_size(a.fd, 512));
		EXPECT_EQ(-EINVAL, set_size(a.fd, 3));
		/* Nothing was charged for that, and nothing set. */
		EXPECT_EQ(POLLERR, poll_for(a.fd, 0));
		ASSERT_EQ(0, set_size(a.fd, 4));
		EXPECT_EQ(-EBUSY, set_size(a.fd, 1));

		ASSERT_EQ(0, queue_open(&b, QUEUE_DEVICE, 0));
		EXPECT_EQ(-ENOMEM, set_size(b.fd, 1));
		queue_close(&a);
		ASSERT_EQ(0, set_size(b.fd, 2));
		ASSERT_EQ(0, queue_open(&a, QUEUE_DEVICE, 0));
		EXPECT_EQ(-ENOMEM, set_size(a.fd, 4));
		ASSERT_EQ(0, set_size(a.fd, 2));
		ASSERT_EQ(0, queue_map(&a, 2));
		queue_close(&a);
		queue_close(&b);

		for (i = 0; i < 100; i++) {
			ASSERT_EQ(0, queue_open(&a, QUEUE_DEVICE, 4));
			ASSERT_EQ(-EBUSY, set_size(a.fd, 8));
			queue_close(&a);
			ASSERT_EQ(0, queue_open(&a, QUEUE_DEVICE, 0));
			ASSERT_EQ(-ENOMEM, set_size(a.fd, 8));
			queue_close(&a);
		}
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "cannot become another user");
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(device, memory_limit_is_not_for_root)
{
	const struct rlimit limit = { 0, 0 };
	struct queue q;

	if (geteuid())
		SKIP(return, "not root");
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, queue_open(&q, QUEUE_DEVICE, WATCH_QUEUE_MAX_PAGES));
	queue_close(&q);
}

TEST_HARNESS_MAIN
