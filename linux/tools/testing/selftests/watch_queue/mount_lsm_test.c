// SPDX-License-Identifier: GPL-2.0
/* A directory that a security module does not let a task watch reports no mounts to it. */

#include "mounts.h"

#include <linux/sched.h>

#include "lsm.h"

enum { MOUNT, NR_WATCHES };

static const char *cannot_test(void)
{
	if (mount_notify(AT_FDCWD, "/", 0, -1, 0) == -ENOSYS)
		return "no CONFIG_MOUNT_NOTIFICATIONS";
	return NULL;
}

static int prepare(struct disk *disk, const char *label)
{
	(void)disk;
	if (mkdir("dir", 0755) || mkdir("dir/x", 0755))
		return -errno;
	return label ? set_label("dir", label) : 0;
}

static int watch(unsigned int nr, int fd)
{
	return mount_notify(AT_FDCWD, "dir", 0, fd, nr);
}

static int cause_events(void *arg)
{
	(void)arg;
	return sys_mount("none", "dir/x", "tmpfs", 0, NULL) ?: sys_umount("dir/x", 0);
}

TEST_F(selinux, watches)
{
	static const struct denial denials[] = {
		{ DOMAIN("no_watch_mount_t"), MOUNT },
	};

	expect_denials(_metadata, variant->kind, variant->size, NR_WATCHES,
		       denials, ARRAY_SIZE(denials));
}

TEST_F(smack, watches)
{
	static const int restricted[NR_WATCHES] = { [MOUNT] = -EACCES };
	static const int granted[NR_WATCHES] = { 0 };

	expect_rules(_metadata, variant->kind, variant->size, NR_WATCHES,
		     restricted, granted);
}

TEST_F(smack, nobody)
{
	expect_anonymous(_metadata, &self->queue, NR_WATCHES);
}

TEST_HARNESS_MAIN
