/* A record of the trail as named values: the one list of the names that every form of output uses,
 * with their units. Texts are the peers' and raw: whoever prints them escapes them. */
#pragma once

#include "gateway/audit/filter.h"
#include "gateway/base/when.h"

/* In the order in which they are printed. */
enum field_id {
	FIELD_SEQ,
	FIELD_TIME,
	FIELD_TIME_NS,
	FIELD_MONO_NS,
	FIELD_RUN,
	FIELD_KIND,
	FIELD_EVENT,
	FIELD_CONNECTION,
	FIELD_INITIATOR,
	FIELD_TARGET,
	FIELD_PEER_IP,
	FIELD_PEER_PORT,
	FIELD_COMMAND,
	FIELD_CDB,
	FIELD_CDB_BYTES,
	FIELD_LUN,
	FIELD_RESERVATION_KEY,
	FIELD_LBA,
	FIELD_BLOCKS,
	FIELD_SOURCE,
	FIELD_TASK_TAG,
	FIELD_VERDICT,
	FIELD_RULE_LINE,
	FIELD_STATUS,
	FIELD_SENSE_KEY,
	FIELD_ASC,
	FIELD_ASCQ,
	FIELD_LATENCY_US,
	FIELD_RING_INDEX,
	FIELD_SESSION_TIME_NS,
	FIELD_EVENT_ID,
	FIELD_REASON,
	FIELD_USER,
	FIELD_PORTAL,
	FIELD_ALGORITHM,
	FIELD_POLICY_LINE,
	FIELD_COUNT,
	FIELD_DETAIL,
	FIELD_EVENT_TIME_NS,
	FIELDS
};

enum field_type { FIELD_INVALID, FIELD_NUMBER, FIELD_TEXT };

struct field {
	const char *name;
	enum field_type type;
	bool hostile;	  /* a peer wrote it, or could have */
	const char *help; /* one line, for the manual */
};

extern const struct field fields[FIELDS];

struct field_value {
	uint64_t number;
	const char *text; /* into the record, or into `made` */
};

/* What one record has. `set` has bit FIELD_…; a value that is not set is not there: it isn't 0. */
struct field_values {
	uint64_t set;
	struct field_value of[FIELDS];
	struct {
		char time[WHEN_TEXT], run[24], ip[ADDRESS_TEXT], command[64], cdb[65], key[20];
	} made;
};
_Static_assert(FIELDS <= 64, "a bit each");

static inline bool field_is_set(const struct field_values *v, enum field_id id)
{
	return v->set >> id & 1;
}

/* "WRITE(10)", "a3h/1fh" for a CDB that has no name here, "" for none. */
const char *record_command_text(const struct audit_record *c, char *ret, size_t size);
/* A reservation key, of which the record tells instead of blocks. */
bool record_command_key(const struct audit_record *c, uint64_t *ret_key);

/* Valid as long as `r` is. `utc`: FIELD_TIME in UTC, or in the local zone. */
void fields_of(struct field_values *ret, const struct trail_record *r, bool utc);
