/* Checkpoints as text: a note of three lines (origin, size, root of the tree) that is signed with
 * Ed25519, in the forms c2sp.org/signed-note and c2sp.org/tlog-checkpoint, so that witnesses can
 * co-sign it, and who has no gateway can check it. */
#pragma once

#include "gateway/audit/block.h"

#define NOTE_SIZE	   512	       /* of one that we write, with NUL */
#define NOTE_READ_MAX	   (16u << 10) /* octets of one that is read, with all signatures */
#define NOTE_LINES_MAX	   32	       /* signatures of others */
#define NOTE_ORIGIN_SIZE   80	       /* with NUL */
#define NOTE_VERIFIER_SIZE 192	       /* with NUL */
#define TRAIL_ID_SIZE	   16
#define SIGNER_KEY_SIZE	   32 /* Ed25519, public */
#define SIGNER_SECRET_SIZE 64 /* as libsodium has it */

struct note {
	uint8_t trail[TRAIL_ID_SIZE];
	enum audit_log log;
	uint64_t size;	  /* of the tree: blocks */
	uint8_t root[32]; /* of these */
	/* Read only. */
	uint8_t key_hash[4], signature[64]; /* of the gateway's line */
	size_t others;			    /* lines that others signed, which nobody looked at */
};

/* "sallyport-audit/0123…ef/commands": the origin, and the signer's name. */
const char *note_origin(const uint8_t trail[TRAIL_ID_SIZE], enum audit_log log,
			char ret[NOTE_ORIGIN_SIZE]);

/* Signs. Returns the length; always fits. `trail`, `log`, `size` and `root` are taken of n. */
int note_write(char ret[NOTE_SIZE], const struct note *n,
	       const uint8_t secret_key[SIGNER_SECRET_SIZE]) MUST_CHECK;
/* Exactly one note, to its last octet. -EBADMSG: it is none, or none of a trail of ours. Nothing
 * is said of the signature. */
int note_read(struct note *ret, const char *text, size_t len) MUST_CHECK;
bool note_signature_right(const struct note *n, const uint8_t public_key[SIGNER_KEY_SIZE]);
/* Octets of the note that the text begins with: up to the line behind its signatures. 0: none. */
size_t note_span(const char *text, size_t len);

/* The signer's public key as others' tools take it: NAME+HASH+KEY, one name a log. */
const char *note_verifier_write(char ret[NOTE_VERIFIER_SIZE], const uint8_t trail[TRAIL_ID_SIZE],
				enum audit_log log, const uint8_t public_key[SIGNER_KEY_SIZE]);
int note_verifier_read(const char *text, size_t len, struct note *ret_of,
		       uint8_t ret_key[SIGNER_KEY_SIZE]) MUST_CHECK;
