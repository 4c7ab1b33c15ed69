/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The places that a task can be in, and children that go there.  All functions
 * return -errno on failure.
 */
#ifndef SELFTESTS_WATCH_QUEUE_PLACES_H
#define SELFTESTS_WATCH_QUEUE_PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * In each of them a task has some descriptors of what is outside, as if it had
 * been given them or had opened them before.
 */
enum place {
	ROOT,
	NO_CAPS,		/* Root without capabilities */
	USER,			/* Alice */
	USERNS,			/* Root of a user namespace of Alice's */
	CONTAINER,		/* The same in more namespaces, with another root */
	CHROOT,			/* Root in a chroot */
	CHROOT_USER,		/* Alice in a chroot */
	NR_PLACES,
};

extern const char * const place_names[NR_PLACES];

/*
 * Go into a new mount namespace, in a tmpfs that others may write to.  It has
 * the directory "jail": the root of a chroot, and where a container's root is
 * mounted.
 */
int prepare_places(void);
/* Go to a place, from there, and get a new session keyring. */
int enter(enum place place);
/* Does @ret of enter() say that the kernel has no such namespaces? */
bool no_namespaces(enum place place, int ret);

/*
 * A child that waits for calls of functions.  It begins with @fn, and fails if
 * that does; a visitor begins with enter().
 */
struct child {
	pid_t pid;
	int to, from;
};

int start_child(struct child *c, int (*fn)(void *arg), void *arg);
int start_visitor(struct child *c, enum place place);
/*
 * Let the child call @fn: its value.  What @arg points to is as it was when the
 * child started, unless it is shared memory.
 */
int call(struct child *c, int (*fn)(void *arg), void *arg);
void end_child(struct child *c);

int open_dir(const char *path);
/* A directory as /proc has it for the child: "root", "cwd/..." */
int open_of_child(const struct child *c, const char *what);

/* A key or keyring in the session keyring, of another user if @owner is not 0. */
int32_t make_key(const char *type, const char *name, unsigned int owner,
		 uint32_t perm);

#define USR_VIEW	0x00010000
#define OTH_VIEW	0x00000001

#endif /* SELFTESTS_WATCH_QUEUE_PLACES_H */
