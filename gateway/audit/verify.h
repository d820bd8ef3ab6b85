/* Proves the trail, or tells what of it is not as it was written: everything that its files hold
 * is computed again. Needs no gateway and no secret; with the verification keys and checkpoints
 * that were kept elsewhere it proves more. Trusts no octet of the folder. */
#pragma once

#include "gateway/audit/hash.h"
#include "gateway/audit/key_text.h"
#include "gateway/audit/note.h"

#define VERIFY_FILE_SIZE 64 /* of a name that is told, with NUL; longer ones are cut */
#define VERIFY_TEXT_SIZE 256
#define VERIFY_TOLD_MAX	 256 /* of one kind; more are counted */

/* What a finding does to the verdict; the greatest one counts. */
enum verify_class {
	VERIFY_CLASS_INVALID,
	VERIFY_SAID,	/* no fault: what could not be looked at */
	VERIFY_GAP,	/* something is lost, and the trail itself says so */
	VERIFY_OPEN,	/* nothing shows that the end is the end */
	VERIFY_DAMAGED, /* not as it was written, by accident or on purpose */
	VERIFY_FORGED,	/* no accident does this */
	VERIFY_CLASSES
};

enum verify_kind {
	FOUND_INVALID,
	FOUND_UNKNOWN_FILE,
	FOUND_UNREADABLE,
	FOUND_UNFINISHED,
	FOUND_HEADER_DAMAGED,
	FOUND_HEADER_FALSE,
	FOUND_SEGMENT_MISSING,
	FOUND_START_MISSING,
	FOUND_DAMAGED,
	FOUND_MISSING,
	FOUND_INSERTED,
	FOUND_REPEATED,
	FOUND_BEHIND_END,
	FOUND_CHAIN_FALSE,
	FOUND_TREE_FALSE,
	FOUND_CONTEXT_FALSE,
	FOUND_LOGS_DISAGREE,
	FOUND_CUT,
	FOUND_SEQUENCE_MISSING,
	FOUND_SEQUENCE_REPEATED,
	FOUND_TIME_FALSE,
	FOUND_EPOCH_FALSE,
	FOUND_PAYLOAD_FALSE,
	FOUND_INDEX_FALSE,
	FOUND_SEAL_FALSE,
	FOUND_KEY_FALSE,
	FOUND_NOTE_DAMAGED,
	FOUND_NOTE_MISSING,
	FOUND_NOTE_FALSE,
	FOUND_ROOT_FALSE,
	FOUND_SIGNER_FALSE,
	FOUND_LIVE_FALSE,
	FOUND_OTHER_TRAIL,
	FOUND_OLD_CHECKPOINT,
	FOUND_OLD_KEY,
	FOUND_KEY_UNUSED,
	FOUND_REST_FALSE,
	FOUND_RESERVE_FALSE,
	FOUND_RUN_CUT,
	FOUND_GAP,
	FOUND_TORN,
	FOUND_OPEN,
	FOUND_UNSIGNED,
	FOUND_KINDS
};

struct verify_finding {
	enum verify_kind kind;
	enum audit_log log;	     /* AUDIT_LOG_INVALID: of none */
	char file[VERIFY_FILE_SIZE]; /* raw: escape it; "": none */
	bool has_place, has_block;
	uint64_t offset, octets;	  /* in the file */
	uint64_t block, last_block;	  /* of the log */
	uint64_t sequence, last_sequence; /* 0: none is known */
	char text[VERIFY_TEXT_SIZE];	  /* what is special about it, raw: escape it */
};

struct verify_words {
	const char *name; /* stable: "chain-broken" */
	enum verify_class class;
	const char *means, *what_to_do;
};

const struct verify_words *verify_words(enum verify_kind kind);

/* What the running gateway says that is on the disk: the files were asked for afterwards. */
struct verify_live {
	uint8_t trail[TRAIL_ID_SIZE], signer[SIGNER_KEY_SIZE];
	uint64_t blocks[AUDIT_LOGS];
	uint8_t roots[AUDIT_LOGS][HASH_SIZE];
};

struct verify_asked {
	/* What was kept elsewhere. Those of other trails are told. */
	const struct audit_key *keys;
	size_t key_count;
	const struct note *notes;
	size_t note_count;
	const uint8_t (*signers)[SIGNER_KEY_SIZE];
	size_t signer_count;
	/* A gateway runs, and has just made all up to this sequence durable; 0: none runs. */
	uint64_t live_sequence;
	const struct verify_live *live; /* or NULL */
	void (*found)(void *arg, const struct verify_finding *finding);
	void (*progress)(void *arg, uint64_t octets, uint64_t of_octets); /* or NULL */
	bool (*stop)(void *arg);					  /* or NULL */
	void *arg;
};

enum verify_end {
	VERIFY_END_INVALID,
	VERIFY_END_NONE,    /* nothing proves it */
	VERIFY_END_STOP,    /* the signed record of a clean stop */
	VERIFY_END_LIVE,    /* what the running gateway says */
	VERIFY_END_OUTSIDE, /* outside checkpoints reach it, in both logs */
};

/* Blocks from `first` on, below `end`. */
struct verify_range {
	uint64_t first, end;
};

#define VERIFY_SEALED_MAX 64

struct verify_log_result {
	uint64_t segments, octets, records, notes;
	struct verify_range blocks;
	uint64_t signed_end;  /* blocks below it are bound by a signature that is right */
	uint64_t outside_end; /* … by an outside checkpoint */
	struct verify_range
		sealed[VERIFY_SEALED_MAX]; /* seals that are right, by a key that was given */
	size_t sealed_count;
	bool stopped; /* its last block is that of a clean stop */
};

struct verify_result {
	bool any; /* there is a trail */
	uint8_t trail[TRAIL_ID_SIZE], signer[SIGNER_KEY_SIZE];
	bool signer_known; /* compared with one that was given, or the running gateway's */
	uint64_t first_sequence, last_sequence; /* 0: there is no record */
	uint64_t first_ns, last_ns;		/* wall clock */
	struct verify_log_result logs[AUDIT_LOGS];
	enum verify_end end;
	enum verify_class worst;
	uint64_t counts[VERIFY_CLASSES]; /* findings, told or not */
	bool interrupted;
};

/* 0, or -errno when the folder itself can't be read: of what is in it, everything is a finding. */
int verify_trail(int folder_fd, const struct verify_asked *asked,
		 struct verify_result *ret_result) MUST_CHECK;
