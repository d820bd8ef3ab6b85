/* A record of the trail as a row of a table, or as a line of JSON or CSV. Peer text is escaped. */
#pragma once

#include <stdio.h>
#include "gateway/audit/filter.h"

struct audit_print {
	FILE *out;
	bool utc, json, csv;
	bool colour; /* of the table: what was refused or failed stands out */
};

void audit_print_head(const struct audit_print *p); /* JSON has none */
void audit_print(const struct audit_print *p, const struct trail_record *r);

/* The forms. */
void audit_print_json(const struct audit_print *p, const struct trail_record *r);
void audit_print_csv(const struct audit_print *p, const struct trail_record *r); /* NULL: names */
void audit_print_row(const struct audit_print *p, const struct trail_record *r);
/* One record, every field with what it means, and its CDB taken apart (audit_explain.c). */
void audit_print_explained(const struct audit_print *p, const struct trail_record *r);

/* Of tables: a text in as many columns, with a space behind it; the end of an iSCSI name, escaped,
 * cut to so many; a terminal's red, and its end. */
void audit_print_cell(const struct audit_print *p, const char *text, int width);
void audit_print_name(const struct audit_print *p, const char *name, int width);
void audit_print_red(const struct audit_print *p, bool on);
