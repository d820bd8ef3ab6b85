/* What kind of thing a record tells of, in the words of the common schemas: one row a kind.
 * ECS's values and which of its types belong to which category are those of its version 8.17,
 * OCSF's classes and activities those of 1.3.0. */
#include "gateway/audit/export.h"
#include "gateway/scsi/command_names.h"

enum { ERROR = 3, WARNING = 4, NOTICE = 5, INFO = 6 }; /* RFC 5424 6.2.1 */

/* Activities of each of OCSF's classes. */
enum { FINDING_CREATE = 1, FINDING_CLOSE = 3 };
enum { LOGON = 1, LOGOFF = 2 };
enum { NETWORK_REFUSE = 5 };
enum { OTHER = 99 };
enum { STARTED = 3, STOPPED = 4 };
enum { API_UPDATE = 3 };
enum { DATA_READ = 1, DATA_UPDATE, DATA_CONNECT, DATA_QUERY, DATA_WRITE, DATA_DELETE = 7 };

#define AUTH	"authentication"
#define SESSION "session"

static const struct export_class events[EVENT_KINDS] = {
	[EVENT_START] = {"Gateway started",
			 OUTCOME_SUCCESS,
			 NOTICE,
			 "event",
			 {"process"},
			 {"start"},
			 OCSF_LIFECYCLE,
			 STARTED},
	[EVENT_STOP] = {"Gateway stopped",
			OUTCOME_SUCCESS,
			NOTICE,
			"event",
			{"process"},
			{"end"},
			OCSF_LIFECYCLE,
			STOPPED},
	[EVENT_POLICY] = {"Policy loaded",
			  OUTCOME_SUCCESS,
			  NOTICE,
			  "event",
			  {"configuration"},
			  {"change"},
			  OCSF_API,
			  API_UPDATE},
	[EVENT_CONNECTION] = {"Connection refused",
			      OUTCOME_FAILURE,
			      WARNING,
			      "event",
			      {"network"},
			      {"connection", "denied"},
			      OCSF_NETWORK,
			      NETWORK_REFUSE},
	[EVENT_LOGIN] = {"Login",
			 OUTCOME_SUCCESS,
			 INFO,
			 "event",
			 {AUTH, SESSION},
			 {"start"},
			 OCSF_AUTHENTICATION,
			 LOGON},
	[EVENT_REFUSAL] = {"Login refused",
			   OUTCOME_FAILURE,
			   WARNING,
			   "event",
			   {AUTH},
			   {"start"},
			   OCSF_AUTHENTICATION,
			   LOGON},
	[EVENT_REFUSALS_COUNTED] = {"More logins refused",
				    OUTCOME_FAILURE,
				    WARNING,
				    "event",
				    {AUTH},
				    {"start"},
				    OCSF_AUTHENTICATION,
				    LOGON},
	[EVENT_DISCOVERY] = {"Discovery",
			     OUTCOME_SUCCESS,
			     INFO,
			     "event",
			     {AUTH, SESSION},
			     {"start"},
			     OCSF_AUTHENTICATION,
			     LOGON},
	[EVENT_LOGOUT] = {"Logout",
			  OUTCOME_SUCCESS,
			  INFO,
			  "event",
			  {SESSION},
			  {"end"},
			  OCSF_AUTHENTICATION,
			  LOGOFF},
	[EVENT_BAN] = {"Source banned",
		       OUTCOME_SUCCESS,
		       WARNING,
		       "alert",
		       {"intrusion_detection", "network"},
		       {"denied"},
		       OCSF_FINDING,
		       FINDING_CREATE},
	[EVENT_UNBAN] = {"Ban ended",
			 OUTCOME_SUCCESS,
			 NOTICE,
			 "event",
			 {"intrusion_detection", "network"},
			 {"info"},
			 OCSF_FINDING,
			 FINDING_CLOSE},
	[EVENT_HELPER] = {"Helper process",
			  OUTCOME_UNKNOWN,
			  WARNING,
			  "event",
			  {"process"},
			  {"info"},
			  OCSF_LIFECYCLE,
			  OTHER},
	[EVENT_DISK] = {"Disk",
			OUTCOME_UNKNOWN,
			WARNING,
			"event",
			{"host"},
			{"info"},
			OCSF_BASE_EVENT,
			OTHER},
	[EVENT_OPERATOR] = {"Operator command",
			    OUTCOME_UNKNOWN,
			    NOTICE,
			    "event",
			    {"configuration"},
			    {"change"},
			    OCSF_API,
			    OTHER},
	[EVENT_FIREWALL] = {"Firewall",
			    OUTCOME_UNKNOWN,
			    NOTICE,
			    "event",
			    {"configuration"},
			    {"change"},
			    OCSF_BASE_EVENT,
			    OTHER},
	[EVENT_GAP] = {"Gap in the trail",
		       OUTCOME_FAILURE,
		       ERROR,
		       "event",
		       {"host"},
		       {"info"},
		       OCSF_BASE_EVENT,
		       OTHER},
	[EVENT_DECOY] = {"Decoy touched",
			 OUTCOME_FAILURE,
			 ERROR,
			 "alert",
			 {"intrusion_detection", AUTH},
			 {"denied", "start"},
			 OCSF_FINDING,
			 FINDING_CREATE},
	[EVENT_RETENTION] = {"Retention",
			     OUTCOME_SUCCESS,
			     NOTICE,
			     "event",
			     {"host"},
			     {"deletion"},
			     OCSF_BASE_EVENT,
			     OTHER},
	[EVENT_SPACE] = {"Room for the trail",
			 OUTCOME_UNKNOWN,
			 WARNING,
			 "event",
			 {"host"},
			 {"info"},
			 OCSF_BASE_EVENT,
			 OTHER},
};

static const struct export_class session_opened = {"Session opened", OUTCOME_SUCCESS, INFO,
						   "event",	     {SESSION},	      {"start"},
						   OCSF_DATASTORE,   DATA_CONNECT};
static const struct export_class run_over = {"Run ended", OUTCOME_SUCCESS, NOTICE,	   "event",
					     {"process"}, {"end"},	   OCSF_LIFECYCLE, STOPPED};
static const struct export_class unknown = {"Record", OUTCOME_UNKNOWN, NOTICE,		"event",
					    {"host"}, {"info"},	       OCSF_BASE_EVENT, OTHER};

/* By what the command touches; the first bit that it has decides. */
static const struct {
	const char *title, *ecs_type;
	uint32_t touches;
	uint8_t activity;
} accesses[] = {
	{"Discard", "change", TOUCHES_DISCARD, DATA_DELETE},
	{"Write", "change", TOUCHES_WRITE, DATA_WRITE},
	{"Read", "access", TOUCHES_READ, DATA_READ},
	{"Reservation", "change", TOUCHES_RESERVATION, DATA_UPDATE},
	{"Control", "change", TOUCHES_CONTROL, DATA_UPDATE},
	{"Identification", "info", TOUCHES_NOTHING, DATA_QUERY},
};

/* How an admitted command ended is for its outcome record to say. */
static enum export_outcome outcome_of(const struct audit_record *c)
{
	if (c->verdict == VERDICT_DONE)
		return OUTCOME_SUCCESS;
	return c->verdict == VERDICT_ADMITTED ? OUTCOME_UNKNOWN : OUTCOME_FAILURE;
}

/* The common schemas have no class for blocks of a disk; a store of data is the nearest. */
static struct export_class command_class(const struct audit_record *c)
{
	const struct command_name *name =
		c->kind == AUDIT_TASK || c->kind == AUDIT_LIST
			? NULL
			: command_name_find(c->cdb, MIN((size_t)c->cdb_len, sizeof c->cdb));
	struct export_class class = {"Command",	   outcome_of(c), INFO,		  "event",
				     {"database"}, {"info"},	  OCSF_DATASTORE, OTHER};

	for (size_t i = 0; name && i < ARRAY_LEN(accesses); i++) {
		if (!(name->touches & accesses[i].touches))
			continue;
		class.title = accesses[i].title;
		class.ecs_type[0] = accesses[i].ecs_type;
		class.ocsf_activity = accesses[i].activity;
		break;
	}
	if (class.outcome == OUTCOME_FAILURE)
		class.severity = NOTICE;
	if (c->verdict != VERDICT_DENIED)
		return class;
	class.severity = WARNING; /* ECS has the type "denied" in "network", not in "database" */
	class.ecs_category[1] = "network";
	class.ecs_type[1] = "denied";
	return class;
}

struct export_class export_class(const struct trail_record *r)
{
	switch (r->frame.type) {
	case FRAME_COMMAND:
		return command_class(&r->frame.command);
	case FRAME_EVENT:
		if (r->frame.event.kind < EVENT_KINDS && events[r->frame.event.kind].title)
			return events[r->frame.event.kind];
		return unknown;
	case FRAME_SESSION:
		return session_opened;
	case FRAME_END:
		return run_over;
	default:
		return unknown;
	}
}
