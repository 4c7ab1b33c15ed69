// SPDX-License-Identifier: GPL-2.0
/*
 * A small keyctl for the VM: the operations that cause key notifications, by plain system calls, so that it links
 * statically without libkeyutils. Commands and arguments are those of keyctl(1).
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long key(const char *name)
{
	static const struct { const char *name; long id; } special[] = {
		{ "@t", KEY_SPEC_THREAD_KEYRING }, { "@p", KEY_SPEC_PROCESS_KEYRING },
		{ "@s", KEY_SPEC_SESSION_KEYRING }, { "@u", KEY_SPEC_USER_KEYRING },
		{ "@us", KEY_SPEC_USER_SESSION_KEYRING },
	};
	char *end;
	long id;

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (strcmp(name, special[i].name) == 0)
			return special[i].id;
	id = strtol(name, &end, 0);
	if (end == name || *end) {
		fprintf(stderr, "keyctl: %s: not a key\n", name);
		exit(2);
	}
	return id;
}

static long keyctl(int operation, long a, long b, long c)
{
	return syscall(SYS_keyctl, operation, a, b, c, 0);
}

static long run(int argc, char **argv)
{
	static const struct { const char *name; int operation, keys; } simple[] = {
		{ "link", KEYCTL_LINK, 2 }, { "unlink", KEYCTL_UNLINK, 2 }, { "clear", KEYCTL_CLEAR, 1 },
		{ "revoke", KEYCTL_REVOKE, 1 }, { "invalidate", KEYCTL_INVALIDATE, 1 },
	};
	const char *command = argv[1];
	long id;

	for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
		if (strcmp(command, simple[i].name) == 0 && argc == 2 + simple[i].keys)
			return keyctl(simple[i].operation, key(argv[2]), argc > 3 ? key(argv[3]) : 0, 0);

	if (strcmp(command, "add") == 0 && argc == 6) {
		id = syscall(SYS_add_key, argv[2], argv[3], argv[4], strlen(argv[4]), key(argv[5]));
	} else if (strcmp(command, "newring") == 0 && argc == 4) {
		id = syscall(SYS_add_key, "keyring", argv[2], NULL, 0, key(argv[3]));
	} else if (strcmp(command, "update") == 0 && argc == 4) {
		return keyctl(KEYCTL_UPDATE, key(argv[2]), (long)argv[3], strlen(argv[3]));
	} else if (strcmp(command, "setperm") == 0 && argc == 4) {
		return keyctl(KEYCTL_SETPERM, key(argv[2]), strtoul(argv[3], NULL, 0), 0);
	} else if (strcmp(command, "chown") == 0 && argc == 4) {
		return keyctl(KEYCTL_CHOWN, key(argv[2]), strtoul(argv[3], NULL, 0), -1);
	} else if (strcmp(command, "timeout") == 0 && argc == 4) {
		return keyctl(KEYCTL_SET_TIMEOUT, key(argv[2]), strtoul(argv[3], NULL, 0), 0);
	} else if (strcmp(command, "id") == 0 && argc == 3) {
		id = keyctl(KEYCTL_GET_KEYRING_ID, key(argv[2]), 1, 0);
	} else if (strcmp(command, "session") == 0 && argc >= 4) {
		/* session NAME COMMAND...: run it with a new session keyring */
		if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)argv[2], 0, 0) < 0)
			return -1;
		execvp(argv[3], argv + 3);
		return -1;
	} else {
		fprintf(stderr, "keyctl: no such command, or wrong arguments: %s\n", command);
		exit(2);
	}
	if (id >= 0)
		printf("%ld\n", id);
	return id;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: keyctl COMMAND [ARGUMENT]...\n");
		return 2;
	}
	if (run(argc, argv) < 0) {
		fprintf(stderr, "keyctl: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return 0;
}
