// SPDX-License-Identifier: GPL-2.0
/* Block devices of several kinds that fail. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <linux/blkpg.h>
#include <linux/blkzoned.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>

#include "blocks.h"
#include "disk.h"

#define SCSI_DRIVER	"/sys/bus/pseudo/drivers/scsi_debug"
#define SCSI_PARAMETERS	"/sys/module/scsi_debug/parameters"
#define MEDIUM_ERROR	"2"		/* In "opts" of scsi_debug */
#define DEBUGFS		"debugfs"
#define TRACEFS		"tracefs"
#define EVENT		"block_rq_error: "

int block_notify(int dfd, const char *path, unsigned int at_flags, int fd,
		 int tag)
{
	return or_errno(syscall(__NR_block_notify, dfd, path, at_flags, fd, tag));
}

/* Mount the filesystem @type at the directory of that name, if it is not yet. */
static int mount_once(const char *type)
{
	if (mkdir(type, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	return sys_mount("none", type, type, 0, NULL);
}

/* Memory that O_DIRECT takes, one page after the other. */
static uint8_t *io_buffer(void)
{
	static uint8_t buf[MAX_IO] __attribute__((aligned(4096)));

	return buf;
}

int do_read(int fd, uint64_t sector, unsigned int nr)
{
	long ret = pread(fd, io_buffer(), nr * SECTOR, sector * SECTOR);

	return ret < 0 ? -errno : ret == nr * SECTOR ? 0 : -EPROTO;
}

int do_io(const char *node, enum io io, uint64_t sector, unsigned int nr)
{
	uint64_t range[2] = { sector * SECTOR, (uint64_t)nr * SECTOR };
	struct blk_zone_range zones = { sector, nr };
	int flags = O_RDWR | O_CLOEXEC, fd;
	long ret = -EINVAL;

	if (range[1] > MAX_IO && io < IO_DISCARD)
		return -EINVAL;
	if (io != IO_WRITE_BACK)
		flags |= O_DIRECT;
	if (io == IO_WRITE_SYNC)
		flags |= O_DSYNC;
	fd = sys_open(node, flags);
	if (fd < 0)
		return fd;

	switch (io) {
	case IO_READ:
		ret = do_read(fd, sector, nr);
		break;
	case IO_WRITE:
	case IO_WRITE_SYNC:
	case IO_WRITE_BACK:
		ret = or_errno(pwrite(fd, io_buffer(), range[1], range[0]));
		if (ret == range[1] && io == IO_WRITE_BACK && fsync(fd) < 0)
			ret = -errno;
		break;
	case IO_FLUSH:
		ret = or_errno(fsync(fd));
		break;
	case IO_DISCARD:
		ret = or_errno(ioctl(fd, BLKDISCARD, range));
		break;
	case IO_ZERO:
		ret = or_errno(ioctl(fd, BLKZEROOUT, range));
		break;
	case IO_ZONE_OPEN:
		ret = or_errno(ioctl(fd, BLKOPENZONE, &zones));
		break;
	case IO_ZONE_RESET:
		ret = or_errno(ioctl(fd, BLKRESETZONE, &zones));
		break;
	}
	close(fd);
	if (ret > 0)
		ret = ret == range[1] ? 0 : -EPROTO;
	return ret;
}

static long get_events(aio_context_t ctx, unsigned int n, struct io_event *events)
{
#ifdef __NR_io_pgetevents_time64
	return or_errno(syscall(__NR_io_pgetevents_time64, ctx, (long)n, (long)n,
				events, NULL, NULL));
#else
	return or_errno(syscall(__NR_io_getevents, ctx, (long)n, (long)n, events,
				NULL));
#endif
}

int do_reads(struct one_read *reads, unsigned int n)
{
	struct io_event events[MAX_READS] = { };
	struct iocb iocbs[MAX_READS] = { };
	/* It goes with the process, for it takes its time to go. */
	static aio_context_t ctx;
	struct iocb *list[MAX_READS];
	uint8_t *buf = io_buffer();
	unsigned int i;
	long ret = 0;

	if (!ctx)
		ret = or_errno(syscall(__NR_io_setup, MAX_READS, &ctx));
	if (ret < 0)
		return ret;

	for (i = 0; i < n; i++) {
		iocbs[i].aio_lio_opcode = IOCB_CMD_PREAD;
		iocbs[i].aio_fildes = sys_open(reads[i].node,
					       O_RDONLY | O_DIRECT | O_CLOEXEC);
		iocbs[i].aio_buf = (unsigned long)buf;
		iocbs[i].aio_nbytes = reads[i].nr * SECTOR;
		iocbs[i].aio_offset = reads[i].sector * SECTOR;
		iocbs[i].aio_data = i;
		list[i] = &iocbs[i];
		buf += iocbs[i].aio_nbytes;
	}

	ret = or_errno(syscall(__NR_io_submit, ctx, (long)n, list));
	if (ret == n)
		ret = get_events(ctx, n, events);
	if (ret == n) {
		for (i = 0; i < n; i++)
			reads[events[i].data].result = events[i].res;
		ret = 0;
	} else if (ret >= 0) {
		ret = -EPROTO;
	}

	for (i = 0; i < n; i++)
		close(iocbs[i].aio_fildes);
	return ret;
}

unsigned long long device_number(const char *node)
{
	struct stat st;

	if (stat(node, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	return (unsigned long long)major(st.st_rdev) << 20 | minor(st.st_rdev);
}

static int blkpg(const char *node, int op, int nr, uint64_t sector,
		 uint64_t sectors)
{
	struct blkpg_partition partition = {
		.start = sector * SECTOR,
		.length = sectors * SECTOR,
		.pno = nr,
	};
	struct blkpg_ioctl_arg arg = {
		.op = op,
		.datalen = sizeof(partition),
		.data = &partition,
	};

	return ioctl_on(node, BLKPG, &arg);
}

int add_partition(const char *node, int nr, uint64_t sector, uint64_t sectors)
{
	return blkpg(node, BLKPG_ADD_PARTITION, nr, sector, sectors);
}

int resize_partition(const char *node, int nr, uint64_t sector, uint64_t sectors)
{
	return blkpg(node, BLKPG_RESIZE_PARTITION, nr, sector, sectors);
}

int delete_partition(const char *node, int nr)
{
	return blkpg(node, BLKPG_DEL_PARTITION, nr, 0, 0);
}

int reread_partitions(const char *node)
{
	return ioctl_on(node, BLKRRPART, NULL);
}

int set_block_attr(const char *name, const char *attr, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/block/%s/%s", name, attr);
	return write_string(path, value);
}

static int block_inject(const char *name, const char *what)
{
	char path[96];
	int ret;

	ret = mount_once(DEBUGFS);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), DEBUGFS "/block/%s/error_injection", name);
	return write_string(path, what);
}

int block_fail(const char *name, const char *op, const char *status)
{
	char what[64];

	snprintf(what, sizeof(what), "add,op=%s,status=%s", op, status);
	return block_inject(name, what);
}

int block_work(const char *name)
{
	return block_inject(name, "removeall");
}

/* Tracing */

static int trace_set(const struct trace *trace, const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", trace->dir, file);
	return write_string(path, value);
}

int trace_start(struct trace *trace)
{
	char path[96];
	int ret;

	trace->dir[0] = '\0';
	trace->pos = 0;
	trace->len = 0;
	ret = mount_once(TRACEFS);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), TRACEFS "/instances/watch_queue%d", getpid());
	if (mkdir(path, 0700) < 0)
		return -errno;
	strcpy(trace->dir, path);

	ret = trace_set(trace, "events/block/block_rq_error/enable", "1");
	if (!ret) {
		snprintf(path, sizeof(path), "%s/trace_pipe", trace->dir);
		ret = sys_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		trace->fd = ret;
	}
	if (ret < 0) {
		rmdir(trace->dir);
		trace->dir[0] = '\0';
	}
	return ret < 0 ? ret : 0;
}

static int trace_line(struct trace *trace, char **line)
{
	char *end;
	long ret;

	for (;;) {
		*line = trace->buf + trace->pos;
		end = memchr(*line, '\n', trace->len - trace->pos);
		if (end) {
			*end = '\0';
			trace->pos = end + 1 - trace->buf;
			return 1;
		}
		trace->len -= trace->pos;
		memmove(trace->buf, *line, trace->len);
		trace->pos = 0;
		ret = or_errno(read(trace->fd, trace->buf + trace->len,
				    sizeof(trace->buf) - trace->len));
		if (ret <= 0)
			return ret == -EAGAIN ? 0 : ret ?: -EPIPE;
		trace->len += ret;
	}
}

int trace_next(struct trace *trace, struct traced *traced)
{
	unsigned int major, minor;
	unsigned long long sector;
	char *line, *at;
	int ret;

	for (;;) {
		ret = trace_line(trace, &line);
		if (ret <= 0)
			return ret;
		if (strstr(line, "LOST"))
			return -EOVERFLOW;
		at = strstr(line, EVENT);
		if (!at)
			continue;
		memset(traced, 0, sizeof(*traced));
		if (sscanf(at + strlen(EVENT), "%u,%u %11s (%*[^)]) %llu + %u", &major,
			   &minor, traced->op, &sector, &traced->nr) != 5 &&
		    sscanf(at + strlen(EVENT), "%u,%u %11s () %llu + %u", &major,
			   &minor, traced->op, &sector, &traced->nr) != 5)
			return -EPROTO;
		at = strrchr(at, '[');
		if (!at || sscanf(at, "[%d]", &traced->error) != 1)
			return -EPROTO;
		traced->dev = (unsigned long long)major << 20 | minor;
		traced->sector = sector;
		return 1;
	}
}

void trace_stop(struct trace *trace)
{
	if (!trace->dir[0])
		return;
	trace_set(trace, "events/block/block_rq_error/enable", "0");
	close(trace->fd);
	rmdir(trace->dir);
	trace->dir[0] = '\0';
}

/* scsi_debug */

/* The entry of the directory @dir with that prefix and the highest number. */
static int find_last(const char *dir, const char *prefix, char *name, size_t size)
{
	size_t len = strlen(prefix);
	const struct dirent *entry;
	long nr, last = -1;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return -errno;
	while ((entry = readdir(d))) {
		if (strncmp(entry->d_name, prefix, len))
			continue;
		nr = strtol(entry->d_name + len, NULL, 10);
		if (nr <= last || strlen(entry->d_name) >= size)
			continue;
		last = nr;
		strcpy(name, entry->d_name);
	}
	closedir(d);
	return last < 0 ? -ENOENT : 0;
}

/* adapter%d/host%d/target%d:0:0/%d:0:0:0/block/%s */
static int scsi_find(struct scsi *scsi)
{
	static const char * const prefixes[] = { "adapter", "host", "target" };
	char path[512] = SCSI_DRIVER, name[32];
	unsigned int i, host;
	int ret;

	for (i = 0; i < 3; i++) {
		ret = find_last(path, prefixes[i], name, sizeof(name));
		if (ret)
			return ret;
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
	}
	if (sscanf(name, "target%u:", &host) != 1)
		return -EPROTO;
	snprintf(scsi->id, sizeof(scsi->id), "%u:0:0:0", host);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s/block",
		 scsi->id);
	return find_last(path, "sd", scsi->name, sizeof(scsi->name));
}

static int scsi_hosts(int delta)
{
	char value[16];

	snprintf(value, sizeof(value), "%d", delta);
	return write_string(SCSI_DRIVER "/add_host", value);
}

/* sd attaches in its own time, and the disk has no size before it is done. */
int scsi_add(struct scsi *scsi, const char *node)
{
	int ret, tries;

	memset(scsi, 0, sizeof(*scsi));
	ret = scsi_hosts(1);
	if (ret)
		return ret;
	scsi->live = true;

	for (tries = 0; tries < SOON / 10; tries++) {
		ret = scsi_find(scsi);
		if (!ret) {
			unlink(node);
			ret = make_node(scsi->name, node);
		}
		if (!ret)
			ret = do_io(node, IO_READ, 0, 8);
		if (!ret)
			return 0;
		sleep_for(10);
	}
	return ret;
}

int scsi_remove(struct scsi *scsi)
{
	if (!scsi->live)
		return 0;
	scsi->live = false;
	return scsi_hosts(-1);
}

static int scsi_inject(const struct scsi *scsi, const char *what)
{
	char path[96];
	int ret;

	ret = mount_once(DEBUGFS);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), DEBUGFS "/scsi_debug/%s/error", scsi->id);
	return write_string(path, what);
}

int scsi_fail(const struct scsi *scsi, unsigned int cmd,
	      const struct scsi_result *result)
{
	char what[64];

	/* Type 2 is that a command fails; a positive count does not count down. */
	snprintf(what, sizeof(what), "2 1 %x %x 0 %x %x %x %x", cmd, result->host,
		 result->status, result->key, result->asc, result->ascq);
	return scsi_inject(scsi, what);
}

int scsi_work(const struct scsi *scsi, unsigned int cmd)
{
	char what[16];

	snprintf(what, sizeof(what), "- 2 %x", cmd);
	return scsi_inject(scsi, what);
}

int scsi_bad_medium(unsigned int sector, unsigned int nr)
{
	char value[16];
	int ret;

	snprintf(value, sizeof(value), "%u", sector);
	ret = write_string(SCSI_PARAMETERS "/medium_error_start", value);
	if (ret)
		return ret;
	snprintf(value, sizeof(value), "%u", nr);
	ret = write_string(SCSI_PARAMETERS "/medium_error_count", value);
	if (ret)
		return ret;
	return write_string(SCSI_DRIVER "/opts", nr ? MEDIUM_ERROR : "0");
}

/* Loop devices */

int loop_add(const char *file, const char *node)
{
	struct loop_config config = { .block_size = SECTOR };
	int control, nr, fd, ret;
	char name[16];

	control = sys_open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return control;
	nr = or_errno(ioctl(control, LOOP_CTL_ADD, -1));
	close(control);
	if (nr < 0)
		return nr;

	snprintf(name, sizeof(name), "loop%d", nr);
	ret = make_node(name, node);
	if (!ret) {
		fd = sys_open(node, O_RDWR | O_CLOEXEC);
		config.fd = sys_open(file, O_RDWR | O_CLOEXEC);
		ret = or_errno(ioctl(fd, LOOP_CONFIGURE, &config));
		close(config.fd);
		close(fd);
	}
	if (ret)
		loop_remove(nr);
	return ret ?: nr;
}

/* Its file goes after the last close, and it may be opened by others too. */
int loop_remove(int nr)
{
	char node[32];
	int fd, ret, tries;

	snprintf(node, sizeof(node), "loop%d.remove", nr);
	mknod(node, S_IFBLK | 0600, makedev(7, nr));
	fd = sys_open(node, O_RDWR | O_CLOEXEC);
	unlink(node);
	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}

	fd = sys_open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	for (tries = 0; tries < SOON / 10; tries++) {
		ret = or_errno(ioctl(fd, LOOP_CTL_REMOVE, nr));
		if (ret != -EBUSY)
			break;
		sleep_for(10);
	}
	close(fd);
	return ret < 0 ? ret : 0;
}

/* The device mapper */

struct dm_request {
	struct dm_ioctl header;
	struct dm_target_spec target;
	char parameters[256];
};

static int dm_ioctl(struct dm_request *request, unsigned long command,
		    const char *name)
{
	struct dm_ioctl *header = &request->header;

	memset(header, 0, sizeof(*header));
	header->version[0] = DM_VERSION_MAJOR;
	header->data_size = sizeof(*request);
	header->data_start = sizeof(*header);
	header->target_count = command == DM_TABLE_LOAD;
	snprintf(header->name, sizeof(header->name), "%s", name);
	return ioctl_on("/dev/mapper/control", command, header);
}

/* @table is one line: start, length, target, parameters. */
int dm_create(const char *name, const char *table, const char *node)
{
	struct dm_request request = { };
	unsigned long long start, length;
	char disk[16], target[16];
	int used, ret;

	if (sscanf(table, "%llu %llu %15s %n", &start, &length, target, &used) != 3)
		return -EINVAL;
	ret = dm_ioctl(&request, DM_DEV_CREATE, name);
	if (ret)
		return ret;
	request.target.sector_start = start;
	request.target.length = length;
	strcpy(request.target.target_type, target);
	snprintf(request.parameters, sizeof(request.parameters), "%s", table + used);
	ret = dm_ioctl(&request, DM_TABLE_LOAD, name);
	/* Without a flag this is what puts the table into use. */
	if (!ret)
		ret = dm_ioctl(&request, DM_DEV_SUSPEND, name);
	if (!ret) {
		snprintf(disk, sizeof(disk), "dm-%u",
			 (unsigned int)(request.header.dev & 0xff) |
			 (unsigned int)(request.header.dev >> 12 & 0xfff00));
		ret = make_node(disk, node);
	}
	if (ret)
		dm_remove(name);
	return ret;
}

int dm_remove(const char *name)
{
	struct dm_request request = { };

	return dm_ioctl(&request, DM_DEV_REMOVE, name);
}

/* Mirrors */

int mirror_create(const char *const members[2], const char *node)
{
	mdu_array_info_t array = {
		.level = 1,
		.size = 1024,
		.nr_disks = 2,
		.raid_disks = 2,
		.not_persistent = 1,
		.state = 1 << MD_SB_CLEAN,
	};
	mdu_disk_info_t disk = { };
	int number, fd = -1, i, ret;
	struct stat st;

	/* Opening the node makes the device, but not if it is of an old name. */
	for (number = 120; number < 128; number++) {
		unlink(node);
		if (mknod(node, S_IFBLK | 0600, makedev(MD_MAJOR, number)) < 0)
			return -errno;
		fd = sys_open(node, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return fd;
		if (ioctl(fd, SET_ARRAY_INFO, &array) == 0)
			break;
		ret = -errno;
		close(fd);
		if (ret != -EBUSY)
			return ret;
	}
	if (number == 128)
		return -EBUSY;

	for (i = 0, ret = 0; i < 2 && !ret; i++) {
		if (stat(members[i], &st) < 0) {
			ret = -errno;
			break;
		}
		disk.number = i;
		disk.raid_disk = i;
		disk.major = major(st.st_rdev);
		disk.minor = minor(st.st_rdev);
		disk.state = 1 << MD_DISK_ACTIVE | 1 << MD_DISK_SYNC;
		ret = or_errno(ioctl(fd, ADD_NEW_DISK, &disk));
	}
	if (!ret)
		ret = or_errno(ioctl(fd, RUN_ARRAY, NULL));
	close(fd);
	if (ret)
		mirror_remove(node);
	return ret;
}

int mirror_remove(const char *node)
{
	return ioctl_on(node, STOP_ARRAY, NULL);
}
