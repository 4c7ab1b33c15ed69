// SPDX-License-Identifier: GPL-2.0
/* Notification pipes: a watch queue that is read through a pipe
 *
 * Copyright (C) 2020 Red Hat, Inc. All Rights Reserved.
 * Written by David Howells (dhowells@redhat.com)
 *
 * See Documentation/core-api/watch_queue.rst
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/watch_queue.h>

struct watch_type_filter {
	enum watch_notification_type type;
	__u32		subtype_filter[8];	/* Bitmask of subtypes to filter on */
	__u32		info_filter;		/* Filter on watch_notification::info */
	__u32		info_mask;		/* Mask of relevant bits in info_filter */
};

struct watch_filter {
	struct rcu_head		rcu;
	u32			nr_filters;	/* Number of filters */
	struct watch_type_filter filters[] __counted_by(nr_filters);
};

#define WATCH_QUEUE_NOTE_SIZE 128
#define WATCH_QUEUE_NOTES_PER_PAGE (PAGE_SIZE / WATCH_QUEUE_NOTE_SIZE)

/* Setting the size of a queue must not invoke the OOM killer. */
#define GFP_NOTES	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * A notification pipe: records are stored in preallocated notes, which buffers
 * of the pipe refer to.
 */
struct pipe_watch_queue {
	struct watch_queue	wqueue;
	struct pipe_inode_info	*pipe;		/* Pipe we use as a buffer, NULL if queue closed */
	struct page		**notes;	/* Preallocated notifications */
	unsigned long		*notes_bitmap;	/* Allocation bitmap for notes */
	unsigned int		nr_notes;	/* Number of notes */
	unsigned int		nr_pages;	/* Number of pages in notes[] */
};

static struct pipe_watch_queue *to_pipe_watch_queue(struct watch_queue *wqueue)
{
	return container_of(wqueue, struct pipe_watch_queue, wqueue);
}

static void watch_queue_pipe_buf_release(struct pipe_inode_info *pipe,
					 struct pipe_buffer *buf)
{
	struct pipe_watch_queue *pq = (struct pipe_watch_queue *)buf->private;
	struct page *page;
	unsigned int bit;

	/* We need to work out which note within the page this refers to, but
	 * the note might have been maximum size, so merely ANDing the offset
	 * off doesn't work.  OTOH, the note must've been more than zero size.
	 */
	bit = buf->offset + buf->len;
	if ((bit & (WATCH_QUEUE_NOTE_SIZE - 1)) == 0)
		bit -= WATCH_QUEUE_NOTE_SIZE;
	bit /= WATCH_QUEUE_NOTE_SIZE;

	page = buf->page;
	bit += page->private;

	set_bit(bit, pq->notes_bitmap);
	generic_pipe_buf_release(pipe, buf);
}

// No try_steal function => no stealing
#define watch_queue_pipe_buf_try_steal NULL

/* New data written to a pipe may be appended to a buffer with this type. */
static const struct pipe_buf_operations watch_queue_pipe_buf_ops = {
	.release	= watch_queue_pipe_buf_release,
	.try_steal	= watch_queue_pipe_buf_try_steal,
	.get		= generic_pipe_buf_get,
};

/* Store a record, if there is room for it. */
static bool pipe_watch_queue_store(struct pipe_watch_queue *pq,
				   const struct watch_notification *n)
{
	struct pipe_inode_info *pipe = pq->pipe;
	unsigned int head, note, offset, len, nr_notes;
	struct pipe_buffer *buf;
	struct page *page;
	void *p;

	head = pipe->head;
	if (pipe_full(head, pipe->tail, pipe->ring_size))
		return false;

	/* Pairs with the smp_store_release() in pipe_watch_queue_set_size(). */
	nr_notes = smp_load_acquire(&pq->nr_notes);
	note = find_first_bit(pq->notes_bitmap, nr_notes);
	if (note >= nr_notes)
		return false;

	page = pq->notes[note / WATCH_QUEUE_NOTES_PER_PAGE];
	offset = note % WATCH_QUEUE_NOTES_PER_PAGE * WATCH_QUEUE_NOTE_SIZE;
	get_page(page);
	len = n->info & WATCH_INFO_LENGTH;
	p = kmap_local_page(page);
	memcpy(p + offset, n, len);
	kunmap_local(p);

	buf = pipe_buf(pipe, head);
	buf->page = page;
	buf->private = (unsigned long)pq;
	buf->ops = &watch_queue_pipe_buf_ops;
	buf->offset = offset;
	buf->len = len;
	buf->flags = PIPE_BUF_FLAG_WHOLE;
	smp_store_release(&pipe->head, head + 1); /* vs pipe_read() */

	/* Only we clear bits, with the lock held. */
	WARN_ON_ONCE(!test_and_clear_bit(note, pq->notes_bitmap));
	return true;
}

/* Note that a record was lost.  True if there was nothing to read before. */
static bool pipe_watch_queue_note_loss(struct pipe_inode_info *pipe)
{
	if (!pipe_empty(pipe->head, pipe->tail)) {
		pipe_buf(pipe, pipe->head - 1)->flags |= PIPE_BUF_FLAG_LOSS;
		return false;
	}
	if (pipe->note_loss)
		return false;

	/* There is no record to mark, so let the next read tell. */
	WRITE_ONCE(pipe->note_loss, true);
	return true;
}

/* The pipe can be read: wake whoever waits for that. */
static void pipe_watch_queue_wake(struct watch_queue *wqueue)
{
	struct pipe_inode_info *pipe = to_pipe_watch_queue(wqueue)->pipe;

	wake_up_interruptible_sync_poll(&pipe->rd_wait, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&pipe->fasync_readers, SIGIO, POLL_IN);
}

/*
 * Store a record, or note that one was lost: for want of room, or because it
 * could not be made (NULL).  True if readers are to be woken, which happens for
 * each record, as several may read.
 *
 * Must be called with the watch_queue lock held, which guarantees that the pipe
 * hasn't been released and that interrupts are off.
 */
static bool pipe_watch_queue_add(struct watch_queue *wqueue,
				 const struct watch_notification *n)
{
	struct pipe_watch_queue *pq = to_pipe_watch_queue(wqueue);
	struct pipe_inode_info *pipe = pq->pipe;

	guard(spinlock)(&pipe->rd_wait.lock);
	return (n && pipe_watch_queue_store(pq, n)) || pipe_watch_queue_note_loss(pipe);
}

static bool pipe_watch_queue_post(struct watch_queue *wqueue,
				  const struct watch_notification *n)
{
	return pipe_watch_queue_add(wqueue, n);
}

static void pipe_watch_queue_lose(struct watch_queue *wqueue, u32 type)
{
	if (pipe_watch_queue_add(wqueue, NULL))
		pipe_watch_queue_wake(wqueue);
}

static bool pipe_watch_queue_unread(struct watch_queue *wqueue, u32 *head)
{
	struct pipe_inode_info *pipe = to_pipe_watch_queue(wqueue)->pipe;

	*head = pipe->head;
	return !pipe_empty(pipe->head, READ_ONCE(pipe->tail));
}

/*
 * Apply filter rules to a notification.
 */
static bool pipe_watch_queue_match(const void *filter,
				   const struct watch_notification *n)
{
	const struct watch_filter *wf = filter;
	const struct watch_type_filter *wt;
	unsigned int st_bits = sizeof(wt->subtype_filter[0]) * 8;
	unsigned int st_index = n->subtype / st_bits;
	unsigned int st_bit = 1U << (n->subtype % st_bits);
	int i;

	for (i = 0; i < wf->nr_filters; i++) {
		wt = &wf->filters[i];
		if (n->type == wt->type &&
		    (wt->subtype_filter[st_index] & st_bit) &&
		    (n->info & wt->info_mask) == wt->info_filter)
			return true;
	}

	return false; /* If there is a filter, the default is to reject. */
}

/*
 * Allocate sufficient pages to preallocation for the requested number of
 * notifications.
 */
long pipe_watch_queue_set_size(struct pipe_inode_info *pipe, unsigned int nr_notes)
{
	struct pipe_watch_queue *pq;
	struct page **pages;
	unsigned long *bitmap;
	unsigned long user_bufs;
	int ret, i, nr_pages;

	if (!pipe->watch_queue)
		return -ENODEV;
	pq = to_pipe_watch_queue(pipe->watch_queue);
	if (pq->notes)
		return -EBUSY;

	if (nr_notes < 1 ||
	    nr_notes > 512) /* TODO: choose a better hard limit */
		return -EINVAL;

	nr_pages = (nr_notes + WATCH_QUEUE_NOTES_PER_PAGE - 1);
	nr_pages /= WATCH_QUEUE_NOTES_PER_PAGE;
	user_bufs = account_pipe_buffers(pipe->user, pipe->nr_accounted, nr_pages);

	if (nr_pages > pipe->max_usage &&
	    (too_many_pipe_buffers_hard(user_bufs) ||
	     too_many_pipe_buffers_soft(user_bufs)) &&
	    pipe_is_unprivileged_user()) {
		ret = -EPERM;
		goto error;
	}

	nr_notes = nr_pages * WATCH_QUEUE_NOTES_PER_PAGE;
	ret = pipe_resize_ring(pipe, roundup_pow_of_two(nr_notes));
	if (ret < 0)
		goto error;

	/*
	 * pipe_resize_ring() does not update nr_accounted for watch_queue
	 * pipes, because the above vastly overprovisions. Set nr_accounted on
	 * and max_usage this pipe to the number that was actually charged to
	 * the user above via account_pipe_buffers.
	 */
	pipe->max_usage = nr_pages;
	pipe->nr_accounted = nr_pages;

	ret = -ENOMEM;
	pages = kzalloc_objs(struct page *, nr_pages, GFP_NOTES);
	if (!pages)
		goto error;

	for (i = 0; i < nr_pages; i++) {
		pages[i] = alloc_page(GFP_NOTES);
		if (!pages[i])
			goto error_p;
		pages[i]->private = i * WATCH_QUEUE_NOTES_PER_PAGE;
	}

	bitmap = bitmap_alloc(nr_notes, GFP_NOTES);
	if (!bitmap)
		goto error_p;

	bitmap_fill(bitmap, nr_notes);
	pq->notes = pages;
	pq->notes_bitmap = bitmap;
	pq->nr_pages = nr_pages;
	/* Pairs with the smp_load_acquire() in pipe_watch_queue_post(). */
	smp_store_release(&pq->nr_notes, nr_notes);
	return 0;

error_p:
	while (--i >= 0)
		__free_page(pages[i]);
	kfree(pages);
error:
	(void)account_pipe_buffers(pipe->user, nr_pages, pipe->nr_accounted);
	return ret;
}

/*
 * Set the filter on a watch queue.
 */
long pipe_watch_queue_set_filter(struct pipe_inode_info *pipe,
				 struct watch_notification_filter __user *_filter)
{
	struct watch_notification_type_filter *tf;
	struct watch_notification_filter filter;
	struct watch_type_filter *q;
	struct watch_filter *wfilter;
	u32 accept_types = WATCH_ACCEPT_ALL;
	int ret, nr_filter = 0, i;

	if (!pipe->watch_queue)
		return -ENODEV;

	if (!_filter) {
		/* Remove the old filter */
		wfilter = NULL;
		goto set;
	}

	/* Grab the user's filter specification */
	if (copy_from_user(&filter, _filter, sizeof(filter)) != 0)
		return -EFAULT;
	if (filter.nr_filters == 0 ||
	    filter.nr_filters > 16 ||
	    filter.__reserved != 0)
		return -EINVAL;

	tf = memdup_array_user(_filter->filters, filter.nr_filters, sizeof(*tf));
	if (IS_ERR(tf))
		return PTR_ERR(tf);

	ret = -EINVAL;
	for (i = 0; i < filter.nr_filters; i++) {
		if ((tf[i].info_filter & ~tf[i].info_mask) ||
		    tf[i].info_mask & WATCH_INFO_LENGTH)
			goto err_filter;
		/* Ignore any unknown types */
		if (tf[i].type >= WATCH_TYPE__NR)
			continue;
		nr_filter++;
	}

	/* Now we need to build the internal filter from only the relevant
	 * user-specified filters.
	 */
	ret = -ENOMEM;
	wfilter = kzalloc_flex(*wfilter, filters, nr_filter, GFP_KERNEL_ACCOUNT);
	if (!wfilter)
		goto err_filter;
	wfilter->nr_filters = nr_filter;

	accept_types = 0;
	q = wfilter->filters;
	for (i = 0; i < filter.nr_filters; i++) {
		if (tf[i].type >= WATCH_TYPE__NR)
			continue;

		q->type			= tf[i].type;
		q->info_filter		= tf[i].info_filter;
		q->info_mask		= tf[i].info_mask;
		memcpy(q->subtype_filter, tf[i].subtype_filter,
		       sizeof(q->subtype_filter));
		accept_types |= watch_type_bit(q->type);
		q++;
	}

	kfree(tf);
set:
	wfilter = watch_queue_replace_filter(pipe->watch_queue, wfilter,
					     accept_types);
	if (wfilter)
		kfree_rcu(wfilter, rcu);
	return 0;

err_filter:
	kfree(tf);
	return ret;
}

/*
 * The pipe can be freed by callers like free_pipe_info().
 */
static void pipe_watch_queue_close(struct watch_queue *wqueue)
{
	to_pipe_watch_queue(wqueue)->pipe = NULL;
}

static void pipe_watch_queue_release(struct watch_queue *wqueue)
{
	struct pipe_watch_queue *pq = to_pipe_watch_queue(wqueue);
	int i;

	for (i = 0; i < pq->nr_pages; i++)
		__free_page(pq->notes[i]);
	kfree(pq->notes);
	bitmap_free(pq->notes_bitmap);
	kfree(rcu_access_pointer(wqueue->filter));
	kfree(pq);
}

static const struct watch_queue_ops pipe_watch_queue_ops = {
	.match		= pipe_watch_queue_match,
	.post		= pipe_watch_queue_post,
	.wake		= pipe_watch_queue_wake,
	.unread		= pipe_watch_queue_unread,
	.lose		= pipe_watch_queue_lose,
	.close		= pipe_watch_queue_close,
	.release	= pipe_watch_queue_release,
};

/*
 * Make a pipe a notification pipe
 */
int pipe_watch_queue_init(struct pipe_inode_info *pipe)
{
	struct pipe_watch_queue *pq;

	pq = kzalloc_obj(*pq, GFP_KERNEL_ACCOUNT);
	if (!pq)
		return -ENOMEM;

	init_watch_queue(&pq->wqueue, &pipe_watch_queue_ops);
	pq->pipe = pipe;
	pipe->watch_queue = &pq->wqueue;
	return 0;
}
