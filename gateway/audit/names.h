/* The dictionary of a log: names of initiators, targets and users that stand in many rows
 * have a small number there. Only what authenticated gets one, so that strangers can't fill it;
 * when it is full, names stand in the rows themselves. */
#pragma once

#include "gateway/base/bytes.h"

#define NAMES_MAX     4096u
#define NAME_SIZE_MAX 256u /* with NUL */

struct names {
	char *texts[NAMES_MAX];
	uint32_t count;		       /* ids below it may have a text */
	uint16_t table[2 * NAMES_MAX]; /* id + 1 by hash, 0: free; of the writer alone */
};

/* All zero is empty. */
void names_clear(struct names *n);
const char *names_text(const struct names *n, uint64_t id); /* "" when there is none */

/* A name in a row: 0 and a text; 1, a new id and its text; or its id + 2. `define`: it may get an
 * id. True when it got one now. */
bool names_put(struct names *n, struct wr *w, const char *text, size_t size, bool define);
void names_get(struct names *n, struct rd *r, char *ret, size_t size);

/* The whole dictionary: its count, then ids with their texts. */
void names_write(const struct names *n, struct wr *w);
void names_read(struct names *n, struct rd *r);
