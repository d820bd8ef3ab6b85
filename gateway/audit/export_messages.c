/* Records as messages: in the Common Event Format, as syslog of RFC 5424, and as entries of the
 * journal. All that peers wrote goes through the one escaper, so no text has a line end. */
#include "gateway/audit/export.h"

#include <time.h>

/* ArcSight's dictionary; what it has no key for gets one of ours. cs1Label and the like are ours to
 * fill in. */
const char *const cef_names[FIELDS] = {
	[FIELD_SEQ] = "externalId", [FIELD_EVENT] = "cat",   [FIELD_INITIATOR] = "suser",
	[FIELD_TARGET] = "cs1",	    [FIELD_LUN] = "cs2",     [FIELD_RUN] = "cs3",
	[FIELD_COMMAND] = "cs4",    [FIELD_CDB] = "cs5",     [FIELD_LBA] = "cn1",
	[FIELD_BLOCKS] = "cn2",	    [FIELD_STATUS] = "cn3",  [FIELD_PEER_IP] = "src",
	[FIELD_PEER_PORT] = "spt",  [FIELD_VERDICT] = "act", [FIELD_REASON] = "reason",
	[FIELD_USER] = "duser",	    [FIELD_COUNT] = "cnt",   [FIELD_DETAIL] = "msg",
};

static bool is_labelled(const char *name)
{
	return strncmp(name, "cs", 2) == 0 || (strncmp(name, "cn", 2) == 0 && name[2] != 't');
}

/* " name=value"; an IPv6 address has a key of its own. */
static void cef_field(struct wr *w, enum field_id id, const struct field_values *v)
{
	char made[EXPORT_NAME_SIZE];
	const char *name = export_name(EXPORT_CEF, id, made);

	if (id == FIELD_PEER_IP && strchr(v->of[id].text, ':')) {
		name = "c6a2";
		export_printf(w, " c6a2Label=Source IPv6 Address");
	}
	if (is_labelled(name))
		export_printf(w, " %sLabel=%s", name, fields[id].name);
	wr_bytes(w, " ", 1);
	wr_bytes(w, name, strlen(name));
	wr_bytes(w, "=", 1);
	export_field(w, ESCAPE_CEF, v, id);
}

void export_cef(struct wr *w, const struct trail_record *r, const struct field_values *v)
{
	static const char *const outcomes[] = {"unknown", "success", "failure"};
	static const uint8_t severities[] = {10, 10, 9, 8, 6, 3, 1, 0}; /* by RFC 5424's */
	struct export_class class = export_class(r);

	export_printf(w, "CEF:0|Sallyport|sallyport|%s|", SALLYPORT_VERSION);
	export_put(w, ESCAPE_CEF_HEADER, audit_record_name(r));
	export_printf(w, "|%s|%u|rt=%llu", class.title, severities[class.severity & 7],
		      (unsigned long long)v->of[FIELD_TIME_NS].number / 1000000);
	export_printf(w, " app=iscsi outcome=%s", outcomes[class.outcome]);
	for (enum field_id id = 0; id < FIELDS; id++) {
		if (field_is_set(v, id))
			cef_field(w, id, v);
	}
}

/* --- syslog --------------------------------------------------------------------------------- */

#define FACILITY_AUDIT 13 /* RFC 5424 6.2.1: log audit */
#define NS_PER_S       1000000000ull

/* RFC 5424 6.2.3: six digits of a second at most. */
static void timestamp(struct wr *w, uint64_t ns)
{
	time_t s = (time_t)(ns / NS_PER_S);
	struct tm tm;
	char date[32];

	if (!gmtime_r(&s, &tm) || tm.tm_year > 9999 - 1900) {
		export_printf(w, "-");
		return;
	}
	(void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	export_printf(w, "%s.%06uZ", date, (unsigned)(ns % NS_PER_S / 1000));
}

/* The parameters of our structured data: what a filter on the way looks for. */
static const enum field_id parameters[] = {FIELD_SEQ,	  FIELD_KIND,	FIELD_EVENT,
					   FIELD_VERDICT, FIELD_REASON, FIELD_INITIATOR,
					   FIELD_TARGET,  FIELD_LUN,	FIELD_PEER_IP};

static void structured_data(struct wr *w, const struct field_values *v)
{
	/* RFC 5424 7.3.1: from 1 to 2147483647, then from 1 again. */
	uint64_t id = (v->of[FIELD_SEQ].number - 1) % INT32_MAX + 1;

	export_printf(w, "[meta sequenceId=\"%llu\"][sallyport@32473", (unsigned long long)id);
	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		enum field_id f = parameters[i];

		if (!field_is_set(v, f))
			continue;
		export_printf(w, " %s=\"", fields[f].name);
		export_field(w, ESCAPE_SYSLOG, v, f);
		export_printf(w, "\"");
	}
	export_printf(w, "]");
}

/* A message has no end of line of its own. */
static void line_without_end(struct wr *w, enum export_format format, const struct trail_record *r)
{
	export_line(w, format, r);
	if (!w->failed)
		w->p--;
}

void export_syslog(struct wr *w, enum export_format format, const struct trail_record *r,
		   const char *host)
{
	struct field_values v;

	fields_of(&v, r, true);
	export_printf(w, "<%u>1 ", FACILITY_AUDIT * 8 + export_class(r).severity);
	timestamp(w, r->frame.stamp.time_ns);
	export_printf(w, " %s sallyport - %s ", host, audit_record_name(r));
	structured_data(w, &v);
	wr_bytes(w, " ", 1);
	line_without_end(w, format, r);
}

/* --- the journal ---------------------------------------------------------------------------- */

static void upper_case(struct wr *w, const char *name)
{
	for (; *name; name++) {
		char c = (char)(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);

		wr_bytes(w, &c, 1);
	}
}

void export_journal(struct wr *w, enum export_format format, const struct trail_record *r)
{
	struct field_values v;

	fields_of(&v, r, true);
	export_printf(w, "PRIORITY=%u\nSYSLOG_FACILITY=%u\nSYSLOG_IDENTIFIER=sallyport\nMESSAGE=",
		      export_class(r).severity, FACILITY_AUDIT);
	line_without_end(w, format, r);
	for (enum field_id id = 0; id < FIELDS; id++) {
		if (!field_is_set(&v, id))
			continue;
		export_printf(w, "\nSALLYPORT_");
		upper_case(w, fields[id].name);
		wr_bytes(w, "=", 1);
		export_field(w, ESCAPE_TABLE, &v, id);
	}
	wr_bytes(w, "\n", 1);
}
