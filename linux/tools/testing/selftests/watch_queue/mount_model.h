/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of what is below a mount watch, which is kept up to date from the
 * watch's records alone.
 */
#ifndef SELFTESTS_WATCH_QUEUE_MOUNT_MODEL_H
#define SELFTESTS_WATCH_QUEUE_MOUNT_MODEL_H

#include "mounts.h"

/* A watch, and what its records say of the mounts below it. */
#define MAX_RECORDS	1024

struct model {
	uint64_t mount;		/* The mount that is watched */
	const char *dir;	/* The watched directory; NULL if it is the root of the mount */
	unsigned int tag;
	bool removed;		/* The watch is gone */
	bool lost;		/* Records were lost */
	bool rescan;		/* A record asks for a new listing */
	bool expects_rescan;	/* One that does is about to come */
	unsigned int nr;
	struct mnt mnts[MAX_MOUNTS];
	/* Of the last operation: */
	unsigned int nr_records;
	struct mount_notification records[MAX_RECORDS];
};

void model_start(struct model *m, const struct listing *l);
/* Each returns what is wrong, or NULL. */
const char *model_read(struct model *m, struct queue *q);
const char *model_await_rescan(struct model *m, struct queue *q);
const char *model_compare(struct model *m, const struct listing *l);
void model_print(const struct model *m, const struct listing *l);
void print_record(const struct mount_notification *n);

#endif /* SELFTESTS_WATCH_QUEUE_MOUNT_MODEL_H */
