/* The forms of the export, by name; and those that are no more than the list of fields: JSON lines
 * and CSV. Used by the review; records are hostile. */
#include "gateway/audit/export.h"

#include <stdarg.h>
#include <stdio.h>
#include "gateway/audit/json_out.h"

static const struct form {
	const char *name;
	const char *const *names; /* of fields, or NULL: all have their own */
	const char *rest;	  /* before the name of those that are not in `names` */
	void (*put)(struct wr *w, const struct trail_record *r, const struct field_values *v);
} forms[EXPORT_FORMATS] = {
	[EXPORT_JSONL] = {"jsonl", NULL, "", NULL},
	[EXPORT_CSV] = {"csv", NULL, "", NULL},
	[EXPORT_ECS] = {"ecs", ecs_names, "sallyport.", export_ecs},
	[EXPORT_OCSF] = {"ocsf", ocsf_names, "unmapped.", export_ocsf},
	[EXPORT_CEF] = {"cef", cef_names, "Sallyport", export_cef},
	[EXPORT_SQLITE] = {"sqlite", NULL, "", NULL},
};

enum export_format export_format_by_name(const char *name)
{
	for (int i = EXPORT_INVALID + 1; i < EXPORT_FORMATS; i++) {
		if (strcmp(name, forms[i].name) == 0)
			return (enum export_format)i;
	}
	return EXPORT_INVALID;
}

const char *export_format_name(enum export_format format)
{
	return forms[format].name;
}

/* CEF wants letters and digits alone in a key of one's own: ring_index is SallyportRingIndex. */
static void camel_case(char *ret, const char *name)
{
	bool upper = true;

	for (; *name; name++) {
		if (*name != '_')
			*ret++ = (char)(upper ? *name - 'a' + 'A' : *name);
		upper = *name == '_';
	}
	*ret = '\0';
}

const char *export_name(enum export_format format, enum field_id id, char ret[EXPORT_NAME_SIZE])
{
	const struct form *f = &forms[format];

	if (f->names && f->names[id]) {
		string_copy(ret, EXPORT_NAME_SIZE, f->names[id]);
		return ret;
	}
	(void)snprintf(ret, EXPORT_NAME_SIZE, "%s%s", f->rest, fields[id].name);
	if (format == EXPORT_CEF)
		camel_case(ret + strlen(f->rest), fields[id].name);
	return ret;
}

void export_put(struct wr *w, enum escape_form form, const char *text)
{
	ssize_t len = escape_copy(form, text, (char *)w->p, (size_t)(w->end - w->p));

	if (len < 0 || w->failed)
		w->failed = true;
	else
		w->p += len;
}

void export_number(struct wr *w, uint64_t number)
{
	char digits[20], *first = digits + sizeof digits;

	do
		*--first = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	wr_bytes(w, first, (size_t)(digits + sizeof digits - first));
}

void export_field(struct wr *w, enum escape_form form, const struct field_values *v,
		  enum field_id id)
{
	const char *text = v->of[id].text;

	if (fields[id].type == FIELD_NUMBER)
		export_number(w, v->of[id].number);
	else if (fields[id].hostile || form == ESCAPE_CSV) /* "+01:00" could begin a formula */
		export_put(w, form, text);
	else
		wr_bytes(w, text, strlen(text));
}

void export_printf(struct wr *w, const char *fmt, ...)
{
	char text[160];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < sizeof text); /* ours: nothing of a peer's goes here */
	wr_bytes(w, text, (size_t)len);
}

void export_jsonl(struct wr *w, const struct trail_record *r, bool utc)
{
	struct field_values v;
	struct json_out j = {w, false};

	fields_of(&v, r, utc);
	json_open(&j, NULL, '{');
	for (enum field_id id = 0; id < FIELDS; id++) {
		if (!field_is_set(&v, id))
			continue;
		json_field(&j, fields[id].name, &v, id);
	}
	json_close(&j, '}');
	wr_bytes(w, "\n", 1);
}

/* RFC 4180. What is not there is empty; a text never is. */
static void csv_line(struct wr *w, const struct field_values *v)
{
	for (enum field_id id = 0; id < FIELDS; id++) {
		if (id > 0)
			wr_bytes(w, ",", 1);
		if (!v)
			wr_bytes(w, fields[id].name, strlen(fields[id].name));
		else if (!field_is_set(v, id))
			continue;
		else
			export_field(w, ESCAPE_CSV, v, id);
	}
	wr_bytes(w, "\r\n", 2);
}

void export_csv(struct wr *w, const struct field_values *v)
{
	csv_line(w, v);
}

void export_head(struct wr *w, enum export_format format)
{
	if (format == EXPORT_CSV)
		csv_line(w, NULL);
}

void export_line(struct wr *w, enum export_format format, const struct trail_record *r)
{
	struct field_values v;

	if (format == EXPORT_JSONL) {
		export_jsonl(w, r, true);
		return;
	}
	fields_of(&v, r, true);
	if (format == EXPORT_CSV) {
		csv_line(w, &v);
		return;
	}
	assert(forms[format].put);
	forms[format].put(w, r, &v);
	wr_bytes(w, "\n", 1);
}
