// SPDX-License-Identifier: GPL-2.0
/* The mounts that the benchmarks change. */
#include <linux/sched.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

#define MNT_DETACH	2

void make_mounts(unsigned int count)
{
	char path[64];

	check(syscall(__NR_unshare, CLONE_NEWNS), "unshare");
	check(sys_mount("", "/", NULL, MS_REC | MS_PRIVATE), "make / private");
	mkdir(PLACE, 0755);
	check(sys_mount("bench", PLACE, "tmpfs", 0), "mount a tmpfs");
	check(mkdir(SPARE, 0755), SPARE);
	check(mkdir(OTHER, 0755), OTHER);
	for (unsigned int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), PLACE "/%u", i);
		check(mkdir(path, 0755), path);
		check(sys_mount(PLACE, path, NULL, MS_BIND), path);
	}
}

uint64_t spare_id(void)
{
	struct statx info;

	check(syscall(__NR_statx, AT_FDCWD, SPARE, 0, STATX_MNT_ID_UNIQUE, &info), "statx");
	return info.stx_mnt_id;
}

static bool moved;

void mount_spare(void)
{
	check(sys_mount(PLACE, SPARE, NULL, MS_BIND), "mount");
}

void umount_spare(void)
{
	check(sys_umount(moved ? OTHER : SPARE, MNT_DETACH), "umount");
	moved = false;
}

void move_spare(void)
{
	check(sys_mount(moved ? OTHER : SPARE, moved ? SPARE : OTHER, NULL, MS_MOVE), "move");
	moved = !moved;
}
