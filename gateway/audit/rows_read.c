/* Rows to records, for the review and for an auditor that starts. Every octet may be hostile: the
 * cursor fails instead of leaving the payload, and what is expected of rows that lie is as
 * harmless as they are. */
#include "gateway/audit/rows.h"

#include "gateway/audit/codec.h"

void rows_read_begin(struct rows_reader *r, const struct block_header *h, const void *payload,
		     struct names *names)
{
	r->names = names;
	r->in = rd_over(payload, h->raw);
	r->sequence = h->first_sequence;
	r->left = h->records;
	rows_begin(&r->rows, h->wall_ns, h->mono_ns);
}

static struct row_connection *get_head(struct rows_reader *r, unsigned mask,
				       struct audit_record *ret)
{
	struct row_connection *c;
	uint64_t clock_us;

	if (mask & ROW_CONNECTION)
		r->rows.connection = (uint32_t)get_number_below(&r->in, UINT32_MAX);
	c = rows_of(&r->rows, r->rows.connection); /* by the clock of the row before */
	if (mask & ROW_CLOCK)
		r->rows.mono_ns += get_number(&r->in);
	clock_us = get_distance(&r->in, c->clock_us);
	if (clock_us > UINT64_MAX / 1000)
		r->in.failed = true;
	ret->wall_ns = clock_us * 1000;
	ret->index = mask & ROW_INDEX ? get_number(&r->in) : c->index;
	return c;
}

static void get_what(struct rd *in, unsigned mask, const struct row_last *last,
		     struct audit_record *ret)
{
	const uint8_t *p = mask & ROW_WHAT ? rd_bytes(in, 3) : NULL;

	ret->kind = p ? p[0] : last->kind;
	ret->verdict = p ? p[1] : last->verdict;
	ret->source = p ? p[2] : last->source;
	/* What is expected of the next one is kept by the kind. */
	if ((ret->kind == AUDIT_OUTCOME) != ((mask & ROW_OUTCOME) != 0))
		in->failed = true;
}

static void get_blocks(struct rd *in, unsigned mask, const struct row_last *last,
		       struct audit_record *ret)
{
	ret->lun = mask & ROW_LUN ? (uint16_t)get_number_below(in, UINT16_MAX) : last->lun;
	ret->blocks = mask & ROW_BLOCKS ? (uint32_t)get_number_below(in, UINT32_MAX) : last->blocks;
	ret->lba = mask & ROW_LBA ? get_number(in) : last->end;
	if (mask & ROW_SCALED)
		ret->lba *= ret->blocks;
}

static void get_sense(struct rd *in, struct audit_record *ret)
{
	const uint8_t *p = rd_bytes(in, 4);

	if (!p)
		return;
	ret->status = p[0];
	ret->sense_key = p[1];
	ret->asc = p[2];
	ret->ascq = p[3];
}

static void get_cdb(struct rows_reader *r, unsigned mask, uint8_t opcode, struct audit_record *ret)
{
	const struct row_cdb *last = &r->rows.cdbs[opcode];
	struct row_cdb cdb = {0};
	const uint8_t *p;

	if (mask & ROW_CDB) {
		cdb.len = (uint8_t)rd_be(&r->in, 1);
		p = rd_bytes(&r->in, MIN((size_t)cdb.len, sizeof cdb.octets));
		if (p)
			memcpy(cdb.octets, p, MIN((size_t)cdb.len, sizeof cdb.octets));
	} else if (mask & ROW_CDB_SAME) {
		if (last->generation == r->rows.generation)
			cdb = *last;
		else
			r->in.failed = true;
	} else {
		rows_expect_cdb(&r->rows, opcode, ret->lba, ret->blocks, &cdb);
	}
	ret->cdb_len = cdb.len;
	memcpy(ret->cdb, cdb.octets, sizeof ret->cdb);
	if (rows_opcode(ret) != opcode)
		r->in.failed = true;
}

static void get_command(struct rows_reader *r, unsigned mask, struct frame *f)
{
	struct audit_record *c = &f->command;
	struct row_connection *of;
	const struct row_last *last;
	uint8_t opcode;

	memset(c, 0, sizeof *c);
	of = get_head(r, mask, c);
	last = &of->last[(mask & ROW_OUTCOME) != 0];
	get_what(&r->in, mask, last, c);
	get_blocks(&r->in, mask, last, c);
	c->task_tag = last->tag + 1;
	if (mask & ROW_TAG)
		c->task_tag = (uint32_t)get_distance(&r->in, (uint64_t)last->tag + 1);
	opcode = mask & ROW_OPCODE ? (uint8_t)rd_be(&r->in, 1) : last->opcode;
	if (mask & ROW_OUTCOME)
		c->latency_us = (uint32_t)get_number_below(&r->in, UINT32_MAX);
	if (mask & ROW_RULE)
		c->rule_line = (uint32_t)get_number_below(&r->in, UINT32_MAX);
	if (mask & ROW_SENSE)
		get_sense(&r->in, c);
	get_cdb(r, mask, opcode, c);
	rows_note(&r->rows, of, c);
	f->connection = of->connection;
}

void rows_get_info(struct rd *r, struct names *names, struct auditor_ring_info *ret)
{
	ret->connection = (uint32_t)get_number_below(r, UINT32_MAX);
	ret->reserved = 0;
	get_endpoint(r, &ret->peer);
	names_get(names, r, ret->initiator, sizeof ret->initiator);
	names_get(names, r, ret->target, sizeof ret->target);
}

static void get_event(struct rows_reader *r, struct audit_event *e)
{
	struct rd *in = &r->in;

	memset(e, 0, sizeof *e);
	e->id = get_number(in);
	e->wall_ns = get_distance(in, r->rows.mono_ns + r->rows.wall_less_mono);
	e->kind = (uint32_t)get_number_below(in, UINT32_MAX);
	e->count = get_number(in);
	e->connection = (uint32_t)get_number_below(in, UINT32_MAX);
	e->policy_line = (uint32_t)get_number_below(in, UINT32_MAX);
	e->algorithm = (uint8_t)rd_be(in, 1);
	get_endpoint(in, &e->peer);
	get_text(in, e->portal, sizeof e->portal);
	get_text(in, e->reason, sizeof e->reason);
	names_get(r->names, in, e->user, sizeof e->user);
	names_get(r->names, in, e->initiator, sizeof e->initiator);
	names_get(r->names, in, e->target, sizeof e->target);
	get_text(in, e->detail, sizeof e->detail);
}

static void get_end(struct rd *in, enum segment_end *ret)
{
	uint64_t end = rd_be(in, 1);

	*ret = (enum segment_end)end;
	if (end != SEGMENT_END_STOP && end != SEGMENT_END_ORPHANED)
		in->failed = true;
}

static void get_other(struct rows_reader *r, unsigned mask, struct frame *f)
{
	f->type = (enum frame_type)(mask & 0xff);
	f->connection = 0;
	r->rows.mono_ns += get_number(&r->in);
	switch (mask & ~(unsigned)ROW_OTHER) {
	case FRAME_SESSION:
		rows_get_info(&r->in, r->names, &f->session);
		f->connection = f->session.connection;
		return;
	case FRAME_EVENT:
		get_event(r, &f->event);
		f->connection = f->event.connection;
		return;
	case FRAME_END:
		get_end(&r->in, &f->end);
		return;
	default:
		r->in.failed = true;
	}
}

static bool failed(struct rows_reader *r)
{
	if (!r->in.failed)
		return false;
	r->left = 0;
	r->in.p = r->in.end;
	return true;
}

/* The mask of the next record's row; what is only repeated before it is told. */
static unsigned mask_next(struct rows_reader *r)
{
	struct auditor_ring_info info;
	unsigned mask = (unsigned)rd_be(&r->in, 2);

	while (!r->in.failed && mask == (ROW_OTHER | ROW_REPEATED | FRAME_SESSION)) {
		r->rows.mono_ns += get_number(&r->in);
		rows_get_info(&r->in, r->names, &info);
		if (!r->in.failed && r->repeated)
			r->repeated(r->arg, &info);
		if (r->left == 0 && rd_left(&r->in) == 0)
			return 0;
		mask = (unsigned)rd_be(&r->in, 2);
	}
	return mask;
}

int rows_next(struct rows_reader *r, struct frame *ret_frame)
{
	unsigned mask;

	if (r->left == 0 && rd_left(&r->in) == 0)
		return failed(r) ? -EBADMSG : 0;
	mask = mask_next(r);
	if (r->left == 0) {
		if (rd_left(&r->in) > 0)
			r->in.failed = true;
		return failed(r) ? -EBADMSG : 0;
	}
	if (mask & ROW_OTHER) {
		get_other(r, mask, ret_frame);
	} else {
		ret_frame->type = FRAME_COMMAND;
		get_command(r, mask, ret_frame);
	}
	if (failed(r))
		return -EBADMSG;
	ret_frame->stamp = (struct stamp){.sequence = r->sequence++,
					  .time_ns = r->rows.mono_ns + r->rows.wall_less_mono,
					  .mono_ns = r->rows.mono_ns};
	r->left--;
	return 1;
}
