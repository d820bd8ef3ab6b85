/* Names that must stay: a disk's UUID (its serial and NAA), a portal group's tag (and relative
 * port identifier: to SCSI, a portal group is the target's port). Kept
 * in the state folder under the policy's names, so that reordering the policy or moving
 * a file changes nothing for an initiator. The policy may say another NAA and serial. A damaged
 * file is an error: new identities would make every initiator see new disks. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/reload.h"

#define IDENTITY_FILE "identities.json"
#define IDENTITY_MAX  (1u << 20)

/* RFC 9562 version 4. */
static int uuid_make(char ret_text[37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
		return -EIO;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(ret_text, 37,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		       b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		       b[13], b[14], b[15]);
	return 0;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NAA 3h, locally assigned (SPC-4 section 7.8.6.6.4): 60 bits of the UUID, leaving out the 4 bits
 * of its version. */
static int naa_from_uuid(const char *uuid, uint8_t ret_naa[8])
{
	uint64_t value = 0x3;
	unsigned digits = 0;

	for (size_t k = 0; k < 36 && digits < 15; k++) {
		int d = digit(uuid[k]);

		if (uuid[k] == '-' || k == 14)
			continue;
		if (d < 0)
			return -EINVAL;
		value = value << 4 | (uint64_t)d;
		digits++;
	}
	for (size_t k = 0; k < 8; k++)
		ret_naa[k] = (uint8_t)(value >> (8 * (7 - k)));
	return digits == 15 ? 0 : -EINVAL;
}

/* The object `name` below root, made when missing. */
static json_t *section(json_t *root, const char *name)
{
	json_t *found = json_object_get(root, name);

	if (found == NULL) {
		found = json_object();
		if (json_object_set_new(root, name, found) < 0)
			return NULL;
	}
	return json_is_object(found) ? found : NULL;
}

/* The UUID of the disk is kept under its name of today. That of a former name moves there: who is
 * called so later is another disk. */
static int uuid_move(json_t *uuids, const struct policy_disk *p)
{
	json_t *known = json_object_get(uuids, p->name);

	for (size_t k = 0; k < p->formerly_count && known == NULL; k++) {
		known = json_object_get(uuids, p->formerly[k]);
		if (known == NULL)
			continue;
		if (json_object_set(uuids, p->name, known) < 0)
			return -ENOMEM;
		(void)json_object_del(uuids, p->formerly[k]);
	}
	return 0;
}

/* What initiators hear. */
static int disk_tell(struct disk_plan *d, const struct policy_disk *p)
{
	d->told = p->identity;
	if (d->told.serial[0] == '\0')
		(void)string_copy(d->told.serial, sizeof d->told.serial, d->serial);
	if (d->told.naa_len != 0)
		return 0;
	d->told.naa_len = 8;
	return naa_from_uuid(d->serial, d->told.naa);
}

static int disk_identify(struct disk_plan *d, const struct policy_disk *p, json_t *uuids)
{
	const char *known;
	int r = uuid_move(uuids, p);

	if (r < 0)
		return r;
	known = json_string_value(json_object_get(uuids, p->name));
	if (known == NULL) {
		if ((r = uuid_make(d->serial)) < 0)
			return r;
		if (json_object_set_new(uuids, p->name, json_string(d->serial)) < 0)
			return -ENOMEM;
	} else if (strlen(known) == sizeof d->serial - 1) {
		(void)string_copy(d->serial, sizeof d->serial, known);
	}
	return d->serial[0] == '\0' ? -EINVAL : disk_tell(d, p);
}

struct told {
	const struct policy_identity *identity;
	const struct policy_disk *disk;
};

static int told_compare(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return memcmp(x->identity->naa, y->identity->naa, sizeof x->identity->naa);
}

/* The policy may give a disk the NAA that another has from its UUID. Initiators would take the two
 * for one. */
static int disks_compare(const struct monitor *m, struct setup *s)
{
	size_t count = s->policy->disk_count;
	OWNED_FREE struct told *sorted = calloc(count + 1, sizeof *sorted);

	if (sorted == NULL)
		return -ENOMEM;
	for (size_t k = 0; k < count; k++)
		sorted[k] = (struct told){&s->disks[k].told, &s->policy->disks[k]};
	qsort(sorted, count, sizeof *sorted, told_compare);
	for (size_t k = 1; k < count; k++) {
		const struct policy_disk *a = sorted[k - 1].disk, *b = sorted[k].disk;

		if (told_compare(&sorted[k - 1], &sorted[k]) != 0)
			continue;
		setup_say(s,
			  "%s: the disks %s (line %u) and %s (line %u) have one NAA: initiators "
			  "would take them for one disk; change that in identity:",
			  m->policy_path, a->name, a->line, b->name, b->line);
		return -EEXIST;
	}
	return 0;
}

static int disks_identify(const struct monitor *m, struct setup *s, json_t *uuids)
{
	for (size_t k = 0; k < s->policy->disk_count; k++) {
		int r = disk_identify(&s->disks[k], &s->policy->disks[k], uuids);

		if (r < 0)
			return r;
	}
	return disks_compare(m, s);
}

/* Does a group other than `name` have this tag, or did one: in the state, or by the policy? */
static bool tag_is_taken(const struct policy *p, json_t *tags, const char *name, json_int_t tag)
{
	const char *other;
	json_t *value;

	json_object_foreach(tags, other, value)
	{
		if (json_integer_value(value) == tag && strcmp(other, name) != 0)
			return true;
	}
	for (size_t k = 0; k < p->portal_count; k++) {
		if (p->portals[k].group_tag == tag)
			return true;
	}
	return false;
}

/* The tag of a group that is known by its name: the one it had, or the lowest that nobody had. */
static int group_identify(struct setup *s, json_t *tags, const char *name)
{
	json_t *known = json_object_get(tags, name);
	json_int_t tag = known ? json_integer_value(known) : 1;

	while (known == NULL && tag <= UINT16_MAX && tag_is_taken(s->policy, tags, name, tag))
		tag++;
	if (tag < 1 || tag > UINT16_MAX)
		return -EINVAL;
	if (known != NULL && tag_is_taken(s->policy, tags, name, tag)) {
		setup_say(s,
			  "the portal group %s has the tag %d since it was first seen, and the "
			  "policy gives it to another: take another number there",
			  name, (int)tag);
		return -EEXIST;
	}
	if (known == NULL && json_object_set_new(tags, name, json_integer(tag)) < 0)
		return -ENOMEM;
	return (int)tag;
}

/* A group that the policy gives by its number has that tag; the others keep theirs. */
static int portals_identify(struct setup *s, json_t *tags)
{
	for (size_t k = 0; k < s->policy->portal_count; k++) {
		const struct policy_portal *p = &s->policy->portals[k];
		int tag = p->group_tag ? p->group_tag : group_identify(s, tags, p->group);

		if (tag < 0)
			return tag;
		s->portal_tags[k] = (uint16_t)tag;
	}
	return 0;
}

static int identities_read(struct monitor *m, json_t **ret_root)
{
	OWNED_FD fd = openat(m->state_fd, IDENTITY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	OWNED_FREE char *text = NULL;
	size_t len;
	int r;

	if (fd < 0 && errno == ENOENT) {
		*ret_root = json_object();
		return *ret_root ? 0 : -ENOMEM;
	}
	if (fd < 0)
		return -errno;
	if ((r = fd_read_all(fd, IDENTITY_MAX, &text, &len)) < 0)
		return r;
	*ret_root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	return *ret_root ? 0 : -EINVAL;
}

static int say(const struct monitor *m, struct setup *s, int error)
{
	if (error < 0 && error != -EEXIST)
		setup_say(s,
			  "%s/%s, the identities of the disks: %s; restore it from a backup, since "
			  "initiators know the disks by it",
			  m->state_path, IDENTITY_FILE, strerror(-error));
	return error;
}

static bool has_value(json_t *object, const json_t *value)
{
	const char *key;
	json_t *other;

	json_object_foreach(object, key, other)
	{
		if (json_equal(other, value))
			return true;
	}
	return false;
}

/* The names as they were, and beside them what has come since. */
static int names_restore(json_t **root, const json_t *restored)
{
	static const char *const sections[] = {"disks", "portals"};
	json_t *was = json_deep_copy(restored), *value;
	const char *key;

	for (size_t k = 0; was != NULL && k < ARRAY_LEN(sections); k++) {
		json_t *old = section(was, sections[k]);

		json_object_foreach(json_object_get(*root, sections[k]), key, value)
		{
			if (json_object_get(old, key) == NULL && !has_value(old, value) &&
			    json_object_set(old, key, value) < 0)
				return json_decref(was), -ENOMEM;
		}
	}
	if (was == NULL)
		return -ENOMEM;
	json_decref(*root);
	*root = was;
	return 0;
}

int identities_prepare(struct monitor *m, struct setup *s)
{
	json_t *uuids, *tags;
	int r = identities_read(m, &s->identities);

	if (r < 0)
		return say(m, s, r);
	s->identities_before = json_deep_copy(s->identities);
	if (s->identities_before == NULL)
		return -ENOMEM;
	if (s->identities_restored != NULL &&
	    (r = names_restore(&s->identities, s->identities_restored)) < 0)
		return r;
	uuids = section(s->identities, "disks");
	tags = section(s->identities, "portals");
	r = uuids && tags ? disks_identify(m, s, uuids) : -EINVAL;
	if (r == 0)
		r = portals_identify(s, tags);
	return say(m, s, r);
}

static int names_write(const struct monitor *m, const json_t *root)
{
	OWNED_FREE char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

	if (text == NULL)
		return -ENOMEM;
	return file_replace(m->state_fd, IDENTITY_FILE, text, strlen(text), 0600);
}

int identities_write(struct monitor *m, struct setup *s)
{
	int r = names_write(m, s->identities);

	s->identities_written = r == 0;
	return say(m, s, r);
}

void identities_undo(struct monitor *m, struct setup *s)
{
	if (s->identities_written && names_write(m, s->identities_before) < 0)
		log_error("%s/%s has the names of a policy that was not taken up, and can't be "
			  "written",
			  m->state_path, IDENTITY_FILE);
	s->identities_written = false;
}
