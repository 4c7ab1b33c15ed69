// SPDX-License-Identifier: GPL-2.0
/* Key events, filters and watches, the same over both kinds of queue. */

#include <errno.h>
#include <libgen.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "expect.h"

#define RING_TAG	0x11
#define KEY_TAG		0x22

/* The test puts itself there for a while; upcalls of others then get nothing. */
#define UPCALL		"/sbin/request-key"

FIXTURE(key)
{
	struct queue queue;
	int32_t session, ring, key;
};

QUEUE_VARIANTS(key, 32, 1);

FIXTURE_SETUP(key)
{
	int ret;

	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	self->session = join_new_session();
	ASSERT_LT(0, self->session);
	self->ring = add_key("keyring", "watch_queue:ring", NULL, self->session);
	ASSERT_LT(0, self->ring);
	self->key = add_key("user", "watch_queue:key", "old", self->ring);
	ASSERT_LT(0, self->key);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, self->key, POS_ALL | USR_ALL, 0, 0));

	ret = watch_key(self->ring, self->queue.fd, RING_TAG);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no CONFIG_KEY_NOTIFICATIONS");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, watch_key(self->key, self->queue.fd, KEY_TAG));
}

FIXTURE_TEARDOWN(key)
{
	queue_close(&self->queue);
}

/*
 * The table of operations: what is done, and the events that it causes on the
 * keyring and on the key that it holds, in this order.
 */
struct keys {
	int32_t session, ring, key;
};

/* The key that comes or goes is the result where it is not keys->key. */
static long add(const struct keys *k)
{
	return add_key("user", "watch_queue:other", "x", k->ring);
}

static long add_again(const struct keys *k)
{
	return add_key("user", "watch_queue:key", "new", k->ring);
}

static long add_ring(const struct keys *k)
{
	return add_key("keyring", "watch_queue:inner", NULL, k->ring);
}

static long displace(const struct keys *k)
{
	int32_t other = add_key("user", "watch_queue:key", "x", k->session);
	long ret = sys_keyctl(KEYCTL_LINK, other, k->ring, 0, 0);

	return ret ?: other;
}

static long update(const struct keys *k)
{
	return update_key(k->key);
}

static long unlink_key(const struct keys *k)
{
	return sys_keyctl(KEYCTL_UNLINK, k->key, k->ring, 0, 0);
}

static long link_elsewhere(const struct keys *k)
{
	return sys_keyctl(KEYCTL_LINK, k->key, k->session, 0, 0);
}

static long move_out(const struct keys *k)
{
	return sys_keyctl(KEYCTL_MOVE, k->key, k->ring, k->session, 0);
}

static long move_in(const struct keys *k)
{
	int32_t other = add_key("user", "watch_queue:moved", "x", k->session);
	long ret = sys_keyctl(KEYCTL_MOVE, other, k->session, k->ring,
			      KEYCTL_MOVE_EXCL);

	return ret ?: other;
}

static long clear(const struct keys *k)
{
	return sys_keyctl(KEYCTL_CLEAR, k->ring, 0, 0, 0);
}

static long revoke_key(const struct keys *k)
{
	return sys_keyctl(KEYCTL_REVOKE, k->key, 0, 0, 0);
}

static long revoke_ring(const struct keys *k)
{
	return sys_keyctl(KEYCTL_REVOKE, k->ring, 0, 0, 0);
}

static long revoke_twice(const struct keys *k)
{
	long ret = revoke_key(k);

	return ret ?: revoke_key(k) == -EKEYREVOKED ? 0 : -EPROTO;
}

static long invalidate(const struct keys *k)
{
	return sys_keyctl(KEYCTL_INVALIDATE, k->key, 0, 0, 0);
}

static long setperm(const struct keys *k)
{
	return sys_keyctl(KEYCTL_SETPERM, k->key, POS_ALL, 0, 0);
}

static long setperm_ring(const struct keys *k)
{
	return sys_keyctl(KEYCTL_SETPERM, k->ring, POS_ALL, 0, 0);
}

static long chown_key(const struct keys *k)
{
	return sys_keyctl(KEYCTL_CHOWN, k->key, getuid(), getgid(), 0);
}

static long set_timeout(const struct keys *k)
{
	return sys_keyctl(KEYCTL_SET_TIMEOUT, k->key, 1000, 0, 0);
}

static long restrict_ring(const struct keys *k)
{
	return sys_keyctl(KEYCTL_RESTRICT_KEYRING, k->ring, 0, 0, 0);
}

static long read_key(const struct keys *k)
{
	char buf[8];

	return sys_keyctl(KEYCTL_READ, k->key, (unsigned long)buf, 8, 0) == 3 ?
		0 : -EPROTO;
}

enum { NONE = -1, AUX_0, AUX_KEY, AUX_RESULT };

static const struct op {
	const char *name;
	long (*run)(const struct keys *k);
	int on_ring, ring_aux;	/* Subtype and aux of the keyring's event */
	int on_key;		/* Subtype of the key's event */
	bool key_dies;
} ops[] = {
	{ "add", add, NOTIFY_KEY_LINKED, AUX_RESULT, NONE, false },
	{ "add again", add_again, NONE, 0, NOTIFY_KEY_UPDATED, false },
	{ "add ring", add_ring, NOTIFY_KEY_LINKED, AUX_RESULT, NONE, false },
	{ "displace", displace, NOTIFY_KEY_LINKED, AUX_RESULT, NONE, true },
	{ "update", update, NONE, 0, NOTIFY_KEY_UPDATED, false },
	{ "unlink", unlink_key, NOTIFY_KEY_UNLINKED, AUX_KEY, NONE, true },
	{ "link elsewhere", link_elsewhere, NONE, 0, NONE, false },
	{ "move out", move_out, NOTIFY_KEY_UNLINKED, AUX_KEY, NONE, false },
	{ "move in", move_in, NOTIFY_KEY_LINKED, AUX_RESULT, NONE, false },
	{ "clear", clear, NOTIFY_KEY_CLEARED, AUX_0, NONE, true },
	{ "revoke", revoke_key, NONE, 0, NOTIFY_KEY_REVOKED, false },
	{ "revoke twice", revoke_twice, NONE, 0, NOTIFY_KEY_REVOKED, false },
	{ "revoke ring", revoke_ring, NOTIFY_KEY_REVOKED, AUX_0, NONE, true },
	{ "invalidate", invalidate, NONE, 0, NOTIFY_KEY_INVALIDATED, true },
	{ "setperm", setperm, NONE, 0, NOTIFY_KEY_SETATTR, false },
	{ "setperm ring", setperm_ring, NOTIFY_KEY_SETATTR, AUX_0, NONE, false },
	{ "chown", chown_key, NONE, 0, NOTIFY_KEY_SETATTR, false },
	{ "set timeout", set_timeout, NONE, 0, NOTIFY_KEY_SETATTR, false },
	{ "restrict", restrict_ring, NOTIFY_KEY_SETATTR, AUX_0, NONE, false },
	{ "read", read_key, NONE, 0, NONE, false },
};

TEST_F(key, events)
{
	struct queue *q = &self->queue;
	char description[32];
	const struct op *op;
	struct keys k;
	long result;

	queue_close(q);
	k.session = self->session;

	for (op = ops; op < ops + ARRAY_SIZE(ops); op++) {
		TH_LOG("%s", op->name);

		ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
		snprintf(description, sizeof(description), "watch_queue:%s", op->name);
		k.ring = add_key("keyring", description, NULL, k.session);
		ASSERT_LT(0, k.ring);
		k.key = add_key("user", "watch_queue:key", "old", k.ring);
		ASSERT_LT(0, k.key);
		ASSERT_EQ(0, watch_key(k.ring, q->fd, RING_TAG));
		ASSERT_EQ(0, watch_key(k.key, q->fd, KEY_TAG));

		result = op->run(&k);
		ASSERT_LE(0, result);

		if (op->on_ring != NONE)
			expect_key(_metadata, q, op->on_ring, RING_TAG, k.ring,
				   op->ring_aux == AUX_RESULT ? result :
				   op->ring_aux == AUX_KEY ? k.key : 0);
		if (op->on_key != NONE)
			expect_key(_metadata, q, op->on_key, KEY_TAG, k.key, 0);
		if (op->key_dies)
			expect_removal(_metadata, q, KEY_TAG, k.key);
		expect_nothing(_metadata, q);

		/* The watches that are left end with the queue, silently. */
		queue_close(q);
		sys_keyctl(KEYCTL_UNLINK, k.ring, k.session, 0, 0);
	}
}

/* A keyring dies, and with it all that nothing else holds. */
TEST_F(key, death)
{
	struct queue *q = &self->queue;
	bool ring_gone = false, key_gone = false;
	union record rec;

	ASSERT_EQ(0, sys_keyctl(KEYCTL_UNLINK, self->ring, self->session, 0, 0));

	while (!ring_gone || !key_gone) {
		ASSERT_EQ(1, queue_next(q, &rec, SOON));
		ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
		ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		ASSERT_EQ(sizeof(rec.removal), rec_len(&rec));
		if (rec_tag(&rec) == RING_TAG) {
			ASSERT_FALSE(ring_gone);
			ASSERT_EQ((uint64_t)self->ring, rec.removal.id);
			ring_gone = true;
		} else {
			ASSERT_EQ(KEY_TAG, rec_tag(&rec));
			ASSERT_FALSE(key_gone);
			ASSERT_EQ((uint64_t)self->key, rec.removal.id);
			key_gone = true;
		}
	}
	expect_nothing(_metadata, q);

	EXPECT_EQ(-ENOKEY, watch_key(self->key, q->fd, -1));
}

/*
 * A watch does not keep its setter's own keyrings alive: a child watches its
 * session keyring through a queue that it shares with us, and exits.
 */
TEST_F(key, session_dies)
{
	struct queue *q = &self->queue;
	union record rec;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		int32_t session = join_new_session();

		_exit(session < 0 || watch_key(session, q->fd, 9) != 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);

	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	EXPECT_EQ(WATCH_TYPE_META, rec_type(&rec));
	EXPECT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
	EXPECT_EQ(9, rec_tag(&rec));
}

TEST_F(key, removal)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, watch_key(self->key, q->fd, -1));
	expect_removal(_metadata, q, KEY_TAG, self->key);
	EXPECT_EQ(-EBADSLT, watch_key(self->key, q->fd, -1));

	ASSERT_EQ(0, update_key(self->key));
	expect_nothing(_metadata, q);

	/* The other watch is still there, and this one can come back. */
	ASSERT_EQ(0, watch_key(self->key, q->fd, 0x33));
	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, 0x33, self->key, 0);
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, self->ring, 0, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_CLEARED, RING_TAG, self->ring, 0);
	expect_removal(_metadata, q, 0x33, self->key);
	expect_nothing(_metadata, q);
}

TEST_F(key, tags)
{
	struct queue *q = &self->queue;
	int tag;

	for (tag = 0; tag <= 255; tag++) {
		ASSERT_EQ(0, watch_key(self->key, q->fd, -1));
		expect_removal(_metadata, q, tag ? tag - 1 : KEY_TAG, self->key);
		ASSERT_EQ(0, watch_key(self->key, q->fd, tag));
		ASSERT_EQ(0, update_key(self->key));
		expect_key(_metadata, q, NOTIFY_KEY_UPDATED, tag, self->key, 0);
	}
	expect_nothing(_metadata, q);
}

TEST_F(key, watch_errors)
{
	struct queue *q = &self->queue;
	struct rlimit limit, none;
	int32_t other;
	int fds[2], fd;

	other = add_key("user", "watch_queue:other", "x", self->session);
	ASSERT_LT(0, other);

	/* Identifiers, wrong even where everything else is. */
	EXPECT_EQ(-EINVAL, watch_key(other, q->fd, -2));
	EXPECT_EQ(-EINVAL, watch_key(other, q->fd, 256));
	EXPECT_EQ(-EINVAL, watch_key(other, -1, 0x7fffffff));

	/* Keys. */
	EXPECT_EQ(-EINVAL, watch_key(0, q->fd, 0));
	EXPECT_EQ(-EINVAL, watch_key(-1000, q->fd, 0));

	/* Queues. */
	ASSERT_EQ(0, sys_pipe(fds, 0));
	EXPECT_EQ(-EINVAL, watch_key(other, fds[0], 0));
	EXPECT_EQ(-EINVAL, watch_key(other, fds[0], -1));
	fd = sys_open("/proc/self/maps", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, watch_key(other, fd, 0));
	close(fd);

	/* Watches. */
	EXPECT_EQ(-EBADSLT, watch_key(other, q->fd, -1));
	ASSERT_EQ(0, watch_key(other, q->fd, 1));
	EXPECT_EQ(-EBUSY, watch_key(other, q->fd, 1));
	EXPECT_EQ(-EBUSY, watch_key(other, q->fd, 2));
	ASSERT_EQ(0, watch_key(other, q->fd, -1));
	expect_removal(_metadata, q, 1, other);
	EXPECT_EQ(-EBADSLT, watch_key(other, q->fd, -1));

	/* A user has no more watches than files. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EAGAIN, watch_key(other, q->fd, 1));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, watch_key(other, q->fd, 1));

	/* A key must be there and let itself be viewed. */
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, other,
				POS_ALL & ~POS_VIEW, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, 1, other, 0);
	EXPECT_EQ(-EACCES, watch_key(other, q->fd, 1));
	EXPECT_EQ(-EACCES, watch_key(other, q->fd, -1));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_REVOKE, other, 0, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_REVOKED, 1, other, 0);
	EXPECT_EQ(-EKEYREVOKED, watch_key(other, q->fd, 1));

	close(fds[0]);
	close(fds[1]);
	expect_nothing(_metadata, q);
}

/* Watchers do not interfere with each other. */
TEST_F(key, two_queues)
{
	struct queue *q = &self->queue;
	struct queue other;

	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, watch_key(self->key, other.fd, 0xff));

	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, self->key, 0);
	expect_key(_metadata, &other, NOTIFY_KEY_UPDATED, 0xff, self->key, 0);

	/* Of the keyring only the first hears. */
	ASSERT_LT(0, add_key("user", "watch_queue:second", "x", self->ring));
	EXPECT_EQ(POLLIN, poll_for(q->fd, 0));
	expect_nothing(_metadata, &other);
	EXPECT_EQ(-EBADSLT, watch_key(self->ring, other.fd, -1));

	/* The first goes, and the second remains. */
	queue_close(q);
	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, &other, NOTIFY_KEY_UPDATED, 0xff, self->key, 0);

	/* Both kinds at once. */
	ASSERT_EQ(0, queue_open(q, QUEUE_PIPE, 32));
	ASSERT_EQ(0, watch_key(self->key, q->fd, 1));
	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, 1, self->key, 0);
	expect_key(_metadata, &other, NOTIFY_KEY_UPDATED, 0xff, self->key, 0);
	queue_close(&other);
}

/* A watch that outlives neither its queue nor its key is given back. */
TEST_F(key, watches_are_given_back)
{
	struct rlimit limit;
	int i, tries, ret;
	struct queue q;

	/* Room for few more watches than this user may have by now. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_LE(64, limit.rlim_max);
	limit.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		/* It is counted until RCU lets go of it. */
		for (tries = 0; tries < SOON; tries++) {
			ret = watch_key(self->key, q.fd, 0);
			if (ret != -EAGAIN)
				break;
			sleep_for(1);
		}
		ASSERT_EQ(0, ret);
		if (i & 1)
			ASSERT_EQ(0, watch_key(self->key, q.fd, -1));
		queue_close(&q);
	}
}

struct filter {
	struct watch_notification_filter head;
	struct watch_notification_type_filter entries[17];
};

TEST_F(key, filter)
{
	const unsigned int all = 0xffffffff;
	struct queue *q = &self->queue;
	struct filter f = { 0 };
	int32_t key = self->key;

	/* One subtype of two. */
	f.head.nr_filters = 1;
	f.entries[0].type = WATCH_TYPE_KEY_NOTIFY;
	f.entries[0].subtype_filter[0] = 1 << NOTIFY_KEY_SETATTR;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, key, POS_ALL, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, KEY_TAG, key, 0);
	expect_nothing(_metadata, q);

	/* A new filter takes the place of the old one. */
	f.entries[0].subtype_filter[0] = 1 << NOTIFY_KEY_UPDATED;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, key, POS_ALL, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, key, 0);
	expect_nothing(_metadata, q);

	/* Subtypes of another word let none of ours through. */
	f.entries[0].subtype_filter[0] = 0;
	f.entries[0].subtype_filter[1] = all;
	f.entries[0].subtype_filter[7] = all;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	expect_nothing(_metadata, q);

	/* By tag: the keyring's. */
	f.entries[0].subtype_filter[0] = all;
	f.entries[0].info_mask = WATCH_INFO_ID;
	f.entries[0].info_filter = RING_TAG << WATCH_INFO_ID__SHIFT;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, self->ring, POS_ALL, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, RING_TAG, self->ring, 0);
	expect_nothing(_metadata, q);

	/* By a flag that no key event has. */
	f.entries[0].info_mask = WATCH_INFO_FLAG_3;
	f.entries[0].info_filter = WATCH_INFO_FLAG_3;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	expect_nothing(_metadata, q);

	/* By its absence. */
	f.entries[0].info_filter = 0;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, key, 0);

	/* Sixteen entries, of which only the last lets anything through. */
	memset(&f, 0, sizeof(f));
	f.head.nr_filters = 16;
	f.entries[15].type = WATCH_TYPE_KEY_NOTIFY;
	f.entries[15].subtype_filter[0] = 1 << NOTIFY_KEY_UPDATED;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, key, POS_ALL, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, key, 0);
	expect_nothing(_metadata, q);

	/* Types that the kernel does not know are no reason to complain. */
	f.entries[3].type = WATCH_TYPE__NR;
	f.entries[4].type = 0xffffff;
	f.entries[5].type = all;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, key, 0);

	/* Only such: nothing passes but what is never filtered. */
	f.head.nr_filters = 1;
	f.entries[0].type = WATCH_TYPE__NR;
	memset(f.entries[0].subtype_filter, 0xff, sizeof(f.entries[0].subtype_filter));
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, update_key(key));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, self->ring, 0, 0, 0));
	expect_removal(_metadata, q, KEY_TAG, key);
	expect_nothing(_metadata, q);

	/* No filter. */
	ASSERT_EQ(0, set_filter(q->fd, NULL));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_CLEAR, self->ring, 0, 0, 0));
	expect_key(_metadata, q, NOTIFY_KEY_CLEARED, RING_TAG, self->ring, 0);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, set_filter(q->fd, NULL));
}

/* Each refusal leaves the filter that was there. */
TEST_F(key, filter_errors)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	struct queue *q = &self->queue;
	struct filter f = { 0 }, *edge;
	char *mem;

	f.head.nr_filters = 1;
	f.entries[0].type = WATCH_TYPE_KEY_NOTIFY;
	f.entries[0].subtype_filter[0] = 1 << NOTIFY_KEY_UPDATED;
	ASSERT_EQ(0, set_filter(q->fd, &f));

	f.entries[0].subtype_filter[0] = 1 << NOTIFY_KEY_SETATTR;
	f.head.nr_filters = 0;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.head.nr_filters = 17;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.head.nr_filters = 0xffffffff;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.head.nr_filters = 1;

	f.head.__reserved = 1;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.head.__reserved = 0;

	f.entries[0].info_filter = WATCH_INFO_FLAG_0;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.entries[0].info_mask = WATCH_INFO_FLAG_1;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.entries[0].info_filter = 0;

	f.entries[0].info_mask = WATCH_INFO_LENGTH;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.entries[0].info_mask = 0x40;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.entries[0].info_mask = 0;

	/* The same in the last entry, and in one of an unknown type. */
	f.head.nr_filters = 16;
	f.entries[15].type = WATCH_TYPE__NR;
	f.entries[15].info_mask = 0x01;
	EXPECT_EQ(-EINVAL, set_filter(q->fd, &f));
	f.entries[15].info_mask = 0;
	f.head.nr_filters = 1;

	/* Pointers: none of it, the entries, the last byte out of reach. */
	EXPECT_EQ(-EFAULT, set_filter(q->fd, (void *)1));
	mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	edge = (void *)(mem + page - 4);
	edge->head.nr_filters = 1;
	EXPECT_EQ(-EFAULT, set_filter(q->fd, edge));
	edge = (void *)(mem + page - sizeof(f.head));
	edge->head = f.head;
	EXPECT_EQ(-EFAULT, set_filter(q->fd, edge));
	edge = (void *)(mem + page - sizeof(f.head) - sizeof(f.entries[0]) + 1);
	memcpy(edge, &f, sizeof(f.head) + sizeof(f.entries[0]) - 1);
	EXPECT_EQ(-EFAULT, set_filter(q->fd, edge));

	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, self->key, POS_ALL, 0, 0));
	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, q, NOTIFY_KEY_UPDATED, KEY_TAG, self->key, 0);
	expect_nothing(_metadata, q);

	/* What just fits is taken. */
	edge = (void *)(mem + page - sizeof(f.head) - sizeof(f.entries[0]));
	memcpy(edge, &f, sizeof(f.head) + sizeof(f.entries[0]));
	ASSERT_EQ(0, set_filter(q->fd, edge));
	ASSERT_EQ(0, sys_keyctl(KEYCTL_SETPERM, self->key, POS_ALL, 0, 0));
	ASSERT_EQ(0, update_key(self->key));
	expect_key(_metadata, q, NOTIFY_KEY_SETATTR, KEY_TAG, self->key, 0);
	expect_nothing(_metadata, q);
	munmap(mem, 2 * page);
}

/*
 * Keys that user space instantiates.  The kernel runs UPCALL to do it, which
 * for the time of the test is this program.  It says which key is wanted and
 * under what authority, waits for a word, and does what the callout information
 * says: "<action> <fifo to write to> <fifo to wait on>".
 */
struct under_construction {
	int32_t key, authority;
};

static int serve_request(int argc, char **argv)
{
	char callout[256] = "", action[16], up[100], go[100], word;
	struct under_construction c;
	int fd;
	long ret;

	alarm(20);
	if (argc < 3)
		return 1;
	c.key = atoi(argv[2]);
	c.authority = sys_keyctl(KEYCTL_ASSUME_AUTHORITY, c.key, 0, 0, 0);
	if (c.authority < 0)
		return 1;
	ret = sys_keyctl(KEYCTL_READ, KEY_SPEC_REQKEY_AUTH_KEY,
			 (unsigned long)callout, sizeof(callout) - 1, 0);
	if (ret < 0 || sscanf(callout, "%15s %99s %99s", action, up, go) != 3)
		return 1;

	fd = sys_open(up, O_WRONLY);
	if (fd < 0 || write(fd, &c, sizeof(c)) != sizeof(c))
		return 1;
	fd = sys_open(go, O_RDONLY);
	if (fd < 0 || read(fd, &word, 1) != 1)
		return 1;

	if (!strcmp(action, "instantiate"))
		ret = sys_keyctl(KEYCTL_INSTANTIATE, c.key, (unsigned long)"made",
				 4, KEY_SPEC_REQUESTOR_KEYRING);
	else if (!strcmp(action, "negate"))
		ret = sys_keyctl(KEYCTL_NEGATE, c.key, 60, 0, 0);
	else
		ret = sys_keyctl(KEYCTL_REJECT, c.key, 60, EKEYREJECTED, 0);
	return ret ? 1 : 0;
}

FIXTURE(upcall)
{
	FIXTURE_DATA(key) key;
	char dir[32], up[40], go[40];
	int up_fd, go_fd;
	bool linked;
};

FIXTURE_VARIANT(upcall)
{
	FIXTURE_VARIANT(key) key;
	const char *action;
	int error;
};

FIXTURE_VARIANT_ADD(upcall, pipe_instantiate)
{
	.key = { QUEUE_PIPE, 32 },
	.action = "instantiate",
};

FIXTURE_VARIANT_ADD(upcall, pipe_negate)
{
	.key = { QUEUE_PIPE, 32 },
	.action = "negate",
	.error = ENOKEY,
};

FIXTURE_VARIANT_ADD(upcall, pipe_reject)
{
	.key = { QUEUE_PIPE, 32 },
	.action = "reject",
	.error = EKEYREJECTED,
};

FIXTURE_VARIANT_ADD(upcall, device_instantiate)
{
	.key = { QUEUE_DEVICE, 1 },
	.action = "instantiate",
};

FIXTURE_VARIANT_ADD(upcall, device_negate)
{
	.key = { QUEUE_DEVICE, 1 },
	.action = "negate",
	.error = ENOKEY,
};

FIXTURE_VARIANT_ADD(upcall, device_reject)
{
	.key = { QUEUE_DEVICE, 1 },
	.action = "reject",
	.error = EKEYREJECTED,
};

FIXTURE_SETUP(upcall)
{
	char self_path[256];
	ssize_t len;

	key_setup(_metadata, &self->key, &variant->key);
	if (_metadata->exit_code)
		return;

	if (geteuid() != 0)
		SKIP(return, "cannot put itself at " UPCALL);
	len = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	ASSERT_LT(0, len);
	self_path[len] = '\0';
	if (symlink(self_path, UPCALL))
		SKIP(return, "cannot put itself at " UPCALL ": %s", strerror(errno));
	self->linked = true;

	strcpy(self->dir, "/tmp/watch_queue.XXXXXX");
	ASSERT_TRUE(!!mkdtemp(self->dir));
	snprintf(self->up, sizeof(self->up), "%s/up", self->dir);
	snprintf(self->go, sizeof(self->go), "%s/go", self->dir);
	ASSERT_EQ(0, mkfifo(self->up, 0600));
	ASSERT_EQ(0, mkfifo(self->go, 0600));
	self->up_fd = sys_open(self->up, O_RDWR);
	self->go_fd = sys_open(self->go, O_RDWR);
	ASSERT_LE(0, self->up_fd);
	ASSERT_LE(0, self->go_fd);
}

FIXTURE_TEARDOWN(upcall)
{
	if (self->linked)
		unlink(UPCALL);
	unlink(self->up);
	unlink(self->go);
	rmdir(self->dir);
	key_teardown(_metadata, &self->key, &variant->key);
}

TEST_F(upcall, instantiated)
{
	struct queue *q = &self->key.queue;
	const int32_t ring = self->key.ring;
	struct under_construction c;
	pid_t pid, watcher, early;
	int status, watched;
	char callout[256];

	snprintf(callout, sizeof(callout), "%s %s %s", variant->action, self->up,
		 self->go);
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		int32_t key = request_key("user", "watch_queue:wanted", callout, ring);

		if (variant->error)
			_exit(key == -variant->error ? 0 : 1);
		_exit(key > 0 ? 0 : 1);
	}

	/* A key under construction is in the keyring already. */
	ASSERT_EQ(POLLIN, poll_for(self->up_fd, SOON));
	ASSERT_EQ(sizeof(c), read(self->up_fd, &c, sizeof(c)));
	expect_key(_metadata, q, NOTIFY_KEY_LINKED, RING_TAG, ring, c.key);
	ASSERT_EQ(0, watch_key(c.authority, q->fd, 0x44));

	/*
	 * It can be watched at once, and then its watchers hear of it.  Kernels
	 * that had keyctl_watch_key() wait until it was complete fail here.
	 */
	watcher = fork();
	ASSERT_LE(0, watcher);
	if (watcher == 0)
		_exit(-watch_key(c.key, q->fd, 0x55));
	do {
		sleep_for(1);
		early = waitpid(watcher, &watched, WNOHANG);
	} while (!early && task_state(watcher) != 'S');
	EXPECT_NE(0, early);
	expect_nothing(_metadata, q);

	ASSERT_EQ(1, write(self->go_fd, "!", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	if (early) {
		ASSERT_EQ(0, watched);
		expect_key(_metadata, q, NOTIFY_KEY_INSTANTIATED, 0x55, c.key,
			   -variant->error);
	} else {
		ASSERT_EQ(watcher, waitpid(watcher, &watched, 0));
		ASSERT_TRUE(WIFEXITED(watched));
		ASSERT_EQ(variant->error, WEXITSTATUS(watched));
	}
	if (!variant->error)
		expect_key(_metadata, q, NOTIFY_KEY_LINKED, RING_TAG, ring, c.key);

	/* The authority to instantiate the key ends with its use. */
	expect_key(_metadata, q, NOTIFY_KEY_INVALIDATED, 0x44, c.authority, 0);
	expect_key(_metadata, q, NOTIFY_KEY_REVOKED, 0x44, c.authority, 0);
	expect_removal(_metadata, q, 0x44, c.authority);

	/* A key that a negative one was can be made whole. */
	ASSERT_EQ(c.key, add_key("user", "watch_queue:wanted", "whole", ring));
	if (!watched)
		expect_key(_metadata, q, NOTIFY_KEY_UPDATED, 0x55, c.key, 0);
	expect_nothing(_metadata, q);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(basename(argv[0]), "request-key"))
		return serve_request(argc, argv);
	return test_harness_run(argc, argv);
}
