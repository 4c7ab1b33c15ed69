// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the core of watch queues: what user space cannot get at, or
 * only with very many watches.
 */

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/rcupdate.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/watch_queue.h>

#define NR_QUEUES	3
#define OBJECT		5	/* An ID */

/* A queue that counts, and remembers the last record. */
struct counter {
	struct watch_queue		wqueue;
	unsigned int			records;
	unsigned int			taken;		/* By the reader */
	unsigned int			wakeups;
	unsigned int			lost;
	u32				lost_type;
	struct watch_notification	last;
};

struct fixture {
	struct counter		queues[NR_QUEUES];
	struct watch_list	list;
	const struct cred	*cred;		/* Without capabilities */
};

static struct counter *to_counter(struct watch_queue *wqueue)
{
	return container_of(wqueue, struct counter, wqueue);
}

/* The filter is the one subtype that passes. */
static bool counter_match(const void *filter, const struct watch_notification *n)
{
	return n->subtype == *(const u8 *)filter;
}

static bool counter_post(struct watch_queue *wqueue, const struct watch_notification *n)
{
	to_counter(wqueue)->records++;
	to_counter(wqueue)->last = *n;
	return true;
}

static void counter_wake(struct watch_queue *wqueue)
{
	to_counter(wqueue)->wakeups++;
}

static bool counter_unread(struct watch_queue *wqueue, u32 *head)
{
	*head = to_counter(wqueue)->records;
	return to_counter(wqueue)->taken != *head;
}

static void counter_lose(struct watch_queue *wqueue, u32 type)
{
	to_counter(wqueue)->lost++;
	to_counter(wqueue)->lost_type = type;
}

static void counter_nothing(struct watch_queue *wqueue)
{
}

static const struct watch_queue_ops counter_ops = {
	.match		= counter_match,
	.post		= counter_post,
	.wake		= counter_wake,
	.unread		= counter_unread,
	.lose		= counter_lose,
	.close		= counter_nothing,
	.release	= counter_nothing,
};

static int watch_queue_test_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct cred *cred;
	int i;

	if (!f)
		return -ENOMEM;
	cred = prepare_creds();
	if (!cred)
		return -ENOMEM;
	cap_clear(cred->cap_effective);
	f->cred = cred;
	init_watch_list(&f->list, NULL);
	for (i = 0; i < NR_QUEUES; i++)
		init_watch_queue(&f->queues[i].wqueue, &counter_ops);
	test->priv = f;
	return 0;
}

static void watch_queue_test_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	if (!f)
		return;
	for (i = 0; i < NR_QUEUES; i++)
		watch_queue_clear(&f->queues[i].wqueue);
	/* Watches refer to the queues until RCU has let go of them. */
	rcu_barrier();
	for (i = 0; i < NR_QUEUES; i++)
		KUNIT_EXPECT_EQ(test, kref_read(&f->queues[i].wqueue.usage), 1);
	put_cred(f->cred);
}

/*
 * Add a watch of queue @nr on an object of the list, with these credentials, or all
 * that one can have.
 */
static int add_on(struct kunit *test, u64 id, int nr, const struct cred *cred,
		  unsigned long limit, struct watch **added)
{
	struct fixture *f = test->priv;
	struct watch *watch;
	int ret;

	watch = alloc_watch(sizeof(*watch), &f->queues[nr].wqueue, WATCH_TYPE_KEY_NOTIFY,
			    id, nr + 1);
	KUNIT_ASSERT_NOT_NULL(test, watch);
	if (cred) {
		put_cred(watch->cred);
		watch->cred = get_cred(cred);
		watch->max_watches = limit;
		watch->share = cred;
	}
	ret = add_watch_to_object(watch, &f->list);
	if (ret)
		free_watch(watch);
	else if (added)
		*added = watch;
	return ret;
}

static int add(struct kunit *test, int nr, const struct cred *cred, unsigned long limit,
	       struct watch **added)
{
	return add_on(test, OBJECT, nr, cred, limit, added);
}

static void post(struct fixture *f, u8 subtype)
{
	struct watch_notification n = {
		.type		= WATCH_TYPE_KEY_NOTIFY,
		.subtype	= subtype,
		.info		= watch_sizeof(n),
	};

	post_watch_notification(&f->list, &n, NULL, OBJECT);
}

static void test_object_bound(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->list.nr_watchers = WATCH_LIST_MAX - 1;
	KUNIT_EXPECT_EQ(test, add(test, 0, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, f->list.nr_watchers, WATCH_LIST_MAX);
	KUNIT_EXPECT_EQ(test, add(test, 1, f->cred, ULONG_MAX, NULL), -ENOSPC);

	/* The capability that counts is that of the owner. */
	KUNIT_EXPECT_EQ(test, add(test, 1, NULL, ULONG_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, f->list.nr_watchers, WATCH_LIST_MAX + 1);
	KUNIT_EXPECT_EQ(test, add(test, 2, f->cred, ULONG_MAX, NULL), -ENOSPC);

	/* One that goes makes room. */
	watch_queue_clear(&f->queues[0].wqueue);
	watch_queue_clear(&f->queues[1].wqueue);
	KUNIT_EXPECT_EQ(test, f->list.nr_watchers, WATCH_LIST_MAX - 1);
	KUNIT_EXPECT_EQ(test, add(test, 2, f->cred, ULONG_MAX, NULL), 0);
}

static void test_shared_cred(struct kunit *test)
{
	struct cred *cred = prepare_creds();
	struct watch *one, *two, *three;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	KUNIT_ASSERT_EQ(test, add(test, 0, NULL, ULONG_MAX, &one), 0);
	KUNIT_ASSERT_EQ(test, add(test, 1, NULL, ULONG_MAX, &two), 0);
	KUNIT_EXPECT_PTR_EQ(test, one->cred, two->cred);
	KUNIT_EXPECT_PTR_NE(test, one->cred, current_cred());

	/* Other credentials have a copy of their own, which outlives them. */
	scoped_with_creds(cred)
		ret = add(test, 2, NULL, ULONG_MAX, &three);
	KUNIT_EXPECT_PTR_EQ(test, cred->watch_cred, three->cred);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&cred->watch_cred->usage), 2);
	put_cred(cred);
	KUNIT_ASSERT_EQ(test, ret, 0);
	rcu_barrier();
	KUNIT_EXPECT_PTR_NE(test, three->cred, one->cred);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&three->cred->usage), 1);
	KUNIT_EXPECT_NULL(test, three->cred->watch_cred);
}

/* Give a user who has no watches yet. */
static const struct cred *cred_of(struct kunit *test, uid_t uid)
{
	struct cred *cred = prepare_creds();
	struct user_struct *user = alloc_uid(KUIDT_INIT(uid));

	KUNIT_ASSERT_NOT_NULL(test, cred);
	KUNIT_ASSERT_NOT_NULL(test, user);
	free_uid(cred->user);
	cred->user = user;
	return cred;
}

static void test_user_bound(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cred *cred = cred_of(test, 4321);

	KUNIT_EXPECT_EQ(test, add(test, 0, cred, 0, NULL), -EAGAIN);
	KUNIT_EXPECT_EQ(test, add(test, 0, cred, 1, NULL), 0);
	KUNIT_EXPECT_EQ(test, add(test, 1, cred, 1, NULL), -EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_read(&cred->user->nr_watches), 1);
	/* Each watch has its limit. */
	KUNIT_EXPECT_EQ(test, add(test, 1, cred, 2, NULL), 0);
	KUNIT_EXPECT_EQ(test, add(test, 2, cred, 1, NULL), -EAGAIN);

	watch_queue_clear(&f->queues[0].wqueue);
	watch_queue_clear(&f->queues[1].wqueue);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, atomic_read(&cred->user->nr_watches), 0);
	KUNIT_EXPECT_EQ(test, add(test, 2, cred, 1, NULL), 0);
	put_cred(cred);
}

static void test_refused(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, add(test, 0, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, add(test, 0, f->cred, ULONG_MAX, NULL), -EBUSY);

	watch_queue_clear(&f->queues[1].wqueue);
	KUNIT_EXPECT_EQ(test, add(test, 1, f->cred, ULONG_MAX, NULL), -ENOENT);

	kill_watch_list(&f->list);
	KUNIT_EXPECT_EQ(test, add(test, 2, f->cred, ULONG_MAX, NULL), -ENOENT);
	/* What is there already goes on. */
	post(f, 1);
	KUNIT_EXPECT_EQ(test, f->queues[0].records, 1);
	KUNIT_EXPECT_EQ(test, f->list.nr_watchers, 1);
}

static void test_share(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cred *cred = cred_of(test, 4711);
	struct watch *watch, *other;
	int i;

	/* Those of the privileged take nobody's share. */
	for (i = 0; i < WATCH_SHARE_MAX; i++)
		KUNIT_ASSERT_EQ(test, add_on(test, i, 0, NULL, ULONG_MAX, NULL), 0);
	for (i = 0; i < WATCH_SHARE_MAX; i++)
		KUNIT_ASSERT_EQ(test, add_on(test, i, 1, f->cred, ULONG_MAX, &other), 0);
	KUNIT_EXPECT_EQ(test, add_on(test, i, 1, f->cred, ULONG_MAX, NULL), -ENOSPC);
	KUNIT_EXPECT_EQ(test, watch_list_share(&f->list, other), WATCH_SHARE_MAX);

	/* Another user has a share of his own. */
	KUNIT_ASSERT_EQ(test, add_on(test, i, 2, cred, ULONG_MAX, &watch), 0);
	KUNIT_EXPECT_EQ(test, watch_list_share(&f->list, watch), 1);

	/* A watch that goes makes room. */
	KUNIT_EXPECT_EQ(test, remove_watch_from_object(&f->list, &f->queues[1].wqueue, 0, false),
			0);
	KUNIT_EXPECT_EQ(test, add_on(test, i, 1, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, watch_list_share(&f->list, other), WATCH_SHARE_MAX);

	/* The other user cannot hand over what is too much, until there is room. */
	KUNIT_EXPECT_EQ(test, hand_over_watch(watch, other), -ENOSPC);
	KUNIT_EXPECT_PTR_EQ(test, watch->cred, cred);
	KUNIT_EXPECT_EQ(test, drop_watch_from_object(&f->list, &f->queues[1].wqueue, 1), 0);
	KUNIT_EXPECT_EQ(test, hand_over_watch(watch, other), 0);
	KUNIT_EXPECT_EQ(test, watch_list_share(&f->list, watch), WATCH_SHARE_MAX);
	put_cred(cred);
}

static void test_hand_over(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cred *from = cred_of(test, 4321), *to = cred_of(test, 4322);
	struct watch *watch, *other;
	u32 tag = 0xaa << WATCH_INFO_ID__SHIFT;

	KUNIT_ASSERT_EQ(test, add(test, 0, from, 7, &watch), 0);
	KUNIT_ASSERT_EQ(test, add(test, 1, to, 1, &other), 0);
	other->info_id = tag;

	/* One is too many. */
	KUNIT_EXPECT_EQ(test, hand_over_watch(watch, other), -EAGAIN);
	KUNIT_EXPECT_PTR_EQ(test, watch->cred, from);
	KUNIT_EXPECT_EQ(test, atomic_read(&from->user->nr_watches), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&to->user->nr_watches), 1);

	other->max_watches = 2;
	KUNIT_EXPECT_EQ(test, hand_over_watch(watch, other), 0);
	KUNIT_EXPECT_PTR_EQ(test, watch->cred, to);
	KUNIT_EXPECT_EQ(test, watch->max_watches, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&from->user->nr_watches), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&to->user->nr_watches), 2);
	post(f, 1);
	KUNIT_EXPECT_EQ(test, f->queues[0].records, 1);
	KUNIT_EXPECT_EQ(test, f->queues[0].last.info & WATCH_INFO_ID, tag);

	/* To the same owner once more: nothing is counted twice. */
	KUNIT_EXPECT_EQ(test, hand_over_watch(watch, other), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&to->user->nr_watches), 2);

	watch_queue_clear(&f->queues[0].wqueue);
	watch_queue_clear(&f->queues[1].wqueue);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, atomic_read(&from->user->nr_watches), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&to->user->nr_watches), 0);
	put_cred(from);
	put_cred(to);
}

static void test_drop(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct counter *q = &f->queues[0];

	KUNIT_EXPECT_EQ(test, drop_watch_from_object(&f->list, &q->wqueue, OBJECT), -EBADSLT);

	KUNIT_ASSERT_EQ(test, add(test, 0, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_ASSERT_EQ(test, add(test, 1, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, drop_watch_from_object(&f->list, &q->wqueue, OBJECT), 0);
	KUNIT_EXPECT_EQ(test, q->records, 0);
	KUNIT_EXPECT_EQ(test, f->list.nr_watchers, 1);
	post(f, 1);
	KUNIT_EXPECT_EQ(test, q->records, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].records, 1);
}

static void test_removal(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct counter *q = &f->queues[0];

	KUNIT_EXPECT_EQ(test, remove_watch_from_object(&f->list, &q->wqueue, OBJECT, false),
			-EBADSLT);

	KUNIT_ASSERT_EQ(test, add(test, 0, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_ASSERT_EQ(test, add(test, 1, f->cred, ULONG_MAX, NULL), 0);
	KUNIT_EXPECT_EQ(test, remove_watch_from_object(&f->list, &q->wqueue, OBJECT, false), 0);
	KUNIT_EXPECT_EQ(test, q->records, 1);
	KUNIT_EXPECT_TRUE(test, q->last.type == WATCH_TYPE_META);
	KUNIT_EXPECT_TRUE(test, q->last.subtype == WATCH_META_REMOVAL_NOTIFICATION);

	/* That was its last record, and the other watch stays. */
	post(f, 1);
	KUNIT_EXPECT_EQ(test, q->records, 1);
	KUNIT_EXPECT_EQ(test, f->queues[1].records, 1);
	KUNIT_EXPECT_EQ(test, f->list.nr_watchers, 1);
}

static void test_loss(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct counter *q = &f->queues[0];
	u8 subtype = 3;

	watch_queue_lose(&q->wqueue, WATCH_TYPE_KEY_NOTIFY);
	KUNIT_EXPECT_EQ(test, q->lost, 1);
	KUNIT_EXPECT_EQ(test, q->lost_type, WATCH_TYPE_KEY_NOTIFY);

	/* A filter that takes the type may have wanted it. */
	watch_queue_replace_filter(&q->wqueue, &subtype, watch_type_bit(WATCH_TYPE_KEY_NOTIFY));
	watch_queue_lose(&q->wqueue, WATCH_TYPE_KEY_NOTIFY);
	KUNIT_EXPECT_EQ(test, q->lost, 2);
	watch_queue_lose(&q->wqueue, WATCH_TYPE__NR);
	KUNIT_EXPECT_EQ(test, q->lost, 2);

	KUNIT_ASSERT_EQ(test, add(test, 0, f->cred, ULONG_MAX, NULL), 0);
	post(f, 2);
	KUNIT_EXPECT_EQ(test, q->records, 0);
	post(f, 3);
	KUNIT_EXPECT_EQ(test, q->records, 1);
	watch_queue_replace_filter(&q->wqueue, NULL, WATCH_ACCEPT_ALL);
	synchronize_rcu();

	watch_queue_clear(&q->wqueue);
	watch_queue_lose(&q->wqueue, WATCH_TYPE_KEY_NOTIFY);
	KUNIT_EXPECT_EQ(test, q->lost, 2);
}

/* Records in a row wake each queue once, when that is asked for. */
static void test_batch(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct watch_queue *wake = NULL;
	struct watch_notification n = {
		.type		= WATCH_TYPE_KEY_NOTIFY,
		.info		= watch_sizeof(n),
	};
	int i;

	KUNIT_ASSERT_EQ(test, add(test, 0, NULL, ULONG_MAX, NULL), 0);
	KUNIT_ASSERT_EQ(test, add(test, 1, NULL, ULONG_MAX, NULL), 0);
	scoped_guard(rcu)
		for (i = 0; i < 3; i++)
			post_watch_notification_batch(&f->list, &n, OBJECT, &wake);
	KUNIT_EXPECT_EQ(test, f->queues[0].records, 3);
	KUNIT_EXPECT_EQ(test, f->queues[0].wakeups, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].wakeups, 0);

	/* One that is closed meanwhile is not woken. */
	watch_queue_clear(&f->queues[1].wqueue);
	watch_queue_wake(&wake);
	KUNIT_EXPECT_NULL(test, wake);
	KUNIT_EXPECT_EQ(test, f->queues[0].wakeups, 1);
	KUNIT_EXPECT_EQ(test, f->queues[1].wakeups, 0);

	/* It can be put on a list again, and others wake it at once. */
	scoped_guard(rcu)
		post_watch_notification_batch(&f->list, &n, OBJECT, &wake);
	post(f, 0);
	KUNIT_EXPECT_EQ(test, f->queues[0].wakeups, 2);
	watch_queue_wake(&wake);
	KUNIT_EXPECT_EQ(test, f->queues[0].wakeups, 3);
}

static void post_once(struct fixture *f, u64 id)
{
	struct watch_queue *wake = NULL;
	struct watch_notification n = {
		.type		= WATCH_TYPE_KEY_NOTIFY,
		.info		= watch_sizeof(n),
	};

	scoped_guard(rcu)
		post_watch_notification_once(&f->list, &n, id, &wake);
	watch_queue_wake(&wake);
}

/* A record that need not be there twice in a row. */
static void test_once(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct counter *q = &f->queues[0];

	KUNIT_ASSERT_EQ(test, add(test, 0, NULL, ULONG_MAX, NULL), 0);
	KUNIT_ASSERT_EQ(test, add_on(test, OBJECT + 1, 0, NULL, ULONG_MAX, NULL), 0);
	post_once(f, OBJECT);
	post_once(f, OBJECT);
	KUNIT_EXPECT_EQ(test, q->records, 1);

	/* The reader took it, */
	q->taken = q->records;
	post_once(f, OBJECT);
	KUNIT_EXPECT_EQ(test, q->records, 2);
	/* there is another one behind it, */
	post(f, 0);
	post_once(f, OBJECT);
	KUNIT_EXPECT_EQ(test, q->records, 4);
	/* or it is that of another object. */
	post_once(f, OBJECT + 1);
	post_once(f, OBJECT + 1);
	KUNIT_EXPECT_EQ(test, q->records, 5);
	post_once(f, OBJECT);
	KUNIT_EXPECT_EQ(test, q->records, 6);
}

static struct kunit_case watch_queue_test_cases[] = {
	KUNIT_CASE(test_shared_cred),
	KUNIT_CASE(test_object_bound),
	KUNIT_CASE(test_share),
	KUNIT_CASE(test_user_bound),
	KUNIT_CASE(test_refused),
	KUNIT_CASE(test_hand_over),
	KUNIT_CASE(test_drop),
	KUNIT_CASE(test_removal),
	KUNIT_CASE(test_loss),
	KUNIT_CASE(test_batch),
	KUNIT_CASE(test_once),
	{}
};

static struct kunit_suite watch_queue_test_suite = {
	.name		= "watch_queue_core",
	.init		= watch_queue_test_init,
	.exit		= watch_queue_test_exit,
	.test_cases	= watch_queue_test_cases,
};

kunit_test_suite(watch_queue_test_suite);
