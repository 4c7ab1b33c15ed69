// SPDX-License-Identifier: GPL-2.0
/* Block devices that a security module does not let a task watch report nothing to it. */

#include "blocks.h"

#include "lsm.h"

enum { BLOCK, ALL_BLOCKS, NR_WATCHES };

static const char *cannot_test(void)
{
	if (block_notify(-1, "", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_BLK_NOTIFICATIONS";
	return NULL;
}

/* Block 1 of the disk cannot be read. */
static int prepare(struct disk *disk, const char *label)
{
	int ret;

	ret = disk_add(disk, 1);
	if (!ret)
		ret = disk_fail(disk, 1, true);
	if (!ret && label)
		ret = set_label(DISK_NODE, label);
	return ret;
}

static int watch(unsigned int nr, int fd)
{
	if (nr == ALL_BLOCKS)
		return block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, fd, nr);
	return block_notify(AT_FDCWD, DISK_NODE, 0, fd, nr);
}

static int cause_events(void *arg)
{
	(void)arg;
	return disk_read(1) == -EIO ? 0 : -EPROTO;
}

TEST_F(selinux, watches)
{
	static const struct denial denials[] = {
		{ DOMAIN("no_watch_block_t"), BLOCK },
		{ DOMAIN("no_watch_all_block_t"), ALL_BLOCKS },
	};

	expect_denials(_metadata, variant->kind, variant->size, NR_WATCHES,
		       denials, ARRAY_SIZE(denials));
}

TEST_F(smack, watches)
{
	static const int restricted[NR_WATCHES] = {
		[BLOCK] = -EACCES,
		[ALL_BLOCKS] = -EACCES,
	};
	static const int granted[NR_WATCHES] = { [ALL_BLOCKS] = -EACCES };

	expect_rules(_metadata, variant->kind, variant->size, NR_WATCHES,
		     restricted, granted);
}

TEST_F(smack, nobody)
{
	expect_anonymous(_metadata, &self->queue, NR_WATCHES);
}

TEST_HARNESS_MAIN
