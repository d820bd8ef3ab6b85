/* JSON into a buffer: members, objects, arrays. Used by the review; what it is given may be
 * what a peer wrote. */
#include "gateway/audit/json_out.h"

#include "gateway/audit/export.h"

static void octet(struct json_out *j, char c)
{
	wr_bytes(j->w, &c, 1);
}

/* What stands before a value. */
static void begin(struct json_out *j, const char *name)
{
	if (j->some)
		octet(j, ',');
	j->some = true;
	if (!name)
		return;
	octet(j, '"');
	wr_bytes(j->w, name, strlen(name));
	wr_bytes(j->w, "\":", 2);
}

void json_open(struct json_out *j, const char *name, char bracket)
{
	begin(j, name);
	octet(j, bracket);
	j->some = false;
}

void json_close(struct json_out *j, char bracket)
{
	octet(j, bracket);
	j->some = true;
}

void json_number(struct json_out *j, const char *name, uint64_t value)
{
	begin(j, name);
	export_number(j->w, value);
}

void json_text(struct json_out *j, const char *name, const char *value)
{
	begin(j, name);
	octet(j, '"');
	export_put(j->w, ESCAPE_JSON, value);
	octet(j, '"');
}

void json_plain(struct json_out *j, const char *name, const char *value)
{
	begin(j, name);
	octet(j, '"');
	wr_bytes(j->w, value, strlen(value));
	octet(j, '"');
}

void json_field(struct json_out *j, const char *name, const struct field_values *v,
		enum field_id id)
{
	bool text = fields[id].type == FIELD_TEXT;

	begin(j, name);
	wr_bytes(j->w, "\"", text);
	export_field(j->w, ESCAPE_JSON, v, id);
	wr_bytes(j->w, "\"", text);
}
