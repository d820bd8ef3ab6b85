/* The strongest CHAP algorithm that each user has logged in with: who falls back behind
 * it may have been made to by somebody on the way. As a table, and as the lines of the
 * file that keeps it. Pure: no files, no clock. */
#pragma once

#include "auth/store.h"

#define STRENGTHS_MAX	  (2 * STORE_ENTRIES_MAX)
#define STRENGTH_LINE_MAX (STORE_NAME_SIZE + 16)
#define STRENGTHS_BYTES	  ((size_t)STRENGTHS_MAX * 4 * STRENGTH_LINE_MAX)

struct strength {
	char user[STORE_NAME_SIZE];
	uint8_t algorithm; /* enum chap_algorithm, in order of strength; CHAP_NONE: forgotten */
};

struct strengths {
	struct strength *list; /* sorted by user */
	size_t count, room;
	size_t lines; /* of the file that it was read from */
};

void strengths_free(struct strengths *s);
enum chap_algorithm strengths_find(const struct strengths *s, const char *user);
/* CHAP_NONE forgets. -EINVAL: no such name or algorithm; -ENOSPC; -ENOMEM. */
int strengths_put(struct strengths *s, const char *user, enum chap_algorithm a) MUST_CHECK;

/* "USER ALGORITHM\n", or "USER none\n": a later line of a user replaces the one before. Returns its
 * length. */
size_t strength_line(const char *user, enum chap_algorithm a, char ret[STRENGTH_LINE_MAX]);
/* All lines; a last one without its end was never in force, and *ret_whole is where it begins.
 * -EBADMSG: anything else. ret_strengths is the caller's to free. */
int strengths_parse(const char *text, size_t len, struct strengths *ret_strengths,
		    size_t *ret_whole) MUST_CHECK;
/* One line for each; malloc'd. */
int strengths_format(const struct strengths *s, char **ret_text, size_t *ret_len) MUST_CHECK;
