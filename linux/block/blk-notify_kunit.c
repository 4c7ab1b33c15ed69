// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is reported of bios that a driver takes apart
 *
 * Drivers that take bios end them in any way: whole, in parts that they split off,
 * by clones of their own, or by those that they send to other devices.  Each error
 * is to make one record, on the device where it happened.
 */

#include <kunit/test.h>
#include <kunit/watch_queue.h>

#define TEST_SECTORS	8
#define TEST_PART	2	/* Of the sectors, where only a part fails */

struct notify_test {
	struct gendisk *disk, *below;
	struct test_queue *queue, *queue_below;
	struct bio_set bios;
	struct bio *bio, *clone;	/* Ours; others may have a look at the disks */
	void (*submit)(struct notify_test *t, struct bio *bio);
};

static void fail_whole(struct notify_test *t, struct bio *bio)
{
	bio_io_error(bio);
}

/* As a driver does with what is too large for it, when the first part fails. */
static void fail_split(struct notify_test *t, struct bio *bio)
{
	struct bio *split = bio_split(bio, TEST_PART, GFP_NOIO, &t->bios);

	bio_chain(split, bio);
	bio_io_error(split);
	bio_endio(bio);
}

static struct bio *clone_part(struct notify_test *t, struct bio *bio)
{
	struct bio *clone = bio_alloc_clone(bio->bi_bdev, bio, GFP_NOIO, &t->bios);

	bio_trim(clone, 0, TEST_PART);
	bio_chain(clone, bio);
	t->clone = clone;
	return clone;
}

/* As device mapper does with what it could not map at first. */
static void fail_clone(struct notify_test *t, struct bio *bio)
{
	bio_io_error(clone_part(t, bio));
	bio_endio(bio);
}

/* The same with a clone that had been split further. */
static void fail_clone_of_clone(struct notify_test *t, struct bio *bio)
{
	struct bio *clone = clone_part(t, bio);
	struct bio *inner = bio_alloc_clone(bio->bi_bdev, clone, GFP_NOIO, &t->bios);

	bio_chain(inner, clone);
	bio_io_error(inner);
	bio_endio(clone);
	bio_endio(bio);
}

static void fail_below(struct notify_test *t, struct bio *bio)
{
	struct bio *clone = clone_part(t, bio);

	bio_set_dev(clone, t->below->part0);
	submit_bio_noacct(clone);
	bio_endio(bio);
}

static void notify_test_submit(struct bio *bio)
{
	struct notify_test *t = bio->bi_bdev->bd_disk->private_data;

	if (bio == t->bio)
		t->submit(t, bio);
	else if (bio == t->clone)
		bio_io_error(bio);
	else
		bio_endio(bio);
}

static const struct block_device_operations notify_test_fops = {
	.owner		= THIS_MODULE,
	.submit_bio	= notify_test_submit,
};

static void notify_test_del_disk(void *disk)
{
	del_gendisk(disk);
	put_disk(disk);
}

static struct gendisk *notify_test_disk(struct kunit *test, const char *name)
{
	struct gendisk *disk = blk_alloc_disk(NULL, NUMA_NO_NODE);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, disk);
	strscpy(disk->disk_name, name);
	disk->flags = GENHD_FL_NO_PART;
	disk->fops = &notify_test_fops;
	disk->private_data = test->priv;
	set_capacity(disk, 1024);
	if (add_disk(disk)) {
		put_disk(disk);
		KUNIT_FAIL_AND_ABORT(test, "add_disk()");
	}
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, notify_test_del_disk, disk));
	return disk;
}

static void notify_test_exit_bios(void *bios)
{
	bioset_exit(bios);
}

static int notify_test_init(struct kunit *test)
{
	struct notify_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	KUNIT_ASSERT_EQ(test, 0, bioset_init(&t->bios, 4, 0, 0));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, notify_test_exit_bios, &t->bios));
	t->queue = test_queue_start(test);
	t->queue_below = test_queue_start(test);
	t->disk = notify_test_disk(test, "notify_test");
	t->below = notify_test_disk(test, "notify_test_below");
	KUNIT_ASSERT_EQ(test, 0, blk_watch_add(t->disk->part0, NULL, &t->queue->queue, TEST_TAG));
	KUNIT_ASSERT_EQ(test, 0, blk_watch_add(t->below->part0, NULL, &t->queue_below->queue,
					       TEST_TAG));
	return 0;
}

static void expect_error(struct kunit *test, struct test_queue *q,
			 struct gendisk *disk, unsigned int nr_sectors)
{
	const struct block_notification *n;

	n = test_queue_next(test, q, WATCH_TYPE_BLOCK_NOTIFY, NOTIFY_BLOCK_ERROR_IO);
	KUNIT_EXPECT_EQ(test, MINOR(disk_devt(disk)), n->dev_minor);
	KUNIT_EXPECT_EQ(test, BLOCK_NOTIFY_OP_READ, n->op);
	KUNIT_EXPECT_EQ(test, 0, n->sector);
	KUNIT_EXPECT_EQ(test, nr_sectors, n->nr_sectors);
}

static void do_read(struct kunit *test,
		    void (*submit)(struct notify_test *t, struct bio *bio))
{
	struct notify_test *t = test->priv;
	struct page *page = alloc_page(GFP_KERNEL);
	struct bio *bio;

	KUNIT_ASSERT_NOT_NULL(test, page);
	t->submit = submit;
	bio = bio_alloc(t->disk->part0, 1, REQ_OP_READ, GFP_KERNEL);
	__bio_add_page(bio, page, TEST_SECTORS << SECTOR_SHIFT, 0);
	t->bio = bio;
	KUNIT_EXPECT_EQ(test, -EIO, submit_bio_wait(bio));
	t->bio = NULL;
	t->clone = NULL;
	bio_put(bio);
	__free_page(page);
}

/* It makes one record, of so many sectors. */
static void expect_one(struct kunit *test,
		       void (*submit)(struct notify_test *t, struct bio *bio),
		       unsigned int nr_sectors)
{
	struct notify_test *t = test->priv;

	do_read(test, submit);
	expect_error(test, t->queue, t->disk, nr_sectors);
	test_queue_is_empty(test, t->queue);
}

static void test_whole(struct kunit *test)
{
	expect_one(test, fail_whole, TEST_SECTORS);
}

static void test_split(struct kunit *test)
{
	expect_one(test, fail_split, TEST_PART);
}

/* It was not submitted, so it is the failure of what was. */
static void test_clone(struct kunit *test)
{
	expect_one(test, fail_clone, TEST_SECTORS);
	expect_one(test, fail_clone_of_clone, TEST_SECTORS);
}

/* That device tells of it. */
static void test_below(struct kunit *test)
{
	struct notify_test *t = test->priv;

	do_read(test, fail_below);
	expect_error(test, t->queue_below, t->below, TEST_PART);
	test_queue_is_empty(test, t->queue_below);
	test_queue_is_empty(test, t->queue);
}

static struct kunit_case notify_test_cases[] = {
	KUNIT_CASE(test_whole),
	KUNIT_CASE(test_split),
	KUNIT_CASE(test_clone),
	KUNIT_CASE(test_below),
	{}
};

static struct kunit_suite notify_test_suite = {
	.name		= "blk_notify",
	.init		= notify_test_init,
	.test_cases	= notify_test_cases,
};

kunit_test_suite(notify_test_suite);
