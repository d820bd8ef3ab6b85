/* Counts over the records of a trail, in one pass and in bounded memory: logins, refusals, who read
 * and wrote how much where and when, who is seen for the first time, and what is out of the
 * ordinary. Records come in order, those before the period first: they are the history that the
 * period is compared with. Knows no file, no clock and no output; the records are hostile. */
#pragma once

#include "gateway/audit/statistics_table.h"
#include "gateway/audit/trail.h"

#define STATISTICS_BUCKETS 256 /* of time, in the period */
#define STATISTICS_ROWS	   128 /* of blocks, in the map of a LUN */
#define STATISTICS_LISTED  200 /* events of a list that are kept; the others are counted */
#define STATISTICS_MAPS	   32  /* LUNs that have a map */

enum family { FAMILY_READ, FAMILY_WRITE, FAMILY_DISCARD, FAMILY_RESERVE, FAMILY_OTHER, FAMILIES };
#define FAMILIES_OF_BLOCKS 3 /* the first ones */

struct amounts {
	uint64_t commands, blocks, bytes;
};

/* What was not simply admitted. */
struct verdicts {
	uint64_t denied, refused, failed, not_executed, busy;
};

struct source_count {
	struct network source; /* an address; of IPv6, its /64 */
	uint64_t refused;      /* logins refused one by one */
	uint64_t connections;  /* connections refused before a login */
	uint64_t not_listed;   /* refusals that the trail has as a number only */
	uint64_t over;	       /* of the sum: so many at most belong to others that had its place */
	uint64_t logins, bans, decoys;
	uint64_t first_ns, last_ns;
	char reason[64];		 /* of the last refusal */
	char initiator[ISCSI_NAME_SIZE]; /* claimed in the last refusal, or logged in */
};

struct reason_count {
	char reason[64];
	uint64_t count;
};

struct initiator_count {
	char name[ISCSI_NAME_SIZE];
	uint64_t logins, discoveries, logouts;
	struct amounts amounts[FAMILIES];
	struct verdicts verdicts;
	uint64_t bytes[FAMILIES_OF_BLOCKS][STATISTICS_BUCKETS];
	/* its own history */
	uint64_t before_ns;	    /* its first record before the period; 0: none */
	uint32_t week[168];	    /* commands before the period, by hour of the week */
	uint64_t most[2];	    /* octets read and written on its busiest days */
	uint32_t days;		    /* with commands */
	uint64_t day, day_bytes[2]; /* the day that is counted now … */
	bool day_counts;	    /* … which is of the period */
	uint64_t day_ns, last_ns, last_sequence;
	uint64_t hour, hour_commands, hour_ns; /* an hour that it never had before */
};

/* What one initiator did to one LUN. */
struct access_count {
	struct access_key {
		char initiator[ISCSI_NAME_SIZE];
		char target[ISCSI_NAME_SIZE];
		uint32_t lun;
	} key;
	struct amounts amounts[FAMILIES];
	struct verdicts verdicts;
	uint64_t first_ns, last_ns;
	struct lun_count *on;
	/* reading it as a whole */
	uint64_t since_ns, next_lba, read_blocks, in_order;
	uint64_t regions[16]; /* a bit for each 1024th of the LUN */
	bool bulk_before;     /* it did before the period */
};

struct lun_watch; /* statistics_unusual.c */
struct lun_map {
	uint64_t row_blocks;							 /* blocks a row */
	uint64_t cells[STATISTICS_ROWS][STATISTICS_BUCKETS][FAMILIES_OF_BLOCKS]; /* blocks */
};

struct lun_count {
	struct lun_key {
		char target[ISCSI_NAME_SIZE];
		uint32_t lun;
	} key;
	char disk[64];
	uint32_t block_bytes; /* 0: the trail does not tell; 512 is taken */
	uint64_t blocks;      /* 0: likewise */
	bool full;	      /* it has no map: there are too many LUNs */
	struct lun_map *map;  /* NULL: untouched in the period */
	struct lun_watch *watch;
};

struct event_note {
	uint64_t time_ns, sequence, count;
	enum audit_event_kind kind;
	struct endpoint peer;
	char reason[64], user[64];
	char initiator[ISCSI_NAME_SIZE], target[ISCSI_NAME_SIZE];
	char detail[AUDIT_DETAIL_SIZE];
};

enum unusual_kind {
	UNUSUAL_INVALID,
	UNUSUAL_HOUR,	   /* value: commands in an hour of the week that it never had */
	UNUSUAL_READ,	   /* value: octets read in a day; usual: the most before */
	UNUSUAL_WRITTEN,   /* likewise */
	UNUSUAL_OVERWRITE, /* value: blocks overwritten; usual: those that the LUN has */
	UNUSUAL_REWRITE,   /* value: octets overwritten soon after they were read, once each */
	UNUSUAL_BULK_READ, /* value: blocks read, mostly in order; usual: those that the LUN has */
	UNUSUAL_ERASE,	   /* FORMAT UNIT or SANITIZE was admitted */
	UNUSUAL_KINDS
};

struct unusual_note {
	enum unusual_kind kind;
	uint64_t from_ns, time_ns, sequence; /* sequence: of the record that made it so */
	uint64_t value, usual;
	char initiator[ISCSI_NAME_SIZE], target[ISCSI_NAME_SIZE];
	uint32_t lun; /* NO_LUN: none */
};
#define NO_LUN UINT32_MAX

struct event_list {
	struct event_note notes[STATISTICS_LISTED];
	size_t count;
	uint64_t more;
};

enum statistics_list {
	LIST_POLICY,
	LIST_OPERATORS,
	LIST_NOT_ALLOWED, /* operators' commands from who may not */
	LIST_BANS,
	LIST_FIRST_SEEN, /* initiators, and addresses of initiators */
	LIST_GAPS,
	LIST_DISKS,    /* disks that failed, changed, were lost */
	LIST_SERVICES, /* starts, stops, helpers, the firewall's drift */
	LISTS
};

struct statistics {
	uint64_t since_ns, until_ns, bucket_ns;
	bool utc; /* hours and days are of UTC, not of the local zone */
	uint64_t records, first_sequence, last_sequence;
	uint64_t history_ns;	  /* time of the first record before the period; 0: none */
	uint64_t history_records; /* … and how many */
	uint64_t logins_ok, logins_joined, discoveries, logouts, sessions;
	uint64_t refused, refused_connections, refused_not_listed, bans, unbans, decoys;
	struct verdicts verdicts;
	struct amounts amounts[FAMILIES];
	uint64_t logins_at[STATISTICS_BUCKETS], refusals_at[STATISTICS_BUCKETS],
		connections_at[STATISTICS_BUCKETS];
	struct table reasons, sources, initiators, accesses, luns, known;
	struct event_list *lists[LISTS];
	struct unusual_note unusual[STATISTICS_LISTED];
	size_t unusual_count;
	uint64_t unusual_more;
	size_t maps; /* that were made */
	/* the last command and whom it is about */
	struct audit_record last;
	uint32_t last_connection;
	struct {
		uint64_t run;
		uint32_t connection, lun;
		struct initiator_count *by;
		struct access_count *access;
	} seen[256];
	struct {
		uint64_t quarter, day;
		unsigned hour; /* of the week */
	} calendar;
};

/* since_ns 0: from the first record on. until_ns: exclusive, and later than since_ns. */
struct statistics *statistics_open(uint64_t since_ns, uint64_t until_ns,
				   bool utc); /* NULL: memory */
void statistics_add(struct statistics *s, const struct trail_record *r);
/* After the last record: what was begun is judged, and the tables are in order, the most first.
 * Nothing can be added any more. */
void statistics_end(struct statistics *s);
void statistics_close(struct statistics *s);

#define OWNED_STATISTICS OWNED_BY(statistics_close_owned) struct statistics *
static inline void statistics_close_owned(struct statistics **s)
{
	statistics_close(*s);
}

/* "read", "write", "discard", "reserve", "other". */
const char *family_name(enum family family);
/* Has it a history that hours and volumes are compared with? */
bool unusual_compares(const struct statistics *s, const struct initiator_count *by);
const char *unusual_name(enum unusual_kind kind); /* "unusual-hour", … */
/* A sentence about it; the peers' names in it are not escaped. */
const char *unusual_text(const struct unusual_note *n, char *ret, size_t size);
/* "1.2 GiB" */
const char *bytes_text(uint64_t bytes, char ret[16]);
/* Refusals of a source, of all kinds; octets read, written and discarded. */
uint64_t source_sum(const struct source_count *source);
uint64_t amounts_bytes(const struct amounts amounts[FAMILIES]);
/* Did anything happen in the period? What only has a history did not. */
bool initiator_counts(const struct initiator_count *by);
bool access_counts(const struct access_count *access);
/* Of a time in the period; what is outside is at its ends. */
size_t statistics_bucket(const struct statistics *s, uint64_t time_ns);
