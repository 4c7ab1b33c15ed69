// SPDX-License-Identifier: GPL-2.0
/*
 * Out of memory: what cannot be watched in a keyring is lost, but the keyring is
 * watched.
 */

#include "keyrings.h"
#include "nomem.h"

static int32_t keyring;

static int call_keyring(const void *arg)
{
	const struct queue *q = arg;

	return watch_keyring(keyring, q->fd, TAG, KEYCTL_WATCH_CHILDREN);
}

TEST_F(nomem, keyrings)
{
	unsigned int nth, lost = 0, refused = 0;
	union record rec;
	int32_t key;

	keyring = add_key("keyring", "watch_queue:ring", NULL, join_new_session());
	ASSERT_LT(0, keyring);
	key = add_key("user", "watch_queue:key", "x", keyring);
	ASSERT_LT(0, key);
	for (nth = 1; nth < MOST; nth++) {
		ASSERT_EQ(0, attempt(self->attempt, nth, call_keyring, &self->queue));
		if (!self->attempt->injected)
			break;
		if (self->attempt->ret) {
			ASSERT_EQ(-ENOMEM, self->attempt->ret);
			refused++;
		} else {
			ASSERT_EQ(0, watch_keyring(keyring, self->queue.fd, -1, 0));
			lost++;
		}
		while (queue_next(&self->queue, &rec, 0) == 1)
			;
	}
	ASSERT_EQ(0, self->attempt->ret);
	EXPECT_LT(0, refused);
	TH_LOG("refused %u times, incomplete %u times", refused, lost);
	ASSERT_EQ(0, update_key(key));
	expect_key(_metadata, &self->queue, NOTIFY_KEY_UPDATED, TAG, key, 0);
}

TEST_HARNESS_MAIN
