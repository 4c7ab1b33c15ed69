// SPDX-License-Identifier: GPL-2.0
/* Out of memory: all block devices are watched. */

#include "blocks.h"

#include "nomem.h"

static int call_all_blocks(const void *arg)
{
	const struct queue *q = arg;

	return block_notify(AT_FDCWD, NULL, BLOCK_NOTIFY_ALL, q->fd, TAG);
}

TEST_F(nomem, watches)
{
	if (block_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "not configured");
	expect_nomem_watch(_metadata, self->attempt, call_all_blocks, &self->queue);
}

TEST_HARNESS_MAIN
