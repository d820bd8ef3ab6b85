/* What the statistics of a trail tell, as one JSON document: `audit summary --json` prints it, the
 * page of `audit report` has it inside. Field names stay, and tell their units. */
#pragma once

#include <stdio.h>
#include "gateway/audit/escape.h"
#include "gateway/audit/statistics.h"
#include "gateway/cli/audit_review.h"
#include "gateway/cli/audit_verify.h"

/* What the verification of the trail said. Never guessed: what was not asked is "not-verified". */
struct proof {
	const char *state;	/* "not-verified", "ok", "gaps", "damaged", "end-not-proven" */
	char text[512];		/* a sentence or two */
	char findings[20][400]; /* raw: peers' or anybody's texts may be in it */
	size_t count;
	uint64_t more;
	int status; /* of audit verify */
};

/* A review that counts: `audit summary` and `audit report` begin alike. */
struct gathering {
	struct review review;
	struct statistics *s;
	struct proof proof;
	bool verifies;		    /* gathering_read() begins with the verification */
	struct verify_given *given; /* keys and checkpoints for it, open; or NULL */
	const char *period;	    /* as it was asked for: "today" */
	uint64_t since_ns, until_ns, now_ns;
};

#define OWNED_GATHERING OWNED_BY(gathering_close) struct gathering

/* Takes the options and the period: EXIT_DONE, or an exit status, said. The process is not confined
 * yet: files of its own can be opened. */
int gathering_begin(struct gathering *g, const struct cli *cli) MUST_CHECK;
/* Reads the trail. Likewise; damaged spots are told and counted, and no reason to stop. */
int gathering_read(struct gathering *g) MUST_CHECK;
/* The verification of the whole trail, into g->proof (audit_proof.c). EXIT_DONE, or an exit status,
 * said: it could not be done. Whatever it finds is no reason to stop. */
int proof_find(struct gathering *g) MUST_CHECK;
/* The exit status at the end: of the verification, if there was one; of what could not be read. */
int gathering_verdict(const struct gathering *g);
void gathering_close(struct gathering *g);

void facts_write(FILE *f, const struct gathering *g);
/* The text of `audit summary`, with `top` lines of each list. */
void summary_print(FILE *f, enum escape_form form, const struct gathering *g, size_t top);

/* The command that tells the same again, for a shell; "" when it is too long. */
const char *gathering_command(const struct gathering *g, char *ret, size_t size);
