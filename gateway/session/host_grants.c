/* What the monitor grants, at the login and while the session goes on: LUNs with their disks,
 * rules, settings, the text of SendTargets. Trusts the monitor. A LUN that may be written from now
 * on has another descriptor; what is at the old one ends there. */
#include "gateway/base/fd.h"
#include "gateway/session/session.h"

void host_targets_take(struct session *s, struct message *m)
{
	char *text;
	size_t len;

	if (fd_read_all(m->fds[0], SESSION_TARGETS_MAX, &text, &len) < 0)
		return session_end(s, SESSION_END_FAILED, "the list of targets can't be read");
	free(s->targets);
	s->targets = text;
	s->targets_len = len;
}

static void lun_describe(const struct session_lun *body, struct scsi_lun *lun)
{
	*lun = (struct scsi_lun){
		.number = body->lun,
		.writable = body->flags & SESSION_LUN_WRITABLE,
		.rotational = body->flags & SESSION_LUN_ROTATIONAL,
		.memory = body->flags & SESSION_LUN_MEMORY,
		.thin = body->flags & SESSION_LUN_THIN,
		.removable = body->flags & SESSION_LUN_REMOVABLE,
		.waits = body->flags & SESSION_LUN_WAITS,
		.write_through = body->flags & SESSION_LUN_DURABLE,
		.block_size = body->block_size,
		.physical_block_size = body->physical_block_size,
		.rule_line = body->rule_line,
		.blocks = body->size_bytes / body->block_size,
		.naa_len = body->naa_len,
		.limits = lun->limits, /* they may be told first */
	};
	memcpy(lun->naa, body->naa, sizeof body->naa);
	(void)string_copy(lun->serial, sizeof lun->serial, body->serial);
	(void)string_copy(lun->vendor, sizeof lun->vendor, body->vendor);
	(void)string_copy(lun->product, sizeof lun->product, body->product);
}

static void lun_new(struct session *s, struct message *m, const struct session_lun *body)
{
	struct scsi_lun *lun = &s->nexus.luns[body->lun];

	lun_describe(body, lun);
	if (backend_open(s->engine, m->fds[0], body->size_bytes, lun->writable, &lun->backend) < 0)
		return session_end(s, SESSION_END_FAILED, "a disk can't be opened");
	m->fds[0] = -1;
	arbiter_view_hold(&s->arbiter, body->lun, (uint16_t)body->shared);
	lun->present = true;
	if (s->granted)
		scsi_lun_added(&s->nexus);
}

static void lun_widened(struct session *s, struct message *m, const struct session_lun *body)
{
	struct backend *b = s->nexus.luns[body->lun].backend;

	if (b->writable) { /* it could write before */
		(void)scsi_lun_writable(&s->nexus, body->lun, b, body->flags & SESSION_LUN_THIN);
		return;
	}
	if (s->replaced_count >= ARRAY_LEN(s->replaced) ||
	    backend_open(s->engine, m->fds[0], body->size_bytes, true, &b) < 0)
		return session_end(s, SESSION_END_FAILED, "a disk can't be opened for writing");
	m->fds[0] = -1;
	s->replaced[s->replaced_count++] =
		scsi_lun_writable(&s->nexus, body->lun, b, body->flags & SESSION_LUN_THIN);
	host_backends_turn(s);
}

void host_lun_take(struct session *s, struct message *m)
{
	struct session_lun body;
	struct scsi_lun *lun;
	bool writable;

	memcpy(&body, m->body, sizeof body);
	writable = body.flags & SESSION_LUN_WRITABLE;
	if (body.lun >= BACKENDS_MAX || body.shared >= ARBITER_DISKS_MAX)
		return;
	lun = &s->nexus.luns[body.lun];
	if (!lun->present)
		return lun_new(s, m, &body);
	if (s->arbiter.luns[body.lun].disk != body.shared)
		return;
	if (!lun->writable && writable)
		lun_widened(s, m, &body);
	else if (lun->writable && !writable)
		scsi_lun_narrowed(&s->nexus, body.lun, body.rule_line);
	lun->waits = body.flags & SESSION_LUN_WAITS;
}

void host_backends_turn(struct session *s)
{
	for (unsigned k = s->replaced_count; k > 0; k--) {
		if (s->replaced[k - 1]->in_flight > 0)
			continue;
		backend_close(s->replaced[k - 1]);
		s->replaced[k - 1] = s->replaced[--s->replaced_count];
	}
}

void host_rules_take(struct session *s, struct message *m)
{
	struct session_rules body;
	struct scsi_rules *rules = &s->nexus.rules;

	_Static_assert(SESSION_RANGES_MAX == PROTECTED_RANGES_MAX, "all of them");
	memcpy(&body, m->body, sizeof body);
	*rules = (struct scsi_rules){
		.version = rules->version + 1,
		.denied = body.denied,
		.allowed = body.allowed,
		.denied_line = body.denied_line,
		.allowed_line = body.allowed_line,
		.range_count = MIN(body.range_count, SESSION_RANGES_MAX),
	};
	for (unsigned k = 0; k < rules->range_count; k++) {
		const struct session_range *r = &body.ranges[k];

		rules->ranges[k] =
			(struct protected_range){r->first, r->last, r->lun, r->reads, r->line};
	}
	s->ruled = true;
}

void host_records_take(struct session *s, struct message *m)
{
	struct session_records body;
	struct scsi_records *records = &s->nexus.records;

	_Static_assert(SESSION_RECORDS_LUNS == BACKENDS_MAX, "all of them");
	memcpy(&body, m->body, sizeof body);
	records->writes_only = body.writes_only != 0;
	records->outcomes_all = body.outcomes_all != 0;
	records->durability = body.durability;
	memcpy(records->luns, body.luns, sizeof body.luns);
}

void host_settings_take(struct session *s, struct message *m)
{
	struct session_settings body;

	memcpy(&body, m->body, sizeof body);
	if (s->iscsi != NULL)
		iscsi_set_ping(s->iscsi, body.ping_every_ms, body.ping_misses);
}
