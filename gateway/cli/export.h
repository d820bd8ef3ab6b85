/* `sallyport audit export`: two processes and a pipe between them. The reader is confined to the
 * audit folder and has no network; it parses hostile files and makes text of their records. The
 * writer never sees the audit folder; it writes the text to a file, a database or a socket, and
 * notes how far it came. Items cross the pipe: text and the position behind it. */
#pragma once

#include <limits.h>
#include <sys/socket.h>
#include "gateway/audit/export.h"
#include "gateway/cli/audit_review.h"

/* Behind a record. All zero: before the first one. */
struct export_position {
	uint64_t next;	  /* sequence of the record that comes then */
	uint64_t time_ns; /* of the record before it, by which it is known again */
	uint64_t run;
	uint8_t trail[TRAIL_ID_SIZE]; /* zeros: not known */
};

enum export_way { WAY_INVALID, WAY_STREAM, WAY_DATABASE, WAY_SYSLOG, WAY_JOURNAL };

#define EXPORT_NAME_MAX 64

/* What the options said. */
struct export_plan {
	const struct cli *cli;
	enum export_format format;
	enum export_way way;
	bool follow;
	const char *name;     /* of the checkpoint, or NULL */
	const char *output;   /* a file's path, or NULL: stdout */
	const char *to;	      /* as given, or NULL */
	char place[PATH_MAX]; /* the file's whole path, or where else it goes */
	struct sockaddr_storage address;
	socklen_t address_len;
	bool tcp;
	struct export_position from;
	uint64_t octets; /* that the output has up to there */
	bool resumed;	 /* the checkpoint is of this very output */
	int output_fd;
	int exports_fd; /* the folder of the checkpoints, or -1 */
	int lock_fd;	/* that no other export has this name, or -1 */
};

/* --- the pipe --- */

enum export_item_kind {
	ITEM_INVALID,
	ITEM_RECORDS, /* text, or one message, or one row */
	ITEM_NOW,     /* there are no more records for now */
	ITEM_END,     /* the reader is done: `status` */
};

struct export_item {
	uint32_t kind;
	uint32_t octets; /* that follow */
	uint32_t status;
	uint32_t records;
	struct export_position after;
};

#define EXPORT_ITEM_MAX	   (256u << 10)
#define EXPORT_MESSAGE_MAX (2 * EXPORT_TEXT_MAX)

/* The writer's end. */
struct export_pipe {
	int fd;
	bool over; /* the reader closed it */
	size_t at, len;
	uint8_t bytes[sizeof(struct export_item) + EXPORT_ITEM_MAX];
};

/* Reads what is there, waiting when nothing is and the descriptor blocks. 0 or -errno. */
int export_pipe_fill(struct export_pipe *p) MUST_CHECK;
/* 1: the next item and its text, which stays until the next call; 0: not whole yet; -EPROTO. */
int export_pipe_next(struct export_pipe *p, struct export_item *ret_item,
		     const uint8_t **ret_text) MUST_CHECK;

/* Each item to `take`, which returns 0, 1: it was the last one, or -errno; until then, the end of
 * the pipe (0), or a signal (0). */
typedef int (*export_taker)(void *arg, const struct export_item *item, const uint8_t *text);
int export_pipe_run(struct export_pipe *p, export_taker take, void *arg) MUST_CHECK;

/* --- the processes --- */

/* The reader: returns the exit status, which it has sent, too. */
int export_read(const struct export_plan *plan, struct review *r, int pipe_fd);

/* The writers. They return an exit status when they are done; of a reader that ended, its own. */
int export_to_stream(struct export_plan *plan, struct export_pipe *p);
int export_to_database(struct export_plan *plan, struct export_pipe *p);
int export_to_socket(struct export_plan *plan, struct export_pipe *p);
/* Before anything else: opens the output of either. An exit status. */
int export_stream_open(struct export_plan *plan) MUST_CHECK;
int export_database_open(struct export_plan *plan) MUST_CHECK;
/* "syslog:tcp:HOST:PORT", … into the plan; asks for the host's address. An exit status. */
int export_destination(struct export_plan *plan) MUST_CHECK;
/* Confines the writer: no files but those below `folder_fd` (-1: none). An exit status. */
int export_confine(const struct export_plan *plan, int folder_fd) MUST_CHECK;
/* SIGINT or SIGTERM came: end at the next record. */
bool export_stopped(void);

/* A row of the database, as it crosses the pipe. */
void export_row_put(struct wr *w, const struct trail_record *r);
struct export_row {
	uint64_t set, number[FIELDS];
	const char *text[FIELDS]; /* not NUL-ended */
	size_t len[FIELDS];
};
bool export_row_get(const uint8_t *bytes, size_t len, struct export_row *ret_row);

/* --- checkpoints --- */

bool export_name_ok(const char *name);
/* Takes the plan's checkpoint: its lock, and where it stands. An exit status. */
int export_checkpoint_take(struct export_plan *plan) MUST_CHECK;
/* Notes that all up to `after` is safe in `octets` of the output. 0 or -errno. */
int export_checkpoint_put(const struct export_plan *plan, const struct export_position *after,
			  uint64_t octets) MUST_CHECK;
