/* What the verbs of `sallyport audit` share: the filter's options, opening the folder, the sandbox,
 * telling of damage, and the end. A verb is a file audit_VERB.c with a struct subcommand of its
 * own; it is declared below and has a row in audit.c. Its run():
 *
 *	OWNED_REVIEW r = {0};
 *	int status = review_begin(&r, cli);    options; then it may open files of its own
 *
 *	if (status == EXIT_DONE)
 *		status = review_open(&r);      from here on it can open nothing else
 *	return status ? status : review_verdict(&r, review_each(&r, visit, &own));
 */
#pragma once

#include "gateway/audit/verify.h"
#include "gateway/cli/audit_print.h"
#include "gateway/cli/cli.h"

extern const struct subcommand audit_show;
extern const struct subcommand audit_summary;
extern const struct subcommand audit_report;
extern const struct subcommand audit_tail;
extern const struct subcommand audit_last_writer;
extern const struct subcommand audit_first_seen;
extern const struct subcommand audit_compare;
extern const struct subcommand audit_verify;
extern const struct subcommand audit_export;
extern const struct subcommand audit_key;
extern const struct subcommand audit_files;

/* Of every verb that looks at records one by one. review_begin() reads them. */
extern const struct cli_option audit_filter_options[];
/* Of those that look at who and when alone; likewise. */
extern const struct cli_option audit_who_options[];
/* --csv alone; or put AUDIT_CSV among the verb's own. */
extern const struct cli_option audit_csv_option[];
#define AUDIT_CSV                                          \
	{                                                  \
		"--csv", NULL, "CSV, with a line of names" \
	}

struct review {
	const struct cli *cli;
	struct audit_filter filter; /* what the options said */
	struct audit_print print;
	struct trail *trail;
	int folder_fd; /* the audit folder */
	bool all;      /* blocks of before --since are read, too */
	/* Set by a verb that does not look at what the filter leaves out: blocks without any record
	 * that matches are passed over; or without a command that does one of these deeds. */
	bool skips;
	uint32_t skips_deeds;
	bool live;    /* the verb follows the trail: nothing need be flushed first */
	bool flushed; /* a running gateway says that all up to record `durable` is on the disk */
	uint64_t durable;
	bool said; /* … and what is there by then: */
	struct verify_live now;
	struct lba_range *ranges;     /* of the filter, when --lba gave them; freed at the end */
	char target[ISCSI_NAME_SIZE]; /* of the filter, when --file found it */
	uint64_t damages;
	bool any; /* a record was read, whether it matched or not */
};

#define OWNED_REVIEW OWNED_BY(review_close) struct review

/* Takes the options. EXIT_DONE, or an exit status: what is wrong was said. */
int review_begin(struct review *r, const struct cli *cli) MUST_CHECK;
/* A running gateway is asked to flush, the folder is opened, the process confined to reading below
 * it, the trail begun. Likewise. */
int review_open(struct review *r) MUST_CHECK;
/* The same for those that have no trail_next() in mind: without the trail. */
int review_open_folder(struct review *r) MUST_CHECK;
/* Each record that matches, in order, up to what there is now. The visitor returns 0 to go on, 1 to
 * end, or -errno. Returns 0 or -errno; ends early when interrupted. */
typedef int (*review_visitor)(void *arg, const struct trail_record *record);
int review_each(struct review *r, review_visitor visit, void *arg) MUST_CHECK;
/* Ctrl-C or SIGTERM came. */
bool review_interrupted(void);
/* The folder was deleted: nothing comes in it any more. */
bool review_is_gone(const struct review *r);
/* Says so. Returns EXIT_CANNOT. */
int review_tell_gone(const struct review *r);
/* The exit status for 0 or -errno; says what was damaged, and why output or input failed. */
int review_verdict(const struct review *r, int error);
void review_close(struct review *r);

/* Filter options into r->filter (audit_filters.c). EXIT_DONE or EXIT_USAGE. */
int review_filter(struct review *r);
/* One more option that takes a time; without the option *ret_ns stays. */
int review_time(const struct review *r, const char *option, uint64_t *ret_ns);
