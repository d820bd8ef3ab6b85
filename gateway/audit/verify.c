/* Verification of the whole trail: starts the walks over both logs, gathers what they find, and
 * draws the conclusion. Runs in the review, locked down; the folder is hostile. */
#include "gateway/audit/verify_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <sodium.h>

#define PROGRESS_OCTETS (8u << 20)

struct verify_finding verify_at(const struct verify_log *l, enum verify_kind kind)
{
	struct verify_finding f = {.kind = kind, .log = l->log};

	(void)verify_segment_name(l, f.file);
	return f;
}

void verify_text(struct verify_finding *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(f->text, sizeof f->text, fmt, args);
	va_end(args);
}

void verify_found(struct verify *v, const struct verify_finding *f)
{
	enum verify_class class = verify_words(f->kind)->class;

	v->result->counts[class]++;
	v->result->worst = MAX(v->result->worst, class);
	if (v->told[f->kind]++ < VERIFY_TOLD_MAX) /* one cause can have millions */
		v->asked->found(v->asked->arg, f);
}

void verify_cut(struct verify *v, uint64_t run, const struct verify_finding *f)
{
	if (v->cut_count == VERIFY_CUTS) { /* never of a gateway's making */
		verify_found(v, f);
		return;
	}
	v->cuts[v->cut_count++] = (struct verify_cut){
		.run = run,
		.missing = f->kind == FOUND_SEQUENCE_MISSING ? f->last_sequence - f->sequence + 1
							     : 0,
		.finding = *f};
}

bool verify_signed(const struct verify *v, const struct note *n)
{
	const struct verify_asked *asked = v->asked;

	if (v->have_trail && note_signature_right(n, v->result->signer))
		return true;
	for (size_t i = 0; i < asked->signer_count; i++)
		if (note_signature_right(n, asked->signers[i]))
			return true;
	return false;
}

/* --- what else is in the folder ----------------------------------------------------------- */

static void tell_file(struct verify *v, enum verify_kind kind, const char *name)
{
	struct verify_finding f = {.kind = kind};

	string_copy(f.file, sizeof f.file, name);
	verify_found(v, &f);
}

static void unknown(void *arg, const char *name)
{
	tell_file(arg, FOUND_UNKNOWN_FILE, name);
}

static void unfinished(void *arg, const char *name)
{
	struct verify *v = arg;

	if (v->asked->live_sequence == 0)
		tell_file(v, FOUND_UNFINISHED, name);
}

/* All zeros, so that nothing can be hidden there. */
static void reserve(void *arg, const char *name)
{
	struct verify *v = arg;
	struct verify_file *f = &v->logs[0].file;
	struct verify_finding found = {.kind = FOUND_RESERVE_FALSE, .has_place = true};
	int e = verify_file_open(f, v->folder_fd, name);

	if (e < 0)
		tell_file(v, FOUND_UNREADABLE, name);
	for (uint64_t at = 0; e == 0 && at < f->size;) {
		size_t len = (size_t)MIN(f->size - at, BLOCK_PAYLOAD_MAX);
		const uint8_t *p = verify_file_at(f, at, len);

		if (!p || !sodium_is_zero(p, len)) {
			found.offset = at;
			found.octets = len;
			string_copy(found.file, sizeof found.file, name);
			verify_found(v, &found);
			break;
		}
		at += len;
	}
	verify_file_close(f);
}

/* --- the conclusion ----------------------------------------------------------------------- */

static void judge_cuts(struct verify *v)
{
	for (size_t i = 0; i < v->cut_count; i++) {
		struct verify_cut *c = &v->cuts[i];

		if (c->declared || (c->run == 0 && !c->missing && v->gap_said))
			c->finding.kind = FOUND_GAP;
		verify_found(v, &c->finding);
	}
}

static void judge_keys(struct verify *v)
{
	for (size_t i = 0; i < v->asked->key_count; i++) {
		const struct audit_key *key = &v->asked->keys[i];
		struct verify_finding f = {.kind = FOUND_KEY_FALSE};

		if (memcmp(key->trail, v->result->trail, TRAIL_ID_SIZE) == 0)
			continue;
		verify_text(&f, "the key of epoch %llu", (unsigned long long)key->epoch);
		verify_found(v, &f);
	}
}

/* Is what is missing at the log's beginning what retention deleted? That was recorded among the
 * events; where these were deleted in their turn, the record may be gone with what it is about. */
static bool start_explained(const struct verify *v, const struct verify_log *l)
{
	const struct verify_log *events = &v->logs[LOG_EVENTS - 1];

	if (!l->any)
		return !v->have_trail;
	if (l->result->blocks.first <= v->kept_from[l->log - 1])
		return true;
	return l != events && events->any && events->result->blocks.first > 0 &&
	       l->start_sequence <= events->start_sequence;
}

static void judge_start(struct verify *v, struct verify_log *l)
{
	struct verify_finding f = {.kind = FOUND_START_MISSING, .log = l->log};

	if (start_explained(v, l))
		return;
	f.has_block = l->any;
	f.last_block = l->result->blocks.first - l->any;
	if (!l->any)
		verify_text(&f, "there is no file of the %s", audit_log_name(l->log));
	verify_found(v, &f);
}

static void judge_torn(struct verify *v, struct verify_log *l)
{
	struct verify_finding f = verify_at(l, l->stopped ? FOUND_BEHIND_END : FOUND_TORN);

	if (l->torn_octets == 0 || l->cut || v->asked->live_sequence > 0)
		return;
	f.has_place = true;
	f.offset = l->torn_at;
	f.octets = l->torn_octets;
	verify_found(v, &f);
}

/* A gateway that is asked signs what it says is durable, so who can't sign made what is not. */
static bool is_signed_to(const struct verify_log *l, uint64_t sequence)
{
	return l->unsigned_from == 0 || l->unsigned_from > sequence;
}

static enum verify_end end_of(const struct verify *v)
{
	const struct verify_log_result *c = &v->result->logs[0], *e = &v->result->logs[1];

	if (v->asked->live_sequence > 0 && is_signed_to(&v->logs[0], v->asked->live_sequence) &&
	    is_signed_to(&v->logs[1], v->asked->live_sequence))
		return VERIFY_END_LIVE;
	if (c->stopped && e->stopped && c->signed_end == c->blocks.end &&
	    e->signed_end == e->blocks.end)
		return VERIFY_END_STOP;
	if (v->have_trail && c->outside_end == c->blocks.end && e->outside_end == e->blocks.end)
		return VERIFY_END_OUTSIDE;
	return VERIFY_END_NONE;
}

static void judge_end(struct verify *v)
{
	struct verify_result *r = v->result;
	struct verify_finding f = {.kind = FOUND_CUT};

	r->end = end_of(v);
	if (r->last_sequence < v->asked->live_sequence) {
		r->end = VERIFY_END_NONE;
		f.sequence = r->last_sequence + 1;
		f.last_sequence = v->asked->live_sequence;
		verify_text(&f, "the running gateway has made these records durable");
		verify_found(v, &f);
	}
	if (r->end != VERIFY_END_NONE || r->worst >= VERIFY_DAMAGED)
		return;
	f.kind = v->asked->live_sequence > 0 ? FOUND_UNSIGNED : FOUND_OPEN;
	f.sequence = f.last_sequence = r->last_sequence;
	verify_found(v, &f);
}

static void conclude(struct verify *v)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		verify_order_broken(&v->logs[i]);
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		verify_log_finish(&v->logs[i]);
	verify_live_finish(v);
	v->result->any = v->have_trail;
	judge_keys(v);
	verify_seals_judge(v);
	judge_cuts(v);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		judge_start(v, &v->logs[i]);
		judge_torn(v, &v->logs[i]);
	}
	judge_end(v);
}

/* --- the whole ---------------------------------------------------------------------------- */

static int start(struct verify *v)
{
	int e;

	v->rows = calloc(1, sizeof *v->rows); /* nobody is told what is only repeated */
	if (!v->rows)
		return -ENOMEM;
	if ((e = unpacker_open(&v->unpacker)) < 0)
		return e;
	v->folder = (struct verify_folder){
		.unknown = unknown, .unfinished = unfinished, .reserve = reserve, .arg = v};
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct verify_log *l = &v->logs[i];

		l->v = v;
		l->log = (enum audit_log)(i + 1);
		l->result = &v->result->logs[i];
		l->end = UINT64_MAX;
		if ((e = verify_file_start(&l->file)) < 0)
			return e;
		l->file.stop = v->asked->stop;
		l->file.arg = v->asked->arg;
	}
	v->expected = 1;
	e = verify_folder_read(&v->folder, v->folder_fd);
	for (size_t i = 0; e == 0 && i < AUDIT_LOGS; i++)
		e = verify_log_start(&v->logs[i]);
	return e;
}

static void walk(struct verify *v)
{
	const struct verify_asked *asked = v->asked;
	uint64_t told = 0;

	while (verify_order_take(v)) {
		if (v->octets - told < PROGRESS_OCTETS)
			continue;
		told = v->octets;
		if (asked->progress)
			asked->progress(asked->arg, v->octets, v->folder.octets);
		if (asked->stop && asked->stop(asked->arg)) {
			v->result->interrupted = true;
			return;
		}
	}
	if (asked->stop && asked->stop(asked->arg)) /* in a file, whose rest was not read */
		v->result->interrupted = true;
	else
		conclude(v);
}

static void verify_free(struct verify *v)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		verify_log_free(&v->logs[i]);
	verify_folder_free(&v->folder);
	unpacker_close(&v->unpacker);
	names_clear(&v->fresh);
	free(v->rows);
	free(v);
}

int verify_trail(int folder_fd, const struct verify_asked *asked, struct verify_result *ret_result)
{
	struct verify *v = calloc(1, sizeof *v);
	int e;

	if (!v)
		return -ENOMEM;
	*ret_result = (struct verify_result){.any = false};
	v->folder_fd = folder_fd;
	v->asked = asked;
	v->result = ret_result;
	for (size_t i = 0; i < AUDIT_LOGS; i++) /* so that each can be freed */
		v->logs[i].file.fd = v->logs[i].next_file.fd = v->logs[i].stored.file.fd = -1;
	e = start(v);
	if (e == 0)
		walk(v);
	verify_free(v);
	return e;
}
