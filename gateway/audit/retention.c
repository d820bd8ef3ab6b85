/* The detail of an event of retention as text and back: written by the auditor, read by who
 * verifies, from a trail that may be anybody's. */
#include "gateway/audit/retention.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include "gateway/audit/digits.h"
#include "gateway/base/bytes.h"

#define WORDS	 9 /* of the text, with the three names of what follows them */
#define WORD_MAX 80

void retention_write(const struct retention *r, char ret[AUDIT_DETAIL_SIZE])
{
	char hash[2 * BLOCK_HASH_SIZE + 1];
	int len = snprintf(ret, AUDIT_DETAIL_SIZE,
			   "%s-%06" PRIu64 ".log blocks %" PRIu64 "+%" PRIu64 " sequences %" PRIu64
			   "+%" PRIu64 " times %" PRIu64 "-%" PRIu64 " last %s",
			   audit_log_name(r->log), r->segment, r->first_block, r->blocks,
			   r->first_sequence, r->sequences, r->first_ns, r->last_ns,
			   sodium_bin2hex(hash, sizeof hash, r->last_hash, sizeof r->last_hash));

	assert(len > 0 && len < AUDIT_DETAIL_SIZE);
}

/* Cuts the text at its blanks. False: it has not so many words, or one that is too long. */
static bool split(const char *text, size_t len, char ret[WORDS][WORD_MAX])
{
	size_t word = 0, at = 0;

	for (size_t k = 0; k < len; k++) {
		bool blank = text[k] == ' ';

		if (text[k] == '\0' || at == WORD_MAX - 1 || (blank && word == WORDS - 1))
			return false;
		ret[word][at++] = blank ? '\0' : text[k];
		word += blank;
		at = blank ? 0 : at;
	}
	ret[word][at] = '\0';
	return word == WORDS - 1;
}

static bool file_read(const char *word, struct retention *r)
{
	for (enum audit_log log = LOG_COMMANDS; log <= LOG_EVENTS; log++) {
		const char *name = audit_log_name(log), *digits = word + strlen(name) + 1;
		size_t len = strlen(word), before = strlen(name) + 1;
		char number[24];

		if (len < before + 4 || len - before - 4 >= sizeof number ||
		    strncmp(word, name, before - 1) != 0 || word[before - 1] != '-')
			continue;
		len -= before + 4;
		memcpy(number, digits, len);
		number[len] = '\0';
		r->log = log;
		return number_parse(number, 1, UINT64_MAX, &r->segment) == 0;
	}
	return false;
}

/* Two numbers with this sign between. */
static bool pair_read(char *word, char sign, uint64_t *ret_first, uint64_t *ret_second)
{
	char *at = strchr(word, sign);

	if (!at)
		return false;
	*at = '\0';
	return number_parse(word, 0, UINT64_MAX, ret_first) == 0 &&
	       number_parse(at + 1, 0, UINT64_MAX, ret_second) == 0;
}

int retention_read(struct retention *ret, const char *text, size_t len)
{
	char words[WORDS][WORD_MAX], again[AUDIT_DETAIL_SIZE];
	struct retention r = {0};
	uint64_t behind;

	if (len >= AUDIT_DETAIL_SIZE || !split(text, len, words) || !file_read(words[0], &r) ||
	    !pair_read(words[2], '+', &r.first_block, &r.blocks) ||
	    !pair_read(words[4], '+', &r.first_sequence, &r.sequences) ||
	    !pair_read(words[6], '-', &r.first_ns, &r.last_ns) ||
	    !ADD_OK(r.first_block, r.blocks, &behind) ||
	    !ADD_OK(r.first_sequence, r.sequences, &behind) ||
	    !hex_read(words[8], strlen(words[8]), r.last_hash, sizeof r.last_hash))
		return -EBADMSG;
	/* All else is right when it is the very text that this would be. */
	retention_write(&r, again);
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	*ret = r;
	return 0;
}
