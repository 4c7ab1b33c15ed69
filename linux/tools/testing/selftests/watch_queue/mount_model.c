// SPDX-License-Identifier: GPL-2.0
/* A model of the mounts below a watch. */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "mount_model.h"

/* Whether @mnt is mounted right at the watched directory. */
static bool at_watch(const struct model *m, const struct listing *l,
		     const struct mnt *mnt)
{
	const struct mnt *watched = find_mount(l, m->mount);

	if (mnt->id == m->mount)
		return !m->dir;
	if (mnt->parent != m->mount)
		return false;
	return !strcmp(mnt->point, m->dir ?: watched ? watched->point : "");
}

static struct mnt *model_find(struct model *m, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		if (m->mnts[i].id == id)
			return &m->mnts[i];
	return NULL;
}

/* The same of one mounted on the mount that the watched directory is in. */
static bool child_below_watch(struct model *m, const struct mnt *mnt)
{
	size_t len;

	if (m->dir) {
		len = strlen(m->dir);
		return !strncmp(mnt->point, m->dir, len) &&
			(!mnt->point[len] || mnt->point[len] == '/');
	}
	/* Even if a rename took it out of what is bound there. */
	return true;
}

/* Whether the watch sees changes of @mnt. */
static bool below_watch(struct model *m, const struct listing *l,
			const struct mnt *mnt)
{
	unsigned int hops;

	if (mnt->id == m->mount)
		return !m->dir;
	for (hops = 0; mnt && hops <= l->nr; hops++) {
		if (mnt->parent == m->mount)
			return child_below_watch(m, mnt);
		if (mnt->parent == mnt->id)
			break;
		mnt = find_mount(l, mnt->parent);
	}
	return false;
}

/* Forget all, and take what there is. */
void model_start(struct model *m, const struct listing *l)
{
	unsigned int i;

	m->nr = 0;
	m->lost = false;
	m->rescan = false;
	for (i = 0; i < l->nr; i++) {
		if (!below_watch(m, l, &l->mnts[i]))
			continue;
		m->mnts[m->nr] = l->mnts[i];
		m->mnts[m->nr].deep = !at_watch(m, l, &l->mnts[i]);
		m->nr++;
	}
}

#define FLAGS	(NOTIFY_MOUNT_IN_SUBTREE | NOTIFY_MOUNT_RECURSIVE | \
		 NOTIFY_MOUNT_PROPAGATED)

static const char *apply(struct model *m, const struct mount_notification *n)
{
	const uint32_t flags = n->watch.info & WATCH_INFO_TYPE_INFO;
	struct mnt *mnt = model_find(m, n->mnt_id);
	const unsigned int subtype = n->watch.subtype;
	const uint64_t diff = n->mnt_attr ^ n->mnt_attr_old;
	bool known = mnt;

	if ((flags & ~FLAGS) && !(subtype == NOTIFY_MOUNT_READONLY &&
				  !(flags & ~(FLAGS | NOTIFY_MOUNT_IS_NOW_RO))))
		return "a flag that does not go with it";
	if (diff && (flags & NOTIFY_MOUNT_PROPAGATED))
		return "attributes are not propagated";
	if (diff && subtype != NOTIFY_MOUNT_READONLY &&
	    subtype != NOTIFY_MOUNT_SETATTR)
		return "attributes changed, but the subtype is another";
	if (n->mnt_propagation != n->mnt_propagation_old &&
	    subtype != NOTIFY_MOUNT_PROPAGATION)
		return "propagation changed, but the subtype is another";
	if (n->mnt_parent_id_old && subtype != NOTIFY_MOUNT_MOVE_TO)
		return "another parent, but the subtype is not MOVE_TO";
	if (!n->mnt_peer_group != !(n->mnt_propagation & MS_SHARED))
		return "a peer group without MS_SHARED, or the other way round";
	if (n->mnt_id == m->mount && m->dir)
		return "of the mount that the watched directory is in";

	switch (subtype) {
	case NOTIFY_MOUNT_NEW_MOUNT:
		if (known)
			return "it is no new one";
		break;
	case NOTIFY_MOUNT_MOVE_TO:
		if (n->mnt_id == m->mount) {
			if (n->mnt_parent_id_old)
				return "the watched mount is not below itself";
			mnt->parent = n->mnt_parent_id;
		} else if (!known && n->mnt_parent_id_old) {
			return "it was not below the watch";
		} else if (known && n->mnt_parent_id_old != mnt->parent) {
			return "the former parent was another";
		}
		break;
	default:
		if (!known)
			return "there is no such mount";
		if (n->mnt_parent_id != mnt->parent)
			return "the parent is another";
	}

	if (!known) {
		if (m->nr == MAX_MOUNTS)
			return "too many mounts";
		mnt = &m->mnts[m->nr++];
		memset(mnt, 0, sizeof(*mnt));
		mnt->id = n->mnt_id;
	} else {
		if (n->mnt_attr_old != mnt->attr)
			return "the old attributes were others";
		if (n->mnt_propagation_old != mnt->propagation)
			return "the old propagation was another";
		if (n->mnt_peer_group != mnt->group &&
		    subtype != NOTIFY_MOUNT_PROPAGATION)
			return "the peer group was another";
	}

	switch (subtype) {
	case NOTIFY_MOUNT_READONLY:
		if (diff != MOUNT_ATTR_RDONLY)
			return "not just MOUNT_ATTR_RDONLY changed";
		if (!(n->mnt_attr & MOUNT_ATTR_RDONLY) != !(flags & NOTIFY_MOUNT_IS_NOW_RO))
			return "IS_NOW_RO is wrong";
		break;
	case NOTIFY_MOUNT_SETATTR:
		if (!diff || (diff & MOUNT_ATTR_RDONLY))
			return "not just other attributes changed";
		break;
	case NOTIFY_MOUNT_PROPAGATION:
		if (n->mnt_propagation == mnt->propagation &&
		    n->mnt_peer_group == mnt->group)
			return "nothing changed";
		break;
	case NOTIFY_MOUNT_UNMOUNT:
	case NOTIFY_MOUNT_EXPIRY:
	case NOTIFY_MOUNT_MOVE_FROM:
		if (n->mnt_id == m->mount)
			return "it cannot leave itself";
		if (mnt->deep != !!(flags & NOTIFY_MOUNT_IN_SUBTREE))
			return "IN_SUBTREE is wrong";
		*mnt = m->mnts[--m->nr];
		return NULL;
	case NOTIFY_MOUNT_NEW_MOUNT:
	case NOTIFY_MOUNT_MOVE_TO:
		break;
	default:
		return "no such subtype";
	}

	mnt->parent = n->mnt_parent_id;
	mnt->attr = n->mnt_attr;
	mnt->propagation = n->mnt_propagation;
	mnt->group = n->mnt_peer_group;
	mnt->deep = flags & NOTIFY_MOUNT_IN_SUBTREE;
	return NULL;
}

/*
 * RECURSIVE says that the parent has the same change in the same call: where
 * the watch shows the parent, there must be such a record, or none.
 */
static const char *check_recursive(struct model *m,
				   const struct mount_notification *n)
{
	const bool recursive = n->watch.info & NOTIFY_MOUNT_RECURSIVE;
	const struct mount_notification *other;
	unsigned int i;

	/*
	 * A mount that one is put beneath does not come along with that, nor with
	 * one that moves itself at the same time: that one is not new here, or it
	 * is the new root that the old one is put on.
	 */
	if (n->watch.subtype == NOTIFY_MOUNT_MOVE_TO &&
	    (n->mnt_parent_id_old || n->mnt_parent_id == m->mount))
		return NULL;
	/*
	 * Nor does one that leaves with a tree in which propagation puts another
	 * mount beneath it; where it is then cannot be seen from here.
	 */
	if (n->watch.subtype == NOTIFY_MOUNT_MOVE_FROM && !recursive)
		return NULL;

	for (i = 0; i < m->nr_records; i++) {
		other = &m->records[i];
		if (other->mnt_id == n->mnt_parent_id &&
		    other->watch.subtype == n->watch.subtype &&
		    !other->mnt_parent_id_old)
			return recursive ? NULL : "RECURSIVE is missing";
	}
	if (recursive && model_find(m, n->mnt_parent_id) &&
	    n->mnt_parent_id != m->mount)
		return "RECURSIVE without the same change of the parent";
	return NULL;
}

/* Take all records of the last operation. */
const char *model_read(struct model *m, struct queue *q)
{
	const char *wrong;
	union record rec;
	unsigned int i;
	int ret;

	m->nr_records = 0;
	m->expects_rescan = false;
	while ((ret = queue_next(q, &rec, 0)) > 0) {
		if (rec_type(&rec) == WATCH_TYPE_META) {
			if (rec_subtype(&rec) == WATCH_META_LOSS_NOTIFICATION) {
				m->lost = true;
				continue;
			}
			if (rec_subtype(&rec) != WATCH_META_REMOVAL_NOTIFICATION)
				return "no such META record";
			if (m->removed)
				return "removed twice";
			if (rec_len(&rec) != sizeof(rec.removal) ||
			    rec_tag(&rec) != m->tag || rec.removal.id != m->mount)
				return "not the REMOVAL of this watch";
			m->removed = true;
			continue;
		}
		if (m->removed)
			return "a record after REMOVAL";
		if (rec_type(&rec) != WATCH_TYPE_MOUNT_NOTIFY ||
		    rec_len(&rec) != sizeof(rec.mount))
			return "no record of a mount";
		if (rec_tag(&rec) != m->tag)
			return "the tag of another watch";
		if (rec_subtype(&rec) == NOTIFY_MOUNT_RESCAN) {
			if (rec.mount.mnt_id != m->mount || rec.mount.mnt_parent_id)
				return "RESCAN of another mount";
			m->rescan = true;
			continue;
		}
		if (m->nr_records == MAX_RECORDS)
			return "too many records";
		m->records[m->nr_records++] = rec.mount;
		/* Of what came along there are no records. */
		if (rec.watch.info & NOTIFY_MOUNT_PROPAGATED &&
		    (rec_subtype(&rec) == NOTIFY_MOUNT_MOVE_FROM ||
		     rec_subtype(&rec) == NOTIFY_MOUNT_MOVE_TO))
			m->expects_rescan = true;
		if (m->lost || m->rescan)
			continue;
		wrong = apply(m, &rec.mount);
		if (wrong)
			return wrong;
	}
	if (ret < 0)
		return "the queue gives no records";

	for (i = 0; i < m->nr_records && !m->lost && !m->rescan; i++) {
		wrong = check_recursive(m, &m->records[i]);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* Wait for the RESCAN record that is due to come. */
const char *model_await_rescan(struct model *m, struct queue *q)
{
	const char *wrong = NULL;
	struct pollfd pfd = { .fd = q->fd, .events = POLLIN };

	while (!wrong && !m->rescan) {
		if (poll(&pfd, 1, SOON) != 1)
			return "no RESCAN";
		wrong = model_read(m, q);
	}
	return wrong;
}

const char *model_compare(struct model *m, const struct listing *l)
{
	const struct mnt *real;
	unsigned int i, nr = 0;
	struct mnt *mnt;

	for (i = 0; i < l->nr; i++) {
		real = &l->mnts[i];
		if (!below_watch(m, l, real))
			continue;
		nr++;
		mnt = model_find(m, real->id);
		if (!mnt)
			return "a mount that no record told of";
		if (mnt->parent != real->parent)
			return "the model has another parent";
		if (mnt->attr != real->attr)
			return "the model has other attributes";
		if (mnt->propagation != real->propagation)
			return "the model has another propagation type";
		if (mnt->group != real->group)
			return "the model has another peer group";
		if (real->point[0] && mnt->deep != !at_watch(m, l, real))
			return "IN_SUBTREE is wrong";
	}
	return nr == m->nr ? NULL : "the model has a mount that is not there";
}

void print_record(const struct mount_notification *n)
{
	static const char * const names[] = {
		"NEW_MOUNT", "UNMOUNT", "EXPIRY", "READONLY", "SETATTR",
		"MOVE_FROM", "MOVE_TO", "PROPAGATION",
	};
	const unsigned int subtype = n->watch.subtype;

	fprintf(stderr, "#   %s%s%s%s%s %" PRIx64 " parent %" PRIx64 " (%" PRIx64
		") attr %" PRIx64 " (%" PRIx64 ") propagation %x (%x) group %" PRIu64 "\n",
		subtype < 8 ? names[subtype] : "?",
		n->watch.info & NOTIFY_MOUNT_IN_SUBTREE ? " IN_SUBTREE" : "",
		n->watch.info & NOTIFY_MOUNT_RECURSIVE ? " RECURSIVE" : "",
		n->watch.info & NOTIFY_MOUNT_PROPAGATED ? " PROPAGATED" : "",
		n->watch.info & NOTIFY_MOUNT_IS_NOW_RO ? " FLAG_2" : "",
		(uint64_t)n->mnt_id, (uint64_t)n->mnt_parent_id,
		(uint64_t)n->mnt_parent_id_old, (uint64_t)n->mnt_attr,
		(uint64_t)n->mnt_attr_old, n->mnt_propagation,
		n->mnt_propagation_old, (uint64_t)n->mnt_peer_group);
}

static void print_mount(const struct mnt *mnt)
{
	fprintf(stderr, "#   %" PRIx64 " parent %" PRIx64 " attr %" PRIx64
		" propagation %x group %" PRIu64 "%s %s\n", mnt->id, mnt->parent,
		mnt->attr, mnt->propagation, mnt->group,
		mnt->deep ? " deep" : "", mnt->point);
}

/* The last records, the model and what there is. */
void model_print(const struct model *m, const struct listing *l)
{
	unsigned int i;

	fprintf(stderr, "# watch %u on mount %" PRIx64 " %s%s, its records:\n",
		m->tag, m->mount, m->dir ?: "(root)", m->removed ? ", removed" : "");
	for (i = 0; i < m->nr_records; i++)
		print_record(&m->records[i]);
	fprintf(stderr, "# the model:\n");
	for (i = 0; i < m->nr; i++)
		print_mount(&m->mnts[i]);
	fprintf(stderr, "# the mounts that there are:\n");
	for (i = 0; i < l->nr; i++)
		print_mount(&l->mnts[i]);
}
