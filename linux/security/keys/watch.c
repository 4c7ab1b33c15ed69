// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches on keys, and their extension to what is linked into a keyring
 *
 * A queue has at most one watch on a key.  There can be several reasons for it:
 * that user space set it, and that watches which user space set on keyrings
 * extend to here.  It goes with the last of them.
 *
 * Each watch that user space set to extend does so by itself, as if there were
 * no other: by the rights of its owner, at the cost of its owner.  It is the root
 * of a graph of nodes, one for each key that it extends to, and links.  Several
 * roots of a queue share the watches on the keys, and nothing else.
 *
 * What user space set decides the tag and the owner of the watch on that key.
 * Otherwise they are those of the first root that extended to here, of those
 * that still do.
 *
 * How far down a root extends is a number of levels: 0 if it does not, 1 for the
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
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/watch_queue.h>
#include "internal.h"

/*
 * Whoever makes a link has to wait for all watches that extend along it, and what
 * may be linked is a keyring.  So without CAP_SYS_RESOURCE no more than so many of
 * one user extend from a keyring, each along no more than so many links, and to
 * no keyring in which there are more keys.
 */
#define KEY_WATCH_CHILDREN_MAX	32
#define KEY_WATCH_LINKS_MAX	512

/*
 * A watch on a key.  It is freed by the core.
 */
struct key_watch {
	struct watch		watch;		/* Must be first */
	struct key		*key;		/* What it is on, see key_of_watch() */
	struct key_watch_node	*top;		/* From which user space has it extend */
	struct list_head	nodes;		/* Of the roots that are here, in order */
	struct list_head	todo;		/* While something changed about it */
	bool			own;		/* User space set it */
	bool			dead;		/* All that belongs to it is gone */
};

static_assert(offsetof(struct key_watch, watch) == 0);

/*
 * What user space asked for by setting a watch that extends.  It goes with the
 * last node.
 */
struct key_watch_root {
	struct watch		like;		/* What its watches are to be like, first */
	unsigned int		nr_nodes;
	unsigned int		nr_links;
	unsigned long		max_links;	/* Of nr_links, and of keys in a keyring */
	int			levels;		/* From the keyring that it was set on */
	bool			possessed;	/* The owner possesses that */
};

static_assert(offsetof(struct key_watch_root, like) == 0);

/*
 * A key that a root extends to, or the keyring that it was set on.
 */
struct key_watch_node {
	struct key_watch_root	*root;
	struct key_watch	*kw;
	struct list_head	in_watch;	/* In kw->nodes */
	struct rb_root		children;	/* Links to what it extends to */
	struct list_head	parents;	/* Links by which it is extended to */
	int			levels;		/* That it extends to */
	bool			possessed;	/* The owner possesses the key */
	bool			full;		/* Too many extend from here */
};

/*
 * A key in a keyring, for a root that extends from the one to the other.
 */
struct key_watch_link {
	struct rb_node		node;		/* In parent->children, by serial number */
	struct list_head	in_child;	/* In child->parents */
	struct key_watch_node	*parent;
	struct key_watch_node	*child;
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

static struct watch_queue *queue_of(const struct watch *watch)
{
	return rcu_access_pointer(watch->queue);
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
		if (queue_of(watch) == wqueue)
			return to_key_watch(watch);
	}
	return NULL;
}

static struct key_watch_node *find_node(const struct key_watch *kw,
					const struct key_watch_root *root)
{
	struct key_watch_node *node;

	list_for_each_entry(node, &kw->nodes, in_watch) {
		if (node->root == root)
			return node;
	}
	return NULL;
}

static u64 serial_of(const struct key_watch_link *link)
{
	return link->child->kw->watch.id;
}

static struct key_watch_link *find_link(const struct key_watch_node *parent, u64 serial)
{
	const struct rb_node *node = parent->children.rb_node;
	struct key_watch_link *link;

	while (node) {
		link = rb_entry(node, struct key_watch_link, node);
		if (serial == serial_of(link))
			return link;
		node = serial < serial_of(link) ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static bool link_less(struct rb_node *a, const struct rb_node *b)
{
	return serial_of(rb_entry(a, struct key_watch_link, node)) <
	       serial_of(rb_entry(b, struct key_watch_link, node));
}

static void look_at(struct key_watch *kw, struct list_head *todo)
{
	if (list_empty(&kw->todo))
		list_add_tail(&kw->todo, todo);
}

/* Without @todo the child is not looked at, as its queue is being closed. */
static void drop_link(struct key_watch_link *link, struct list_head *todo)
{
	if (todo)
		look_at(link->child->kw, todo);
	link->parent->root->nr_links--;
	rb_erase(&link->node, &link->parent->children);
	list_del(&link->in_child);
	kfree(link);
}

static void drop_children(struct key_watch_node *node, struct list_head *todo)
{
	struct rb_node *first;

	while ((first = rb_first(&node->children))) {
		drop_link(rb_entry(first, struct key_watch_link, node), todo);
		cond_resched();
	}
}

static void drop_parents(struct key_watch_node *node)
{
	struct key_watch_link *link, *next;

	list_for_each_entry_safe(link, next, &node->parents, in_child)
		drop_link(link, NULL);
}

static void put_root(struct key_watch_root *root)
{
	if (--root->nr_nodes)
		return;
	free_watch(&root->like);
}

static void free_node(struct key_watch_node *node, struct list_head *todo)
{
	drop_children(node, todo);
	drop_parents(node);
	list_del(&node->in_watch);
	put_root(node->root);
	kfree(node);
}

/* A node that is not on a key, or NULL. */
static void free_top(struct key_watch_node *top)
{
	if (top)
		free_node(top, NULL);
}

DEFINE_FREE(free_top, struct key_watch_node *, free_top(_T))

/*
 * A queue is closing, and has taken a watch off its key.  The other watches of
 * the queue follow, so there is nothing to tell anybody.
 */
static void key_watch_release(struct watch *watch)
{
	struct key_watch *kw = to_key_watch(watch);
	struct key_watch_node *node, *next;

	if (READ_ONCE(kw->dead))
		return;

	guard(mutex)(&key_watch_mutex);
	if (kw->dead)
		return;
	kw->dead = true;
	list_for_each_entry_safe(node, next, &kw->nodes, in_watch)
		free_node(node, NULL);
}

/* Remove a watch for which there is no reason left. */
static void end_key_watch(struct key_watch *kw, bool quiet)
{
	struct watch_list *wlist;

	/* Whoever finds it dead need not wait for us before it is freed. */
	guard(rcu)();
	wlist = rcu_dereference(kw->watch.watch_list);
	WRITE_ONCE(kw->dead, true);
	if (!wlist)
		return;
	if (quiet)
		drop_watch_from_object(wlist, queue_of(&kw->watch), kw->watch.id);
	else
		remove_watch_from_object(wlist, queue_of(&kw->watch), kw->watch.id, false);
}

/*
 * Who sets a watch waits for memory, as long as nobody is killed for it and no
 * filesystem is entered, as that may be waiting for a key.  A link does not wait
 * for the watch of somebody else.  For the key that is linked the charge may
 * exceed the limit, as a memory cgroup is often full of what could be reclaimed,
 * but not for all that may be in it if it is a keyring.
 */
#define GFP_KEY_WATCH_SET	(GFP_NOFS | __GFP_ACCOUNT | __GFP_RETRY_MAYFAIL)
#define GFP_KEY_WATCH_LINK	(GFP_ATOMIC | __GFP_ACCOUNT | __GFP_NOWARN)
#define GFP_KEY_WATCH_NESTED	(GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN)

/*
 * Have allocations charged to the memory cgroup in which a root was set, and not
 * to that of the task that happens to make a link.
 */
static struct mem_cgroup *charge_root(struct key_watch_root *root,
				      struct mem_cgroup **old)
{
	struct mem_cgroup *memcg;

	guard(rcu)();
	do {
		memcg = mem_cgroup_from_virt(root) ?: root_mem_cgroup;
	} while (!mem_cgroup_tryget(memcg));
	*old = set_active_memcg(memcg);
	return memcg;
}

static void charge_self(struct mem_cgroup *memcg, struct mem_cgroup *old)
{
	set_active_memcg(old);
	mem_cgroup_put(memcg);
}

static struct watch_list *new_watch_list(gfp_t gfp)
{
	struct watch_list *wlist = kzalloc_obj(*wlist, gfp);

	if (wlist)
		init_watch_list(wlist, key_watch_release);
	return wlist;
}

/* What the core allocated, or NULL. */
static struct key_watch *init_key_watch(struct key_watch *kw, struct key *key)
{
	if (!kw)
		return NULL;
	kw->key = key;
	INIT_LIST_HEAD(&kw->nodes);
	INIT_LIST_HEAD(&kw->todo);
	return kw;
}

static struct key_watch_node *new_node(struct key_watch_root *root, gfp_t gfp)
{
	struct key_watch_node *node = kzalloc_obj(*node, gfp);

	if (!node)
		return NULL;
	node->root = root;
	root->nr_nodes++;
	node->children = RB_ROOT;
	INIT_LIST_HEAD(&node->in_watch);
	INIT_LIST_HEAD(&node->parents);
	return node;
}

static void add_node(struct key_watch *kw, struct key_watch_node *node)
{
	node->kw = kw;
	list_add_tail(&node->in_watch, &kw->nodes);
}

/*
 * Make the root of a watch that user space sets, and its node on the keyring.
 */
static struct key_watch_node *new_root(const struct key_watch *kw, int levels,
				       bool possessed)
{
	struct key_watch_root *root = alloc_watch_like(sizeof(*root), &kw->watch,
						       kw->watch.id, GFP_KERNEL);
	struct key_watch_node *top;

	if (!root)
		return NULL;
	top = new_node(root, GFP_KERNEL_ACCOUNT);
	if (!top) {
		free_watch(&root->like);
		return NULL;
	}
	root->max_links = kw->watch.max_watches;
	if (kw->watch.share)
		root->max_links = min(root->max_links, KEY_WATCH_LINKS_MAX);
	root->levels = levels;
	root->possessed = possessed;
	return top;
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
 * May a root extend from a keyring to a key that is linked there?  What counts is
 * what its owner may do, not who made the link.
 */
static bool may_extend(const struct key_watch_node *parent, struct key *key,
		       bool *possessed)
{
	const struct cred *cred = parent->root->like.cred;
	bool may;

	*possessed = false;
	if (key_validate(key))
		return false;
	may = !key_task_permission(make_key_ref(key, false), cred, KEY_NEED_VIEW);

	/* Possession passes down where a search would.  Ask only if it matters. */
	if (parent->possessed && (!may || key->type == &key_type_keyring) &&
	    !key_task_permission(make_key_ref(parent->kw->key, true), cred,
				 KEY_NEED_SEARCH) &&
	    !key_task_permission(make_key_ref(key, true), cred, KEY_NEED_SEARCH)) {
		*possessed = true;
		may = may || !key_task_permission(make_key_ref(key, true), cred,
						  KEY_NEED_VIEW);
	}
	if (!may)
		return false;
	scoped_with_creds(cred)
		may = !security_watch_key(key);
	if (!may)
		watch_queue_withheld(queue_of(&parent->root->like),
				     WATCH_TYPE_KEY_NOTIFY);
	return may;
}

/* Add a watch for a root to a key that the queue does not watch yet. */
static struct key_watch *add_child(const struct key_watch_root *root, struct key *key,
				   gfp_t gfp)
{
	struct key_watch *kw __free(free_watch) =
		init_key_watch(alloc_watch_like(sizeof(*kw), &root->like, key->serial, gfp),
			       key);
	struct watch_list *wlist __free(kfree) = NULL;
	int ret;

	if (!kw)
		return ERR_PTR(-ENOMEM);
	if (!key->watchers) {
		wlist = new_watch_list(gfp);
		if (!wlist)
			return ERR_PTR(-ENOMEM);
	}
	set_watch_list(key, &wlist);
	ret = add_watch_to_object(&kw->watch, key->watchers);
	return ret ? ERR_PTR(ret) : no_free_ptr(kw);
}

/* Get the node that a root has for a key. */
static struct key_watch_node *get_node(struct key_watch_root *root, struct key *key,
				       gfp_t gfp)
{
	struct key_watch *kw = find_key_watch(key, queue_of(&root->like));
	struct key_watch_node *node = kw ? find_node(kw, root) : NULL;

	if (node)
		return node;
	node = new_node(root, gfp);
	if (!node)
		return ERR_PTR(-ENOMEM);
	if (!kw) {
		kw = add_child(root, key, gfp);
		if (IS_ERR(kw)) {
			free_node(node, NULL);
			return ERR_CAST(kw);
		}
	}
	add_node(kw, node);
	return node;
}

/* There is one limit of the owner's, and one that CAP_SYS_RESOURCE lifts. */
static int too_many_links(const struct key_watch_root *root)
{
	return root->max_links < root->like.max_watches ? -ENOSPC : -EAGAIN;
}

/*
 * Extend a root along a link, which is used up, if its owner may have that.
 */
static int extend_along(struct key_watch_link *link, struct key *key, gfp_t gfp,
			struct list_head *todo)
{
	struct key_watch_root *root = link->parent->root;
	struct key_watch_node *child;

	if (find_link(link->parent, key->serial)) {
		kfree(link);
		return 0;
	}
	if (root->nr_links >= root->max_links) {
		kfree(link);
		return too_many_links(root);
	}
	if (!may_extend(link->parent, key, &link->possessed)) {
		kfree(link);
		return 0;
	}

	child = get_node(root, key, gfp);
	if (IS_ERR(child)) {
		kfree(link);
		/* A queue that was closed misses nothing. */
		return child == ERR_PTR(-ENOENT) ? 0 : PTR_ERR(child);
	}

	root->nr_links++;
	link->child = child;
	rb_add(&link->node, &link->parent->children, link_less);
	list_add_tail(&link->in_child, &child->parents);
	look_at(child->kw, todo);
	return 0;
}

static struct key_watch_link *new_link(struct key_watch_node *parent, gfp_t gfp)
{
	struct key_watch_link *link = kzalloc_obj(*link, gfp);

	if (link)
		link->parent = parent;
	return link;
}

/* What the keys of a keyring are collected in. */
struct key_collection {
	struct key_watch_node	*parent;
	struct key_watch_link	*spare;
	struct key_watch_link	*found;
};

static struct key_watch_link *take_link(struct key_watch_link **list)
{
	struct key_watch_link *link = *list;

	*list = link->next;
	return link;
}

static void put_link(struct key_watch_link **list, struct key_watch_link *link)
{
	link->next = *list;
	*list = link;
}

static int collect_key(const void *object, void *data)
{
	struct key_collection *c = data;
	struct key *key = keyring_ptr_to_key(object);

	if (find_link(c->parent, key->serial))
		return 0;
	if (!c->spare)
		return -ENOBUFS;
	c->spare->key = key_get(key);
	put_link(&c->found, take_link(&c->spare));
	return 0;
}

/* Get a reference on each key of a keyring to which there is no link yet. */
static int collect_keys(struct key_collection *c, struct key *keyring, gfp_t gfp)
{
	unsigned long nr = 0, max = READ_ONCE(keyring->keys.nr_leaves_on_tree);
	const struct key_watch_root *root = c->parent->root;
	struct key_watch_link *link;
	int ret;

	for (;;) {
		/* Those that may not be watched take time as well. */
		if (max > root->max_links)
			return too_many_links(root);
		for (; nr < max; nr++) {
			link = new_link(c->parent, gfp);
			if (!link)
				return -ENOMEM;
			put_link(&c->spare, link);
			cond_resched();
		}
		scoped_guard(rcu)
			ret = assoc_array_iterate(&keyring->keys, collect_key, c);
		if (ret != -ENOBUFS)
			return ret;

		/* It has grown, so again from the start. */
		while (c->found) {
			link = take_link(&c->found);
			key_put(link->key);
			put_link(&c->spare, link);
		}
		max = nr + 16;
	}
}

/* Are there too many watches of the same user that extend from a keyring? */
static bool too_many_extend(const struct key_watch_node *from, const struct key *keyring)
{
	const struct watch *like = &from->root->like;
	struct key_watch_node *node;
	struct watch *watch;
	int nr = 0;

	if (!like->share)
		return false;
	for_each_key_watch(watch, keyring) {
		list_for_each_entry(node, &to_key_watch(watch)->nodes, in_watch)
			nr += node->levels && watches_share(&node->root->like, like);
	}
	return nr > KEY_WATCH_CHILDREN_MAX;
}

/*
 * Extend a root to what is linked into a keyring now, up to the first failure: it
 * would not be the last.
 */
static int extend_to_children(struct key_watch_node *node, struct key *keyring,
			      gfp_t gfp, struct list_head *todo)
{
	struct key_collection c = { .parent = node };
	struct mem_cgroup *memcg, *old;
	struct key_watch_link *link;
	struct key *key;
	int ret;

	set_bit(KEY_FLAG_WATCH_CHILDREN, &keyring->flags);
	/*
	 * A link that is made or removed meanwhile is either seen here, or
	 * whoever does it sees the flag.  Pairs with the smp_mb() in
	 * key_watch_extends().
	 */
	smp_mb__after_atomic();

	memcg = charge_root(node->root, &old);
	ret = collect_keys(&c, keyring, gfp);
	while (c.found) {
		link = take_link(&c.found);
		key = link->key;
		if (!ret && gfpflags_allow_blocking(gfp) && fatal_signal_pending(current))
			ret = -EINTR;
		if (ret)
			kfree(link);
		else
			ret = extend_along(link, key, gfp, todo);
		key_put(key);
		cond_resched();
	}
	while (c.spare)
		kfree(take_link(&c.spare));
	charge_self(memcg, old);
	return ret;
}

/*
 * Have the children looked at.  If the owner came to possess the keyring, or does
 * not any more, he may have others of them.
 */
static void look_at_children(struct key_watch_node *node, bool judge,
			     struct list_head *todo)
{
	struct key_watch_link *link;
	struct rb_node *rb, *next;
	struct key *key;

	for (rb = rb_first(&node->children); rb; rb = next) {
		next = rb_next(rb);
		link = rb_entry(rb, struct key_watch_link, node);
		look_at(link->child->kw, todo);
		key = judge ? key_of_watch(link->child->kw) : NULL;
		if (key && !may_extend(node, key, &link->possessed))
			drop_link(link, todo);
		cond_resched();
	}
}

/* Bring a node in line with the links to it, and what it extends to likewise. */
static void settle_node(struct key_watch_node *node, struct list_head *todo, int *error)
{
	bool is_top = node->kw->top == node, possessed = false, judge;
	gfp_t gfp = error ? GFP_KEY_WATCH_SET : GFP_KEY_WATCH_NESTED;
	struct key *key = key_of_watch(node->kw);
	const struct key_watch_link *link;
	int levels = 0, old = node->levels, ret = 0;

	if (!is_top && list_empty(&node->parents)) {
		free_node(node, todo);
		return;
	}

	if (is_top) {
		levels = node->root->levels;
		possessed = node->root->possessed;
	}
	list_for_each_entry(link, &node->parents, in_child) {
		levels = max(levels, link->parent->levels - 1);
		possessed = possessed || link->possessed;
	}
	if (!key || key->type != &key_type_keyring || node->full)
		levels = 0;

	judge = possessed != node->possessed;
	node->possessed = possessed;
	node->levels = levels;
	if (!levels) {
		drop_children(node, todo);
		return;
	}
	if (judge || levels != old)
		look_at_children(node, judge, todo);
	if (error && *error)
		return;
	if (!old && too_many_extend(node, key)) {
		node->levels = 0;
		node->full = true;
		ret = -ENOSPC;
	} else if (!old || judge) {
		ret = extend_to_children(node, key, gfp, todo);
	}
	if (!ret)
		return;
	/* A nested keyring that is full is not what the caller asked about. */
	if (error && (is_top || ret != -ENOSPC))
		*error = ret;
	else
		watch_queue_lose(queue_of(&node->root->like), WATCH_TYPE_KEY_NOTIFY);
}

/*
 * Have a watch be as one of the reasons for it says, or end it if there is none.
 * Who cannot have it, for having too many, misses it.
 */
static void settle_watch(struct key_watch *kw, struct list_head *todo, bool quiet)
{
	struct key_watch_node *node;

	while (!kw->own) {
		node = list_first_entry_or_null(&kw->nodes, struct key_watch_node,
						in_watch);
		if (!node) {
			end_key_watch(kw, quiet);
			return;
		}
		if (!hand_over_watch(&kw->watch, &node->root->like))
			return;
		watch_queue_lose(queue_of(&kw->watch), WATCH_TYPE_KEY_NOTIFY);
		free_node(node, todo);
	}
}

/*
 * Bring watches in line with the reasons that there are for them, and what they
 * extend to likewise.  A loss is told to the queue unless the caller wants to
 * know of it; then nobody is told of watches that end, either.
 */
static void settle(struct list_head *todo, int *error)
{
	struct key_watch_node *node, *next;
	struct key_watch *kw;

	lockdep_assert_held(&key_watch_mutex);

	while ((kw = list_first_entry_or_null(todo, struct key_watch, todo))) {
		list_del_init(&kw->todo);
		list_for_each_entry_safe(node, next, &kw->nodes, in_watch)
			settle_node(node, todo, error);
		settle_watch(kw, todo, error);
		cond_resched();
	}
}

/* Extend a root from a keyring to one key. */
static void extend_to_child(struct key_watch_node *node, struct key *key,
			    struct list_head *todo)
{
	struct mem_cgroup *memcg, *old;
	struct key_watch_link *link;
	int ret = -ENOMEM;

	memcg = charge_root(node->root, &old);
	link = new_link(node, GFP_KEY_WATCH_LINK);
	if (link)
		ret = extend_along(link, key, GFP_KEY_WATCH_LINK, todo);
	charge_self(memcg, old);
	if (ret)
		watch_queue_lose(queue_of(&node->root->like), WATCH_TYPE_KEY_NOTIFY);
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
	struct key_watch_node *node;
	bool extends = false;
	struct watch *watch;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	for_each_key_watch(watch, keyring) {
		list_for_each_entry(node, &to_key_watch(watch)->nodes, in_watch) {
			if (!node->levels)
				continue;
			extends = true;
			extend_to_child(node, key, &todo);
			cond_resched();
		}
	}
	/* It is set again, under the mutex, by whoever extends from here. */
	if (!extends)
		clear_bit(KEY_FLAG_WATCH_CHILDREN, &keyring->flags);
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
	struct key_watch_node *node;
	struct watch *watch;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	for_each_key_watch(watch, keyring) {
		list_for_each_entry(node, &to_key_watch(watch)->nodes, in_watch) {
			link = find_link(node, serial);
			if (link)
				drop_link(link, &todo);
		}
		cond_resched();
	}
	settle(&todo, NULL);
}

/* Do not extend a root to what is not linked any more. */
static void sync_children(struct key_watch_node *node, struct key *keyring,
			  struct list_head *todo)
{
	struct key_watch_link *link;
	struct rb_node *rb, *next;
	const struct key *key;

	for (rb = rb_first(&node->children); rb; rb = next) {
		next = rb_next(rb);
		link = rb_entry(rb, struct key_watch_link, node);
		key = key_of_watch(link->child->kw);
		if (key && !keyring_has_link(keyring, key))
			drop_link(link, todo);
		cond_resched();
	}
}

/**
 * __key_watch_sync - Undo the extension of watches to all that is not linked
 * @keyring: The keyring, from which any number of links was removed.
 *
 * Context: Process context, with @keyring->sem held for writing.  May sleep.
 */
void __key_watch_sync(struct key *keyring)
{
	struct key_watch_node *node;
	struct watch *watch;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	for_each_key_watch(watch, keyring) {
		list_for_each_entry(node, &to_key_watch(watch)->nodes, in_watch)
			sync_children(node, keyring, &todo);
	}
	settle(&todo, NULL);
}

/* User space does not want a watch any more. */
static void unset(struct key_watch *kw, struct list_head *todo)
{
	kw->own = false;
	kw->top = NULL;
	look_at(kw, todo);
}

/**
 * key_watch_destroy - Remove the watches on a key that nobody refers to any more
 * @key: The key, which is about to be freed.
 *
 * Context: Process context.  May sleep.
 */
void key_watch_destroy(struct key *key)
{
	struct key_watch_node *node;
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
			list_for_each_entry(node, &kw->nodes, in_watch)
				drop_parents(node);
			unset(kw, &todo);
		}
		settle(&todo, NULL);
	}

	remove_watch_list(key->watchers, key->serial);
	key->watchers = NULL;
}

/*
 * Set a watch, or make one that is there already user space's own.  What is used
 * is taken from the caller.
 */
static int set_key_watch(struct key_watch **new, struct key_watch_node **top,
			 struct key *key)
{
	struct key_watch *kw;
	LIST_HEAD(todo);
	int ret = 0;

	kw = find_key_watch(key, queue_of(&(*new)->watch));
	if (kw && kw->own)
		return -EBUSY;
	if (!kw) {
		ret = add_watch_to_object(&(*new)->watch, key->watchers);
		if (ret)
			return ret;
		kw = *new;
		kw->own = true;
		*new = NULL;
	}

	if (*top) {
		add_node(kw, *top);
		kw->top = *top;
		*top = NULL;
		look_at(kw, &todo);
		settle(&todo, &ret);
	}
	if (!ret && !kw->own) {
		ret = hand_over_watch(&kw->watch, &(*new)->watch);
		kw->own = !ret;
	}
	if (ret) {
		unset(kw, &todo);
		settle(&todo, &ret);
	}
	return ret;
}

static int add_key_watch(key_ref_t key_ref, struct watch_queue *wqueue,
			 int watch_id, int levels)
{
	struct key *key = key_ref_to_ptr(key_ref);
	struct watch_list *wlist __free(kfree) = new_watch_list(GFP_KERNEL_ACCOUNT);
	struct key_watch *kw __free(free_watch) =
		init_key_watch(alloc_watch(sizeof(*kw), wqueue, WATCH_TYPE_KEY_NOTIFY,
					   key->serial, watch_id), key);
	struct key_watch_node *top __free(free_top) = NULL;
	int ret;

	if (!wlist || !kw)
		return -ENOMEM;
	ret = security_watch_key(key);
	if (ret < 0)
		return ret;
	if (levels) {
		top = new_root(kw, levels, is_key_possessed(key_ref));
		if (!top)
			return -ENOMEM;
	}

	guard(mutex)(&key_watch_mutex);
	set_watch_list(key, &wlist);
	return set_key_watch(&kw, &top, key);
}

/* Remove what user space set.  The watch stays if there is another reason. */
static int remove_key_watch(const struct key *key, struct watch_queue *wqueue)
{
	struct key_watch *kw;
	LIST_HEAD(todo);

	guard(mutex)(&key_watch_mutex);

	kw = find_key_watch(key, wqueue);
	if (!kw || !kw->own)
		return -EBADSLT;
	unset(kw, &todo);
	settle(&todo, NULL);
	return 0;
}

static long watch_key(key_serial_t id, int watch_queue_fd, int watch_id,
		      bool is_keyring, int levels)
{
	struct watch_queue *wqueue __free(put_watch_queue) =
		get_queue_for_watch(watch_queue_fd, watch_id);
	key_ref_t key_ref;
	long ret;

	if (IS_ERR(wqueue))
		return PTR_ERR(wqueue);

	key_ref = lookup_user_key(id, KEY_LOOKUP_CREATE | KEY_LOOKUP_PARTIAL,
				  KEY_NEED_VIEW);
	if (IS_ERR(key_ref))
		return PTR_ERR(key_ref);

	if (is_keyring && key_ref_to_ptr(key_ref)->type != &key_type_keyring)
		ret = -ENOTDIR;
	else if (watch_id >= 0)
		ret = add_key_watch(key_ref, wqueue, watch_id, levels);
	else
		ret = remove_key_watch(key_ref_to_ptr(key_ref), wqueue);
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
