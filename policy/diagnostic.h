/* The mistakes of one text: gathered while it is read, then printed in order of place, each
 * with the line itself, a caret and what to write instead. Runs in the monitor and the command
 * line. The text is hostile: what is printed of it is escaped and cut; values that may be
 * secrets are masked before anything is printed. */
#pragma once

#include <stdio.h>
#include "gateway/base/base.h"

/* From 1, in characters; the end is exclusive. Line 0: the text as a whole. */
struct place {
	uint32_t line, column, end_line, end_column;
};

int place_compare(struct place a, struct place b); /* by where they begin */

enum severity { SEVERITY_INVALID, SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostics;

/* Copies both; -ENOMEM. */
int diagnostics_open(const char *file, const char *text, size_t len,
		     struct diagnostics **ret_diagnostics) MUST_CHECK;
void diagnostics_free(struct diagnostics *d);

/* Beyond 1000 they are counted only: the rest of such a file is the same mistake again. */
void diagnose_error(struct diagnostics *d, struct place at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diagnose_warning(struct diagnostics *d, struct place at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* What to write instead of the mistake that was told last. */
void diagnose_hint(struct diagnostics *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* From now on this part of the text is shown as '*'. */
void diagnostics_mask(struct diagnostics *d, struct place place);
/* The same for what follows any word like "password:", up to the end of its line: for a text
 * that can't be taken apart. */
void diagnostics_mask_secrets(struct diagnostics *d);
/* Is this the name of something that holds a secret ("password", "chap_secret")? */
bool diagnostics_names_secret(const char *word);

size_t diagnostics_errors(const struct diagnostics *d);
size_t diagnostics_warnings(const struct diagnostics *d);

void diagnostics_print(struct diagnostics *d, FILE *f, bool colour);
/* An array of {severity, file, line, column, end_column, message, hint}. -ENOMEM. */
int diagnostics_print_json(struct diagnostics *d, FILE *f) MUST_CHECK;

/* text_escape() for a name within a message: at most 80 octets of it. */
struct shown {
	char text[80];
};
struct shown shown_text(const char *text);
