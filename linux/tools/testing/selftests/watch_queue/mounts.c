// SPDX-License-Identifier: GPL-2.0
/* The mounts of a namespace, and watches on them. */

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>
#include <linux/stat.h>

#include "mounts.h"

int sys_mount_setattr(int dfd, const char *path, unsigned int flags,
		      const struct mount_attr *attr)
{
	return or_errno(syscall(__NR_mount_setattr, dfd, path, flags, attr,
				sizeof(*attr)));
}

int sys_setns(int fd, int type)
{
	return or_errno(syscall(__NR_setns, fd, type));
}

int sys_rename(const char *from, const char *to, unsigned int flags)
{
	return or_errno(syscall(__NR_renameat2, AT_FDCWD, from, AT_FDCWD, to,
				flags));
}

int sys_statmount(uint64_t id, uint64_t ns, uint64_t mask,
		  struct statmount *buf, size_t size)
{
	struct mnt_id_req req = {
		.size = MNT_ID_REQ_SIZE_VER1,
		.mnt_id = id,
		.param = mask,
		.mnt_ns_id = ns,
	};

	return or_errno(syscall(__NR_statmount, &req, buf, size, 0));
}

int mount_notify(int dfd, const char *path, unsigned int at_flags, int fd,
		 int tag)
{
	return or_errno(syscall(__NR_mount_notify, dfd, path, at_flags, fd, tag));
}

int set_attr(const char *path, unsigned int flags, uint64_t set, uint64_t clear)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

	return sys_mount_setattr(AT_FDCWD, path, flags, &attr);
}

uint64_t mount_id(const char *path)
{
	struct statx stx;

	if (syscall(__NR_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT,
		    STATX_MNT_ID_UNIQUE, &stx))
		return 0;
	return stx.stx_mnt_id;
}

uint64_t mntns_id(uint64_t id)
{
	struct statmount sm;

	if (sys_statmount(id, 0, STATMOUNT_MNT_NS_ID, &sm, sizeof(sm)))
		return 0;
	return sm.mnt_ns_id;
}

int count_changes(uint64_t id, uint64_t ns, uint64_t *changes)
{
	struct statmount sm;
	int ret;

	ret = sys_statmount(id, ns, STATMOUNT_MNT_NS_CHANGES, &sm, sizeof(sm));
	if (ret)
		return ret;
	if (!(sm.mask & STATMOUNT_MNT_NS_CHANGES))
		return -EOPNOTSUPP;
	*changes = sm.mnt_ns_changes;
	return 0;
}

int enter_empty_mntns(void)
{
	int fd, ret;

	ret = sys_unshare(UNSHARE_EMPTY_MNTNS);
	if (ret)
		return ret;
	fd = tmpfs_fd(0);
	if (fd < 0)
		return fd;
	ret = sys_move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
	if (!ret)
		ret = or_errno(fchdir(fd));
	if (!ret)
		ret = or_errno(chroot("."));
	close(fd);
	return ret;
}

static int stat_mount(uint64_t id, uint64_t ns, struct mnt *mnt)
{
	static union {
		struct statmount sm;
		char bytes[sizeof(struct statmount) + 4096];
	} buf;
	const struct statmount *sm = &buf.sm;
	int ret;

	ret = sys_statmount(id, ns, STATMOUNT_MNT_BASIC | STATMOUNT_MNT_POINT,
			    &buf.sm, sizeof(buf));
	if (ret)
		return ret;
	mnt->id = sm->mnt_id;
	mnt->parent = sm->mnt_parent_id;
	mnt->attr = sm->mnt_attr;
	mnt->propagation = sm->mnt_propagation;
	mnt->group = sm->mnt_propagation & MS_SHARED ? sm->mnt_peer_group : 0;
	mnt->deep = false;
	mnt->point[0] = '\0';
	if (sm->mask & STATMOUNT_MNT_POINT)
		snprintf(mnt->point, sizeof(mnt->point), "%s",
			 sm->str + sm->mnt_point);
	return 0;
}

int list_mounts(struct listing *l, uint64_t ns)
{
	struct mnt_id_req req = {
		.size = MNT_ID_REQ_SIZE_VER1,
		.mnt_id = LSMT_ROOT,
		.mnt_ns_id = ns,
	};
	uint64_t ids[MAX_MOUNTS];
	int i, nr, ret;

	nr = or_errno(syscall(__NR_listmount, &req, ids, MAX_MOUNTS, 0));
	if (nr < 0)
		return nr;
	for (i = 0; i < nr; i++) {
		ret = stat_mount(ids[i], ns, &l->mnts[i]);
		if (ret)
			return ret;
	}
	l->nr = nr;
	return nr == MAX_MOUNTS ? -E2BIG : 0;
}

const struct mnt *find_mount(const struct listing *l, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (l->mnts[i].id == id)
			return &l->mnts[i];
	return NULL;
}
