// SPDX-License-Identifier: GPL-2.0
/*
 * Watches on superblocks: sb_notify() and the posting of events
 *
 * A watch pins no superblock.  It dies with its queue, or with the superblock
 * when that is shut down.  One that was extended to an automount also dies with
 * the one that it was extended from.
 *
 * Lock order: sb->s_umount or namespace_sem, sb_watch_mutex, then the locks of
 * the core (see kernel/watch_queue.c).
 */

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fserror.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/quota.h>
#include <linux/sb_watch.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/watch_queue.h>

static_assert(WATCH_TYPE_SB_NOTIFY < WATCH_TYPE__NR);

/* The flags that are reported: those that statmount() shows. */
#define SB_WATCH_FLAGS	(SB_RDONLY | SB_SYNCHRONOUS | SB_DIRSYNC | SB_LAZYTIME)

/* Bits in sb_watch_info::state. */
enum {
	SB_WATCH_SHUTDOWN,		/* The shutdown has been reported */
	SB_WATCH_SUBMOUNTS,		/* A watch has been set that extends to automounts */
	SB_WATCH_EMERGENCY_RO,		/* Read-only without SB_RDONLY */
};

/* A watch has ever been set that extends to automounts. */
DEFINE_STATIC_KEY_FALSE(sb_watch_submounts);

/*
 * A watch on a superblock, or on all.  It is freed by the core.
 */
struct sb_watch {
	struct watch	watch;		/* Must be first */
	bool		privileged;	/* May see what is not its own */
	bool		submounts;	/* Extends to automounts */
	u64		origin;		/* ID of the superblock it was extended from, 0 if none */
	struct sb_watch	*next;		/* While it is being extended */
};

static_assert(offsetof(struct sb_watch, watch) == 0);

static const struct sb_watch *to_sb_watch(const struct watch *watch)
{
	return container_of_const(watch, struct sb_watch, watch);
}

/* Serialises the addition of watches to any superblock. */
static DEFINE_MUTEX(sb_watch_mutex);

static bool sb_tailor(const struct watch *watch, struct watch_notification *n);

/* The watches on all superblocks, whose ID is 0. */
static struct watch_list sb_watch_all = {
	.watchers	= HLIST_HEAD_INIT,
	.lock		= __SPIN_LOCK_UNLOCKED(sb_watch_all.lock),
	.tailor		= sb_tailor,
};

/*
 * Quota warnings carry kernel-internal IDs until they get here.  The unprivileged
 * get to see their own: of the user and of the groups.
 */
static bool sb_tailor_quota(const struct sb_watch *swatch,
			    struct superblock_quota_notification *n)
{
	const struct cred *cred = swatch->watch.cred;
	kprojid_t projid;
	kuid_t uid;
	kgid_t gid;

	switch (n->quota_type) {
	case USRQUOTA:
		uid = KUIDT_INIT(n->id);
		n->id = from_kuid_munged(cred->user_ns, uid);
		return swatch->privileged || uid_eq(uid, cred->fsuid);
	case GRPQUOTA:
		gid = KGIDT_INIT(n->id);
		n->id = from_kgid_munged(cred->user_ns, gid);
		return swatch->privileged || gid_eq(gid, cred->fsgid) ||
			groups_search(cred->group_info, gid);
	case PRJQUOTA:
		projid = KPROJIDT_INIT(n->id);
		n->id = from_kprojid_munged(cred->user_ns, projid);
		return swatch->privileged;
	default:
		return false;
	}
}

/*
 * Make of a record what the owner of a watch may see of it, if anything.
 */
static bool sb_tailor(const struct watch *watch, struct watch_notification *n)
{
	const struct sb_watch *swatch = to_sb_watch(watch);

	switch (n->subtype) {
	case NOTIFY_SUPERBLOCK_READONLY:
	case NOTIFY_SUPERBLOCK_RECONFIGURED:
	case NOTIFY_SUPERBLOCK_SHUTDOWN:
		return true;
	case NOTIFY_SUPERBLOCK_EDQUOT:
		return sb_tailor_quota(swatch,
				       container_of(n, struct superblock_quota_notification,
						    s.watch));
	default:
		/* Of the I/O of others, as FAN_FS_ERROR has it, and what root does. */
		return swatch->privileged;
	}
}

/*
 * Fill in what all records have in common, and post it.
 */
static void post_sb(struct super_block *sb, struct superblock_notification *s,
		    enum superblock_notification_subtype subtype, u32 info)
{
	s->watch.type = WATCH_TYPE_SB_NOTIFY;
	s->watch.subtype = subtype;
	s->watch.info = info;
	s->sb_id = sb->s_watch.id;

	/* First, for whoever acts on the record to find the event counted. */
	if (subtype == NOTIFY_SUPERBLOCK_READONLY ||
	    subtype == NOTIFY_SUPERBLOCK_RECONFIGURED ||
	    subtype == NOTIFY_SUPERBLOCK_SHUTDOWN)
		atomic64_inc(&sb->s_watch.changes);
	else
		atomic64_inc(&sb->s_watch.errors);

	rcu_read_lock();
	post_watch_notification(rcu_dereference(sb->s_watch.watchers),
				&s->watch, NULL, sb->s_watch.id);
	rcu_read_unlock();
	post_watch_notification(&sb_watch_all, &s->watch, NULL, 0);
}

/**
 * notify_sb - Report an event that there is no more to say about
 * @sb: The superblock.
 * @subtype: NOTIFY_SUPERBLOCK_FREEZE or NOTIFY_SUPERBLOCK_THAW.
 *
 * Context: Any that a watch notification may be posted in.  For the records to
 * come in order the caller must hold sb->s_umount.
 */
void notify_sb(struct super_block *sb,
	       enum superblock_notification_subtype subtype)
{
	struct superblock_notification n;

	post_sb(sb, &n, subtype, watch_sizeof(n));
}

/**
 * notify_sb_shutdown - Report that a filesystem was shut down, once
 * @sb: The superblock, which does no I/O any more.
 *
 * Context: Any that a watch notification may be posted in.
 */
void notify_sb_shutdown(struct super_block *sb)
{
	if (!test_and_set_bit(SB_WATCH_SHUTDOWN, &sb->s_watch.state))
		notify_sb(sb, NOTIFY_SUPERBLOCK_SHUTDOWN);
}
EXPORT_SYMBOL_GPL(notify_sb_shutdown);

static_assert(SUPERBLOCK_ERROR_BUFFERED_READ == (int)FSERR_BUFFERED_READ);
static_assert(SUPERBLOCK_ERROR_BUFFERED_WRITE == (int)FSERR_BUFFERED_WRITE);
static_assert(SUPERBLOCK_ERROR_DIRECT_READ == (int)FSERR_DIRECTIO_READ);
static_assert(SUPERBLOCK_ERROR_DIRECT_WRITE == (int)FSERR_DIRECTIO_WRITE);
static_assert(SUPERBLOCK_ERROR_DATA_LOST == (int)FSERR_DATA_LOST);
static_assert(SUPERBLOCK_ERROR_METADATA == (int)FSERR_METADATA);

/**
 * notify_sb_error - Report an error
 * @sb: The superblock.
 * @inode: The inode, NULL if it is of none.
 * @type: What kind of error it is, enum fserror_type.
 * @pos: Where in the file, if it is of a part of one.
 * @len: The length of that part.
 * @error: The error, negative.
 *
 * Context: Any that a watch notification may be posted in.
 */
void notify_sb_error(struct super_block *sb, const struct inode *inode,
		     unsigned int type, loff_t pos, u64 len, int error)
{
	struct superblock_error_notification n = {
		.error		= -error,
		.type		= type,
		.pos		= pos,
		.len		= len,
	};

	if (inode) {
		n.ino = inode->i_ino;
		n.generation = inode->i_generation;
	}
	post_sb(sb, &n.s, NOTIFY_SUPERBLOCK_ERROR, watch_sizeof(n));
}

/**
 * notify_sb_quota - Report a quota warning
 * @sb: The superblock.
 * @qid: Whose quota it is.
 * @warning: QUOTA_NL_*.
 *
 * Context: Any that a watch notification may be posted in.
 */
void notify_sb_quota(struct super_block *sb, struct kqid qid, int warning)
{
	struct superblock_quota_notification n = {
		.quota_type	= qid.type,
		.warning	= warning,
	};

	switch (qid.type) {
	case USRQUOTA:
		n.id = __kuid_val(qid.uid);
		break;
	case GRPQUOTA:
		n.id = __kgid_val(qid.gid);
		break;
	case PRJQUOTA:
		n.id = __kprojid_val(qid.projid);
		break;
	}
	post_sb(sb, &n.s, NOTIFY_SUPERBLOCK_EDQUOT, watch_sizeof(n));
}
EXPORT_SYMBOL_GPL(notify_sb_quota);

static u32 sb_watch_flags(const struct super_block *sb)
{
	u32 flags = READ_ONCE(sb->s_flags) & SB_WATCH_FLAGS;

	if (test_bit(SB_WATCH_EMERGENCY_RO, &sb->s_watch.state))
		flags |= SB_RDONLY;
	return flags;
}

/* Report how the flags differ from those that were reported last. */
static void post_sb_flags(struct super_block *sb)
{
	struct superblock_flags_notification n = {};
	u32 new = sb_watch_flags(sb), info;

	n.sb_flags = sb->s_watch.flags;
	sb->s_watch.flags = new;

	if ((new ^ n.sb_flags) & SB_RDONLY) {
		n.sb_flags_old = n.sb_flags;
		n.sb_flags ^= SB_RDONLY;
		info = new & SB_RDONLY ? NOTIFY_SUPERBLOCK_IS_NOW_RO : 0;
		post_sb(sb, &n.s, NOTIFY_SUPERBLOCK_READONLY,
			watch_sizeof(n) | info);
	}

	if (new != n.sb_flags) {
		n.sb_flags_old = n.sb_flags;
		n.sb_flags = new;
		post_sb(sb, &n.s, NOTIFY_SUPERBLOCK_RECONFIGURED,
			watch_sizeof(n));
	}
}

/**
 * notify_sb_flags - Report that the flags of a superblock may have changed
 * @sb: The superblock.
 *
 * Nothing is posted if the flags are as they were last reported, nor before the
 * superblock can be seen.
 *
 * The flags are changed both under sb->s_umount and, by filesystems that find an
 * error, under anything.  For the last record to be the true one there is one
 * poster at a time.  Whoever comes meanwhile does not wait, but leaves it to the
 * poster to have another look at the flags.
 *
 * Context: Any that a watch notification may be posted in.
 */
void notify_sb_flags(struct super_block *sb)
{
	atomic_t *pending = &sb->s_watch.flags_pending;
	int seen;

	if (!(READ_ONCE(sb->s_flags) & SB_BORN))
		return;

	/* Orders the caller's change of the flags before the increment ... */
	if (atomic_fetch_inc(pending))
		return;

	do {
		/* ... for whoever finds that to see the change. */
		seen = atomic_read_acquire(pending);
		post_sb_flags(sb);
	} while (atomic_sub_return(seen, pending));
}
EXPORT_SYMBOL_GPL(notify_sb_flags);

/**
 * notify_sb_emergency_ro - Report a filesystem that lets nobody write any more
 * @sb: The superblock, whose SB_RDONLY need not be set.
 *
 * To those who watch the superblock it is the same as if the flag were set, and
 * stays so.
 *
 * Context: Any that a watch notification may be posted in.
 */
void notify_sb_emergency_ro(struct super_block *sb)
{
	set_bit(SB_WATCH_EMERGENCY_RO, &sb->s_watch.state);
	notify_sb_flags(sb);
}
EXPORT_SYMBOL_GPL(notify_sb_emergency_ro);

/**
 * sb_watch_init - Prepare a new superblock for being watched
 * @sb: The superblock, zeroed.
 */
void sb_watch_init(struct super_block *sb)
{
	static atomic64_t last_id = ATOMIC64_INIT(0);

	sb->s_watch.id = atomic64_inc_return(&last_id);
}

/**
 * sb_watch_reset - Forget what was reported of a superblock
 * @sb: The superblock, which nobody can have seen yet.
 *
 * For a filesystem that begins anew to set it up.
 */
void sb_watch_reset(struct super_block *sb)
{
	sb->s_watch.state = 0;
}
EXPORT_SYMBOL_GPL(sb_watch_reset);

/**
 * sb_watch_born - Take the flags of a superblock as those that are known
 * @sb: The superblock, which is about to become visible, or has been before.
 */
void sb_watch_born(struct super_block *sb)
{
	if (!(sb->s_flags & SB_BORN))
		sb->s_watch.flags = sb_watch_flags(sb);
}

/*
 * Get the watch list of a superblock, which the caller holds active.
 */
static struct watch_list *sb_watch_list(struct super_block *sb)
{
	struct watch_list *wlist, *old;

	/* It stays as long as the superblock is active. */
	wlist = rcu_dereference_raw(sb->s_watch.watchers);
	if (wlist)
		return wlist;

	wlist = kzalloc_obj(*wlist, GFP_KERNEL_ACCOUNT);
	if (!wlist)
		return NULL;

	init_watch_list(wlist, NULL);
	wlist->tailor = sb_tailor;
	old = unrcu_pointer(cmpxchg(&sb->s_watch.watchers, NULL,
				    RCU_INITIALIZER(wlist)));
	if (!old)
		return wlist;
	kfree(wlist);
	return old;
}

/*
 * Add a watch on a superblock, or on all if @sb is NULL.
 */
static int sb_watch_add(struct super_block *sb, struct watch_queue *wqueue,
			int watch_id, bool privileged, bool submounts)
{
	/* Umount may have to wait for the mutex, so nothing is allocated under it. */
	struct watch_list *wlist = sb ? sb_watch_list(sb) : &sb_watch_all;
	struct sb_watch *swatch __free(free_watch) =
		alloc_watch(sizeof(*swatch), wqueue, WATCH_TYPE_SB_NOTIFY,
			    sb ? sb->s_watch.id : 0, watch_id);
	int ret;

	if (!swatch || !wlist)
		return -ENOMEM;
	swatch->privileged = privileged;
	swatch->submounts = submounts;
	ret = security_watch_sb(&swatch->watch, sb);
	if (ret)
		return ret;

	if (submounts) {
		static_branch_enable(&sb_watch_submounts);
		set_bit(SB_WATCH_SUBMOUNTS, &sb->s_watch.state);
	}
	guard(mutex)(&sb_watch_mutex);
	ret = add_watch_to_object(&swatch->watch, wlist);
	if (!ret)
		retain_and_null_ptr(swatch);
	return ret;
}

/*
 * Remove the watches of a queue that were extended from the one that it has, or
 * had, on a superblock.
 */
static void sb_watch_remove_extended(struct watch_queue *wqueue, u64 origin)
{
	struct watch_list *wlist;
	struct watch *watch;

	lockdep_assert_held(&sb_watch_mutex);

	guard(rcu)();
	hlist_for_each_entry_rcu(watch, &wqueue->watches, queue_node) {
		if (watch->type != WATCH_TYPE_SB_NOTIFY ||
		    to_sb_watch(watch)->origin != origin)
			continue;
		wlist = rcu_dereference(watch->watch_list);
		if (wlist)
			remove_watch_from_object(wlist, wqueue, watch->id, false);
	}
}

/**
 * sb_watch_remove_all - Remove the watches of a superblock that is shut down
 * @sb: The superblock, which nobody holds active any more.  As whoever adds a
 *	watch does, none is added from here on.
 *
 * Context: Process context, with sb->s_umount held.
 */
void sb_watch_remove_all(struct super_block *sb)
{
	struct watch_list *wlist;
	struct watch *watch;

	lockdep_assert_held_write(&sb->s_umount);

	wlist = rcu_replace_pointer(sb->s_watch.watchers, NULL,
				    lockdep_is_held(&sb->s_umount));
	if (!wlist)
		return;

	/* What was extended from here goes as well, wherever it is. */
	scoped_guard(mutex, &sb_watch_mutex) {
		guard(rcu)();
		hlist_for_each_entry_rcu(watch, &wlist->watchers, list_node) {
			if (to_sb_watch(watch)->submounts)
				sb_watch_remove_extended(rcu_dereference(watch->queue),
							 watch->id);
		}
	}

	remove_watch_list(wlist, sb->s_watch.id);
}

/*
 * Remove the watch that a queue has on a superblock, or on all if @sb is NULL.
 */
static int sb_watch_remove(struct super_block *sb, struct watch_queue *wqueue)
{
	struct watch_list *wlist = &sb_watch_all;
	u64 id = 0;
	int ret;

	guard(mutex)(&sb_watch_mutex);

	if (sb) {
		wlist = rcu_dereference_protected(sb->s_watch.watchers,
						  lockdep_is_held(&sb_watch_mutex));
		id = sb->s_watch.id;
	}
	if (!wlist)
		return -EBADSLT;

	ret = remove_watch_from_object(wlist, wqueue, id, false);
	if (!ret && sb)
		sb_watch_remove_extended(wqueue, id);
	return ret;
}

/* Does a queue watch a superblock with these watches?  Called under RCU. */
static bool sb_is_watched(const struct watch_list *wlist,
			  const struct watch_queue *wqueue)
{
	const struct watch *watch;

	hlist_for_each_entry_rcu(watch, &wlist->watchers, list_node) {
		if (rcu_access_pointer(watch->queue) == wqueue)
			return true;
	}
	return false;
}

/*
 * Make a watch that extends another one to a superblock.  Called under the RCU
 * read-lock, by which the other one keeps its queue and its credentials.
 */
static struct sb_watch *sb_watch_extend(const struct sb_watch *from,
					const struct super_block *sb)
{
	struct watch_queue *wqueue = rcu_dereference(from->watch.queue);
	struct sb_watch *swatch;

	swatch = alloc_watch_like(sizeof(*swatch), &from->watch, sb->s_watch.id, GFP_ATOMIC);
	if (!swatch) {
		watch_queue_unwatched(wqueue, from->watch.info_id, sb->s_watch.id);
		return NULL;
	}

	kref_get(&wqueue->usage);
	swatch->privileged = true;
	swatch->submounts = true;
	swatch->origin = from->origin ?: from->watch.id;
	return swatch;
}

/* May the owner of such a watch have it?  Whoever mounts there is not asked. */
static bool sb_watch_may_extend(const struct sb_watch *swatch,
				struct super_block *sb)
{
	if (security_capable(swatch->watch.cred, sb->s_user_ns, CAP_SYS_ADMIN,
			     CAP_OPT_NOAUDIT))
		return false;
	scoped_with_creds(swatch->watch.cred)
		return !security_watch_sb(&swatch->watch, sb);
}

/*
 * Add such a watch.  If that fails the queue is told that the superblock, which
 * it was to watch, is not watched; if its owner may not, no more than that
 * something is withheld.
 */
static void sb_watch_add_extended(struct sb_watch *new, struct super_block *sb,
				  struct watch_list *wlist)
{
	struct watch_queue *wqueue __free(put_watch_queue) =
		rcu_access_pointer(new->watch.queue);
	struct sb_watch *swatch __free(free_watch) = new;

	if (!sb_watch_may_extend(swatch, sb))
		watch_queue_withheld(wqueue, WATCH_TYPE_SB_NOTIFY);
	else if (add_watch_to_object(&swatch->watch, wlist))
		watch_queue_unwatched(wqueue, swatch->watch.info_id, sb->s_watch.id);
	else
		retain_and_null_ptr(swatch);
}

/* Extend the watches on one superblock to another.  Both are held active. */
static void sb_watch_extend_all(struct super_block *parent,
				struct super_block *sb)
{
	struct watch_list *wlist = sb_watch_list(sb), *parents;
	struct sb_watch *swatch, *next, *list = NULL;
	struct watch_queue *wqueue;
	struct watch *watch;

	guard(mutex)(&sb_watch_mutex);

	/* The LSMs may sleep when they are asked, so not in here. */
	scoped_guard(rcu) {
		parents = rcu_dereference(parent->s_watch.watchers);
		hlist_for_each_entry_rcu(watch, &parents->watchers, list_node) {
			if (!to_sb_watch(watch)->submounts)
				continue;
			wqueue = rcu_dereference(watch->queue);
			if (!wlist) {
				watch_queue_unwatched(wqueue, watch->info_id,
						      sb->s_watch.id);
				continue;
			}
			if (sb_is_watched(wlist, wqueue))
				continue;
			swatch = sb_watch_extend(to_sb_watch(watch), sb);
			if (!swatch)
				continue;
			swatch->next = list;
			list = swatch;
		}
	}

	if (wlist)
		set_bit(SB_WATCH_SUBMOUNTS, &sb->s_watch.state);
	for (swatch = list; swatch; swatch = next) {
		next = swatch->next;
		sb_watch_add_extended(swatch, sb, wlist);
	}
}

/**
 * sb_watch_mount - Extend watches to a superblock that an automount brings in
 * @mountpoint: Where it is about to be mounted.
 * @mnt: What is.
 *
 * If @mountpoint is an automount point, or the root of @mnt is one, as what an
 * automounter puts into what it has mounted, each watch that was set with
 * SB_NOTIFY_SUBMOUNTS on its superblock is extended to the other one, if that is
 * of the same user namespace and the queue does not watch it already.  The queue
 * is told if that fails.
 *
 * Context: Process context, with namespace_sem held exclusively, so that both
 * superblocks stay and no walk has been to the new one yet.
 */
void sb_watch_mount(const struct dentry *mountpoint, const struct vfsmount *mnt)
{
	struct super_block *parent = mountpoint->d_sb, *sb = mnt->mnt_sb;

	if (likely(!test_bit(SB_WATCH_SUBMOUNTS, &parent->s_watch.state)))
		return;
	if (!((READ_ONCE(mountpoint->d_flags) | READ_ONCE(mnt->mnt_root->d_flags)) &
	      DCACHE_NEED_AUTOMOUNT))
		return;
	/* Who may mount there for himself cannot have others watch it. */
	if (sb == parent || sb->s_user_ns != parent->s_user_ns)
		return;
	/* A filesystem mounts here whoever walks there, a daemon by itself. */
	if (!(mnt->mnt_flags & MNT_AUTOMOUNT) &&
	    !ns_capable_noaudit(sb->s_user_ns, CAP_SYS_ADMIN))
		return;
	sb_watch_extend_all(parent, sb);
}

static int sb_notify_all(struct watch_queue *wqueue, int watch_id)
{
	if (watch_id < 0)
		return sb_watch_remove(NULL, wqueue);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return sb_watch_add(NULL, wqueue, watch_id, true, false);
}

static int sb_notify_path(const struct path *path, struct watch_queue *wqueue,
			  int watch_id, bool submounts)
{
	struct super_block *sb = path->mnt->mnt_sb;
	bool privileged;

	/* Those of pipes, sockets and the like. */
	if (sb->s_flags & SB_NOUSER)
		return -EINVAL;

	if (watch_id < 0)
		return sb_watch_remove(sb, wqueue);

	privileged = ns_capable_noaudit(sb->s_user_ns, CAP_SYS_ADMIN);
	if (!privileged && (submounts || path->mnt->mnt_root != sb->s_root))
		return -EPERM;
	return sb_watch_add(sb, wqueue, watch_id, privileged, submounts);
}

/**
 * sys_sb_notify - Watch a superblock, or stop watching it
 * @dfd: Where @path starts, as for openat().
 * @path: A path to anything in the filesystem.
 * @at_flags: AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW and
 *	SB_NOTIFY_SUBMOUNTS, or SB_NOTIFY_ALL with no @path.
 * @watch_fd: The queue that is to be told of the events.
 * @watch_id: A tag for the records, 0 to 255, or -1 to remove the watch.
 *
 * The root of the filesystem must be what the mount shows, or the caller have
 * CAP_SYS_ADMIN in the user namespace of the superblock.  To watch automounts as
 * well takes the latter, and to watch all superblocks takes it in the initial
 * user namespace.
 *
 * Return: 0, -EBUSY if the queue watches this already, -EBADSLT if it does not
 * and is to stop, -EPERM, -EINVAL, -EBADF if @watch_fd is not open, -ENOMEM,
 * -EAGAIN or -ENOSPC if there are too many watches, or what a look-up of @path
 * gives.
 */
SYSCALL_DEFINE5(sb_notify, int, dfd, const char __user *, path,
		unsigned int, at_flags, int, watch_fd, int, watch_id)
{
	bool all = at_flags & SB_NOTIFY_ALL;
	struct path p __free(path_put) = {};
	int ret;

	if (all && (at_flags != SB_NOTIFY_ALL || dfd != AT_FDCWD || path))
		return -EINVAL;
	if (!all) {
		ret = watch_path_at(dfd, path, at_flags & ~SB_NOTIFY_SUBMOUNTS, &p);
		if (ret)
			return ret;
	}

	struct watch_queue *wqueue __free(put_watch_queue) =
		get_queue_for_watch(watch_fd, watch_id);
	if (IS_ERR(wqueue))
		return PTR_ERR(wqueue);
	if (all)
		return sb_notify_all(wqueue, watch_id);
	return sb_notify_path(&p, wqueue, watch_id, at_flags & SB_NOTIFY_SUBMOUNTS);
}

#ifdef CONFIG_SB_NOTIFICATIONS_KUNIT_TEST
#include "tests/sb_watch_kunit.c"
#endif
