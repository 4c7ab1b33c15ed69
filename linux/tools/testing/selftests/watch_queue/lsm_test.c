// SPDX-License-Identifier: GPL-2.0
/*
 * Security modules: what one of them denies cannot be watched.
 *
 * SELinux must enforce a policy that selinux_policy.awk made.
 */

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "disk.h"
#include "kselftest_harness.h"
#include "mounts.h"

/* The watches, each with its number as the tag. */
enum {
	KEY,
	MOUNT,
	SB,
	TRACEFS,
	ALL_SBS,
	BLOCK,
	ALL_BLOCKS,
	NR_WATCHES,
};

static int set_label(const char *label)
{
	return write_string("/proc/self/attr/current", label);
}

/*
 * Do something in a child with the security label @label.  The value of the
 * function, 0 or -errno, is that of run_in().
 */
static int run_in(const char *label, int (*fn)(void *arg), void *arg)
{
	int status, ret;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		ret = set_label(label);
		if (!ret)
			ret = fn(arg);
		_exit(-ret);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	return -WEXITSTATUS(status);
}

static bool can_watch_blocks(void)
{
	return block_notify(-1, "", 0, -1, 0) != -ENOSYS;
}

/*
 * A directory of a mount namespace of one's own, with mounts to watch, a disk
 * whose block 1 cannot be read, and a key.
 */
static int prepare(const char *mnt_options, int32_t *key, struct disk *disk)
{
	int ret;

	ret = sys_unshare(CLONE_NEWNS);
	if (!ret)
		ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", "/tmp", "tmpfs", 0, "mode=755");
	if (!ret && (chdir("/tmp") || mkdir("dir", 0755) || mkdir("dir/x", 0755) ||
		     mkdir("mnt", 0755) || mkdir("trace", 0755)))
		ret = -errno;
	if (!ret)
		ret = sys_mount("none", "mnt", "tmpfs", 0, mnt_options);
	if (!ret)
		ret = sys_mount("none", "trace", "tracefs", 0, NULL);
	if (!ret && can_watch_blocks()) {
		ret = disk_add(disk, 1);
		if (!ret)
			ret = disk_fail(disk, 1, true);
	}
	if (ret)
		return ret;

	ret = join_new_session();
	if (ret < 0)
		return ret;
	*key = add_key("user", "watch_queue:lsm", "x", KEY_SPEC_SESSION_KEYRING);
	return *key < 0 ? *key : 0;
}

/* What a task is to watch, and what the kernel said to that. */
struct attempt {
	int32_t key;
	int fd;
	int ret[NR_WATCHES];
};

static int attempt_fn(void *arg)
{
	struct attempt *a = arg;

	a->ret[KEY] = watch_key(a->key, a->fd, KEY);
	a->ret[MOUNT] = mount_notify(AT_FDCWD, "dir", 0, a->fd, MOUNT);
	a->ret[SB] = sb_notify(AT_FDCWD, "mnt", 0, a->fd, SB);
	a->ret[TRACEFS] = sb_notify(AT_FDCWD, "trace", 0, a->fd, TRACEFS);
	a->ret[ALL_SBS] = sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, a->fd, ALL_SBS);
	a->ret[BLOCK] = block_notify(AT_FDCWD, DISK_NODE, 0, a->fd, BLOCK);
	a->ret[ALL_BLOCKS] = block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, a->fd,
					  ALL_BLOCKS);
	return 0;
}

/* An event for each of the watches.  All have been posted when this returns. */
static int cause_events(void *arg)
{
	const int32_t *key = arg;
	int ret;

	ret = update_key(*key);
	if (!ret)
		ret = sys_mount("none", "dir/x", "tmpfs", 0, NULL);
	if (!ret)
		ret = sys_umount("dir/x", 0);
	if (!ret)
		ret = touch_sb("mnt");
	if (!ret)
		ret = touch_sb("trace");
	if (!ret && can_watch_blocks() && disk_read(1) != -EIO)
		ret = -EPROTO;
	return ret;
}

/* Watch all, and see that what is allowed is watched, and that nothing else is. */
static void expect_watches(struct __test_metadata *_metadata,
			   enum queue_kind kind, unsigned int size,
			   const char *label, struct attempt *a, int32_t key,
			   const int *expected)
{
	struct queue q;
	int i, nr = can_watch_blocks() ? NR_WATCHES : BLOCK, tags = 0;

	ASSERT_EQ(0, queue_open(&q, kind, size));
	memset(a->ret, -1, sizeof(a->ret));
	a->key = key;
	a->fd = q.fd;
	ASSERT_EQ(0, run_in(label, attempt_fn, a));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(expected[i], a->ret[i])
			TH_LOG("%s: watch %d", label, i);
		if (!expected[i])
			tags |= 1 << i;
	}
	ASSERT_EQ(0, queue_tags(&q));
	ASSERT_EQ(0, cause_events(&key));
	EXPECT_EQ(tags, queue_tags(&q))
		TH_LOG("%s", label);
	queue_close(&q);
}

FIXTURE(selinux)
{
	struct disk disk;
	struct attempt *shared;
	int32_t key;
};

FIXTURE_VARIANT(selinux)
{
	enum queue_kind kind;
	unsigned int size;
};

FIXTURE_VARIANT_ADD(selinux, pipe)
{
	.kind = QUEUE_PIPE,
	.size = 64,
};

FIXTURE_VARIANT_ADD(selinux, device)
{
	.kind = QUEUE_DEVICE,
	.size = 1,
};

#define DOMAIN(type)	"user_u:base_r:" type

/* Whether there can be such queues: 0, or -errno. */
static int try_queue(enum queue_kind kind, unsigned int size)
{
	struct queue q;
	int ret;

	ret = queue_open(&q, kind, size);
	if (!ret)
		queue_close(&q);
	return ret;
}

static void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int nothing_fn(void *arg)
{
	(void)arg;
	return 0;
}

FIXTURE_SETUP(selinux)
{
	char enforce = '0';
	int fd;

	fd = sys_open("/sys/fs/selinux/enforce", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &enforce, 1) != 1)
		enforce = '0';
	close(fd);
	if (enforce != '1')
		SKIP(return, "SELinux does not enforce");
	if (run_in(DOMAIN("no_watch_sb_t"), nothing_fn, NULL))
		SKIP(return, "not the policy of selinux_policy.awk");
	if (try_queue(variant->kind, variant->size))
		SKIP(return, "no such queue");

	self->shared = shared_memory(sizeof(*self->shared));
	ASSERT_NE(NULL, self->shared);
	ASSERT_EQ(0, prepare(NULL, &self->key, &self->disk));
}

FIXTURE_TEARDOWN(selinux)
{
	disk_put(&self->disk);
}

/* Each domain lacks one permission, and just one of the watches takes that. */
TEST_F(selinux, watches)
{
	static const struct {
		const char *domain;
		int expected[NR_WATCHES];
	} domains[] = {
		{ DOMAIN("base_t"), { 0 } },
		{ DOMAIN("no_key_view_t"), { [KEY] = -EACCES } },
		{ DOMAIN("no_watch_mount_t"), { [MOUNT] = -EACCES } },
		{ DOMAIN("no_watch_sb_t"), { [SB] = -EACCES, [TRACEFS] = -EACCES } },
		{ DOMAIN("no_watch_tracefs_t"), { [TRACEFS] = -EACCES } },
		{ DOMAIN("no_watch_all_sb_t"), { [ALL_SBS] = -EACCES } },
		{ DOMAIN("no_watch_block_t"), { [BLOCK] = -EACCES } },
		{ DOMAIN("no_watch_all_block_t"), { [ALL_BLOCKS] = -EACCES } },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(domains); i++)
		expect_watches(_metadata, variant->kind, variant->size,
			       domains[i].domain, self->shared, self->key,
			       domains[i].expected);
}

static int watch_automounts_fn(void *arg)
{
	const struct queue *q = arg;

	return sb_notify(AT_FDCWD, "debug", SB_NOTIFY_SUBMOUNTS, q->fd, SB);
}

static int walk_fn(void *arg)
{
	struct stat st;

	return stat(arg, &st) ? -errno : 0;
}

/*
 * A watch is extended to what is mounted if its owner may watch that.  It does
 * not matter who makes the kernel mount it.
 */
TEST_F(selinux, automount)
{
	static const struct {
		const char *watcher, *walker;
		int tags;
	} cases[] = {
		{ DOMAIN("base_t"), DOMAIN("base_t"), 1 << SB },
		{ DOMAIN("base_t"), DOMAIN("no_watch_tracefs_t"), 1 << SB },
		{ DOMAIN("no_watch_tracefs_t"), DOMAIN("base_t"), 0 },
	};
	struct queue q;
	unsigned int i;

	ASSERT_EQ(0, mkdir("debug", 0755));
	ASSERT_EQ(0, sys_mount("none", "debug", "debugfs", 0, NULL));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		ASSERT_EQ(0, run_in(cases[i].watcher, watch_automounts_fn, &q));
		ASSERT_EQ(0, run_in(cases[i].walker, walk_fn, "debug/tracing/."));
		ASSERT_EQ(0, touch_sb("debug/tracing"));
		EXPECT_EQ(cases[i].tags, queue_tags(&q))
			TH_LOG("case %u", i);
		ASSERT_EQ(0, sys_umount("debug/tracing", 0));
		queue_close(&q);
	}
}

struct children {
	int32_t keyring;
	int fd;
	int32_t keys[2];
};

static int watch_children_fn(void *arg)
{
	const struct children *c = arg;

	return sys_keyctl(KEYCTL_WATCH_KEYRING, c->keyring, c->fd, KEY,
			  KEYCTL_WATCH_CHILDREN);
}

/* Two keys in the keyring, the second with the label of the kernel. */
static int link_fn(void *arg)
{
	struct children *c = arg;
	int ret;

	c->keys[0] = add_key("user", "watch_queue:own", "x", c->keyring);
	ret = write_string("/proc/self/attr/keycreate", DOMAIN("kernel_t"));
	if (ret)
		return ret;
	c->keys[1] = add_key("user", "watch_queue:kernel", "x", c->keyring);
	if (c->keys[0] < 0 || c->keys[1] < 0)
		return -ENOKEY;
	return update_key(c->keys[0]) ?: update_key(c->keys[1]);
}

/* A watch is extended to a key if its owner may view that, whoever links it. */
TEST_F(selinux, children)
{
	static const struct {
		const char *watcher, *linker;
		int updates;
	} cases[] = {
		{ DOMAIN("base_t"), DOMAIN("base_t"), 3 },
		{ DOMAIN("base_t"), DOMAIN("no_kernel_key_view_t"), 3 },
		{ DOMAIN("no_kernel_key_view_t"), DOMAIN("base_t"), 1 },
	};
	struct children *c;
	union record rec;
	struct queue q;
	unsigned int i;
	int updates;

	c = shared_memory(sizeof(*c));
	ASSERT_NE(NULL, c);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, queue_open(&q, variant->kind, variant->size));
		c->fd = q.fd;
		c->keyring = add_key("keyring", "watch_queue:keyring", NULL,
				     KEY_SPEC_SESSION_KEYRING);
		ASSERT_LT(0, c->keyring);
		ASSERT_EQ(0, run_in(cases[i].watcher, watch_children_fn, c));
		ASSERT_EQ(0, run_in(cases[i].linker, link_fn, c));

		/* The bits of the keys that were seen to be updated. */
		updates = 0;
		while (queue_next(&q, &rec, 0) == 1) {
			ASSERT_EQ(WATCH_TYPE_KEY_NOTIFY, rec_type(&rec));
			if (rec_subtype(&rec) == NOTIFY_KEY_UPDATED)
				updates |= rec.key.key_id == c->keys[0] ? 1 : 2;
		}
		EXPECT_EQ(cases[i].updates, updates)
			TH_LOG("case %u", i);
		queue_close(&q);
	}
}

TEST_HARNESS_MAIN
