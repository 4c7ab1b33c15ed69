// SPDX-License-Identifier: GPL-2.0
/* Children that do something as somebody else. */

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>

#include "people.h"
#include "watch_queue.h"

const struct someone root = { .uid = 0 };
const struct someone alice = { .uid = ALICE };
const struct someone bob = { .uid = BOB };
const struct someone alice_as_root = { .uid = ALICE, .in_userns = true };

int enter_userns(unsigned int id, unsigned int other_namespaces)
{
	char map[32];
	int ret;

	if (unshare(CLONE_NEWUSER | other_namespaces))
		return -errno;
	snprintf(map, sizeof(map), "0 %u 1", id);
	ret = write_string("/proc/self/uid_map", map);
	if (!ret)
		ret = write_string("/proc/self/setgroups", "deny");
	if (!ret)
		ret = write_string("/proc/self/gid_map", map);
	return ret;
}

int become(const struct someone *who)
{
	gid_t group = who->group;
	int ret = 0;

	if (setgroups(who->group ? 1 : 0, &group) ||
	    setresgid(who->uid, who->uid, who->uid) ||
	    setresuid(who->uid, who->uid, who->uid))
		return -errno;
	/* What is in /proc/self now belongs to root otherwise. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
		return -errno;
	if (who->in_userns)
		ret = enter_userns(who->uid, 0);
	if (!ret && who->label)
		ret = write_string("/proc/self/attr/current", who->label);
	return ret;
}

int run_as(const struct someone *who, int (*fn)(void *arg), void *arg)
{
	int status, ret;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		ret = become(who);
		if (!ret)
			ret = fn(arg);
		_exit(-ret);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	return -WEXITSTATUS(status);
}

int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

bool have_userns(void)
{
	return run_as(&alice_as_root, do_nothing, NULL) == 0;
}

int drop_caps(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	return or_errno(syscall(__NR_capset, &header, data));
}

void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}
