// SPDX-License-Identifier: GPL-2.0
/* listmount() and statmount(): the ids of all mounts, and of each what a record of ours tells. */
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

uint64_t statmount_changes(void)
{
	static uint64_t id;
	struct mnt_id_req req = { .size = MNT_ID_REQ_SIZE_VER0, .mnt_id = LSMT_ROOT };
	struct statmount info;

	/* Any mount will do. */
	if (!id)
		check(syscall(__NR_listmount, &req, &id, 1, 0), "listmount");
	req.mnt_id = id;
	req.param = STATMOUNT_MNT_NS_CHANGES;
	check(syscall(__NR_statmount, &req, &info, sizeof(info), 0), "statmount");
	return info.mnt_ns_changes;
}

unsigned int statmount_take(void)
{
	static uint64_t ids[1024];
	struct mnt_id_req list = { .size = MNT_ID_REQ_SIZE_VER0, .mnt_id = LSMT_ROOT };
	unsigned int mounts = 0;
	long count;

	do {
		count = check(syscall(__NR_listmount, &list, ids, ARRAY_SIZE(ids), 0), "listmount");
		for (long i = 0; i < count; i++) {
			struct mnt_id_req one = {
				.size = MNT_ID_REQ_SIZE_VER0,
				.mnt_id = ids[i],
				.param = STATMOUNT_MNT_BASIC,
			};
			struct statmount info;

			check(syscall(__NR_statmount, &one, &info, sizeof(info), 0), "statmount");
			mounts++;
		}
		if (count > 0)
			list.param = ids[count - 1];
	} while (count == (long)ARRAY_SIZE(ids));
	return mounts;
}
