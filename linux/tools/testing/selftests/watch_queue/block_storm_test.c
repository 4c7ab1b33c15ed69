// SPDX-License-Identifier: GPL-2.0
/* Many errors at once, and watches that come and go with their devices. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "block_fixture.h"

/*
 * A storm of errors, from two processes, on a queue with little room: all of
 * them are seen or counted as lost, and the machine goes on to do other things.
 * BLOCK_STORM is how many there are.  A pipe does not count, so less will do.
 */
#define STORM_NODE	"disk"
#define PER_READ	256	/* As many requests as the disk makes of one read */

#define FIRST_READS	16	/* After so many the queue has no room */

static void make_storm(unsigned int reads, unsigned int *done)
{
	while (reads--) {
		if (do_io(STORM_NODE, IO_READ, 0, PER_READ * 8) != -EIO)
			_exit(1);
		__atomic_add_fetch(done, 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

static uint64_t milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

TEST_F_TIMEOUT(block, storm, 600)
{
	const unsigned int most = variant->kind == QUEUE_DEVICE ? 1000000 : 100000;
	const char *number = getenv("BLOCK_STORM");
	const unsigned int reads = (number ? atoi(number) : most) / (2 * PER_READ) + 1;
	const uint64_t total = 2ULL * reads * PER_READ;
	uint64_t seen = 0, lost = 0, start, now, worst = 0, begun;
	struct queue *q = &self->queue;
	unsigned int i, live = 2, losses = 0, *done;
	unsigned long long dev;
	pid_t pids[2];
	union record rec;
	int ret, status;

	ASSERT_LE(FIRST_READS, 2 * reads);
	done = shared_memory(sizeof(*done));
	ASSERT_NE(NULL, done);
	dev = disk_or_skip(_metadata, &self->disks[0], STORM_NODE,
			   "max_sectors=8");
	if (!dev)
		return;
	ASSERT_EQ(0, disk_set(&self->disks[0], "badblocks", "+0-2047"));
	ASSERT_EQ(0, watch_dev(STORM_NODE, q->fd, TAG));

	begun = milliseconds();
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			make_storm(reads, done);
		}
	}
	while (__atomic_load_n(done, __ATOMIC_RELAXED) < FIRST_READS)
		sleep_for(10);

	/* Read at leisure, and see how long it takes to wake up. */
	while (live || ret == 1) {
		ret = queue_next(q, &rec, 0);
		ASSERT_LE(0, ret);
		if (ret == 1 && rec_type(&rec) == WATCH_TYPE_META) {
			ASSERT_EQ(WATCH_META_LOSS_NOTIFICATION, rec_subtype(&rec));
			lost += rec.loss.nr_lost;
			losses++;
		} else if (ret == 1) {
			ASSERT_EQ(dev, record_dev(&rec));
			ASSERT_EQ(8, rec.block.nr_sectors);
			ASSERT_EQ(EIO, rec.block.error);
			seen++;
		}
		if (ret == 1 && (!live || seen % 32))
			continue;
		start = milliseconds();
		sleep_for(10);
		now = milliseconds();
		worst = MAX(worst, now - start);
		for (i = 0; live && i < 2; i++) {
			if (!pids[i] || waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			ASSERT_EQ(0, status);
			pids[i] = 0;
			live--;
			ret = 1;
		}
	}
	TH_LOG("%llu errors, %llu of them seen, in %llu ms; asleep for 10 ms: at most %llu",
	       (unsigned long long)total, (unsigned long long)seen,
	       (unsigned long long)(milliseconds() - begun), (unsigned long long)worst);

	ASSERT_LT(0, seen);
	ASSERT_LT(0, losses);
	ASSERT_GT(5000, worst);
	if (variant->kind == QUEUE_DEVICE) {
		ASSERT_EQ(total, seen + lost);
		ASSERT_EQ(lost, q->ring->lost);
	} else {
		ASSERT_GT(total, seen);
	}

	/* As if nothing had been. */
	ASSERT_EQ(-EIO, do_io(STORM_NODE, IO_READ, 40, 8));
	expect_io(_metadata, q, TAG, dev, OP_READ, 40, 8);
	expect_nothing(_metadata, q);
}

/*
 * Watches are set and removed while a partition and its disk come, fail and go.
 * Each reports its end, and nothing after that.
 */
struct churn {
	unsigned int added[2], gone[2], errors, lost;
};

static void read_churn(struct __test_metadata *_metadata, struct queue *q,
		       struct churn *c)
{
	union record rec;
	unsigned int tag;
	int ret;

	while ((ret = queue_next(q, &rec, 0)) == 1) {
		if (rec_type(&rec) == WATCH_TYPE_META &&
		    rec_subtype(&rec) == WATCH_META_LOSS_NOTIFICATION) {
			c->lost++;
			continue;
		}
		tag = rec_tag(&rec);
		ASSERT_GT(2, tag);
		if (!c->lost)
			ASSERT_LT(c->gone[tag], c->added[tag]);
		if (rec_type(&rec) == WATCH_TYPE_META) {
			ASSERT_EQ(WATCH_META_REMOVAL_NOTIFICATION, rec_subtype(&rec));
			c->gone[tag]++;
			continue;
		}
		ASSERT_EQ(WATCH_TYPE_BLOCK_NOTIFY, rec_type(&rec));
		ASSERT_EQ(tag ? 32 : 96, rec.block.sector);
		c->errors++;
	}
	ASSERT_EQ(0, ret);
}

/* -ENOENT if the node is just not there, -ENXIO if the device is not. */
static int change_watch(const char *node, int fd, int tag)
{
	int ret = watch_dev(node, fd, tag);

	return ret == -ENOENT || ret == -ENXIO ? -EAGAIN : ret;
}

static void make_churn(struct disk *disk)
{
	unsigned int i, n;

	for (i = 0; i < 15; i++) {
		if (disk_set(disk, "badblocks", "+100-101"))
			_exit(1);
		for (n = 0; n < 8; n++) {
			if (do_io("disk1", IO_READ, 32, 8) != -EIO ||
			    delete_partition("disk", 1) ||
			    add_part(disk, "disk", 1, 64, 64))
				_exit(2);
		}
		if (disk_remove(disk) || disk_set(disk, "power", "1") ||
		    add_part(disk, "disk", 1, 64, 64))
			_exit(3);
	}
	_exit(0);
}

TEST_F_TIMEOUT(block, churn, 300)
{
	static const char * const nodes[] = { "disk", "disk1" };
	struct queue *q = &self->queue, all;
	unsigned int i, n = 0, heard = 0;
	struct churn c = { };
	union record rec;
	int ret, status;
	pid_t pid;

	if (!disk_or_skip(_metadata, &self->disks[0], "disk",
			  "memory_backed=1 irqmode=2"))
		return;
	ASSERT_EQ(0, add_part(&self->disks[0], "disk", 1, 64, 64));
	ASSERT_EQ(0, queue_open(&all, variant->kind, variant->size));
	ASSERT_EQ(0, watch_all(all.fd, NEW_TAG));

	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		make_churn(&self->disks[0]);
	}

	while (waitpid(pid, &status, WNOHANG) == 0) {
		for (i = 0; i < 2; i++) {
			ret = change_watch(nodes[i], q->fd, i);
			ASSERT_TRUE(ret == 0 || ret == -EBUSY || ret == -EAGAIN);
			c.added[i] += ret == 0;
			if (++n % 5)
				continue;
			ret = change_watch(nodes[i], q->fd, -1);
			ASSERT_TRUE(ret == 0 || ret == -EBADSLT || ret == -EAGAIN);
		}
		read_churn(_metadata, q, &c);
		while ((ret = queue_next(&all, &rec, 0)) == 1)
			heard++;
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, status);

	for (i = 0; i < 2; i++) {
		ret = watch_dev(nodes[i], q->fd, -1);
		ASSERT_TRUE(ret == 0 || ret == -EBADSLT);
	}
	read_churn(_metadata, q, &c);
	ASSERT_LT(0, c.added[0]);
	ASSERT_LT(0, c.added[1]);
	ASSERT_LT(0, heard);
	if (!c.lost) {
		ASSERT_EQ(c.added[0], c.gone[0]);
		ASSERT_EQ(c.added[1], c.gone[1]);
	}
	queue_close(&all);
}

TEST_HARNESS_MAIN
