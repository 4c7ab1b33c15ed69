/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of block device watches share: the system call, the records,
 * devices of several kinds that fail, and what the tracepoint says of it.
 * All functions return -errno on failure.  The current directory must be one
 * where device nodes work; what has to be mounted is mounted there.
 */
#ifndef SELFTESTS_WATCH_QUEUE_BLOCKS_H
#define SELFTESTS_WATCH_QUEUE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_VIEWS	struct block_notification block

#include "watch_queue.h"

int block_notify(int dfd, const char *path, unsigned int at_flags, int fd,
		 int tag);

#define SECTOR		512

/* What is done to a device, past the page cache except for IO_WRITE_BACK. */
enum io {
	IO_READ,
	IO_WRITE,
	IO_WRITE_SYNC,		/* Followed by a flush, or with FUA */
	IO_WRITE_BACK,		/* By way of the cache, with fsync() */
	IO_FLUSH,
	IO_DISCARD,
	IO_ZERO,
	IO_ZONE_OPEN,
	IO_ZONE_RESET,
};

#define MAX_IO		(1024 * 1024)	/* Bytes */

int do_io(const char *node, enum io io, uint64_t sector, unsigned int nr);
/* Of what is open with O_DIRECT. */
int do_read(int fd, uint64_t sector, unsigned int nr);

/* Several reads that are submitted together, so that they can be merged. */
#define MAX_READS	8

struct one_read {
	const char *node;
	uint64_t sector;
	unsigned int nr;
	int result;		/* Bytes, or -errno */
};

int do_reads(struct one_read *reads, unsigned int n);

unsigned long long device_number(const char *node);	/* major << 20 | minor, or 0 */

int add_partition(const char *node, int nr, uint64_t sector, uint64_t sectors);
int resize_partition(const char *node, int nr, uint64_t sector, uint64_t sectors);
int delete_partition(const char *node, int nr);
/* Have the kernel read the table of partitions. */
int reread_partitions(const char *node);

/* Write to /sys/block/@name/@attr. */
int set_block_attr(const char *name, const char *attr, const char *value);

/*
 * Have the block layer fail what is submitted to the disk @name, before it gets
 * there, with the status that the kernel calls BLK_STS_@status; no longer.
 */
int block_fail(const char *name, const char *op, const char *status);
int block_work(const char *name);

/* The tracepoint block_rq_error, with an instance of tracefs of its own. */
struct trace {
	char dir[64];		/* Empty if there is none */
	int fd;
	unsigned int pos, len;
	char buf[4096];
};

struct traced {
	unsigned long long dev;	/* major << 20 | minor */
	uint64_t sector;
	uint32_t nr;
	int error;
	char op[12];		/* As blktrace has it */
};

int trace_start(struct trace *trace);
/* 1, or 0 if there is none.  All that has happened is there. */
int trace_next(struct trace *trace, struct traced *traced);
void trace_stop(struct trace *trace);

/* A disk of a scsi_debug host, which comes and goes with it. */
struct scsi {
	bool live;
	char name[32];		/* In /sys/block */
	char id[32];		/* H:C:T:L */
};

int scsi_add(struct scsi *scsi, const char *node);
/* Let commands with the code @cmd fail from now on; no longer. */
struct scsi_result {
	unsigned int host, status, key, asc, ascq;
};

int scsi_fail(const struct scsi *scsi, unsigned int cmd,
	      const struct scsi_result *result);
int scsi_work(const struct scsi *scsi, unsigned int cmd);
/* Sectors that cannot be read, or none, of all scsi_debug disks. */
int scsi_bad_medium(unsigned int sector, unsigned int nr);
int scsi_remove(struct scsi *scsi);

/* A loop device: its number.  Its file need not be kept open. */
int loop_add(const char *file, const char *node);
int loop_remove(int nr);

/* The device mapper. */
int dm_create(const char *name, const char *table, const char *node);
int dm_remove(const char *name);

/* A mirror of two devices of 1 MiB, without anything about it on them. */
int mirror_create(const char *const members[2], const char *node);
int mirror_remove(const char *node);

#endif /* SELFTESTS_WATCH_QUEUE_BLOCKS_H */
