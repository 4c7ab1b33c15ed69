// SPDX-License-Identifier: GPL-2.0
/* The places that a task can be in, and children that go there. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/mount.h>
#include <linux/sched.h>

#include "people.h"
#include "places.h"
#include "watch_queue.h"

const char * const place_names[NR_PLACES] = {
	"root", "root without capabilities", "user", "user namespace",
	"container", "chroot", "user in a chroot",
};

int prepare_places(void)
{
	return enter_tmp("mode=777") ?: or_errno(mkdir("jail", 0755));
}

/* A tmpfs of its own becomes the root, and nothing else is left. */
static int enter_container(void)
{
	int ret;

	ret = enter_userns(ALICE, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
			   CLONE_NEWNET | CLONE_NEWCGROUP);
	if (!ret)
		ret = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (!ret)
		ret = sys_mount("none", "jail", "tmpfs", 0, NULL);
	if (!ret && chdir("jail"))
		ret = -errno;
	if (!ret)
		ret = sys_pivot_root(".", ".");
	if (!ret)
		ret = sys_umount(".", MNT_DETACH);
	if (!ret && chdir("/"))
		ret = -errno;
	return ret;
}

int enter(enum place place)
{
	int ret;

	if ((place == CHROOT || place == CHROOT_USER) &&
	    (chroot("jail") || chdir("/")))
		return -errno;
	if (place == NO_CAPS) {
		ret = drop_caps();
	} else if (place == ROOT || place == CHROOT) {
		ret = 0;
	} else {
		ret = become(place == USERNS ? &alice_as_root : &alice);
		if (!ret && place == CONTAINER)
			ret = enter_container();
	}
	if (ret)
		return ret;
	/* A task may view what it possesses: here it shall possess nothing. */
	ret = join_new_session();
	return ret < 0 ? ret : 0;
}

bool no_namespaces(enum place place, int ret)
{
	return (place == USERNS || place == CONTAINER) &&
		(ret == -EINVAL || ret == -ENOSPC);
}

struct call {
	int (*fn)(void *arg);
	void *arg;
};

int call(struct child *c, int (*fn)(void *arg), void *arg)
{
	struct call call = { fn, arg };
	int ret;

	if (write(c->to, &call, sizeof(call)) != sizeof(call) ||
	    read(c->from, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

int start_child(struct child *c, int (*fn)(void *arg), void *arg)
{
	int to[2], from[2], ret;
	struct call next;

	ret = sys_pipe(to, O_CLOEXEC) ?: sys_pipe(from, O_CLOEXEC);
	if (ret)
		return ret;
	c->pid = fork();
	if (c->pid < 0)
		return -errno;
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		close(to[1]);
		ret = fn(arg);
		while (write(from[1], &ret, sizeof(ret)) == sizeof(ret) &&
		       read(to[0], &next, sizeof(next)) == sizeof(next))
			ret = next.fn(next.arg);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
	return read(c->from, &ret, sizeof(ret)) == sizeof(ret) ? ret : -EPIPE;
}

static int enter_fn(void *arg)
{
	const enum place *place = arg;

	return enter(*place);
}

int start_visitor(struct child *c, enum place place)
{
	return start_child(c, enter_fn, &place);
}

void end_child(struct child *c)
{
	if (c->pid <= 0)
		return;
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

int open_dir(const char *path)
{
	return sys_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int open_of_child(const struct child *c, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", c->pid, what);
	return open_dir(path);
}

int32_t make_key(const char *type, const char *name, unsigned int owner,
		 uint32_t perm)
{
	int32_t key;
	int ret = 0;

	key = add_key(type, name, strcmp(type, "keyring") ? "x" : NULL,
		      KEY_SPEC_SESSION_KEYRING);
	if (key < 0)
		return key;
	if (owner)
		ret = sys_keyctl(KEYCTL_CHOWN, key, owner, -1, 0);
	if (!ret)
		ret = sys_keyctl(KEYCTL_SETPERM, key, perm, 0, 0);
	return ret ?: key;
}
