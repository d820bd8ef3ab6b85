/* What a session is given: LUNs with their disks, freshly opened, and rules. Decided by the policy
 * that is in force, then kept by value, since a session that a later policy allows as it is
 * outlives the one that granted it. Runs in the monitor. */
#include <sodium.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

/* Of what a session was told last: what is the same is not told again. */
uint64_t octets_hash(const void *octets, size_t len)
{
	uint8_t hash[crypto_generichash_BYTES_MIN];
	uint64_t first;

	(void)crypto_generichash(hash, sizeof hash, octets, len, NULL, 0);
	memcpy(&first, hash, sizeof first);
	return first;
}

/* --- what it is --- */

static const struct policy_access *access_of(const struct policy_initiator *i, uint16_t lun)
{
	for (size_t k = 0; k < i->access_count; k++) {
		if (i->access[k].lun == lun)
			return &i->access[k];
	}
	return NULL;
}

/* SET TARGET PORT GROUPS: the arbiter believes no session that it may. */
static bool may_set_groups(const struct policy_initiator *i)
{
	const struct command_name *row = command_name_at(0xa4, 0x0a);

	return command_set_has(&i->allowed, row) && !command_set_has(&i->denied, row);
}

static int luns_decide(struct connection *c)
{
	const struct policy_target *t = c->target;

	free(TAKE(c->luns));
	c->lun_count = 0;
	c->rates = c->initiator->rates;
	c->luns = calloc(t->lun_count + 1, sizeof *c->luns);
	if (c->luns == NULL)
		return -ENOMEM;
	for (size_t k = 0; k < t->lun_count; k++) {
		const struct policy_access *access = access_of(c->initiator, t->luns[k].lun);
		uint16_t row = c->m->disk_rows[t->luns[k].disk];

		if (access == NULL)
			continue;
		c->luns[c->lun_count++] = (struct granted_lun){
			.lun = t->luns[k].lun,
			.row = row,
			.may = access->writable && !c->m->disks[row]->policy.read_only,
			.line = access->line,
			.rates = access->rates,
		};
	}
	return 0;
}

/* Groups that it is told of stay those of its login; which it may set, the arbiter hears. */
static void groups_decide(struct connection *c)
{
	bool sets = may_set_groups(c->initiator);

	if (sets == c->sets_groups)
		return;
	c->sets_groups = sets;
	c->seat_more = c->seat != SEAT_NONE;
}

static struct granted_lun *granted_find(struct granted_lun *luns, size_t count, uint16_t lun)
{
	for (size_t k = 0; k < count; k++) {
		if (luns[k].lun == lun)
			return &luns[k];
	}
	return NULL;
}

/* What it has it keeps: the policy gives all of that still. */
static int grants_merge(struct connection *c, const struct granted_lun *old, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		struct granted_lun *g = granted_find(c->luns, c->lun_count, old[k].lun);
		bool has = old[k].told || old[k].is_new;

		if (has && (g == NULL || g->row != old[k].row || (old[k].may && !g->may)))
			return -ESTALE;
		if (g == NULL)
			continue;
		g->told = old[k].told;
		g->counted = old[k].counted;
		g->rates_told = old[k].rates_told;
		g->writable = old[k].writable;
		g->is_new = old[k].is_new || (g->may && !old[k].may);
	}
	return 0;
}

int grants_widen(struct connection *c)
{
	struct granted_lun *old = c->luns;
	size_t count = c->lun_count;
	int r;

	c->luns = NULL;
	r = luns_decide(c);
	for (size_t k = 0; r == 0 && k < c->lun_count; k++)
		c->luns[k].is_new = granted_find(old, count, c->luns[k].lun) == NULL;
	if (r == 0)
		r = grants_merge(c, old, count);
	if (r < 0) {
		free(c->luns);
		c->luns = old;
		c->lun_count = count;
		return r;
	}
	free(old);
	for (size_t k = 0; k < c->lun_count; k++)
		c->seat_more = c->seat_more || c->luns[k].is_new;
	groups_decide(c);
	rules_send(c);
	records_send(c);
	return 0;
}

int grants_decide(struct connection *c)
{
	int r = luns_decide(c);

	if (r < 0)
		return r;
	target_groups(c, c->groups);
	c->sets_groups = may_set_groups(c->initiator);
	return 0;
}

/* --- writers --- */

static void count_writer(struct granted_lun *g, struct monitor_disk *d)
{
	bool writes = g->told && g->writable;

	if (writes != g->counted)
		d->writers += writes ? 1u : UINT_MAX; /* one less */
	g->counted = writes;
}

void grants_release(struct connection *c)
{
	for (size_t k = 0; k < c->lun_count; k++) {
		struct monitor_disk *d = c->m->disks[c->luns[k].row];

		if (!c->luns[k].told)
			continue;
		c->luns[k].told = false;
		count_writer(&c->luns[k], d);
		writer_leaves(c, d);
	}
}

/* --- giving it --- */

static void lun_body(const struct granted_lun *g, const struct monitor_disk *d,
		     struct session_lun *ret)
{
	const struct policy_disk *p = &d->policy;

	*ret = (struct session_lun){
		.lun = g->lun,
		.flags = (g->writable ? SESSION_LUN_WRITABLE : 0) |
			 (d->disk.rotational ? SESSION_LUN_ROTATIONAL : 0) |
			 (g->writable && d->disk.thin ? SESSION_LUN_THIN : 0) |
			 (p->removable ? SESSION_LUN_REMOVABLE : 0) |
			 (p->write_cache ? 0 : SESSION_LUN_DURABLE) |
			 (d->disk.kind == DISK_MEMORY ? SESSION_LUN_MEMORY : 0) |
			 (g->may && !g->writable ? SESSION_LUN_WAITS : 0),
		.block_size = p->block_size,
		.physical_block_size = p->physical_block_size,
		.rule_line = g->writable	      ? 0
			     : g->may || p->read_only ? p->line
						      : g->line,
		.size_bytes = d->disk.size_bytes,
		.shared = d->row,
		.naa_len = d->told.naa_len,
	};
	memcpy(ret->naa, d->told.naa, sizeof ret->naa);
	(void)string_copy(ret->serial, sizeof ret->serial, d->told.serial);
	(void)string_copy(ret->vendor, sizeof ret->vendor, d->told.vendor);
	(void)string_copy(ret->product, sizeof ret->product, d->told.product);
	(void)string_copy(ret->disk, sizeof ret->disk, p->name);
}

/* 1: it has the LUN; 0: its disk is not well; a negative error when it is us. */
static int lun_send(struct connection *c, struct granted_lun *g)
{
	struct monitor_disk *d = c->m->disks[g->row];
	OWNED_FD fd = disk_open(&d->disk, g->writable);
	struct session_lun body;

	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd; /* nothing is wrong with the disk */
	if (fd < 0) {
		disk_failed(c->m, d, fd, "a login");
		return 0;
	}
	disk_back(c->m, d);
	lun_body(g, d, &body);
	connection_send(c, SESSION_LUN, &body, sizeof body, fd);
	g->told = true;
	count_writer(g, d);
	return 1;
}

static int grant_lun(struct connection *c, struct granted_lun *g)
{
	g->writable = g->writable || writer_enters(c, g, c->m->disks[g->row]);
	return lun_send(c, g);
}

void lun_tell_again(struct connection *c, struct granted_lun *g, bool writable)
{
	bool before = g->writable;

	g->writable = writable;
	if (lun_send(c, g) > 0)
		return;
	g->writable = before;
	log_error("session %u is not told of LUN %u: its initiator logs in again to write it",
		  c->id, g->lun);
}

int grants_send(struct connection *c)
{
	int count = 0, r;

	for (size_t k = 0; k < c->lun_count; k++) {
		if ((r = grant_lun(c, &c->luns[k])) < 0)
			return r;
		count += r;
	}
	return count;
}

/* Of a session that has more than it logged in with. The arbiter knows first, and no limit is in
 * its way. */
void grants_go_on(struct connection *c)
{
	if (c->state != CONN_GRANTED || c->seat != SEAT_TAKEN || c->seat_more ||
	    c->seat_asked > 0 || !limits_are_raised(c->m))
		return;
	for (size_t k = 0; k < c->lun_count; k++) {
		struct granted_lun *g = &c->luns[k];

		if (g->is_new && grant_lun(c, g) < 0)
			log_error("session %u is not given LUN %u: no descriptors or memory are "
				  "left; its initiator logs in again to have it",
				  c->id, g->lun);
		g->is_new = false;
	}
}

void rules_send(struct connection *c)
{
	const struct policy_initiator *i = c->initiator;
	struct session_rules body = {
		.denied = i->denied,
		.allowed = i->allowed,
		.denied_line = i->denied_line,
		.allowed_line = i->allowed_line,
		.range_count = (uint32_t)i->range_count,
	};

	uint64_t hash;

	_Static_assert(SESSION_RANGES_MAX == POLICY_RANGES_MAX, "all of them");
	for (size_t k = 0; k < i->range_count; k++) {
		const struct policy_range *r = &i->ranges[k];

		body.ranges[k] = (struct session_range){r->first, r->last, r->line, (int16_t)r->lun,
							r->reads};
	}
	hash = octets_hash(&body, sizeof body);
	if (hash == c->rules_hash)
		return;
	c->rules_hash = hash;
	connection_send(c, SESSION_RULES, &body, sizeof body, -1);
}

/* --- telling it --- */

size_t grants_text(const struct connection *c, size_t from, char *ret, size_t size)
{
	size_t used = 0;

	ret[0] = '\0';
	for (; from < c->lun_count; from++) {
		const struct granted_lun *g = &c->luns[from];
		const struct monitor_disk *d = c->m->disks[g->row];
		int len = snprintf(ret + used, size - used, "%slun %u %s %u %ju %s",
				   used ? "; " : "", g->lun, d->policy.name, d->policy.block_size,
				   (uintmax_t)(d->disk.size_bytes / d->policy.block_size),
				   g->may ? "rw" : "ro");

		if (len < 0 || (size_t)len >= size - used) {
			ret[used] = '\0';
			break;
		}
		used += (size_t)len;
	}
	return from;
}

void grants_tell(const struct connection *c, size_t from)
{
	struct audit_event e;

	while (from < c->lun_count) {
		size_t next;

		event_from_connection(&e, EVENT_DISK, c);
		(void)string_copy(e.reason, sizeof e.reason, "granted");
		next = grants_text(c, from, e.detail, sizeof e.detail);
		if (next == from)
			return;
		(void)trail_put(c->m, &e);
		from = next;
	}
}

void records_send(struct connection *c)
{
	const struct policy *p = c->m->policy;
	const struct policy_target *t = c->target;
	struct session_records body = {
		.writes_only = p->audit_writes_only,
		.outcomes_all = p->outcomes_all,
		.durability = (uint8_t)p->durability,
	};
	uint64_t hash;

	memset(body.luns, (int)p->durability, sizeof body.luns);
	for (size_t k = 0; k < t->lun_count; k++) {
		enum durability d = p->disks[t->luns[k].disk].durability;

		if (d != DURABILITY_INVALID && t->luns[k].lun < SESSION_RECORDS_LUNS)
			body.luns[t->luns[k].lun] = (uint8_t)d;
	}
	hash = octets_hash(&body, sizeof body);
	if (hash == c->records_hash)
		return;
	c->records_hash = hash;
	connection_send(c, SESSION_RECORDS, &body, sizeof body, -1);
}
