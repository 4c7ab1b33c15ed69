// SPDX-License-Identifier: GPL-2.0
/* Mount events and watches, the same over both kinds of queue. */

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/auto_fs.h>
#include <linux/sched.h>

#include "expect.h"
#include "mounts.h"

#define TAG		0x5a
#define SOME_UID	54321

#define SUB		NOTIFY_MOUNT_IN_SUBTREE
#define REC		NOTIFY_MOUNT_RECURSIVE
#define RO		NOTIFY_MOUNT_IS_NOW_RO
#define PROP		NOTIFY_MOUNT_PROPAGATED
#define AUTO		NOTIFY_MOUNT_IS_SUBMOUNT

#define NEW		NOTIFY_MOUNT_NEW_MOUNT
#define UNMOUNT		NOTIFY_MOUNT_UNMOUNT
#define EXPIRY		NOTIFY_MOUNT_EXPIRY
#define READONLY	NOTIFY_MOUNT_READONLY
#define SETATTR		NOTIFY_MOUNT_SETATTR
#define MOVE_FROM	NOTIFY_MOUNT_MOVE_FROM
#define MOVE_TO		NOTIFY_MOUNT_MOVE_TO
#define PROPAGATION	NOTIFY_MOUNT_PROPAGATION

FIXTURE(mount)
{
	int home;		/* The namespace that the test came from */
	int proc;		/* Its /proc */
	struct queue queue;
};

/*
 * What is watched is always "/w": a directory of the filesystem at the root, or
 * the root directory of a mount.
 */
FIXTURE_VARIANT(mount)
{
	enum queue_kind kind;
	unsigned int size;
	bool at_root;
};

FIXTURE_VARIANT_ADD(mount, pipe_dir)
{
	.kind = QUEUE_PIPE,
	.size = 128,
};

FIXTURE_VARIANT_ADD(mount, pipe_root)
{
	.kind = QUEUE_PIPE,
	.size = 128,
	.at_root = true,
};

FIXTURE_VARIANT_ADD(mount, device_dir)
{
	.kind = QUEUE_DEVICE,
	.size = 4,
};

FIXTURE_VARIANT_ADD(mount, device_root)
{
	.kind = QUEUE_DEVICE,
	.size = 4,
	.at_root = true,
};

static int mount_tmpfs(const char *path)
{
	return sys_mount("watch_queue", path, "tmpfs", 0, NULL);
}

static int bind(const char *from, const char *to, unsigned long flags)
{
	return sys_mount(from, to, NULL, MS_BIND | flags, NULL);
}

/*
 * A namespace of nothing but a private tmpfs with "/w" to watch, which has the
 * directories a, b and c, and "/o", which has them too.
 */
static int build_world(bool at_root)
{
	static const char * const dirs[] = {
		"/w/a", "/w/b", "/w/c", "/o", "/o/a", "/o/b", "/o/c",
	};
	unsigned int i;
	int ret;

	ret = enter_empty_mntns();
	if (!ret)
		ret = mkdir("/w", 0755) ? -errno : 0;
	if (!ret && at_root)
		ret = mount_tmpfs("/w");
	for (i = 0; i < ARRAY_SIZE(dirs) && !ret; i++)
		ret = mkdir(dirs[i], 0755) ? -errno : 0;
	return ret;
}

FIXTURE_SETUP(mount)
{
	int ret;

	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &self->queue, variant->kind, variant->size))
		return;

	ret = mount_notify(AT_FDCWD, "/", 0, self->queue.fd, -1);
	if (ret == -ENOSYS)
		SKIP(return, "no CONFIG_MOUNT_NOTIFICATIONS");
	ASSERT_EQ(-EBADSLT, ret);

	self->home = sys_open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->home);
	self->proc = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->proc);
	ASSERT_EQ(0, build_world(variant->at_root));
}

FIXTURE_TEARDOWN(mount)
{
	queue_close(&self->queue);
}

static int ns_fd(int proc)
{
	int fd = syscall(__NR_openat, proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void expect_event(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int subtype, unsigned int flags, uint64_t id)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
	ASSERT_EQ(sizeof(rec.mount), rec_len(&rec));
	ASSERT_EQ(TAG, rec_tag(&rec));
	ASSERT_EQ(subtype, rec_subtype(&rec));
	ASSERT_EQ(flags, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(id, rec.mount.mnt_id);
}

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

static int tree_at(const char *dir)
{
	char path[32];
	int ret;

	ret = mount_tmpfs(dir);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/x", dir);
	mkdir(path, 0755);
	return mount_tmpfs(path);
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
static int attach(int fd, const char *to, unsigned int flags)
{
	int ret;

	if (fd < 0)
		return fd;
	ret = sys_move_mount(fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH | flags);
	close(fd);
	return ret;
}

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

static int move(const char *from, const char *to)
{
	return sys_mount(from, to, NULL, MS_MOVE, NULL);
}

static int move_within(const struct op *op)
{
	(void)op;
	return move("/w/a", "/w/b");
}

static int move_mount_within(const struct op *op)
{
	(void)op;
	return sys_move_mount(AT_FDCWD, "/w/a", AT_FDCWD, "/w/b", 0);
}

static int move_deeper(const struct op *op)
{
	(void)op;
	mkdir("/w/b/p", 0755);
	return move("/w/a", "/w/b/p");
}

static int move_out(const struct op *op)
{
	(void)op;
	return move("/w/a", "/o/b");
}

static int move_mount_out(const struct op *op)
{
	(void)op;
	return sys_move_mount(AT_FDCWD, "/w/a", AT_FDCWD, "/o/b", 0);
}

static int move_in(const struct op *op)
{
	(void)op;
	return move("/o/a", "/w/b");
}

static int move_mount_in(const struct op *op)
{
	(void)op;
	return sys_move_mount(AT_FDCWD, "/o/a", AT_FDCWD, "/w/b", 0);
}

static int move_over(const struct op *op)
{
	(void)op;
	return move("/o/a", "/w");
}

static int move_cover_out(const struct op *op)
{
	(void)op;
	return move("/w", "/o/b");
}

static int move_outside(const struct op *op)
{
	(void)op;
	return move("/o/a", "/o/b");
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
static int reconfigure(const struct op *op)
{
	int fd, ret;

	(void)op;
	fd = syscall(__NR_fspick, AT_FDCWD, "/w/a", FSPICK_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sys_fsconfig(fd, FSCONFIG_SET_FLAG, "ro", NULL) ?:
		sys_fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL);
	close(fd);
	return ret;
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

static int move_to_shared(const struct op *op)
{
	(void)op;
	return move("/o/a", "/w/a/p");
}

static int move_own_to_shared(const struct op *op)
{
	(void)op;
	return move("/w/b", "/w/a/p");
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
	{ "move", tree_a, move_within, .expect = { { MOVE_TO, SUB, "/w/b" } } },
	{ "move_mount", tree_a, move_mount_within, .expect = { { MOVE_TO, SUB, "/w/b" } } },
	{ "move deeper", mount_a_and_b, move_deeper, .expect = { { MOVE_TO, SUB, "/w/b/p" } } },
	{ "move out", tree_a, move_out,
	  .expect = { { MOVE_FROM, SUB, "/w/a" }, { MOVE_FROM, SUB | REC, "/w/a/x" } } },
	{ "move_mount out", tree_a, move_mount_out,
	  .expect = { { MOVE_FROM, SUB, "/w/a" }, { MOVE_FROM, SUB | REC, "/w/a/x" } } },
	{ "move in", tree_outside, move_in,
	  .expect = { { MOVE_TO, SUB, "/w/b" }, { MOVE_TO, SUB | REC, "/w/b/x" } } },
	{ "move_mount in", tree_outside, move_mount_in,
	  .expect = { { MOVE_TO, SUB, "/w/b" }, { MOVE_TO, SUB | REC, "/w/b/x" } } },
	{ "move to the directory", tree_outside, move_over,
	  .expect = { { MOVE_TO, 0, "/w" }, { MOVE_TO, SUB | REC, "/w/x" } } },
	{ "move from the directory", cover, move_cover_out, .expect = { { MOVE_FROM, 0, "/w" } } },
	{ "move outside", tree_outside, move_outside, .outside = true },
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
	{ "a superblock that becomes read-only", mount_a, reconfigure, .arg = 0 },

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
	{ "move to a shared place", shared_place, move_to_shared,
	  .expect = { { MOVE_TO, SUB, "/w/a/p" }, { MOVE_TO, SUB | REC, "/w/a/p/x" },
	    { PROPAGATION, SUB, "/w/a/p" }, { PROPAGATION, SUB | REC, "/w/a/p/x" } } },
	{ "move within to a shared place", shared_place_own_tree, move_own_to_shared,
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

/* Run one operation, with a watch or without, and tell how much the counter grew. */
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

/* A watched mount is told of itself, and that it moves, where its root is watched. */
TEST_F(mount, the_mount_itself)
{
	struct queue *q = &self->queue;
	const uint64_t id = mount_id("/w");
	union record rec;

	if (!variant->at_root)
		SKIP(return, "only for the root of a mount");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));

	ASSERT_EQ(0, set_attr("/w", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(0, rec.watch.info & (SUB | REC | PROP));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, rec.mount.mnt_attr);
	expect_nothing(_metadata, q);

	ASSERT_EQ(0, set_propagation("/w", MS_SHARED));
	expect_event(_metadata, q, PROPAGATION, 0, id);
	ASSERT_EQ(0, set_propagation("/w", MS_PRIVATE));
	expect_event(_metadata, q, PROPAGATION, 0, id);

	ASSERT_EQ(0, move("/w", "/o/a"));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(MOVE_TO, rec_subtype(&rec));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	EXPECT_EQ(mount_id("/"), rec.mount.mnt_parent_id);
	EXPECT_EQ(0, rec.mount.mnt_parent_id_old);

	/* Beneath it, which is not below it. */
	ASSERT_EQ(0, attach(tmpfs_fd(0), "/o/a", MOVE_MOUNT_BENEATH));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(MOVE_TO, rec_subtype(&rec));
	EXPECT_EQ(id, rec.mount.mnt_id);
	EXPECT_EQ(0, rec.mount.mnt_parent_id_old);
	EXPECT_NE(mount_id("/"), rec.mount.mnt_parent_id);
	expect_nothing(_metadata, q);

	/* It is still watched there. */
	ASSERT_EQ(0, mount_tmpfs("/o/a/a"));
	expect_event(_metadata, q, NEW, SUB, mount_id("/o/a/a"));
	expect_nothing(_metadata, q);
}

/* Attributes of the mount that a watched directory is in are not below it. */
TEST_F(mount, the_mount_around)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	ASSERT_EQ(0, set_attr("/", 0, MOUNT_ATTR_NODEV, 0));
	ASSERT_EQ(0, set_propagation("/", MS_SHARED));
	if (variant->at_root) {
		ASSERT_EQ(0, set_attr("/w", 0, MOUNT_ATTR_NODEV, 0));
		ASSERT_EQ(0, set_propagation("/w", MS_SHARED));
	}
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	expect_event(_metadata, q, NEW, 0, mount_id("/w/a"));
	expect_nothing(_metadata, q);
}

/* debugfs mounts tracefs on one of its directories if somebody goes there. */
TEST_F(mount, automount)
{
	struct queue *q = &self->queue;
	struct stat st;
	uint64_t id;

	if (sys_mount("watch_queue", "/w/a", "debugfs", 0, NULL) == -ENODEV)
		SKIP(return, "no debugfs");
	if (lstat("/w/a/tracing", &st) < 0)
		SKIP(return, "no automount of tracefs");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, stat("/w/a/tracing/.", &st));
	id = mount_id("/w/a/tracing");
	ASSERT_NE(mount_id("/w/a"), id);
	expect_event(_metadata, q, NEW, SUB | AUTO, id);
	expect_nothing(_metadata, q);

	/* Each time, and on that directory only. */
	ASSERT_EQ(0, sys_umount("/w/a/tracing", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, id);
	ASSERT_EQ(0, stat("/w/a/tracing/.", &st));
	id = mount_id("/w/a/tracing");
	expect_event(_metadata, q, NEW, SUB | AUTO, id);
	ASSERT_EQ(0, bind("/w/a/tracing", "/w/b", 0));
	expect_event(_metadata, q, NEW, SUB, mount_id("/w/b"));
	expect_nothing(_metadata, q);
}

/* The directory can be watched itself, also while nothing can be looked up there. */
TEST_F(mount, automount_point)
{
	struct queue *q = &self->queue;
	struct stat st;

	if (sys_mount("watch_queue", "/w/a", "debugfs", 0, NULL) == -ENODEV)
		SKIP(return, "no debugfs");
	if (lstat("/w/a/tracing", &st) < 0)
		SKIP(return, "no automount of tracefs");
	EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w/a/tracing", 0, q->fd, -1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tracing", AT_NO_AUTOMOUNT, q->fd, TAG));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, stat("/w/a/tracing/.", &st));
	expect_event(_metadata, q, NEW, AUTO, mount_id("/w/a/tracing"));
	expect_nothing(_metadata, q);
}

/* Say of each expiry that it is done, until the mount goes. */
static void expire_autofs(int requests, int root)
{
	union autofs_v5_packet_union packet;

	while (read(requests, &packet, sizeof(packet.expire_indirect)) > 0)
		if (packet.hdr.type == autofs_ptype_expire_indirect)
			ioctl(root, AUTOFS_IOC_READY,
			      packet.expire_indirect.wait_queue_token);
	_exit(0);
}

static int expire_now(int root)
{
	int how = AUTOFS_EXP_IMMEDIATE;

	return ioctl(root, AUTOFS_IOC_EXPIRE_MULTI, &how) ? -errno : 0;
}

/* A watch on directories of autofs does not keep them from being seen as unused. */
TEST_F(mount, autofs_expiry)
{
	struct queue *q = &self->queue;
	int requests[2], root, dir, ret;
	char options[80];
	pid_t pid;

	/* We are the daemon, and so is the child. */
	ASSERT_EQ(0, setpgid(0, 0));
	ASSERT_EQ(0, sys_pipe(requests, O_CLOEXEC));
	snprintf(options, sizeof(options),
		 "fd=%d,pgrp=%d,minproto=5,maxproto=5,indirect", requests[1], getpid());
	ret = sys_mount("none", "/w/a", "autofs", 0, options);
	if (ret == -ENODEV)
		SKIP(return, "no autofs");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, mkdir("/w/a/tree", 0755));
	ASSERT_EQ(0, mkdir("/w/a/tree/leaf", 0755));
	root = sys_open("/w/a", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, root);
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		expire_autofs(requests[0], root);
	}

	/* Who is in there keeps it busy. */
	dir = sys_open("/w/a/tree/leaf", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EAGAIN, expire_now(root));
	close(dir);
	EXPECT_EQ(0, expire_now(root));

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tree", 0, q->fd, TAG));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tree/leaf", 0, q->fd, TAG + 1));
	EXPECT_EQ(0, expire_now(root));
	dir = sys_open("/w/a/tree/leaf", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EAGAIN, expire_now(root));
	close(dir);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/tree/leaf", 0, q->fd, -1));
	EXPECT_EQ(0, expire_now(root));

	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &ret, 0));
	close(root);
}

TEST_F(mount, pivot_root)
{
	struct queue *q = &self->queue;
	const uint64_t old_root = mount_id("/");
	const char *wrong;
	uint64_t new_root;

	ASSERT_EQ(0, mount_tmpfs("/o/a"));
	ASSERT_EQ(0, mkdir("/o/a/old", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	new_root = mount_id("/o/a");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, variant->at_root ? "/o/a" : "/o/a/old",
				  0, q->fd, TAG));
	memset(&world.model, 0, sizeof(world.model));
	world.model.mount = new_root;
	world.model.tag = TAG;
	world.model.dir = variant->at_root ? NULL : "/old";
	ASSERT_EQ(0, list_mounts(&world.before, 0));
	/* Nothing is below it yet but, if that is watched, it itself. */
	model_start(&world.model, &world.before);
	ASSERT_EQ(variant->at_root, world.model.nr);

	ASSERT_EQ(0, sys_pivot_root("/o/a", "/o/a/old"));
	ASSERT_EQ(0, chdir("/"));
	ASSERT_EQ(new_root, mount_id("/"));
	ASSERT_EQ(old_root, mount_id("/old"));
	ASSERT_EQ(0, list_mounts(&world.after, 0));
	wrong = model_read(&world.model, q) ?: model_compare(&world.model, &world.after);
	if (wrong)
		model_print(&world.model, &world.after);
	ASSERT_EQ(NULL, wrong) {
		TH_LOG("%s", wrong);
	}
	/* The old root and all below it came; the new one moved. */
	EXPECT_EQ(variant->at_root ? 4 : 2, world.model.nr_records);
}

/*
 * Directories that are renamed take the mounts below them along.  That is told if
 * they go out of what is watched or into it, and then also of what is below.
 */
TEST_F(mount, rename)
{
	struct queue *q = &self->queue;
	const bool out = !variant->at_root;
	const char *to = out ? "/o/moved" : "/w/moved";
	uint64_t id, deep, ns, before, changes;

	ASSERT_EQ(0, mkdir("/w/a/m", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	ASSERT_EQ(0, mkdir("/w/a/m/n", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/m/n"));
	id = mount_id("/w/a/m");
	deep = mount_id("/w/a/m/n");
	ns = mntns_id(id);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, count_changes(id, ns, &before));

	ASSERT_EQ(0, sys_rename("/w/a", to, 0));
	ASSERT_EQ(0, count_changes(id, ns, &changes));
	EXPECT_EQ(out, changes > before);
	if (out) {
		expect_event(_metadata, q, MOVE_FROM, SUB, id);
		expect_event(_metadata, q, MOVE_FROM, SUB | REC, deep);
	}
	expect_nothing(_metadata, q);
	/* It is not below the watch any more, if it went out. */
	ASSERT_EQ(0, sys_umount(out ? "/o/moved/m/n" : "/w/moved/m/n", 0));
	if (!out)
		expect_event(_metadata, q, UNMOUNT, SUB, deep);
	expect_nothing(_metadata, q);

	/* And back again, with another one. */
	ASSERT_EQ(0, mount_tmpfs(out ? "/o/moved/m" : "/w/moved/m"));
	deep = mount_id(out ? "/o/moved/m" : "/w/moved/m");
	if (!out)
		expect_event(_metadata, q, NEW, SUB, deep);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_rename(to, "/w/a", 0));
	if (out) {
		expect_event(_metadata, q, MOVE_TO, SUB, id);
		expect_event(_metadata, q, MOVE_TO, SUB | REC, deep);
	}
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("/w/a/m", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, deep);
	expect_nothing(_metadata, q);
}

/* Each watch sees what of a rename concerns it. */
TEST_F(mount, rename_between_watches)
{
	struct queue *q = &self->queue;
	unsigned int i, nr_from = 0;
	uint64_t a, b, before, changes;
	union record rec;
	bool from;

	ASSERT_EQ(0, mkdir("/w/a/x", 0755));
	ASSERT_EQ(0, mkdir("/w/a/x/m", 0755));
	ASSERT_EQ(0, mkdir("/w/b/y", 0755));
	ASSERT_EQ(0, mkdir("/w/b/y/m", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/a/x/m"));
	ASSERT_EQ(0, mount_tmpfs("/w/b/y/m"));
	a = mount_id("/w/a/x/m");
	b = mount_id("/w/b/y/m");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	expect_nothing(_metadata, q);

	/* One comes as the other goes. */
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/b/y", RENAME_EXCHANGE));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, queue_next(q, &rec, 0));
		from = rec_subtype(&rec) == MOVE_FROM;
		EXPECT_EQ(from ? MOVE_FROM : MOVE_TO, rec_subtype(&rec));
		EXPECT_EQ(from ? a : b, rec.mount.mnt_id);
		EXPECT_EQ(SUB, rec.watch.info & WATCH_INFO_TYPE_INFO);
		EXPECT_EQ(mount_id("/w/a"), rec.mount.mnt_parent_id);
		EXPECT_EQ(0, rec.mount.mnt_parent_id_old);
		nr_from += from;
	}
	EXPECT_EQ(1, nr_from);
	expect_nothing(_metadata, q);
	ASSERT_EQ(b, mount_id("/w/a/x/m"));

	/* Within the directory, and over an empty one outside. */
	ASSERT_EQ(0, mkdir("/w/a/z", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/x", "/w/a/z/x", 0));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mkdir("/w/c/empty", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/z/x", "/w/c/empty", 0));
	expect_event(_metadata, q, MOVE_FROM, SUB, b);
	/* What nobody watches on either side, and what nothing is mounted below. */
	ASSERT_EQ(0, sys_rename("/w/c/empty", "/w/b/x", 0));
	ASSERT_EQ(0, sys_rename("/w/a/z", "/w/c/z", 0));
	expect_nothing(_metadata, q);

	/* An exchange with a file. */
	ASSERT_EQ(0, mknod("/w/a/file", S_IFREG | 0600, 0));
	ASSERT_EQ(0, sys_rename("/w/a/file", "/w/b/x", RENAME_EXCHANGE));
	expect_event(_metadata, q, MOVE_TO, SUB, b);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, sys_umount("/w/a/file/m", 0));
	expect_event(_metadata, q, UNMOUNT, SUB, b);
	ASSERT_EQ(a, mount_id("/w/b/y/m"));
	expect_nothing(_metadata, q);

	/* With the watch goes the interest. */
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, TAG + 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
	ASSERT_EQ(0, count_changes(a, mntns_id(a), &before));
	ASSERT_EQ(0, sys_rename("/w/b/y", "/w/b/z", 0));
	ASSERT_EQ(0, mkdir("/w/a/deep", 0755));
	ASSERT_EQ(0, sys_rename("/w/a/deep", "/w/c/deep", 0));
	ASSERT_EQ(0, count_changes(a, mntns_id(a), &changes));
	EXPECT_EQ(before, changes);
	expect_nothing(_metadata, q);
}

/* What another namespace has mounted on a file or directory goes along as well. */
TEST_F(mount, rename_in_other_namespace)
{
	struct queue *q = &self->queue;
	uint64_t dir, file;
	int here, fd;

	ASSERT_EQ(0, mkdir("/w/a/dir", 0755));
	ASSERT_EQ(0, mknod("/w/a/file", S_IFREG | 0600, 0));
	here = ns_fd(self->proc);
	ASSERT_LE(0, here);
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, bind("/w/c", "/w/a/dir", 0));
	ASSERT_EQ(0, bind("/w/a/file", "/w/a/file", 0));
	dir = mount_id("/w/a/dir");
	file = mount_id("/w/a/file");
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	fd = ns_fd(self->proc);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sys_setns(here, CLONE_NEWNS));

	ASSERT_EQ(0, sys_rename("/w/a/dir", "/w/b/dir", 0));
	expect_event(_metadata, q, MOVE_FROM, SUB, dir);
	ASSERT_EQ(0, sys_rename("/w/a/file", "/w/b/file", 0));
	expect_event(_metadata, q, MOVE_FROM, SUB, file);
	ASSERT_EQ(0, sys_rename("/w/b/dir", "/w/a/dir", 0));
	expect_event(_metadata, q, MOVE_TO, SUB, dir);
	ASSERT_EQ(0, sys_rename("/w/b/file", "/w/a/file", 0));
	expect_event(_metadata, q, MOVE_TO, SUB, file);
	expect_nothing(_metadata, q);
	close(fd);
	close(here);
}

/* The watched directory itself may be renamed. */
TEST_F(mount, rename_watched)
{
	struct queue *q = &self->queue;

	ASSERT_EQ(0, mkdir("/w/b/sub", 0755));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
	ASSERT_EQ(0, sys_rename("/w/a", "/w/b/moved", 0));
	ASSERT_EQ(0, mount_tmpfs("/w/b/moved"));
	expect_event(_metadata, q, NEW, 0, mount_id("/w/b/moved"));
	ASSERT_EQ(0, mount_tmpfs("/w/b/sub"));
	expect_nothing(_metadata, q);
}

/*
 * However often directories above are renamed meanwhile: a change is told once, and
 * to a watch that the mount leaves and enters, only while it is there.
 */
TEST_F(mount, rename_storm)
{
	struct mount_attr attr = { 0 };
	struct queue *q = &self->queue;
	unsigned int seen, nr_moves = 0, last = 0;
	unsigned int *round;
	bool there = true;
	union record rec;
	int fd, i, status;
	uint64_t id;
	pid_t pid;

	ASSERT_EQ(0, mkdir("/w/b/d", 0755));
	ASSERT_EQ(0, mkdir("/w/b/d/e", 0755));
	ASSERT_EQ(0, mount_tmpfs("/w/b/d/e"));
	id = mount_id("/w/b/d/e");
	fd = sys_open("/w/b/d/e", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 1));

	round = mmap(NULL, sizeof(*round), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, round);
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		/* A few in each round, so that there is room for all records. */
		while (last == __atomic_load_n(round, __ATOMIC_RELAXED))
			usleep(10);
		last = __atomic_load_n(round, __ATOMIC_RELAXED);
		for (i = 0; i < 4; i++)
			if (sys_rename("/w/b/d", "/w/c/d", 0) ||
			    sys_rename("/w/c/d", "/w/b/d", 0))
				_exit(1);
	}

	for (i = 0; i < 1000 || nr_moves < 100; i++) {
		__atomic_store_n(round, i + 1, __ATOMIC_RELAXED);
		attr.attr_set = i & 1 ? 0 : MOUNT_ATTR_NODEV;
		attr.attr_clr = i & 1 ? MOUNT_ATTR_NODEV : 0;
		ASSERT_EQ(0, sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr));
		for (seen = 0; queue_next(q, &rec, 0) > 0;) {
			ASSERT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
			ASSERT_EQ(SUB, rec.watch.info & WATCH_INFO_TYPE_INFO);
			ASSERT_EQ(id, rec.mount.mnt_id);
			if (rec_tag(&rec) == TAG) {
				ASSERT_EQ(SETATTR, rec_subtype(&rec));
				seen++;
			} else if (rec_subtype(&rec) == SETATTR) {
				ASSERT_TRUE(there);
			} else {
				ASSERT_EQ(there ? MOVE_FROM : MOVE_TO, rec_subtype(&rec));
				there = !there;
				nr_moves++;
			}
		}
		ASSERT_EQ(1, seen);
	}
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	close(fd);
}

struct filter {
	struct watch_notification_filter head;
	struct watch_notification_type_filter entry;
};

TEST_F(mount, filter)
{
	struct queue *q = &self->queue;
	struct filter f = { 0 };

	f.head.nr_filters = 1;
	f.entry.type = WATCH_TYPE_MOUNT_NOTIFY;
	f.entry.info_mask = NOTIFY_MOUNT_IN_SUBTREE;
	f.entry.subtype_filter[0] = 0xff;
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));

	/* Nothing that is further down. */
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, tree_at("/w/a"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/w"));
	expect_event(_metadata, q, NEW, 0, mount_id("/w"));
	ASSERT_EQ(0, sys_umount("/w", 0));
	ASSERT_EQ(1, queue_next(q, &(union record){ 0 }, 0));
	expect_nothing(_metadata, q);

	/* Only that. */
	f.entry.info_filter = NOTIFY_MOUNT_IN_SUBTREE;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, mount_tmpfs("/w"));
	ASSERT_EQ(0, sys_umount("/w", 0));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	expect_event(_metadata, q, NEW, SUB, mount_id("/w/b"));

	/* By subtype. */
	f.entry.subtype_filter[0] = 1 << READONLY;
	ASSERT_EQ(0, set_filter(q->fd, &f));
	ASSERT_EQ(0, set_attr("/w/b", 0, MOUNT_ATTR_NOEXEC, 0));
	ASSERT_EQ(0, set_attr("/w/b", 0, MOUNT_ATTR_RDONLY, 0));
	expect_event(_metadata, q, READONLY, SUB | RO, mount_id("/w/b"));
	expect_nothing(_metadata, q);
}

/* Watches on several directories, which need not be mount points, and queues. */
TEST_F(mount, several)
{
	struct queue *q = &self->queue, other;
	union record rec;
	unsigned int tags;

	ASSERT_EQ(0, sys_setns(self->home, CLONE_NEWNS));
	ASSERT_EQ(0, queue_open(&other, variant->kind, variant->size));
	ASSERT_EQ(0, build_world(variant->at_root));
	ASSERT_EQ(0, mkdir("/w/a/m", 0755));

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/", 0, q->fd, 0));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 2));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/m", 0, q->fd, 3));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 4));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, other.fd, 255));

	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	for (tags = 0; queue_next(q, &rec, 0) > 0; tags |= 1 << rec_tag(&rec)) {
		ASSERT_EQ(NEW, rec_subtype(&rec));
		EXPECT_EQ(mount_id("/w/a/m"), rec.mount.mnt_id);
		EXPECT_EQ(rec_tag(&rec) != 3, !!(rec.watch.info & SUB));
		EXPECT_EQ(0, tags & (1 << rec_tag(&rec)));
	}
	EXPECT_EQ(0x0f, tags);
	ASSERT_EQ(1, queue_next(&other, &rec, 0));
	EXPECT_EQ(255, rec_tag(&rec));
	expect_nothing(_metadata, &other);

	/* What is below the one and not the other is moved. */
	ASSERT_EQ(0, move("/w/a/m", "/w/b"));
	for (tags = 0; queue_next(q, &rec, 0) > 0; tags |= 1 << rec_tag(&rec)) {
		EXPECT_EQ(0, tags & (1 << rec_tag(&rec)));
		if (rec_tag(&rec) == 2 || rec_tag(&rec) == 3) {
			EXPECT_EQ(MOVE_FROM, rec_subtype(&rec));
		} else {
			EXPECT_EQ(MOVE_TO, rec_subtype(&rec));
			EXPECT_EQ(rec_tag(&rec) == 4 ? 0 : mount_id("/w"),
				  rec.mount.mnt_parent_id_old);
		}
	}
	EXPECT_EQ(0x1f, tags);
	ASSERT_EQ(1, queue_next(&other, &rec, 0));
	EXPECT_EQ(MOVE_FROM, rec_subtype(&rec));
	expect_nothing(_metadata, &other);

	/* One queue goes, the other remains. */
	queue_close(q);
	ASSERT_EQ(0, mount_tmpfs("/w/a/m"));
	ASSERT_EQ(1, queue_next(&other, &rec, 0));
	EXPECT_EQ(NEW, rec_subtype(&rec));
	queue_close(&other);
}

TEST_F(mount, errors)
{
	struct queue *q = &self->queue;
	struct rlimit limit, none;
	char long_path[8192];
	int fds[2], fd, dir;

	/* Identifiers. */
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, q->fd, -2));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, q->fd, 256));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, q->fd, 0x7fffffff));

	/* Flags. */
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 1, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", AT_SYMLINK_FOLLOW, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", AT_RECURSIVE, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0x80000000, q->fd, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 1, -1, 0));

	/* Queues. */
	EXPECT_EQ(-EBADF, mount_notify(AT_FDCWD, "/w", 0, -1, 0));
	EXPECT_EQ(-EBADF, mount_notify(AT_FDCWD, "/w", 0, 1000, 0));
	ASSERT_EQ(0, sys_pipe(fds, 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, fds[0], 0));
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, fds[0], -1));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(-EINVAL, mount_notify(AT_FDCWD, "/w", 0, self->home, 0));
	fd = sys_open("/w", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, mount_notify(AT_FDCWD, "/w", 0, fd, 0));

	/* Paths. */
	EXPECT_EQ(-ENOENT, mount_notify(AT_FDCWD, "/none", 0, q->fd, 0));
	EXPECT_EQ(-EFAULT, mount_notify(AT_FDCWD, (void *)1, 0, q->fd, 0));
	EXPECT_EQ(-EBADF, mount_notify(-1, "w", 0, q->fd, 0));
	EXPECT_EQ(-ENOENT, mount_notify(fd, "", 0, q->fd, 0));
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, mount_notify(AT_FDCWD, long_path, 0, q->fd, 0));
	ASSERT_EQ(0, mknod("/w/file", S_IFREG | 0644, 0));
	EXPECT_EQ(-ENOTDIR, mount_notify(AT_FDCWD, "/w/file", 0, q->fd, 0));
	ASSERT_EQ(0, symlink("/w/a", "/w/link"));
	EXPECT_EQ(-ENOTDIR, mount_notify(AT_FDCWD, "/w/link", AT_SYMLINK_NOFOLLOW,
					 q->fd, 0));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w/link", 0, q->fd, TAG));
	EXPECT_EQ(-EBUSY, mount_notify(AT_FDCWD, "/w/a", AT_SYMLINK_NOFOLLOW, q->fd, 0));
	EXPECT_EQ(-EBUSY, mount_notify(fd, "a", AT_NO_AUTOMOUNT, q->fd, TAG));
	EXPECT_EQ(0, mount_notify(fd, "a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, TAG, mount_id("/w"));
	EXPECT_EQ(-EBADSLT, mount_notify(fd, "a", 0, q->fd, -1));
	EXPECT_EQ(0, mount_notify(fd, "", AT_EMPTY_PATH, q->fd, TAG));
	EXPECT_EQ(-EBUSY, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
	EXPECT_EQ(0, mount_notify(fd, "", AT_EMPTY_PATH, q->fd, -1));
	expect_removal_within(_metadata, q, 0, TAG, mount_id("/w"));
	EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w", 0, q->fd, -1));

	/* A watch is of one mount and one directory of it. */
	ASSERT_EQ(0, bind("/w", "/o/b", 0));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/o/b/a", 0, q->fd, 2));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 1, mount_id("/w"));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/o/b/a", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 2, mount_id("/o/b"));

	/* A directory that is gone. */
	ASSERT_EQ(0, mkdir("/w/gone", 0755));
	dir = sys_open("/w/gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, rmdir("/w/gone"));
	EXPECT_EQ(-ENOENT, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, 0));
	close(dir);

	/* Mounts that are nowhere. */
	dir = tmpfs_fd(0);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EINVAL, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, 0));
	close(dir);
	dir = sys_open_tree(AT_FDCWD, "/w", OPEN_TREE_CLONE);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EINVAL, mount_notify(dir, "a", 0, q->fd, 0));
	close(dir);
	ASSERT_EQ(0, mount_tmpfs("/w/c"));
	dir = sys_open("/w/c", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, sys_umount("/w/c", MNT_DETACH));
	EXPECT_EQ(-EINVAL, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, 0));
	close(dir);

	/* A user has no more watches than files. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EAGAIN, mount_notify(AT_FDCWD, "/w", 0, q->fd, 1));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, 1));
	close(fd);
	expect_nothing(_metadata, q);
}

/* Nothing of a failure is left: it takes no watch, and it gives no record. */
TEST_F(mount, failed_operations)
{
	struct queue *q = &self->queue;
	int fd;

	ASSERT_EQ(0, tree_at("/w/a"));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));

	EXPECT_EQ(-EBUSY, sys_umount("/w/a", 0));
	EXPECT_EQ(-EBUSY, sys_umount("/w/a", MNT_EXPIRE));
	EXPECT_EQ(-EAGAIN, sys_umount("/w/a/x", MNT_EXPIRE));
	EXPECT_EQ(-ELOOP, move("/w/a", "/w/a/x"));
	EXPECT_EQ(-EINVAL, set_attr("/w/a", 0, 1ULL << 40, 0));
	EXPECT_EQ(-EINVAL, set_attr("/w/a", 0, MOUNT_ATTR_NOATIME, 0));
	EXPECT_EQ(-EINVAL, set_propagation("/w/b", MS_SHARED));
	/* One of the tree cannot be made read-only, so none is. */
	fd = syscall(__NR_openat, AT_FDCWD, "/w/a/x/file", O_CREAT | O_RDWR | O_CLOEXEC,
		     0600);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, set_attr("/w/a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0));
	close(fd);
	fd = sys_open_tree(AT_FDCWD, "/w/a", OPEN_TREE_CLONE | AT_RECURSIVE);
	ASSERT_LE(0, fd);
	close(fd);

	expect_nothing(_metadata, q);
}

/* An unprivileged user, within what he can reach. */
TEST_F(mount, plain_user)
{
	struct queue *q = &self->queue;
	int in, out, pipe[2], status;
	uint64_t moved;
	char word;
	pid_t pid;

	ASSERT_EQ(0, mkdir("/w/private", 0700));
	ASSERT_EQ(0, mkdir("/w/no_exec", 0744));
	ASSERT_EQ(0, mkdir("/w/no_read", 0711));
	ASSERT_EQ(0, mkdir("/w/private/in", 0755));
	out = sys_open("/o", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, out);
	in = sys_open("/w/private", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, in);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (setresgid(SOME_UID, SOME_UID, SOME_UID) ||
		    setresuid(SOME_UID, SOME_UID, SOME_UID))
			_exit(1);
		/* Execute permission on the directory, which needs no other. */
		if (mount_notify(AT_FDCWD, "/w/private", 0, q->fd, 1) != -EACCES ||
		    mount_notify(AT_FDCWD, "/w/private/in", 0, q->fd, 1) != -EACCES ||
		    mount_notify(AT_FDCWD, "/w/no_exec", 0, q->fd, 1) != -EACCES ||
		    mount_notify(in, "", AT_EMPTY_PATH, q->fd, 1) != -EACCES)
			_exit(2);
		if (mount_notify(AT_FDCWD, "/w/no_read", 0, q->fd, 1) ||
		    mount_notify(AT_FDCWD, "/w/no_read", 0, q->fd, -1))
			_exit(3);
		/* What a descriptor leads to must be below one's root. */
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) ||
		    mount_notify(out, "", AT_EMPTY_PATH, q->fd, -1))
			_exit(4);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	expect_removal_within(_metadata, q, 0, 1, mount_id("/w"));
	expect_removal_within(_metadata, q, 0, 1, mount_id("/"));

	/* In a chroot nothing is seen, and nothing can be watched, outside. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (chroot("/w") || chdir("/"))
			_exit(1);
		/* The owner of the namespace may watch anything in it. */
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) ||
		    mount_notify(out, "", AT_EMPTY_PATH, q->fd, -1))
			_exit(2);
		if (setresgid(SOME_UID, SOME_UID, SOME_UID) ||
		    setresuid(SOME_UID, SOME_UID, SOME_UID))
			_exit(3);
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) != -EPERM ||
		    mount_notify(out, "a", 0, q->fd, 1) != -EPERM ||
		    mount_notify(out, "a", 0, q->fd, -1) != -EBADSLT)
			_exit(4);
		if (mount_notify(AT_FDCWD, "/", 0, q->fd, TAG))
			_exit(5);
		if (write(pipe[1], "!", 1) != 1)
			_exit(6);
		pause();
	}
	close(pipe[1]);
	ASSERT_EQ(1, read(pipe[0], &word, 1));
	expect_removal_within(_metadata, q, 0, 1, mount_id("/"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_tmpfs("/o/a"));
	ASSERT_EQ(0, set_attr("/o/a", 0, MOUNT_ATTR_RDONLY, 0));
	ASSERT_EQ(0, set_attr("/", 0, MOUNT_ATTR_NOSUID, 0));
	expect_nothing(_metadata, q);
	/* Nor is it told where a mount came from or went to. */
	moved = mount_id("/o/a");
	ASSERT_EQ(0, move("/o/a", "/w/a"));
	expect_event(_metadata, q, MOVE_TO, SUB, moved);
	ASSERT_EQ(0, move("/w/a", "/o/a"));
	expect_event(_metadata, q, MOVE_FROM, SUB, moved);
	expect_nothing(_metadata, q);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
}

static int write_file(int proc, const char *path, const char *text)
{
	int fd, ret;

	fd = syscall(__NR_openat, proc, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
	close(fd);
	return ret;
}

/* The root of a user namespace, in a mount namespace of his own. */
TEST_F(mount, user_namespace)
{
	struct queue *q = &self->queue;
	int out, pipe[2], back[2], status;
	uint64_t theirs;
	union record rec;
	char word;
	pid_t pid;

	ASSERT_EQ(0, set_propagation("/", MS_SHARED | MS_REC));
	out = sys_open("/o", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, out);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(back, O_CLOEXEC));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (sys_unshare(CLONE_NEWUSER | CLONE_NEWNS))
			_exit(errno == EINVAL || errno == ENOSPC ? 4 : 1);
		if (write_file(self->proc, "self/setgroups", "deny") ||
		    write_file(self->proc, "self/uid_map", "0 0 1") ||
		    write_file(self->proc, "self/gid_map", "0 0 1"))
			_exit(2);
		/* His own, but nothing of the one that he came from. */
		if (mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG))
			_exit(3);
		if (mount_notify(out, "", AT_EMPTY_PATH, q->fd, 1) != -EPERM ||
		    mount_notify(out, "a", 0, q->fd, 1) != -EPERM)
			_exit(5);
		theirs = mount_id("/w");
		if (write(pipe[1], &theirs, sizeof(theirs)) != sizeof(theirs) ||
		    read(back[0], &word, 1) != 1)
			_exit(6);
		/* A mount of his own, which others are not told of. */
		if (mount_tmpfs("/w/b"))
			_exit(7);
		theirs = mount_id("/w/b");
		if (write(pipe[1], &theirs, sizeof(theirs)) != sizeof(theirs))
			_exit(8);
		pause();
	}
	close(pipe[1]);
	ASSERT_EQ(sizeof(theirs), read(pipe[0], &theirs, sizeof(theirs))) {
		waitpid(pid, &status, 0);
		TH_LOG("status %#x", status);
	}

	/* What he is told is of his own copy. */
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(NEW, rec_subtype(&rec));
	EXPECT_EQ(SUB | PROP, rec.watch.info & WATCH_INFO_TYPE_INFO);
	EXPECT_NE(mount_id("/w/a"), rec.mount.mnt_id);
	EXPECT_EQ(theirs, rec.mount.mnt_parent_id);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, set_attr("/w/a", 0, MOUNT_ATTR_NOEXEC, 0));
	ASSERT_EQ(0, set_attr("/w/a", 0, MOUNT_ATTR_RDONLY, 0));
	expect_nothing(_metadata, q);

	ASSERT_EQ(1, write(back[1], "!", 1));
	ASSERT_EQ(sizeof(theirs), read(pipe[0], &theirs, sizeof(theirs)));
	expect_event(_metadata, q, NEW, SUB, theirs);
	expect_nothing(_metadata, q);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
}

/* Another namespace, watched by who may; and its end. */
TEST_F(mount, other_namespace)
{
	struct queue *q = &self->queue;
	int mine, theirs, dir, status;
	uint64_t id, a, x, root, before, after;
	union record rec;
	pid_t pid;

	mine = ns_fd(self->proc);
	ASSERT_LE(0, mine);
	root = mount_id("/");
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	theirs = ns_fd(self->proc);
	ASSERT_LE(0, theirs);
	ASSERT_EQ(0, tree_at("/w/a"));
	id = mount_id("/w");
	a = mount_id("/w/a");
	x = mount_id("/w/a/x");
	dir = sys_open("/w", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, sys_setns(mine, CLONE_NEWNS));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		if (setresgid(SOME_UID, SOME_UID, SOME_UID) ||
		    setresuid(SOME_UID, SOME_UID, SOME_UID))
			_exit(1);
		_exit(mount_notify(dir, "", AT_EMPTY_PATH, q->fd, TAG) == -EPERM ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, TAG));

	/* Of the one that is watched, and not of one's own. */
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, count_changes(root, 0, &before));
	ASSERT_EQ(0, sys_setns(theirs, CLONE_NEWNS));
	ASSERT_EQ(0, set_attr("/w/a", 0, MOUNT_ATTR_NODEV, 0));
	ASSERT_EQ(0, sys_setns(mine, CLONE_NEWNS));
	expect_event(_metadata, q, SETATTR, SUB, a);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, count_changes(root, 0, &after));
	EXPECT_EQ(before, after);

	/* Neither the watch nor an open file keeps it alive. */
	close(theirs);
	ASSERT_EQ(1, queue_next(q, &rec, SOON));
	EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
	EXPECT_EQ(a, rec.mount.mnt_id);
	EXPECT_EQ(id, rec.mount.mnt_parent_id);
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
	EXPECT_EQ(x, rec.mount.mnt_id);
	EXPECT_EQ(SUB | REC, rec.watch.info & WATCH_INFO_TYPE_INFO);
	expect_removal_within(_metadata, q, 0, TAG, id);
	expect_nothing(_metadata, q);
	EXPECT_EQ(-EINVAL, mount_notify(dir, "", AT_EMPTY_PATH, q->fd, TAG));
	close(dir);
	close(mine);
}

/* A watch holds no mount: one can be unmounted, and expires, as without it. */
TEST_F(mount, umount_watched)
{
	struct queue *q = &self->queue;
	uint64_t id, below;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mount_tmpfs("/w/a"));
		ASSERT_EQ(0, mkdir("/w/a/d", 0755));
		id = mount_id("/w/a");
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a/d", 0, q->fd, 2));
		ASSERT_EQ(-EAGAIN, sys_umount("/w/a", MNT_EXPIRE));
		if (i == 0) {
			ASSERT_EQ(0, sys_umount("/w/a", 0));
		} else if (i == 1) {
			ASSERT_EQ(0, sys_umount("/w/a", MNT_EXPIRE));
		} else {
			/* Unlike a mount on it, which goes first. */
			ASSERT_EQ(0, mount_tmpfs("/w/a/d"));
			below = mount_id("/w/a/d");
			ASSERT_EQ(2, (queue_next(q, &(union record){ 0 }, 0) +
				      queue_next(q, &(union record){ 0 }, 0)));
			expect_nothing(_metadata, q);
			ASSERT_EQ(-EBUSY, sys_umount("/w/a", 0));
			ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
			expect_removal_within(_metadata, q, 0, 1, id);
			ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, TAG));
			ASSERT_EQ(0, sys_umount("/w/a", MNT_DETACH));
		}

		if (i < 2) {
			bool first, second;
			union record rec;

			ASSERT_EQ(1, queue_next(q, &rec, 0));
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
			ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
			EXPECT_EQ(id, rec.removal.id);
			first = rec_tag(&rec) == 1;
			ASSERT_EQ(1, queue_next(q, &rec, 0));
			ASSERT_EQ(WATCH_TYPE_META, rec_type(&rec));
			EXPECT_EQ(id, rec.removal.id);
			second = rec_tag(&rec) == 1;
			EXPECT_NE(first, second);
			expect_nothing(_metadata, q);
		} else {
			unsigned int unmounts = 0, removals = 0;
			union record rec;

			while (queue_next(q, &rec, 0) > 0) {
				if (rec_type(&rec) == WATCH_TYPE_META) {
					EXPECT_EQ(id, rec.removal.id);
					removals |= rec_tag(&rec) == TAG ? 1 : 2;
					continue;
				}
				EXPECT_EQ(UNMOUNT, rec_subtype(&rec));
				EXPECT_EQ(below, rec.mount.mnt_id);
				EXPECT_EQ(rec_tag(&rec) == TAG ? SUB | REC : REC,
					  rec.watch.info & WATCH_INFO_TYPE_INFO);
				/* Before it says that it goes. */
				unmounts |= rec_tag(&rec) == TAG ? 1 : 2;
				EXPECT_EQ(0, unmounts & removals);
			}
			EXPECT_EQ(3, unmounts);
			EXPECT_EQ(3, removals);
		}
		/* What comes to the same place is another. */
		EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	}
}

/*
 * Without any watch the kernel does not look for what changes, and a while after
 * the last one has gone it no longer does.  Neither shows when there is a watch
 * again, not even for mounts that changed meanwhile.
 */
TEST_F(mount, watched_again)
{
	struct queue *q = &self->queue;
	uint64_t a, b, w;
	int i;

	if (variant->at_root)
		SKIP(return, "a directory will do");

	w = mount_id("/w");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mount_tmpfs("/w/a"));
		a = mount_id("/w/a");
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, TAG));
		expect_nothing(_metadata, q);
		ASSERT_EQ(0, mount_tmpfs("/w/b"));
		b = mount_id("/w/b");
		expect_event(_metadata, q, NEW, SUB, b);
		ASSERT_EQ(0, move("/w/a", "/w/c"));
		expect_event(_metadata, q, MOVE_TO, SUB, a);
		ASSERT_EQ(0, sys_umount("/w/b", 0));
		expect_event(_metadata, q, UNMOUNT, SUB, b);
		ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w", 0, q->fd, -1));
		expect_removal(_metadata, q, TAG, w);
		if (i == 1)
			sleep(8);
		ASSERT_EQ(0, set_attr("/w/c", 0, MOUNT_ATTR_RDONLY, 0));
		ASSERT_EQ(0, sys_umount("/w/c", 0));
		expect_nothing(_metadata, q);
	}
}

/* The watched directory goes. */
TEST_F(mount, rmdir_watched)
{
	struct queue *q = &self->queue;
	const uint64_t id = mount_id("/w");
	int mine;

	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, 1));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/b", 0, q->fd, 2));
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/c", 0, q->fd, 3));
	ASSERT_EQ(0, rmdir("/w/a"));
	expect_removal_within(_metadata, q, 0, 1, id);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mkdir("/w/a", 0755));
	EXPECT_EQ(-EBADSLT, mount_notify(AT_FDCWD, "/w/a", 0, q->fd, -1));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	expect_nothing(_metadata, q);

	/* By being replaced; what replaces it may be watched itself. */
	ASSERT_EQ(0, sys_rename("/w/b", "/w/c", 0));
	expect_removal_within(_metadata, q, 0, 3, id);
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/c", 0, q->fd, -1));
	expect_removal_within(_metadata, q, 0, 2, id);

	/* From another namespace, with what is mounted there. */
	mine = ns_fd(self->proc);
	ASSERT_LE(0, mine);
	ASSERT_EQ(0, mount_notify(AT_FDCWD, "/w/c", 0, q->fd, TAG));
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, sys_umount("/w/a", 0));
	ASSERT_EQ(0, rmdir("/w/c"));
	ASSERT_EQ(0, sys_setns(mine, CLONE_NEWNS));
	expect_removal_within(_metadata, q, 0, TAG, id);
	expect_nothing(_metadata, q);
	close(mine);
}

/* A watch is counted until RCU lets go of it; wait for that if it takes that. */
static int watch_in_time(const char *path, int fd, int tag)
{
	int tries, ret;

	for (tries = 0; tries < SOON; tries++) {
		ret = mount_notify(AT_FDCWD, path, 0, fd, tag);
		if (ret != -EAGAIN)
			break;
		sleep_for(1);
	}
	return ret;
}

/* A watch that outlives neither its queue nor its directory is given back. */
TEST_F_TIMEOUT(mount, watches_are_given_back, 300)
{
	struct rlimit limit;
	struct queue q;
	int i;

	/* Where there is a /dev. */
	ASSERT_EQ(0, sys_setns(self->home, CLONE_NEWNS));
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	ASSERT_EQ(0, set_propagation("/", MS_PRIVATE | MS_REC));
	ASSERT_EQ(0, mount_tmpfs("/tmp"));
	ASSERT_EQ(0, mkdir("/tmp/a", 0755));

	/* Room for few more watches than this user may have by now. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_LE(64, limit.rlim_max);
	limit.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		if (i % 4 == 0)
			ASSERT_EQ(0, mount_tmpfs("/tmp/a"));
		ASSERT_EQ(0, watch_in_time("/tmp/a", q.fd, 0));
		if (i % 4 == 0)
			ASSERT_EQ(0, sys_umount("/tmp/a", 0));
		if (i % 4 == 1)
			ASSERT_EQ(0, mount_notify(AT_FDCWD, "/tmp/a", 0, q.fd, -1));
		if (i % 4 == 2)
			ASSERT_EQ(0, rmdir("/tmp/a") ?: mkdir("/tmp/a", 0755));
		queue_close(&q);
	}
}

/* The counter is the namespace's own. */
TEST_F(mount, counter)
{
	const uint64_t id = mount_id("/");
	uint64_t mine[3], theirs[2], ns, other;
	struct statmount sm;
	int fd;

	ns = mntns_id(id);
	ASSERT_NE(0, ns);
	queue_close(&self->queue);
	ASSERT_EQ(0, count_changes(id, ns, &mine[0]));
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	ASSERT_EQ(0, count_changes(id, ns, &mine[1]));
	EXPECT_LT(mine[0], mine[1]);
	/* It is the same seen from any mount. */
	ASSERT_EQ(0, count_changes(mount_id("/w/a"), ns, &mine[2]));
	EXPECT_EQ(mine[1], mine[2]);

	fd = ns_fd(self->proc);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	other = mount_id("/");
	ASSERT_EQ(0, count_changes(other, 0, &theirs[0]));
	ASSERT_EQ(0, mount_tmpfs("/w/b"));
	ASSERT_EQ(0, count_changes(other, 0, &theirs[1]));
	EXPECT_LT(theirs[0], theirs[1]);
	ASSERT_EQ(0, count_changes(id, ns, &mine[2]));
	EXPECT_EQ(mine[1], mine[2]);

	/* Who does not ask for it does not get it. */
	ASSERT_EQ(0, sys_statmount(other, 0, STATMOUNT_MNT_BASIC, &sm, sizeof(sm)));
	EXPECT_EQ(0, sm.mask & STATMOUNT_MNT_NS_CHANGES);
	close(fd);
}

/* That a mount has another master now is not in any record, but it counts. */
TEST_F(mount, counter_of_slaves)
{
	uint64_t before, after, id, ns;
	int home, other;

	home = ns_fd(self->proc);
	ASSERT_LE(0, home);
	ASSERT_EQ(0, mount_tmpfs("/w/a"));
	ASSERT_EQ(0, set_propagation("/w/a", MS_SHARED));
	ASSERT_EQ(0, bind("/w/a", "/w/b", 0));
	ASSERT_EQ(0, set_propagation("/w/b", MS_SLAVE));
	ASSERT_EQ(0, set_propagation("/w/b", MS_SHARED));

	ASSERT_EQ(0, sys_unshare(CLONE_NEWNS));
	/* It is to outlive that this leaves it. */
	other = ns_fd(self->proc);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, set_propagation("/w/b", MS_SLAVE));
	id = mount_id("/w/b");
	ns = mntns_id(id);
	ASSERT_NE(0, ns);
	ASSERT_EQ(0, count_changes(id, ns, &before));

	/* Its master in the other namespace hands it on to its own. */
	ASSERT_EQ(0, sys_setns(home, CLONE_NEWNS));
	ASSERT_EQ(0, set_propagation("/w/b", MS_PRIVATE));
	ASSERT_EQ(0, count_changes(id, ns, &after));
	EXPECT_LT(before, after);
	close(other);
	close(home);
}

TEST_HARNESS_MAIN
