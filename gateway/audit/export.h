/* The forms in which records leave the trail: pure functions, a record in, text out. What each form
 * calls a field stands in a table of its own; what such a form wants to know beyond the fields
 * (its class, how severe it is) stands in export_class.c. */
#pragma once

#include "gateway/audit/escape.h"
#include "gateway/audit/fields.h"
#include "gateway/base/bytes.h"

#define EXPORT_ECS_VERSION  "8.17.0"
#define EXPORT_OCSF_VERSION "1.3.0"

enum export_format {
	EXPORT_INVALID,
	EXPORT_JSONL,
	EXPORT_CSV,
	EXPORT_ECS,
	EXPORT_OCSF,
	EXPORT_CEF,
	EXPORT_SQLITE,
	EXPORT_FORMATS
};

/* No record is longer in any form, whatever its texts are. */
#define EXPORT_TEXT_MAX (32u << 10)

/* "jsonl"; EXPORT_INVALID: none of them. */
enum export_format export_format_by_name(const char *name);
const char *export_format_name(enum export_format format);

/* A line with its end. Not for EXPORT_SQLITE. */
void export_line(struct wr *w, enum export_format format, const struct trail_record *r);
/* What a file of this form begins with. */
void export_head(struct wr *w, enum export_format format);

/* Where a form has this field: "event.sequence", "unmapped.cdb", "cs1". */
#define EXPORT_NAME_SIZE 48
const char *export_name(enum export_format format, enum field_id id, char ret[EXPORT_NAME_SIZE]);

/* Text as the one escaper leaves it for this form. */
void export_put(struct wr *w, enum escape_form form, const char *text);
/* A field that is a text; its own octets, where we made it. */
void export_field(struct wr *w, enum escape_form form, const struct field_values *v,
		  enum field_id id);
void export_number(struct wr *w, uint64_t number);
void export_printf(struct wr *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The forms. Names that a form has of its own for a field, NULL for those that it has not. */
extern const char *const ecs_names[FIELDS], *const ocsf_names[FIELDS], *const cef_names[FIELDS];
void export_jsonl(struct wr *w, const struct trail_record *r, bool utc);
void export_csv(struct wr *w, const struct field_values *v);
void export_ecs(struct wr *w, const struct trail_record *r, const struct field_values *v);
void export_ocsf(struct wr *w, const struct trail_record *r, const struct field_values *v);
void export_cef(struct wr *w, const struct trail_record *r, const struct field_values *v);

/* --- what a record is about --------------------------------------------------------------- */

enum export_outcome { OUTCOME_UNKNOWN, OUTCOME_SUCCESS, OUTCOME_FAILURE };

enum ocsf_class {
	OCSF_BASE_EVENT = 0,
	OCSF_FINDING = 2004,
	OCSF_AUTHENTICATION = 3002,
	OCSF_NETWORK = 4001,
	OCSF_LIFECYCLE = 6002,
	OCSF_API = 6003,
	OCSF_DATASTORE = 6005,
};

/* OCSF's classes and ECS's categories have no word for a block command: see the manual for why
 * these were chosen. */
struct export_class {
	const char *title;
	enum export_outcome outcome;
	uint8_t severity; /* RFC 5424's */
	const char *ecs_kind;
	const char *ecs_category[2], *ecs_type[2];
	uint16_t ocsf_class;
	uint8_t ocsf_activity;
};

struct export_class export_class(const struct trail_record *r);

/* --- one record as a message ---------------------------------------------------------------- */

/* RFC 5424, its MSG in this form, without a frame. */
void export_syslog(struct wr *w, enum export_format format, const struct trail_record *r,
		   const char *host);
/* A datagram of the journal's own protocol. */
void export_journal(struct wr *w, enum export_format format, const struct trail_record *r);
