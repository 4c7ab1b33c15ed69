// SPDX-License-Identifier: GPL-2.0
/* What is particular to /dev/watch_queue: the ring and the file. */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "expect.h"

#define KEY_TAG		7

#define SLOT		8
#define HEADER_SLOTS	(sizeof(struct watch_queue_ring) / SLOT)
#define KEY_SLOTS	(sizeof(struct key_notification) / SLOT)
#define LOSS_SLOTS	(sizeof(struct watch_notification_loss) / SLOT)
#define MAX_RECORD	120

/* A user who has locked no memory. */
#define SOME_UID	54321

static_assert(sizeof(struct watch_queue_ring) == 72, "ring header");
static_assert(offsetof(struct watch_queue_ring, tail) == 64, "tail");

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

static void update_times(struct __test_metadata *_metadata, int32_t key, int times)
{
	int ret;

	while (times--) {
		ret = update_key(key);
		ASSERT_EQ(0, ret);
	}
}

static void expect_update(struct __test_metadata *_metadata, struct queue *q,
			  int32_t key)
{
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, key, 0);
}

static void expect_updates(struct __test_metadata *_metadata, struct queue *q,
			   int32_t key, int times)
{
	while (times--)
		expect_update(_metadata, q, key);
}

static void expect_loss(struct __test_metadata *_metadata, struct queue *q,
			uint64_t nr_lost, uint32_t types)
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

static uint32_t ring_flags(const struct queue *q)
{
	return __atomic_load_n(&q->ring->flags, __ATOMIC_ACQUIRE);
}

static uint64_t ring_lost(const struct queue *q)
{
	return q->ring->lost;
}

static void store_tail(struct queue *q, uint32_t tail)
{
	__atomic_store_n(&q->ring->tail, tail, __ATOMIC_RELEASE);
}

/* How many key events fit into a ring that was never read. */
static int nr_fit(const struct queue *q)
{
	return (q->slots - HEADER_SLOTS) / KEY_SLOTS;
}

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

	/* What came before the size was lost, and that is told. */
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

/* A process that updates the key after @delay ms; ends with its parent. */
static pid_t start_poster(struct __test_metadata *_metadata, int32_t key, int times,
			  int delay)
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

static void wait_for(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

/* For those that would go on. */
static void stop(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
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

/* Exactly what fits is stored, and the count of the rest told by poll(). */
TEST_F(device, loss_told_by_poll)
{
	struct queue *q = &self->queue;
	const int fit = nr_fit(q);
	uint64_t lost = 0;
	union record rec;
	int lap, i;

	update_times(_metadata, self->key, fit);
	EXPECT_EQ(0, ring_lost(q));
	EXPECT_EQ(0, ring_flags(q));
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));

	for (lap = 1; lap <= 3; lap++) {
		update_times(_metadata, self->key, 10 * lap);
		lost = ring_lost(q) - lost;
		EXPECT_EQ(lap == 1 ? 10 : 10 * lap + 1, lost);
		EXPECT_EQ(WATCH_QUEUE_RING_OVERRUN, ring_flags(q));
		EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
		EXPECT_EQ(WATCH_QUEUE_RING_OVERRUN, ring_flags(q));

		i = 0;
		while (ring_next(q, &rec) == 1) {
			ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
			i++;
		}
		if (lap == 1)
			EXPECT_EQ(fit, i);

		EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
		EXPECT_EQ(0, ring_flags(q));
		ASSERT_EQ(0, update_key(self->key));
		expect_loss(_metadata, q, lost, 1 << WATCH_TYPE_KEY_NOTIFY);
		expect_update(_metadata, q, self->key);
		expect_nothing(_metadata, q);

		/* Told is not forgotten. */
		lost = ring_lost(q);
		EXPECT_LT(0, lost);

		/* Once more, from wherever head is by now. */
		while (ring_lost(q) == lost)
			update_times(_metadata, self->key, 1);
	}
}

/*
 * The next post tells the loss, if that record fits too.  Up to the end of the
 * ring there is one slot, and at its beginning the header.
 */
TEST_F(device, loss_told_by_post)
{
	struct queue *q = &self->queue;
	const int fit = nr_fit(q);
	unsigned int needed, room;
	uint32_t head;
	int read = 0;

	update_times(_metadata, self->key, fit + 5);
	EXPECT_EQ(5, ring_lost(q));

	room = HEADER_SLOTS + (q->slots - HEADER_SLOTS) % KEY_SLOTS;
	needed = room + LOSS_SLOTS + KEY_SLOTS;
	for (; room + KEY_SLOTS < needed; room += KEY_SLOTS) {
		expect_update(_metadata, q, self->key);
		read++;
	}

	/* Too little for both, and for poll() to tell it all the more. */
	head = q->ring->head;
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(6, ring_lost(q));
	EXPECT_EQ(WATCH_QUEUE_RING_OVERRUN, ring_flags(q));
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
	EXPECT_EQ(WATCH_QUEUE_RING_OVERRUN, ring_flags(q));
	EXPECT_EQ(head, q->ring->head);

	/* One record less, and there is room. */
	expect_update(_metadata, q, self->key);
	read++;
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(6, ring_lost(q));
	EXPECT_EQ(0, ring_flags(q));

	expect_updates(_metadata, q, self->key, fit - read);
	expect_loss(_metadata, q, 6, 1 << WATCH_TYPE_KEY_NOTIFY);
	expect_update(_metadata, q, self->key);
	expect_nothing(_metadata, q);
}

/* A META record that is lost counts, as type 0. */
TEST_F(device, loss_of_removal)
{
	struct queue *q = &self->queue;

	update_times(_metadata, self->key, nr_fit(q));
	ASSERT_EQ(0, watch_key(self->key, q->fd, -1));
	EXPECT_EQ(1, ring_lost(q));
	expect_updates(_metadata, q, self->key, nr_fit(q));
	expect_loss(_metadata, q, 1, 1 << WATCH_TYPE_META);
	expect_nothing(_metadata, q);
}

TEST_F(device, corrupt_tail)
{
	struct queue *q = &self->queue;
	const uint32_t insane[] = {
		1, 2, 9, q->slots, 0x7fffffff, 0x80000000,
		-q->slots - 1, -q->slots - 2, -2 * q->slots, -0x40000000,
	};
	struct epoll_event ev = { .events = EPOLLIN }, got;
	uint64_t lost = 0;
	struct fdinfo info;
	unsigned int i;
	uint32_t tail;
	bool stored;
	int epfd;

	epfd = epoll_create1(0);
	ASSERT_LE(0, epfd);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, q->fd, &ev));

	for (i = 0; i < ARRAY_SIZE(insane); i++) {
		const uint32_t head = q->ring->head;

		TH_LOG("head + %#x", insane[i]);

		/* With a record in the ring, or none. */
		if (i & 1)
			ASSERT_EQ(0, update_key(self->key));

		store_tail(q, q->ring->head + insane[i]);
		EXPECT_EQ(POLLERR, poll_for(q->fd, 0));
		EXPECT_EQ(WATCH_QUEUE_RING_CORRUPT,
			  ring_flags(q) & WATCH_QUEUE_RING_CORRUPT);
		update_times(_metadata, self->key, 3);
		lost += 3;
		EXPECT_EQ(lost, ring_lost(q));
		ASSERT_EQ(0, read_fdinfo(q->fd, &info));
		EXPECT_EQ(lost, info.lost);
		EXPECT_EQ(info.head, q->ring->head);
		EXPECT_EQ(POLLERR, poll_for(q->fd, 0));
		EXPECT_EQ(1, epoll_wait(epfd, &got, 1, 0));
		EXPECT_EQ(EPOLLERR, got.events);

		/* As if nothing had been. */
		store_tail(q, head);
		EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
		EXPECT_EQ(0, ring_flags(q));
		if (i & 1)
			expect_update(_metadata, q, self->key);
		expect_loss(_metadata, q, 3, 1 << WATCH_TYPE_KEY_NOTIFY);
		ASSERT_EQ(0, update_key(self->key));
		expect_update(_metadata, q, self->key);
		expect_nothing(_metadata, q);
	}

	/* A post alone sees it too, though perhaps too late to lose its record. */
	tail = q->ring->tail;
	store_tail(q, tail + 9);
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(WATCH_QUEUE_RING_CORRUPT,
		  ring_flags(q) & WATCH_QUEUE_RING_CORRUPT);
	stored = lost == ring_lost(q);
	update_times(_metadata, self->key, stored);
	EXPECT_EQ(lost + 1, ring_lost(q));
	EXPECT_EQ(WATCH_QUEUE_RING_CORRUPT | WATCH_QUEUE_RING_OVERRUN, ring_flags(q));

	/* And a post alone sees that it is over. */
	store_tail(q, tail);
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(0, ring_flags(q));
	if (stored)
		expect_update(_metadata, q, self->key);
	expect_loss(_metadata, q, 1, 1 << WATCH_TYPE_KEY_NOTIFY);
	expect_update(_metadata, q, self->key);

	/* The last tail that is sane: a full ring, which is no error. */
	lost = ring_lost(q);
	store_tail(q, q->ring->head - q->slots);
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
	EXPECT_EQ(0, ring_flags(q));
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(lost + 1, ring_lost(q));
	EXPECT_EQ(WATCH_QUEUE_RING_OVERRUN, ring_flags(q));
	store_tail(q, q->ring->head);
	expect_loss(_metadata, q, 1, 1 << WATCH_TYPE_KEY_NOTIFY);
	expect_nothing(_metadata, q);
	close(epfd);
}

/* Records keep their order and content over many laps. */
TEST_F(device, laps)
{
	struct queue *q = &self->queue;
	const unsigned int total = 6000;
	unsigned int posted = 0, read = 0, batch, seed = 1;
	char description[32];
	union record rec;
	int32_t keys[7];
	int i;

	for (i = 0; i < 7; i++) {
		snprintf(description, sizeof(description), "watch_queue:%d", i);
		keys[i] = add_key("user", description, "x", KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, keys[i]);
		ASSERT_EQ(0, watch_key(keys[i], q->fd, 100 + i));
	}

	while (read < total) {
		/* At most what fits wherever the end of the ring is. */
		batch = rand_r(&seed) % 200;
		while (posted < total && posted - read < batch)
			update_times(_metadata, keys[posted++ % 7], 1);
		for (batch = rand_r(&seed) % 200; batch && read < posted; batch--) {
			ASSERT_EQ(1, ring_next(q, &rec));
			ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
			ASSERT_EQ(NOTIFY_KEY_UPDATED, rec_subtype(&rec));
			ASSERT_EQ((uint32_t)keys[read % 7], rec.key.key_id);
			ASSERT_EQ(100 + read % 7, rec_tag(&rec));
			read++;
		}
	}
	expect_nothing(_metadata, q);
	EXPECT_EQ(0, ring_lost(q));
	EXPECT_LE(total / nr_fit(q) - 1, q->laps);
	/* Two slots at a time leave one at the end. */
	EXPECT_EQ(1 << 1, q->skips);
}

static pid_t start_scribbler(struct __test_metadata *_metadata, struct queue *q)
{
	uint32_t *words = (uint32_t *)q->ring, *word;
	const unsigned int nr = q->bytes / 4;
	uint32_t *head = &q->ring->head;
	uint32_t *tail = &q->ring->tail;
	unsigned int seed = 7;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid)
		return pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		uint32_t value = (uint32_t)rand_r(&seed) * 2654435761u;

		word = tail;
		switch (rand_r(&seed) % 8) {
		case 0:
			break;
		case 1:
			word = head;
			break;
		case 2:
			value = __atomic_load_n(head, __ATOMIC_RELAXED);
			break;
		case 3:
			value = __atomic_load_n(head, __ATOMIC_RELAXED) -
				value % (2 * q->slots);
			break;
		case 4:
		case 5:
			word = words + value % (sizeof(struct watch_queue_ring) / 4);
			break;
		default:
			word = words + value % nr;
		}
		__atomic_store_n(word, value, __ATOMIC_RELAXED);
	}
}

/* Any value in any word at any time. */
TEST_F(device, hostile_words)
{
	struct queue *q = &self->queue;
	const struct watch_queue_ring saved = *q->ring;
	struct timespec start, now;
	struct fdinfo info;
	union record rec;
	pid_t scribbler;
	int i = 0, ret;

	scribbler = start_scribbler(_metadata, q);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		ASSERT_EQ(0, update_key(self->key));
		ret = poll_for(q->fd, 0);
		ASSERT_TRUE(ret == 0 || ret == POLLIN || ret == POLLERR);
		if (++i % 16 == 0) {
			ASSERT_EQ(0, read_fdinfo(q->fd, &info));
			ASSERT_EQ(1, info.size);
			ASSERT_EQ(-EBUSY, watch_key(self->key, q->fd, 1));
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec == start.tv_sec || now.tv_nsec < start.tv_nsec);
	stop(_metadata, scribbler);

	/* Restore what the kernel writes only once, and make tail sane. */
	ASSERT_EQ(0, read_fdinfo(q->fd, &info));
	q->ring->watch = saved.watch;
	q->ring->mask = saved.mask;
	q->ring->version = saved.version;
	store_tail(q, info.head);
	EXPECT_EQ(0, poll_for(q->fd, 0) & POLLERR);
	ASSERT_EQ(0, update_key(self->key));
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));

	/* That there was a loss is told at most once, and before the record. */
	ASSERT_EQ(1, ring_next(q, &rec));
	if (rec_type(&rec) == WATCH_TYPE_META) {
		ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(1 << WATCH_TYPE_KEY_NOTIFY, rec.loss.types);
		ASSERT_LT(0, rec.loss.nr_lost);
		ASSERT_LE(rec.loss.nr_lost, info.lost);
		ASSERT_EQ(1, ring_next(q, &rec));
	}
	ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	ASSERT_EQ((uint32_t)self->key, rec.key.key_id);
	expect_nothing(_metadata, q);

	/* And so for some laps. */
	for (i = 0; i < 3 * nr_fit(q); i++) {
		ASSERT_EQ(0, update_key(self->key));
		expect_update(_metadata, q, self->key);
	}
	EXPECT_LE(2, q->laps);

	/* The kernel's counts are its own. */
	update_times(_metadata, self->key, nr_fit(q) + 2);
	ASSERT_EQ(0, read_fdinfo(q->fd, &info));
	EXPECT_EQ(info.lost, ring_lost(q));
	EXPECT_EQ(info.head, q->ring->head);
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

/* Without CONFIG_WATCH_QUEUE_DEV_INJECT, write() is not there, and says so. */
static uint32_t info_of(unsigned int len, uint32_t rest)
{
	return len << WATCH_INFO_LENGTH__SHIFT | rest;
}

static int inject(int fd, const void *buf, size_t len)
{
	ssize_t ret = write(fd, buf, len);

	return ret < 0 ? -errno : ret;
}

TEST_F(device, write)
{
	struct queue *q = &self->queue;
	struct watch_notification n = { .type = 1, .info = info_of(8, 0) };
	union record rec;
	int ret;

	ret = inject(q->fd, &n, sizeof(n));
	if (ret == -EOPNOTSUPP) {
		/* Whatever it is that is written. */
		EXPECT_EQ(-EOPNOTSUPP, inject(q->fd, &n, 1));
		expect_nothing(_metadata, q);
		return;
	}
	ASSERT_EQ(8, ret);
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(1, rec_type(&rec));
	EXPECT_EQ(8, rec.watch.info);
}

FIXTURE(inject)
{
	struct queue queue;
};

FIXTURE_SETUP(inject)
{
	struct watch_notification n = { .type = 1, .info = info_of(8, 0) };
	union record rec;
	int ret;

	if (!open_or_skip(_metadata, &self->queue, QUEUE_DEVICE, 1))
		return;
	ret = inject(self->queue.fd, &n, sizeof(n));
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no CONFIG_WATCH_QUEUE_DEV_INJECT");
	ASSERT_EQ(sizeof(n), ret);
	ASSERT_EQ(1, queue_next(&self->queue, &rec, 0));
}

FIXTURE_TEARDOWN(inject)
{
	queue_close(&self->queue);
}

static void put(union record *rec, unsigned int type, unsigned int subtype,
		uint32_t info)
{
	memset(rec, 0x5a, sizeof(*rec));
	rec->watch.type = type;
	rec->watch.subtype = subtype;
	rec->watch.info = info;
}

static void inject_times(struct __test_metadata *_metadata, struct queue *q,
			 const union record *rec, int times)
{
	int ret;

	while (times--) {
		ret = inject(q->fd, rec, rec_len(rec));
		ASSERT_EQ(rec_len(rec), ret);
	}
}

TEST_F(inject, errors)
{
	struct queue *q = &self->queue;
	const int fd = q->fd;
	uint64_t buf[32];
	union record rec, got;
	unsigned int len;
	struct queue other;
	void *unmapped;

	unmapped = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(unmapped != MAP_FAILED);

	/* Less than a header, lengths that are none, more than is there. */
	put(&rec, 1, 0, info_of(8, 0));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 1));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 7));
	for (len = 0; len <= 127; len++) {
		put(&rec, 1, 0, info_of(len, 0));
		EXPECT_EQ(-EINVAL, inject(fd, &rec, len == 0 || len % 8 ? 128 : len - 1));
	}
	put(&rec, 1, 0, info_of(24, 0));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 16));
	put(&rec, 1, 0, info_of(120, 0));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 112));

	/* The kernel's own, and tags. */
	put(&rec, WATCH_TYPE_META, WATCH_META_REMOVAL_NOTIFICATION, info_of(8, 0));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 8));
	put(&rec, WATCH_TYPE_META, WATCH_META_SKIP_NOTIFICATION, info_of(8, 0));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 8));
	put(&rec, WATCH_TYPE_META, 200, info_of(8, 0));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 8));
	put(&rec, 1, 0, info_of(8, 1 << WATCH_INFO_ID__SHIFT));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 8));
	put(&rec, 1, 0, info_of(8, WATCH_INFO_ID));
	EXPECT_EQ(-EINVAL, inject(fd, &rec, 8));
	EXPECT_EQ(-EFAULT, inject(fd, unmapped, 8));
	expect_nothing(_metadata, q);
	EXPECT_EQ(0, ring_lost(q));

	/* A bad one behind good ones is not taken, and they are. */
	memset(buf, 0, sizeof(buf));
	put(&rec, 1, 1, info_of(16, 0));
	memcpy(buf, &rec, 16);
	put(&rec, 2, 2, info_of(8, 0));
	memcpy(buf + 2, &rec, 8);
	put(&rec, WATCH_TYPE_META, 0, info_of(8, 0));
	memcpy(buf + 3, &rec, 8);
	EXPECT_EQ(24, inject(fd, buf, 32));
	EXPECT_EQ(24, inject(fd, buf, 24));
	EXPECT_EQ(24, inject(fd, buf, 28));
	for (len = 0; len < 3; len++) {
		ASSERT_EQ(1, queue_next(q, &got, 0));
		EXPECT_EQ(1, rec_type(&got));
		EXPECT_EQ(16, rec_len(&got));
		ASSERT_EQ(1, queue_next(q, &got, 0));
		EXPECT_EQ(2, rec_type(&got));
		EXPECT_EQ(8, rec_len(&got));
	}
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, queue_open(&other, QUEUE_DEVICE, 0));
	put(&rec, 1, 0, info_of(8, 0));
	EXPECT_EQ(-ENOBUFS, inject(other.fd, &rec, 8));
	queue_close(&other);
}

/* Record @seq of a stream in which nothing is like its neighbour. */
static unsigned int make(union record *rec, uint32_t seq)
{
	uint32_t x = seq * 2654435761u;
	unsigned int len = 8 + (x >> 8) % 15 * 8, i;

	/* Long ones leave long gaps. */
	if (x >> 29 > 3)
		len = MAX_RECORD;
	memset(rec, 0, sizeof(*rec));
	rec->watch.type = 1 + (x & 0x7fffff);
	rec->watch.subtype = x >> 24;
	rec->watch.info = info_of(len, (x << 16) & WATCH_INFO_TYPE_INFO);
	for (i = sizeof(rec->watch); i < len; i++)
		rec->bytes[i] = seq + 3 * i;
	return len;
}

/* Records of every length at every place, and so padding of every length. */
TEST_F(inject, laps)
{
	struct queue *q = &self->queue;
	const unsigned int total = 12000;
	unsigned int written = 0, read = 0, n, len, seed = 3;
	uint8_t buf[4 * MAX_RECORD];
	union record rec, got;

	while (read < total) {
		while (written < total && written - read < 20) {
			len = 0;
			for (n = 1 + rand_r(&seed) % 4; n; n--) {
				unsigned int l = make(&rec, written++);

				memcpy(buf + len, &rec, l);
				len += l;
			}
			ASSERT_EQ(len, inject(q->fd, buf, len));
		}
		for (n = rand_r(&seed) % 20; n && read < written; n--) {
			ASSERT_EQ(1, ring_next(q, &got));
			make(&rec, read++);
			ASSERT_EQ(0, memcmp(&rec, &got, sizeof(rec)));
		}
	}
	while (read < written) {
		ASSERT_EQ(1, ring_next(q, &got));
		make(&rec, read++);
		ASSERT_EQ(0, memcmp(&rec, &got, sizeof(rec)));
	}
	expect_nothing(_metadata, q);
	EXPECT_EQ(0, ring_lost(q));
	EXPECT_LE(100, q->laps);
	EXPECT_EQ(0x7ffe, q->skips);
}

TEST_F(inject, filter_all_subtypes)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter entry;
	} f = { .head.nr_filters = 1, .entry.type = 1 };
	const unsigned int wanted[] = { 0, 7, 31, 32, 63, 64, 100, 128, 200, 254, 255 };
	struct queue *q = &self->queue;
	union record rec, got;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		f.entry.subtype_filter[wanted[i] / 32] |= 1u << wanted[i] % 32;
	ASSERT_EQ(0, set_filter(q->fd, &f));

	for (i = 0; i < 256; i++) {
		put(&rec, 1, i, info_of(16, 0));
		inject_times(_metadata, q, &rec, 1);
		put(&rec, 2, i, info_of(8, 0));
		inject_times(_metadata, q, &rec, 1);
		put(&rec, 0x10001, i, info_of(8, 0));
		inject_times(_metadata, q, &rec, 1);
	}
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		ASSERT_EQ(1, queue_next(q, &got, 0));
		EXPECT_EQ(1, rec_type(&got));
		EXPECT_EQ(wanted[i], rec_subtype(&got));
	}
	expect_nothing(_metadata, q);
	EXPECT_EQ(0, ring_lost(q));

	/* What an info filter looks at. */
	memset(f.entry.subtype_filter, 0xff, sizeof(f.entry.subtype_filter));
	f.entry.info_mask = WATCH_INFO_FLAG_0 | WATCH_INFO_FLAG_7 | 0x80000000;
	f.entry.info_filter = WATCH_INFO_FLAG_7;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	for (i = 0; i < 256; i++) {
		put(&rec, 1, 0, info_of(8, i << 16));
		inject_times(_metadata, q, &rec, 1);
	}
	put(&rec, 1, 0, info_of(8, WATCH_INFO_FLAG_7 | 0x80000000));
	inject_times(_metadata, q, &rec, 1);
	for (i = 0; i < 256; i++) {
		if ((i & 0x81) != 0x80)
			continue;
		ASSERT_EQ(1, queue_next(q, &got, 0));
		EXPECT_EQ(info_of(8, i << 16), got.watch.info);
	}
	expect_nothing(_metadata, q);
}

/* The types of what was lost, from 31 up in one bit. */
TEST_F(inject, loss)
{
	const unsigned int types[] = { 1, 5, 30, 31, 40, 0xffffff };
	struct queue *q = &self->queue;
	union record rec, got;
	uint64_t lost = 0;
	unsigned int i, n;
	uint32_t mask;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		/* Small ones to the brim, and then three that do not fit. */
		put(&rec, 77, 0, info_of(8, 0));
		for (n = 0; ring_lost(q) == lost; n++)
			inject_times(_metadata, q, &rec, 1);
		put(&rec, types[i], 0, info_of(MAX_RECORD, 0));
		inject_times(_metadata, q, &rec, 2);
		lost += 3;
		EXPECT_EQ(lost, ring_lost(q));

		while (--n) {
			ASSERT_EQ(1, ring_next(q, &got));
			ASSERT_EQ(77, rec_type(&got));
		}
		ASSERT_EQ(0, ring_next(q, &got));
		mask = 1u << 31;
		if (types[i] < 31)
			mask |= 1u << types[i];
		expect_loss(_metadata, q, 3, mask);
		expect_nothing(_metadata, q);
	}
}

/* One slot at a time fills the ring to its last slot. */
TEST_F(inject, exact_fill)
{
	struct queue *q = &self->queue;
	union record rec, got;
	struct queue fresh;
	unsigned int i;

	ASSERT_EQ(0, queue_open(&fresh, QUEUE_DEVICE, 1));
	put(&rec, 1, 0, info_of(8, 0));
	inject_times(_metadata, &fresh, &rec, fresh.slots - HEADER_SLOTS);
	EXPECT_EQ(0, ring_lost(&fresh));
	EXPECT_EQ(0, ring_flags(&fresh));
	EXPECT_EQ(POLLIN, poll_for(fresh.fd, 0));
	inject_times(_metadata, &fresh, &rec, 1);
	EXPECT_EQ(1, ring_lost(&fresh));
	for (i = 0; i < fresh.slots - HEADER_SLOTS; i++) {
		ASSERT_EQ(1, ring_next(&fresh, &got));
		ASSERT_EQ(1, rec_type(&got));
	}
	ASSERT_EQ(0, ring_next(&fresh, &got));
	expect_loss(_metadata, &fresh, 1, 1 << 1);
	queue_close(&fresh);
	expect_nothing(_metadata, q);
}

TEST_HARNESS_MAIN
