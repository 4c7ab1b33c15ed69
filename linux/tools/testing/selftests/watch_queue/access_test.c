// SPDX-License-Identifier: GPL-2.0
/*
 * Who may watch what, without the help of a security module: a table of objects
 * and of places that a task can be in.  And that what is watched in one place
 * tells nothing of another.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/quota.h>
#include <linux/sched.h>

#include "disk.h"
#include "expect.h"
#include "mounts.h"
#include "people.h"

#define TAG		0x66

#define OVERFLOW_ID	65534	/* What an ID is that has no name here */

#define USR_VIEW	0x00010000
#define OTH_VIEW	0x00000001

/*
 * The places.  In each a task has some descriptors of what is outside, as if it
 * had been given them or had opened them before.
 */
enum place {
	ROOT,
	NO_CAPS,		/* Root without capabilities */
	USER,			/* Alice */
	USERNS,			/* Root of a user namespace of Alice's */
	CONTAINER,		/* The same in more namespaces, with another root */
	CHROOT,			/* Root in a chroot */
	CHROOT_USER,		/* Alice in a chroot */
	NR_PLACES,
};

static const char * const place_names[NR_PLACES] = {
	"root", "root without capabilities", "user", "user namespace",
	"container", "chroot", "user in a chroot",
};

static int drop_caps(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(__NR_capset, &header, data) ? -errno : 0;
}

/* A tmpfs of its own becomes the root, and nothing else is left. */
static int enter_container(void)
{
	int ret;

	ret = enter_userns(ALICE, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
			   CLONE_NEWNET | CLONE_NEWCGROUP);
	if (!ret)
		ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", "jail", "tmpfs", 0, NULL);
	if (!ret && chdir("jail"))
		ret = -errno;
	if (!ret)
		ret = sys_pivot_root(".", ".");
	if (!ret)
		ret = sys_umount(".", MNT_DETACH);
	if (!ret && chdir("/"))
		ret = -errno;
	return ret;
}

static int enter(enum place place)
{
	int ret;

	if ((place == CHROOT || place == CHROOT_USER) &&
	    (chroot("jail") || chdir("/")))
		return -errno;
	if (place == NO_CAPS) {
		ret = drop_caps();
	} else if (place == ROOT || place == CHROOT) {
		ret = 0;
	} else {
		ret = become(place == USERNS ? &alice_as_root : &alice);
		if (!ret && place == CONTAINER)
			ret = enter_container();
	}
	if (ret)
		return ret;
	/* What one possesses is none of what follows. */
	ret = join_new_session();
	return ret < 0 ? ret : 0;
}

/* What there is to watch: keys by their ID, directories by a descriptor. */
enum object {
	HERE,			/* One's own directory */
	SESSION,		/* One's own session keyring */
	KEY_FOR_ALL,		/* Which all may view */
	KEY_OF_ROOT,		/* Which its owner may view */
	KEY_OF_ALICE,
	RING_FOR_ALL,		/* Which the keys for all and of root are linked into */
	RING_OF_ROOT,
	DIR,
	PRIVATE_DIR,		/* Which root may search */
	DETACHED,		/* In no mount namespace */
	OTHER_NS,		/* In another mount namespace of root's */
	ROOT_OF_SB,
	BIND,			/* A mount that does not show the root of its filesystem */
	PIPE,			/* A filesystem that is mounted nowhere */
	NODE,			/* Of a disk, which root may read */
	NODE_FOR_ALL,
	NODE_NODEV,		/* Where device nodes do not work */
	NODE_OF_NOTHING,
	NR_OBJECTS,
};

struct world {
	int objects[NR_OBJECTS];
	int results[64];		/* Two for each row of the table */
};

enum action {
	WATCH_KEY,
	WATCH_KEYRING,
	WATCH_MOUNT,
	WATCH_SB,
	WATCH_SB_SUBMOUNTS,
	WATCH_SB_ALL,
	WATCH_BLOCK,
	WATCH_BLOCK_ALL,
};

struct row {
	const char *name;
	enum action action;
	enum object object;
	/* In the order of the places. */
	int expected[NR_PLACES];
};

static int watch(const struct world *w, const struct row *row, int fd, int tag)
{
	unsigned int at_flags = row->object == HERE ? 0 : AT_EMPTY_PATH;
	const char *path = row->object == HERE ? "." : "";
	int what = w->objects[row->object];

	switch (row->action) {
	case WATCH_KEY:
		return watch_key(what, fd, tag);
	case WATCH_KEYRING:
		return watch_keyring(what, fd, tag, KEYCTL_WATCH_NESTED);
	case WATCH_MOUNT:
		return mount_notify(what, path, at_flags, fd, tag);
	case WATCH_SB:
		return sb_notify(what, path, at_flags, fd, tag);
	case WATCH_SB_SUBMOUNTS:
		return sb_notify(what, path, at_flags | SB_NOTIFY_SUBMOUNTS, fd, tag);
	case WATCH_SB_ALL:
		return sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, tag);
	case WATCH_BLOCK:
		return block_notify(what, path, at_flags, fd, tag);
	case WATCH_BLOCK_ALL:
		return block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, fd, tag);
	}
	return -EPROTO;
}

static const struct row table[] = {
#define A	(-EACCES)
#define P	(-EPERM)
#define I	(-EINVAL)
#define B	(-ENOTBLK)
#define X	(-ENXIO)
	/*					root nocap user userns cont chr chr-user */
	{ "own session", WATCH_KEY, SESSION,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "key for all", WATCH_KEY, KEY_FOR_ALL,	{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "key of root", WATCH_KEY, KEY_OF_ROOT,	{ 0, 0, A, A, A, 0, A } },
	{ "key of Alice", WATCH_KEY, KEY_OF_ALICE,	{ A, A, 0, 0, 0, A, 0 } },
	{ "what is in the own session", WATCH_KEYRING, SESSION,
							{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "what is in a keyring of root", WATCH_KEYRING, RING_OF_ROOT,
							{ 0, 0, A, A, A, 0, A } },
	{ "own directory", WATCH_MOUNT, HERE,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "directory", WATCH_MOUNT, DIR,		{ 0, 0, 0, 0, P, 0, P } },
	{ "private directory", WATCH_MOUNT, PRIVATE_DIR, { 0, 0, A, A, A, 0, A } },
	{ "detached mount", WATCH_MOUNT, DETACHED,	{ I, I, I, I, I, I, I } },
	{ "mount in another namespace", WATCH_MOUNT, OTHER_NS,
							{ 0, P, P, P, P, 0, P } },
	{ "own superblock", WATCH_SB, HERE,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "superblock", WATCH_SB, ROOT_OF_SB,		{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "part of a filesystem", WATCH_SB, BIND,	{ 0, P, P, P, P, 0, P } },
	{ "own superblock with submounts", WATCH_SB_SUBMOUNTS, HERE,
							{ 0, P, P, P, 0, 0, P } },
	{ "superblock with submounts", WATCH_SB_SUBMOUNTS, ROOT_OF_SB,
							{ 0, P, P, P, P, 0, P } },
	{ "superblock of pipes", WATCH_SB, PIPE,	{ I, I, I, I, I, I, I } },
	{ "all superblocks", WATCH_SB_ALL, HERE,	{ 0, P, P, P, P, 0, P } },
	{ "disk", WATCH_BLOCK, NODE,			{ 0, 0, A, A, A, 0, A } },
	{ "disk for all", WATCH_BLOCK, NODE_FOR_ALL,	{ 0, 0, 0, 0, 0, 0, 0 } },
	{ "disk on a nodev mount", WATCH_BLOCK, NODE_NODEV,
							{ A, A, A, A, A, A, A } },
	{ "no disk", WATCH_BLOCK, NODE_OF_NOTHING,	{ X, X, X, X, X, X, X } },
	{ "directory as a disk", WATCH_BLOCK, DIR,	{ B, B, B, B, B, B, B } },
	{ "all disks", WATCH_BLOCK_ALL, HERE,		{ 0, P, P, P, P, 0, P } },
#undef A
#undef P
#undef I
#undef B
#undef X
};

static int open_dir(const char *path)
{
	return sys_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int make_key(const char *type, const char *name, unsigned int owner, uint32_t perm)
{
	int key, ret = 0;

	key = add_key(type, name, strcmp(type, "keyring") ? "x" : NULL,
		      KEY_SPEC_SESSION_KEYRING);
	if (key < 0)
		return key;
	if (owner)
		ret = sys_keyctl(KEYCTL_CHOWN, key, owner, -1, 0);
	if (!ret)
		ret = sys_keyctl(KEYCTL_SETPERM, key, perm, 0, 0);
	return ret ?: key;
}

/*
 * The current directory becomes that of a tmpfs in a mount namespace of one's
 * own.  Others may write there.
 */
static int prepare_dir(void)
{
	int ret;

	ret = sys_unshare(CLONE_NEWNS);
	if (!ret)
		ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", "/tmp", "tmpfs", 0, "mode=777");
	if (!ret && (chdir("/tmp") || mkdir("jail", 0755) || mkdir("dir", 0755) ||
		     mkdir("dir/x", 0755) || mkdir("private", 0700) ||
		     mkdir("mnt", 0755)))
		ret = -errno;
	if (!ret)
		ret = sys_mount("none", "mnt", "tmpfs", 0, NULL);
	if (!ret && (mkdir("mnt/dir", 0755) || mkdir("bind", 0755)))
		ret = -errno;
	if (!ret)
		ret = sys_mount("mnt/dir", "bind", NULL, MS_BIND, NULL);
	return ret;
}

static int open_node(const char *path, mode_t mode, dev_t dev)
{
	if (mknod(path, S_IFBLK | mode, dev) || chmod(path, mode))
		return -errno;
	return sys_open(path, O_PATH | O_CLOEXEC);
}

/* Nodes of a disk whose block 1 cannot be read. */
static int prepare_disk(struct disk *disk, int *objects)
{
	struct stat st;
	int ret;

	ret = disk_add(disk, 1);
	if (!ret)
		ret = disk_fail(disk, 1, true);
	if (!ret && (stat(DISK_NODE, &st) || mkdir("nodev", 0755)))
		ret = -errno;
	if (!ret)
		ret = sys_mount("none", "nodev", "tmpfs", MS_NODEV, NULL);
	if (ret)
		return ret;

	objects[NODE] = open_node("node", 0600, st.st_rdev);
	objects[NODE_FOR_ALL] = open_node("node_for_all", 0644, st.st_rdev);
	objects[NODE_NODEV] = open_node("nodev/node", 0644, st.st_rdev);
	objects[NODE_OF_NOTHING] = open_node("no_node", 0644, makedev(4095, 1));
	return 0;
}

static bool can_watch_blocks(void)
{
	return block_notify(-1, "", 0, -1, 0) != -ENOSYS;
}

/*
 * A child that waits to be told what to do, each time a function and its
 * argument.
 */
struct child {
	pid_t pid;
	int to, from;
};

struct call {
	int (*fn)(void *arg);
	void *arg;
};

static int call(struct child *c, int (*fn)(void *arg), void *arg)
{
	struct call call = { fn, arg };
	int ret;

	if (write(c->to, &call, sizeof(call)) != sizeof(call) ||
	    read(c->from, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

/* It begins with @fn, and ends if that fails. */
static int start_child(struct child *c, int (*fn)(void *arg), void *arg)
{
	int to[2], from[2], ret;
	struct call next;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return -errno;
	c->pid = fork();
	if (c->pid < 0)
		return -errno;
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		close(to[1]);
		ret = fn(arg);
		while (write(from[1], &ret, sizeof(ret)) == sizeof(ret) &&
		       read(to[0], &next, sizeof(next)) == sizeof(next))
			ret = next.fn(next.arg);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
	return read(c->from, &ret, sizeof(ret)) == sizeof(ret) ? ret : -EPIPE;
}

static void end_child(struct child *c)
{
	if (c->pid <= 0)
		return;
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

static int enter_mntns_fn(void *arg)
{
	(void)arg;
	return sys_unshare(CLONE_NEWNS);
}

static int open_of_child(const struct child *c, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", c->pid, what);
	return open_dir(path);
}

/* Change a mount, the superblock of @arg and one's session keyring. */
static int cause_events(void *arg)
{
	int ret;

	ret = sys_mount("none", "dir/x", "tmpfs", 0, NULL);
	if (!ret)
		ret = sys_umount("dir/x", 0);
	if (!ret)
		ret = touch_sb(arg);
	if (!ret)
		ret = add_key("user", "watch_queue:event", "x", KEY_SPEC_SESSION_KEYRING);
	if (ret > 0)
		ret = update_key(ret);
	return ret;
}

static bool have_queues(enum queue_kind kind)
{
	struct queue q;

	if (queue_open(&q, kind, 1))
		return false;
	queue_close(&q);
	return true;
}

static const char *cannot_test(void)
{
	if (geteuid() != 0)
		return "not root";
	if (sb_notify(-1, "", 0, -1, 0) == -ENOSYS ||
	    mount_notify(AT_FDCWD, "/", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_MOUNT_NOTIFICATIONS or CONFIG_SB_NOTIFICATIONS";
	return NULL;
}

FIXTURE(access)
{
	struct world *world;
	struct disk disk;
	struct child child;
};

FIXTURE_VARIANT(access)
{
	enum place place;
};

FIXTURE_VARIANT_ADD(access, root) { .place = ROOT };
FIXTURE_VARIANT_ADD(access, no_caps) { .place = NO_CAPS };
FIXTURE_VARIANT_ADD(access, user) { .place = USER };
FIXTURE_VARIANT_ADD(access, userns) { .place = USERNS };
FIXTURE_VARIANT_ADD(access, container) { .place = CONTAINER };
FIXTURE_VARIANT_ADD(access, chroot) { .place = CHROOT };
FIXTURE_VARIANT_ADD(access, chroot_user) { .place = CHROOT_USER };

FIXTURE_SETUP(access)
{
	int *objects, pipe[2], i, nr = NODE;

	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	self->world = mmap(NULL, sizeof(*self->world), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->world);
	ASSERT_EQ(0, prepare_dir());
	ASSERT_LT(0, join_new_session());
	ASSERT_EQ(0, start_child(&self->child, enter_mntns_fn, NULL));
	ASSERT_EQ(0, sys_pipe(pipe, O_CLOEXEC));

	objects = self->world->objects;
	objects[HERE] = AT_FDCWD;
	objects[SESSION] = KEY_SPEC_SESSION_KEYRING;
	objects[KEY_FOR_ALL] = make_key("user", "watch_queue:all", 0, USR_ALL | OTH_VIEW);
	objects[KEY_OF_ROOT] = make_key("user", "watch_queue:root", 0, USR_ALL);
	objects[KEY_OF_ALICE] = make_key("user", "watch_queue:alice", ALICE, USR_VIEW);
	objects[RING_FOR_ALL] = make_key("keyring", "watch_queue:ring", 0, USR_ALL | OTH_VIEW);
	objects[RING_OF_ROOT] = make_key("keyring", "watch_queue:root_ring", 0, USR_ALL);
	for (i = KEY_FOR_ALL; i <= KEY_OF_ROOT; i++)
		ASSERT_EQ(0, sys_keyctl(KEYCTL_LINK, objects[i], objects[RING_FOR_ALL], 0, 0));
	objects[DIR] = open_dir("dir");
	objects[PRIVATE_DIR] = open_dir("private");
	objects[DETACHED] = tmpfs_fd(0);
	objects[OTHER_NS] = open_of_child(&self->child, "cwd/dir");
	objects[ROOT_OF_SB] = open_dir("mnt");
	objects[BIND] = open_dir("bind");
	objects[PIPE] = pipe[0];
	if (can_watch_blocks()) {
		ASSERT_EQ(0, prepare_disk(&self->disk, objects));
		nr = NR_OBJECTS;
	}
	for (i = KEY_FOR_ALL; i < nr; i++)
		ASSERT_LT(0, objects[i])
			TH_LOG("object %d", i);
}

FIXTURE_TEARDOWN(access)
{
	end_child(&self->child);
	disk_put(&self->disk);
}

struct visit {
	struct world *world;
	enum place place;
	int fd;
};

/* The rows of the table; those of block devices are the last. */
static const struct row *table_end(void)
{
	const struct row *row = table + ARRAY_SIZE(table);

	while (!can_watch_blocks() && row[-1].action >= WATCH_BLOCK)
		row--;
	return row;
}

/* Try all that is in the table, and at once undo what was allowed. */
static int visit_fn(void *arg)
{
	const struct row *row, *end = table_end();
	const struct visit *v = arg;
	int ret, *result;

	ret = enter(v->place);
	if (ret)
		return ret;
	result = v->world->results;
	for (row = table; row < end; row++) {
		*result++ = watch(v->world, row, v->fd, row - table);
		*result++ = watch(v->world, row, v->fd, -1);
	}
	return 0;
}

static void expect_table(struct __test_metadata *_metadata, struct world *w,
			 enum place place, enum queue_kind kind)
{
	const struct row *row, *end = table_end();
	const int *result = w->results;
	struct child visitor;
	union record rec;
	struct queue q;
	int ret, expected;

	/* Room for all, as what was allowed is told to have been removed. */
	ASSERT_EQ(0, queue_open(&q, kind, kind == QUEUE_PIPE ? 64 : 1));
	memset(w->results, 0xff, sizeof(w->results));
	ret = start_child(&visitor, visit_fn, &(struct visit) { w, place, q.fd });
	if (place == USERNS || place == CONTAINER) {
		if (ret == -EINVAL || ret == -ENOSPC)
			SKIP(return, "no such namespaces");
	}
	ASSERT_EQ(0, ret)
		TH_LOG("to enter the place: %d", ret);

	for (row = table; row < end; row++) {
		expected = row->expected[place];
		EXPECT_EQ(expected, result[0])
			TH_LOG("%s: %s", place_names[place], row->name);
		/* To remove a watch takes no more, and there is none else. */
		if (expected && result[1] != expected)
			expected = -EBADSLT;
		EXPECT_EQ(expected, result[1])
			TH_LOG("%s: %s: removal", place_names[place], row->name);
		result += 2;

		if (expected)
			continue;
		ASSERT_EQ(1, queue_next(&q, &rec, 0));
		EXPECT_EQ(WATCH_TYPE_META, rec_type(&rec));
		EXPECT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
		EXPECT_EQ(row - table, rec_tag(&rec));
	}

	/* Nothing was left that would tell of anything. */
	ASSERT_EQ(0, cause_events("mnt"));
	ASSERT_EQ(0, update_key(w->objects[KEY_FOR_ALL]));
	ASSERT_EQ(0, touch_sb("."));
	if (can_watch_blocks())
		ASSERT_EQ(-EIO, disk_read(1));
	expect_nothing(_metadata, &q);
	end_child(&visitor);
	queue_close(&q);
}

TEST_F(access, table)
{
	unsigned int tested = 0;
	enum queue_kind kind;

	ASSERT_LE(2 * ARRAY_SIZE(table), ARRAY_SIZE(self->world->results));
	for (kind = QUEUE_PIPE; kind <= QUEUE_DEVICE; kind++) {
		if (!have_queues(kind))
			continue;
		expect_table(_metadata, self->world, variant->place, kind);
		tested++;
	}
	if (!tested)
		SKIP(return, "no queues");
}

static int watch_ring_fn(void *arg)
{
	const struct visit *v = arg;

	return enter(v->place) ?: watch_keyring(v->world->objects[RING_FOR_ALL], v->fd,
						TAG, KEYCTL_WATCH_NESTED);
}

/* Of what is in a keyring that all may view, a watch shows what its setter may. */
TEST_F(access, children)
{
	const int *objects = self->world->objects;
	const struct row *row = table;
	struct child visitor;
	union record rec;
	struct queue q;
	int ret;

	while (row->object != KEY_OF_ROOT)
		row++;
	ASSERT_EQ(0, queue_open(&q, QUEUE_PIPE, 64));
	ret = start_child(&visitor, watch_ring_fn,
			  &(struct visit) { self->world, variant->place, q.fd });
	if (ret == -ENOSPC && (variant->place == USERNS || variant->place == CONTAINER))
		SKIP(return, "no such namespaces");
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no CONFIG_KEY_NOTIFICATIONS");
	ASSERT_EQ(0, ret);

	ASSERT_EQ(0, update_key(objects[KEY_FOR_ALL]));
	ASSERT_EQ(0, update_key(objects[KEY_OF_ROOT]));
	ASSERT_EQ(1, queue_next(&q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
	EXPECT_EQ(objects[KEY_FOR_ALL], rec.key.key_id);
	if (!row->expected[variant->place]) {
		ASSERT_EQ(1, queue_next(&q, &rec, 0));
		EXPECT_EQ(objects[KEY_OF_ROOT], rec.key.key_id);
	}
	expect_nothing(_metadata, &q);
	end_child(&visitor);
	queue_close(&q);
}

/*
 * A container of Alice's, and what is outside.
 */
FIXTURE(container)
{
	struct queue in, out;
	struct child child;
};

QUEUE_VARIANTS(container, 64, 1);

static int enter_container_fn(void *arg)
{
	int ret;

	(void)arg;
	ret = enter(CONTAINER);
	if (!ret && (mkdir("dir", 0755) || mkdir("dir/x", 0755)))
		ret = -errno;
	return ret;
}

FIXTURE_SETUP(container)
{
	int ret;

	self->in.fd = -1;
	self->in.write_fd = -1;
	self->out.fd = -1;
	self->out.write_fd = -1;
	if (cannot_test())
		SKIP(return, "%s", cannot_test());
	if (!open_or_skip(_metadata, &self->in, variant->kind, variant->size))
		return;
	ASSERT_EQ(0, prepare_dir());
	ASSERT_LT(0, join_new_session());
	ASSERT_EQ(0, queue_open(&self->out, variant->kind, variant->size));
	ret = start_child(&self->child, enter_container_fn, NULL);
	if (ret == -EINVAL || ret == -ENOSPC)
		SKIP(return, "no such namespaces");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(container)
{
	end_child(&self->child);
	queue_close(&self->in);
	queue_close(&self->out);
}

enum { TAG_MOUNT, TAG_SB, TAG_KEY, NR_TAGS };

#define ALL_TAGS	((1 << NR_TAGS) - 1)

/* All that one can reach, one's session keyring included. */
static int watch_all_fn(void *arg)
{
	const struct queue *q = arg;
	int ret;

	ret = mount_notify(AT_FDCWD, ".", 0, q->fd, TAG_MOUNT);
	if (!ret)
		ret = sb_notify(AT_FDCWD, ".", 0, q->fd, TAG_SB);
	if (!ret)
		ret = watch_keyring(KEY_SPEC_SESSION_KEYRING, q->fd, TAG_KEY,
				    KEYCTL_WATCH_NESTED);
	return ret;
}

/* Nothing that happens outside is told inside, and the other way round. */
TEST_F(container, isolation)
{
	ASSERT_EQ(0, call(&self->child, watch_all_fn, &self->in));
	ASSERT_EQ(0, watch_all_fn(&self->out));

	ASSERT_EQ(0, cause_events("."));
	EXPECT_EQ(ALL_TAGS, queue_tags(&self->out));
	expect_nothing(_metadata, &self->in);

	ASSERT_EQ(0, call(&self->child, cause_events, "."));
	EXPECT_EQ(ALL_TAGS, queue_tags(&self->in));
	expect_nothing(_metadata, &self->out);
}

struct from_outside {
	int dir, fd;
	enum place place;
	struct someone who;		/* In the place USER */
	int results[3];
};

static int from_outside_fn(void *arg)
{
	struct from_outside *o = arg;
	int ret;

	if (o->place == USER)
		ret = become(&o->who);
	else
		ret = enter(o->place);
	o->results[0] = mount_notify(o->dir, "", AT_EMPTY_PATH, o->fd, TAG);
	o->results[1] = sb_notify(o->dir, "", AT_EMPTY_PATH, o->fd, TAG);
	sb_notify(o->dir, "", AT_EMPTY_PATH, o->fd, -1);
	o->results[2] = sb_notify(o->dir, "", AT_EMPTY_PATH | SB_NOTIFY_SUBMOUNTS,
				  o->fd, TAG);
	return ret;
}

/* Who may look into a container: root, and who made its user namespace. */
TEST_F(container, from_outside)
{
	static const struct {
		const char *name;
		enum place place;
		unsigned int user;
		int expected[3];
	} cases[] = {
		{ "root", ROOT, 0, { 0, 0, 0 } },
		{ "root without capabilities", NO_CAPS, 0, { -EPERM, 0, -EPERM } },
		{ "Alice", USER, ALICE, { 0, 0, 0 } },
		{ "Bob", USER, BOB, { -EPERM, 0, -EPERM } },
		{ "another user namespace", USERNS, 0, { -EPERM, 0, -EPERM } },
		{ "another container", CONTAINER, 0, { -EPERM, 0, -EPERM } },
	};
	struct from_outside *shared;
	struct child child;
	unsigned int i, j;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	shared->dir = open_of_child(&self->child, "root");
	ASSERT_LE(0, shared->dir);
	shared->fd = self->out.fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		shared->place = cases[i].place;
		shared->who.uid = cases[i].user;
		ASSERT_EQ(0, start_child(&child, from_outside_fn, shared))
			TH_LOG("%s", cases[i].name);
		for (j = 0; j < ARRAY_SIZE(shared->results); j++)
			EXPECT_EQ(cases[i].expected[j], shared->results[j])
				TH_LOG("%s: %u", cases[i].name, j);
		end_child(&child);
		mount_notify(shared->dir, "", AT_EMPTY_PATH, shared->fd, -1);
		sb_notify(shared->dir, "", AT_EMPTY_PATH, shared->fd, -1);
	}
}

static int own_fn(void *arg)
{
	const struct queue *q = arg;
	int ret;

	if (mkdir("a", 0755) || mkdir("b", 0755))
		return -errno;
	ret = sys_mount("a", "b", NULL, MS_BIND, NULL);
	if (!ret)
		ret = sb_notify(AT_FDCWD, "b", 0, q->fd, TAG);
	return ret;
}

/* In a container its root may do what root may do outside. */
TEST_F(container, own)
{
	ASSERT_EQ(0, call(&self->child, own_fn, &self->in));
	ASSERT_EQ(0, call(&self->child, cause_events, "."));
	EXPECT_LT(0, queue_tags(&self->in));
}

/*
 * Namespaces of Alice's that mounts propagate to.  What is told there is of the
 * mounts there, and no group is that of those outside.
 */
static int slave_fn(void *arg)
{
	const struct queue *q = arg;
	int ret;

	ret = become(&alice);
	if (!ret)
		ret = enter_userns(ALICE, CLONE_NEWNS);
	if (!ret)
		ret = mount_notify(AT_FDCWD, ".", 0, q->fd, TAG);
	return ret;
}

static int list_fn(void *arg)
{
	return list_mounts(arg, 0);
}

TEST_F(container, propagation)
{
	struct queue *q = &self->out;
	struct listing *listing;
	struct child slave;
	union record rec;

	listing = mmap(NULL, sizeof(*listing), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, listing);
	ASSERT_EQ(0, set_propagation(".", MS_SHARED));
	ASSERT_EQ(0, start_child(&slave, slave_fn, q));
	ASSERT_EQ(0, sys_mount("none", "dir/x", "tmpfs", 0, NULL));
	ASSERT_EQ(0, call(&slave, list_fn, listing));
	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_MOUNT_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_MOUNT_NEW_MOUNT, rec_subtype(&rec));
	EXPECT_NE(mount_id("dir/x"), rec.mount.mnt_id);
	EXPECT_NE(NULL, find_mount(listing, rec.mount.mnt_id));
	EXPECT_NE(NULL, find_mount(listing, rec.mount.mnt_parent_id));
	EXPECT_EQ(MS_SLAVE, rec.mount.mnt_propagation);
	EXPECT_EQ(0, rec.mount.mnt_peer_group);
	expect_nothing(_metadata, q);
	end_child(&slave);
}

struct quota {
	const char *dir;
	struct someone who;
	int fd;
};

static int use_quota_fn(void *arg)
{
	const struct quota *quota = arg;
	char path[64];
	int ret, i;

	ret = become(&quota->who);
	for (i = 0; i < 2 && !ret; i++) {
		snprintf(path, sizeof(path), "%s/%d", quota->dir, i);
		ret = mkdir(path, 0755) ? -errno : 0;
	}
	return ret;
}

static int watch_quota_fn(void *arg)
{
	const struct quota *quota = arg;
	int ret;

	ret = become(&quota->who);
	if (!ret)
		ret = sb_notify(AT_FDCWD, quota->dir, 0, quota->fd, TAG);
	return ret;
}

static void expect_quota(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int type, unsigned int id)
{
	union record rec;

	ASSERT_EQ(1, queue_next(q, &rec, 0));
	EXPECT_EQ(WATCH_TYPE_SB_NOTIFY, rec_type(&rec));
	EXPECT_EQ(NOTIFY_SUPERBLOCK_EDQUOT, rec_subtype(&rec));
	EXPECT_EQ(type, rec.sb_quota.quota_type);
	EXPECT_EQ(QUOTA_NL_IHARDWARN, rec.sb_quota.warning);
	EXPECT_EQ(id, rec.sb_quota.id);
	expect_nothing(_metadata, q);
}

/* The IDs of users and groups are as the watcher's namespace has them. */
TEST_F(container, quota)
{
	/* Alice is also in Bob's group, for which she has no name inside. */
	struct quota watcher = {
		.who = { .uid = ALICE, .group = BOB, .in_userns = true },
		.fd = self->in.fd,
	};
	struct quota user = { .dir = "usrquota", .who = alice };
	struct quota group = { .dir = "grpquota", .who = bob };
	struct child child;

	ASSERT_EQ(0, mkdir("usrquota", 0755));
	ASSERT_EQ(0, mkdir("grpquota", 0755));
	if (sys_mount("none", "usrquota", "tmpfs", 0,
		      "mode=777,usrquota,usrquota_inode_hardlimit=1"))
		SKIP(return, "no quotas in tmpfs");
	ASSERT_EQ(0, sys_mount("none", "grpquota", "tmpfs", 0,
			       "mode=777,grpquota,grpquota_inode_hardlimit=1"));

	watcher.dir = "usrquota";
	ASSERT_EQ(0, start_child(&child, watch_quota_fn, &watcher));
	end_child(&child);
	watcher.dir = "grpquota";
	ASSERT_EQ(0, start_child(&child, watch_quota_fn, &watcher));
	end_child(&child);
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "usrquota", 0, self->out.fd, TAG));
	ASSERT_EQ(0, sb_notify(AT_FDCWD, "grpquota", 0, self->out.fd, TAG));

	ASSERT_EQ(-EDQUOT, start_child(&child, use_quota_fn, &user));
	end_child(&child);
	expect_quota(_metadata, &self->out, USRQUOTA, ALICE);
	expect_quota(_metadata, &self->in, USRQUOTA, 0);

	ASSERT_EQ(-EDQUOT, start_child(&child, use_quota_fn, &group));
	end_child(&child);
	expect_quota(_metadata, &self->out, GRPQUOTA, BOB);
	expect_quota(_metadata, &self->in, GRPQUOTA, OVERFLOW_ID);
}

TEST_HARNESS_MAIN
