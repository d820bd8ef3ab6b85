/* JSON written into a buffer, for the review and the exports. Not by a library, because block
 * addresses have 64 bits without a sign, and because a trail has many lines. Names are ours; texts
 * go through text_escape() first: a terminal is safe from them, and they are UTF-8. */
#pragma once

#include "gateway/audit/fields.h"
#include "gateway/base/bytes.h"

struct json_out {
	struct wr *w;
	bool some; /* the object that is open has a member */
};

/* `name` NULL: within an array, or the outermost one. */
void json_open(struct json_out *j, const char *name, char bracket);
void json_close(struct json_out *j, char bracket);
void json_number(struct json_out *j, const char *name, uint64_t value);
void json_text(struct json_out *j, const char *name, const char *value);
/* The same for a text of our own, in which nothing is to be escaped. */
void json_plain(struct json_out *j, const char *name, const char *value);
/* A field that is set, under this name. */
void json_field(struct json_out *j, const char *name, const struct field_values *v,
		enum field_id id);
