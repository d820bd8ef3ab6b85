/* The one escaper of what the review prints, whatever the form. Peers' texts first become what
 * text_escape() makes of them (no control character, no invalid UTF-8, no quote, no mark that turns
 * the direction of writing; and no two texts become the same), and then what the form needs. */
#pragma once

#include <stdio.h>
#include "gateway/base/base.h"

enum escape_form {
	ESCAPE_INVALID,
	ESCAPE_TABLE,	   /* a terminal, the journal: text_escape() alone */
	ESCAPE_JSON,	   /* within the quotes of a string; harmless within <script>, too */
	ESCAPE_CSV,	   /* a whole field, quoted if need be; never a spreadsheet's formula */
	ESCAPE_HTML,	   /* text or a quoted attribute */
	ESCAPE_CEF_HEADER, /* between the pipes */
	ESCAPE_CEF,	   /* the value of an extension */
	ESCAPE_SYSLOG,	   /* RFC 5424 6.3.3: within the quotes of a parameter */
	ESCAPE_FORMS
};

/* Longer texts are cut with "…". */
#define ESCAPE_TEXT_MAX 4096

/* Of `len` octets, or of all before a NUL. */
void escape_put(FILE *f, enum escape_form form, const char *text);
void escape_put_octets(FILE *f, enum escape_form form, const char *text, size_t len);
/* Into a buffer: the length, or -ENOSPC when it does not fit whole with its NUL (`ret` is empty).
 */
ssize_t escape_copy(enum escape_form form, const char *text, char *ret, size_t size) MUST_CHECK;
