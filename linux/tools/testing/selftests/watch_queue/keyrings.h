/* SPDX-License-Identifier: GPL-2.0 */
/* Watches on keyrings that extend to what is linked there. */
#ifndef SELFTESTS_WATCH_QUEUE_KEYRINGS_H
#define SELFTESTS_WATCH_QUEUE_KEYRINGS_H

#include "watch_queue.h"

/* @flags are KEYCTL_WATCH_CHILDREN or _NESTED; -errno on failure. */
static inline int watch_keyring(int32_t keyring, int fd, int tag,
				unsigned int flags)
{
	return sys_keyctl(KEYCTL_WATCH_KEYRING, keyring, fd, tag, flags);
}

#endif /* SELFTESTS_WATCH_QUEUE_KEYRINGS_H */
