// SPDX-License-Identifier: GPL-2.0
/*
 * Watches on block devices: block_notify() and the posting of errors
 *
 * A watch pins neither disk nor driver.  It dies with its queue, or with the
 * block device when that is deleted.
 *
 * Lock order: disk->open_mutex, blk_watch_mutex, then the locks of the core (see
 * kernel/watch_queue.c).  A disk is deleted with its queue frozen, so nothing
 * that needs I/O may be done under blk_watch_mutex, such as allocating memory.
 */

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/blktrace_api.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/watch_queue.h>
#include "blk.h"

static_assert(WATCH_TYPE_BLOCK_NOTIFY < WATCH_TYPE__NR);

/* Set with the first watch, to save posting to nobody. */
bool blk_watched __read_mostly;

/* Serialises the addition of watches to any block device, and its deletion. */
static DEFINE_MUTEX(blk_watch_mutex);

/* The watches on all block devices, whose ID is 0. */
static struct watch_list blk_watch_all = {
	.watchers	= HLIST_HEAD_INIT,
	.lock		= __SPIN_LOCK_UNLOCKED(blk_watch_all.lock),
};

/* The ID of a watch, which user space sees as well. */
static u64 blk_watch_id(const struct block_device *bdev)
{
	return bdev ? (u64)MAJOR(bdev->bd_dev) << 20 | MINOR(bdev->bd_dev) : 0;
}

static u32 blk_notify_op(enum req_op op)
{
	switch (op) {
	case REQ_OP_READ:
		return BLOCK_NOTIFY_OP_READ;
	case REQ_OP_WRITE:
	case REQ_OP_ZONE_APPEND:
		return BLOCK_NOTIFY_OP_WRITE;
	case REQ_OP_FLUSH:
		return BLOCK_NOTIFY_OP_FLUSH;
	case REQ_OP_DISCARD:
		return BLOCK_NOTIFY_OP_DISCARD;
	case REQ_OP_SECURE_ERASE:
		return BLOCK_NOTIFY_OP_SECURE_ERASE;
	case REQ_OP_WRITE_ZEROES:
		return BLOCK_NOTIFY_OP_WRITE_ZEROES;
	case REQ_OP_ZONE_OPEN:
	case REQ_OP_ZONE_CLOSE:
	case REQ_OP_ZONE_FINISH:
	case REQ_OP_ZONE_RESET:
	case REQ_OP_ZONE_RESET_ALL:
		return BLOCK_NOTIFY_OP_ZONE;
	default:
		return BLOCK_NOTIFY_OP_OTHER;
	}
}

/*
 * Post an error to the watches of one block device, or to those of all if @wlist
 * is of them.  The range is on @bdev.
 */
static void post_block(struct watch_list *wlist, const struct block_device *bdev,
		       struct block_notification *n, sector_t sector,
		       unsigned int nr_sectors)
{
	n->dev_major = MAJOR(bdev->bd_dev);
	n->dev_minor = MINOR(bdev->bd_dev);
	n->sector = sector;
	n->nr_sectors = nr_sectors;
	post_watch_notification(wlist, &n->watch, NULL,
				wlist == &blk_watch_all ? 0 : blk_watch_id(bdev));
}

/*
 * Post an error of a partition, if that has a part in it.
 */
static void post_partition(struct block_device *part,
			   struct block_notification *n, sector_t sector,
			   unsigned int nr_sectors)
{
	struct watch_list *wlist = rcu_dereference(part->bd_watchers);
	sector_t start = max(sector, part->bd_start_sect);
	sector_t end = min(sector + nr_sectors,
			   part->bd_start_sect + bdev_nr_sectors(part));

	if (wlist && start < end)
		post_block(wlist, part, n, start - part->bd_start_sect,
			   end - start);
}

/*
 * Tell who watches the disk, the partitions that it happened in, or everything.
 * What happened in no sector is told to those of the disk only.
 *
 * Any request or bio may be of several partitions and know of none of them, so
 * the table of partitions is gone through.
 */
static void blk_notify_error(struct gendisk *disk, enum req_op op,
			     sector_t sector, unsigned int nr_bytes,
			     blk_status_t status, u32 flags)
{
	unsigned int nr_sectors = DIV_ROUND_UP(nr_bytes, SECTOR_SIZE);
	struct block_notification n = {
		.watch.type	= WATCH_TYPE_BLOCK_NOTIFY,
		.watch.subtype	= blk_status_to_notification(status),
		.watch.info	= watch_sizeof(n),
		.error		= -blk_status_to_errno(status),
		.op		= blk_notify_op(op),
		.flags		= flags,
	};
	struct block_device *part;
	unsigned long idx;

	guard(rcu)();
	post_block(&blk_watch_all, disk->part0, &n, sector, nr_sectors);
	post_block(rcu_dereference(disk->part0->bd_watchers), disk->part0, &n,
		   sector, nr_sectors);
	if (!nr_sectors)
		return;
	xa_for_each_start(&disk->part_tbl, idx, part, 1)
		post_partition(part, &n, sector, nr_sectors);
}

/**
 * __blk_notify_rq_error - Report the failure of a request, or of its beginning
 * @req: The request, whose bios have not been advanced yet.
 * @status: Why it failed.
 * @nr_bytes: How much of it failed.
 *
 * Context: That of blk_update_request(), which may call bio_endio(): any that a
 * spinlock_t may be taken and tasks be woken in.
 */
void __blk_notify_rq_error(struct request *req, blk_status_t status,
			   unsigned int nr_bytes)
{
	struct gendisk *disk = req->q->disk;
	enum req_op op = req_op(req);
	unsigned int bytes;
	struct bio *bio;
	u32 flags = 0;

	/*
	 * If no data of a write fails, the flush before or after it did, or the
	 * data that was reported before.  See __blk_notify_flush_error().
	 */
	if (!nr_bytes && op == REQ_OP_WRITE)
		return;

	/* The ranges of merged discards can be anywhere, in any order. */
	if (blk_discard_mergable(req)) {
		for (bio = req->bio; bio && nr_bytes; bio = bio->bi_next) {
			bytes = min(bio->bi_iter.bi_size, nr_bytes);
			nr_bytes -= bytes;
			blk_notify_error(disk, op, bio->bi_iter.bi_sector,
					 bytes, status, 0);
		}
		return;
	}

	/* The device chooses where in the zone it appends. */
	if (op == REQ_OP_ZONE_APPEND)
		flags = BLOCK_NOTIFY_RANGE_INEXACT;
	blk_notify_error(disk, op, blk_rq_trace_sector(req), nr_bytes, status,
			 flags);
}

/**
 * __blk_notify_flush_error - Report the failure of a flush
 * @disk: The disk.
 * @status: Why it failed.
 *
 * Once for a flush, however many requests wait for it.
 *
 * Context: Any that a spinlock_t may be taken and tasks be woken in.
 */
void __blk_notify_flush_error(struct gendisk *disk, blk_status_t status)
{
	if (!test_bit(GD_DEAD, &disk->state))
		blk_notify_error(disk, REQ_OP_FLUSH, 0, 0, status, 0);
}

/**
 * __blk_notify_bio_error - Report the failure of a bio that was never a request
 * @bio: The bio, which was submitted to @bio->bi_bdev.
 *
 * A driver may use the iterator of a bio as it likes, so the range is as far as
 * known.  Usually it is what was submitted, or what was left when it failed.
 *
 * Context: That of bio_endio(): any that a spinlock_t may be taken and tasks be
 * woken in.
 */
void __blk_notify_bio_error(struct bio *bio)
{
	struct gendisk *disk = bio->bi_bdev->bd_disk;
	enum req_op op = bio_op(bio);

	if (!bdev_test_flag(bio->bi_bdev, BD_HAS_SUBMIT_BIO) ||
	    test_bit(GD_DEAD, &disk->state))
		return;

	/* It was another one that failed, and was reported. */
	if (bio_failed_elsewhere(bio))
		return;

	/* Not an error, or not one that matters. */
	if (bio->bi_opf & REQ_RAHEAD || bio_flagged(bio, BIO_QUIET) ||
	    (bio->bi_opf & REQ_NOWAIT && bio->bi_status == BLK_STS_AGAIN) ||
	    (bio->bi_opf & REQ_POLLED && bio->bi_status == BLK_STS_NOTSUPP) ||
	    bio->bi_status == BLK_STS_DM_REQUEUE)
		return;

	/* A write of nothing is how to ask for a flush. */
	if (!bio_sectors(bio) && op == REQ_OP_WRITE &&
	    bio->bi_opf & REQ_PREFLUSH) {
		blk_notify_error(disk, REQ_OP_FLUSH, 0, 0, bio->bi_status, 0);
		return;
	}
	blk_notify_error(disk, op, bio->bi_iter.bi_sector, bio->bi_iter.bi_size,
			 bio->bi_status, BLOCK_NOTIFY_RANGE_INEXACT);
}

/*
 * Add a watch to the list of a block device, or to that of all if @bdev is NULL.
 * A list that the device does not have yet is taken from @new.
 */
static int blk_watch_add_locked(struct block_device *bdev, struct watch *watch,
				struct watch_list **new)
{
	struct watch_list *wlist = &blk_watch_all;

	guard(mutex)(&blk_watch_mutex);

	if (bdev) {
		/* bdev_watch_remove_all() is to come or has been here. */
		if (inode_unhashed(bdev->bd_mapping->host))
			return -ENXIO;
		wlist = rcu_dereference_protected(bdev->bd_watchers,
						  lockdep_is_held(&blk_watch_mutex));
	}
	if (!wlist) {
		wlist = *new;
		*new = NULL;
		rcu_assign_pointer(bdev->bd_watchers, wlist);
	}
	WRITE_ONCE(blk_watched, true);
	return add_watch_to_object(watch, wlist);
}

/*
 * Add a watch on a block device, or on all if @bdev is NULL.
 */
static int blk_watch_add(struct block_device *bdev, const struct path *path,
			 struct watch_queue *wqueue, int watch_id)
{
	struct watch *watch __free(free_watch) =
		alloc_watch(sizeof(*watch), wqueue, WATCH_TYPE_BLOCK_NOTIFY,
			    blk_watch_id(bdev), watch_id);
	struct watch_list *new __free(kfree) = kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);
	int ret;

	if (!watch || !new)
		return -ENOMEM;
	init_watch_list(new, NULL);

	ret = security_watch_block(watch, path);
	if (ret)
		return ret;
	ret = blk_watch_add_locked(bdev, watch, &new);
	if (!ret)
		retain_and_null_ptr(watch);
	return ret;
}

/*
 * Remove the watch that a queue has on a block device, or on all if @bdev is
 * NULL.
 */
static int blk_watch_remove(struct block_device *bdev,
			    struct watch_queue *wqueue)
{
	struct watch_list *wlist = &blk_watch_all;

	guard(mutex)(&blk_watch_mutex);

	if (bdev)
		wlist = rcu_dereference_protected(bdev->bd_watchers,
						  lockdep_is_held(&blk_watch_mutex));
	if (!wlist)
		return -EBADSLT;
	return remove_watch_from_object(wlist, wqueue, blk_watch_id(bdev), false);
}

/**
 * bdev_watch_remove_all - Remove the watches of a block device that is deleted
 * @bdev: The block device, which bdev_unhash() has been called for.  As whoever
 *	adds a watch looks for that, none is added from here on.
 *
 * Context: Process context.
 */
void bdev_watch_remove_all(struct block_device *bdev)
{
	struct watch_list *wlist;

	scoped_guard(mutex, &blk_watch_mutex)
		wlist = rcu_replace_pointer(bdev->bd_watchers, NULL,
					    lockdep_is_held(&blk_watch_mutex));
	remove_watch_list(wlist, blk_watch_id(bdev));
}

static int block_notify_all(struct watch_queue *wqueue, int watch_id)
{
	if (watch_id < 0)
		return blk_watch_remove(NULL, wqueue);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return blk_watch_add(NULL, NULL, wqueue, watch_id);
}

/*
 * The inode alone does not do to tell who may: anybody can have a filesystem
 * show a node of any device, and only that the mount is nodev stops him.
 */
static int block_may_watch(const struct path *path)
{
	if (!may_open_dev(path))
		return -EACCES;
	return path_permission(path, MAY_OPEN | MAY_READ);
}

static int block_notify_path(const struct path *path,
			     struct watch_queue *wqueue, int watch_id)
{
	struct inode *inode = d_backing_inode(path->dentry);
	struct block_device *bdev;
	int ret = 0;

	if (!S_ISBLK(inode->i_mode))
		return -ENOTBLK;

	if (watch_id >= 0)
		ret = block_may_watch(path);
	if (ret)
		return ret;

	/* Whether there is such a device is not for everybody to know. */
	bdev = blkdev_get_no_open(inode->i_rdev, false);
	if (!bdev)
		return watch_id < 0 ? -EBADSLT : -ENXIO;

	if (watch_id < 0)
		ret = blk_watch_remove(bdev, wqueue);
	else
		ret = blk_watch_add(bdev, path, wqueue, watch_id);
	blkdev_put_no_open(bdev);
	return ret;
}

/**
 * sys_block_notify - Watch a block device for errors, or stop watching it
 * @dfd: Where @path starts, as for openat().
 * @path: A path to the node of the device.
 * @at_flags: AT_EMPTY_PATH, AT_NO_AUTOMOUNT and AT_SYMLINK_NOFOLLOW, or
 *	BLOCK_NOTIFY_ALL with no @path.
 * @watch_fd: The queue that is to be told of the errors.
 * @watch_id: A tag for the records, 0 to 255, or -1 to remove the watch.
 *
 * It takes what opening the node for reading takes.  To watch all block devices
 * takes CAP_SYS_ADMIN in the initial user namespace.
 *
 * Return: 0, -EBUSY if the queue watches this already, -EBADSLT if it does not
 * and is to stop, -ENOTBLK if it is no block device, -ENXIO if there is none of
 * this number, -EACCES or -EPERM as open() would say, -EPERM, -EINVAL, -EBADF if
 * @watch_fd is not open, -ENOMEM, -EAGAIN or -ENOSPC if there are too many
 * watches, or what a look-up of @path gives.
 */
SYSCALL_DEFINE5(block_notify, int, dfd, const char __user *, path,
		unsigned int, at_flags, int, watch_fd, int, watch_id)
{
	bool all = at_flags & BLOCK_NOTIFY_ALL;
	struct path p __free(path_put) = {};
	int ret;

	if (all && (at_flags != BLOCK_NOTIFY_ALL || dfd != AT_FDCWD || path))
		return -EINVAL;
	if (!all) {
		ret = watch_path_at(dfd, path, at_flags, &p);
		if (ret)
			return ret;
	}

	struct watch_queue *wqueue __free(put_watch_queue) =
		get_queue_for_watch(watch_fd, watch_id);
	if (IS_ERR(wqueue))
		return PTR_ERR(wqueue);
	if (all)
		return block_notify_all(wqueue, watch_id);
	return block_notify_path(&p, wqueue, watch_id);
}

#ifdef CONFIG_BLK_NOTIFICATIONS_KUNIT_TEST
#include "blk-notify_kunit.c"
#endif
