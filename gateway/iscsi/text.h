/* Text of Login and Text PDUs, RFC 7143 section 6.1: key=value pairs, each ended by
 * NUL, in one PDU or spread over several by the C bit. What is read is hostile;
 * what it may cost is bounded here. */
#pragma once

#include "gateway/base/bytes.h"

#define TEXT_MAX       65536u /* octets of one request, over all its PDUs */
#define TEXT_KEY_MAX   63     /* octets of a key's name */
#define TEXT_VALUE_MAX 255    /* octets of a value, unless the key says otherwise */

/* What has arrived of a request. */
struct text {
	uint8_t *bytes; /* size octets, given by the owner */
	size_t len, size;
};

struct text_pair {
	const char *key; /* not ended by NUL */
	size_t key_len;	 /* 1 to TEXT_KEY_MAX */
	const char *value;
	size_t value_len; /* value[value_len] is NUL */
};

bool text_append(struct text *t, const uint8_t *bytes, size_t len) MUST_CHECK;
/* 1: a pair; 0: no more; -EPROTO: no key, no '=', no NUL at the end, a key's name that is too long
 * or has blanks or control characters in it. NUL padding is no pair. */
int text_next(struct rd *r, struct text_pair *ret_pair) MUST_CHECK;
bool text_is(const struct text_pair *p, const char *key);
/* The next value of a comma-separated list, from *at on; false: no more. */
bool text_list_next(const char **at, const char **ret_item, size_t *ret_len);
bool text_list_has(const char *list, const char *item);
void text_put(struct wr *w, const char *key, const char *value);
void text_put_number(struct wr *w, const char *key, uint64_t value);
