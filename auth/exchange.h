/* The CHAP exchange of one connection, without sockets or clocks: a message goes in, an
 * answer and perhaps a verdict come out. One exchange per connection, one answer per
 * challenge. */
#pragma once

#include "auth/accounts.h"
#include "auth/chap.h"

/* Challenges of the last connections, as tags: one that comes back is a reflection. Twice as many
 * as there can be connections. */
#define RECENT_MAX 8192

struct recent {
	struct tag tags[RECENT_MAX];
	size_t count; /* ever */
	uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
};

/* What all exchanges have in common. */
struct exchange_common {
	const struct accounts *accounts;
	struct recent recent;
	uint64_t now_s; /* since 1970: exchange_time() */
};

enum exchange_state { EXCHANGE_INVALID, EXCHANGE_NEW, EXCHANGE_CHALLENGED, EXCHANGE_OVER };

struct exchange {
	enum exchange_state state;
	enum chap_algorithm algorithm;
	uint8_t id;
	uint8_t challenge[CHAP_CHALLENGE_LEN];
};

struct exchange_answer {
	uint32_t type; /* AUTH_CHALLENGE, AUTH_RESULT, or AUTH_INVALID: nothing for the session */
	union {
		struct auth_challenge challenge;
		struct auth_result result;
	};
	/* For the monitor, to be sent first. reason AUTH_REASON_INVALID: no verdict yet, the
	 * exchange goes on. connection is the caller's to fill. */
	struct auth_verdict verdict;
};

void exchange_common_open(struct exchange_common *common, const struct accounts *accounts);
/* Before each message; returns the time that counts. It never goes back: what is over stays so,
 * though somebody sets the clock. */
uint64_t exchange_time(struct exchange_common *common, uint64_t wall_s);
void exchange_start(struct exchange *e);
/* body: the struct that belongs to the type, of its full size; what is in it is a stranger's. */
void exchange_take(struct exchange *e, struct exchange_common *common, uint32_t type,
		   const void *body, struct exchange_answer *ret_answer);
/* The deadline has come, or the session broke the channel's rules. */
void exchange_end(struct exchange *e, enum auth_reason reason, struct exchange_answer *ret_answer);
