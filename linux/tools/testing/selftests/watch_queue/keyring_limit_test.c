// SPDX-License-Identifier: GPL-2.0
/* What is linked into a watched keyring is charged to the owner of the watch. */

#include "keyrings.h"
#include "limit.h"

/* What somebody else links is charged to the group of the watch, too. */
TEST_F(limit, extended_watches_are_charged_to_their_owner)
{
	const int nr = 3000;
	int32_t ring, keys[3000];
	long before, other, grown;
	struct queue q;
	int status, ret;
	pid_t pid;

	ring = new_ring();
	ASSERT_LT(0, ring);
	ASSERT_EQ(0, queue_open(&q, variant->kind, 1));
	ret = watch_keyring(ring, q.fd, 1, KEYCTL_WATCH_CHILDREN);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no KEYCTL_WATCH_KEYRING");
	ASSERT_EQ(0, ret);
	before = usage(self->group);

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (write_to(self->other, "cgroup.procs", "0"))
			_exit(1);
		other = usage(self->other);
		if (other < 0 || add_keys(keys, nr, ring))
			_exit(2);
		grown = usage(self->other) - other;
		_exit(grown > NOISE / 2 ? 3 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_LE(before + nr * 300 - NOISE / 2, usage(self->group));
	expect_given_back(_metadata, &q, ring, self->group, before);
}

/* A group that is at its limit, maybe with nothing but page cache, is no loss. */
TEST_F(limit, links_do_not_wait_for_a_full_group)
{
	struct {
		struct watch_notification_filter head;
		struct watch_notification_type_filter entry;
	} f = {
		.head.nr_filters = 1,
		.entry.type = WATCH_TYPE_KEY_NOTIFY,
		.entry.subtype_filter = { 1 << NOTIFY_KEY_UPDATED },
	};
	const int nr = 3000;
	int32_t ring, keys[3000];
	union record rec;
	char max[32];
	struct queue q;
	int status, ret;
	pid_t pid;

	ring = new_ring();
	ASSERT_LT(0, ring);
	ASSERT_EQ(0, queue_open(&q, variant->kind, 1));
	ASSERT_EQ(0, set_filter(q.fd, &f));
	ret = watch_keyring(ring, q.fd, 1, KEYCTL_WATCH_CHILDREN);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no KEYCTL_WATCH_KEYRING");
	ASSERT_EQ(0, ret);

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (write_to(self->other, "cgroup.procs", "0"))
			_exit(1);
		snprintf(max, sizeof(max), "%ld", usage(self->group) + MIB / 4);
		if (write_to(self->group, "memory.max", max))
			_exit(2);
		status = add_keys(keys, nr, ring) ?: update_key(keys[nr - 1]);
		if (write_to(self->group, "memory.max", "max"))
			_exit(3);
		_exit(status ? 4 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(1, queue_next(&q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_KEY_UPDATED, rec_subtype(&rec));
	EXPECT_EQ(0, queue_next(&q, &rec, 0));
	queue_close(&q);
}

TEST_HARNESS_MAIN
