// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches on keys, and their extension to what is linked into a keyring
 *
 * A queue has at most one watch on a key.  There can be several reasons for it:
 * that user space set it, and each link to the key in a keyring whose watch
 * extends to what is linked there.  The watch goes with the last of them.
 *
 * What user space set decides the tag and the owner of the watch.  Otherwise
 * they are those of the keyring's watch that extended to here first, of those
 * that still do.
 *
 * How far down a watch extends is a number of levels: 0 if it does not, 1 for the
 * children of a keyring, more for those of nested keyrings, one less at each
 * link.  So there is an end to it, whatever the keyrings look like.
 *
 * Lock order: the sems of keyrings, keyring_serialise_link_lock and
 * key_construction_mutex, then key_watch_mutex, then the locks of the core (see
 * kernel/watch_queue.c).
 */

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/watch_queue.h>
#include "internal.h"

/*
 * The most watches on a keyring that extend to its children, without
 * CAP_SYS_RESOURCE.  Whoever makes a link there has to wait for each of them.
 */
#define KEY_WATCH_CHILDREN_MAX	256

/*
 * A watch on a key.  It is freed by the core.
 */
struct key_watch {
	struct watch		watch;		/* Must be first */
	struct key		*key;		/* What it is on, see key_of_watch() */
	struct rb_root		children;	/* Links to what it extends to */
	struct list_head	parents;	/* Links by which it extends to here, in order */
	struct list_head	todo;		/* While something changed about it */
	int			own;		/* Levels that user space set, or NOT_SET */
	int			levels;		/* Levels that it extends to */
	bool			possessed;	/* The owner possesses the key */
	bool			renamed;	/* User space gave it another tag and owner */
	bool			dead;		/* All that belongs to it is gone */
};

static_assert(offsetof(struct key_watch, watch) == 0);

#define NOT_SET	-1

/*
 * A reason for a watch: that another one extends to here.
 */
struct key_watch_link {
	struct rb_node		node;		/* In parent->children, by serial number */
	struct list_head	in_child;	/* In child->parents */
	struct key_watch	*parent;
	struct key_watch	*child;
	struct key		*key;		/* While there is no child yet */
	struct key_watch_link	*next;		/* Likewise */
	bool			possessed;	/* The owner possesses the key through it */
};

/* Serialises the addition of watches to any key, and all that is above. */
static DEFINE_MUTEX(key_watch_mutex);

static struct key_watch *to_key_watch(struct watch *watch)
{
	return container_of(watch, struct key_watch, watch);
}

static struct hlist_head *watchers_of(const struct key *key)
{
	static HLIST_HEAD(nobody);

	return key->watchers ? &key->watchers->watchers : &nobody;
}

/* The watches on a key.  With the mutex held, those that leave stay in memory. */
#define for_each_key_watch(watch, key)						\
	hlist_for_each_entry_rcu(watch, watchers_of(key), list_node,		\
				 lockdep_is_held(&key_watch_mutex))

static struct watch_queue *queue_of(const struct key_watch *kw)
{
	return rcu_access_pointer(kw->watch.queue);
}

/*
 * The key that a watch is on.  NULL if its queue is being closed and the key may
 * be gone; otherwise that stays for as long as the mutex is held, as the garbage
 * collector has to come by it.
 */
static struct key *key_of_watch(const struct key_watch *kw)
{
	return rcu_access_pointer(kw->watch.watch_list) ? kw->key : NULL;
}

static struct key_watch *find_key_watch(const struct key *key,
					const struct watch_queue *wqueue)
{
	struct watch *watch;

	for_each_key_watch(watch, key) {
		if (rcu_access_pointer(watch->queue) == wqueue)
			return to_key_watch(watch);
	}
	return NULL;
}

static struct key_watch_link *find_link(const struct key_watch *kw, u64 serial)
{
	const struct rb_node *node = kw->children.rb_node;
	struct key_watch_link *link;

	while (node) {
		link = rb_entry(node, struct key_watch_link, node);
		if (serial == link->child->watch.id)
			return link;
		node = serial < link->child->watch.id ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static bool link_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct key_watch_link, node)->child->watch.id <
	       rb_entry(b, struct key_watch_link, node)->child->watch.id;
}

static void drop_link(struct key_watch_link *link)
{
	rb_erase(&link->node, &link->parent->children);
	list_del(&link->in_child);
	kfree(link);
}

static void look_at(struct key_watch *kw, struct list_head *todo)
{
	if (list_empty(&kw->todo))
		list_add_tail(&kw->todo, todo);
}

/* Have the children looked at, after the watch does not extend to them any more. */
static void drop_children(struct key_watch *kw, struct list_head *todo)
{
	struct key_watch_link *link;
	struct rb_node *node;

	while ((node = rb_first(&kw->children))) {
		link = rb_entry(node, struct key_watch_link, node);
		look_at(link->child, todo);
		drop_link(link);
	}
}

static void look_at_children(struct key_watch *kw, struct list_head *todo)
{
	struct rb_node *node;

	for (node = rb_first(&kw->children); node; node = rb_next(node))
		look_at(rb_entry(node, struct key_watch_link, node)->child, todo);
}

/*
 * A queue is closing, and has taken a watch off its key.  The other watches of
 * the queue follow, so there is nothing to tell anybody.
 */
static void key_watch_release(struct watch *watch)
{
	struct key_watch *kw = to_key_watch(watch);
	struct key_watch_link *link, *next;
	struct rb_node *node;

	if (READ_ONCE(kw->dead))
		return;

	guard(mutex)(&key_watch_mutex);
	if (kw->dead)
		return;
	kw->dead = true;
	while ((node = rb_first(&kw->children)))
		drop_link(rb_entry(node, struct key_watch_link, node));
	list_for_each_entry_safe(link, next, &kw->parents, in_child)
		drop_link(link);
}

/* Remove a watch for which there is no reason left. */
static void end_key_watch(struct key_watch *kw, struct list_head *todo, bool quiet)
{
	struct watch_list *wlist;

	drop_children(kw, todo);

	/* Whoever finds it dead need not wait for us before it is freed. */
	guard(rcu)();
	wlist = rcu_dereference(kw->watch.watch_list);
	WRITE_ONCE(kw->dead, true);
	if (!wlist)
		return;
	if (quiet)
		drop_watch_from_object(wlist, queue_of(kw), kw->watch.id);
	else
		remove_watch_from_object(wlist, queue_of(kw), kw->watch.id, false);
}

/*
 * Memory that the watch of somebody else needs is not charged to the task that
 * happens to make a link, nor does that wait for it.
 */
#define GFP_KEY_WATCH	(GFP_NOWAIT | __GFP_ACCOUNT)

/* Get the memory cgroup that a watch is charged to. */
static struct mem_cgroup *key_watch_memcg(struct key_watch *kw)
{
	struct mem_cgroup *memcg;

	guard(rcu)();
	do {
		memcg = mem_cgroup_from_virt(kw) ?: root_mem_cgroup;
	} while (!mem_cgroup_tryget(memcg));
	return memcg;
}

static struct watch_list *new_watch_list(gfp_t gfp)
{
	struct watch_list *wlist = kzalloc_obj(*wlist, gfp);

	if (wlist)
		init_watch_list(wlist, key_watch_release);
	return wlist;
}

static struct key_watch *new_key_watch(struct key *key, struct watch_queue *wqueue,
				       gfp_t gfp)
{
	struct key_watch *kw = kzalloc_obj(*kw, gfp);

	if (!kw)
		return NULL;
	init_watch(&kw->watch, wqueue);
	kw->watch.type = WATCH_TYPE_KEY_NOTIFY;
	kw->watch.id = key->serial;
	kw->key = key;
	kw->children = RB_ROOT;
	INIT_LIST_HEAD(&kw->parents);
	INIT_LIST_HEAD(&kw->todo);
	kw->own = NOT_SET;
	return kw;
}

/* Publish a watch list, if the key has none. */
static void set_watch_list(struct key *key, struct watch_list **wlist)
{
	lockdep_assert_held(&key_watch_mutex);

	if (!key->watchers) {
		/* Pairs with the READ_ONCE() in notify_key(). */
		smp_store_release(&key->watchers, *wlist);
		*wlist = NULL;
	}
}

/*
 * May a watch extend to a key that is linked into its keyring?  What counts is
 * what its owner may do, not who made the link.
 */
static bool may_extend(const struct key_watch *kw, struct key *key, bool *possessed)
{
	const struct cred *cred = kw->watch.cred;

	/* Possession passes down where a search would. */
	*possessed = kw->possessed &&
		!key_task_permission(make_key_ref(kw->key, true), cred, KEY_NEED_SEARCH) &&
		!key_task_permission(make_key_ref(key, true), cred, KEY_NEED_SEARCH);

	if (key_validate(key) ||
	    key_task_permission(make_key_ref(key, *possessed), cred, KEY_NEED_VIEW))
		return false;
	scoped_with_creds(cred)
		return !security_watch_key(key);
}

/* Add a watch like the parent's to a key that the queue does not watch yet. */
static struct key_watch *add_child(const struct key_watch *parent, struct key *key)
{
	struct watch_list *wlist = NULL;
	struct key_watch *kw;
	int ret = -ENOMEM;

	if (!key->watchers) {
		wlist = new_watch_list(GFP_KEY_WATCH);
		if (!wlist)
			return ERR_PTR(ret);
	}
	kw = new_key_watch(key, queue_of(parent), GFP_KEY_WATCH);
	if (kw) {
		kw->watch.cred = get_cred(parent->watch.cred);
		kw->watch.max_watches = parent->watch.max_watches;
		kw->watch.info_id = parent->watch.info_id;
		set_watch_list(key, &wlist);
		ret = add_watch_to_object(&kw->watch, key->watchers);
	}
	kfree(wlist);
	if (ret) {
		kfree(kw);
		return ERR_PTR(ret);
	}
	return kw;
}

/*
 * Extend a watch along a link, if its owner may have that.
 */
static int extend_along(struct key_watch_link *link, struct key *key,
			struct list_head *todo)
{
	struct key_watch *parent = link->parent;
	struct key_watch *child;

	if (find_link(parent, key->serial) ||
	    !may_extend(parent, key, &link->possessed)) {
		kfree(link);
		return 0;
	}

	child = find_key_watch(key, queue_of(parent));
	if (!child) {
		child = add_child(parent, key);
		if (IS_ERR(child)) {
			kfree(link);
			/* A queue that was closed misses nothing. */
			return child == ERR_PTR(-ENOENT) ? 0 : PTR_ERR(child);
		}
		child->possessed = link->possessed;
	}

	link->child = child;
	rb_add(&link->node, &parent->children, link_less);
	list_add_tail(&link->in_child, &child->parents);
	look_at(child, todo);
	return 0;
}

static struct key_watch_link *new_link(struct key_watch *parent)
{
	struct key_watch_link *link = kzalloc_obj(*link, GFP_KEY_WATCH);

	if (link)
		link->parent = parent;
	return link;
}

/* What the keys of a keyring are collected in. */
struct key_collection {
	struct key_watch	*parent;
	struct key_watch_link	*links;
};

static int collect_key(const void *object, void *data)
{
	struct key_collection *collection = data;
	struct key *key = keyring_ptr_to_key(object);
	struct key_watch_link *link;

	if (find_link(collection->parent, key->serial))
		return 0;
	link = new_link(collection->parent);
	if (!link)
		return -ENOMEM;
	link->key = key_get(key);
	link->next = collection->links;
	collection->links = link;
	return 0;
}

/* Are there too many watches on a keyring that extend to its children? */
static bool too_many_extend(const struct key_watch *kw, const struct key *keyring)
{
	struct watch *watch;
	int nr = 0;

	for_each_key_watch(watch, keyring)
		nr += to_key_watch(watch)->levels > 0;
	return nr > KEY_WATCH_CHILDREN_MAX &&
		security_capable(kw->watch.cred, &init_user_ns, CAP_SYS_RESOURCE,
				 CAP_OPT_NONE);
}

/*
 * Extend a watch to what is linked into its keyring now.
 */
static int extend_to_children(struct key_watch *kw, struct list_head *todo)
{
	struct key_collection collection = { .parent = kw };
	struct key *keyring = key_of_watch(kw);
	struct mem_cgroup *memcg, *old;
	struct key_watch_link *link;
	struct key *key;
	int ret, err;

	if (!keyring)
		return 0;
	if (too_many_extend(kw, keyring)) {
		kw->levels = 0;
		return -ENOSPC;
	}

	set_bit(KEY_FLAG_WATCH_CHILDREN, &keyring->flags);
	/*
	 * A link that is made or removed meanwhile is either seen here, or
	 * whoever does it sees the flag.  Pairs with the smp_mb() in
	 * key_watch_extends().
	 */
	smp_mb__after_atomic();

	memcg = key_watch_memcg(kw);
	old = set_active_memcg(memcg);

	/* The LSMs may sleep when they are asked, so not in here. */
	scoped_guard(rcu)
		ret = assoc_array_iterate(&keyring->keys, collect_key, &collection);

	while ((link = collection.links)) {
		collection.links = link->next;
		key = link->key;
		err = extend_along(link, key, todo);
		ret = ret ?: err;
		key_put(key);
		cond_resched();
	}

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

/* Have the tag and the owner follow from what a watch is extended from. */
static bool follow_parent(struct key_watch *kw)
{
	bool changed = kw->renamed;
	struct key_watch_link *link;
	const struct watch *from;

	kw->renamed = false;
	if (kw->own != NOT_SET)
		return changed;

	link = list_first_entry(&kw->parents, struct key_watch_link, in_child);
	from = &link->parent->watch;
	if (kw->watch.cred != from->cred || kw->watch.info_id != from->info_id ||
	    kw->possessed != link->possessed) {
		hand_over_watch(&kw->watch, from);
		kw->possessed = link->possessed;
		changed = true;
	}
	return changed;
}

static int levels_of(const struct key_watch *kw)
{
	const struct key_watch_link *link;
	int levels = max(kw->own, 0);

	list_for_each_entry(link, &kw->parents, in_child)
		levels = max(levels, link->parent->levels - 1);
	return levels;
}

/*
 * Bring watches in line with the reasons that there are for them, and what they
 * extend to likewise.  A loss is told to the queue unless the caller wants to
 * know of it; then nobody is told of watches that end, either.
 */
static void settle(struct list_head *todo, int *error)
{
	struct key_watch *kw;
	bool changed;
	int old, err;

	lockdep_assert_held(&key_watch_mutex);

	while ((kw = list_first_entry_or_null(todo, struct key_watch, todo))) {
		list_del_init(&kw->todo);

		if (kw->own == NOT_SET && list_empty(&kw->parents)) {
			end_key_watch(kw, todo, error);
			continue;
		}

		changed = follow_parent(kw);
		old = kw->levels;
		kw->levels = 0;
		if (key_of_watch(kw) && kw->key->type == &key_type_keyring)
			kw->levels = levels_of(kw);

		if (!kw->levels) {
			drop_children(kw, todo);
		} else if (!old) {
			err = extend_to_children(kw, todo);
			if (err && error)
				*error = *error ?: err;
			else if (err)
				watch_queue_lose(queue_of(kw), WATCH_TYPE_KEY_NOTIFY);
		} else if (changed || kw->levels != old) {
			look_at_children(kw, todo);
		}
	}
}

/**
 * __key_watch_link - Extend the watches on a keyring to a key linked into it
 * @keyring: The keyring.
 * @key: The key that is, or is about to be, linked there.
 *
 * This cannot fail: a queue that should watch the key and cannot is told that it
 * misses something.
 *
 * Context: Process context, with @keyring->sem held for writing.  May sleep.
 */
void __key_watch_link(struct key *keyring, struct key *key)
{
	struct mem_cgroup *memcg, *old;
	struct key_watch_link *link;
	struct key_watch *kw;
	struct watch *watch;
	LIST_HEAD(todo);
	int ret;

	guard(mutex)(&key_watch_mutex);

	for_each_key_watch(watch, keyring) {
		kw = to_key_watch(watch);
		if (kw->dead || !kw->levels)
			continue;

		memcg = key_watch_memcg(kw);
		old = set_active_memcg(memcg);
		link = new_link(kw);
		ret = link ? extend_along(link, key, &todo) : -ENOMEM;
		set_active_memcg(old);
		mem_cgroup_put(memcg);
		if (ret)
			watch_queue_lose(queue_of(kw), WATCH_TYPE_KEY_NOTIFY);
	}
	settle(&todo, NULL);
}

/**
 * __key_watch_unlink - Undo the extension of watches to a key
 * @keyring: The keyring.
 * @serial: The serial number of the key that is not linked there any more.
 *
 * Context: Process context, with @keyring->sem held for writing.  May sleep.
 */
void __key_watch_unlink(struct key *keyring, key_serial_t serial)
{
	struct key_watch_link *link;
	struct watch *watch;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	for_each_key_watch(watch, keyring) {
		link = find_link(to_key_watch(watch), serial);
		if (link) {
			look_at(link->child, &todo);
			drop_link(link);
		}
	}
	settle(&todo, NULL);
}

/**
 * __key_watch_sync - Undo the extension of watches to all that is not linked
 * @keyring: The keyring, from which any number of links was removed.
 *
 * Context: Process context, with @keyring->sem held for writing.  May sleep.
 */
void __key_watch_sync(struct key *keyring)
{
	struct rb_node *node, *next;
	struct key_watch_link *link;
	const struct key *key;
	struct watch *watch;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	for_each_key_watch(watch, keyring) {
		for (node = rb_first(&to_key_watch(watch)->children); node; node = next) {
			next = rb_next(node);
			link = rb_entry(node, struct key_watch_link, node);
			key = key_of_watch(link->child);
			if (key && !keyring_has_link(keyring, key)) {
				look_at(link->child, &todo);
				drop_link(link);
			}
		}
	}
	settle(&todo, NULL);
}

/**
 * key_watch_destroy - Remove the watches on a key that nobody refers to any more
 * @key: The key, which is about to be freed.
 *
 * Context: Process context.  May sleep.
 */
void key_watch_destroy(struct key *key)
{
	struct key_watch_link *link, *next;
	struct key_watch *kw;
	struct watch *watch;
	LIST_HEAD(todo);

	if (!key->watchers)
		return;

	scoped_guard(mutex, &key_watch_mutex) {
		for_each_key_watch(watch, key) {
			kw = to_key_watch(watch);
			if (kw->dead)
				continue;
			kw->own = NOT_SET;
			list_for_each_entry_safe(link, next, &kw->parents, in_child)
				drop_link(link);
			look_at(kw, &todo);
		}
		settle(&todo, NULL);
	}

	remove_watch_list(key->watchers, key->serial);
	key->watchers = NULL;
}

/*
 * Set a watch, or make one that is there already user space's own.  A watch that
 * is used is taken from the caller.
 */
static int set_key_watch(struct key_watch **new, struct key *key, int levels)
{
	struct key_watch *kw;
	LIST_HEAD(todo);
	int ret = 0;

	kw = find_key_watch(key, queue_of(*new));
	if (kw && kw->own != NOT_SET)
		return -EBUSY;
	if (!kw) {
		ret = add_watch_to_object(&(*new)->watch, key->watchers);
		if (ret)
			return ret;
		kw = *new;
		*new = NULL;
	} else {
		hand_over_watch(&kw->watch, &(*new)->watch);
		kw->possessed = (*new)->possessed;
		kw->renamed = true;
	}

	kw->own = levels;
	look_at(kw, &todo);
	settle(&todo, &ret);
	if (ret) {
		kw->own = NOT_SET;
		look_at(kw, &todo);
		settle(&todo, &ret);
	}
	return ret;
}

static int add_key_watch(key_ref_t key_ref, struct watch_queue *wqueue,
			 int watch_id, int levels)
{
	struct key *key = key_ref_to_ptr(key_ref);
	struct watch_list *wlist;
	struct key_watch *kw;
	int ret;

	ret = security_watch_key(key);
	if (ret < 0)
		return ret;

	ret = -ENOMEM;
	wlist = new_watch_list(GFP_KERNEL_ACCOUNT);
	kw = new_key_watch(key, wqueue, GFP_KERNEL_ACCOUNT);
	if (wlist && kw)
		kw->watch.cred = watch_cred();
	if (!wlist || !kw || !kw->watch.cred)
		goto out;

	kw->watch.info_id = (u32)watch_id << WATCH_INFO_ID__SHIFT;
	kw->possessed = is_key_possessed(key_ref);

	scoped_guard(mutex, &key_watch_mutex) {
		set_watch_list(key, &wlist);
		ret = set_key_watch(&kw, key, levels);
	}
	if (kw && kw->watch.cred)
		put_cred(kw->watch.cred);
out:
	kfree(kw);
	kfree(wlist);
	return ret;
}

/* Remove what user space set.  The watch stays if there is another reason. */
static int remove_key_watch(const struct key *key, struct watch_queue *wqueue)
{
	struct key_watch *kw;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	kw = find_key_watch(key, wqueue);
	if (!kw || kw->own == NOT_SET)
		return -EBADSLT;
	kw->own = NOT_SET;
	look_at(kw, &todo);
	settle(&todo, NULL);
	return 0;
}

static long watch_key(key_serial_t id, int watch_queue_fd, int watch_id,
		      bool is_keyring, int levels)
{
	struct watch_queue *wqueue;
	key_ref_t key_ref;
	long ret;

	if (watch_id < -1 || watch_id > 0xff)
		return -EINVAL;

	key_ref = lookup_user_key(id, KEY_LOOKUP_CREATE | KEY_LOOKUP_PARTIAL,
				  KEY_NEED_VIEW);
	if (IS_ERR(key_ref))
		return PTR_ERR(key_ref);

	wqueue = get_watch_queue(watch_queue_fd);
	if (IS_ERR(wqueue)) {
		ret = PTR_ERR(wqueue);
		goto out;
	}

	if (is_keyring && key_ref_to_ptr(key_ref)->type != &key_type_keyring)
		ret = -ENOTDIR;
	else if (watch_id >= 0)
		ret = add_key_watch(key_ref, wqueue, watch_id, levels);
	else
		ret = remove_key_watch(key_ref_to_ptr(key_ref), wqueue);

	put_watch_queue(wqueue);
out:
	key_ref_put(key_ref);
	return ret;
}

/*
 * Watch for changes to a key.
 *
 * The caller must have View permission to watch a key or keyring.
 */
long keyctl_watch_key(key_serial_t id, int watch_queue_fd, int watch_id)
{
	return watch_key(id, watch_queue_fd, watch_id, false, 0);
}

/*
 * Watch for changes to a keyring and, by the flags, to what is linked into it.
 *
 * The caller must have View permission on the keyring.  The watch extends to those
 * keys that grant it View permission when they are linked.
 */
long keyctl_watch_keyring(key_serial_t id, int watch_queue_fd, int watch_id,
			  unsigned int flags)
{
	int levels = 0;

	if (flags & ~(KEYCTL_WATCH_CHILDREN | KEYCTL_WATCH_NESTED))
		return -EINVAL;

	/* As far down as a search goes: to the keys in the last keyrings. */
	if (flags & KEYCTL_WATCH_NESTED)
		levels = KEYRING_SEARCH_MAX_DEPTH + 1;
	else if (flags & KEYCTL_WATCH_CHILDREN)
		levels = 1;
	return watch_key(id, watch_queue_fd, watch_id, true, levels);
}
