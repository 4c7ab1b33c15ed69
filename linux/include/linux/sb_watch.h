/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches on superblocks, and the events that they are told of
 *
 * See Documentation/core-api/watch_queue.rst
 */
#ifndef _LINUX_SB_WATCH_H
#define _LINUX_SB_WATCH_H

#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/types.h>
#include <uapi/linux/watch_queue.h>

struct dentry;
struct inode;
struct super_block;
struct vfsmount;

#ifdef CONFIG_SB_NOTIFICATIONS
DECLARE_STATIC_KEY_FALSE(sb_watch_submounts);

/* Can there be something to extend to what is mounted? */
static inline bool sb_watch_extends(void)
{
	return static_branch_unlikely(&sb_watch_submounts);
}

void sb_watch_init(struct super_block *sb);
void sb_watch_born(struct super_block *sb);
void sb_watch_reset(struct super_block *sb);
void sb_watch_remove_all(struct super_block *sb);
void sb_watch_mount(const struct dentry *mountpoint, const struct vfsmount *mnt);
void notify_sb(struct super_block *sb,
	       enum superblock_notification_subtype subtype);
void notify_sb_flags(struct super_block *sb);
void notify_sb_emergency_ro(struct super_block *sb);
void notify_sb_shutdown(struct super_block *sb);
void notify_sb_error(struct super_block *sb, const struct inode *inode,
		     unsigned int type, loff_t pos, u64 len, int error);
void notify_sb_quota(struct super_block *sb, struct kqid qid, int warning);
#else
static inline void sb_watch_init(struct super_block *sb)
{
}

static inline void sb_watch_born(struct super_block *sb)
{
}

static inline void sb_watch_reset(struct super_block *sb)
{
}

static inline void sb_watch_remove_all(struct super_block *sb)
{
}

static inline bool sb_watch_extends(void)
{
	return false;
}

static inline void sb_watch_mount(const struct dentry *mountpoint,
				  const struct vfsmount *mnt)
{
}

static inline void notify_sb(struct super_block *sb,
			     enum superblock_notification_subtype subtype)
{
}

static inline void notify_sb_flags(struct super_block *sb)
{
}

static inline void notify_sb_emergency_ro(struct super_block *sb)
{
}

static inline void notify_sb_shutdown(struct super_block *sb)
{
}

static inline void notify_sb_error(struct super_block *sb,
				   const struct inode *inode,
				   unsigned int type, loff_t pos,
				   u64 len, int error)
{
}

static inline void notify_sb_quota(struct super_block *sb, struct kqid qid,
				   int warning)
{
}
#endif

bool sb_set_rdonly_on_error(struct super_block *sb);

#endif /* _LINUX_SB_WATCH_H */
