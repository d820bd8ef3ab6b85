/* A cursor over what a tool said. Hostile: nothing is believed about its form, and every number has
 * an end. */
#pragma once

#include "gateway/base/base.h"

struct text {
	const char *p, *end;
};

struct text text_over(const char *bytes, size_t len);
/* The next line, without its end. False: no more. */
bool text_line(struct text *t, struct text *ret_line);
/* If it goes on with `word`: behind it. */
bool text_skip(struct text *t, const char *word);
/* Behind the next `word`; else it stays. */
bool text_find(struct text *t, const char *word);
void text_blanks(struct text *t);
/* Digits; false, and stays: none, or more than 64 bits. */
bool text_number(struct text *t, uint64_t *ret_value);
bool text_hex(struct text *t, uint64_t *ret_value);
bool text_octal(struct text *t, uint64_t *ret_value);
/* "Sun Nov 22 22:22:13 2026", of UTC. */
bool text_date(struct text *t, int64_t *ret_seconds);
size_t text_left(const struct text *t);
