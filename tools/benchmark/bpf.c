// SPDX-License-Identifier: GPL-2.0
/*
 * A BPF program, written by hand, that puts a record of 24 bytes into a BPF ring buffer or into a
 * perf ring buffer, and is run by BPF_PROG_TEST_RUN. One that does neither tells what the rest costs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include "bench.h"

#define INSN(c, dst, src, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (dst), .src_reg = (src), .off = (o), .imm = (i) })
#define MOV64_REG(dst, src)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MOV64_IMM(dst, imm)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define ADD64_IMM(dst, imm)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define ST64_IMM(dst, off, imm)	INSN(BPF_ST | BPF_MEM | BPF_DW, dst, 0, off, imm)
#define LD_MAP_FD(dst, fd) \
	INSN(BPF_LD | BPF_DW | BPF_IMM, dst, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define CALL(function)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define EXIT()			INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* The record lies on the stack of the program. */
#define RECORD()	ST64_IMM(10, -24, 1), ST64_IMM(10, -16, 2), ST64_IMM(10, -8, 3)

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static int create_map(unsigned int type, unsigned int key, unsigned int value, unsigned int entries)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = key,
		.value_size = value,
		.max_entries = entries,
	};

	return sys_bpf(BPF_MAP_CREATE, &attr);
}

static int load(const struct bpf_insn *insns, unsigned int count)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)insns,
		.insn_cnt = count,
		.license = (uintptr_t)"GPL",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* A perf ring buffer that programs write to, and its place in the map that they know it by. */
static int open_perf(struct bpf *b, size_t bytes)
{
	struct perf_event_attr perf = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(perf),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.watermark = 1,
		.wakeup_watermark = bytes,
	};
	uint32_t cpu = 0;
	union bpf_attr attr = { .map_fd = b->map_fd, .key = (uintptr_t)&cpu };

	b->perf_fd = syscall(__NR_perf_event_open, &perf, -1, 0, -1, 0);
	if (b->perf_fd < 0)
		return -1;
	b->consumer = mmap(NULL, bytes + sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
			   b->perf_fd, 0);
	if (b->consumer == MAP_FAILED)
		return -1;
	attr.value = (uintptr_t)&b->perf_fd;
	return sys_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* False if this kernel has no such thing. */
bool bpf_open(struct bpf *b, enum bpf_output output, size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);

	memset(b, 0, sizeof(*b));
	b->map_fd = b->perf_fd = -1;
	switch (output) {
	case BPF_NONE: {
		const struct bpf_insn program[] = {
			RECORD(),
			MOV64_IMM(0, 0),
			EXIT(),
		};
		b->prog_fd = load(program, ARRAY_SIZE(program));
		break;
	}
	case BPF_RINGBUF: {
		b->map_fd = create_map(BPF_MAP_TYPE_RINGBUF, 0, 0, bytes);
		const struct bpf_insn program[] = {
			RECORD(),
			LD_MAP_FD(1, b->map_fd),
			MOV64_REG(2, 10),
			ADD64_IMM(2, -24),
			MOV64_IMM(3, 24),
			MOV64_IMM(4, 0),
			CALL(BPF_FUNC_ringbuf_output),
			MOV64_IMM(0, 0),
			EXIT(),
		};
		b->prog_fd = load(program, ARRAY_SIZE(program));
		b->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, b->map_fd, 0);
		b->producer = mmap(NULL, page + 2 * bytes, PROT_READ, MAP_SHARED, b->map_fd, page);
		break;
	}
	case BPF_PERF: {
		b->map_fd = create_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1);
		const struct bpf_insn program[] = {
			RECORD(),
			LD_MAP_FD(2, b->map_fd),
			MOV64_IMM(3, 0),
			MOV64_REG(4, 10),
			ADD64_IMM(4, -24),
			MOV64_IMM(5, 24),
			CALL(BPF_FUNC_perf_event_output),
			MOV64_IMM(0, 0),
			EXIT(),
		};
		if (open_perf(b, bytes) < 0)
			return false;
		b->prog_fd = load(program, ARRAY_SIZE(program));
		break;
	}
	}
	return b->prog_fd >= 0;
}

void bpf_close(struct bpf *b)
{
	close(b->prog_fd);
	if (b->map_fd >= 0)
		close(b->map_fd);
	if (b->perf_fd >= 0)
		close(b->perf_fd);
}

void bpf_post(struct bpf *b, unsigned int times)
{
	char packet[64] = "", out[64];
	union bpf_attr attr = { .test = {
		.prog_fd = b->prog_fd,
		.data_in = (uintptr_t)packet,
		.data_size_in = sizeof(packet),
		.data_out = (uintptr_t)out,
		.data_size_out = sizeof(out),
		.repeat = times,
	} };

	check(sys_bpf(BPF_PROG_TEST_RUN, &attr), "BPF_PROG_TEST_RUN");
}

/* Take all that is in a BPF ring buffer. */
static unsigned int ringbuf_take(struct bpf *b)
{
	const char *data = (const char *)b->producer + sysconf(_SC_PAGESIZE);
	uint64_t *consumer = b->consumer, *producer = b->producer;
	uint64_t end = load_acquire(producer), pos = b->pos, mask = 0xffff;
	static volatile uint64_t first;
	unsigned int records = 0;

	while (pos < end) {
		const uint32_t *header = (const void *)(data + (pos & mask));
		uint32_t length = load_acquire(header);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
			first = *(const uint64_t *)(header + 2);
			records++;
		}
		pos += ((length & ~BPF_RINGBUF_DISCARD_BIT) + BPF_RINGBUF_HDR_SZ + 7) & ~7u;
	}
	b->pos = pos;
	store_release(consumer, pos);
	(void)first;
	return records;
}

/* Take all that is in a perf ring buffer: each sample has its header, a size and the record. */
static unsigned int perf_take(struct bpf *b)
{
	struct perf_event_mmap_page *shared = b->consumer;
	const char *data = (const char *)shared + shared->data_offset;
	uint64_t end = load_acquire(&shared->data_head), tail = shared->data_tail;
	uint64_t mask = shared->data_size - 1;
	static volatile uint64_t first;
	unsigned int records = 0;

	while (tail < end) {
		const struct perf_event_header *header = (const void *)(data + (tail & mask));

		if (header->type == PERF_RECORD_SAMPLE) {
			first = *(const uint32_t *)(data + ((tail + sizeof(*header) + 4) & mask));
			records++;
		}
		tail += header->size;
	}
	store_release(&shared->data_tail, tail);
	(void)first;
	return records;
}

unsigned int bpf_take(struct bpf *b)
{
	return b->perf_fd >= 0 ? perf_take(b) : ringbuf_take(b);
}
