/* What the rows of a block let expect: the same for who writes them and for who reads them, so
 * that one of them is no other than the other's mirror. What stands here comes from rings or from
 * files, both hostile: every index is bounded by its type or by a remainder. */
#include "gateway/audit/rows.h"

#include "gateway/base/bytes.h"

void rows_begin(struct rows *r, uint64_t wall_ns, uint64_t mono_ns)
{
	r->generation++;
	if (r->generation == 0) { /* once in four billion blocks */
		memset(r, 0, sizeof *r);
		r->generation = 1;
	}
	r->connection = 0;
	r->mono_ns = mono_ns;
	r->wall_less_mono = wall_ns - mono_ns;
}

struct row_connection *rows_of(struct rows *r, uint32_t connection)
{
	struct row_connection *c = &r->connections[connection % ROW_CONNECTIONS];

	if (c->generation == r->generation && c->connection == connection)
		return c;
	*c = (struct row_connection){.generation = r->generation,
				     .connection = connection,
				     .clock_us = (r->mono_ns + r->wall_less_mono) / 1000};
	c->last[0].kind = AUDIT_COMMAND;
	c->last[0].verdict = VERDICT_ADMITTED;
	c->last[1].kind = AUDIT_OUTCOME;
	c->last[1].verdict = VERDICT_DONE;
	return c;
}

/* Where the CDBs of a group have LBA and length (SPC-4 section 4.2.5.1). */
struct cdb_form {
	uint8_t len, lba_at, lba_size, count_at, count_size;
};

static const struct cdb_form *form_of(uint8_t opcode)
{
	static const struct cdb_form forms[8] = {
		[0] = {6, 1, 3, 4, 1}, /* READ(6): of octet 1 the low 5 bits */
		[1] = {10, 2, 4, 7, 2},	 [2] = {10, 2, 4, 7, 2}, [3] = {32, 12, 8, 28, 4},
		[4] = {16, 2, 8, 10, 4}, [5] = {12, 2, 4, 6, 4},
	};

	return &forms[opcode >> 5];
}

static bool fits(uint64_t value, size_t octets)
{
	return octets == 8 || value >> (8 * octets) == 0;
}

/* Fills them in, where this CDB has places that take them. */
static void cdb_fill(struct row_cdb *cdb, uint64_t lba, uint32_t blocks)
{
	const struct cdb_form *form = form_of(cdb->octets[0]);
	uint64_t count = form->len == 6 && blocks == 256 ? 0 : blocks;
	uint8_t kept = cdb->octets[1] & 0xe0;

	if (form->len == 0 || cdb->len != form->len || !fits(count, form->count_size))
		return;
	if (form->len == 6 ? lba >> 21 != 0 : !fits(lba, form->lba_size))
		return;
	put_be(cdb->octets + form->lba_at, form->lba_size, lba);
	put_be(cdb->octets + form->count_at, form->count_size, count);
	if (form->len == 6)
		cdb->octets[1] |= kept;
}

void rows_expect_cdb(const struct rows *r, uint8_t opcode, uint64_t lba, uint32_t blocks,
		     struct row_cdb *ret)
{
	const struct row_cdb *last = &r->cdbs[opcode];

	if (last->generation != r->generation) {
		*ret = (struct row_cdb){.len = form_of(opcode)->len, .octets = {opcode}};
	} else {
		*ret = *last;
	}
	cdb_fill(ret, lba, blocks);
}

uint8_t rows_opcode(const struct audit_record *record)
{
	return record->cdb_len ? record->cdb[0] : 0;
}

void rows_note(struct rows *r, struct row_connection *c, const struct audit_record *record)
{
	uint8_t opcode = rows_opcode(record);
	struct row_cdb *cdb = &r->cdbs[opcode];

	c->index = record->index + 1;
	c->clock_us = record->wall_ns / 1000;
	c->last[record->kind == AUDIT_OUTCOME] = (struct row_last){
		.end = record->lba + record->blocks,
		.blocks = record->blocks,
		.tag = record->task_tag,
		.lun = record->lun,
		.opcode = opcode,
		.kind = record->kind,
		.verdict = record->verdict,
		.source = record->source,
	};
	cdb->generation = r->generation;
	cdb->len = record->cdb_len;
	memcpy(cdb->octets, record->cdb, sizeof cdb->octets);
}

/* FORMAT UNIT and SANITIZE name no block, and are for all of them. */
static bool is_for_all_blocks(const struct audit_record *record)
{
	static const uint8_t format_unit = 0x04, sanitize = 0x48;
	uint8_t opcode = rows_opcode(record);

	return opcode == format_unit || opcode == sanitize;
}

void rows_index_command(struct block_index *index, uint32_t connection,
			const struct audit_record *record)
{
	index->luns |= UINT64_C(1) << record->lun % 64;
	index->connections |= UINT64_C(1) << connection % 64;
	index->ops |= UINT64_C(1) << rows_opcode(record) % 64;
	index->verdicts |= UINT32_C(1) << record->verdict % 32;
	if (is_for_all_blocks(record)) {
		index->lba_least = 0;
		index->lba_greatest = UINT64_MAX;
	}
	if (record->blocks == 0)
		return;
	index->lba_least = MIN(index->lba_least, record->lba);
	/* A record whose end overflows has all that is behind its LBA. */
	index->lba_greatest = record->lba > UINT64_MAX - (record->blocks - 1)
				      ? UINT64_MAX
				      : MAX(index->lba_greatest, record->lba + record->blocks - 1);
}

void rows_index(struct block_index *index, const struct frame *f)
{
	if (f->type == FRAME_COMMAND)
		rows_index_command(index, f->connection, &f->command);
	else if (f->connection)
		index->connections |= UINT64_C(1) << f->connection % 64;
	if (f->type == FRAME_EVENT)
		index->ops |= UINT64_C(1) << f->event.kind % 64;
}
