// SPDX-License-Identifier: GPL-2.0
/* The ring of /dev/watch_queue: losses, padding, and whatever a reader stores there. */

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "device_fixture.h"

#define MAX_RECORD	120

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

	/* A loss is reported at most once, and before the record. */
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
