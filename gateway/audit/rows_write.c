/* Records to rows. Runs in the auditor, once for each command of every session, so it writes
 * through a plain pointer; there is room for the greatest row whenever one begins. Records come
 * from rings and are hostile: no field of them is used but as a value. */
#include "gateway/audit/rows.h"

#include "gateway/audit/codec.h"

void rows_write_begin(struct rows_writer *w, void *bytes, size_t size, struct names *names)
{
	w->names = names;
	w->out = wr_over(bytes, size);
	w->index = (struct block_index){.lba_least = UINT64_MAX};
	w->records = 0;
	w->begun = w->defines = false;
}

static void row_begin(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns, size_t room)
{
	assert((size_t)(w->out.end - w->out.p) >= room);
	if (w->begun)
		return;
	w->begun = true;
	w->wall_ns = wall_ns;
	w->first_ns = mono_ns;
	rows_begin(&w->rows, wall_ns, mono_ns);
}

static inline uint8_t *number(uint8_t *p, uint64_t value)
{
	while (value >= 0x80) {
		*p++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*p++ = (uint8_t)value;
	return p;
}

static inline uint8_t *distance(uint8_t *p, uint64_t value, uint64_t base)
{
	uint64_t above = value - base, below = base - value;

	return number(p, above <= INT64_MAX ? above << 1 : (below - 1) << 1 | 1);
}

/* Which session's, and when it was taken. */
static uint8_t *put_moment(const struct rows *r, uint32_t connection, uint64_t mono_ns,
			   unsigned *mask, uint8_t *p)
{
	if (connection != r->connection) {
		*mask |= ROW_CONNECTION;
		p = number(p, connection);
	}
	if (mono_ns != r->mono_ns) {
		*mask |= ROW_CLOCK;
		p = number(p, mono_ns - r->mono_ns);
	}
	return p;
}

static uint8_t *put_place(const struct row_connection *c, const struct audit_record *record,
			  unsigned *mask, uint8_t *p)
{
	p = distance(p, record->wall_ns / 1000, c->clock_us);
	if (record->index == c->index)
		return p;
	*mask |= ROW_INDEX;
	return number(p, record->index);
}

static uint8_t *put_blocks(const struct row_last *last, const struct audit_record *record,
			   unsigned *mask, uint8_t *p)
{
	if (record->lun != last->lun) {
		*mask |= ROW_LUN;
		p = number(p, record->lun);
	}
	if (record->blocks != last->blocks) {
		*mask |= ROW_BLOCKS;
		p = number(p, record->blocks);
	}
	if (record->lba == last->end)
		return p;
	*mask |= ROW_LBA;
	if (record->blocks == 0 || record->lba % record->blocks != 0)
		return number(p, record->lba);
	*mask |= ROW_SCALED;
	return number(p, record->lba / record->blocks);
}

static uint8_t *put_cdb(const struct rows *r, const struct audit_record *record, unsigned *mask,
			uint8_t *p)
{
	uint8_t opcode = rows_opcode(record);
	const struct row_cdb *last = &r->cdbs[opcode];
	size_t len = MIN((size_t)record->cdb_len, sizeof record->cdb);
	struct row_cdb expected;

	rows_expect_cdb(r, opcode, record->lba, record->blocks, &expected);
	if (expected.len == record->cdb_len && memcmp(expected.octets, record->cdb, len) == 0)
		return p;
	if (last->generation == r->generation && last->len == record->cdb_len &&
	    memcmp(last->octets, record->cdb, len) == 0) {
		*mask |= ROW_CDB_SAME;
		return p;
	}
	*mask |= ROW_CDB;
	*p++ = record->cdb_len;
	memcpy(p, record->cdb, len);
	return p + len;
}

static uint8_t *put_rest(const struct rows *r, const struct row_last *last,
			 const struct audit_record *record, unsigned *mask, uint8_t *p)
{
	if (record->task_tag != last->tag + 1) {
		*mask |= ROW_TAG;
		p = distance(p, record->task_tag, (uint64_t)last->tag + 1);
	}
	if (rows_opcode(record) != last->opcode) {
		*mask |= ROW_OPCODE;
		*p++ = rows_opcode(record);
	}
	if (record->kind == AUDIT_OUTCOME) {
		*mask |= ROW_OUTCOME;
		p = number(p, record->latency_us);
	}
	if (record->rule_line) {
		*mask |= ROW_RULE;
		p = number(p, record->rule_line);
	}
	if (record->status || record->sense_key || record->asc || record->ascq) {
		*mask |= ROW_SENSE;
		*p++ = record->status;
		*p++ = record->sense_key;
		*p++ = record->asc;
		*p++ = record->ascq;
	}
	return put_cdb(r, record, mask, p);
}

void rows_put_command(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		      uint32_t connection, const struct audit_record *record)
{
	struct row_connection *c;
	const struct row_last *last;
	unsigned mask = 0;
	uint8_t *p;

	row_begin(w, wall_ns, mono_ns, ROW_COMMAND_MAX);
	w->records++;
	c = rows_of(&w->rows, connection);
	last = &c->last[record->kind == AUDIT_OUTCOME];
	p = put_moment(&w->rows, connection, mono_ns, &mask, w->out.p + 2);
	p = put_place(c, record, &mask, p);
	if (record->kind != last->kind || record->verdict != last->verdict ||
	    record->source != last->source) {
		mask |= ROW_WHAT;
		*p++ = record->kind;
		*p++ = record->verdict;
		*p++ = record->source;
	}
	p = put_blocks(last, record, &mask, p);
	p = put_rest(&w->rows, last, record, &mask, p);
	w->out.p[0] = (uint8_t)(mask >> 8);
	w->out.p[1] = (uint8_t)mask;
	w->out.p = p;
	rows_note(&w->rows, c, record);
	w->rows.connection = connection;
	w->rows.mono_ns = mono_ns;
	rows_index_command(&w->index, connection, record);
}

static void other_begin(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns, unsigned type)
{
	row_begin(w, wall_ns, mono_ns, ROW_MAX);
	w->records += (type & ROW_REPEATED) == 0;
	wr_be(&w->out, 2, ROW_OTHER | type);
	put_number(&w->out, mono_ns - w->rows.mono_ns);
	w->rows.mono_ns = mono_ns;
}

void rows_put_info(struct wr *w, struct names *names, const struct auditor_ring_info *info,
		   bool define, bool *ret_defined)
{
	put_number(w, info->connection);
	put_endpoint(w, &info->peer);
	if (names_put(names, w, info->initiator, sizeof info->initiator, define))
		*ret_defined = true;
	if (names_put(names, w, info->target, sizeof info->target, define))
		*ret_defined = true;
}

static void put_session(struct rows_writer *w, const struct auditor_ring_info *info)
{
	rows_put_info(&w->out, w->names, info, true, &w->defines);
	w->defines = true; /* the session itself */
}

void rows_put_session(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		      const struct auditor_ring_info *info)
{
	other_begin(w, wall_ns, mono_ns, FRAME_SESSION);
	put_session(w, info);
	w->index.connections |= UINT64_C(1) << info->connection % 64;
}

void rows_put_repeated(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		       const struct auditor_ring_info *info)
{
	other_begin(w, wall_ns, mono_ns, FRAME_SESSION | ROW_REPEATED);
	put_session(w, info);
}

static void put_name(struct rows_writer *w, const char *text, size_t size, bool define)
{
	if (names_put(w->names, &w->out, text, size, define))
		w->defines = true;
}

void rows_put_event(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		    const struct audit_event *e)
{
	bool define = e->kind == EVENT_LOGIN; /* authenticated */
	struct wr *out = &w->out;

	other_begin(w, wall_ns, mono_ns, FRAME_EVENT);
	put_number(out, e->id);
	put_distance(out, e->wall_ns, mono_ns + w->rows.wall_less_mono);
	put_number(out, e->kind);
	put_number(out, e->count);
	put_number(out, e->connection);
	put_number(out, e->policy_line);
	wr_be(out, 1, e->algorithm);
	put_endpoint(out, &e->peer);
	put_text(out, e->portal, sizeof e->portal);
	put_text(out, e->reason, sizeof e->reason);
	put_name(w, e->user, sizeof e->user, define);
	put_name(w, e->initiator, sizeof e->initiator, define);
	put_name(w, e->target, sizeof e->target, define);
	put_text(out, e->detail, sizeof e->detail);
	w->index.ops |= UINT64_C(1) << e->kind % 64;
	if (e->connection)
		w->index.connections |= UINT64_C(1) << e->connection % 64;
}

void rows_put_end(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns, enum segment_end end)
{
	other_begin(w, wall_ns, mono_ns, FRAME_END);
	wr_be(&w->out, 1, (uint64_t)end);
}
