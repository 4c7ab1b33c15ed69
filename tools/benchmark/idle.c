// SPDX-License-Identifier: GPL-2.0
/* idle: what can be watched, and is not. To be compared with a kernel without all this. */
#include <stdlib.h>
#include <unistd.h>
#include "bench.h"

#define ROUNDS	201

void bench_idle(int argc, char **argv)
{
	struct samples s = { .count = 0 };
	int32_t key = make_key(0);
	void *block;
	int disk;

	(void)argc;
	(void)argv;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now();
		update_key(key);
		sample(&s, begin);
	}
	result("idle-key", 0, median(&s));

	make_mounts(0);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now();
		mount_spare();
		umount_spare();
		sample(&s, begin);
	}
	/* Not the median: the allocator of per-CPU memory searches now and then. */
	result("idle-mount", 0, least(&s));

	disk = sys_open("/dev/nullb0", O_RDONLY | O_DIRECT);
	if (disk < 0 || posix_memalign(&block, 4096, 4096))
		die("/dev/nullb0");
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now();
		check(pread(disk, block, 4096, 0), "read a block");
		sample(&s, begin);
	}
	result("idle-block", 0, median(&s));
}
