// SPDX-License-Identifier: GPL-2.0
/*
 * Watches on mounts: what changes below a directory is told to watch queues.
 *
 * A directory of a mount that is watched has a watch point, which is found by
 * both.  Whatever changes a mount calls mnt_changing() first.  That counts
 * the change, and no more unless there is a watch point anywhere and somebody
 * watches the namespace of the mount.  If so, the state and place of the mount are
 * put aside and the mount is put on a list, which namespace_unlock() hands to
 * mnt_tell_changes().  This compares then and now, walks up from both places to
 * find the watch points, and posts.  So a change is told once however it came
 * about, in the order in which mounts were changed first, and nothing is told of
 * what ended as it began.
 *
 * Locks:
 *
 * - namespace_sem is held exclusively to add a watch, and shared (downgraded) to
 *   tell changes, so that all of it is told by one task at a time.
 * - s_vfs_rename_mutex is held to set DCACHE_MOUNT_WATCHED, before a watch is added:
 *   a rename that does not see it is over by then.  It is never cleared.
 * - mount_lock protects the list of changed mounts, what is put aside in them,
 *   the lists of watch points of a mount and of a namespace, and
 *   mnt_namespace::nr_watches.  Nothing is posted and nothing sleeps under it.
 *   While changes are told, where a changed mount was and is stays as it is; its
 *   attributes may change again.
 * - RCU protects the way to a watch point, and the walk over those of a namespace.
 *
 * A watch point pins its directory but not its mount: umount_tree() kills it,
 * and cleanup_mnt() waits for the directory to be let go.
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
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/wait_bit.h>
#include <linux/watch_queue.h>
#include <uapi/linux/mount.h>

#include "internal.h"
#include "pnode.h"

static_assert(WATCH_TYPE_MOUNT_NOTIFY < WATCH_TYPE__NR);

/**
 * struct watch_point - A directory of a mount that is watched
 * @node: Link in watch_points, by @place.
 * @link: Link in mount_watch::points; after umount_tree() in mnt_dying_watch_points.
 * @in_ns: Link in mnt_namespace::watch_points, until umount_tree().
 * @place: The mount and the directory.  The mount stays in memory until
 *	cleanup_mnt() has seen the directory go.
 * @id: The id of the mount.
 * @usage: One for each watch, and one for who looks at it otherwise than by RCU.
 * @nr_watches: How many watches, as counted in mnt_namespace::nr_watches.
 * @watches: The watches.
 * @next: The next one that a change is to be told to.
 * @seen: How it is concerned, SEEN_*.
 * @next_removed: The next one on the same directory that is being removed.
 * @rcu: For freeing.
 *
 * @next and @seen are of the task that is telling changes.
 */
struct watch_point {
	struct rhlist_head	node;
	struct list_head	link;
	struct hlist_node	in_ns;
	struct place {
		struct mount	*mnt;
		struct dentry	*dentry;
	} place;
	u64			id;
	refcount_t		usage;
	unsigned int		nr_watches;
	struct watch_list	watches;
	struct watch_point	*next;
	unsigned int		seen;
	struct watch_point	*next_removed;
	struct rcu_head		rcu;
};

#define SEEN_HERE	BIT(0)	/* The mount is at or below the directory now */
#define SEEN_BELOW	BIT(1)	/* ... below it */
#define SEEN_FORMER(s)	((s) << 2) /* The same of where it was before */
#define SEEN_ITSELF	BIT(4)	/* The directory is the root of the mount */

static const struct rhashtable_params watch_point_params = {
	.key_len		= sizeof(struct place),
	.key_offset		= offsetof(struct watch_point, place),
	.head_offset		= offsetof(struct watch_point, node),
	.automatic_shrinking	= true,
};

/* A dying point may still be in it beside the one that takes its place. */
static struct rhltable watch_points;

/*
 * Held up by each watch point, and by mnt_changes while that is not empty.  Anybody
 * may set a watch: so it is let down a while later, and the kernel patched twice in
 * that time at most.
 */
DEFINE_STATIC_KEY_DEFERRED_FALSE(mnt_watched, 5 * HZ);

LIST_HEAD(mnt_changes);			/* Protected by mount_lock */
static u64 told_batch;			/* Of the task that is telling changes */
static const struct renamedata *told_rename; /* ... if it is a rename that does */
LIST_HEAD(mnt_dying_watch_points);	/* Protected by namespace_sem */

static struct mnt_state mnt_state(struct mount *m)
{
	return (struct mnt_state) {
		.attr = mnt_to_attr_flags(&m->mnt),
		.propagation = mnt_to_propagation_flags(m),
		.peer_group = IS_MNT_SHARED(m) ? m->mnt_group_id : 0,
	};
}

/* The BIT()s of the subtypes of records that lead from one state to another. */
static unsigned int mnt_state_diff(const struct mnt_state *a, const struct mnt_state *b)
{
	unsigned int diff = 0;

	if ((a->attr ^ b->attr) & MOUNT_ATTR_RDONLY)
		diff |= BIT(NOTIFY_MOUNT_READONLY);
	if ((a->attr ^ b->attr) & ~MOUNT_ATTR_RDONLY)
		diff |= BIT(NOTIFY_MOUNT_SETATTR);
	if (a->propagation != b->propagation || a->peer_group != b->peer_group)
		diff |= BIT(NOTIFY_MOUNT_PROPAGATION);
	return diff;
}

static void put_aside(struct mount *m, unsigned int how)
{
	struct mnt_change *change = mnt_change(m);

	change->how = how;
	change->told = 0;
	change->state = mnt_state(m);
	change->ns = IS_ERR(m->mnt_ns) ? NULL : m->mnt_ns;
	if (mnt_has_parent(m) && mnt_ns_is_watched(m->mnt_ns)) {
		change->parent = m->mnt_parent;
		change->mountpoint = dget(m->mnt_mountpoint);
	} else {
		change->parent = m;
		change->mountpoint = NULL;
	}
	/* It is up, as somebody watches: this is no more than to count. */
	if (list_empty(&mnt_changes))
		WARN_ON_ONCE(!static_key_fast_inc_not_disabled(&mnt_watched.key.key));
	list_add_tail(&change->link, &mnt_changes);
}

/* The part of mnt_announce() for when there are watch points anywhere. */
bool __mnt_announce(struct mount *m, struct mnt_namespace *to, unsigned int how)
{
	if (mnt_is_changed(m)) {
		if (how)
			mnt_change(m)->how = how;
		return true;
	}
	if (!mnt_ns_is_watched(m->mnt_ns) && !mnt_ns_is_watched(to))
		return false;
	put_aside(m, how);
	return true;
}

/*
 * Go from a mount to where it is mounted, or was before the changes that are
 * being told.  False if that is nowhere.
 */
static bool go_up(struct mount **mnt, struct dentry **dentry, bool former)
{
	struct mount *m = *mnt;

	if (former && mnt_is_changed(m)) {
		*mnt = mnt_change(m)->parent;
		*dentry = mnt_change(m)->mountpoint;
	} else {
		*mnt = m->mnt_parent;
		*dentry = m->mnt_mountpoint;
	}
	return *mnt != m;
}

/* The parent of a directory, or what that was before the rename being told. */
static struct dentry *parent_of(struct dentry *dentry, bool former)
{
	if (former && told_rename) {
		if (dentry == told_rename->old_dentry)
			return told_rename->old_parent;
		if (dentry == told_rename->new_dentry)
			return told_rename->new_parent;
	}
	return READ_ONCE(dentry->d_parent);
}

static void see(struct watch_point **seen, struct mount *mnt,
		struct dentry *dentry, unsigned int how)
{
	const struct place place = { .mnt = mnt, .dentry = dentry };
	struct rhlist_head *pos, *points;
	struct watch_point *point;

	points = rhltable_lookup(&watch_points, &place, watch_point_params);
	rhl_for_each_entry_rcu(point, pos, points, node) {
		if (!point->seen) {
			point->next = *seen;
			*seen = point;
		}
		point->seen |= how;
	}
}

/*
 * Find the nearest mount, from @first upwards, whose parent has watch points.
 * What was found is kept for the mount and its parent as long as these changes
 * are told: trees are told from the top and siblings share the way up, so that
 * no way is gone again and again.
 */
static struct mount *below_watched(struct mount *first, bool former)
{
	struct mount *m = first, *parent = first, *next;
	struct below_watched *kept;
	struct dentry *dentry;

	for (;;) {
		kept = &mount_watch(m)->below_watched[former];
		if (kept->batch == told_batch) {
			m = kept->mnt;
			break;
		}
		next = m;
		if (!go_up(&next, &dentry, former)) {
			m = NULL;
			break;
		}
		if (atomic_read(&mount_watch(next)->nr_points))
			break;
		if (m == first)
			parent = next;
		m = next;
	}
	kept = mount_watch(first)->below_watched;
	kept[former] = (struct below_watched) { .mnt = m, .batch = told_batch };
	mount_watch(parent)->below_watched[former] = kept[former];
	return m;
}

/*
 * Find the watch points at and above where a mount is, or was.
 */
static void look_up(struct watch_point **seen, struct mount *mnt, bool former)
{
	unsigned int how = SEEN_HERE;
	struct dentry *dentry;
	struct mount *m;

	while ((m = below_watched(mnt, former))) {
		if (m != mnt)
			how = SEEN_HERE | SEEN_BELOW;
		mnt = m;
		go_up(&mnt, &dentry, former);
		for (;;) {
			see(seen, mnt, dentry, former ? SEEN_FORMER(how) : how);
			how = SEEN_HERE | SEEN_BELOW;
			if (dentry == mnt->mnt.mnt_root || IS_ROOT(dentry))
				break;
			dentry = parent_of(dentry, former);
		}
	}
}

#define LOOK_NOW	BIT(0)	/* From where it is now */
#define LOOK_FORMER	BIT(1)	/* From where it was */
#define LOOK_ITSELF	BIT(2)	/* At its own root */

/*
 * Find the watch points that a change of a mount concerns.  A rename may take a
 * directory elsewhere meanwhile; then all is done again, so that in the end each
 * point is there once, and for what it is concerned by at one moment.
 *
 * Context: RCU read-lock held, until forget().
 */
static struct watch_point *find_watch_points(struct mount *m, unsigned int where)
{
	struct watch_point *point, *seen = NULL;

	guard(mount_locked_reader)();
	scoped_seqlock_read(&rename_lock, ss_lock) {
		for (point = seen; point; point = point->next)
			point->seen = 0;
		seen = NULL;
		if (where & LOOK_ITSELF)
			see(&seen, m, m->mnt.mnt_root, SEEN_ITSELF);
		if (where & LOOK_NOW)
			look_up(&seen, m, false);
		if (where & LOOK_FORMER)
			look_up(&seen, m, true);
	}
	return seen;
}

static void forget(struct watch_point *seen)
{
	for (; seen; seen = seen->next)
		seen->seen = 0;
}

static u32 in_subtree(unsigned int seen)
{
	return seen & SEEN_BELOW ? NOTIFY_MOUNT_IN_SUBTREE : 0;
}

static struct mount_notification new_record(const struct mount *m,
					    enum mount_notification_subtype subtype,
					    const struct mnt_state *state)
{
	return (struct mount_notification) {
		.watch.type = WATCH_TYPE_MOUNT_NOTIFY,
		.watch.subtype = subtype,
		.mnt_id = m->mnt_id_unique,
		.mnt_parent_id = m->mnt_parent->mnt_id_unique,
		.mnt_attr = state->attr,
		.mnt_attr_old = state->attr,
		.mnt_propagation = state->propagation,
		.mnt_propagation_old = state->propagation,
		.mnt_peer_group = state->peer_group,
	};
}

static void post(struct watch_point *point, struct mount_notification *n, u32 flags)
{
	n->watch.info = watch_sizeof(*n) | flags;
	/* It may be done for many at once, in any context: by nobody. */
	post_watch_notification(&point->watches, &n->watch, NULL, point->id);
}

static bool is_new(const struct mount *m)
{
	return mnt_is_changed(m) && m->mnt_ns && mnt_change(m)->ns != m->mnt_ns;
}

static bool is_gone(const struct mount *m)
{
	return mnt_is_changed(m) && mnt_change(m)->ns && mnt_change(m)->ns != m->mnt_ns;
}

/* What a mount is like, as far as it has been told. */
static struct mnt_state told_state(struct mount *m)
{
	guard(mount_locked_reader)();
	return mnt_is_changed(m) ? mnt_change(m)->state : mnt_state(m);
}

static u32 how_flags(const struct mount *m)
{
	return mnt_change(m)->how == MNT_CHANGE_PROPAGATED ? NOTIFY_MOUNT_PROPAGATED : 0;
}

static void tell_gone(struct mount *m)
{
	const struct mnt_change *change = mnt_change(m);
	bool expired = change->how == MNT_CHANGE_EXPIRED;
	struct watch_point *point, *seen;
	struct mount_notification n;
	u32 flags = how_flags(m);

	scoped_guard(mount_locked_reader)
		if (is_gone(change->parent))
			flags |= NOTIFY_MOUNT_RECURSIVE;

	n = new_record(m, expired ? NOTIFY_MOUNT_EXPIRY : NOTIFY_MOUNT_UNMOUNT,
		       &change->state);
	n.mnt_parent_id = change->parent->mnt_id_unique;

	guard(rcu)();
	seen = find_watch_points(m, LOOK_FORMER);
	for (point = seen; point; point = point->next)
		post(point, &n, flags | in_subtree(point->seen >> 2));
	forget(seen);
}

static void tell_new(struct mount *m)
{
	struct watch_point *point, *seen;
	struct mount_notification n;
	u32 flags = how_flags(m);

	if (m->mnt_mountpoint->d_flags & DCACHE_NEED_AUTOMOUNT)
		flags |= NOTIFY_MOUNT_IS_SUBMOUNT;

	scoped_guard(mount_locked_reader) {
		if (mnt_has_parent(m) && is_new(m->mnt_parent))
			flags |= NOTIFY_MOUNT_RECURSIVE;
		mnt_change(m)->state = mnt_state(m);
	}
	n = new_record(m, NOTIFY_MOUNT_NEW_MOUNT, &mnt_change(m)->state);

	guard(rcu)();
	seen = find_watch_points(m, LOOK_NOW);
	for (point = seen; point; point = point->next)
		post(point, &n, flags | in_subtree(point->seen));
	forget(seen);
}

static bool is_moved(const struct mount *m)
{
	const struct mnt_change *change = mnt_change(m);

	return mnt_is_changed(m) && m->mnt_ns && change->ns == m->mnt_ns &&
	       (change->parent != m->mnt_parent ||
		(change->mountpoint && change->mountpoint != m->mnt_mountpoint));
}

/*
 * With a rename, a mount leaves or enters what is watched in its parent by itself;
 * further up its parent does so too.
 */
static u32 came_along(const struct watch_point *point, const struct mount *m)
{
	return told_rename && point->place.mnt != m->mnt_parent ?
	       NOTIFY_MOUNT_RECURSIVE : 0;
}

/*
 * Tell that a mount was moved, or came along with a mount or a directory that was.
 * True if it went out of what somebody watches, or into it.
 */
static bool tell_moved(struct mount *m, u32 flags)
{
	struct watch_point *point, *seen;
	struct mount_notification n;
	const struct mount *parent;
	struct mnt_state state;
	bool itself = is_moved(m);
	bool crossed = false;

	parent = itself ? mnt_change(m)->parent : m->mnt_parent;
	state = told_state(m);
	n = new_record(m, NOTIFY_MOUNT_MOVE_TO, &state);

	guard(rcu)();
	seen = find_watch_points(m, LOOK_NOW | LOOK_FORMER | (itself ? LOOK_ITSELF : 0));
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
		post(point, &n, flags | in_subtree(from ? point->seen >> 2 : point->seen) |
				came_along(point, m));
	}
	forget(seen);
	return crossed;
}

static void tell_tree_moved(struct mount *m)
{
	u32 flags = how_flags(m);
	struct mount *p;
	bool skip;

	if (!tell_moved(m, flags))
		return;
	for (p = next_mnt(m, m); p; p = next_mnt(p, m)) {
		scoped_guard(mount_locked_reader)
			skip = is_new(p) || is_moved(p);
		if (skip)
			p = skip_mnt_tree(p);
		else
			tell_moved(p, flags | NOTIFY_MOUNT_RECURSIVE);
		cond_resched();
	}
}

static bool is_renamed(const struct mount *m)
{
	return mnt_is_changed(m) && mnt_change(m)->how == MNT_CHANGE_RENAMED;
}

static bool is_below_renamed(const struct mount *m)
{
	guard(mount_locked_reader)();
	while (mnt_has_parent(m)) {
		m = m->mnt_parent;
		if (is_renamed(m))
			return true;
	}
	return false;
}

/* Tell of a mount that went along with a directory, and of all below it. */
static void tell_tree_renamed(struct mount *m)
{
	struct mount *p;

	/* The same directory may be there again further down. */
	if (is_below_renamed(m))
		return;
	for (p = m; p; p = next_mnt(p, m)) {
		tell_moved(p, 0);
		cond_resched();
	}
}

/* Tell where a mount went. */
static void tell_place(struct mount *m)
{
	if (is_gone(m))
		tell_gone(m);
	if (is_new(m))
		tell_new(m);
	else if (is_moved(m))
		tell_tree_moved(m);
	else if (is_renamed(m))
		tell_tree_renamed(m);
}

/* Does the parent of a mount change likewise, or has it?  BIT()s of subtypes. */
static unsigned int changes_of_parent(const struct mount *m)
{
	struct mount *parent = m->mnt_parent;
	struct mnt_state now;

	guard(mount_locked_reader)();
	if (parent == m || !mnt_is_changed(parent))
		return 0;
	now = mnt_state(parent);
	return mnt_change(parent)->told | mnt_state_diff(&mnt_change(parent)->state, &now);
}

/* Tell of what a mount has become in one respect, where it is now. */
static void tell_one(struct mount *m, struct watch_point *seen,
		     struct mount_notification *n, unsigned int flags)
{
	struct watch_point *point;

	if (changes_of_parent(m) & BIT(n->watch.subtype))
		flags |= NOTIFY_MOUNT_RECURSIVE;
	for (point = seen; point; point = point->next)
		post(point, n, flags | in_subtree(point->seen));
}

/* Tell how a mount changed apart from its place. */
static void tell_state(struct mount *m)
{
	struct mnt_state was, now;
	struct mount_notification n;
	struct watch_point *seen;
	unsigned int diff;

	if (!m->mnt_ns)
		return;

	scoped_guard(mount_locked_reader) {
		was = mnt_change(m)->state;
		now = mnt_state(m);
		diff = mnt_state_diff(&was, &now);
		mnt_change(m)->state = now;
		mnt_change(m)->told = diff;
	}
	if (!diff)
		return;

	guard(rcu)();
	seen = find_watch_points(m, LOOK_ITSELF | LOOK_NOW);
	if (diff & BIT(NOTIFY_MOUNT_READONLY)) {
		n = new_record(m, NOTIFY_MOUNT_READONLY, &was);
		n.mnt_attr ^= MOUNT_ATTR_RDONLY;
		was.attr = n.mnt_attr;
		tell_one(m, seen, &n, now.attr & MOUNT_ATTR_RDONLY ?
				      NOTIFY_MOUNT_IS_NOW_RO : 0);
	}
	if (diff & BIT(NOTIFY_MOUNT_SETATTR)) {
		n = new_record(m, NOTIFY_MOUNT_SETATTR, &was);
		n.mnt_attr = now.attr;
		tell_one(m, seen, &n, 0);
	}
	if (diff & BIT(NOTIFY_MOUNT_PROPAGATION)) {
		n = new_record(m, NOTIFY_MOUNT_PROPAGATION, &now);
		n.mnt_propagation_old = was.propagation;
		tell_one(m, seen, &n, how_flags(m));
	}
	forget(seen);
}

/* Take a mount off the list, unless it has changed again since it was told. */
static void done_telling(struct mount *m, struct list_head *dentries)
{
	struct mnt_change *change = mnt_change(m);
	struct mnt_state now;

	guard(mount_locked_reader)();
	list_del_init(&change->link);
	if (change->mountpoint) {
		dput_to_list(change->mountpoint, dentries);
		change->mountpoint = NULL;
	}
	change->parent = NULL;

	now = mnt_state(m);
	if (mnt_ns_is_watched(m->mnt_ns) && mnt_state_diff(&change->state, &now)) {
		struct mnt_state told = change->state;

		put_aside(m, 0);
		change->state = told;
	}
}

/**
 * mnt_tell_changes - Post what has changed to those who watch
 * @dentries: Where to put dentries to be let go by shrink_dentry_list().
 *
 * Context: namespace_sem held shared, downgraded from exclusive, so that nothing
 * but attributes changes meanwhile and nobody else is here.
 */
void mnt_tell_changes(struct list_head *dentries)
{
	struct mount_object *object, *next;
	LIST_HEAD(changed);

	/* They go on looking like changed ones, but nobody else moves them. */
	scoped_guard(mount_locked_reader)
		list_splice_init(&mnt_changes, &changed);
	if (list_empty(&changed))
		return;

	told_batch++;
	list_for_each_entry(object, &changed, watch.change.link) {
		tell_place(&object->mount);
		cond_resched();
	}
	list_for_each_entry(object, &changed, watch.change.link) {
		tell_state(&object->mount);
		cond_resched();
	}
	list_for_each_entry_safe(object, next, &changed, watch.change.link)
		done_telling(&object->mount, dentries);
	told_rename = NULL;
	static_branch_slow_dec_deferred(&mnt_watched);
}

static unsigned int depth_of(const struct dentry *dentry)
{
	unsigned int depth = 0;

	for (; !IS_ROOT(dentry); dentry = dentry->d_parent)
		depth++;
	return depth;
}

/* Of two directories that a rename has locked, so that both stay where they are. */
static struct dentry *common_ancestor(struct dentry *a, struct dentry *b)
{
	unsigned int a_depth = depth_of(a), b_depth = depth_of(b);

	for (; a_depth > b_depth; a_depth--)
		a = a->d_parent;
	for (; b_depth > a_depth; b_depth--)
		b = b->d_parent;
	for (; a != b && !IS_ROOT(a); a = a->d_parent)
		b = b->d_parent;
	return a;
}

/* The nearest directory from @dentry upwards, below @top, that has been watched. */
static struct dentry *next_watched(struct dentry *dentry, const struct dentry *top)
{
	for (; dentry != top && !IS_ROOT(dentry); dentry = dentry->d_parent)
		if (READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED)
			return dentry;
	return NULL;
}

/* Has a mount a watch point from @dentry upwards, below @top? */
static bool is_watched_between(struct mount *m, struct dentry *dentry,
			       const struct dentry *top)
{
	struct place place = { .mnt = m };

	guard(rcu)();
	while ((dentry = next_watched(dentry, top))) {
		place.dentry = dentry;
		if (rhltable_lookup(&watch_points, &place, watch_point_params))
			return true;
		dentry = dentry->d_parent;
	}
	return false;
}

static void announce_renamed(struct mount *m, const struct renamedata *rd)
{
	struct mount *child;

	list_for_each_entry(child, &m->mnt_mounts, mnt_child) {
		cond_resched();
		if (!is_subdir(child->mnt_mountpoint, rd->old_dentry) &&
		    !(rd->flags & RENAME_EXCHANGE &&
		      is_subdir(child->mnt_mountpoint, rd->new_dentry)))
			continue;
		scoped_guard(mount_locked_reader)
			if (mnt_changing(child, MNT_CHANGE_RENAMED))
				told_rename = rd;
	}
}

/* The part of mnt_renaming() for when there are watch points anywhere. */
bool __mnt_renaming(const struct renamedata *rd)
{
	struct dentry *from = rd->old_parent, *to = rd->new_parent;
	const struct dentry *top = common_ancestor(from, to);
	struct mount *m, *first = NULL;

	if (!next_watched(from, top) && !next_watched(to, top))
		return false;

	/* Mounts of a namespace stay where they are until namespace_unlock(). */
	namespace_lock();
	scoped_guard(mount_locked_reader) {
		for (m = from->d_sb->s_mounts; m; m = m->mnt_next_for_sb) {
			if (!mnt_ns_is_watched(m->mnt_ns) ||
			    !atomic_read(&mount_watch(m)->nr_points))
				continue;
			mount_watch(m)->next_renamed = first;
			first = m;
		}
	}
	for (m = first; m; m = mount_watch(m)->next_renamed) {
		if (is_watched_between(m, from, top) ||
		    is_watched_between(m, to, top))
			announce_renamed(m, rd);
		cond_resched();
	}
	return true;
}

static void put_watch_point(struct watch_point *point)
{
	struct mount_watch *mw = mount_watch(point->place.mnt);

	if (!refcount_dec_and_test(&point->usage))
		return;

	rhltable_remove(&watch_points, &point->node, watch_point_params);
	scoped_guard(mount_locked_reader) {
		list_del_init(&point->link);
		hlist_del_init_rcu(&point->in_ns);
	}
	dput(point->place.dentry);
	/* Pairs with mnt_wait_for_watch_points(): no access after it. */
	if (atomic_dec_and_test(&mw->nr_points))
		wake_up_var(&mw->nr_points);
	/* Only now, so that who is to wait does. */
	static_branch_slow_dec_deferred(&mnt_watched);
	kfree_rcu(point, rcu);
}

/* Count a watch on a point, or one less.  A dying point has no namespace. */
static void count_watch(struct watch_point *point, int by)
{
	struct mount *mnt = point->place.mnt;

	guard(mount_locked_reader)();
	if (!IS_ERR_OR_NULL(mnt->mnt_ns)) {
		point->nr_watches += by;
		mnt->mnt_ns->nr_watches += by;
	}
}

static void release_watch(struct watch *watch)
{
	struct watch_point *point = watch->private;

	count_watch(point, -1);
	put_watch_point(point);
}

static void kill_watch_point(struct watch_point *point)
{
	remove_watch_from_object(&point->watches, NULL, point->id, true);
	put_watch_point(point);
}

/* The part of mnt_umount_watch_points() for when there are some anywhere. */
void __mnt_umount_watch_points(struct mount *m)
{
	struct watch_point *point, *next;

	list_for_each_entry_safe(point, next, &mount_watch(m)->points, link) {
		list_del_init(&point->link);
		hlist_del_init_rcu(&point->in_ns);
		m->mnt_ns->nr_watches -= point->nr_watches;
		/* If it has no watch left, put_watch_point() is on its way. */
		if (point->nr_watches && refcount_inc_not_zero(&point->usage))
			list_add_tail(&point->link, &mnt_dying_watch_points);
	}
}

/**
 * mnt_take_dying_watch_points - Get what mnt_kill_watch_points() is to kill
 * @dying: Where to put them.
 *
 * Context: namespace_sem held exclusively.
 */
void mnt_take_dying_watch_points(struct list_head *dying)
{
	list_splice_init(&mnt_dying_watch_points, dying);
}

/**
 * mnt_kill_watch_points - Remove all watches of watch points
 * @dying: From mnt_take_dying_watch_points().
 *
 * Context: Process context.  The inodes that rmdir() and rename() lock may be.
 */
void mnt_kill_watch_points(struct list_head *dying)
{
	struct watch_point *point, *next;

	list_for_each_entry_safe(point, next, dying, link) {
		list_del_init(&point->link);
		kill_watch_point(point);
	}
}

/* The part of mnt_wait_for_watch_points() for when there are some anywhere. */
void __mnt_wait_for_watch_points(struct mount *m)
{
	atomic_t *nr_points = &mount_watch(m)->nr_points;

	/* Pairs with the atomic_dec_and_test() in put_watch_point(). */
	wait_var_event(nr_points, !atomic_read_acquire(nr_points));
}

/* Find the watch point on a directory of a mount and take a reference. */
static struct watch_point *get_watch_point(struct mount *mnt, struct dentry *dentry)
{
	const struct place place = { .mnt = mnt, .dentry = dentry };
	struct rhlist_head *pos, *points;
	struct watch_point *point;

	guard(rcu)();
	points = rhltable_lookup(&watch_points, &place, watch_point_params);
	rhl_for_each_entry_rcu(point, pos, points, node) {
		if (refcount_inc_not_zero(&point->usage))
			return point;
	}
	return NULL;
}

/**
 * mnt_directory_removed - Kill the watch points on a directory
 * @dentry: The directory, after dont_mount().  The caller holds a reference.
 *
 * Context: Process context.  The inode of the directory is locked, so that
 * nobody adds a watch.
 */
void mnt_directory_removed(struct dentry *dentry)
{
	struct watch_point *point, *removed = NULL;
	struct mount *m;

	if (likely(!(dentry->d_flags & DCACHE_MOUNT_WATCHED)))
		return;

	scoped_guard(mount_locked_reader) {
		for (m = dentry->d_sb->s_mounts; m; m = m->mnt_next_for_sb) {
			if (!atomic_read(&mount_watch(m)->nr_points))
				continue;
			point = get_watch_point(m, dentry);
			if (point) {
				point->next_removed = removed;
				removed = point;
			}
		}
	}

	while ((point = removed)) {
		removed = point->next_removed;
		kill_watch_point(point);
	}
}

/* May the current task watch a directory?  namespace_sem is held. */
static int may_watch(const struct path *path, const struct path *root)
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
static void free_watch_point(struct watch_point *point)
{
	if (!point)
		return;
	static_branch_slow_dec_deferred(&mnt_watched);
	kfree(point);
}

DEFINE_FREE(free_watch_point, struct watch_point *, free_watch_point(_T))

/* May sleep, and is called without locks as the kernel may be patched. */
static struct watch_point *new_watch_point(const struct path *path)
{
	struct mount *m = real_mount(path->mnt);
	struct watch_point *point;

	point = kzalloc_obj(*point, GFP_KERNEL_ACCOUNT);
	if (!point)
		return NULL;
	INIT_LIST_HEAD(&point->link);
	point->place.mnt = m;
	point->place.dentry = path->dentry;
	point->id = m->mnt_id_unique;
	refcount_set(&point->usage, 1);
	init_watch_list(&point->watches, release_watch);
	static_branch_deferred_inc(&mnt_watched);
	return point;
}

static int add_watch_point(struct watch_point *point)
{
	struct mount *mnt = point->place.mnt;
	struct dentry *dentry = point->place.dentry;
	int err;

	err = rhltable_insert(&watch_points, &point->node, watch_point_params);
	if (err)
		return err;
	atomic_inc(&mount_watch(mnt)->nr_points);

	guard(mount_locked_reader)();
	dget(dentry);
	list_add_tail(&point->link, &mount_watch(mnt)->points);
	hlist_add_head_rcu(&point->in_ns, &mnt->mnt_ns->watch_points);
	return 0;
}

/**
 * d_count_unwatched - Count the references to a dentry, but not those of watches
 * @dentry: The dentry, to which the caller holds a reference.
 *
 * So that a watch keeps nothing from being taken for unused.  A watch that is just
 * being removed may count.
 *
 * Context: Process context, without any of mount_lock, rename_lock and d_lock.
 * Return: The number of other references.
 */
unsigned int d_count_unwatched(const struct dentry *dentry)
{
	const struct watch_point *point;
	const struct mount *m;
	unsigned int count;

	if (likely(!(READ_ONCE(dentry->d_flags) & DCACHE_MOUNT_WATCHED)))
		return d_count(dentry);

	guard(mount_locked_reader)();
	count = d_count(dentry);
	for (m = dentry->d_sb->s_mounts; m; m = m->mnt_next_for_sb)
		list_for_each_entry(point, &mount_watch(m)->points, link)
			count -= point->place.dentry == dentry;
	return count;
}
EXPORT_SYMBOL_GPL(d_count_unwatched);

/*
 * May the owner of a watch have one more in a namespace?  Each change of a mount
 * may have to be told to all of them before the next can be made, so a user has
 * the same share as on a single object.
 */
static bool mnt_ns_has_room(const struct mnt_namespace *ns, const struct watch *watch)
{
	const struct watch_point *point;
	unsigned int nr = 0;

	if (READ_ONCE(ns->nr_watches) < WATCH_SHARE_MAX || !watch->share)
		return true;

	guard(rcu)();
	hlist_for_each_entry_rcu(point, &ns->watch_points, in_ns)
		nr += watch_list_share(&point->watches, watch);
	return nr < WATCH_SHARE_MAX;
}

/*
 * Add a watch to the watch point of a directory, which becomes @new if it has
 * none.  To be called with the inode of the directory and namespace_sem locked.
 */
static int add_watch(const struct path *path, struct watch *watch,
		     struct watch_point **new)
{
	struct mount *mnt = real_mount(path->mnt);
	struct watch_point *point;
	int err;

	if (!mnt_ns_has_room(mnt->mnt_ns, watch))
		return -ENOSPC;

	point = get_watch_point(mnt, path->dentry);
	if (!point) {
		err = add_watch_point(*new);
		if (err)
			return err;
		point = *new;
		*new = NULL;
	}

	watch->private = point;
	watch->id = point->id;
	count_watch(point, 1);
	err = add_watch_to_object(watch, &point->watches);
	if (err)
		release_watch(watch);
	return err;
}

/*
 * Have whoever removes a directory, or renames something into or out of it, look for
 * a watch point.  The kernel is patched by then for that to happen.
 */
static int mark_watched(struct dentry *dentry)
{
	struct mutex *renames = &dentry->d_sb->s_vfs_rename_mutex;

	if (mutex_lock_killable(renames))
		return -EINTR;
	spin_lock(&dentry->d_lock);
	dentry->d_flags |= DCACHE_MOUNT_WATCHED;
	spin_unlock(&dentry->d_lock);
	mutex_unlock(renames);
	return 0;
}

static int watch_mounts(const struct path *path, struct watch_queue *wqueue,
			int watch_id)
{
	struct watch_point *point __free(free_watch_point) = NULL;
	struct inode *inode = d_inode(path->dentry);
	struct watch *watch __free(kfree) = NULL;
	struct path root __free(path_put) = {};
	int err;

	watch = kzalloc_obj(*watch, GFP_KERNEL_ACCOUNT);
	if (!watch)
		return -ENOMEM;
	init_watch(watch, wqueue);
	watch->type = WATCH_TYPE_MOUNT_NOTIFY;
	watch->info_id = (u32)watch_id << WATCH_INFO_ID__SHIFT;

	err = security_watch_mount(watch, path);
	if (err)
		return err;

	/* Nothing waits for memory, and no path is put, under the locks. */
	point = new_watch_point(path);
	if (!point)
		return -ENOMEM;
	err = mark_watched(path->dentry);
	if (err)
		return err;
	err = set_watch_owner(watch);
	if (err)
		return err;
	get_fs_root(current->fs, &root);

	inode_lock(inode);
	scoped_guard(namespace_excl)
		err = may_watch(path, &root) ?: add_watch(path, watch, &point);
	inode_unlock(inode);
	if (!err)
		retain_and_null_ptr(watch);
	else if (watch->cred)
		put_cred(watch->cred);
	return err;
}

static int unwatch_mounts(const struct path *path, struct watch_queue *wqueue)
{
	struct watch_point *point;
	int err;

	point = get_watch_point(real_mount(path->mnt), path->dentry);
	if (!point)
		return -EBADSLT;
	err = remove_watch_from_object(&point->watches, wqueue, point->id, false);
	put_watch_point(point);
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
 * -ENOENT if the directory was removed; -ENOSPC if there are too many watches in
 * the mount namespace, for a caller without CAP_SYS_RESOURCE; -EBUSY if the queue
 * watches it already; -EBADSLT if there is no watch to remove; what the lookup,
 * the security policy and add_watch_to_object() say.
 */
SYSCALL_DEFINE5(mount_notify, int, dfd, const char __user *, filename,
		unsigned int, at_flags, int, watch_fd, int, watch_id)
{
	struct path path __free(path_put) = {};
	struct watch_queue *wqueue;
	int err;

	if (watch_id < -1 || watch_id > 0xff)
		return -EINVAL;

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

	wqueue = get_watch_queue(watch_fd);
	if (IS_ERR(wqueue))
		return PTR_ERR(wqueue);
	if (watch_id >= 0)
		err = watch_mounts(&path, wqueue, watch_id);
	else
		err = unwatch_mounts(&path, wqueue);
	put_watch_queue(wqueue);
	return err;
}

static int __init mount_watch_init(void)
{
	if (rhltable_init(&watch_points, &watch_point_params))
		panic("Failed to allocate the table of watched mounts\n");
	return 0;
}
fs_initcall(mount_watch_init);

#ifdef CONFIG_MOUNT_NOTIFICATIONS_KUNIT_TEST
#include "tests/mount_watch_kunit.c"
#endif
