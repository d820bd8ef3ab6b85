/* What the parts of the verification share. Each log is walked by itself (verify_log.c): files,
 * CRCs, chain, tree, notes, seals. What the two say together is looked at in the order of their
 * sequences (verify_order.c), record by record (verify_rows.c). */
#pragma once

#include "gateway/audit/names.h"
#include "gateway/audit/payload.h"
#include "gateway/audit/rows.h"
#include "gateway/audit/segment.h"
#include "gateway/audit/verify.h"
#include "gateway/audit/verify_file.h"
#include "gateway/audit/verify_folder.h"

/* A place where the chain was lost: from there to the next block that is right. */
struct verify_break {
	bool is;
	struct verify_finding finding;
};

/* Headers that no CONTEXT block has bound yet. */
#define VERIFY_CONTEXTS 64
struct verify_context {
	uint8_t hash[HASH_SIZE];
	uint64_t segment, first_block;
	bool bound;
};

/* Hashes of a log's last blocks, by number: what the other log refers to. A log has fewer blocks
 * that are not synced than this. */
#define VERIFY_PAST (1u << 16)
struct verify_past {
	uint64_t number[VERIFY_PAST]; /* + 1; 0: none */
	uint8_t hash[VERIFY_PAST][HASH_SIZE];
};

/* The checkpoints in one log's files, one after the other. */
struct verify_notes {
	size_t at; /* of the file that is read */
	struct verify_file file;
	struct note note;	 /* the next one */
	uint64_t offset, octets; /* where it stands */
	bool have;
	uint64_t last_size;
	/* Of the files beside segments that are there. */
	uint32_t taken, before; /* there were before them */
	bool before_known;
};

/* A key that was given, evolved to a block of one log. */
struct verify_seal {
	const struct audit_key *key;
	struct seal_key now;
	uint64_t block; /* that `now` seals */
	bool over;	/* nothing behind is of its epoch */
	bool used;	/* a block has its seal */
};

struct verify;

struct verify_log {
	struct verify *v;
	enum audit_log log;
	struct verify_log_result *result;
	/* The files. */
	size_t at; /* of the segment that is open, or opened next */
	struct verify_file file, next_file;
	struct segment_header head;
	uint8_t head_hash[HASH_SIZE];
	uint64_t end; /* the next segment's first block; UINT64_MAX: not known */
	bool any, over;
	/* The chain. */
	uint64_t next; /* number of the block that follows */
	bool hash_known, tree_known;
	uint8_t hash[HASH_SIZE]; /* of the block before */
	struct tree tree;
	uint64_t epoch;
	struct verify_break broken;
	struct verify_context contexts[VERIFY_CONTEXTS];
	size_t context_count;
	struct verify_past *past;
	struct verify_notes stored;
	const struct note **outside; /* from elsewhere, by size */
	size_t outside_count, outside_at;
	struct verify_seal *seals;	  /* as many as keys were given */
	struct verify_finding seal_false; /* neighbours are told together */
	/* The block in hand: right by itself and in the chain; its octets until the next one. */
	bool have;
	struct block_header block;
	const uint8_t *bytes;
	size_t size;
	uint64_t block_offset;
	/* The rows. */
	struct names names;
	uint64_t
		unsigned_from; /* first record behind the last right checkpoint; 0: there is none */
	bool stopped;	       /* the last block was the end of a run */
	uint64_t stopped_run, last_run, next_run; /* next_run: with `end` */
	uint64_t torn_at; /* of the last segment: octets that are no whole block */
	uint64_t torn_octets;
	uint8_t first_before[HASH_SIZE]; /* hash of the last block that is not there any more */
	uint64_t start_sequence;	 /* the least that is in its first segment */
	bool cut;			 /* its missing end was told */
};

/* A run without an end, until an event says that it was found so. */
#define VERIFY_CUTS 256
struct verify_cut {
	uint64_t run;	  /* the one that found it; 0: any */
	uint64_t missing; /* records between others; 0: it is something else */
	bool declared;
	struct verify_finding finding;
};

struct verify {
	int folder_fd;
	const struct verify_asked *asked;
	struct verify_result *result;
	struct verify_folder folder;
	struct verify_log logs[AUDIT_LOGS];
	bool have_trail;
	uint64_t expected;	    /* sequence; 0: any */
	uint64_t pruned;	    /* below this sequence, deleted segments had records */
	uint8_t boot[BOOT_ID_SIZE]; /* of the block before, and its clock */
	uint64_t run, mono_ns;
	uint64_t octets; /* of blocks that were looked at */
	struct verify_cut cuts[VERIFY_CUTS];
	size_t cut_count;
	bool gap_said; /* an event of some run said that it found one without an end */
	uint64_t kept_from[AUDIT_LOGS]; /* the first block that retention kept, as the trail says */
	struct unpacker unpacker;
	struct names fresh; /* of a segment that is entered */
	uint8_t signer_told[SIGNER_KEY_SIZE];
	struct rows_reader *rows;
	struct frame frame;
	uint32_t told[FOUND_KINDS];
};

/* verify.c */
struct verify_finding verify_at(const struct verify_log *l, enum verify_kind kind);
void verify_found(struct verify *v, const struct verify_finding *f);
PRINTF_LIKE(2, 3) void verify_text(struct verify_finding *f, const char *fmt, ...);

/* A run's end, or what a crash left behind it, is not as it should be, unless that run says so. */
void verify_cut(struct verify *v, uint64_t run, const struct verify_finding *f);
/* Has the trail's signer, or one that was given, this public key? */
bool verify_signed(const struct verify *v, const struct note *n);

/* verify_live.c: the tree is at this size now; at the end, the rest of what the gateway said. */
void verify_live_reach(struct verify_log *l);
void verify_live_finish(struct verify *v);
bool verify_live_signer(const struct verify *v, const uint8_t signer[SIGNER_KEY_SIZE]);

/* verify_head.c: -EBADMSG: damaged; -EPROTONOSUPPORT: of a newer version; other -errno. */
int verify_head_read(struct verify_file *f, enum audit_log log, uint64_t number,
		     struct segment_header *ret_head) MUST_CHECK;
/* The same of the log's file, with what it begins with: compared with what was computed. */
int verify_head_enter(struct verify_log *l) MUST_CHECK;
void verify_head_check(struct verify_log *l);

/* verify_log.c */
int verify_log_start(struct verify_log *l) MUST_CHECK; /* its file was started */
void verify_log_free(struct verify_log *l);
/* The next block that is right into l->block; false: there is none. */
bool verify_log_next(struct verify_log *l);
void verify_log_finish(struct verify_log *l); /* all was taken */
const char *verify_segment_name(const struct verify_log *l, char ret[VERIFY_FILE_SIZE]);

/* verify_notes.c: the tree is at this size now; at the end, what is beyond it. */
int verify_notes_start(struct verify_log *l) MUST_CHECK;
void verify_notes_reach(struct verify_log *l);
/* The block in hand is the first one of its own in this segment; each block that is taken. */
void verify_notes_begin(struct verify_log *l, uint64_t segment);
void verify_notes_count(struct verify_log *l);
void verify_notes_finish(struct verify_log *l);

/* verify_seals.c */
int verify_seals_start(struct verify_log *l) MUST_CHECK;
void verify_seals_check(struct verify_log *l);
void verify_seals_finish(struct verify_log *l);
void verify_seals_judge(struct verify *v); /* keys that sealed nothing, in neither log */

/* verify_rows.c: the payload of the block in hand. */
void verify_rows(struct verify_log *l);

/* verify_order.c */
bool verify_order_take(struct verify *v);	/* false: both logs are over */
void verify_order_broken(struct verify_log *l); /* tells where the chain was lost */
/* All of the block in hand. */
struct verify_finding verify_at_block(const struct verify_log *l, enum verify_kind kind);
