// SPDX-License-Identifier: GPL-2.0
/* Quotas, also those of xfs, and the shutdown of an xfs. */

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/quota.h>

#include "sb_fixture.h"

static void expect_quota(struct __test_metadata *_metadata, struct queue *q,
			 unsigned int tag, uint64_t id, unsigned int type,
			 unsigned int warning, unsigned int whose)
{
	union record rec;

	expect_header(_metadata, q, &rec, NOTIFY_SUPERBLOCK_EDQUOT,
		      sizeof(rec.sb_quota), tag, id);
	ASSERT_EQ(0, rec.watch.info & WATCH_INFO_TYPE_INFO);
	ASSERT_EQ(type, rec.sb_quota.quota_type);
	ASSERT_EQ(warning, rec.sb_quota.warning);
	ASSERT_EQ(whose, rec.sb_quota.id);
	ASSERT_EQ(0, rec.sb_quota.__reserved);
}

static int limit_inodes(int type, unsigned int id, unsigned int soft,
			unsigned int hard)
{
	struct if_dqblk limits = {
		.dqb_isoftlimit = soft,
		.dqb_ihardlimit = hard,
		.dqb_valid = QIF_ILIMITS,
	};
	int fd = sys_open("mnt", O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = or_errno(syscall(__NR_quotactl_fd, fd, QCMD(Q_SETQUOTA, type), id,
			       &limits));
	close(fd);
	return ret;
}

static int create_fn(void *arg)
{
	return or_errno(mkdir(arg, 0755));
}

static int create(const struct someone *who, const char *path)
{
	return run_as(who, create_fn, (void *)path);
}

TEST_F(sb, quota)
{
	static const struct someone in_group = { .uid = BOB, .group = ALICE };
	struct queue *q = &self->queue, plain[4];
	struct counters c;
	unsigned int i;
	uint64_t id;

	if (!have_userns())
		SKIP(return, "no user namespaces");
	id = mount_disk(_metadata, &self->disk, true, "usrquota,grpquota,prjquota");
	if (!id)
		return;
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		ASSERT_EQ(0, queue_open(&plain[i], variant->kind, variant->size));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, watch_as(&alice, "mnt", 0, plain[0].fd, 0));
	ASSERT_EQ(0, watch_as(&bob, "mnt", 0, plain[1].fd, 1));
	ASSERT_EQ(0, watch_as(&in_group, "mnt", 0, plain[2].fd, 2));
	ASSERT_EQ(0, watch_as(&alice_as_root, "mnt", 0, plain[3].fd, 3));
	ASSERT_EQ(0, read_counters("mnt", &c));

	/* A soft limit, then a hard one: once each, for her and for root only. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 1, 3));
	ASSERT_EQ(0, create(&alice, "mnt/dir/a"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, create(&alice, "mnt/dir/b"));
	ASSERT_EQ(0, create(&alice, "mnt/dir/c"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_ISOFTWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_ISOFTWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_ISOFTWARN, 0);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(-EDQUOT, create(&alice, "mnt/dir/d"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_IHARDWARN, 0);
	expect_nothing(_metadata, q);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		expect_nothing(_metadata, &plain[i]);
	expect_counted(_metadata, "mnt", &c, 0, 2);

	/* That is over, and begins again. */
	ASSERT_EQ(0, rmdir("mnt/dir/c"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDBELOW, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_IHARDBELOW, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_IHARDBELOW, 0);
	ASSERT_EQ(0, create(&alice, "mnt/dir/c"));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/dir/d"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, USRQUOTA, QUOTA_NL_IHARDWARN, 0);

	/* Another user does not matter to her. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, BOB, 0, 1));
	ASSERT_EQ(0, create(&bob, "mnt/dir/e"));
	ASSERT_EQ(-EDQUOT, create(&bob, "mnt/dir/f"));
	expect_quota(_metadata, q, TAG, id, USRQUOTA, QUOTA_NL_IHARDWARN, BOB);
	expect_quota(_metadata, &plain[1], 1, id, USRQUOTA, QUOTA_NL_IHARDWARN, BOB);
	expect_quota(_metadata, &plain[2], 2, id, USRQUOTA, QUOTA_NL_IHARDWARN, BOB);
	expect_nothing(_metadata, &plain[0]);

	/* A group, whether it is one's own or one of several. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 0, 0));
	ASSERT_EQ(0, limit_inodes(GRPQUOTA, ALICE, 0, 1));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/dir/g"));
	expect_quota(_metadata, q, TAG, id, GRPQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[0], 0, id, GRPQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[2], 2, id, GRPQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_quota(_metadata, &plain[3], 3, id, GRPQUOTA, QUOTA_NL_IHARDWARN, 0);
	expect_nothing(_metadata, &plain[1]);

	/* A project is no user's. */
	ASSERT_EQ(0, limit_inodes(GRPQUOTA, ALICE, 0, 0));
	ASSERT_EQ(0, limit_inodes(PRJQUOTA, PROJECT, 0, 1));
	ASSERT_EQ(0, create(&alice, "mnt/h"));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/i"));
	expect_quota(_metadata, q, TAG, id, PRJQUOTA, QUOTA_NL_IHARDWARN, PROJECT);
	expect_nothing(_metadata, q);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		expect_nothing(_metadata, &plain[i]);

	for (i = 0; i < ARRAY_SIZE(plain); i++)
		queue_close(&plain[i]);
}

/* An xfs with quotas of users on a new disk at "mnt"; or skip the test: false. */
static bool xfs_or_skip(struct __test_metadata *_metadata, struct disk *disk)
{
	int ret;

	if (!disk_or_skip(_metadata, disk, 320))
		return false;
	ret = disk_make_xfs();
	if (ret == -ENOENT)
		SKIP(return false, "no mkfs.xfs");
	ASSERT_EQ(0, ret);
	ret = sys_mount(DISK_NODE, "mnt", "xfs", 0, "uquota");
	if (ret == -ENODEV || ret == -EINVAL)
		SKIP(return false, "no xfs, or no quotas in it");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, chmod("mnt", 0777));
	return true;
}

/* As direct I/O, for which there must be blocks at once. */
static int write_fn(void *arg)
{
	static char data[2 << 20] __attribute__((aligned(4096)));
	int fd = or_errno(syscall(__NR_openat, AT_FDCWD, arg, O_CREAT | O_WRONLY |
				  O_DIRECT | O_CLOEXEC, 0644));
	int ret;

	if (fd < 0)
		return fd;
	ret = or_errno(pwrite(fd, data, sizeof(data), 0));
	close(fd);
	return ret < 0 ? ret : 0;
}

static int inodes_of(unsigned int id)
{
	struct if_dqblk usage;
	int fd = sys_open("mnt", O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return fd;
	ret = or_errno(syscall(__NR_quotactl_fd, fd, QCMD(Q_GETQUOTA, USRQUOTA),
			       id, &usage));
	close(fd);
	return ret ?: usage.dqb_curinodes;
}

/* xfs has accounting of its own, and reports an overrun as often as others. */
TEST_F_TIMEOUT(sb, xfs_quota, 120)
{
	struct if_dqblk limits = {
		.dqb_bhardlimit = 1024,
		.dqb_valid = QIF_BLIMITS,
	};
	struct queue *q = &self->queue;
	struct counters c;
	union record rec;
	int fd, i;

	if (!xfs_or_skip(_metadata, &self->disk))
		return;
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 1, 3));
	ASSERT_EQ(0, read_counters("mnt", &c));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));

	ASSERT_EQ(0, create(&alice, "mnt/a"));
	expect_nothing(_metadata, q);
	ASSERT_EQ(0, create(&alice, "mnt/b"));
	ASSERT_EQ(0, create(&alice, "mnt/c"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_ISOFTWARN, ALICE);
	expect_nothing(_metadata, q);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(-EDQUOT, create(&alice, "mnt/d"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_nothing(_metadata, q);

	/* That is over when something is freed, which xfs does when it likes. */
	ASSERT_EQ(0, rmdir("mnt/c"));
	for (i = 0; i < SOON && inodes_of(ALICE) != 2; i += 10)
		sleep_for(10);
	ASSERT_EQ(2, inodes_of(ALICE));
	ASSERT_EQ(0, create(&alice, "mnt/c"));
	expect_nothing(_metadata, q);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(-EDQUOT, create(&alice, "mnt/d"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_nothing(_metadata, q);

	/* New limits make a new overrun. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 0, 3));
	ASSERT_EQ(-EDQUOT, create(&alice, "mnt/d"));
	expect_quota(_metadata, q, TAG, c.id, USRQUOTA, QUOTA_NL_IHARDWARN, ALICE);
	expect_nothing(_metadata, q);

	/* The same of blocks, where it tries twice before it gives up. */
	ASSERT_EQ(0, limit_inodes(USRQUOTA, ALICE, 0, 0));
	fd = sys_open("mnt", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, syscall(__NR_quotactl_fd, fd, QCMD(Q_SETQUOTA, USRQUOTA),
			     ALICE, &limits));
	close(fd);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EDQUOT, run_as(&alice, write_fn, "mnt/file"));
		if (i == 0)
			expect_quota(_metadata, q, TAG, c.id, USRQUOTA,
				     QUOTA_NL_BHARDWARN, ALICE);
		/* To direct I/O this is an error like any other. */
		expect_header(_metadata, q, &rec, NOTIFY_SUPERBLOCK_ERROR,
			      sizeof(rec.sb_error), TAG, c.id);
		ASSERT_EQ(SUPERBLOCK_ERROR_DIRECT_WRITE, rec.sb_error.type);
		expect_nothing(_metadata, q);
	}
	expect_counted(_metadata, "mnt", &c, 0, 5 + 3);
}

TEST_F_TIMEOUT(sb, xfs_shutdown, 120)
{
	struct queue *q = &self->queue;
	struct counters c;

	if (!xfs_or_skip(_metadata, &self->disk))
		return;
	ASSERT_EQ(0, read_counters("mnt", &c));
	ASSERT_EQ(0, watch_sb("mnt", q->fd, TAG));
	ASSERT_EQ(0, shut_down("mnt", SHUTDOWN_NOLOGFLUSH));
	expect_event(_metadata, q, NOTIFY_SUPERBLOCK_SHUTDOWN, TAG, c.id);
	ASSERT_EQ(-EIO, or_errno(mkdir("mnt/new", 0755)));
	ASSERT_EQ(-EIO, shut_down("mnt", SHUTDOWN_NOLOGFLUSH));
	ASSERT_EQ(0, disk_remove(&self->disk));
	expect_nothing(_metadata, q);
	expect_counted(_metadata, "mnt", &c, 1, 0);
	ASSERT_EQ(0, sys_umount("mnt", 0));
	expect_removal(_metadata, q, TAG, c.id);
}

TEST_HARNESS_MAIN
