/* A record of the trail as a row of a table, or as a line of JSON. Peer text is escaped. */
#pragma once

#include <stdio.h>
#include "gateway/audit/filter.h"

struct audit_print {
	FILE *out;
	bool utc, json;
};

void audit_print_head(const struct audit_print *p); /* the table's; JSON has none */
void audit_print(const struct audit_print *p, const struct trail_record *r);

/* The two forms. */
void audit_print_json(const struct audit_print *p, const struct trail_record *r);
void audit_print_row(const struct audit_print *p, const struct trail_record *r);

/* "WRITE(10)", "a3h/1fh" for a CDB that has no name here, "" for none. */
const char *audit_command_text(const struct audit_record *c, char *ret, size_t size);
/* A reservation key, of which the record tells instead of blocks. */
bool audit_command_key(const struct audit_record *c, uint64_t *ret_key);
