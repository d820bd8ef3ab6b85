/* Records from the journal at the start, into it at each change. A file that is damaged or
 * can't be read makes its disk fail for everybody, since reservations that nobody knows
 * would be as if there were none; it is not written over until an operator says so. One that is
 * damaged later is, since what it said is known. Runs in the arbiter; the table of identities is
 * the monitor's, and trusted. */
#include "gateway/arbiter/keeping.h"

#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"

static bool has(const uint64_t bits[], unsigned d)
{
	return (bits[d / 64] & 1ull << d % 64) != 0;
}

static void set(uint64_t bits[], unsigned d, bool on)
{
	if (on)
		bits[d / 64] |= 1ull << d % 64;
	else
		bits[d / 64] &= ~(1ull << d % 64);
}

int keeping_open(struct keeping *k, int folder_fd, const struct arbiter_begin *begin,
		 int identities_fd)
{
	OWNED_FREE char *table = NULL;
	size_t size, len;
	int r;

	if (begin->disks > ARBITER_DISKS_MAX || !fd_is_sealed(identities_fd))
		return -EINVAL;
	size = begin->disks * sizeof *k->identities;
	if ((r = fd_read_all(identities_fd, size, &table, &len)) < 0)
		return r;
	if (len != size)
		return -EINVAL;
	k->identities = calloc(ARBITER_DISKS_MAX, sizeof *k->identities);
	k->told = calloc(ARBITER_DISKS_MAX, sizeof *k->told);
	if (k->identities == NULL || k->told == NULL)
		return -ENOMEM;
	memcpy(k->identities, table, size);
	k->disks = begin->disks;
	for (uint32_t d = 0; d < k->disks; d++) {
		k->identities[d].serial[sizeof k->identities[d].serial - 1] = '\0';
		k->identities[d].name[sizeof k->identities[d].name - 1] = '\0';
	}
	k->journal.folder_fd = folder_fd;
	k->journal.first = begin->life == 1;
	memcpy(k->journal.run, begin->run, sizeof k->journal.run);
	return 0;
}

void keeping_close(struct keeping *k)
{
	free(TAKE(k->identities));
	free(TAKE(k->told));
}

/* --- the journal --- */

static void refuse(struct keeping *k, unsigned d, int error, struct arbiter_record *r,
		   uint64_t wall_s)
{
	*r = (struct arbiter_record){.state.failed = EBADMSG, .failed_since_s = wall_s};
	set(k->damaged, d, true);
	log_error("the journal of disk %s, arbiter/%s in the state folder: %s; the disk is refused "
		  "to "
		  "everybody, since its reservations are not known. Restore the file and start "
		  "again, or give them up: sallyport disk clear --forget-reservations %s",
		  k->identities[d].name, k->identities[d].serial,
		  error == -EBADMSG ? "it is damaged" : strerror(-error), k->identities[d].name);
}

static int load_one(struct keeping *k, struct court *c, unsigned d, uint64_t wall_s)
{
	OWNED_FREE struct arbiter_record *found = malloc(sizeof *found);
	int r;

	if (found == NULL)
		return -ENOMEM;
	if ((r = journal_load(&k->journal, k->identities[d].serial, found)) == 0)
		return 0;
	if (court_record(c, d) == NULL)
		return -ENOMEM;
	if (r < 0)
		refuse(k, d, r, found, wall_s);
	*c->records[d] = *found;
	return 0;
}

int keeping_load(struct keeping *k, struct court *c, uint64_t wall_s)
{
	int r = 0;

	for (unsigned d = 0; d < k->disks && r == 0; d++) {
		if (k->identities[d].serial[0] != '\0')
			r = load_one(k, c, d, wall_s);
	}
	k->journal.first = false; /* what comes later may have been here before */
	return r;
}

int keeping_take(struct keeping *k, struct court *c, const struct arbiter_row *row, uint64_t wall_s)
{
	struct arbiter_identity *i = &k->identities[row->row];

	*i = row->identity;
	i->serial[sizeof i->serial - 1] = '\0';
	i->name[sizeof i->name - 1] = '\0';
	k->disks = MAX(k->disks, row->row + 1);
	k->told[row->row] = (struct arbiter_summary){0};
	set(k->damaged, row->row, false);
	return load_one(k, c, row->row, wall_s);
}

void keeping_free(struct keeping *k, unsigned d)
{
	k->identities[d] = (struct arbiter_identity){0};
	set(k->damaged, d, false);
	set(k->news, d, false);
}

static void say(struct keeping *k, unsigned d, int error)
{
	if (error < 0 && k->error == 0)
		log_error("what sessions share about disk %s can't be kept: %s; changes of "
			  "reservations and mode parameters get BUSY until it can",
			  k->identities[d].name, strerror(-error));
	if (error == 0 && k->error != 0)
		log_notice("what sessions share about disks is kept again");
	k->error = -error;
}

int keeping_keep(struct keeping *k, unsigned d, const struct arbiter_record *record)
{
	const char *serial = k->identities[d].serial;
	bool damaged = has(k->damaged, d);
	int r;

	if (damaged && record->state.failed == EBADMSG)
		return -EBADMSG;
	r = damaged ? journal_start_over(&k->journal, serial, record)
		    : journal_keep(&k->journal, serial, record);
	if (r == -EBADMSG && !damaged) {
		log_warning("the journal of disk %s, arbiter/%s.lasting in the state folder, was "
			    "damaged while the gateway ran; nothing is lost, it is written anew: "
			    "look at what else writes there, and at the medium",
			    k->identities[d].name, serial);
		r = journal_start_over(&k->journal, serial, record);
	}
	if (r == 0)
		set(k->damaged, d, false);
	say(k, d, r);
	return r;
}

/* --- for people --- */

void keeping_note(struct keeping *k, unsigned d)
{
	set(k->news, d, true);
}

/* Who holds SPC-2's reservation is a member, who holds a persistent one may be away. */
static const char *name_of(const struct court *c, const struct arbiter_record *r)
{
	for (size_t k = 0; k < ARRAY_LEN(r->registrations) && r->state.holder != 0; k++) {
		if (r->registrations[k].nexus == r->state.holder)
			return r->registrations[k].initiator;
	}
	for (const struct member *m = c->members; m != NULL && r->state.holder != 0;
	     m = m->next_member) {
		if (m->nexus == r->state.holder)
			return m->initiator;
	}
	return "";
}

/* SPC-4 section 5.13.1: of two types the holder, of the others who is registered. */
static void writers_of(const struct arbiter_record *r, struct arbiter_summary *ret)
{
	uint8_t type = r->state.reservation;
	bool all = reservation_is_of_registrants(type) || reservation_is_of_all(type);
	size_t count = 0;

	for (size_t k = 0; k < ARRAY_LEN(r->registrations); k++) {
		uint64_t nexus = r->registrations[k].nexus;

		if (reservation_is_persistent(type) && nexus != 0 &&
		    (all || nexus == r->state.holder))
			ret->writers[count++] = nexus;
	}
}

static void summary_of(const struct court *c, unsigned d, struct arbiter_summary *ret)
{
	const struct arbiter_record *r = c->records[d];

	*ret = (struct arbiter_summary){
		.disk = d,
		.failed = r->state.failed,
		.failed_since_s = r->failed_since_s,
		.reservation = r->state.reservation,
		.aptpl = r->aptpl,
	};
	for (size_t k = 0; k < ARRAY_LEN(r->registrations); k++)
		ret->registrants += r->registrations[k].nexus != 0;
	(void)string_copy(ret->holder, sizeof ret->holder, name_of(c, r));
	writers_of(r, ret);
}

bool keeping_news(struct keeping *k, const struct court *c, struct arbiter_summary *ret)
{
	for (unsigned n = 0; n < ARRAY_LEN(k->news); n++) {
		while (k->news[n] != 0) {
			unsigned d = n * 64 + (unsigned)__builtin_ctzll(k->news[n]);

			k->told[d].disk = d;
			summary_of(c, d, ret);
			if (memcmp(ret, &k->told[d], sizeof *ret) != 0)
				return true;
			set(k->news, d, false);
		}
	}
	return false;
}

void keeping_told(struct keeping *k, const struct arbiter_summary *summary)
{
	k->told[summary->disk] = *summary;
	set(k->news, summary->disk, false);
}
