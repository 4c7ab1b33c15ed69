// SPDX-License-Identifier: GPL-2.0
/* The records of each operation on mounts, the same over both kinds of queue. */

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_fixture.h"
#include "mount_model.h"

/*
 * The table of operations.  What comes first in each is done before the watch is
 * set; what comes second is the operation.
 */
struct op {
	const char *name;
	int (*prepare)(const struct op *op);
	int (*run)(const struct op *op);
	struct {
		unsigned int subtype, flags;
		const char *where;	/* "^": the one below there */
	} expect[4];
	uint64_t arg, arg2;
	const char *from, *to;
	bool elsewhere;		/* Done in another namespace */
	bool outside;		/* Something changes, but not below the watch */
};

static int nothing(const struct op *op)
{
	(void)op;
	return 0;
}

/* Preparations: a mount, one with another below it, ones of a propagation tree. */
static int mount_a(const struct op *op)
{
	(void)op;
	return mount_tmpfs("/w/a");
}

static int tree_a(const struct op *op)
{
	(void)op;
	return tree_at("/w/a");
}

static int tree_outside(const struct op *op)
{
	(void)op;
	return tree_at("/o/a");
}

static int cover(const struct op *op)
{
	(void)op;
	return mount_tmpfs("/w");
}

static int mount_a_and_b(const struct op *op)
{
	return mount_a(op) ?: mount_tmpfs("/w/b");
}

static int mount_a_and_b_p(const struct op *op)
{
	int ret = mount_a_and_b(op);

	mkdir("/w/b/p", 0755);
	return ret;
}

/* A shared mount outside, with a directory p. */
static int shared_outside(const struct op *op)
{
	int ret;

	(void)op;
	ret = mount_tmpfs("/o/a") ?: set_propagation("/o/a", MS_SHARED);
	mkdir("/o/a/p", 0755);
	return ret;
}

static int peer(const struct op *op)
{
	return shared_outside(op) ?: bind("/o/a", "/w/a", 0);
}

static int peers(const struct op *op)
{
	return peer(op) ?: bind("/o/a", "/w/b", 0);
}

static int slave(const struct op *op)
{
	return peer(op) ?: set_propagation("/w/a", MS_SLAVE);
}

static int shared_slave(const struct op *op)
{
	return slave(op) ?: set_propagation("/w/a", MS_SHARED);
}

static int peer_and_mount(const struct op *op)
{
	return peer(op) ?: mount_tmpfs("/o/a/p");
}

static int slave_and_mount(const struct op *op)
{
	return slave(op) ?: mount_tmpfs("/o/a/p");
}

/* The slave has a mount of its own where one from the master is to come. */
static int slave_with_own(const struct op *op)
{
	return slave(op) ?: mount_tmpfs("/w/a/p");
}

static int slave_with_tucked(const struct op *op)
{
	return slave_with_own(op) ?: mount_tmpfs("/o/a/p");
}

static int peer_made_private(const struct op *op)
{
	return peer(op) ?: set_propagation("/w/a", MS_PRIVATE);
}

static int shared_a(const struct op *op)
{
	return mount_a(op) ?: set_propagation("/w/a", MS_SHARED);
}

static int unbindable_a(const struct op *op)
{
	return mount_a(op) ?: set_propagation("/w/a", MS_UNBINDABLE);
}

static int shared_tree_a(const struct op *op)
{
	return tree_a(op) ?: set_propagation("/w/a", MS_SHARED | MS_REC);
}

/* A shared place within the watch, and a tree outside that is not shared. */
static int shared_place(const struct op *op)
{
	int ret = shared_a(op);

	mkdir("/w/a/p", 0755);
	return ret ?: tree_outside(op);
}

static int shared_place_own_tree(const struct op *op)
{
	int ret = shared_a(op);

	mkdir("/w/a/p", 0755);
	return ret ?: tree_at("/w/b");
}

static int share_all(const struct op *op)
{
	(void)op;
	return set_propagation("/", MS_SHARED | MS_REC);
}

static int share_all_with_tree(const struct op *op)
{
	return share_all(op) ?: tree_a(op);
}

/* Operations. */
static int mount_outside(const struct op *op)
{
	(void)op;
	return mount_tmpfs("/o/a");
}

static int clone_one(const struct op *op)
{
	(void)op;
	return attach(sys_open_tree(AT_FDCWD, "/o/a", OPEN_TREE_CLONE), "/w/a", 0);
}

static int clone_tree(const struct op *op)
{
	(void)op;
	return attach(sys_open_tree(AT_FDCWD, "/o/a", OPEN_TREE_CLONE | AT_RECURSIVE),
		      "/w/a", 0);
}

static int bind_one(const struct op *op)
{
	(void)op;
	return bind("/o/a", "/w/a", 0);
}

static int bind_tree(const struct op *op)
{
	(void)op;
	return bind("/o/a", "/w/a", MS_REC);
}

static int do_move(const struct op *op)
{
	return move(op->from, op->to);
}

static int do_move_mount(const struct op *op)
{
	return sys_move_mount(AT_FDCWD, op->from, AT_FDCWD, op->to, 0);
}

static int beneath(const struct op *op)
{
	(void)op;
	return attach(tmpfs_fd(0), "/w/a", MOVE_MOUNT_BENEATH);
}

static int beneath_cover(const struct op *op)
{
	(void)op;
	return attach(tmpfs_fd(0), "/w", MOVE_MOUNT_BENEATH);
}

static int b_beneath_a(const struct op *op)
{
	(void)op;
	return sys_move_mount(AT_FDCWD, "/w/b", AT_FDCWD, "/w/a", MOVE_MOUNT_BENEATH);
}

/* The superblock and not the mount. */
static int make_sb_ro(const struct op *op)
{
	(void)op;
	return reconfigure("/w/a", "ro", NULL);
}

static int set_group(const struct op *op)
{
	(void)op;
	return sys_move_mount(AT_FDCWD, "/o/a", AT_FDCWD, "/w/a",
			      MOVE_MOUNT_SET_GROUP);
}

static int umount_master(const struct op *op)
{
	(void)op;
	return sys_umount("/o/a", 0);
}

static int privatize_master(const struct op *op)
{
	(void)op;
	return set_propagation("/o/a", MS_PRIVATE);
}

static int mount_at_master(const struct op *op)
{
	(void)op;
	return mount_tmpfs("/o/a/p");
}

static int mount_at_peer(const struct op *op)
{
	(void)op;
	return mount_tmpfs("/w/a/p");
}

static int umount_at_master(const struct op *op)
{
	(void)op;
	return sys_umount("/o/a/p", 0);
}

static int tree_at_master(const struct op *op)
{
	(void)op;
	return tree_at("/o/c") ?: bind("/o/c", "/o/a/p", MS_REC);
}

/* These are done in another namespace, a copy of the one that is watched. */
static int umount_and_rmdir(const struct op *op)
{
	(void)op;
	return sys_umount("/w/a", MNT_DETACH) ?: rmdir("/w/a") ? -errno : 0;
}

static int umount_and_rename_over(const struct op *op)
{
	(void)op;
	mkdir("/w/new", 0755);
	return sys_umount("/w/a", MNT_DETACH) ?: sys_rename("/w/new", "/w/a", 0);
}

static int detach_elsewhere(const struct op *op)
{
	(void)op;
	return sys_umount("/w/a", MNT_DETACH);
}

static int do_fsmount(const struct op *op)
{
	return attach(tmpfs_fd(op->arg), "/w/a", 0);
}

static int do_setattr(const struct op *op)
{
	return set_attr("/w/a", 0, op->arg, op->arg2);
}

static int do_setattr_rec(const struct op *op)
{
	return set_attr("/w/a", AT_RECURSIVE, op->arg, op->arg2);
}

static int do_clearattr(const struct op *op)
{
	return set_attr("/w/a", 0, 0, op->arg);
}

static int set_first(const struct op *op)
{
	return mount_a(op) ?: do_setattr(op);
}

static int set_first_below(const struct op *op)
{
	return tree_a(op) ?: set_attr("/w/a/x", 0, op->arg, 0);
}

static int do_remount(const struct op *op)
{
	return sys_mount(NULL, "/w/a", NULL, MS_REMOUNT | MS_BIND | op->arg, NULL);
}

static int remount_rw(const struct op *op)
{
	return set_attr("/w/a", 0, MOUNT_ATTR_RDONLY, 0) ?: do_remount(op);
}

static int do_remount_all(const struct op *op)
{
	return sys_mount(NULL, "/w/a", NULL, MS_REMOUNT | op->arg, NULL);
}

static int do_propagation(const struct op *op)
{
	return set_propagation("/w/a", op->arg);
}

static int do_umount(const struct op *op)
{
	return sys_umount("/w/a", op->arg);
}

static int do_expire(const struct op *op)
{
	(void)op;
	return sys_umount("/w/a", MNT_EXPIRE) == -EAGAIN ?
		sys_umount("/w/a", MNT_EXPIRE) : -EPROTO;
}

static const struct op ops[] = {
	/* Mounts that come. */
	{ "mount", nothing, mount_a, .expect = { { NEW, SUB, "/w/a" } } },
	{ "mount at the directory", nothing, cover, .expect = { { NEW, 0, "/w" } } },
	{ "mount outside", nothing, mount_outside, .outside = true },
	{ "fsmount", nothing, do_fsmount, .expect = { { NEW, SUB, "/w/a" } } },
	{ "fsmount with attributes", nothing, do_fsmount, .expect = { { NEW, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME },
	{ "open_tree", tree_outside, clone_one, .expect = { { NEW, SUB, "/w/a" } } },
	{ "open_tree recursive", tree_outside, clone_tree,
	  .expect = { { NEW, SUB, "/w/a" }, { NEW, SUB | REC, "/w/a/x" } } },
	{ "bind", tree_outside, bind_one, .expect = { { NEW, SUB, "/w/a" } } },
	{ "rbind", tree_outside, bind_tree,
	  .expect = { { NEW, SUB, "/w/a" }, { NEW, SUB | REC, "/w/a/x" } } },

	/* Mounts that move. */
	{ "move", tree_a, do_move, .from = "/w/a", .to = "/w/b",
	  .expect = { { MOVE_TO, SUB, "/w/b" } } },
	{ "move_mount", tree_a, do_move_mount, .from = "/w/a", .to = "/w/b",
	  .expect = { { MOVE_TO, SUB, "/w/b" } } },
	{ "move deeper", mount_a_and_b_p, do_move, .from = "/w/a", .to = "/w/b/p",
	  .expect = { { MOVE_TO, SUB, "/w/b/p" } } },
	{ "move out", tree_a, do_move, .from = "/w/a", .to = "/o/b",
	  .expect = { { MOVE_FROM, SUB, "/w/a" }, { MOVE_FROM, SUB | REC, "/w/a/x" } } },
	{ "move_mount out", tree_a, do_move_mount, .from = "/w/a", .to = "/o/b",
	  .expect = { { MOVE_FROM, SUB, "/w/a" }, { MOVE_FROM, SUB | REC, "/w/a/x" } } },
	{ "move in", tree_outside, do_move, .from = "/o/a", .to = "/w/b",
	  .expect = { { MOVE_TO, SUB, "/w/b" }, { MOVE_TO, SUB | REC, "/w/b/x" } } },
	{ "move_mount in", tree_outside, do_move_mount, .from = "/o/a", .to = "/w/b",
	  .expect = { { MOVE_TO, SUB, "/w/b" }, { MOVE_TO, SUB | REC, "/w/b/x" } } },
	{ "move to the directory", tree_outside, do_move, .from = "/o/a", .to = "/w",
	  .expect = { { MOVE_TO, 0, "/w" }, { MOVE_TO, SUB | REC, "/w/x" } } },
	{ "move from the directory", cover, do_move, .from = "/w", .to = "/o/b",
	  .expect = { { MOVE_FROM, 0, "/w" } } },
	{ "move outside", tree_outside, do_move, .from = "/o/a", .to = "/o/b",
	  .outside = true },
	{ "mount beneath", mount_a, beneath,
	  .expect = { { NEW, SUB, "^/w/a" }, { MOVE_TO, SUB, "/w/a" } } },
	{ "mount beneath at the directory", cover, beneath_cover,
	  .expect = { { NEW, 0, "^/w" }, { MOVE_TO, SUB, "/w" } } },
	{ "move beneath", mount_a_and_b, b_beneath_a,
	  .expect = { { MOVE_TO, SUB, "^/w/a" }, { MOVE_TO, SUB, "/w/a" } } },

	/* Mounts that go. */
	{ "umount", mount_a, do_umount, .expect = { { UNMOUNT, SUB, "/w/a" } } },
	{ "umount forced", mount_a, do_umount, .expect = { { UNMOUNT, SUB, "/w/a" } },
	  .arg = MNT_FORCE },
	{ "umount lazily", tree_a, do_umount,
	  .expect = { { UNMOUNT, SUB, "/w/a" }, { UNMOUNT, SUB | REC, "/w/a/x" } },
	  .arg = MNT_DETACH },
	{ "umount expired", mount_a, do_expire, .expect = { { EXPIRY, SUB, "/w/a" } } },

	/* Attributes, by each call. */
	{ "setattr ro", mount_a, do_setattr, .expect = { { READONLY, SUB | RO, "/w/a" } },
	  .arg = MOUNT_ATTR_RDONLY },
	{ "setattr nosuid", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NOSUID },
	{ "setattr nodev", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NODEV },
	{ "setattr noexec", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NOEXEC },
	{ "setattr nodiratime", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NODIRATIME },
	{ "setattr nosymfollow", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NOSYMFOLLOW },
	{ "setattr noatime", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NOATIME, .arg2 = MOUNT_ATTR__ATIME },
	{ "setattr strictatime", mount_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_STRICTATIME, .arg2 = MOUNT_ATTR__ATIME },
	{ "setattr ro and nosuid", mount_a, do_setattr,
	  .expect = { { READONLY, SUB | RO, "/w/a" }, { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID },
	{ "setattr rw", set_first, do_clearattr, .expect = { { READONLY, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_RDONLY },
	{ "setattr suid and dev", set_first, do_clearattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV },
	{ "setattr what there is", set_first, do_setattr,
	  .arg = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC },
	{ "setattr recursive", tree_a, do_setattr_rec,
	  .expect = { { READONLY, SUB | RO, "/w/a" }, { READONLY, SUB | RO | REC, "/w/a/x" } },
	  .arg = MOUNT_ATTR_RDONLY },
	{ "setattr recursive, both", tree_a, do_setattr_rec,
	  .expect = { { READONLY, SUB | RO, "/w/a" }, { READONLY, SUB | RO | REC, "/w/a/x" },
	    { SETATTR, SUB, "/w/a" }, { SETATTR, SUB | REC, "/w/a/x" } },
	  .arg = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC },
	{ "setattr recursive, one has it", set_first_below, do_setattr_rec,
	  .expect = { { SETATTR, SUB, "/w/a" } }, .arg = MOUNT_ATTR_NODEV },
	{ "setattr of the top only", tree_a, do_setattr, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MOUNT_ATTR_NODEV },
	{ "remount,bind,ro", mount_a, do_remount, .expect = { { READONLY, SUB | RO, "/w/a" } },
	  .arg = MS_RDONLY },
	{ "remount,bind,nosuid", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_NOSUID },
	{ "remount,bind,nodev", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_NODEV },
	{ "remount,bind,noexec", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_NOEXEC },
	{ "remount,bind,noatime", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_NOATIME },
	{ "remount,bind,nodiratime", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_NODIRATIME },
	{ "remount,bind,strictatime", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_STRICTATIME },
	{ "remount,bind,nosymfollow", mount_a, do_remount, .expect = { { SETATTR, SUB, "/w/a" } },
	  .arg = MS_NOSYMFOLLOW },
	{ "remount,bind,ro,noexec", mount_a, do_remount,
	  .expect = { { READONLY, SUB | RO, "/w/a" }, { SETATTR, SUB, "/w/a" } },
	  .arg = MS_RDONLY | MS_NOEXEC },
	{ "remount,bind,ro and rw", mount_a, remount_rw,
	  .expect = { { READONLY, SUB | RO, "/w/a" }, { READONLY, SUB, "/w/a" } } },
	{ "remount,bind of what there is", mount_a, do_remount, .arg = 0 },
	{ "remount,ro", mount_a, do_remount_all, .expect = { { READONLY, SUB | RO, "/w/a" } },
	  .arg = MS_RDONLY },
	{ "remount of what there is", mount_a, do_remount_all, .arg = 0 },
	{ "a superblock that becomes read-only", mount_a, make_sb_ro, .arg = 0 },

	/* Propagation. */
	{ "shared", mount_a, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_SHARED },
	{ "shared again", shared_a, do_propagation, .arg = MS_SHARED },
	{ "private", shared_a, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_PRIVATE },
	{ "private again", mount_a, do_propagation, .arg = MS_PRIVATE },
	{ "unbindable", mount_a, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_UNBINDABLE },
	{ "bindable", unbindable_a, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_PRIVATE },
	{ "slave", peer, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_SLAVE },
	{ "slave of nobody", mount_a, do_propagation, .arg = MS_SLAVE },
	{ "shared slave", slave, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_SHARED },
	{ "slave again", shared_slave, do_propagation, .expect = { { PROPAGATION, SUB, "/w/a" } },
	  .arg = MS_SLAVE },
	{ "shared recursively", tree_a, do_propagation,
	  .expect = { { PROPAGATION, SUB, "/w/a" }, { PROPAGATION, SUB | REC, "/w/a/x" } },
	  .arg = MS_SHARED | MS_REC },
	{ "private recursively", shared_tree_a, do_propagation,
	  .expect = { { PROPAGATION, SUB, "/w/a" }, { PROPAGATION, SUB | REC, "/w/a/x" } },
	  .arg = MS_PRIVATE | MS_REC },
	{ "set group", peer_made_private, set_group, .expect = { { PROPAGATION, SUB, "/w/a" } } },
	{ "master unmounted", slave, umount_master,
	  .expect = { { PROPAGATION, SUB | PROP, "/w/a" } },
	  .outside = true },
	{ "master made private", slave, privatize_master,
	  .expect = { { PROPAGATION, SUB | PROP, "/w/a" } } },
	{ "master of a shared slave unmounted", shared_slave, umount_master,
	  .expect = { { PROPAGATION, SUB | PROP, "/w/a" } } },
	{ "peer unmounted", peer, umount_master, .outside = true },
	{ "move to a shared place", shared_place, do_move, .from = "/o/a", .to = "/w/a/p",
	  .expect = { { MOVE_TO, SUB, "/w/a/p" }, { MOVE_TO, SUB | REC, "/w/a/p/x" },
	    { PROPAGATION, SUB, "/w/a/p" }, { PROPAGATION, SUB | REC, "/w/a/p/x" } } },
	{ "move within to a shared place", shared_place_own_tree, do_move,
	  .from = "/w/b", .to = "/w/a/p",
	  .expect = { { MOVE_TO, SUB, "/w/a/p" }, { PROPAGATION, SUB, "/w/a/p" },
	    { PROPAGATION, SUB | REC, "/w/a/p/x" } } },
	{ "mount at a shared place", shared_place, mount_at_peer,
	  .expect = { { NEW, SUB, "/w/a/p" } } },

	/* Copies. */
	{ "copy for a peer", peer, mount_at_master, .expect = { { NEW, SUB | PROP, "/w/a/p" } } },
	{ "copy for a slave", slave, mount_at_master, .expect = { { NEW, SUB | PROP, "/w/a/p" } } },
	{ "both peers", peers, mount_at_peer,
	  .expect = { { NEW, SUB, "/w/a/p" }, { NEW, SUB | PROP, "/w/b/p" } } },
	{ "copy of a tree", peer, tree_at_master,
	  .expect = { { NEW, SUB | PROP, "/w/a/p" }, { NEW, SUB | PROP | REC, "/w/a/p/x" } } },
	{ "copy goes from a peer", peer_and_mount, umount_at_master,
	  .expect = { { UNMOUNT, SUB | PROP, "/w/a/p" } } },
	{ "copy goes from a slave", slave_and_mount, umount_at_master,
	  .expect = { { UNMOUNT, SUB | PROP, "/w/a/p" } } },
	{ "copy tucked under a mount", slave_with_own, mount_at_master,
	  .expect = { { NEW, SUB | PROP, "^/w/a/p" }, { MOVE_TO, SUB | PROP, "/w/a/p" } } },
	{ "copy goes from under a mount", slave_with_tucked, umount_at_master,
	  .expect = { { UNMOUNT, SUB | PROP, "^/w/a/p" }, { MOVE_TO, SUB | PROP, "/w/a/p" } } },
	{ "mount not passed on by a slave", slave, mount_at_peer,
	  .expect = { { NEW, SUB, "/w/a/p" } } },

	/* What happens in a second namespace. */
	{ "mount elsewhere", share_all, mount_a, .expect = { { NEW, SUB | PROP, "/w/a" } },
	  .elsewhere = true },
	{ "mount at the directory elsewhere", share_all, cover,
	  .expect = { { NEW, PROP, "/w" } }, .elsewhere = true },
	{ "umount elsewhere", share_all_with_tree, detach_elsewhere,
	  .expect = { { UNMOUNT, SUB | PROP, "/w/a" }, { UNMOUNT, SUB | PROP | REC, "/w/a/x" } },
	  .elsewhere = true },
	{ "private mount elsewhere", nothing, mount_a, .elsewhere = true },
	{ "private umount elsewhere", tree_a, detach_elsewhere, .elsewhere = true },
	{ "remount elsewhere", share_all_with_tree, do_remount, .arg = MS_NOEXEC,
	  .elsewhere = true },
	{ "propagation elsewhere", share_all_with_tree, do_propagation,
	  .arg = MS_PRIVATE | MS_REC, .elsewhere = true },
	{ "rmdir elsewhere", tree_a, umount_and_rmdir,
	  .expect = { { UNMOUNT, SUB, "/w/a" }, { UNMOUNT, SUB | REC, "/w/a/x" } },
	  .elsewhere = true },
	{ "rename over elsewhere", mount_a, umount_and_rename_over,
	  .expect = { { UNMOUNT, SUB, "/w/a" } }, .elsewhere = true },
};

/* The mount that the table means by @where: the one on top, or the one beneath that. */
static uint64_t id_at(const struct listing *l, const char *where)
{
	const bool lower = where[0] == '^';
	const struct mnt *mnt, *other;

	for (mnt = l->mnts; mnt < l->mnts + l->nr; mnt++) {
		if (strcmp(mnt->point, where + lower))
			continue;
		for (other = l->mnts; other < l->mnts + l->nr; other++)
			if (other->parent == mnt->id && !strcmp(other->point, mnt->point))
				break;
		if (other == l->mnts + l->nr)
			return lower ? mnt->parent : mnt->id;
	}
	return 0;
}

static bool leaves(unsigned int subtype)
{
	return subtype == UNMOUNT || subtype == EXPIRY || subtype == MOVE_FROM;
}

static struct world {
	struct listing before, after;
	struct model model;
} world;

static void check_expected(struct __test_metadata *_metadata, const struct op *op)
{
	bool seen[MAX_RECORDS] = { 0 }, missing = false;
	const struct mount_notification *rec;
	struct model *m = &world.model;
	unsigned int i, j;
	uint64_t id;

	for (i = 0; i < ARRAY_SIZE(op->expect) && op->expect[i].where; i++) {
		id = id_at(leaves(op->expect[i].subtype) ? &world.before : &world.after,
			   op->expect[i].where);
		for (j = 0; j < m->nr_records; j++) {
			rec = &m->records[j];
			if (!seen[j] && rec->mnt_id == id &&
			    rec->watch.subtype == op->expect[i].subtype &&
			    (rec->watch.info & WATCH_INFO_TYPE_INFO) == op->expect[i].flags)
				break;
		}
		if (j < m->nr_records) {
			seen[j] = true;
			continue;
		}
		TH_LOG("no record %u %#x of %s", op->expect[i].subtype,
		       op->expect[i].flags, op->expect[i].where);
		missing = true;
	}
	EXPECT_TRUE(!missing && m->nr_records == i) {
		TH_LOG("%s", op->name);
		model_print(m, &world.after);
	}
}

/* Run one operation, with a watch or without; returns how much the counter grew. */
static void run_op(struct __test_metadata *_metadata, const struct op *op,
		   struct _test_data_mount *self,
		   const struct _fixture_variant_mount *variant,
		   bool watched, uint64_t *grew)
{
	struct queue *q = &self->queue;
	struct model *m = &world.model;
	const char *wrong = NULL;
	uint64_t before, after, id;
	int first = -1;

	queue_close(q);
	ASSERT_EQ(0, sys_setns(self->home, CLONE_NEWNS));
	ASSERT_EQ(0, queue_open(q, variant->kind, variant->size));
	ASSERT_EQ(0, build_world(variant->at_root));
	/* An operation may cover what is to be watched, so that path is taken first. */
	memset(m, 0, sizeof(*m));
	m->mount = mount_id("/w");
	m->dir = variant->at_root ? NULL : "/w";
	m->tag = TAG;
	if (watched)
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, op->prepare(op)) {
		TH_LOG("%s", op->name);
	}

	if (op->elsewhere) {
		first = ns_fd(self->proc);
		ASSERT_LE(0, first);
	}
	/* Whatever the preparations caused is not what is looked at. */
	ASSERT_EQ(0, list_mounts(&world.before, 0));
	model_start(m, &world.before);
	if (watched) {
		union record rec;

		while (queue_next(q, &rec, 0) > 0)
			;
	}
	id = mount_id("/");
	ASSERT_EQ(0, count_changes(id, 0, &before));

	if (op->elsewhere)
		ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, op->run(op)) {
		TH_LOG("%s", op->name);
	}
	if (op->elsewhere) {
		ASSERT_EQ(0, sys_setns(first, CLONE_NEWNS));
		close(first);
	}

	ASSERT_EQ(0, count_changes(id, 0, &after));
	*grew = after - before;
	if (!watched)
		return;
	ASSERT_EQ(0, list_mounts(&world.after, 0));
	wrong = model_read(m, q) ?: model_compare(m, &world.after);
	if (wrong)
		model_print(m, &world.after);
	ASSERT_EQ(NULL, wrong) {
		TH_LOG("%s: %s", op->name, wrong);
	}
	EXPECT_FALSE(m->removed);
	EXPECT_FALSE(m->lost);
	check_expected(_metadata, op);
}

TEST_F_TIMEOUT(mount, operations, 120)
{
	uint64_t watched, unwatched;
	const struct op *op;
	bool changes;

	for (op = ops; op < ops + ARRAY_SIZE(ops); op++) {
		run_op(_metadata, op, self, variant, true, &watched);
		run_op(_metadata, op, self, variant, false, &unwatched);
		/*
		 * A change counts, watched or not, but not in other namespaces.
		 * What leaves all as it was may count as well.
		 */
		EXPECT_EQ(watched, unwatched) {
			TH_LOG("%s", op->name);
		}
		changes = op->outside || op->expect[0].where;
		if (changes || op->elsewhere) {
			EXPECT_EQ(changes, watched != 0) {
				TH_LOG("%s", op->name);
			}
		}
	}
}

TEST_HARNESS_MAIN
