/* Disks as the arbiter knows them, for people: which failed for good, who holds them; and the
 * operator's word that a failed one is well again. The arbiter is trusted, and is the one
 * that remembers; what is here is its last word. */
#include <stdio.h>
#include <time.h>
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

static const struct meaning {
	int error;
	const char *reason, *text, *remedy;
} meanings[] = {
	{EBADMSG, "journal-damaged", "has a damaged journal: its reservations are not known",
	 "restore its file in the folder arbiter of the state folder and restart, or: sallyport "
	 "disk "
	 "clear --forget-reservations"},
	{ENODATA, "shrank", "is smaller than it was",
	 "restore its size, then: sallyport disk clear"},
	{ESTALE, "vanished", "was deleted or replaced",
	 "put it back and restart, then: sallyport disk clear"},
	{0, "failed", "failed, and what was written last may be lost",
	 "check it, then: sallyport disk clear"},
};

static const struct meaning *meaning_of(uint32_t error)
{
	size_t k = 0;

	while (meanings[k].error != (int)error && meanings[k].error != 0)
		k++;
	return &meanings[k];
}

void disk_shared(struct monitor *m, const struct arbiter_summary *summary)
{
	const struct meaning *means = meaning_of(summary->failed);
	struct monitor_disk *d;
	uint32_t before;

	if (summary->disk >= m->disk_end || m->disks[summary->disk] == NULL)
		return;
	d = m->disks[summary->disk];
	before = d->shared.failed;
	d->shared = *summary;
	d->shared.holder[sizeof d->shared.holder - 1] = '\0';
	writers_look(m, d);
	if (before == 0 && summary->failed != 0) {
		log_error("disk %s %s; all of its initiators get errors: %s %s", d->policy.name,
			  means->text, means->remedy, d->policy.name);
		trail_say(m, EVENT_DISK, means->reason, "disk %s: %s", d->policy.name,
			  strerror((int)summary->failed));
	}
	if (before != 0 && summary->failed == 0) {
		d->said = 0;
		log_notice("disk %s was cleared: its initiators go on", d->policy.name);
		trail_say(m, EVENT_DISK, "cleared", "disk %s", d->policy.name);
	}
}

const char *disk_state(const struct monitor_disk *d, char *ret, size_t size)
{
	const struct meaning *means = meaning_of(d->shared.failed);

	if (d->shared.failed != 0)
		(void)snprintf(ret, size, "%s: %s %s", means->text, means->remedy, d->policy.name);
	else
		(void)snprintf(ret, size, "%s", d->error != 0 ? strerror(-d->error) : "ok");
	return ret;
}

/* --- the list --- */

/* SPC-4 section 6.15.3.2, as sg_persist and others write them. */
static const char *reservation_text(uint8_t type)
{
	switch (type) {
	case RESERVATION_WRITE_EXCLUSIVE:
		return "write exclusive";
	case RESERVATION_EXCLUSIVE_ACCESS:
		return "exclusive access";
	case RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS:
		return "write exclusive, registrants only";
	case RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS:
		return "exclusive access, registrants only";
	case RESERVATION_WRITE_EXCLUSIVE_ALL:
		return "write exclusive, all registrants";
	case RESERVATION_EXCLUSIVE_ACCESS_ALL:
		return "exclusive access, all registrants";
	case RESERVATION_RESERVE_6:
		return "reserved by RESERVE";
	default:
		return "";
	}
}

static json_t *since_json(const struct monitor_disk *d)
{
	time_t at = (time_t)d->shared.failed_since_s;
	struct tm tm;
	char text[32];

	if (d->shared.failed == 0 || gmtime_r(&at, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(text);
}

json_t *disks_shared_json(const struct monitor *m)
{
	json_t *list = json_array();
	const struct monitor_disk *d;
	char state[512];

	EACH_DISK(m, d, row)
	{
		const struct arbiter_summary *s = &d->shared;

		if (d->leaves)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s,s:I,s:s,s:s,s:b,s:o,s:s,s:s,s:i,s:b,s:s,s:o}", "disk",
				  d->policy.name, "size_bytes", (json_int_t)d->disk.size_bytes,
				  "serial", d->told.serial, "state",
				  disk_state(d, state, sizeof state), "failed", s->failed != 0,
				  "failed_since", since_json(d), "reservation",
				  reservation_text(s->reservation), "holder", s->holder,
				  "registrants", (int)s->registrants, "kept_over_power_loss",
				  (int)s->aptpl, "writers", d->policy.cluster ? "cluster" : "one",
				  "writer", writer_json(d)));
	}
	return list;
}

/* --- the operator's word --- */

const char *disk_clear(struct monitor *m, const char *name, bool forget)
{
	struct arbiter_clear clear = {.forget = forget};
	struct monitor_disk *d = disk_find(m, name);

	if (d == NULL)
		return "there is no such disk: see sallyport disk";
	if (d->shared.failed == 0)
		return "it did not fail, so there is nothing to clear";
	if (d->shared.failed == EBADMSG && !forget)
		return "its journal is damaged, so its reservations are not known: with "
		       "--forget-reservations it starts without any. Make sure first that no "
		       "initiator that was kept out writes to it";
	if (disk_check(&d->disk) < 0)
		return "it is still deleted or smaller than it was: put it back first; after a "
		       "deleted file was put back the gateway has to be restarted";
	clear.disk = d->row;
	if (helper_send(&m->helpers[HELPER_ARBITER], ARBITER_CLEAR, &clear, sizeof clear, -1) < 0)
		return "the arbiter, which keeps this, is away: again in a moment";
	return NULL;
}
