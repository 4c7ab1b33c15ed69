// SPDX-License-Identifier: GPL-2.0
/* Out of memory: a superblock is watched, or all are. */

#include "superblocks.h"

#include "nomem.h"

static int call_sb(const void *arg)
{
	const struct queue *q = arg;

	return sb_notify(AT_FDCWD, "/tmp", 0, q->fd, TAG);
}

static int call_all_sbs(const void *arg)
{
	const struct queue *q = arg;

	return sb_notify(AT_FDCWD, NULL, SB_NOTIFY_ALL, q->fd, TAG);
}

TEST_F(nomem, watches)
{
	if (sb_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "not configured");
	expect_nomem_watch(_metadata, self->attempt, call_sb, &self->queue);
	expect_nomem_watch(_metadata, self->attempt, call_all_sbs, &self->queue);
}

TEST_HARNESS_MAIN
