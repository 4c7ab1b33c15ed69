// SPDX-License-Identifier: GPL-2.0
/*
 * A small dmsetup for the VM: devices of one target, by plain ioctls, so that it links statically without
 * libdevmapper. Commands and arguments are those of dmsetup(8):
 *	dmsetup create NAME --table "START LENGTH TARGET [PARAMETER]..."	prints the device
 *	dmsetup load NAME --table TABLE
 *	dmsetup resume NAME	also takes the table that was loaded into use
 *	dmsetup remove NAME
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static struct {
	struct dm_ioctl header;
	struct dm_target_spec target;
	char parameters[256];
} request;

static int control;

static void wrong(void)
{
	fprintf(stderr, "usage: dmsetup {create|load} NAME --table TABLE\n       dmsetup {resume|remove} NAME\n");
	exit(2);
}

static int dm(unsigned long command, const char *name)
{
	struct dm_ioctl *header = &request.header;

	memset(header, 0, sizeof(*header));
	header->version[0] = DM_VERSION_MAJOR;
	header->data_size = sizeof(request);
	header->data_start = sizeof(*header);
	header->target_count = command == DM_TABLE_LOAD;
	snprintf(header->name, sizeof(header->name), "%s", name);
	return ioctl(control, command, header);
}

static int load(const char *name, const char *table)
{
	unsigned long long start, length;
	char target[DM_MAX_TYPE_NAME];
	int used;

	if (sscanf(table, "%llu %llu %15s %n", &start, &length, target, &used) != 3 ||
	    strlen(table + used) >= sizeof(request.parameters))
		wrong();
	memset(&request, 0, sizeof(request));
	request.target.sector_start = start;
	request.target.length = length;
	strcpy(request.target.target_type, target);
	strcpy(request.parameters, table + used);
	return dm(DM_TABLE_LOAD, name);
}

static int create(const char *name, const char *table)
{
	if (dm(DM_DEV_CREATE, name) < 0)
		return -1;
	if (load(name, table) < 0 || dm(DM_DEV_SUSPEND, name) < 0) {
		int error = errno;

		dm(DM_DEV_REMOVE, name);
		errno = error;
		return -1;
	}
	printf("/dev/dm-%u\n", minor(request.header.dev));
	return 0;
}

static int run(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[3], "--table") == 0) {
		if (strcmp(argv[1], "create") == 0)
			return create(argv[2], argv[4]);
		if (strcmp(argv[1], "load") == 0)
			return load(argv[2], argv[4]);
	} else if (argc == 3) {
		/* The ioctl resumes if DM_SUSPEND_FLAG is not set. */
		if (strcmp(argv[1], "resume") == 0)
			return dm(DM_DEV_SUSPEND, argv[2]);
		if (strcmp(argv[1], "remove") == 0)
			return dm(DM_DEV_REMOVE, argv[2]);
	}
	wrong();
	return -1;
}

int main(int argc, char **argv)
{
	control = open("/dev/mapper/control", O_RDWR);
	if (control < 0 || run(argc, argv) < 0) {
		fprintf(stderr, "dmsetup: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
