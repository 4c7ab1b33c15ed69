// SPDX-License-Identifier: GPL-2.0
/* Superblocks that a security module does not let a task watch report nothing to it. */

#include "superblocks.h"

#include "lsm.h"

enum { SB, TRACEFS, ALL_SBS, NR_WATCHES };

static const char *cannot_test(void)
{
	if (sb_notify(-1, "", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_SB_NOTIFICATIONS";
	return NULL;
}

static int prepare(struct disk *disk, const char *label)
{
	char options[40] = "";
	int ret;

	(void)disk;
	if (label)
		snprintf(options, sizeof(options), "smackfsfloor=%s", label);
	if (mkdir("mnt", 0755) || mkdir("trace", 0755))
		return -errno;
	ret = sys_mount("none", "mnt", "tmpfs", 0, options);
	return ret ?: sys_mount("none", "trace", "tracefs", 0, NULL);
}

static int watch(unsigned int nr, int fd)
{
	if (nr == ALL_SBS)
		return sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, fd, nr);
	return sb_notify(AT_FDCWD, nr == SB ? "mnt" : "trace", 0, fd, nr);
}

static int cause_events(void *arg)
{
	(void)arg;
	return touch_sb("mnt") ?: touch_sb("trace");
}

TEST_F(selinux, watches)
{
	static const struct denial denials[] = {
		{ DOMAIN("no_watch_sb_t"), SB },
		{ DOMAIN("no_watch_sb_t"), TRACEFS },
		{ DOMAIN("no_watch_tracefs_t"), TRACEFS },
		{ DOMAIN("no_watch_all_sb_t"), ALL_SBS },
	};

	expect_denials(_metadata, variant->kind, variant->size, NR_WATCHES,
		       denials, ARRAY_SIZE(denials));
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

TEST_F(smack, watches)
{
	/* tracefs has the floor label, which all may read. */
	static const int restricted[NR_WATCHES] = {
		[SB] = -EACCES,
		[ALL_SBS] = -EACCES,
	};
	static const int granted[NR_WATCHES] = { [ALL_SBS] = -EACCES };

	expect_rules(_metadata, variant->kind, variant->size, NR_WATCHES,
		     restricted, granted);
}

TEST_F(smack, nobody)
{
	expect_anonymous(_metadata, &self->queue, NR_WATCHES);
}

TEST_HARNESS_MAIN
