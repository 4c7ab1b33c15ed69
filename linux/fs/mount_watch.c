// SPDX-License-Identifier: GPL-2.0
/*
 * Watches on mounts: changes below a directory are posted to watch queues
 *
 * A watched directory of a mount has a watch point.  Whatever changes a mount calls
 * mnt_changing() first.  That counts the change, and no more unless there is a watch
 * point anywhere and the namespace of the mount has one.  If so, the state and the
 * place of the mount are put aside in its struct mount_watch, and the mount is put
 * on notify_list, as for fsnotify.  namespace_unlock() hands that list to
 * mnt_watch_report(), which compares then and now, walks up from both places to find
 * the watch points, and posts.  So a change makes one record however it came about,
 * in the order in which mounts were changed first, and what ended as it began makes
 * none.
 *
 * Bounds, as others pay for a watch:
 *
 * - Under mount_lock a change is put aside, no more.  No dentry is looked at, and
 *   nothing is allocated, posted or slept for.
 * - Walking up, dentries are looked at only in mounts with a watch point that is not
 *   on the root, and at most MNT_WATCH_DEPTH dentries and as many mounts for a
 *   change.  Whoever watches further up gets one RESCAN record for all changes of a
 *   flush that were too deep.
 * - A user has at most MNT_WATCH_SHARE watches in a namespace.  A flush posts to a
 *   number of watches that depends on how many mounts changed, MNT_WATCH_OWN_EACH
 *   and MNT_WATCH_FOREIGN_EACH; a worker posts RESCAN to the rest.
 * - A rename looks at a flag of the directories that it crosses.  The worker posts
 *   RESCAN to the watch points there.
 *
 * Locks:
 *
 * - namespace_sem is held exclusively to add a watch, and shared (downgraded) to
 *   report changes, so that one task at a time does.  While it does, a mount stays
 *   where it is; its attributes may change again.
 * - mount_lock protects notify_list, what is put aside, the watch points of a mount
 *   and of a namespace, and mnt_namespace::nr_watches.
 * - RCU protects the way to a watch point.
 *
 * A watch point pins its directory, but not its mount: umount_tree() detaches it.  It
 * then pins the superblock, by s_active, until it has let go of the directory; so
 * nothing waits for that.
 *
 * See Documentation/userspace-api/watch_queue/mounts.rst
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/nsproxy.h>
#include <linux/rhashtable.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/watch_queue.h>
#include <linux/workqueue.h>
#include <uapi/linux/mount.h>

#include "internal.h"
#include "pnode.h"
#include "mount_watch.h"

static_assert(WATCH_TYPE_MOUNT_NOTIFY < WATCH_TYPE__NR);

/* How far a change is walked up from, in dentries and in mounts. */
#define MNT_WATCH_DEPTH		128

/* Renames in that time make one RESCAN record for each watch, however fast its reader is. */
#define MNT_RESCAN_DELAY	(HZ / 50)

/*
 * A flush posts so many records, and so many more for each mount that changes: for one
 * change as many as there may be watches, but not for each of thousands, as all others
 * wait for namespace_sem.
 */
#define MNT_WATCH_OWN		1024
#define MNT_WATCH_OWN_EACH	8

/*
 * The same for what changes by propagation, in namespaces of others.  This takes less
 * than propagation itself does.
 */
#define MNT_WATCH_FOREIGN	8
#define MNT_WATCH_FOREIGN_EACH	4

/*
 * The most watches of a user in a mount namespace, and in all.  CAP_SYS_RESOURCE
 * lifts both.
 */
#define MNT_WATCH_SHARE		48
#define MNT_WATCH_SHARE_ALL	1024

/**
 * struct watch_point - A directory of a mount that is watched
 * @by_place: Link in mnt_points_by_place, unless it is on the root of the mount.
 * @by_dentry: Link in mnt_points_by_dentry.
 * @link: Link in mount_watch::points.
 * @in_ns: Link in mnt_namespace::watch_points, until umount_tree(); then in
 *	mnt_watch_flush::dying.
 * @place: The mount, until it is detached from that, and the directory.
 * @id: The unique ID of the mount.
 * @ns_id: The ID of its namespace.
 * @sb: The superblock, with s_active raised, when it is detached from the mount.
 * @usage: One for each watch, and one for whoever looks at it otherwise than by RCU.
 * @nr_watches: How many watches, as counted in mnt_namespace::nr_watches.
 * @watches: The watches; dead when the directory or the mount is gone.
 * @next: The next one that a change concerns.
 * @seen: How the change concerns it, SEEN_*.
 * @rescanning: Why it is in mnt_rescans, RESCAN_*.
 * @rescan: Link there; mnt_rescan_lock.
 *
 * @next and @seen belong to the task that reports changes.
 */
struct watch_point {
	struct rhlist_head	by_place;
	struct rhlist_head	by_dentry;
	struct hlist_node	link;
	struct hlist_node	in_ns;
	struct mnt_place {
		struct mount	*mnt;
		struct dentry	*dentry;
	} place;
	u64			id;
	u64			ns_id;
	struct super_block	*sb;
	refcount_t		usage;
	unsigned int		nr_watches;
	struct watch_list	watches;
	struct watch_point	*next;
	unsigned int		seen;
	unsigned int		rescanning;
	struct list_head	rescan;
};

#define RESCAN_ITSELF	BIT(0)	/* Changes were not posted to it */
#define RESCAN_CROSSED	BIT(1)	/* A rename crossed the directory: it stands for all points there */

#define SEEN_HERE	BIT(0)	/* The mount is at or below the directory now */
#define SEEN_BELOW	BIT(1)	/* ... below it */
#define SEEN_FORMER(s)	((s) << 2) /* The same of where it was before */
#define SEEN_ITSELF	BIT(4)	/* The directory is the root of the mount */

static const struct rhashtable_params mnt_by_place_params = {
	.key_len		= sizeof(struct mnt_place),
	.key_offset		= offsetof(struct watch_point, place),
	.head_offset		= offsetof(struct watch_point, by_place),
	.automatic_shrinking	= true,
};

static const struct rhashtable_params mnt_by_dentry_params = {
	.key_len		= sizeof(struct dentry *),
	.key_offset		= offsetof(struct watch_point, place.dentry),
	.head_offset		= offsetof(struct watch_point, by_dentry),
	.automatic_shrinking	= true,
};

/* A dying point may still be in them beside the one that takes its place. */
static struct rhltable mnt_points_by_place;
static struct rhltable mnt_points_by_dentry;

/* How many watches a user has: in a mount namespace, or in all if ns_id is 0. */
struct mnt_watch_share {
	struct rhash_head	node;
	struct mnt_share_key {
		u64		user;	/* watch::share, or the user_struct */
		u64		ns_id;
	} key;
	unsigned int		nr;
};

static const struct rhashtable_params mnt_share_params = {
	.key_len		= sizeof(struct mnt_share_key),
	.key_offset		= offsetof(struct mnt_watch_share, key),
	.head_offset		= offsetof(struct mnt_watch_share, node),
	.automatic_shrinking	= true,
};

static struct rhashtable mnt_watch_shares;
static DEFINE_SPINLOCK(mnt_watch_share_lock);

/*
 * Held by each watch point.  As anybody may set a watch, the release is deferred, so
 * that users cannot force the kernel to patch itself more than twice in that time.
 */
DEFINE_STATIC_KEY_DEFERRED_FALSE(mnt_watched, 5 * HZ);

static u64 mnt_flush_nr;		/* Of the task that reports changes */
static HLIST_HEAD(mnt_dying_points);	/* Protected by namespace_sem */

/* Watch points that are to get RESCAN, and the worker that posts it. */
static LIST_HEAD(mnt_rescans);
static DEFINE_SPINLOCK(mnt_rescan_lock);
static void mnt_rescan_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(mnt_rescan_worker, mnt_rescan_work);

/*
 * Context: namespace_sem held.  If mount_lock is not, another task may be changing
 * attributes, and is going to have what this missed reported.
 */
static struct mnt_state mnt_state(const struct mount *m)
{
	return (struct mnt_state) {
		.mnt_flags = READ_ONCE(m->mnt.mnt_flags),
		.t_flags = m->mnt_t_flags,
		.group_id = m->mnt_group_id,
		.slave = IS_MNT_SLAVE(m),
		.idmapped = is_idmapped_mnt(&m->mnt),
	};
}

static u32 mnt_state_attr(const struct mnt_state *state)
{
	return mnt_attr_flags(state->mnt_flags, state->idmapped);
}

static u32 mnt_state_propagation(const struct mnt_state *state)
{
	return mnt_propagation_flags(state->t_flags, state->slave);
}

static int mnt_state_peer_group(const struct mnt_state *state)
{
	return state->t_flags & T_SHARED ? state->group_id : 0;
}

/* The BIT()s of the subtypes of records that lead from one state to another. */
static unsigned int mnt_state_diff(const struct mnt_state *a, const struct mnt_state *b)
{
	unsigned int diff = 0;
	u32 attr;

	if (likely(!memcmp(a, b, sizeof(*a))))
		return 0;
	attr = mnt_state_attr(a) ^ mnt_state_attr(b);
	if (attr & MOUNT_ATTR_RDONLY)
		diff |= BIT(NOTIFY_MOUNT_READONLY);
	if (attr & ~MOUNT_ATTR_RDONLY)
		diff |= BIT(NOTIFY_MOUNT_SETATTR);
	if (mnt_state_propagation(a) != mnt_state_propagation(b) ||
	    mnt_state_peer_group(a) != mnt_state_peer_group(b))
		diff |= BIT(NOTIFY_MOUNT_PROPAGATION);
	return diff;
}

/* Note the place of a mount that is about to leave it. */
static void mnt_watch_pin_place(struct mount *m, struct mount_watch *w,
				enum mnt_change_how how)
{
	const struct mount_watch *above = m->mnt_parent->mnt_watch;

	/* Otherwise nobody is going to look at the dentry: no point is added before. */
	if (w->how == MNT_CHANGE_ATTR && above && above->nr_dirs) {
		dget(w->mountpoint);
		w->pinned = true;
	}
	WRITE_ONCE(w->how, how);
}

static void mnt_watch_put_aside(struct mount *m, struct mount_watch *w)
{
	w->changed = true;
	w->notify = false;
	w->reported = 0;
	w->state = mnt_state(m);
	/* What enters the namespace leaves no place that anybody watches. */
	w->parent = mnt_ns_is_watched(m->mnt_ns) ? m->mnt_parent : m;
	w->mountpoint = m->mnt_mountpoint;
	if (list_empty(&m->to_notify))
		list_add_tail(&m->to_notify, &notify_list);
}

/* The part of mnt_announce() for when there are watch points anywhere. */
bool __mnt_announce(struct mount *m, const struct mnt_namespace *to,
		    enum mnt_change_how how)
{
	struct mount_watch *w = m->mnt_watch;

	if (!w)
		return false;
	if (!w->changed) {
		if (!mnt_ns_is_watched(m->mnt_ns) && !mnt_ns_is_watched(to))
			return false;
		mnt_watch_put_aside(m, w);
	}
	if (how != MNT_CHANGE_ATTR)
		mnt_watch_pin_place(m, w, how);
	return true;
}

/* Has the place of a mount been put aside?  Others put aside attributes meanwhile. */
static bool mnt_watch_has_former(const struct mount *m)
{
	const struct mount_watch *w = m->mnt_watch;

	return w && READ_ONCE(w->how) != MNT_CHANGE_ATTR;
}

/*
 * Go from a mount to where it is mounted, or was before the changes that are being
 * reported.  NULL if that is nowhere.
 */
static struct mount *mnt_watch_up(const struct mount *m, bool former,
				  struct dentry **dentry)
{
	struct mount *parent = m->mnt_parent;

	*dentry = m->mnt_mountpoint;
	if (former && mnt_watch_has_former(m)) {
		*dentry = m->mnt_watch->mountpoint;
		parent = m->mnt_watch->parent;
	}
	return parent != m ? parent : NULL;
}

static void mnt_watch_see(struct watch_point **seen, struct watch_point *point,
			  unsigned int how)
{
	if (!point->seen) {
		point->next = *seen;
		*seen = point;
	}
	point->seen |= how;
}

static struct rhlist_head *mnt_points_at(struct mount *mnt, struct dentry *dentry)
{
	const struct mnt_place place = { .mnt = mnt, .dentry = dentry };

	return rhltable_lookup(&mnt_points_by_place, &place, mnt_by_place_params);
}

/* Have the worker post RESCAN to a watch point.  False if that is going. */
static bool mnt_watch_rescan_later(struct watch_point *point, unsigned int why)
{
	guard(spinlock)(&mnt_rescan_lock);
	/* Whoever drops the last reference takes it off the list after that. */
	if (!refcount_read(&point->usage))
		return false;
	if (list_empty(&point->rescan)) {
		list_add_tail(&point->rescan, &mnt_rescans);
		queue_delayed_work(system_dfl_wq, &mnt_rescan_worker, MNT_RESCAN_DELAY);
	}
	point->rescanning |= why;
	return true;
}

/* May a record be posted to so many watches?  They count from then on. */
static bool mnt_watch_afford(struct mnt_watch_flush *flush, u32 flags, unsigned int nr)
{
	unsigned int *left = flags & NOTIFY_MOUNT_PROPAGATED ? &flush->foreign : &flush->own;

	if (nr > *left)
		return false;
	*left -= nr;
	return true;
}

static void mnt_watch_post(struct watch_point *point, struct mount_notification *n,
			   u32 flags, struct mnt_watch_flush *flush)
{
	if (!mnt_watch_afford(flush, flags, READ_ONCE(point->watches.nr_watchers))) {
		mnt_watch_rescan_later(point, RESCAN_ITSELF);
		return;
	}
	n->watch.info = watch_sizeof(*n) | flags;
	/* No single task caused it; post without credentials. */
	post_watch_notification_batch(&point->watches, &n->watch, point->id, &flush->wake);
}

/*
 * Have the watchers of a directory list what is mounted below it, unless they have yet
 * to do so.
 */
static void mnt_watch_post_rescan(struct watch_point *point, struct watch_queue **wake)
{
	struct mount_notification n = {
		.watch.type = WATCH_TYPE_MOUNT_NOTIFY,
		.watch.subtype = NOTIFY_MOUNT_RESCAN,
		.watch.info = watch_sizeof(n),
		.mnt_id = point->id,
	};

	post_watch_notification_once(&point->watches, &n.watch, point->id, wake);
}

/* Once for all changes of a flush that are too deep below a mount's directories. */
static noinline void mnt_watch_rescan_mount(const struct mount *m,
					    struct mnt_watch_flush *flush)
{
	struct mount_watch *w = m->mnt_watch;
	struct watch_point *point;

	if (w->rescanned == mnt_flush_nr)
		return;
	w->rescanned = mnt_flush_nr;
	hlist_for_each_entry_rcu(point, &w->points, link)
		if (point->place.dentry != m->mnt.mnt_root)
			mnt_watch_post_rescan(point, &flush->wake);
}

/* The same for changes that are below too many mounts. */
static noinline void mnt_watch_rescan_ns(struct mnt_namespace *ns, struct mnt_watch_flush *flush)
{
	struct watch_point *point;

	if (IS_ERR_OR_NULL(ns) || ns->rescanned == mnt_flush_nr)
		return;
	ns->rescanned = mnt_flush_nr;
	hlist_for_each_entry_rcu(point, &ns->watch_points, in_ns)
		mnt_watch_post_rescan(point, &flush->wake);
}

/*
 * See the watch points from a directory of a mount upwards, but for its root.  False
 * if there may be others further up when *depth has come to MNT_WATCH_DEPTH.
 *
 * A rename may take a directory elsewhere meanwhile.  Whoever watches what it crosses
 * gets a RESCAN record after that.
 */
static bool mnt_watch_see_dirs(struct watch_point **seen, struct mount *mnt,
			       struct dentry *dentry, unsigned int how,
			       unsigned int *depth)
{
	const unsigned int below = how << 1 & (SEEN_BELOW | SEEN_FORMER(SEEN_BELOW));
	unsigned int left = READ_ONCE(mnt->mnt_watch->nr_dirs);

	for (; left && *depth < MNT_WATCH_DEPTH; ++*depth) {
		struct rhlist_head *pos, *points;
		struct watch_point *point;

		if (dentry == mnt->mnt.mnt_root || IS_ROOT(dentry))
			return true;
		if (READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED) {
			points = mnt_points_at(mnt, dentry);
			rhl_for_each_entry_rcu(point, pos, points, by_place) {
				mnt_watch_see(seen, point, how);
				/* One that is going may not be counted any more. */
				if (left && refcount_read(&point->usage))
					left--;
			}
		}
		how |= below;
		dentry = READ_ONCE(dentry->d_parent);
	}
	return !left;
}

/* See the watch points of a mount from a directory of it upwards. */
static noinline void mnt_watch_see_points(struct watch_point **seen, struct mount *mnt,
					  struct dentry *dentry, unsigned int how,
					  unsigned int below, unsigned int *depth,
					  struct mnt_watch_flush *flush)
{
	struct mount_watch *w = mnt->mnt_watch;
	struct watch_point *point;

	if (READ_ONCE(w->nr_dirs) && !mnt_watch_see_dirs(seen, mnt, dentry, how, depth))
		mnt_watch_rescan_mount(mnt, flush);
	point = rcu_dereference(w->root_point);
	if (point)
		mnt_watch_see(seen, point, dentry == mnt->mnt.mnt_root ? how : below);
}

/* See the watch points at and above where a mount is, or was. */
static void mnt_watch_see_place(struct watch_point **seen, const struct mount *m,
				bool former, struct mnt_watch_flush *flush)
{
	const unsigned int here = former ? SEEN_FORMER(SEEN_HERE) : SEEN_HERE;
	const unsigned int below = here << 1 | here;
	unsigned int how = here, mounts = 0, depth = 0;
	struct dentry *dentry;
	struct mount *mnt;

	for (; (mnt = mnt_watch_up(m, former, &dentry)); m = mnt) {
		if (unlikely(mounts++ == MNT_WATCH_DEPTH)) {
			mnt_watch_rescan_ns(former ? m->prev_ns : m->mnt_ns, flush);
			return;
		}
		if (mnt->mnt_watch && !hlist_empty(&mnt->mnt_watch->points))
			mnt_watch_see_points(seen, mnt, dentry, how, below, &depth, flush);
		how = below;
	}
}

/*
 * Forget what was found.  Whatever is found is kept in the flush, under the RCU
 * read-lock, until something else is looked for.
 */
static void mnt_watch_forget(struct mnt_watch_flush *flush)
{
	struct watch_point *point;

	for (point = flush->seen; point; point = point->next)
		point->seen = 0;
	flush->seen = NULL;
	flush->parent = NULL;
}

/*
 * Find the watch points above where a mount is, or was.  Mounts that go together, or
 * come together, often lie in one directory: then all is found already.
 */
static struct watch_point *mnt_watch_find_place(struct mount *m, bool former,
						struct mnt_watch_flush *flush)
{
	struct dentry *dentry, *dir = NULL;
	struct mount *parent;
	bool special;

	parent = mnt_watch_up(m, former, &dentry);
	if (!parent)
		return NULL;
	special = dentry == parent->mnt.mnt_root;
	if (parent->mnt_watch && READ_ONCE(parent->mnt_watch->nr_dirs)) {
		dir = READ_ONCE(dentry->d_parent);
		special |= READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED;
	}
	if (parent != flush->parent || dir != flush->dir || former != flush->former ||
	    special) {
		mnt_watch_forget(flush);
		mnt_watch_see_place(&flush->seen, m, former, flush);
		flush->parent = special ? NULL : parent;
		flush->dir = dir;
		flush->former = former;
	}
	return flush->seen;
}

/* Find the watch points that the move of a mount, or of what it is on, concerns. */
static struct watch_point *mnt_watch_find_both(struct mount *m, bool itself,
					       struct mnt_watch_flush *flush)
{
	struct watch_point *point;

	mnt_watch_forget(flush);
	if (itself && m->mnt_watch) {
		point = rcu_dereference(m->mnt_watch->root_point);
		if (point)
			mnt_watch_see(&flush->seen, point, SEEN_ITSELF);
	}
	mnt_watch_see_place(&flush->seen, m, false, flush);
	mnt_watch_see_place(&flush->seen, m, true, flush);
	return flush->seen;
}

/* Find the watch points that a change of a mount in place concerns. */
static struct watch_point *mnt_watch_find_state(struct mount *m,
						struct mnt_watch_flush *flush)
{
	struct watch_point *point;

	mnt_watch_forget(flush);
	point = rcu_dereference(m->mnt_watch->root_point);
	if (point)
		mnt_watch_see(&flush->seen, point, SEEN_ITSELF);
	mnt_watch_see_place(&flush->seen, m, false, flush);
	return flush->seen;
}

static u32 mnt_watch_in_subtree(unsigned int seen)
{
	return seen & SEEN_BELOW ? NOTIFY_MOUNT_IN_SUBTREE : 0;
}

static struct mount_notification
mnt_watch_record(const struct mount *m, enum mount_notification_subtype subtype,
		 const struct mnt_state *state)
{
	const u32 attr = mnt_state_attr(state), propagation = mnt_state_propagation(state);

	return (struct mount_notification) {
		.watch.type = WATCH_TYPE_MOUNT_NOTIFY,
		.watch.subtype = subtype,
		.mnt_id = m->mnt_id_unique,
		.mnt_parent_id = m->mnt_parent->mnt_id_unique,
		.mnt_attr = attr,
		.mnt_attr_old = attr,
		.mnt_propagation = propagation,
		.mnt_propagation_old = propagation,
		.mnt_peer_group = mnt_state_peer_group(state),
	};
}

/* These ask how a mount on the list of changed ones changed, or any other. */
static bool mnt_is_new(const struct mount *m)
{
	return m->mnt_ns && m->prev_ns != m->mnt_ns;
}

static bool mnt_is_gone(const struct mount *m)
{
	return m->prev_ns && m->prev_ns != m->mnt_ns;
}

static bool mnt_is_moved(const struct mount *m)
{
	return mnt_watch_has_former(m) && m->mnt_ns && m->prev_ns == m->mnt_ns &&
	       (m->mnt_watch->parent != m->mnt_parent ||
		m->mnt_watch->mountpoint != m->mnt_mountpoint);
}

static u32 mnt_watch_how_flags(const struct mount *m)
{
	return m->mnt_watch->how == MNT_CHANGE_PROPAGATED ? NOTIFY_MOUNT_PROPAGATED : 0;
}

static void mnt_watch_report_gone(struct mount *m, struct mnt_watch_flush *flush)
{
	const struct mount_watch *w = m->mnt_watch;
	bool expired = w->how == MNT_CHANGE_EXPIRED;
	struct watch_point *point, *seen;
	struct mount_notification n;
	u32 flags = mnt_watch_how_flags(m);

	seen = mnt_watch_find_place(m, true, flush);
	if (!seen)
		return;

	if (mnt_is_gone(w->parent))
		flags |= NOTIFY_MOUNT_RECURSIVE;
	n = mnt_watch_record(m, expired ? NOTIFY_MOUNT_EXPIRY : NOTIFY_MOUNT_UNMOUNT,
			     &w->state);
	n.mnt_parent_id = w->parent->mnt_id_unique;
	for (point = seen; point; point = point->next)
		mnt_watch_post(point, &n, flags | mnt_watch_in_subtree(point->seen >> 2),
			       flush);
}

static void mnt_watch_report_new(struct mount *m, struct mnt_watch_flush *flush)
{
	struct watch_point *point, *seen;
	struct mount_notification n;
	u32 flags = mnt_watch_how_flags(m);

	m->mnt_watch->state = mnt_state(m);

	seen = mnt_watch_find_place(m, false, flush);
	if (!seen)
		return;

	if (m->mnt_mountpoint->d_flags & DCACHE_NEED_AUTOMOUNT)
		flags |= NOTIFY_MOUNT_IS_SUBMOUNT;
	if (mnt_has_parent(m) && mnt_is_new(m->mnt_parent))
		flags |= NOTIFY_MOUNT_RECURSIVE;
	n = mnt_watch_record(m, NOTIFY_MOUNT_NEW_MOUNT, &m->mnt_watch->state);
	for (point = seen; point; point = point->next)
		mnt_watch_post(point, &n, flags | mnt_watch_in_subtree(point->seen),
			       flush);
}

/* What a mount is like, as far as that was reported. */
static struct mnt_state mnt_reported_state(const struct mount *m)
{
	guard(mount_locked_reader)();
	return m->mnt_watch && m->mnt_watch->changed ? m->mnt_watch->state : mnt_state(m);
}

/*
 * Report that a mount was moved, or came along with a mount that was.  True if it went
 * out of a watched directory, or into it.
 */
static bool mnt_watch_report_moved(struct mount *m, u32 flags,
				   struct mnt_watch_flush *flush)
{
	struct watch_point *point, *seen;
	struct mount_notification n;
	const struct mount *parent;
	struct mnt_state state;
	bool itself = mnt_is_moved(m);
	bool crossed = false;

	parent = itself ? m->mnt_watch->parent : m->mnt_parent;
	state = mnt_reported_state(m);
	n = mnt_watch_record(m, NOTIFY_MOUNT_MOVE_TO, &state);

	seen = mnt_watch_find_both(m, itself, flush);
	for (point = seen; point; point = point->next) {
		bool now = point->seen & SEEN_HERE;
		bool former = point->seen & SEEN_FORMER(SEEN_HERE);
		bool from = former && !now;

		if (now == former && !itself)
			continue;
		crossed |= now != former;
		n.watch.subtype = from ? NOTIFY_MOUNT_MOVE_FROM : NOTIFY_MOUNT_MOVE_TO;
		n.mnt_parent_id = (from ? parent : m->mnt_parent)->mnt_id_unique;
		n.mnt_parent_id_old = former && now ? parent->mnt_id_unique : 0;
		mnt_watch_post(point, &n,
			       flags | mnt_watch_in_subtree(from ? point->seen >> 2 :
								   point->seen), flush);
	}
	return crossed;
}

/* Let others run, and RCU. */
static void mnt_watch_breathe(struct mnt_watch_flush *flush)
{
	if (!need_resched() && ++flush->nr % 64)
		return;
	mnt_watch_forget(flush);
	rcu_read_unlock();
	cond_resched();
	rcu_read_lock();
}

static void mnt_watch_report_tree_moved(struct mount *m, struct mnt_watch_flush *flush)
{
	u32 flags = mnt_watch_how_flags(m);
	struct watch_point *point;
	struct mount *p;

	if (!mnt_watch_report_moved(m, flags, flush) || list_empty(&m->mnt_mounts))
		return;
	if (flags & NOTIFY_MOUNT_PROPAGATED) {
		/* Whoever moved another mount does not walk the tree of somebody else. */
		for (point = flush->seen; point; point = point->next)
			mnt_watch_rescan_later(point, RESCAN_ITSELF);
		return;
	}
	for (p = next_mnt(m, m); p; p = next_mnt(p, m)) {
		if (mnt_is_new(p) || mnt_is_moved(p))
			p = skip_mnt_tree(p);
		else
			mnt_watch_report_moved(p, flags | NOTIFY_MOUNT_RECURSIVE, flush);
		mnt_watch_breathe(flush);
	}
}

/* Report where a mount went. */
static void mnt_watch_report_place(struct mount *m, struct mnt_watch_flush *flush)
{
	if (mnt_is_gone(m))
		mnt_watch_report_gone(m, flush);
	if (mnt_is_new(m))
		mnt_watch_report_new(m, flush);
	else if (mnt_is_moved(m))
		mnt_watch_report_tree_moved(m, flush);
}

/* Does the parent of a mount change likewise, or has it?  BIT()s of subtypes. */
static unsigned int mnt_watch_parent_diff(const struct mount *m)
{
	struct mount *parent = m->mnt_parent;
	struct mount_watch *w = parent->mnt_watch;
	struct mnt_state now;

	if (parent == m || !w)
		return 0;

	guard(mount_locked_reader)();
	if (!w->changed)
		return 0;
	now = mnt_state(parent);
	return w->reported | mnt_state_diff(&w->state, &now);
}

static void mnt_watch_post_state(struct watch_point *seen, struct mount_notification *n,
				 enum mount_notification_subtype subtype, u32 flags,
				 struct mnt_watch_flush *flush)
{
	struct watch_point *point;

	n->watch.subtype = subtype;
	for (point = seen; point; point = point->next)
		mnt_watch_post(point, n, flags | mnt_watch_in_subtree(point->seen),
			       flush);
	/* The next one starts from what this one shows. */
	n->mnt_attr_old = n->mnt_attr;
}

/* Report how a mount changed apart from its place. */
static void mnt_watch_report_state(struct mount *m, struct mnt_watch_flush *flush)
{
	struct mount_watch *w = m->mnt_watch;
	unsigned int diff, parent_diff;
	struct mount_notification n;
	struct watch_point *seen;
	struct mnt_state was;
	u32 attr, flags;

	/* All of a new one was reported, and what is gone has none. */
	if (m->prev_ns != m->mnt_ns)
		return;

	was = w->state;
	w->state = mnt_state(m);
	diff = mnt_state_diff(&was, &w->state);
	w->reported = diff;
	if (!diff)
		return;

	seen = mnt_watch_find_state(m, flush);
	if (!seen)
		return;

	parent_diff = mnt_watch_parent_diff(m);
	n = mnt_watch_record(m, 0, &was);
	attr = mnt_state_attr(&w->state);
	flags = 0;
	if (diff & BIT(NOTIFY_MOUNT_READONLY)) {
		flags = attr & MOUNT_ATTR_RDONLY ? NOTIFY_MOUNT_IS_NOW_RO : 0;
		if (parent_diff & BIT(NOTIFY_MOUNT_READONLY))
			flags |= NOTIFY_MOUNT_RECURSIVE;
		n.mnt_attr ^= MOUNT_ATTR_RDONLY;
		mnt_watch_post_state(seen, &n, NOTIFY_MOUNT_READONLY, flags, flush);
	}
	if (diff & BIT(NOTIFY_MOUNT_SETATTR)) {
		flags = parent_diff & BIT(NOTIFY_MOUNT_SETATTR) ? NOTIFY_MOUNT_RECURSIVE : 0;
		n.mnt_attr = attr;
		mnt_watch_post_state(seen, &n, NOTIFY_MOUNT_SETATTR, flags, flush);
	}
	if (diff & BIT(NOTIFY_MOUNT_PROPAGATION)) {
		flags = mnt_watch_how_flags(m);
		if (parent_diff & BIT(NOTIFY_MOUNT_PROPAGATION))
			flags |= NOTIFY_MOUNT_RECURSIVE;
		n.mnt_propagation = mnt_state_propagation(&w->state);
		n.mnt_peer_group = mnt_state_peer_group(&w->state);
		mnt_watch_post_state(seen, &n, NOTIFY_MOUNT_PROPAGATION, flags, flush);
	}
}

/**
 * mnt_watch_flush_begin - Take over what is to be done when changes are reported
 * @flush: What mnt_watch_report() and mnt_watch_flush_end() are to have.
 *
 * Context: namespace_sem held exclusively.
 */
void mnt_watch_flush_begin(struct mnt_watch_flush *flush)
{
	hlist_move_list(&mnt_dying_points, &flush->dying);
	flush->wake = NULL;
	flush->seen = NULL;
	flush->parent = NULL;
	flush->own = MNT_WATCH_OWN;
	flush->foreign = MNT_WATCH_FOREIGN;
	flush->nr = 0;
}

/**
 * mnt_watch_report - Post what has changed to the watches
 * @changed: The mounts that were on notify_list, linked by to_notify.
 * @flush: From mnt_watch_flush_begin().
 *
 * Context: namespace_sem held shared, downgraded from exclusive, so that nothing
 * but attributes changes meanwhile and nobody else is here.
 */
void mnt_watch_report(struct list_head *changed, struct mnt_watch_flush *flush)
{
	struct mount *m;

	if (!mnt_any_watched())
		return;

	mnt_flush_nr++;
	rcu_read_lock();
	list_for_each_entry(m, changed, to_notify) {
		flush->own += MNT_WATCH_OWN_EACH;
		flush->foreign += MNT_WATCH_FOREIGN_EACH;
		if (m->mnt_watch && m->mnt_watch->changed)
			mnt_watch_report_place(m, flush);
		mnt_watch_breathe(flush);
	}
	list_for_each_entry(m, changed, to_notify) {
		if (m->mnt_watch && m->mnt_watch->changed)
			mnt_watch_report_state(m, flush);
		mnt_watch_breathe(flush);
	}
	mnt_watch_forget(flush);
	rcu_read_unlock();
}

static void mnt_watch_done_one(struct mount *m, struct list_head *dentries)
{
	struct mount_watch *w = m->mnt_watch;
	struct mnt_state now, reported;

	if (!w || !w->changed)
		return;
	if (w->pinned)
		dput_to_list(w->mountpoint, dentries);
	w->pinned = false;
	w->changed = false;
	WRITE_ONCE(w->how, MNT_CHANGE_ATTR);

	now = mnt_state(m);
	reported = w->state;
	if (mnt_ns_is_watched(m->mnt_ns) && mnt_state_diff(&reported, &now)) {
		mnt_watch_put_aside(m, w);
		w->state = reported;
	}
}

/**
 * mnt_watch_done - Take mounts off the list of changed ones
 * @changed: The mounts, which have been reported.
 * @dentries: Where to put dentries to be let go by shrink_dentry_list().
 *
 * If the attributes of one have changed again since, it is changed again.
 *
 * Context: As mnt_watch_report().  This holds mount_lock for all of them, as did the
 * task that changed them.
 */
void mnt_watch_done(struct list_head *changed, struct list_head *dentries)
{
	struct mount *m, *next;

	guard(mount_locked_reader)();
	list_for_each_entry_safe(m, next, changed, to_notify) {
		list_del_init(&m->to_notify);
		mnt_watch_done_one(m, dentries);
	}
}

static struct rhlist_head *mnt_points_on(const struct dentry *dentry)
{
	return rhltable_lookup(&mnt_points_by_dentry, &dentry, mnt_by_dentry_params);
}

/* Take a watch point out of the namespace that its mount has left or that it leaves. */
static void mnt_watch_leave_ns(struct watch_point *point)
{
	lockdep_assert_held(&mount_lock.lock);

	point->place.mnt->mnt_ns->nr_watches -= point->nr_watches;
	point->nr_watches = 0;
	hlist_del_init_rcu(&point->in_ns);
}

/* Detach a watch point from its mount, and pin the superblock instead. */
static void mnt_watch_detach(struct watch_point *point)
{
	struct mount *m = point->place.mnt;
	struct mount_watch *w;

	lockdep_assert_held(&mount_lock.lock);

	if (!m)
		return;
	w = m->mnt_watch;
	if (!hlist_unhashed(&point->in_ns))
		mnt_watch_leave_ns(point);
	hlist_del_init_rcu(&point->link);
	if (point->place.dentry != m->mnt.mnt_root) {
		rhltable_remove(&mnt_points_by_place, &point->by_place,
				mnt_by_place_params);
		WRITE_ONCE(w->nr_dirs, w->nr_dirs - 1);
	} else if (rcu_access_pointer(w->root_point) == point) {
		RCU_INIT_POINTER(w->root_point, NULL);
	}
	point->sb = m->mnt.mnt_sb;
	atomic_inc(&point->sb->s_active);
	/* Pairs with READ_ONCE() in mnt_rescan_crossed(): RCU keeps the mount for that. */
	WRITE_ONCE(point->place.mnt, NULL);
}

static void mnt_watch_crossed(const struct dentry *dentry);

static void mnt_put_watch_point(struct watch_point *point)
{
	struct dentry *dentry = point->place.dentry;
	unsigned int why;

	if (!refcount_dec_and_test(&point->usage))
		return;

	scoped_guard(mount_locked_reader)
		mnt_watch_detach(point);
	scoped_guard(spinlock, &mnt_rescan_lock) {
		list_del_init(&point->rescan);
		why = point->rescanning;
	}
	rhltable_remove(&mnt_points_by_dentry, &point->by_dentry, mnt_by_dentry_params);
	/* mnt_add_watch_point() sets the flag after it adds to the table. */
	spin_lock(&dentry->d_lock);
	scoped_guard(rcu)
		if (!mnt_points_on(dentry))
			dentry->d_flags &= ~DCACHE_MOUNT_WATCHED;
	spin_unlock(&dentry->d_lock);
	/* Another one there is to stand for all. */
	if (why & RESCAN_CROSSED) {
		guard(rcu)();
		mnt_watch_crossed(dentry);
	}
	dput(dentry);
	/* The last one if the mount has gone meanwhile and nothing else uses it. */
	deactivate_super(point->sb);
	static_branch_slow_dec_deferred(&mnt_watched);
	kfree_rcu(point, watches.rcu);
}

/* Count a watch on a point, or one less, while its mount is in its namespace. */
static void mnt_count_watch(struct watch_point *point, int by)
{
	const struct mount *m;

	guard(mount_locked_reader)();
	m = point->place.mnt;
	if (m && m->mnt_ns) {
		point->nr_watches += by;
		m->mnt_ns->nr_watches += by;
	}
}

static struct mnt_watch_share *mnt_find_share(const void *user, u64 ns_id)
{
	const struct mnt_share_key key = { .user = (unsigned long)user, .ns_id = ns_id };

	lockdep_assert_held(&mnt_watch_share_lock);

	return rhashtable_lookup_fast(&mnt_watch_shares, &key, mnt_share_params);
}

static void mnt_give_share_back(const void *user, u64 ns_id)
{
	struct mnt_watch_share *share;

	guard(spinlock)(&mnt_watch_share_lock);
	share = mnt_find_share(user, ns_id);
	if (--share->nr)
		return;
	rhashtable_remove_fast(&mnt_watch_shares, &share->node, mnt_share_params);
	kfree(share);
}

static int mnt_take_share(const void *user, u64 ns_id, unsigned int most)
{
	struct mnt_watch_share *new __free(kfree) = kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);
	struct mnt_watch_share *share;
	int err;

	if (!new)
		return -ENOMEM;

	guard(spinlock)(&mnt_watch_share_lock);
	share = mnt_find_share(user, ns_id);
	if (!share) {
		new->key.user = (unsigned long)user;
		new->key.ns_id = ns_id;
		err = rhashtable_insert_fast(&mnt_watch_shares, &new->node,
					     mnt_share_params);
		if (err)
			return err;
		share = no_free_ptr(new);
	}
	if (share->nr >= most)
		return -ENOSPC;
	share->nr++;
	return 0;
}

static void mnt_give_shares_back(const struct watch *watch, u64 ns_id)
{
	if (!watch->share)
		return;
	mnt_give_share_back(watch->share, ns_id);
	mnt_give_share_back(watch->share, 0);
	mnt_give_share_back(watch->cred->user, 0);
}

/*
 * Have a watch count for its owner, if that has no CAP_SYS_RESOURCE.  A user who gets
 * namespaces made by a set-user-ID program has a share in each, but not more in all.
 */
static int mnt_take_shares(const struct watch *watch, u64 ns_id)
{
	const struct user_struct *user = watch->cred->user;
	const void *share = watch->share;
	int err;

	if (!share)
		return 0;
	err = mnt_take_share(share, ns_id, MNT_WATCH_SHARE);
	if (err)
		return err;
	err = mnt_take_share(share, 0, MNT_WATCH_SHARE_ALL);
	if (err)
		goto give_back_in_ns;
	err = mnt_take_share(user, 0, MNT_WATCH_SHARE_ALL);
	if (err)
		goto give_back;
	return 0;

give_back:
	mnt_give_share_back(share, 0);
give_back_in_ns:
	mnt_give_share_back(share, ns_id);
	return err;
}

static void mnt_release_watch(struct watch *watch)
{
	struct watch_point *point = watch->private;

	mnt_give_shares_back(watch, point->ns_id);
	mnt_count_watch(point, -1);
	mnt_put_watch_point(point);
}

static void mnt_kill_watch_point(struct watch_point *point)
{
	kill_watch_list(&point->watches);
	remove_watch_from_object(&point->watches, NULL, point->id, true);
	mnt_put_watch_point(point);
}

/* The part of mnt_watch_umount() for when there are watch points anywhere. */
void __mnt_watch_umount(struct mount *m)
{
	struct watch_point *point;
	struct hlist_node *next;

	hlist_for_each_entry_safe(point, next, &m->mnt_watch->points, link) {
		/* With a watch on it, the mount is on notify_list. */
		if (point->nr_watches && refcount_inc_not_zero(&point->usage)) {
			mnt_watch_leave_ns(point);
			hlist_add_head(&point->in_ns, &mnt_dying_points);
		} else {
			/* Others are about to let go of it, when the mount may have gone. */
			mnt_watch_detach(point);
		}
	}
}

/* The part of mnt_watch_flush_end() for when there is something to do. */
void __mnt_watch_flush_end(struct mnt_watch_flush *flush)
{
	struct watch_point *point;
	struct hlist_node *next;

	/* Letting go of a directory may take long. */
	watch_queue_wake(&flush->wake);
	hlist_for_each_entry_safe(point, next, &flush->dying, in_ns) {
		hlist_del_init(&point->in_ns);
		scoped_guard(mount_locked_reader)
			mnt_watch_detach(point);
		mnt_kill_watch_point(point);
	}
}

static struct watch_point *mnt_get_live_point(struct rhlist_head *points)
{
	struct watch_point *point;
	struct rhlist_head *pos;

	rhl_for_each_entry_rcu(point, pos, points, by_dentry)
		if (!READ_ONCE(point->watches.dead) && refcount_inc_not_zero(&point->usage))
			return point;
	return NULL;
}

/**
 * mnt_directory_removed - Remove the watches on a directory
 * @dentry: The directory, after dont_mount().  The caller holds a reference.
 *
 * Context: Process context.  May sleep.  Nothing is added after dont_mount().
 */
void mnt_directory_removed(struct dentry *dentry)
{
	struct watch_point *point;

	/* dont_mount() and mnt_add_watch_point() both held d_lock. */
	while (unlikely(READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED)) {
		scoped_guard(rcu)
			point = mnt_get_live_point(mnt_points_on(dentry));
		if (!point)
			break;
		mnt_kill_watch_point(point);
	}
}

static unsigned int mnt_count_points(const struct dentry *dentry)
{
	const struct watch_point *point;
	struct rhlist_head *pos;
	unsigned int nr = 0;

	guard(rcu)();
	rhl_for_each_entry_rcu(point, pos, mnt_points_on(dentry), by_dentry)
		nr++;
	return nr;
}

/**
 * d_count_unwatched - Count the references to a dentry, but not those of watches
 * @dentry: The dentry, to which the caller holds a reference.
 *
 * So that a watch keeps nothing from being taken for unused.  A watch that is just
 * being removed may count.
 *
 * Context: Any.
 * Return: The number of other references.
 */
unsigned int d_count_unwatched(const struct dentry *dentry)
{
	unsigned int before, after, count;

	if (likely(!(READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED)))
		return d_count(dentry);

	/* What comes or goes meanwhile counts, so that a directory in use is never unused. */
	before = mnt_count_points(dentry);
	count = d_count(dentry);
	after = mnt_count_points(dentry);
	return count - min(before, after);
}
EXPORT_SYMBOL_GPL(d_count_unwatched);

/*
 * Have those list again who watch a directory that a rename crossed.  The root of a
 * mount has all below it that is mounted on the mount, wherever that is.
 */
static void mnt_rescan_crossed(const struct dentry *dentry, struct watch_queue **wake)
{
	struct watch_point *point;
	struct rhlist_head *pos;

	rhl_for_each_entry_rcu(point, pos, mnt_points_on(dentry), by_dentry) {
		const struct mount *m = READ_ONCE(point->place.mnt);

		if (m && dentry != m->mnt.mnt_root)
			mnt_watch_post_rescan(point, wake);
	}
}

/*
 * Post RESCAN to the first watch point that is to get it, if there is one.  RCU keeps it
 * for that: a reference might be the last one, which can take long to drop.
 */
static bool mnt_rescan_first(struct watch_queue **wake)
{
	struct watch_point *point;
	unsigned int why;

	guard(rcu)();
	scoped_guard(spinlock, &mnt_rescan_lock) {
		point = list_first_entry_or_null(&mnt_rescans, struct watch_point, rescan);
		if (!point)
			return false;
		/* What happens from here on puts it on the list again. */
		list_del_init(&point->rescan);
		why = point->rescanning;
		point->rescanning = 0;
	}
	if (why & RESCAN_CROSSED)
		mnt_rescan_crossed(point->place.dentry, wake);
	if (why & RESCAN_ITSELF)
		mnt_watch_post_rescan(point, wake);
	return true;
}

static void mnt_rescan_work(struct work_struct *work)
{
	struct watch_queue *wake = NULL;

	while (mnt_rescan_first(&wake)) {
		watch_queue_wake(&wake);
		cond_resched();
	}
}

/* Note that a rename crossed a directory.  One of its watch points stands for all. */
static void mnt_watch_crossed(const struct dentry *dentry)
{
	struct watch_point *point;
	struct rhlist_head *pos;

	if (!(READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED))
		return;
	rhl_for_each_entry_rcu(point, pos, mnt_points_on(dentry), by_dentry)
		if (mnt_watch_rescan_later(point, RESCAN_CROSSED))
			return;
}

static unsigned int mnt_dentry_depth(const struct dentry *dentry, bool *watched)
{
	unsigned int depth;

	for (depth = 0; !IS_ROOT(dentry); depth++) {
		*watched |= READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED;
		dentry = READ_ONCE(dentry->d_parent);
	}
	return depth;
}

/*
 * The part of mnt_dentry_moved() for when there are watch points anywhere.
 *
 * What is crossed is what lies above one of the parents but not above the other.  If
 * that changes meanwhile, by another move, that one looks as well.
 */
void __mnt_dentry_moved(const struct dentry *from, const struct dentry *to)
{
	unsigned int from_depth, to_depth;
	bool watched = false;

	/*
	 * Pairs with the barrier in mnt_add_watch_point(): either this sees the flag,
	 * or whoever set the watch sees where the dentry went.
	 */
	smp_mb();
	guard(rcu)();
	from_depth = mnt_dentry_depth(from, &watched);
	to_depth = mnt_dentry_depth(to, &watched);
	if (!watched)
		return;

	for (; from_depth > to_depth; from_depth--) {
		mnt_watch_crossed(from);
		from = READ_ONCE(from->d_parent);
	}
	for (; to_depth > from_depth; to_depth--) {
		mnt_watch_crossed(to);
		to = READ_ONCE(to->d_parent);
	}
	for (; from != to && from_depth; from_depth--) {
		mnt_watch_crossed(from);
		mnt_watch_crossed(to);
		from = READ_ONCE(from->d_parent);
		to = READ_ONCE(to->d_parent);
	}
}

/* Find the watch point on a directory of a mount and take a reference. */
static struct watch_point *mnt_get_watch_point(struct mount *mnt, struct dentry *dentry)
{
	/* Pairs with mnt_watch_supply_ns() and __mnt_watch_prepare(). */
	struct mount_watch *w = smp_load_acquire(&mnt->mnt_watch);
	struct watch_point *point;
	struct rhlist_head *pos;

	guard(rcu)();
	if (dentry == mnt->mnt.mnt_root) {
		point = w ? rcu_dereference(w->root_point) : NULL;
		return point && refcount_inc_not_zero(&point->usage) ? point : NULL;
	}
	rhl_for_each_entry_rcu(point, pos, mnt_points_at(mnt, dentry), by_place)
		if (refcount_inc_not_zero(&point->usage))
			return point;
	return NULL;
}

/* May the current task watch a directory?  namespace_sem is held. */
static int mnt_may_watch(const struct path *path, const struct path *root)
{
	struct mount *m = real_mount(path->mnt);
	struct mnt_namespace *ns = m->mnt_ns;

	if (IS_ERR_OR_NULL(ns) || is_anon_ns(ns))
		return -EINVAL;
	if (cant_mount(path->dentry) || d_unlinked(path->dentry))
		return -ENOENT;
	if (ns == current->nsproxy->mnt_ns && is_path_reachable(m, path->dentry, root))
		return 0;
	return ns_capable_noaudit(ns->user_ns, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/* Of a watch point that nobody has seen, or NULL. */
static void mnt_free_watch_point(struct watch_point *point)
{
	if (!point)
		return;
	static_branch_slow_dec_deferred(&mnt_watched);
	kfree(point);
}

DEFINE_FREE(mnt_free_watch_point, struct watch_point *, mnt_free_watch_point(_T))

/* May sleep, and is called without locks as the kernel may be patched. */
static struct watch_point *mnt_new_watch_point(const struct path *path, u64 ns_id)
{
	struct mount *m = real_mount(path->mnt);
	struct watch_point *point;

	point = kzalloc_obj(*point, GFP_KERNEL_ACCOUNT);
	if (!point)
		return NULL;
	point->place.mnt = m;
	point->place.dentry = path->dentry;
	point->id = m->mnt_id_unique;
	point->ns_id = ns_id;
	refcount_set(&point->usage, 1);
	INIT_LIST_HEAD(&point->rescan);
	init_watch_list(&point->watches, mnt_release_watch);
	static_branch_deferred_inc(&mnt_watched);
	return point;
}

/*
 * Add a watch point to the directory that it was made for.  On failure it is gone.
 *
 * Context: namespace_sem held exclusively.
 */
static int mnt_add_watch_point(struct watch_point *point)
{
	struct dentry *dentry = dget(point->place.dentry);
	struct mount *m = point->place.mnt;
	bool on_root = dentry == m->mnt.mnt_root, removed;
	struct mount_watch *w = m->mnt_watch;
	int err;

	err = rhltable_insert(&mnt_points_by_dentry, &point->by_dentry,
			      mnt_by_dentry_params);
	if (!err && !on_root) {
		err = rhltable_insert(&mnt_points_by_place, &point->by_place,
				      mnt_by_place_params);
		if (err)
			rhltable_remove(&mnt_points_by_dentry, &point->by_dentry,
					mnt_by_dentry_params);
	}
	if (err) {
		/* RCU readers may have seen it. */
		dput(dentry);
		static_branch_slow_dec_deferred(&mnt_watched);
		kfree_rcu(point, watches.rcu);
		return err;
	}

	scoped_guard(mount_locked_reader) {
		hlist_add_head_rcu(&point->link, &w->points);
		hlist_add_head_rcu(&point->in_ns, &m->mnt_ns->watch_points);
		if (on_root)
			rcu_assign_pointer(w->root_point, point);
		else
			WRITE_ONCE(w->nr_dirs, w->nr_dirs + 1);
	}

	/* rmdir() sets the one flag, and looks at the other after that. */
	spin_lock(&dentry->d_lock);
	removed = cant_mount(dentry);
	if (!removed)
		dentry->d_flags |= DCACHE_MOUNT_WATCHED;
	spin_unlock(&dentry->d_lock);
	/* Pairs with the barrier in __mnt_dentry_moved(). */
	smp_mb();
	if (removed) {
		mnt_put_watch_point(point);
		return -ENOENT;
	}
	return 0;
}

/*
 * Add a watch to the watch point of a directory, which becomes *@new if it has none.
 *
 * Context: namespace_sem held exclusively.
 */
static int mnt_add_watch(const struct path *path, struct watch *watch,
			 struct watch_point **new)
{
	struct mount *m = real_mount(path->mnt);
	struct watch_point *point;
	int err;

	/* It was in an anonymous one when the owner's share was taken. */
	if ((*new)->ns_id != m->mnt_ns->ns.ns_id)
		return -EINVAL;

	point = mnt_get_watch_point(m, path->dentry);
	if (!point) {
		point = no_free_ptr(*new);
		err = mnt_add_watch_point(point);
		if (err)
			return err;
	}

	watch->private = point;
	mnt_count_watch(point, 1);
	err = add_watch_to_object(watch, &point->watches);
	if (err) {
		mnt_count_watch(point, -1);
		mnt_put_watch_point(point);
	}
	return err;
}

/* What mounts are to have that have no struct mount_watch. */
struct mnt_watch_supply {
	struct mount_watch *first;	/* Linked by their first word */
	unsigned int missing;
};

static void mnt_watch_supply_free(struct mnt_watch_supply *supply)
{
	struct mount_watch *w;

	while ((w = supply->first)) {
		supply->first = *(struct mount_watch **)w;
		kfree(w);
	}
}

/* Context: Process context without locks.  May sleep. */
static int mnt_watch_supply_fill(struct mnt_watch_supply *supply)
{
	struct mount_watch *w;

	for (; supply->missing; supply->missing--) {
		w = kzalloc_obj(*w, GFP_KERNEL_ACCOUNT);
		if (!w)
			return -ENOMEM;
		*(struct mount_watch **)w = supply->first;
		supply->first = w;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/*
 * Make a namespace watchable, if there is enough for all of its mounts; otherwise count
 * what is missing.  This looks at all mounts once or twice in the life of a namespace.
 *
 * Context: namespace_sem held exclusively.
 */
static bool mnt_watch_supply_ns(struct mnt_watch_supply *supply, struct mnt_namespace *ns)
{
	struct rb_node *node;

	if (ns->watchable)
		return true;

	for (node = ns->mnt_first_node; node; node = rb_next(node)) {
		struct mount *m = rb_entry(node, struct mount, mnt_node);
		struct mount_watch *w = supply->first;

		if (m->mnt_watch)
			continue;
		if (!w) {
			supply->missing++;
			continue;
		}
		supply->first = *(struct mount_watch **)w;
		*(struct mount_watch **)w = NULL;
		/* Pairs with mnt_get_watch_point(), which takes no lock. */
		smp_store_release(&m->mnt_watch, w);
	}
	ns->watchable = !supply->missing;
	return ns->watchable;
}

/* The part of mnt_watch_prepare() for namespaces that are watchable. */
int __mnt_watch_prepare(struct mount *tree)
{
	struct mount *m;

	for (m = tree; m; m = next_mnt(m, tree)) {
		struct mount_watch *w;

		if (m->mnt_watch)
			continue;
		w = kzalloc_obj(*w, GFP_KERNEL_ACCOUNT);
		if (!w)
			return -ENOMEM;
		/* Pairs with mnt_get_watch_point(), which takes no lock. */
		smp_store_release(&m->mnt_watch, w);
	}
	return 0;
}

/* The ID of the mount namespace of a path, 0 if there is none. */
static u64 mnt_ns_id_of(const struct path *path)
{
	const struct mnt_namespace *ns;

	guard(rcu)();
	ns = READ_ONCE(real_mount(path->mnt)->mnt_ns);
	return IS_ERR_OR_NULL(ns) ? 0 : ns->ns.ns_id;
}

static int mnt_watch_path(const struct path *path, struct watch *watch, u64 ns_id)
{
	/* Nothing waits for memory, and no path is put, under the locks. */
	struct watch_point *point __free(mnt_free_watch_point) =
		mnt_new_watch_point(path, ns_id);
	struct mount *m = real_mount(path->mnt);
	struct path root __free(path_put) = {};
	struct mnt_watch_supply supply = {};
	int err;

	if (!point)
		return -ENOMEM;
	get_fs_root(current->fs, &root);

	do {
		err = mnt_watch_supply_fill(&supply);
		if (err)
			break;
		scoped_guard(namespace_excl) {
			err = mnt_may_watch(path, &root);
			if (!err && mnt_watch_supply_ns(&supply, m->mnt_ns))
				err = mnt_add_watch(path, watch, &point);
		}
	} while (!err && supply.missing);
	mnt_watch_supply_free(&supply);
	return err;
}

static int mnt_watch(const struct path *path, struct watch_queue *wqueue, int watch_id)
{
	struct watch *watch __free(free_watch) =
		alloc_watch(sizeof(*watch), wqueue, WATCH_TYPE_MOUNT_NOTIFY,
			    real_mount(path->mnt)->mnt_id_unique, watch_id);
	u64 ns_id = mnt_ns_id_of(path);
	int err;

	if (!watch)
		return -ENOMEM;
	err = security_watch_mount(watch, path);
	if (err)
		return err;
	err = mnt_take_shares(watch, ns_id);
	if (err)
		return err;

	err = mnt_watch_path(path, watch, ns_id);
	if (err)
		mnt_give_shares_back(watch, ns_id);
	else
		retain_and_null_ptr(watch);
	return err;
}

static int mnt_unwatch(const struct path *path, struct watch_queue *wqueue)
{
	struct watch_point *point;
	int err;

	point = mnt_get_watch_point(real_mount(path->mnt), path->dentry);
	if (!point)
		return -EBADSLT;
	err = remove_watch_from_object(&point->watches, wqueue, point->id, false);
	mnt_put_watch_point(point);
	return err;
}

/**
 * sys_mount_notify - Watch the mounts below a directory, or stop to
 * @dfd: Where to look @filename up from.
 * @filename: The directory.
 * @at_flags: AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW.
 * @watch_fd: The queue: a file of /dev/watch_queue or a notification pipe.
 * @watch_id: The tag for the records, 0 to 255; -1 to remove the watch.
 *
 * Return: 0; -EINVAL for other flags or tags, if @watch_fd is not a queue or if
 * the mount is in no mount namespace or an anonymous one; -EBADF if @watch_fd is
 * not open; -ENOTDIR; -EACCES if the caller may not search the directory; -EPERM
 * if it is in another mount namespace or cannot be reached from the root of the
 * caller, who has no CAP_SYS_ADMIN in the user namespace of the mount namespace;
 * -ENOENT if the directory was removed; -ENOSPC if the caller has too many watches
 * in the mount namespace or in all, without CAP_SYS_RESOURCE; -EBUSY if the queue
 * watches it already; -EBADSLT if there is no watch to remove; what the lookup,
 * the security policy and add_watch_to_object() say.
 */
SYSCALL_DEFINE5(mount_notify, int, dfd, const char __user *, filename,
		unsigned int, at_flags, int, watch_fd, int, watch_id)
{
	struct path path __free(path_put) = {};
	int err;

	/* What is not mounted has no watch to remove. */
	err = watch_path_at(dfd, filename,
			    watch_id < 0 ? at_flags | AT_NO_AUTOMOUNT : at_flags, &path);
	if (err)
		return err;
	if (!d_is_dir(path.dentry))
		return -ENOTDIR;
	if (watch_id >= 0) {
		err = path_permission(&path, MAY_EXEC);
		if (err)
			return err;
	}

	struct watch_queue *wqueue __free(put_watch_queue) =
		get_queue_for_watch(watch_fd, watch_id);
	if (IS_ERR(wqueue))
		return PTR_ERR(wqueue);
	if (watch_id >= 0)
		return mnt_watch(&path, wqueue, watch_id);
	return mnt_unwatch(&path, wqueue);
}

static int __init mount_watch_init(void)
{
	if (rhltable_init(&mnt_points_by_place, &mnt_by_place_params) ||
	    rhltable_init(&mnt_points_by_dentry, &mnt_by_dentry_params) ||
	    rhashtable_init(&mnt_watch_shares, &mnt_share_params))
		panic("Failed to allocate the tables of watches on mounts\n");
	return 0;
}
fs_initcall(mount_watch_init);

#ifdef CONFIG_MOUNT_NOTIFICATIONS_KUNIT_TEST
#include "tests/mount_watch_kunit.c"
#endif
