/* The verdict of the verification, for the head of a summary and a report: by the library of `audit
 * verify`, over the whole trail, with the keys and checkpoints from elsewhere that the report was
 * given. Names of files and details are of anybody's making; whoever prints escapes them. */
#include <inttypes.h>
#include "gateway/audit/verify.h"
#include "gateway/cli/audit_facts.h"

static const struct {
	const char *state, *text;
	int status;
} verdicts[VERIFY_CLASSES] = {
	[VERIFY_CLASS_INVALID] = {"ok", "The trail is as it was written", EXIT_DONE},
	[VERIFY_SAID] = {"ok", "The trail is as it was written", EXIT_DONE},
	[VERIFY_GAP] = {"gaps",
			"Records were lost, as the trail itself says; the rest is as it was "
			"written",
			EXIT_GAPS},
	[VERIFY_OPEN] = {"end-not-proven",
			 "What is there is as it was written; whether its end is "
			 "missing can't be told",
			 EXIT_TAIL},
	[VERIFY_DAMAGED] = {"damaged", "The trail is not as it was written", EXIT_DAMAGED},
	[VERIFY_FORGED] = {"damaged", "The trail was changed by somebody", EXIT_DAMAGED},
};

static const char *const ends[] = {
	[VERIFY_END_INVALID] = "nothing proves its end",
	[VERIFY_END_NONE] = "nothing proves its end",
	[VERIFY_END_STOP] = "it ends with the signed record of a stop",
	[VERIFY_END_LIVE] = "it ends where the running gateway says",
	[VERIFY_END_OUTSIDE] = "outside checkpoints reach its end",
};

/* A finding in a line: what, where, what it means. */
static void found(void *arg, const struct verify_finding *v)
{
	struct proof *p = arg;
	const struct verify_words *w = verify_words(v->kind);
	char octet[40] = "", block[40] = "", record[64] = "";

	if (p->count == ARRAY_LEN(p->findings)) {
		p->more++;
		return;
	}
	if (v->has_place)
		(void)snprintf(octet, sizeof octet, ", octet %" PRIu64, v->offset);
	if (v->has_block)
		(void)snprintf(block, sizeof block, ", block %" PRIu64, v->block);
	if (v->sequence)
		(void)snprintf(record, sizeof record, ", records %" PRIu64 " to %" PRIu64,
			       v->sequence, v->last_sequence);
	(void)snprintf(p->findings[p->count++], sizeof p->findings[0], "%s: %s%s%s%s: %s", w->name,
		       v->file[0] ? v->file : "trail", octet, block, record, w->means);
}

static bool stopped(void *arg)
{
	(void)arg;
	return review_interrupted();
}

static bool is_signed(const struct verify_result *r)
{
	for (size_t k = 0; k < AUDIT_LOGS; k++) {
		if (r->logs[k].signed_end < r->logs[k].blocks.end)
			return false;
	}
	return true;
}

/* Blocks whose seals a key proved. */
static uint64_t sealed(const struct verify_result *r)
{
	uint64_t blocks = 0;

	for (size_t k = 0; k < AUDIT_LOGS; k++) {
		for (size_t i = 0; i < r->logs[k].sealed_count; i++)
			blocks += r->logs[k].sealed[i].end - r->logs[k].sealed[i].first;
	}
	return blocks;
}

/* What was proven by things that are kept elsewhere, and what was not. */
static void tell_given(struct proof *p, const struct verify_given *g, const struct verify_result *r)
{
	bool keys = g && g->key_count > 0, notes = g && g->note_count > 0;
	bool bound = r->logs[0].outside_end + r->logs[1].outside_end > 0;
	size_t used = strlen(p->text);
	char seals[80] = "";

	if (sealed(r) > 0)
		(void)snprintf(seals, sizeof seals,
			       " The seals of %" PRIu64 " blocks are right, by the key.",
			       sealed(r));
	else if (keys)
		(void)string_copy(seals, sizeof seals, " The key is of no epoch that is there.");
	(void)snprintf(p->text + used, sizeof p->text - used, "%s%s%s%s", seals,
		       !notes  ? ""
		       : bound ? " Checkpoints from outside bind it."
			       : " No checkpoint from outside binds it.",
		       !r->signer_known		  ? ""
		       : g && g->signer_count > 0 ? " Its signer is the one that was given."
						  : " Its signer is the running gateway's.",
		       keys && notes ? ""
		       : keys	     ? " Outside checkpoints were not asked."
		       : notes	     ? " Verification keys were not asked."
			       : " Verification keys and outside checkpoints were not asked.");
}

static void tell(struct proof *p, const struct verify_given *g, const struct verify_result *r)
{
	uint64_t blocks = 0, records = 0;

	for (size_t k = 0; k < AUDIT_LOGS; k++) {
		blocks += r->logs[k].blocks.end - r->logs[k].blocks.first;
		records += r->logs[k].records;
	}
	p->state = verdicts[r->worst].state;
	p->status = verdicts[r->worst].status;
	if (r->worst >= VERIFY_DAMAGED) {
		(void)snprintf(p->text, sizeof p->text,
			       "%s. Of %" PRIu64 " records in %" PRIu64
			       " blocks, these are not right:",
			       verdicts[r->worst].text, records, blocks);
		return;
	}
	(void)snprintf(p->text, sizeof p->text,
		       "%s: %" PRIu64 " records in %" PRIu64 " blocks, the chain of all of "
		       "them%s; %s.",
		       verdicts[r->worst].text, records, blocks,
		       is_signed(r) ? " and the signatures over them" : "", ends[r->end]);
	tell_given(p, g, r);
}

/* EXIT_DONE or an exit status, said. What was given came from elsewhere: read when confined. */
static int take_given(const struct gathering *g, struct verify_asked *asked)
{
	int status = g->given ? given_read(g->given) : EXIT_DONE;

	if (!g->given || status != EXIT_DONE)
		return status;
	asked->keys = g->given->keys;
	asked->key_count = g->given->key_count;
	asked->notes = g->given->notes;
	asked->note_count = g->given->note_count;
	asked->signers = (const uint8_t(*)[SIGNER_KEY_SIZE])g->given->signers;
	asked->signer_count = g->given->signer_count;
	return EXIT_DONE;
}

int proof_find(struct gathering *g)
{
	struct verify_asked asked = {
		.live_sequence = g->review.flushed ? g->review.durable : 0,
		.live = g->review.flushed && g->review.said ? &g->review.now : NULL,
		.found = found,
		.stop = stopped,
		.arg = &g->proof,
	};
	struct verify_result *r;
	int e = take_given(g, &asked);

	if (e != EXIT_DONE)
		return e;
	r = calloc(1, sizeof *r);
	e = r ? verify_trail(g->review.folder_fd, &asked, r) : -ENOMEM;
	if (e == 0 && !r->interrupted)
		tell(&g->proof, g->given, r);
	else
		(void)cli_cannot(g->review.cli, "the trail could not be verified: %s",
				 e < 0 ? strerror(-e) : "interrupted");
	e = e < 0 || r->interrupted ? EXIT_CANNOT : EXIT_DONE;
	free(r);
	return e;
}
