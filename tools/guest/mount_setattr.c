// SPDX-License-Identifier: GPL-2.0
/* mount_setattr(2) for the demonstration: mount_setattr [-r] DIRECTORY ATTRIBUTE..., a "-" before one clears it. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/mount.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE	0x8000
#endif

static const struct {
	const char *name;
	unsigned long long attr;
} names[] = {
	{ "ro",		MOUNT_ATTR_RDONLY },
	{ "nosuid",	MOUNT_ATTR_NOSUID },
	{ "nodev",	MOUNT_ATTR_NODEV },
	{ "noexec",	MOUNT_ATTR_NOEXEC },
	{ "nodiratime",	MOUNT_ATTR_NODIRATIME },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW },
};

static unsigned long long attr_of(const char *name)
{
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i].name))
			return names[i].attr;
	errx(2, "no attribute %s", name);
}

int main(int argc, char **argv)
{
	struct mount_attr attr = {};
	unsigned int flags = 0;
	const char *directory;

	argv++;
	if (argc > 1 && !strcmp(*argv, "-r")) {
		flags = AT_RECURSIVE;
		argv++;
	}
	directory = *argv;
	if (!directory || !*++argv)
		errx(2, "usage: mount_setattr [-r] DIRECTORY ATTRIBUTE...");
	for (; *argv; argv++) {
		if (**argv == '-')
			attr.attr_clr |= attr_of(*argv + 1);
		else
			attr.attr_set |= attr_of(*argv);
	}
	if (syscall(__NR_mount_setattr, AT_FDCWD, directory, flags, &attr, sizeof(attr)))
		err(1, "%s", directory);
	return 0;
}
