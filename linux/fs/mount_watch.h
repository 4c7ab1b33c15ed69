/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches on mounts, as the rest of the VFS sees them; to be included after mount.h
 */
#ifndef _FS_MOUNT_WATCH_H
#define _FS_MOUNT_WATCH_H

#include <linux/dcache.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/slab.h>

struct watch_point;
struct watch_queue;

/* By what the place or the propagation of a mount changes. */
enum mnt_change_how {
	MNT_CHANGE_ATTR,	/* By nothing: only its attributes do */
	MNT_CHANGE_DIRECT,	/* By a task that meant this mount */
	MNT_CHANGE_PROPAGATED,	/* By propagation from another mount */
	MNT_CHANGE_EXPIRED,	/* It is unmounted as nobody used it */
};

#ifdef CONFIG_MOUNT_NOTIFICATIONS
/* What a record shows of a mount besides its place, as the mount stores it. */
struct mnt_state {
	unsigned int	mnt_flags;
	int		group_id;
	unsigned int	t_flags : 30;
	bool		slave : 1;
	bool		idmapped : 1;
};

/**
 * struct mount_watch - What watches need of a mount
 * @parent: Before the change that is to be reported: the mount's parent, which is
 *	the mount itself if it had none.
 * @mountpoint: Before the change: the mountpoint.  May be looked at if @pinned.
 * @state: Before the change; later: as last reported.
 * @how: How its place or propagation changes, enum mnt_change_how.
 * @changed: There is a change to report: the mount is on notify_list, or on that
 *	of the task that reports, and what is above is valid.
 * @pinned: @mountpoint is a reference.
 * @notify: fsnotify is to report the change, too.
 * @reported: The BIT()s of the subtypes of the records of its state that are posted.
 * @nr_dirs: How many watch points are not on its root.
 * @root_point: The watch point on its root, or NULL.
 * @points: All watch points on directories of the mount.
 * @rescanned: The flush in which these last got RESCAN.
 *
 * All mounts of a namespace get one when a watch is first set in it
 * (mnt_namespace::watchable), and those that enter it later before they do.
 *
 * Protected by mount_lock; RCU protects the way to a watch point.  @reported and
 * @rescanned belong to the task that reports changes.
 */
struct mount_watch {
	struct mount			*parent;
	struct dentry			*mountpoint;
	struct mnt_state		state;
	u8				how;
	bool				changed;
	bool				pinned;
	bool				notify;
	u8				reported;
	unsigned int			nr_dirs;
	struct watch_point __rcu	*root_point;
	struct hlist_head		points;
	u64				rescanned;
};

/**
 * struct mnt_watch_flush - What the task that reports changes needs for that
 * @dying: Watch points of unmounted mounts, to be removed without locks.
 * @wake: Queues whose readers are to be woken without locks.
 * @seen: The watch points that were found last.
 * @parent: They are those above what is mounted on this mount, NULL if not so simple,
 * @dir: in this directory, NULL if that does not matter,
 * @former: now or before the changes.
 * @own: To how many watches what is no propagated change may yet be posted,
 * @foreign: and what is one.
 * @nr: How many mounts were reported.
 */
struct mnt_watch_flush {
	struct hlist_head	dying;
	struct watch_queue	*wake;
	struct watch_point	*seen;
	struct mount		*parent;
	struct dentry		*dir;
	bool			former;
	unsigned int		own;
	unsigned int		foreign;
	unsigned int		nr;
};

extern struct static_key_false_deferred mnt_watched;

bool __mnt_announce(struct mount *m, const struct mnt_namespace *to,
		    enum mnt_change_how how);
int __mnt_watch_prepare(struct mount *tree);
void __mnt_watch_umount(struct mount *m);
void __mnt_dentry_moved(const struct dentry *from, const struct dentry *to);
void mnt_watch_flush_begin(struct mnt_watch_flush *flush);
void mnt_watch_report(struct list_head *changed, struct mnt_watch_flush *flush);
void mnt_watch_done(struct list_head *changed, struct list_head *dentries);
void __mnt_watch_flush_end(struct mnt_watch_flush *flush);
void mnt_directory_removed(struct dentry *dentry);
unsigned int d_count_unwatched(const struct dentry *dentry);

/*
 * Is there a watch point anywhere?  It is there to be seen for whoever comes to hold
 * namespace_sem or mount_lock after its watch was added.
 */
static inline bool mnt_any_watched(void)
{
	return static_branch_unlikely(&mnt_watched.key);
}

static inline bool mnt_ns_is_watched(const struct mnt_namespace *ns)
{
	return !IS_ERR_OR_NULL(ns) && ns->nr_watches;
}

/**
 * mnt_announce - Say that a mount is about to change, if that is counted elsewhere
 * @m: The mount.
 * @to: The namespace that it is about to enter, NULL if it does not.
 * @how: By what its place or propagation changes.
 *
 * This is for mounts that enter or leave a namespace, which mnt_add_to_ns() and
 * move_from_ns() count.  Otherwise as mnt_changing().
 *
 * Context: mount_lock held.
 * Return: true if the change is to be reported.
 */
static inline bool mnt_announce(struct mount *m, const struct mnt_namespace *to,
				enum mnt_change_how how)
{
	lockdep_assert_held(&mount_lock.lock);

	return mnt_any_watched() && __mnt_announce(m, to, how);
}

/**
 * mnt_changing - Say that a mount is about to change within its namespace
 * @m: The mount.
 * @how: By what its place or propagation changes.
 *
 * To be called before its parent, mountpoint, attributes or propagation change; it
 * does no harm to call it again.  namespace_unlock() is to follow; where
 * namespace_sem is not held, mnt_changed().
 *
 * Context: mount_lock held.
 * Return: true if the change is to be reported.
 */
static inline bool mnt_changing(struct mount *m, enum mnt_change_how how)
{
	if (!IS_ERR_OR_NULL(m->mnt_ns))
		mnt_count_change(m->mnt_ns);
	return mnt_announce(m, NULL, how);
}

/**
 * mnt_changed - Have changes reported that were made without namespace_sem
 * @wanted: What mnt_changing() returned for any of them.
 *
 * When this returns they have been reported, be it by another task.
 *
 * Context: Process context, without mount_lock, namespace_sem and s_umount.
 */
static inline void mnt_changed(bool wanted)
{
	if (unlikely(wanted)) {
		namespace_lock();
		namespace_unlock();
	}
}

/**
 * mnt_watch_prepare - Prepare a tree of mounts to enter a namespace
 * @tree: The root of the tree.
 * @ns: The namespace.
 *
 * That a namespace is watchable holds whether anything is watched now or not.
 *
 * Context: namespace_sem held exclusively.  May sleep.
 * Return: 0 or -ENOMEM.
 */
static inline int mnt_watch_prepare(struct mount *tree, const struct mnt_namespace *ns)
{
	return unlikely(ns->watchable) ? __mnt_watch_prepare(tree) : 0;
}

/**
 * mnt_watch_umount - Detach the watch points of a mount
 * @m: The mount, which still knows its namespace.
 *
 * What is reported before mnt_watch_flush_end() still reaches them.
 *
 * Context: namespace_sem held exclusively and mount_lock held.
 */
static inline void mnt_watch_umount(struct mount *m)
{
	if (mnt_any_watched() && m->mnt_watch)
		__mnt_watch_umount(m);
}

/* Note that fsnotify is to report a change, too, which may have been put aside. */
static inline void mnt_watch_note_fsnotify(struct mount *m)
{
	if (m->mnt_watch)
		m->mnt_watch->notify = true;
}

/* Is fsnotify to report the change of a mount on notify_list? */
static inline bool mnt_watch_is_for_fsnotify(const struct mount *m)
{
	return !m->mnt_watch || !m->mnt_watch->changed || m->mnt_watch->notify;
}

/**
 * mnt_watch_flush_end - Remove the watches of unmounted mounts, and wake readers
 * @flush: From mnt_watch_flush_begin().
 *
 * Context: Process context, without mount_lock and namespace_sem.  The inodes that
 * rmdir() and rename() lock may be locked.  The mounts are still there.
 */
static inline void mnt_watch_flush_end(struct mnt_watch_flush *flush)
{
	if (!hlist_empty(&flush->dying) || flush->wake)
		__mnt_watch_flush_end(flush);
}

static inline void mnt_watch_free(const struct mount *m)
{
	VFS_WARN_ON_ONCE(m->mnt_watch && m->mnt_watch->changed);
	kfree(m->mnt_watch);
}

/**
 * mnt_dentry_moved - Say that a dentry was moved
 * @dentry: The dentry, or one of the two that were exchanged.
 * @other: What it replaced, or the other one.
 * @from: The parent that it had.
 * @to: The parent that it has.
 *
 * What is mounted on it or below went along, out of watched directories or into
 * them.  Their watchers get a RESCAN record a little later.
 *
 * Context: Any without rename_lock.  The parents exist.
 */
static inline void mnt_dentry_moved(const struct dentry *dentry,
				    const struct dentry *other,
				    const struct dentry *from,
				    const struct dentry *to)
{
	/* As in __mnt_dentry_moved(); to patch the kernel implies more than that. */
	if (!IS_ENABLED(CONFIG_JUMP_LABEL))
		smp_mb(); /* Pairs with the barrier in mnt_add_watch_point() */
	if (mnt_any_watched() && from != to &&
	    (d_is_dir(dentry) || d_mountpoint(dentry) ||
	     d_is_dir(other) || d_mountpoint(other)))
		__mnt_dentry_moved(from, to);
}
#else
struct mnt_watch_flush { };

static inline bool mnt_any_watched(void) { return false; }

static inline bool mnt_announce(struct mount *m, const struct mnt_namespace *to,
				enum mnt_change_how how)
{
	return false;
}

static inline bool mnt_changing(struct mount *m, enum mnt_change_how how)
{
	return false;
}

static inline void mnt_changed(bool wanted) { }

static inline int mnt_watch_prepare(struct mount *tree, const struct mnt_namespace *ns)
{
	return 0;
}

static inline void mnt_watch_umount(struct mount *m) { }
static inline void mnt_watch_note_fsnotify(struct mount *m) { }
static inline bool mnt_watch_is_for_fsnotify(const struct mount *m) { return true; }
static inline void mnt_watch_free(const struct mount *m) { }
static inline void mnt_watch_flush_begin(struct mnt_watch_flush *flush) { }
static inline void mnt_watch_report(struct list_head *changed,
				    struct mnt_watch_flush *flush) { }

#ifdef CONFIG_FSNOTIFY
static inline void mnt_watch_done(struct list_head *changed, struct list_head *dentries)
{
	struct mount *m, *next;

	list_for_each_entry_safe(m, next, changed, to_notify)
		list_del_init(&m->to_notify);
}
#endif

static inline void mnt_watch_flush_end(struct mnt_watch_flush *flush) { }
static inline void mnt_directory_removed(struct dentry *dentry) { }

static inline void mnt_dentry_moved(const struct dentry *dentry,
				    const struct dentry *other,
				    const struct dentry *from,
				    const struct dentry *to) { }
#define d_count_unwatched d_count
#endif

#ifdef CONFIG_FSNOTIFY
static inline void mnt_notify_add(struct mount *m)
{
	/* queued already under this namespace_sem hold */
	if (!list_empty(&m->to_notify)) {
		mnt_watch_note_fsnotify(m);
		return;
	}
	/* Optimize the case where there are no watches */
	if ((m->mnt_ns && m->mnt_ns->n_fsnotify_marks) ||
	    (m->prev_ns && m->prev_ns->n_fsnotify_marks))
		list_add_tail(&m->to_notify, &notify_list);
	else
		m->prev_ns = m->mnt_ns;
}
#else
static inline void mnt_notify_add(struct mount *m)
{
}
#endif

#endif /* _FS_MOUNT_WATCH_H */
