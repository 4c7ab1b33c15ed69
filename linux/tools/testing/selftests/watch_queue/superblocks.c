// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of superblock watches share.  The filesystems are simple enough
 * to be written by hand: the tests need to know which block holds what.
 */

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/mount.h>

#include "superblocks.h"

int sb_notify(int dfd, const char *path, unsigned int at_flags, int fd, int tag)
{
	return or_errno(syscall(__NR_sb_notify, dfd, path, at_flags, fd, tag));
}

int touch_sb(const char *path)
{
	static const char * const flags[] = { "lazytime", "nolazytime" };
	unsigned int i;
	int fd, ret;

	fd = or_errno(syscall(__NR_fspick, AT_FDCWD, path, FSPICK_CLOEXEC));
	if (fd < 0)
		return fd;
	for (i = 0, ret = 0; i < 2 && !ret; i++) {
		ret = or_errno(syscall(__NR_fsconfig, fd, FSCONFIG_SET_FLAG, flags[i],
				       NULL, 0));
		if (!ret)
			ret = or_errno(syscall(__NR_fsconfig, fd,
					       FSCONFIG_CMD_RECONFIGURE, NULL,
					       NULL, 0));
	}
	close(fd);
	return ret;
}

#define BLOCK_SIZE	1024
#define NR_BLOCKS	1024
#define NR_INODES	32
#define INODE_SIZE	256

/* The other blocks. */
enum {
	BLOCK_SUPER	= 1,
	BLOCK_GROUP	= 2,
	BLOCK_INO_MAP	= 4,
	BLOCK_INODES	= 5,	/* 8 of them */
	BLOCK_ROOT	= 13,
	BLOCK_QUOTA	= 16,	/* 2 for each type */
	BLOCK_FREE	= 22,
};

/* The other inodes. */
enum {
	ROOT_INO	= 2,
	USER_QUOTA_INO	= 3,
	GROUP_QUOTA_INO	= 4,
	PROJ_QUOTA_INO	= 11,
	FREE_INO	= 14,	/* And those that follow */
};

static uint8_t image[32 * BLOCK_SIZE];

static uint8_t *block(unsigned int nr)
{
	return image + nr * BLOCK_SIZE;
}

static void put16(uint8_t *p, unsigned int offset, uint16_t value)
{
	value = htole16(value);
	memcpy(p + offset, &value, sizeof(value));
}

static void put32(uint8_t *p, unsigned int offset, uint32_t value)
{
	value = htole32(value);
	memcpy(p + offset, &value, sizeof(value));
}

/* The first @used bits of a bitmap, and all from @size on. */
static void put_bitmap(uint8_t *map, unsigned int used, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < BLOCK_SIZE * 8; i++) {
		if (i < used || i >= size)
			map[i / 8] |= 1 << i % 8;
	}
}

static void put_super(bool quota)
{
	uint8_t *s = block(BLOCK_SUPER);

	put32(s, 0x00, NR_INODES);
	put32(s, 0x04, NR_BLOCKS);
	put32(s, 0x0c, NR_BLOCKS - BLOCK_FREE);
	put32(s, 0x10, NR_INODES + 1 - FREE_INO);
	put32(s, 0x14, BLOCK_SUPER);		/* s_first_data_block */
	put32(s, 0x20, BLOCK_SIZE * 8);		/* s_blocks_per_group */
	put32(s, 0x24, BLOCK_SIZE * 8);		/* s_clusters_per_group */
	put32(s, 0x28, NR_INODES);		/* s_inodes_per_group */
	put16(s, 0x36, 0xffff);			/* s_max_mnt_count: none */
	put16(s, 0x38, 0xef53);			/* s_magic */
	put16(s, 0x3a, 1);			/* s_state: clean */
	put16(s, 0x3c, 1);			/* s_errors: continue */
	put32(s, 0x4c, 1);			/* s_rev_level */
	put32(s, 0x54, PROJ_QUOTA_INO);		/* s_first_ino */
	put16(s, 0x58, INODE_SIZE);
	put32(s, 0x60, 0x2);			/* INCOMPAT_FILETYPE */
	memset(s + 0x68, 0x5a, 16);		/* s_uuid */
	put16(s, 0x15c, 32);			/* s_min_extra_isize */
	put16(s, 0x15e, 32);			/* s_want_extra_isize */
	if (quota) {
		put32(s, 0x64, 0x2100);		/* RO_COMPAT_{QUOTA,PROJECT} */
		put32(s, 0x240, USER_QUOTA_INO);
		put32(s, 0x244, GROUP_QUOTA_INO);
		put32(s, 0x26c, PROJ_QUOTA_INO);
	}
}

static void put_group(void)
{
	uint8_t *g = block(BLOCK_GROUP);

	put32(g, 0, BLOCK_BITMAP);
	put32(g, 4, BLOCK_INO_MAP);
	put32(g, 8, BLOCK_INODES);
	put16(g, 12, NR_BLOCKS - BLOCK_FREE);
	put16(g, 14, NR_INODES + 1 - FREE_INO);
	put16(g, 16, 3);			/* Directories */
	/* The first bit is of the first data block, and of inode 1. */
	put_bitmap(block(BLOCK_BITMAP), BLOCK_FREE - 1, NR_BLOCKS - 1);
	put_bitmap(block(BLOCK_INO_MAP), FREE_INO - 1, NR_INODES);
}

static uint8_t *put_inode(unsigned int ino, uint16_t mode, uint16_t links,
			  unsigned int first, unsigned int blocks)
{
	uint8_t *i = block(BLOCK_INODES) + (ino - 1) * INODE_SIZE;
	unsigned int n;

	put16(i, 0x00, mode);
	put32(i, 0x04, blocks * BLOCK_SIZE);
	put16(i, 0x1a, links);
	put32(i, 0x1c, blocks * (BLOCK_SIZE / 512));
	for (n = 0; n < blocks; n++)
		put32(i, 0x28 + 4 * n, first + n);
	put32(i, 0x64, GENERATION(ino));
	put16(i, 0x80, 32);			/* i_extra_isize */
	return i;
}

static unsigned int put_entry(uint8_t *b, unsigned int at, unsigned int ino,
			      unsigned int len, const char *name)
{
	put32(b, at, ino);
	put16(b, at + 4, len);
	b[at + 6] = strlen(name);
	b[at + 7] = 2;				/* A directory */
	memcpy(b + at + 8, name, strlen(name));
	return at + len;
}

static void put_dirs(bool quota)
{
	uint8_t *b, *i;
	unsigned int at;

	i = put_inode(ROOT_INO, S_IFDIR | 0777, 4, BLOCK_ROOT, 1);
	if (quota) {
		put32(i, 0x20, 0x20000000);	/* EXT4_PROJINHERIT_FL */
		put32(i, 0x9c, PROJECT);	/* i_projid */
	}
	b = block(BLOCK_ROOT);
	at = put_entry(b, 0, ROOT_INO, 12, ".");
	at = put_entry(b, at, ROOT_INO, 12, "..");
	at = put_entry(b, at, DIR_INO, 12, "dir");
	put_entry(b, at, BAD_DIR_INO, BLOCK_SIZE - at, "bad");

	put_inode(DIR_INO, S_IFDIR | 0777, 2, BLOCK_DIR, 1);
	b = block(BLOCK_DIR);
	at = put_entry(b, 0, DIR_INO, 12, ".");
	put_entry(b, at, ROOT_INO, BLOCK_SIZE - at, "..");

	put_inode(BAD_DIR_INO, S_IFDIR | 0777, 2, BLOCK_BAD_DIR, 1);
	b = block(BLOCK_BAD_DIR);
	at = put_entry(b, 0, BAD_DIR_INO, 12, ".");
	at = put_entry(b, at, ROOT_INO, 12, "..");
	/* No entry ends where no other can begin. */
	put_entry(b, at, DIR_INO, 13, "x");
}

/* Quota files of version 1 without an entry. */
static void put_quotas(void)
{
	static const struct {
		unsigned int ino;
		uint32_t magic;
	} types[] = {
		{ USER_QUOTA_INO, 0xd9c01f11 },
		{ GROUP_QUOTA_INO, 0xd9c01927 },
		{ PROJ_QUOTA_INO, 0xd9c03f14 },
	};
	unsigned int i;
	uint8_t *b;

	for (i = 0; i < 3; i++) {
		put_inode(types[i].ino, S_IFREG | 0600, 1, BLOCK_QUOTA + 2 * i, 2);
		b = block(BLOCK_QUOTA + 2 * i);
		put32(b, 0, types[i].magic);
		put32(b, 4, 1);
		put32(b, 8, 7 * 24 * 3600);	/* Grace, blocks and inodes */
		put32(b, 12, 7 * 24 * 3600);
		put32(b, 20, 2);		/* Blocks of the file */
	}
}

/* Write the image to DISK_NODE. */
static int write_image(void)
{
	int fd, ret = 0;

	fd = sys_open(DISK_NODE, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (write(fd, image, sizeof(image)) != sizeof(image) || fsync(fd) < 0)
		ret = -EIO;
	close(fd);
	return ret;
}

/* An ext4, which is also an ext2. */
int disk_make_fs(bool quota)
{
	memset(image, 0, sizeof(image));
	put_super(quota);
	put_group();
	put_dirs(quota);
	if (quota)
		put_quotas();
	return write_image();
}

/*
 * FAT of 12 bits and exFAT, both with clusters of one sector, of which the disk
 * has 2048.  The file has a size of several, but the entry of its first one in
 * the table says that this is free.
 */
#define SECTOR_SIZE	512
#define NR_SECTORS	2048
#define BAD_SIZE	(8 * SECTOR_SIZE)

static uint8_t *sector(unsigned int nr)
{
	return image + nr * SECTOR_SIZE;
}

int disk_make_fat(void)
{
	enum { TABLE = 1, TABLE_SECTORS = 7, ROOT = TABLE + TABLE_SECTORS };
	uint8_t *b = image;

	memset(image, 0, sizeof(image));
	memcpy(b, "\xeb\x3c\x90mkfs.fat", 11);
	put16(b, 11, SECTOR_SIZE);
	b[13] = 1;			/* Sectors in a cluster */
	put16(b, 14, TABLE);		/* Reserved sectors */
	b[16] = 1;			/* Tables */
	put16(b, 17, 16);		/* Entries in the root */
	put16(b, 19, NR_SECTORS);
	b[21] = 0xf8;			/* A hard disk */
	put16(b, 22, TABLE_SECTORS);
	put16(b, 510, 0xaa55);
	memcpy(sector(TABLE), "\xf8\xff\xff", 3);

	b = sector(ROOT);
	memcpy(b, "BAD        ", 11);
	b[11] = 0x20;			/* A file */
	put16(b, 26, 2);		/* Its first cluster */
	put32(b, 28, BAD_SIZE);
	return write_image();
}

/* The checksums of exFAT. */
static uint32_t exfat_sum(uint32_t sum, uint8_t byte)
{
	return ((sum << 31) | (sum >> 1)) + byte;
}

static uint16_t exfat_hash(uint16_t hash, uint8_t byte)
{
	return ((hash << 15) | (hash >> 1)) + byte;
}

static void put_exfat_boot(unsigned int table, unsigned int table_sectors,
			   unsigned int clusters)
{
	uint32_t sum = 0;
	uint8_t *b = image;
	unsigned int i;

	memcpy(b, "\xeb\x76\x90", 3);
	memcpy(b + 3, "EXFAT   ", 8);
	put32(b, 72, NR_SECTORS);
	put32(b, 80, table);
	put32(b, 84, table_sectors);
	put32(b, 88, clusters);		/* Where they begin */
	put32(b, 92, NR_SECTORS - clusters);
	put32(b, 96, 2);		/* The root */
	put16(b, 104, 0x100);		/* Version */
	b[108] = 9;			/* log2() of the size of a sector */
	b[110] = 1;			/* Tables */
	b[111] = 0x80;
	for (i = 0; i < 9; i++)
		put16(sector(i), 510, 0xaa55);

	/* Without the flags and the percentage in use. */
	for (i = 0; i < 11 * SECTOR_SIZE; i++) {
		if (i != 106 && i != 107 && i != 112)
			sum = exfat_sum(sum, image[i]);
	}
	for (i = 0; i < SECTOR_SIZE; i += 4)
		put32(sector(11), i, sum);
}

int disk_make_exfat(void)
{
	enum { TABLE = 12, TABLE_SECTORS = 17, CLUSTERS = TABLE + TABLE_SECTORS };
	static const char name[] = "bad";
	uint32_t sum = 0;
	uint16_t hash = 0;
	unsigned int i;
	uint8_t *b;

	memset(image, 0, sizeof(image));
	put_exfat_boot(TABLE, TABLE_SECTORS, CLUSTERS);

	/* The root, the bitmap and the table of upper case; the file is in 5. */
	b = sector(TABLE);
	put32(b, 0, 0xfffffff8);
	for (i = 1; i < 5; i++)
		put32(b, 4 * i, 0xffffffff);
	sector(CLUSTERS + 1)[0] = 0x0f;
	/* A run of so many that are in upper case, and the last one. */
	b = sector(CLUSTERS + 2);
	for (i = 0; i < 6; i++) {
		b[i] = 0xff;
		sum = exfat_sum(sum, b[i]);
	}

	b = sector(CLUSTERS);
	b[0] = 0x81;			/* The bitmap */
	put32(b, 20, 3);
	put32(b, 24, (NR_SECTORS - CLUSTERS + 7) / 8);
	b += 32;
	b[0] = 0x82;			/* The table */
	put32(b, 4, sum);
	put32(b, 20, 4);
	put32(b, 24, 6);
	b += 32;
	b[0] = 0x85;			/* The file, two more entries */
	b[1] = 2;
	put16(b, 4, 0x20);
	b += 32;
	b[0] = 0xc0;			/* Where it is */
	b[1] = 1;
	b[3] = strlen(name);
	put32(b, 8, BAD_SIZE);
	put32(b, 20, 5);
	put32(b, 24, BAD_SIZE);
	b[32] = 0xc1;			/* Its name */
	for (i = 0; name[i]; i++) {
		b[34 + 2 * i] = name[i];
		hash = exfat_hash(exfat_hash(hash, name[i]), 0);
	}
	put16(b, 4, hash);
	return write_image();
}
