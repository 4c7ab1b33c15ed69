// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of watches on mounts, part of fs/mount_watch.c
 */
#include <kunit/watch_queue.h>
#include <linux/mount.h>
#include <linux/namei.h>

/*
 * From one state of a mount to another: the records that say so.
 */
struct state_case {
	const char *name;
	struct {
		unsigned int mnt_flags;
		int group;		/* Shared, in this group */
	} was, now;
	unsigned int nr;
	struct {
		unsigned int subtype, info;
		u32 attr_old, attr, propagation_old, propagation;
		int group;
	} records[3];
};

#define RO		MOUNT_ATTR_RDONLY
#define NOSUID		MOUNT_ATTR_NOSUID
#define STRICT		MOUNT_ATTR_STRICTATIME
#define NOW_RO		NOTIFY_MOUNT_IS_NOW_RO

static const struct state_case state_cases[] = {
	{
		.name = "nothing",
	}, {
		.name = "to read-only",
		.now.mnt_flags = MNT_READONLY,
		.nr = 1,
		.records = { { NOTIFY_MOUNT_READONLY, NOW_RO, STRICT, STRICT | RO,
			       MS_PRIVATE, MS_PRIVATE, 0 } },
	}, {
		.name = "to writable, in a group",
		.was = { MNT_READONLY, 5 },
		.now.group = 5,
		.nr = 1,
		.records = { { NOTIFY_MOUNT_READONLY, 0, STRICT | RO, STRICT,
			       MS_SHARED, MS_SHARED, 5 } },
	}, {
		.name = "other attributes",
		.now.mnt_flags = MNT_NOSUID | MNT_NOATIME,
		.nr = 1,
		.records = { { NOTIFY_MOUNT_SETATTR, 0, STRICT,
			       NOSUID | MOUNT_ATTR_NOATIME,
			       MS_PRIVATE, MS_PRIVATE, 0 } },
	}, {
		.name = "shared",
		.now.group = 7,
		.nr = 1,
		.records = { { NOTIFY_MOUNT_PROPAGATION, 0, STRICT, STRICT,
			       MS_PRIVATE, MS_SHARED, 7 } },
	}, {
		.name = "another group",
		.was = { 0, 6 },
		.now.group = 7,
		.nr = 1,
		.records = { { NOTIFY_MOUNT_PROPAGATION, 0, STRICT, STRICT,
			       MS_SHARED, MS_SHARED, 7 } },
	}, {
		.name = "all at once",
		.was = { MNT_NOSUID, 6 },
		.now.mnt_flags = MNT_READONLY,
		.nr = 3,
		.records = {
			{ NOTIFY_MOUNT_READONLY, NOW_RO, STRICT | NOSUID,
			  STRICT | NOSUID | RO, MS_SHARED, MS_SHARED, 6 },
			{ NOTIFY_MOUNT_SETATTR, 0, STRICT | NOSUID | RO,
			  STRICT | RO, MS_SHARED, MS_SHARED, 6 },
			{ NOTIFY_MOUNT_PROPAGATION, 0, STRICT | RO, STRICT | RO,
			  MS_SHARED, MS_PRIVATE, 0 },
		},
	},
};

KUNIT_ARRAY_PARAM_DESC(state, state_cases, name);

/* A mount that is in no tree, and a watch on its root. */
struct lone_mount {
	struct mount mount;
	struct mount_watch watch;
	struct mnt_namespace ns;
	struct watch_point point;
};

static void remove_lone_point(void *data)
{
	struct watch_point *point = data;

	remove_watch_from_object(&point->watches, NULL, point->id, true);
	rcu_barrier();
}

static struct lone_mount *lone_mount(struct kunit *test, struct test_queue *q)
{
	struct lone_mount *lone = kunit_kzalloc(test, sizeof(*lone), GFP_KERNEL);
	struct watch_point *point = &lone->point;
	struct mount *m = &lone->mount;
	struct watch *watch;

	KUNIT_ASSERT_NOT_NULL(test, lone);
	m->mnt_parent = m;
	m->mnt_ns = &lone->ns;
	m->prev_ns = m->mnt_ns;
	m->mnt.mnt_idmap = &nop_mnt_idmap;
	m->mnt_id_unique = 0x1234567890ULL;
	m->mnt_watch = &lone->watch;

	point->id = m->mnt_id_unique;
	init_watch_list(&point->watches, NULL);
	rcu_assign_pointer(lone->watch.root_point, point);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, remove_lone_point,
							   point));

	watch = alloc_watch(sizeof(*watch), &q->queue, WATCH_TYPE_MOUNT_NOTIFY, point->id,
			    TEST_TAG);
	KUNIT_ASSERT_NOT_NULL(test, watch);
	KUNIT_ASSERT_EQ(test, 0, add_watch_to_object(watch, &point->watches));
	return lone;
}

static void mount_watch_state(struct kunit *test)
{
	const struct state_case *c = test->param_value;
	struct test_queue *q = test_queue_start(test);
	struct lone_mount *lone = lone_mount(test, q);
	const struct mount_notification *n;
	struct mount *m = &lone->mount;
	struct mnt_watch_flush flush = { .own = MNT_WATCH_OWN };
	unsigned int i;

	m->mnt.mnt_flags = c->now.mnt_flags;
	m->mnt_group_id = c->now.group;
	if (c->now.group)
		m->mnt_t_flags |= T_SHARED;
	lone->watch.state = (struct mnt_state) {
		.mnt_flags = c->was.mnt_flags,
		.group_id = c->was.group,
		.t_flags = c->was.group ? T_SHARED : 0,
	};
	scoped_guard(rcu)
		mnt_watch_report_state(m, &flush);

	for (i = 0; i < c->nr; i++) {
		n = test_queue_next(test, q, WATCH_TYPE_MOUNT_NOTIFY,
				    c->records[i].subtype);
		KUNIT_EXPECT_EQ(test, watch_sizeof(*n),
				n->watch.info & WATCH_INFO_LENGTH);
		KUNIT_EXPECT_EQ(test, c->records[i].info,
				n->watch.info & WATCH_INFO_TYPE_INFO);
		KUNIT_EXPECT_EQ(test, m->mnt_id_unique, n->mnt_id);
		KUNIT_EXPECT_EQ(test, c->records[i].attr_old, n->mnt_attr_old);
		KUNIT_EXPECT_EQ(test, c->records[i].attr, n->mnt_attr);
		KUNIT_EXPECT_EQ(test, c->records[i].propagation_old,
				n->mnt_propagation_old);
		KUNIT_EXPECT_EQ(test, c->records[i].propagation, n->mnt_propagation);
		KUNIT_EXPECT_EQ(test, c->records[i].group, n->mnt_peer_group);
	}
	test_queue_is_empty(test, q);

	/* And that is what is known from there on. */
	scoped_guard(rcu)
		mnt_watch_report_state(m, &flush);
	test_queue_is_empty(test, q);
}

/*
 * A mount as a filesystem returns it from ->d_automount(), which then expires.
 * No test program can have that without a server of NFS, AFS or SMB.
 */
#define TEST_DIR	"/watch_queue_kunit"

static int make_dir(struct path *dir)
{
	struct dentry *dentry;
	struct path parent;

	scoped_with_init_fs() {
		dentry = start_creating_path(AT_FDCWD, TEST_DIR, &parent,
					     LOOKUP_DIRECTORY);
		if (IS_ERR(dentry))
			return PTR_ERR(dentry);
		dentry = vfs_mkdir(mnt_idmap(parent.mnt), d_inode(parent.dentry),
				   dentry, 0700, NULL);
		if (!IS_ERR(dentry)) {
			dir->mnt = mntget(parent.mnt);
			dir->dentry = dget(dentry);
		}
		end_creating_path(&parent, dentry);
	}
	return PTR_ERR_OR_ZERO(dentry);
}

static void remove_dir(void *data)
{
	struct path *dir = data, parent;
	struct dentry *dentry;

	path_put(dir);
	scoped_with_init_fs() {
		dentry = start_removing_path(TEST_DIR, &parent);
		if (IS_ERR(dentry))
			return;
		vfs_rmdir(mnt_idmap(parent.mnt), d_inode(parent.dentry), dentry,
			  NULL);
		end_removing_path(&parent, dentry);
	}
}

static struct vfsmount *automount(struct kunit *test, const struct path *dir,
				  struct list_head *expiry_list)
{
	struct file_system_type *type = get_fs_type("ramfs");
	struct vfsmount *mnt;

	KUNIT_ASSERT_NOT_NULL(test, type);
	mnt = vfs_kern_mount(type, 0, "watch_queue", NULL);
	put_filesystem(type);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	mnt_set_expiry(mnt, expiry_list);
	KUNIT_ASSERT_EQ(test, 0, finish_automount(mnt, dir));
	return mnt;
}

static void mount_watch_expiry(struct kunit *test)
{
	struct test_queue *q = test_queue_start(test);
	const struct mount_notification *n;
	static LIST_HEAD(expiry_list);
	struct vfsmount *mnt;
	struct path *dir;
	u64 id, parent;

	dir = kunit_kzalloc(test, sizeof(*dir), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dir);
	KUNIT_ASSERT_EQ(test, 0, make_dir(dir));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, remove_dir, dir));
	parent = real_mount(dir->mnt)->mnt_id_unique;
	KUNIT_ASSERT_EQ(test, 0, mnt_watch(dir, &q->queue, TEST_TAG));

	mnt = automount(test, dir, &expiry_list);
	id = real_mount(mnt)->mnt_id_unique;
	n = test_queue_next(test, q, WATCH_TYPE_MOUNT_NOTIFY,
			    NOTIFY_MOUNT_NEW_MOUNT);
	KUNIT_EXPECT_EQ(test, id, n->mnt_id);
	KUNIT_EXPECT_EQ(test, parent, n->mnt_parent_id);

	/* A watch on its root does not keep it. */
	KUNIT_ASSERT_EQ(test, 0, mnt_watch(&(struct path) {
			.mnt = mnt, .dentry = mnt->mnt_root,
		}, &q->queue, TEST_TAG));

	/* It must have been without use from one round to the next. */
	mntget(mnt);
	mark_mounts_for_expiry(&expiry_list);
	mark_mounts_for_expiry(&expiry_list);
	test_queue_is_empty(test, q);
	mntput(mnt);
	mark_mounts_for_expiry(&expiry_list);
	test_queue_is_empty(test, q);
	mark_mounts_for_expiry(&expiry_list);
	KUNIT_EXPECT_TRUE(test, list_empty(&expiry_list));

	n = test_queue_next(test, q, WATCH_TYPE_MOUNT_NOTIFY, NOTIFY_MOUNT_EXPIRY);
	KUNIT_EXPECT_EQ(test, id, n->mnt_id);
	KUNIT_EXPECT_EQ(test, parent, n->mnt_parent_id);
	KUNIT_EXPECT_EQ(test, 0, n->watch.info & WATCH_INFO_TYPE_INFO);
	test_queue_expect_removal(test, q, id);
	test_queue_is_empty(test, q);
}

static struct dentry *make_child(struct kunit *test, const struct path *dir,
				 const char *name)
{
	struct dentry *dentry;

	dentry = start_creating_noperm(dir->dentry, &QSTR(name));
	KUNIT_ASSERT_FALSE(test, IS_ERR(dentry));
	dentry = vfs_mkdir(mnt_idmap(dir->mnt), d_inode(dir->dentry), dentry, 0700, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dentry));
	dget(dentry);
	end_creating(dentry);
	return dentry;
}

static void remove_child(struct kunit *test, const struct path *dir, struct dentry *child)
{
	struct dentry *dentry;

	dentry = start_removing_dentry(dir->dentry, child);
	dput(child);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dentry));
	KUNIT_EXPECT_EQ(test, 0, vfs_rmdir(mnt_idmap(dir->mnt), d_inode(dir->dentry),
					   dentry, NULL));
	end_removing(dentry);
}

/*
 * A lookup finds a directory elsewhere than it was, as with a server that has renamed
 * it.  No test program can have that without one.
 */
static void mount_watch_splice(struct kunit *test)
{
	struct test_queue *q = test_queue_start(test);
	struct dentry *from, *to, *moved, *found;
	const struct mount_notification *n;
	struct path *dir, sub;

	dir = kunit_kzalloc(test, sizeof(*dir), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dir);
	KUNIT_ASSERT_EQ(test, 0, make_dir(dir));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, remove_dir, dir));
	from = make_child(test, dir, "from");
	to = make_child(test, dir, "to");
	sub = (struct path) { .mnt = dir->mnt, .dentry = from };
	moved = make_child(test, &sub, "moved");
	KUNIT_ASSERT_EQ(test, 0, mnt_watch(&sub, &q->queue, TEST_TAG));

	found = d_alloc(to, &QSTR("moved"));
	KUNIT_ASSERT_NOT_NULL(test, found);
	ihold(d_inode(moved));
	KUNIT_EXPECT_PTR_EQ(test, moved, d_splice_alias(d_inode(moved), found));
	dput(moved);
	dput(found);
	KUNIT_EXPECT_PTR_EQ(test, to, moved->d_parent);
	/* As the filesystem would know by then. */
	drop_nlink(d_inode(from));
	inc_nlink(d_inode(to));

	flush_delayed_work(&mnt_rescan_worker);
	n = test_queue_next(test, q, WATCH_TYPE_MOUNT_NOTIFY, NOTIFY_MOUNT_RESCAN);
	KUNIT_EXPECT_EQ(test, real_mount(dir->mnt)->mnt_id_unique, n->mnt_id);
	KUNIT_EXPECT_EQ(test, 0, n->mnt_parent_id);
	test_queue_is_empty(test, q);

	sub.dentry = to;
	remove_child(test, &sub, moved);
	remove_child(test, dir, to);
	sub.dentry = from;
	KUNIT_EXPECT_EQ(test, 0, mnt_unwatch(&sub, &q->queue));
	remove_child(test, dir, from);
}

static struct kunit_case mount_watch_cases[] = {
	KUNIT_CASE_PARAM(mount_watch_state, state_gen_params),
	KUNIT_CASE(mount_watch_expiry),
	KUNIT_CASE(mount_watch_splice),
	{}
};

static struct kunit_suite mount_watch_suite = {
	.name = "mount_watch",
	.test_cases = mount_watch_cases,
};

kunit_test_suite(mount_watch_suite);
