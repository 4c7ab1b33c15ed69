// SPDX-License-Identifier: GPL-2.0
/* What a security module denies of keys cannot be watched, and what it withholds is not posted. */

#include "lsm.h"

enum { KEY, NR_WATCHES };

static int32_t key;

static const char *cannot_test(void)
{
	if (watch_key(KEY_SPEC_SESSION_KEYRING, -1, 0) == -EOPNOTSUPP)
		return "no CONFIG_KEY_NOTIFICATIONS";
	return NULL;
}

/* A key belongs to the session keyring, and has the label of its maker. */
static int prepare(struct disk *disk, const char *label)
{
	(void)disk;
	(void)label;
	return 0;
}

static int new_key(void)
{
	key = add_key("user", "watch_queue:lsm", "x", KEY_SPEC_SESSION_KEYRING);
	return key < 0 ? key : 0;
}

static int watch(unsigned int nr, int fd)
{
	return watch_key(key, fd, nr);
}

static int cause_events(void *arg)
{
	(void)arg;
	return update_key(key);
}

TEST_F(selinux, watches)
{
	static const struct denial denials[] = {
		{ DOMAIN("no_key_view_t"), KEY },
	};

	ASSERT_EQ(0, new_key());
	expect_denials(_metadata, variant->kind, variant->size, NR_WATCHES,
		       denials, ARRAY_SIZE(denials));
}

TEST_F(smack, watches)
{
	static const int restricted[NR_WATCHES] = { -EACCES };
	static const int granted[NR_WATCHES] = { 0 };

	ASSERT_EQ(0, new_key());
	expect_rules(_metadata, variant->kind, variant->size, NR_WATCHES,
		     restricted, granted);
}

static int unwatch_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_key(key, q->fd, -1);
}

TEST_F(smack, withheld)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, new_key());
	ASSERT_EQ(0, watch_key(key, q->fd, KEY));
	expect_flags(_metadata, q, 0);

	/* One's own label, then one that may not write to it. */
	ASSERT_EQ(0, update_key(key));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	expect_flags(_metadata, q, 0);
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);

	/* The flag stays, and keeps nothing back. */
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "w"));
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);

	/* That the watch is gone is reported, whoever removed it. */
	ASSERT_EQ(0, set_rule(POSTER, WATCHER, "-"));
	ASSERT_EQ(0, run_in(POSTER, unwatch_fn, q));
	expect_record(_metadata, q, WATCH_TYPE_META, WATCH_META_REMOVAL_NOTIFICATION);
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
}

static int watch_fn(void *arg)
{
	const struct queue *q = arg;

	return watch_key(key, q->fd, KEY);
}

/* The owner of a watch counts, not whoever has the queue or happens to read it. */
TEST_F(smack, owner)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, new_key());
	ASSERT_EQ(0, run_in(POSTER, watch_fn, q));
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	expect_record(_metadata, q, WATCH_TYPE_KEY_NOTIFY, NOTIFY_KEY_UPDATED);
	ASSERT_EQ(0, update_key(key));
	expect_flags(_metadata, q, WATCH_QUEUE_RING_POLICY);
}

/* The kernel's log from now on: a descriptor. */
static int open_log(void)
{
	int fd, ret;

	ret = write_string("/proc/sys/kernel/printk_ratelimit", "0");
	if (ret)
		return ret;
	fd = sys_open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0)
		return -errno;
	return fd;
}

/*
 * How often the kernel said since the last time that it withheld a record from
 * @poster.  To know that all has been said, wait for @last's.
 */
static int audited(int kmsg, const char *poster, const char *last)
{
	char line[2048], subject[40], end[40];
	int n = 0, len, tries;

	snprintf(subject, sizeof(subject), "subject=\"%s\"", poster);
	snprintf(end, sizeof(end), "subject=\"%s\"", last);
	for (tries = 0; tries < SOON / 10; tries++) {
		while ((len = read(kmsg, line, sizeof(line) - 1)) > 0) {
			line[len] = '\0';
			if (!strstr(line, "smack_post_notification"))
				continue;
			if (strstr(line, subject))
				n++;
			if (strstr(line, end))
				return n;
		}
		sleep_for(10);
	}
	return -ETIMEDOUT;
}

/* What a queue does not want is not put to the security module. */
TEST_F(smack, unwanted)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter type;
	} filter = { .head.nr_filters = 1 };
	struct queue *q = &self->queue, other;
	int log = open_log();

	ASSERT_LE(0, log);
	ASSERT_EQ(0, new_key());
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, watch_key(key, q->fd, KEY));
	ASSERT_EQ(0, watch_key(key, other.fd, KEY));

	/* Of another type, and of another subtype. */
	filter.type.type = WATCH_TYPE_META;
	memset(filter.type.subtype_filter, 0xff, sizeof(filter.type.subtype_filter));
	ASSERT_EQ(0, set_filter(q->fd, &filter));
	filter.type.type = WATCH_TYPE_KEY_NOTIFY;
	filter.type.subtype_filter[0] = 1U << NOTIFY_KEY_REVOKED;
	ASSERT_EQ(0, set_filter(other.fd, &filter));

	ASSERT_EQ(0, run_in(UNHEARD, cause_events, NULL));
	expect_flags(_metadata, q, 0);
	expect_flags(_metadata, &other, 0);

	/* One of them wants it now. */
	filter.type.subtype_filter[0] |= 1U << NOTIFY_KEY_UPDATED;
	ASSERT_EQ(0, set_filter(other.fd, &filter));
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	expect_flags(_metadata, q, 0);
	expect_flags(_metadata, &other, WATCH_QUEUE_RING_POLICY);
	EXPECT_EQ(0, audited(log, UNHEARD, POSTER));
	ASSERT_EQ(0, run_in(UNHEARD, cause_events, NULL));
	ASSERT_EQ(0, run_in(POSTER, cause_events, NULL));
	EXPECT_EQ(1, audited(log, UNHEARD, POSTER));
	queue_close(&other);
}

TEST_HARNESS_MAIN
