/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Children that do something as somebody else.  All functions return -errno on
 * failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_PEOPLE_H
#define SELFTESTS_WATCH_QUEUE_PEOPLE_H

#include <stdbool.h>
#include <stddef.h>

/* Two users, each of a group with the same number. */
#define ALICE		12345
#define BOB		12346

struct someone {
	unsigned int uid;	/* And gid */
	unsigned int group;	/* Supplementary group, if not 0 */
	bool in_userns;		/* As root of a user namespace of his own */
	const char *label;	/* Security label, if not NULL */
};

extern const struct someone root, alice, bob, alice_as_root;

/* Become @who: there is no way back. */
int become(const struct someone *who);
/* Be root of a new user namespace, where @id is mapped, with more namespaces. */
int enter_userns(unsigned int id, unsigned int other_namespaces);

/* Call @fn in a child: its value, 0 or -errno, is that of run_as(). */
int run_as(const struct someone *who, int (*fn)(void *arg), void *arg);
int do_nothing(void *arg);
bool have_userns(void);

/* For good, and with the same user and groups. */
int drop_caps(void);
/* Zeroes that children share with their parent; NULL on failure. */
void *shared_memory(size_t size);

#endif /* SELFTESTS_WATCH_QUEUE_PEOPLE_H */
