// SPDX-License-Identifier: GPL-2.0
/*
 * Follow random mount operations by records alone.
 *
 * Several mount namespaces that propagate to each other are changed at random.
 * Watches on the root of each, on directories and on mounts that come and go
 * have a model each, made once from listmount() and statmount() and then kept
 * from the records of the watch.  After each operation each model must agree
 * with what listmount() and statmount() say of the mounts below the watch, no
 * record may be without a change, and the counter of each namespace must have
 * grown if something changed there.
 *
 * The seed is printed; MOUNT_FOLLOW_SEED sets it, MOUNT_FOLLOW_OPS the number
 * of operations.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/sched.h>

#include "mount_model.h"

#include "expect.h"

#define NR_OPS		1000
#define NR_NS		3
/* In each namespace one on "/", one on "/d" and one that comes and goes. */
#define PER_NS		3
#define NR_WATCHES	(NR_NS * PER_NS)

/* From so many mounts in a namespace on more go than come. */
#define CROWDED		18

struct ns {
	int fd;
	uint64_t id;
	uint64_t changes;
	struct listing list;
};

struct watch {
	bool active;
	struct queue queue;
	struct model model;
};

static struct world {
	uint32_t seed, random;
	int home;
	struct ns ns[NR_NS];
	struct watch watches[NR_WATCHES];
	char what[3 * MAX_POINT];
	long result;
	bool rmdir;		/* The operation removed a directory */
	bool renamed;		/* ... or exchanged two */
	unsigned int nr_done, nr_records, nr_lost, nr_rescans, nr_removed;
} w;

/* Everything random comes from here, so that a seed makes a run. */
static unsigned int below(unsigned int limit)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 17;
	w.random ^= w.random << 5;
	return w.random % limit;
}

static bool once_in(unsigned int times)
{
	return below(times) == 0;
}

__attribute__((format(printf, 2, 3)))
static void did(long result, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(w.what, sizeof(w.what), fmt, args);
	va_end(args);
	w.result = result;
	w.rmdir = false;
	w.renamed = false;
	if (!result)
		w.nr_done++;
}

static void make_dirs(const char *dir)
{
	static const char * const names[] = { "x", "x/z", "y", "y/z" };
	char path[MAX_POINT + 8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		mkdir(path, 0755);
	}
}

static const struct mnt *any_mount(const struct ns *ns)
{
	return &ns->list.mnts[below(ns->list.nr)];
}

/* Some mount that has a path, but the one at the root. */
static const struct mnt *any_upper(const struct ns *ns)
{
	const struct mnt *mnt;
	int tries;

	for (tries = 0; tries < 20; tries++) {
		mnt = any_mount(ns);
		if (mnt->point[0] && strcmp(mnt->point, "/"))
			return mnt;
	}
	return NULL;
}

/*
 * Some directory below or at some mount, but not the root, so that nothing can
 * come to lie over it.
 */
static void any_dir(const struct ns *ns, char *path, size_t size)
{
	static const char * const top[] = { "", "/d", "/d", "/e" };
	static const char * const sub[] = { "", "/x", "/y", "/x/z", "/y/z" };
	const struct mnt *mnt;
	const char *point;
	int tries;

	for (tries = 0; tries < 5; tries++) {
		mnt = any_mount(ns);
		point = mnt->point;
		if (!strcmp(point, "/"))
			point = top[below(ARRAY_SIZE(top))];
		snprintf(path, size, "%s%s", point, sub[below(ARRAY_SIZE(sub))]);
		if (path[0] && !access(path, F_OK))
			return;
	}
	snprintf(path, size, "/d");
}

static const uint64_t all_attrs[] = {
	MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV,
	MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOSYMFOLLOW,
	MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME,
};

static uint64_t any_attrs(void)
{
	uint64_t attrs = 0;

	do {
		attrs |= all_attrs[below(6)];
	} while (once_in(2));
	return attrs;
}

static const struct {
	unsigned long type;
	const char *name;
} types[] = {
	{ MS_SHARED, "shared" },
	{ MS_SHARED, "shared" },
	{ MS_SLAVE, "slave" },
	{ MS_SLAVE, "slave" },
	{ MS_PRIVATE, "private" },
	{ MS_PRIVATE, "private" },
	{ MS_UNBINDABLE, "unbindable" },
};

static void op_mount(struct ns *ns)
{
	char to[MAX_POINT + 8];
	int ret;

	any_dir(ns, to, sizeof(to));
	ret = sys_mount("follow", to, "tmpfs", 0, NULL);
	if (!ret)
		make_dirs(to);
	did(ret, "mount -t tmpfs follow %s", to);
}

static void op_fsmount(struct ns *ns)
{
	uint64_t attrs = once_in(2) ? any_attrs() : 0;
	unsigned int flags = 0;
	char to[MAX_POINT + 8];
	int ret;

	any_dir(ns, to, sizeof(to));
	if (once_in(3))
		flags = MOVE_MOUNT_BENEATH;
	ret = attach(tmpfs_fd(attrs), to, flags);
	if (!ret && !(flags & MOVE_MOUNT_BENEATH))
		make_dirs(to);
	did(ret, "fsmount(%#" PRIx64 ") and move_mount(%s, %#x)", attrs, to, flags);
}

static void op_bind(struct ns *ns)
{
	unsigned long flags = MS_BIND | (once_in(2) ? MS_REC : 0);
	char from[MAX_POINT + 8], to[MAX_POINT + 8];

	any_dir(ns, from, sizeof(from));
	any_dir(ns, to, sizeof(to));
	did(sys_mount(from, to, NULL, flags, NULL), "mount --%sbind %s %s",
	    flags & MS_REC ? "r" : "", from, to);
}

static void op_clone(struct ns *ns)
{
	unsigned int flags = OPEN_TREE_CLONE | (once_in(2) ? AT_RECURSIVE : 0);
	unsigned int move = once_in(3) ? MOVE_MOUNT_BENEATH : 0;
	char from[MAX_POINT + 8], to[MAX_POINT + 8];
	int fd, ret;

	any_dir(ns, from, sizeof(from));
	any_dir(ns, to, sizeof(to));
	fd = sys_open_tree(AT_FDCWD, from, flags);
	if (fd >= 0 && once_in(3))
		sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE,
				  &(struct mount_attr){ .attr_set = any_attrs() });
	ret = attach(fd, to, move);
	did(ret, "open_tree(%s, %#x) and move_mount(%s, %#x)", from, flags, to, move);
}

static void op_move(struct ns *ns)
{
	const struct mnt *mnt = any_upper(ns);
	unsigned int flags = once_in(3) ? MOVE_MOUNT_BENEATH : 0;
	char to[MAX_POINT + 8];

	any_dir(ns, to, sizeof(to));
	if (!mnt)
		return;
	if (!flags && once_in(2))
		did(sys_mount(mnt->point, to, NULL, MS_MOVE, NULL),
		    "mount --move %s %s", mnt->point, to);
	else
		did(sys_move_mount(AT_FDCWD, mnt->point, AT_FDCWD, to, flags),
		    "move_mount(%s, %s, %#x)", mnt->point, to, flags);
}

static void op_set_group(struct ns *ns)
{
	const struct mnt *from = any_mount(ns), *mnt = any_mount(ns);
	char to[MAX_POINT + 8];
	int ret, tries;

	for (tries = 0; tries < 10; tries++) {
		if (from->propagation & (MS_SHARED | MS_SLAVE))
			break;
		from = any_mount(ns);
	}
	/* It takes a private mount of the same: let there be one. */
	any_dir(ns, to, sizeof(to));
	if (strcmp(from->point, "/") && !once_in(3) &&
	    !sys_mount(from->point, to, NULL, MS_BIND, NULL))
		set_propagation(to, MS_PRIVATE);
	else
		strcpy(to, mnt->point);
	ret = sys_move_mount(AT_FDCWD, from->point, AT_FDCWD, to,
			     MOVE_MOUNT_SET_GROUP);
	did(ret, "move_mount(%s, %s, MOVE_MOUNT_SET_GROUP)", from->point, to);
}

static void op_umount(struct ns *ns)
{
	static const int how[] = { 0, 0, MNT_DETACH, MNT_DETACH, MNT_FORCE, MNT_EXPIRE };
	const struct mnt *mnt = any_upper(ns);
	int flags = how[below(ARRAY_SIZE(how))];
	char point[MAX_POINT];
	int ret;

	if (!mnt)
		return;
	/* What is hidden comes to light when what hides it goes. */
	strcpy(point, mnt->point);
	do {
		ret = sys_umount(point, flags);
		if (ret == -EAGAIN)
			ret = sys_umount(point, flags);
		did(ret, "umount2(%s, %d)", point, flags);
		*strrchr(point, '/') = '\0';
	} while (point[0] && (ret == -ENOENT || ret == -EINVAL));
}

static void op_setattr(struct ns *ns)
{
	struct mount_attr attr = { 0 };
	unsigned int flags = once_in(2) ? AT_RECURSIVE : 0;
	const struct mnt *mnt = any_mount(ns);
	int ret;

	if (once_in(2))
		attr.attr_set = any_attrs();
	if (once_in(2))
		attr.attr_clr = any_attrs();
	if (once_in(3)) {
		attr.attr_clr |= MOUNT_ATTR__ATIME;
		attr.attr_set |= all_attrs[6 + below(2)];
	}
	if (once_in(4))
		attr.propagation = types[below(ARRAY_SIZE(types))].type;
	ret = sys_mount_setattr(AT_FDCWD, mnt->point, flags, &attr);
	did(ret, "mount_setattr(%s, %#x, +%#llx -%#llx propagation %#llx)",
	    mnt->point, flags, attr.attr_set, attr.attr_clr, attr.propagation);
}

static void op_remount(struct ns *ns)
{
	static const unsigned long flags[] = {
		MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME,
		MS_NODIRATIME, MS_RELATIME, MS_STRICTATIME, MS_NOSYMFOLLOW,
	};
	const struct mnt *mnt = any_mount(ns);
	unsigned long set = 0;

	while (once_in(2))
		set |= flags[below(ARRAY_SIZE(flags))];
	did(sys_mount(NULL, mnt->point, NULL, MS_REMOUNT | MS_BIND | set, NULL),
	    "mount -o remount,bind(%#lx) %s", set, mnt->point);
}

static void op_propagation(struct ns *ns)
{
	const struct mnt *mnt = any_mount(ns);
	unsigned int i = below(ARRAY_SIZE(types));
	unsigned long rec = once_in(3) ? MS_REC : 0;

	did(set_propagation(mnt->point, types[i].type | rec), "mount --make-%s%s %s",
	    rec ? "r" : "", types[i].name, mnt->point);
}

/*
 * Directories change their names or places; mounts below them go along, also into
 * "/d", which is watched, or out of it.
 */
static void op_rename(struct ns *ns)
{
	static const char * const dirs[] = { "/x", "/y", "/d/x", "/d/y", "/e/x", "/e/y/z" };
	const struct mnt *mnt = any_mount(ns);
	const char *point = strcmp(mnt->point, "/") ? mnt->point : "/d";
	char x[MAX_POINT + 8], y[MAX_POINT + 8];
	unsigned int i;
	int ret;

	if (once_in(3)) {
		snprintf(x, sizeof(x), "%s/x", point);
		snprintf(y, sizeof(y), "%s/y", point);
	} else {
		i = below(ARRAY_SIZE(dirs));
		strcpy(x, dirs[i]);
		strcpy(y, dirs[(i + 1 + below(ARRAY_SIZE(dirs) - 1)) % ARRAY_SIZE(dirs)]);
	}
	ret = sys_rename(x, y, RENAME_EXCHANGE);
	did(ret, "exchange %s and %s", x, y);
	w.renamed = !ret;
}

/* A directory goes, and what other namespaces have mounted there. */
static void op_rmdir(struct ns *ns)
{
	char path[MAX_POINT + 8], other[MAX_POINT + 16];
	const struct mnt *mnt = any_mount(ns);
	const char *point = strcmp(mnt->point, "/") ? mnt->point : "/d";
	int ret;

	snprintf(path, sizeof(path), "%s/%s/z", point, once_in(2) ? "x" : "y");
	if (once_in(2)) {
		ret = rmdir(path) ? -errno : 0;
		did(ret, "rmdir %s", path);
	} else {
		snprintf(other, sizeof(other), "%s/new", point);
		mkdir(other, 0755);
		ret = sys_rename(other, path, 0);
		if (ret)
			rmdir(other);
		did(ret, "put another directory over %s", path);
	}
	w.rmdir = !ret;
	mkdir(path, 0755);
}

static const struct {
	void (*run)(struct ns *ns);
	unsigned int weight, crowded;
} ops[] = {
	{ op_mount, 6, 2 },
	{ op_fsmount, 5, 2 },
	{ op_bind, 8, 1 },
	{ op_clone, 5, 1 },
	{ op_move, 10, 5 },
	{ op_set_group, 4, 1 },
	{ op_umount, 9, 50 },
	{ op_setattr, 12, 4 },
	{ op_remount, 5, 2 },
	{ op_propagation, 12, 4 },
	{ op_rename, 6, 4 },
	{ op_rmdir, 4, 4 },
};

static void some_op(struct ns *ns)
{
	bool crowded = ns->list.nr > CROWDED;
	unsigned int i, total = 0, pick;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		total += crowded ? ops[i].crowded : ops[i].weight;
	pick = below(total);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		total = crowded ? ops[i].crowded : ops[i].weight;
		if (pick < total)
			break;
		pick -= total;
	}
	ops[i].run(ns);
}

static int enter(const struct ns *ns)
{
	return sys_setns(ns->fd, CLONE_NEWNS);
}

static uint64_t root_of(const struct ns *ns)
{
	unsigned int i;

	for (i = 0; i < ns->list.nr; i++)
		if (!strcmp(ns->list.mnts[i].point, "/"))
			return ns->list.mnts[i].id;
	return 0;
}

/* The namespace that the test is in becomes @ns. */
static const char *adopt(struct ns *ns, int procfd)
{
	ns->fd = syscall(__NR_openat, procfd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (ns->fd < 0)
		return "no /proc/self/ns/mnt";
	ns->id = mntns_id(mount_id("/"));
	if (!ns->id || list_mounts(&ns->list, ns->id))
		return "cannot list the mounts";
	if (count_changes(root_of(ns), ns->id, &ns->changes))
		return "statmount() has no mnt_ns_changes";
	return NULL;
}

/* Set a watch that there is not.  The test is in the namespace. */
static const char *start_watch(unsigned int nr, enum queue_kind kind,
			       const char *path, const char *dir)
{
	struct watch *watch = &w.watches[nr];
	struct model *m = &watch->model;
	int ret;

	if (watch->queue.fd <= 0 &&
	    queue_open(&watch->queue, kind, kind == QUEUE_PIPE ? 512 : 32))
		return "cannot open a queue";
	ret = mount_notify(AT_FDCWD, path, 0, watch->queue.fd, nr);
	/* What is bound there may be a directory that is gone. */
	if (ret == -ENOENT)
		return NULL;
	if (ret)
		return "cannot set a watch";
	m->mount = mount_id(path);
	m->dir = dir;
	m->tag = nr;
	m->removed = false;
	model_start(m, &w.ns[nr / PER_NS].list);
	watch->active = true;
	return NULL;
}

/* One on the root of some mount, which may be unmounted any time. */
static const char *start_passing_watch(unsigned int nr, enum queue_kind kind)
{
	const struct ns *ns = &w.ns[nr / PER_NS];
	const struct mnt *mnt = any_upper(ns), *found = NULL;

	/* It may lie hidden, and something else be found there. */
	if (mnt)
		found = find_mount(&ns->list, mount_id(mnt->point));
	if (!found || strcmp(found->point, mnt->point))
		return NULL;
	return start_watch(nr, kind, mnt->point, NULL);
}

/* One on a directory, or if something lies over it, on the root of that. */
static const char *start_dir_watch(unsigned int nr, enum queue_kind kind)
{
	const bool covered = mount_id("/d") != mount_id("/");

	return start_watch(nr, kind, "/d", covered ? NULL : "/d");
}

static const char *start_watches(unsigned int nr_ns, enum queue_kind kind)
{
	return start_watch(nr_ns * PER_NS, kind, "/", NULL) ?:
	       start_dir_watch(nr_ns * PER_NS + 1, kind);
}

/* Some of those that have gone come back.  The test is in the namespace. */
static const char *restart_watches(unsigned int nr_ns, enum queue_kind kind)
{
	const unsigned int nr = nr_ns * PER_NS;

	if (!w.watches[nr + 1].active)
		return start_dir_watch(nr + 1, kind);
	if (!w.watches[nr + 2].active && once_in(5))
		return start_passing_watch(nr + 2, kind);
	return NULL;
}

/* The same mounts, in what a watch shows of them? */
static bool same(const struct listing *a, const struct listing *b)
{
	const struct mnt *x, *y;
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		x = &a->mnts[i];
		y = &b->mnts[i];
		if (x->id != y->id || x->parent != y->parent ||
		    x->attr != y->attr || x->group != y->group ||
		    x->propagation != y->propagation)
			return false;
	}
	return true;
}

static const char *check_watch(unsigned int nr, const struct listing *list,
			       bool dead)
{
	struct watch *watch = &w.watches[nr];
	struct model *m = &watch->model;
	const bool there = !dead && find_mount(list, m->mount);
	const char *wrong;

	wrong = model_read(m, &watch->queue);
	w.nr_records += m->nr_records;
	/* A watch ends with its mount, or with its directory, which may be bound. */
	if (!wrong && !m->removed && !there)
		wrong = "no REMOVAL of a mount that is gone";
	if (!wrong && m->removed && there && !w.rmdir)
		wrong = "REMOVAL of a mount that is there";
	if (!wrong && (m->lost || m->rescan)) {
		w.nr_lost += m->lost;
		w.nr_rescans += m->rescan;
		model_start(m, list);
	}
	if (!wrong && m->removed) {
		watch->active = false;
		w.nr_removed++;
		/* All the mounts below it went with it, and had to say so. */
		if (!there && m->nr > !m->dir && !m->expects_rescan)
			wrong = "mounts are left below a mount that is gone";
	} else if (!wrong) {
		wrong = model_compare(m, list);
		/* What a rename took out of a directory or into it, has to be listed. */
		if (wrong && (w.renamed || m->expects_rescan)) {
			wrong = model_await_rescan(m, &watch->queue);
			w.nr_rescans++;
			model_start(m, list);
		}
	}
	if (wrong)
		model_print(m, list);
	return wrong;
}

static const char *check_ns(unsigned int nr)
{
	static struct listing new;
	struct ns *ns = &w.ns[nr];
	struct watch *all = &w.watches[nr * PER_NS];
	const char *wrong;
	unsigned int i;
	uint64_t changes;
	bool told;
	int ret;

	ret = list_mounts(&new, ns->id);
	if (ret)
		return "cannot list the mounts";

	for (i = 0; i < PER_NS; i++) {
		if (!all[i].active)
			continue;
		wrong = check_watch(nr * PER_NS + i, &new, false);
		if (wrong)
			return wrong;
	}
	if (!all[0].active)
		return "the root of a namespace is gone";

	if (count_changes(root_of(ns), ns->id, &changes))
		return "statmount() has no mnt_ns_changes";
	told = all[0].model.nr_records;
	if (told && changes == ns->changes)
		wrong = "mnt_ns_changes did not grow";
	else if (changes < ns->changes)
		wrong = "mnt_ns_changes went back";
	else if (!told && !same(&new, &ns->list))
		wrong = "something changed without a record";
	else
		wrong = NULL;
	ns->changes = changes;
	ns->list = new;
	return wrong;
}

static const char *check_all(void)
{
	const char *wrong;
	unsigned int i;

	for (i = 0; i < NR_NS; i++) {
		wrong = check_ns(i);
		if (wrong) {
			fprintf(stderr, "# namespace %u: %s\n", i, wrong);
			return wrong;
		}
	}
	return NULL;
}

/* The last namespace dies, and a copy of the first takes its place. */
static const char *renew_ns(enum queue_kind kind, int procfd)
{
	const unsigned int nr = NR_NS - 1;
	static const struct listing none;
	struct ns *ns = &w.ns[nr];
	const char *wrong;
	unsigned int i;

	/* Go elsewhere, and nothing holds it. */
	enter(&w.ns[0]);
	close(ns->fd);
	did(0, "the death of namespace %u", nr);
	for (i = nr * PER_NS; i < NR_WATCHES; i++) {
		if (!w.watches[i].active)
			continue;
		wrong = check_watch(i, &none, true);
		if (wrong)
			return wrong;
	}
	for (i = 0; i < nr; i++) {
		wrong = check_ns(i);
		if (wrong)
			return wrong;
	}

	did(0, "a new namespace");
	if (sys_unshare(CLONE_NEWNS))
		return "no new namespace";
	wrong = adopt(ns, procfd);
	if (!wrong)
		wrong = start_watches(nr, kind);
	return wrong ?: check_all();
}

static const char *build(enum queue_kind kind, int procfd)
{
	const char *wrong;
	unsigned int i;

	if (enter_empty_mntns())
		return "no empty namespace";
	mkdir("/d", 0755);
	mkdir("/e", 0755);
	make_dirs("");
	make_dirs("/d");
	make_dirs("/e");
	if (set_propagation("/", MS_SHARED))
		return "cannot share the root";

	for (i = 0; i < NR_NS; i++) {
		if (i > 0 && sys_unshare(CLONE_NEWNS))
			return "no new namespace";
		/* One of them only receives. */
		if (i == 1 && set_propagation("/", MS_SLAVE))
			return "cannot make the root a slave";
		if (i == 1 && set_propagation("/", MS_SHARED))
			return "cannot share the root";
		wrong = adopt(&w.ns[i], procfd);
		if (!wrong)
			wrong = start_watches(i, kind);
		if (wrong)
			return wrong;
		/* The one after it is a copy of the first. */
		if (i > 0 && enter(&w.ns[0]))
			return "cannot go back";
	}
	return check_all();
}

static const char *run(enum queue_kind kind, uint32_t seed, unsigned int nr_ops)
{
	const char *wrong = NULL;
	unsigned int nr_ns, i;
	int procfd;

	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.random = seed ?: 1;
	procfd = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w.home = sys_open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (procfd < 0 || w.home < 0)
		return "no /proc";
	/* Queues first: what comes has no /dev. */
	for (i = 0; i < NR_WATCHES; i++)
		if (queue_open(&w.watches[i].queue, kind,
			       kind == QUEUE_PIPE ? 512 : 32))
			return "cannot open a queue";

	wrong = build(kind, procfd);
	for (i = 0; i < nr_ops && !wrong; i++) {
		nr_ns = below(NR_NS);
		did(-1, "nothing");
		if (once_in(200)) {
			wrong = renew_ns(kind, procfd);
		} else {
			if (enter(&w.ns[nr_ns]))
				return "cannot enter a namespace";
			wrong = restart_watches(nr_ns, kind);
			if (wrong)
				break;
			some_op(&w.ns[nr_ns]);
			wrong = check_all();
		}
		if (wrong)
			fprintf(stderr, "# operation %u, in namespace %u: %s: %ld\n",
				i, nr_ns, w.what, w.result);
	}

	sys_setns(w.home, CLONE_NEWNS);
	for (i = 0; i < NR_WATCHES; i++)
		queue_close(&w.watches[i].queue);
	for (i = 0; i < NR_NS; i++)
		close(w.ns[i].fd);
	close(w.home);
	close(procfd);
	return wrong;
}

FIXTURE(follow) { };

FIXTURE_VARIANT(follow)
{
	enum queue_kind kind;
};

FIXTURE_VARIANT_ADD(follow, pipe)
{
	.kind = QUEUE_PIPE,
};

FIXTURE_VARIANT_ADD(follow, device)
{
	.kind = QUEUE_DEVICE,
};

FIXTURE_SETUP(follow)
{
	struct queue q;
	int ret;

	if (geteuid() != 0)
		SKIP(return, "not root");
	if (!open_or_skip(_metadata, &q, variant->kind, 1))
		return;
	ret = mount_notify(AT_FDCWD, "/", 0, q.fd, -1);
	queue_close(&q);
	if (ret == -ENOSYS)
		SKIP(return, "no CONFIG_MOUNT_NOTIFICATIONS");
	ASSERT_EQ(-EBADSLT, ret);
}

FIXTURE_TEARDOWN(follow) { }

static void follow_seed(struct __test_metadata *_metadata, enum queue_kind kind,
			uint32_t seed)
{
	const char *ops = getenv("MOUNT_FOLLOW_OPS");
	unsigned int nr_ops = ops ? strtoul(ops, NULL, 0) : NR_OPS;
	const char *wrong;

	TH_LOG("MOUNT_FOLLOW_SEED=%u", seed);
	wrong = run(kind, seed, nr_ops);
	TH_LOG("%u of %u operations, %u records, %u watches removed, %u losses, %u listed again",
	       w.nr_done, nr_ops, w.nr_records, w.nr_removed, w.nr_lost, w.nr_rescans);
	ASSERT_EQ(NULL, wrong) {
		TH_LOG("%s", wrong);
	}
	/* It would be no test if most of them failed. */
	EXPECT_LE(nr_ops / 4, w.nr_done);
}

TEST_F_TIMEOUT(follow, same_seed, 120)
{
	const char *seed = getenv("MOUNT_FOLLOW_SEED");

	follow_seed(_metadata, variant->kind, seed ? strtoul(seed, NULL, 0) : 7);
}

TEST_F_TIMEOUT(follow, random_seed, 120)
{
	struct timespec now;

	if (getenv("MOUNT_FOLLOW_SEED"))
		SKIP(return, "MOUNT_FOLLOW_SEED is set");
	/* vDSO or not, of 32 bits or not: what is random here need not be good. */
	clock_gettime(CLOCK_REALTIME, &now);
	follow_seed(_metadata, variant->kind, now.tv_nsec ^ now.tv_sec ^ getpid());
}

TEST_HARNESS_MAIN
