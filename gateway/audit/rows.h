/* The rows of a block: one a record. A command's row has a mask of what is not as the rows
 * before it let expect, then that alone: the same session's next record, its session's clock, a
 * CDB that follows from a template with LBA and length filled in. All that is remembered begins
 * anew with each block, but for the dictionary of names. */
#pragma once

#include "gateway/audit/block.h"
#include "gateway/audit/frame.h"
#include "gateway/audit/names.h"

#define ROW_COMMAND_MAX 144  /* octets of a command's row */
#define ROW_MAX		1792 /* of any row */

#define ROW_CONNECTIONS 64 /* of which a block remembers the last records */

/* The mask of a command's row: which fields follow, in the order of `enum row_field`. */
enum row_field {
	ROW_CONNECTION = 1 << 0, /* another one than the row before it */
	ROW_CLOCK = 1 << 1,	 /* the auditor's monotonic clock moved */
	ROW_INDEX = 1 << 2,	 /* the ring's index is not the next one */
	ROW_WHAT = 1 << 3,	 /* kind, verdict and source */
	ROW_LUN = 1 << 4,
	ROW_BLOCKS = 1 << 5,
	ROW_LBA = 1 << 6,    /* not where the last one ended */
	ROW_SCALED = 1 << 7, /* the LBA is a multiple of the blocks: how many times */
	ROW_TAG = 1 << 8,    /* not the next one */
	ROW_OPCODE = 1 << 9,
	ROW_RULE = 1 << 10,
	ROW_SENSE = 1 << 11,	/* status, sense key, ASC, ASCQ */
	ROW_CDB = 1 << 12,	/* length, octets */
	ROW_CDB_SAME = 1 << 13, /* the last one of this opcode, as it was */
	ROW_OUTCOME = 1 << 14,	/* an outcome: its own last one counts, and it has a latency */
	ROW_OTHER = 1 << 15,	/* no command's row: the low octet is an enum frame_type */
	/* With ROW_OTHER: no record, only said again; a session whose opening is in the trail. */
	ROW_REPEATED = 1 << 14,
};

/* What the last record of one kind of a connection had. */
struct row_last {
	uint64_t end; /* LBA behind it */
	uint32_t blocks, tag;
	uint16_t lun;
	uint8_t opcode, kind, verdict, source;
};

struct row_connection {
	uint32_t generation, connection;
	uint64_t index, clock_us; /* the next index; the session's clock */
	struct row_last last[2];  /* of commands, of outcomes */
};

struct row_cdb {
	uint32_t generation;
	uint8_t len, octets[32];
};

struct rows {
	uint32_t generation; /* of the block: what has another one is not of this block */
	uint32_t connection; /* of the row before */
	uint64_t mono_ns;    /* of the row before */
	uint64_t wall_less_mono;
	struct row_connection connections[ROW_CONNECTIONS];
	struct row_cdb cdbs[256];
};

void rows_begin(struct rows *r, uint64_t wall_ns, uint64_t mono_ns);
struct row_connection *rows_of(struct rows *r, uint32_t connection);
/* What the CDB is when neither ROW_CDB nor ROW_CDB_SAME is set. */
void rows_expect_cdb(const struct rows *r, uint8_t opcode, uint64_t lba, uint32_t blocks,
		     struct row_cdb *ret);
/* 0 of a record without a CDB, whatever it has in its place. */
uint8_t rows_opcode(const struct audit_record *record);
void rows_note(struct rows *r, struct row_connection *c, const struct audit_record *record);
/* Widens a block's index by a record. */
void rows_index(struct block_index *index, const struct frame *f);
void rows_index_command(struct block_index *index, uint32_t connection,
			const struct audit_record *record);

/* --- writing ------------------------------------------------------------------------------- */

struct rows_writer {
	struct rows rows;
	struct names *names;
	struct wr out;
	struct block_index index;
	uint64_t wall_ns, first_ns; /* of the first record: wall, monotonic */
	uint32_t records;
	bool begun; /* there is a row */
	bool defines;
};

/* Rows of one block into `bytes`; each is put only while there is room for the greatest. */
void rows_write_begin(struct rows_writer *w, void *bytes, size_t size, struct names *names);
/* mono_ns never falls within a block; wall_ns counts in the first record alone. */
void rows_put_command(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		      uint32_t connection, const struct audit_record *record);
void rows_put_session(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		      const struct auditor_ring_info *info);
/* No record: it takes no sequence. */
void rows_put_repeated(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		       const struct auditor_ring_info *info);
void rows_put_event(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns,
		    const struct audit_event *event);
void rows_put_end(struct rows_writer *w, uint64_t wall_ns, uint64_t mono_ns, enum segment_end end);
void rows_put_info(struct wr *w, struct names *names, const struct auditor_ring_info *info,
		   bool define, bool *ret_defined);

/* --- reading ------------------------------------------------------------------------------- */

struct rows_reader {
	struct rows rows;
	struct names *names;
	struct rd in;
	uint64_t sequence; /* of the next record */
	uint32_t left;	   /* records */
	/* Told of sessions that are only repeated; NULL: nobody. */
	void (*repeated)(void *arg, const struct auditor_ring_info *info);
	void *arg;
};

/* The payload must stay until the last row was read; `repeated` stays as it is. */
void rows_read_begin(struct rows_reader *r, const struct block_header *h, const void *payload,
		     struct names *names);
/* 1; 0: that was the last one, and nothing stands behind it; -EBADMSG: no rows of ours. */
int rows_next(struct rows_reader *r, struct frame *ret_frame) MUST_CHECK;
void rows_get_info(struct rd *r, struct names *names, struct auditor_ring_info *ret);
