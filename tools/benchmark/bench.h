/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks share: the clock, the objects that change, how results are told, and the
 * peers: the ways in which a program can learn of a change, each in a file of its own.
 *
 * All this runs in a VM that counts instructions: a nanosecond of its clock is one instruction.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
/* Instead of <fcntl.h> and <sys/mount.h>, which clash with the kernel's headers. */
#include <linux/fcntl.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/watch_queue.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Loads and stores of what is shared with the kernel. */
#define load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

/* Instructions since some time. */
static inline uint64_t now(void);

/*
 * Samples of one figure. A timer tick or a scan by the kernel may hit one of them, so what is told
 * is the median.
 */
struct samples {
	uint64_t value[512];
	unsigned int count;
};

void sample(struct samples *s, uint64_t begin);	/* From begin to now, less the clock's own cost */
uint64_t median(struct samples *s);		/* And starts again */
uint64_t least(struct samples *s);		/* The same */

/* Print a result: NAME [PARAMETER] VALUE. */
void result(const char *name, long parameter, uint64_t value);

void die(const char *what) __attribute__((noreturn));
/* Die unless the result of a system call is not negative. */
long check(long result, const char *what);

/* System calls for which no header without clashes has a prototype. */
int sys_open(const char *path, int flags);
int sys_mount(const char *source, const char *target, const char *type, unsigned long flags);
int sys_umount(const char *target, int flags);
long sys_keyctl(int cmd, long a, long b, long c, long d);
int ready(int fd);				/* poll() it, for as long as it takes */
bool more(int fd);				/* Is there anything now? */

/* The unique id of the mount that was last learnt of, by whichever way. */
extern volatile uint64_t learnt;

/* mounts.c: a mount namespace of our own with any number of mounts. */
#define PLACE		"/tmp/mounts"		/* A tmpfs that they are all in */
#define SPARE		PLACE "/spare"		/* The directory on which a mount comes and goes */
#define OTHER		PLACE "/other"		/* The one to which it is moved, and back */
void make_mounts(unsigned int count);
void mount_spare(void);
void umount_spare(void);
void move_spare(void);
uint64_t spare_id(void);			/* The unique id of the mount on SPARE */

/* keys.c */
int32_t make_key(unsigned int number);
void update_key(int32_t key);
void watch_key(int32_t key, int fd, int tag);
/* Have a queue take only records of this type, of the subtypes in the mask, and with the tag if not -1. */
void filter_queue(int fd, unsigned int type, unsigned int subtypes, int tag);

/* ring.c: /dev/watch_queue. */
struct ring {
	int fd;
	uint32_t tail, mask;			/* What is known here of the shared words */
	uint64_t lost;
	struct watch_queue_ring *shared;
};

void ring_open(struct ring *r, unsigned int pages);
void ring_close(struct ring *r);
void ring_watch_mounts(struct ring *r, const char *path);
/* Take all there is, as Documentation/userspace-api/watch_queue/device.rst has it; returns how many records. */
unsigned int ring_take(struct ring *r);

/* pipe.c: a notification pipe. */
struct pipe {
	int fd, write_fd;
};

void pipe_open(struct pipe *p, unsigned int notes);
void pipe_close(struct pipe *p);
unsigned int pipe_take(struct pipe *p, uint64_t *lost);

/* fanotify.c: a mark on the mount namespace. */
int fanotify_open(void);
unsigned int fanotify_take(int fd, uint64_t *lost);

/* mountinfo.c: /proc/self/mountinfo. */
int mountinfo_open(void);
int mountinfo_ready(int fd);			/* It is always readable: POLLPRI tells of a change */
unsigned int mountinfo_take(int fd);

/* statmount.c: listmount() and statmount(). */
unsigned int statmount_take(void);
uint64_t statmount_changes(void);		/* How many changes there have been, by one call */

/* bpf.c: a program that puts a record of 24 bytes into a BPF or a perf ring buffer. */
enum bpf_output { BPF_NONE, BPF_RINGBUF, BPF_PERF };
struct bpf {
	int map_fd, prog_fd, perf_fd;
	uint64_t pos;
	void *consumer, *producer;
};

bool bpf_open(struct bpf *b, enum bpf_output output, size_t bytes);
void bpf_close(struct bpf *b);
void bpf_post(struct bpf *b, unsigned int times);
unsigned int bpf_take(struct bpf *b);

/* trace.c: announce to the tracer what comes next: which function of the kernel, with records of which length. */
void trace_next(const char *name, const char *function, long length);

/* The benchmarks. */
void bench_learn(int argc, char **argv);
void bench_consume(int argc, char **argv);
void bench_post(int argc, char **argv);
void bench_fanout(int argc, char **argv);
void bench_storm(int argc, char **argv);
void bench_memory(int argc, char **argv);
void bench_burden(int argc, char **argv);
void bench_posters(int argc, char **argv);
void bench_trace(int argc, char **argv);

#include <time.h>
static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

#endif /* BENCH_H */
