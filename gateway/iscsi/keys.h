/* Negotiation of RFC 7143 section 13: one table of keys (type, default, range, when)
 * and the state of one connection's negotiation. Offers are taken first, answered
 * afterwards, in the originator's order. Pure: knows no PDU. */
#pragma once

#include "gateway/iscsi/iscsi.h"
#include "gateway/iscsi/text.h"

enum key_id {
	KEY_INVALID,
	KEY_AUTH_METHOD,
	KEY_CHAP_A,
	KEY_CHAP_I,
	KEY_CHAP_C,
	KEY_CHAP_N,
	KEY_CHAP_R,
	KEY_INITIATOR_NAME,
	KEY_INITIATOR_ALIAS,
	KEY_TARGET_NAME,
	KEY_SESSION_TYPE,
	KEY_SEND_TARGETS,
	KEY_TARGET_ALIAS,
	KEY_TARGET_ADDRESS,
	KEY_PORTAL_GROUP,
	KEY_HEADER_DIGEST,
	KEY_DATA_DIGEST,
	KEY_MAX_CONNECTIONS,
	KEY_INITIAL_R2T,
	KEY_IMMEDIATE_DATA,
	KEY_MAX_RECV_SEGMENT, /* the initiator's */
	KEY_MAX_BURST,
	KEY_FIRST_BURST,
	KEY_TIME2WAIT,
	KEY_TIME2RETAIN,
	KEY_MAX_R2T,
	KEY_PDU_IN_ORDER,
	KEY_SEQUENCE_IN_ORDER,
	KEY_ERROR_RECOVERY,
	KEY_TASK_REPORTING,
	KEY_PROTOCOL_LEVEL,
	KEY_IF_MARKER,
	KEY_OF_MARKER,
	KEY_IF_MARK_INT,
	KEY_OF_MARK_INT,
	KEY_NODE_ARCHITECTURE,
	KEY_COUNT
};

enum key_type {
	KEY_TYPE_INVALID,
	KEY_MIN,       /* a number; the lower one of both ends' */
	KEY_MAX,       /* a number; the higher one */
	KEY_AND,       /* Yes or No */
	KEY_OR,	       /* Yes or No */
	KEY_LIST,      /* the originator's first value that we have */
	KEY_DECLARED,  /* a number that needs no answer */
	KEY_NOTED,     /* a text that needs no answer, and that nothing depends on */
	KEY_TEXT,      /* the caller's, who answers where that is needed */
	KEY_NOT_YOURS, /* only a target may send it */
	KEY_MARKER,    /* obsolete: No, which initiators of RFC 3720's time understand best */
	KEY_MARK_INT,  /* obsolete: Reject is the answer that the standard asks for */
};

enum key_stage { STAGE_SECURITY = 1, STAGE_OPERATIONAL = 2, STAGE_FULL = 4 };

enum key_flag {
	KEY_NOT_IN_DISCOVERY = 1, /* answered Irrelevant there */
	KEY_REPEATABLE = 2,	  /* a declaration: its value again is no second offer */
	KEY_LEADING = 4,	  /* the session's ("Use: LO"): answered Irrelevant by a connection
				     that joins one */
};

struct key {
	enum key_id id;
	const char *name;
	enum key_type type;
	uint32_t initially, min, max;
	unsigned stages;	   /* enum key_stage, or'ed */
	unsigned flags;		   /* enum key_flag, or'ed */
	const char *const *values; /* KEY_LIST; the index is the value */
};

#define KEYS_OFFERS_MAX	 64 /* of one request */
#define KEYS_UNKNOWN_MAX 16 /* of one negotiation: each costs an answer */
#define KEYS_ANSWER_MAX	 8192

enum key_answer { KEY_ANSWER_INVALID, KEY_RESULT, KEY_REJECT, KEY_IRRELEVANT, KEY_UNKNOWN };

struct key_offer {
	const struct key *key; /* NULL: unknown */
	char name[TEXT_KEY_MAX + 1];
	enum key_answer answer;
};

enum task_reporting { REPORTING_RFC3720, REPORTING_FENCE, REPORTING_FAST_ABORT };
#define PROTOCOL_LEVEL_7144 2 /* iSCSIProtocolLevel: with the features of RFC 7144 */

struct keys {
	bool discovery, joins;	    /* the session is there already: the login names its TSIH */
	uint32_t ours[KEY_COUNT];   /* our end's preference */
	uint32_t result[KEY_COUNT]; /* in force; booleans 0 or 1, lists the index */
	uint64_t seen;		    /* bit of each key that was offered in this negotiation */
	uint64_t insisted;	    /* of each list of which only our best value will do */
	uint64_t offered;	    /* of each key that we offered in this negotiation */
	unsigned unknown;
	struct key_offer offers[KEYS_OFFERS_MAX];
	size_t offer_count;
};

void keys_start(struct keys *k, const struct iscsi_limits *limits);
/* Our end's preferences; results that are there stay. */
void keys_limit(struct keys *k, const struct iscsi_limits *limits);
/* The next negotiation: every key may be offered again. Results stay. */
void keys_restart(struct keys *k);
const struct key *keys_find(const struct text_pair *pair);
/* Takes one pair. 0: taken; 1: a KEY_TEXT key, in its place: the caller's to look at; -EPROTO: the
 * negotiation is over (offered twice, too many, too long). */
int keys_take(struct keys *k, enum key_stage stage, const struct text_pair *pair,
	      const struct key **ret_key) MUST_CHECK;
/* Answers Reject to a KEY_TEXT key. */
void keys_reject(struct keys *k, const struct key *key);
/* Writes the answers to what was taken, in its order, and forgets it. */
void keys_answer(struct keys *k, struct wr *w);
/* Has every key come to what we insist on? */
bool keys_insisted(const struct keys *k);
/* Offers those that the initiator has not, once; false: there is none. */
bool keys_insist(struct keys *k, struct wr *w);
uint32_t keys_first_burst(const struct keys *k); /* never above MaxBurstLength */
