/* What a session is given: LUNs with their disks, freshly opened, and rules. Decided by the policy
 * that is in force, then kept by value, since a session that a later policy allows as it is
 * outlives the one that granted it. Runs in the monitor. */
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

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

int grants_decide(struct connection *c)
{
	const struct policy_target *t = c->target;

	free(TAKE(c->luns));
	c->lun_count = 0;
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
			.writable = access->writable && !c->m->disks[row]->policy.read_only,
			.line = access->line,
		};
	}
	target_groups(c, c->groups);
	c->sets_groups = may_set_groups(c->initiator);
	return 0;
}

/* --- writers --- */

static bool may_write(const struct connection *c, uint16_t row)
{
	for (size_t k = 0; k < c->lun_count; k++) {
		if (c->luns[k].counted && c->luns[k].row == row)
			return true;
	}
	return false;
}

/* Another initiator that has the disk; a second path of the same one harms nothing. */
static const struct connection *other_writer(const struct connection *c, uint16_t row)
{
	for (uint32_t k = 0; k < c->m->connection_max; k++) {
		const struct connection *other = &c->m->connections[k];

		if (other->state == CONN_GRANTED && may_write(other, row) &&
		    strcmp(other->initiator_name, c->initiator_name) != 0)
			return other;
	}
	return NULL;
}

static void warn_second_writer(struct connection *c, const struct monitor_disk *d)
{
	const struct connection *other = other_writer(c, d->row);

	if (other == NULL)
		return;
	log_warning("disk %s may now be written by %s and by %s: without a cluster file system "
		    "the file system on it will be destroyed",
		    d->policy.name, other->initiator_name, c->initiator_name);
	trail_say(c->m, EVENT_DISK, "second-writer", "disk %s may be written by %s and by %s",
		  d->policy.name, other->initiator_name, c->initiator_name);
}

static void count_writer(struct connection *c, struct granted_lun *g, struct monitor_disk *d)
{
	if (!g->writable || g->counted)
		return;
	g->counted = true;
	d->writers++;
	warn_second_writer(c, d);
}

void grants_release(struct connection *c)
{
	for (size_t k = 0; k < c->lun_count; k++) {
		if (c->luns[k].counted)
			c->m->disks[c->luns[k].row]->writers--;
		c->luns[k].counted = false;
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
			 (d->disk.kind == DISK_MEMORY ? SESSION_LUN_MEMORY : 0),
		.block_size = p->block_size,
		.physical_block_size = p->physical_block_size,
		.rule_line = g->writable    ? 0
			     : p->read_only ? p->line
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
static int grant_lun(struct connection *c, struct granted_lun *g)
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
	count_writer(c, g, d);
	return 1;
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

	_Static_assert(SESSION_RANGES_MAX == POLICY_RANGES_MAX, "all of them");
	for (size_t k = 0; k < i->range_count; k++) {
		const struct policy_range *r = &i->ranges[k];

		body.ranges[k] = (struct session_range){r->first, r->last, r->line, (int16_t)r->lun,
							r->reads};
	}
	connection_send(c, SESSION_RULES, &body, sizeof body, -1);
}
