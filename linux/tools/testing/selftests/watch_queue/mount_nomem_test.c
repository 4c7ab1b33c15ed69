// SPDX-License-Identifier: GPL-2.0
/* Out of memory: a mount is watched. */

#include "mounts.h"

#include "nomem.h"

static int call_mount(const void *arg)
{
	const struct queue *q = arg;

	return mount_notify(AT_FDCWD, "/", 0, q->fd, TAG);
}

TEST_F(nomem, watches)
{
	if (mount_notify(-1, "", 0, -1, 0) == -ENOSYS)
		SKIP(return, "not configured");
	expect_nomem_watch(_metadata, self->attempt, call_mount, &self->queue);
}

TEST_HARNESS_MAIN
