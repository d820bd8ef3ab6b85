/* One writer at a time: the slot of a disk is one initiator's, by name, whatever paths it has. Its
 * last session gone without a logout, it keeps the slot for the policy's lease; the others have the
 * disk read-only meanwhile, and stay so until they log in again, since nobody expects a file system
 * that he mounted read-only to be written. Under a persistent reservation those may write who may
 * under its type. Runs in the monitor; who holds what, the arbiter says, and is trusted. The names
 * are kept in the state folder, so that a gateway that starts again knows them. */
#include <fcntl.h>
#include "gateway/arbiter/record.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

#define WRITERS_FILE "writers.json" /* { serial of a disk: initiator } */
#define WRITERS_MAX  (4u << 20)

/* --- the file --- */

void writers_load(struct monitor *m)
{
	OWNED_FD fd = openat(m->state_fd, WRITERS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	OWNED_FREE char *text = NULL;
	size_t len;

	if (fd >= 0 && fd_read_all(fd, WRITERS_MAX, &text, &len) == 0)
		m->writers = json_loadb(text, len, 0, NULL);
	if (fd >= 0 && !json_is_object(m->writers))
		log_warning("%s/%s can't be read: who wrote the disks last is not known, and the "
			    "first one to log in may",
			    m->state_path, WRITERS_FILE);
	if (!json_is_object(m->writers)) {
		json_decref(m->writers);
		m->writers = json_object();
	}
}

static int writers_save(struct monitor *m)
{
	OWNED_FREE char *text = json_dumps(m->writers, JSON_COMPACT);
	int r = text != NULL ? file_replace(m->state_fd, WRITERS_FILE, text, strlen(text), 0600)
			     : -ENOMEM;

	m->writers_unsaved = false;
	if (r < 0)
		log_error("%s/%s can't be written: %s", m->state_path, WRITERS_FILE, strerror(-r));
	return r;
}

void writers_close(struct monitor *m)
{
	if (m->writers_unsaved)
		IGNORE_RESULT(writers_save(m)); /* what is there too much is over after a lease */
	json_decref(TAKE(m->writers));
}

/* --- the slot --- */

/* A disk in memory is empty after a restart: nobody has anything mounted of it. */
static bool is_kept(const struct monitor_disk *d)
{
	return d->disk.kind != DISK_MEMORY;
}

static void slot_free(struct monitor *m, struct monitor_disk *d)
{
	d->writer[0] = '\0';
	d->writer_until_ms = 0;
	if (is_kept(d) && json_object_del(m->writers, d->serial) == 0)
		m->writers_unsaved = true;
}

static bool slot_is_free(struct monitor *m, struct monitor_disk *d)
{
	if (d->writer[0] != '\0' && d->writer_until_ms != 0 && clock_ms() >= d->writer_until_ms) {
		log_notice("the write slot of disk %s is free: %s did not come back",
			   d->policy.name, d->writer);
		trail_say(m, EVENT_DISK, "writer-gone", "disk %s: %s did not come back",
			  d->policy.name, d->writer);
		slot_free(m, d);
	}
	return d->writer[0] == '\0';
}

/* Durably, before anything can be written. */
static bool slot_take(struct monitor *m, struct monitor_disk *d, const char *initiator)
{
	if (strcmp(d->writer, initiator) == 0) {
		d->writer_until_ms = 0;
		return true;
	}
	if (is_kept(d) && (json_object_set_new(m->writers, d->serial, json_string(initiator)) < 0 ||
			   writers_save(m) < 0))
		return false;
	(void)string_copy(d->writer, sizeof d->writer, initiator);
	d->writer_until_ms = 0;
	trail_say(m, EVENT_DISK, "writer", "disk %s is written by %s", d->policy.name, initiator);
	return true;
}

void writers_commit(struct monitor *m, struct monitor_disk *d)
{
	const char *before = json_string_value(json_object_get(m->writers, d->serial));

	if (d->policy.cluster) {
		slot_free(m, d);
		return;
	}
	if (before == NULL || d->writer[0] != '\0' || !is_kept(d))
		return;
	(void)string_copy(d->writer, sizeof d->writer, before);
	d->writer_until_ms = clock_ms() + d->policy.writer_lease_ms;
}

/* --- who may write now --- */

static uint64_t nexus_of(const struct connection *c)
{
	return arbiter_nexus_id(c->initiator_name, c->claim.isid,
				arbiter_port_id(c->target_name, c->portal_tag));
}

static bool is_reserved_for(const struct monitor_disk *d, const struct connection *c)
{
	uint64_t nexus = d->shared.writers[0] != 0 ? nexus_of(c) : 0;

	for (size_t k = 0; k < ARRAY_LEN(d->shared.writers) && nexus != 0; k++) {
		if (d->shared.writers[k] == nexus)
			return true;
	}
	return false;
}

static void say_waits(const struct connection *c, const struct monitor_disk *d)
{
	char until[192] = "until its sessions log out";

	if (d->writer_until_ms != 0)
		(void)snprintf(until, sizeof until,
			       "for %ju s more, though it is lost (writer_lease; sallyport disk "
			       "free %.63s)",
			       (uintmax_t)(d->writer_until_ms - clock_ms() + 999) / 1000,
			       d->policy.name);
	log_warning("disk %s is given to %s read-only: %s writes it, %s. Two machines that mount "
		    "one ext4 or XFS destroy it; for a cluster's file system there is writers: "
		    "cluster",
		    d->policy.name, c->initiator_name, d->writer, until);
	trail_say(c->m, EVENT_DISK, "another-writer", "disk %s, read-only for %s: written by %s",
		  d->policy.name, c->initiator_name, d->writer);
}

bool writer_enters(struct connection *c, const struct granted_lun *g, struct monitor_disk *d)
{
	if (!g->may || d->policy.cluster)
		return g->may;
	if (slot_is_free(c->m, d) || strcmp(d->writer, c->initiator_name) == 0 ||
	    is_reserved_for(d, c)) {
		bool new = strcmp(d->writer, c->initiator_name) != 0;
		bool taken = slot_take(c->m, d, c->initiator_name);

		if (new &&taken) /* its other paths may write, too */
			writers_look(c->m, d);
		return taken;
	}
	say_waits(c, d);
	return false;
}

static struct granted_lun *lun_of(struct connection *c, const struct monitor_disk *d, size_t *from)
{
	for (; *from < c->lun_count; (*from)++) {
		if (c->luns[*from].row == d->row && c->luns[*from].told)
			return &c->luns[(*from)++];
	}
	return NULL;
}

/* I/O of it may be under way. */
static bool is_live(const struct connection *c)
{
	return c->state != CONN_FREE && (c->pid != 0 || c->lifeline.fd >= 0);
}

/* Under a reservation: the slot's owner, when it may write, or else somebody who may. */
static const char *reserving_writer(struct monitor *m, struct monitor_disk *d)
{
	const char *found = NULL;

	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];
		size_t from = 0;
		const struct granted_lun *g = c->state == CONN_GRANTED ? lun_of(c, d, &from) : NULL;

		if (g == NULL || !g->may || !is_reserved_for(d, c))
			continue;
		if (strcmp(c->initiator_name, d->writer) == 0)
			return d->writer;
		found = found != NULL ? found : c->initiator_name;
	}
	return found;
}

/* The policy had `cluster` before: the first of those who write. */
static const char *first_writer(struct monitor *m, struct monitor_disk *d)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];
		size_t from = 0;
		const struct granted_lun *g = is_live(c) ? lun_of(c, d, &from) : NULL;

		if (g != NULL && g->writable)
			return c->initiator_name;
	}
	return NULL;
}

static void session_look(struct connection *c, struct monitor_disk *d)
{
	struct granted_lun *g;
	size_t from = 0;

	while ((g = lun_of(c, d, &from)) != NULL) {
		bool writes = g->may && (d->policy.cluster || is_reserved_for(d, c) ||
					 strcmp(d->writer, c->initiator_name) == 0);

		if (writes == g->writable)
			continue;
		log_notice("session %u of %s %s disk %s", c->id, c->initiator_name,
			   writes ? "may write" : "may not write any more", d->policy.name);
		trail_say(c->m, EVENT_DISK, writes ? "may-write" : "may-not-write",
			  "disk %s, session %u of %s", d->policy.name, c->id, c->initiator_name);
		lun_tell_again(c, g, writes);
	}
}

void writers_look(struct monitor *m, struct monitor_disk *d)
{
	const char *reserving = d->shared.writers[0] != 0 ? reserving_writer(m, d) : NULL;
	char name[ISCSI_NAME_SIZE];

	if (!d->policy.cluster && reserving == NULL && slot_is_free(m, d))
		reserving = first_writer(m, d);
	if (!d->policy.cluster && reserving != NULL) {
		(void)string_copy(name, sizeof name, reserving);
		IGNORE_RESULT(slot_take(m, d, name)); /* told; then it stays as it was */
	}
	for (uint32_t k = 0; k < m->connection_max; k++) {
		if (m->connections[k].state == CONN_GRANTED)
			session_look(&m->connections[k], d);
	}
}

void writers_reload(struct monitor *m)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	writers_look(m, d);
}

/* --- its end --- */

static bool has_other_session(const struct connection *c, const struct monitor_disk *d)
{
	for (uint32_t k = 0; k < c->m->connection_max; k++) {
		struct connection *other = &c->m->connections[k];
		size_t from = 0;

		if (other != c && is_live(other) && lun_of(other, d, &from) != NULL &&
		    strcmp(other->initiator_name, c->initiator_name) == 0)
			return true;
	}
	return false;
}

/* Its initiator has logged out after others of its sessions were lost, whose I/O is not over: the
 * slot is free when that is, and nobody is waited for. */
static void others_are_logged_out(const struct connection *c, const struct monitor_disk *d)
{
	for (uint32_t k = 0; k < c->m->connection_max; k++) {
		struct connection *other = &c->m->connections[k];
		size_t from = 0;

		if (other->state == CONN_ENDING && lun_of(other, d, &from) != NULL &&
		    strcmp(other->initiator_name, c->initiator_name) == 0)
			other->logged_out = true;
	}
}

void writer_leaves(struct connection *c, struct monitor_disk *d)
{
	if (d->policy.cluster || strcmp(d->writer, c->initiator_name) != 0)
		return;
	if (c->logged_out)
		others_are_logged_out(c, d);
	if (has_other_session(c, d))
		return;
	if (c->logged_out) {
		slot_free(c->m, d);
		return;
	}
	d->writer_until_ms = clock_ms() + d->policy.writer_lease_ms;
	log_notice("%s is lost without a logout, and keeps the write slot of disk %s for %u s",
		   c->initiator_name, d->policy.name, d->policy.writer_lease_ms / 1000);
}

void writers_tick(struct monitor *m)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	(void)slot_is_free(m, d);
	if (m->writers_unsaved)
		IGNORE_RESULT(writers_save(m)); /* told; too much is over after a lease */
}

/* --- for people --- */

json_t *writer_json(const struct monitor_disk *d)
{
	uint64_t now = clock_ms(), until = d->writer_until_ms;

	if (d->writer[0] == '\0')
		return json_null();
	return json_pack("{s:s,s:b,s:I}", "initiator", d->writer, "lost", until != 0,
			 "seconds_left",
			 (json_int_t)(until > now ? (until - now + 999) / 1000 : 0));
}

const char *writer_free(struct monitor *m, const char *name)
{
	struct monitor_disk *d = disk_find(m, name);

	if (d == NULL)
		return "there is no such disk: see sallyport disk";
	if (d->writer[0] == '\0')
		return "nobody has its write slot";
	if (d->writer_until_ms == 0)
		return "who has its write slot has a session: end that first, with sallyport kick";
	trail_say(m, EVENT_DISK, "writer-freed", "disk %s: %s was to come back", d->policy.name,
		  d->writer);
	slot_free(m, d);
	return NULL;
}
