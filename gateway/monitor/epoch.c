/* `audit key`: an operator has a new epoch of the trail begun, and is shown its key, once. The key
 * goes from the auditor through locked memory to the operator's socket, is wiped everywhere on its
 * way, and is in no log and no audit. Runs in the monitor. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include "gateway/audit/key_text.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/audit.h"

#define REQUEST	  "audit-key"
#define STEP_MS	  15000
#define STACK_MAX 16384 /* that making the text may have used */

enum epoch_step { STEP_NONE, STEP_AUDIT, STEP_AUDITOR };

static struct asked {
	struct monitor *m;
	enum epoch_step step;
	uint64_t event_id; /* of the request: durable before its effect */
	uint64_t id;	   /* what the auditor was asked with; an answer may come too late */
	struct locked key; /* STEP_AUDITOR: where the auditor puts it */
	struct timer timer;
	char who[64];
} asked = {.key = {.fd = -1}};

static void asked_end(struct monitor *m)
{
	loop_timer_clear(m->loop, &asked.timer);
	locked_close(&asked.key);
	asked.step = STEP_NONE;
}

static void asked_fail(struct monitor *m, const char *why)
{
	asked_end(m);
	log_error("the trail's verification key can't be shown: %s", why);
	control_answered(REQUEST, json_pack("{s:s}", "error", why));
}

static void on_too_long(struct timer *t)
{
	asked_fail(CONTAINER_OF(t, struct asked, timer)->m,
		   "the auditor did not answer: sallyport status says how it is");
}

const char *epoch_ask(struct monitor *m)
{
	if (asked.step != STEP_NONE)
		return "a key is being shown to somebody else: again in a moment";
	if (!trail_well(m))
		return "the audit log can't be written now, and a key is not shown unrecorded";
	asked.m = m;
	asked.step = STEP_AUDIT;
	asked.event_id = m->trail.next_id - 1; /* of what was asked: control.c put it there */
	(void)string_copy(asked.who, sizeof asked.who, m->asker);
	asked.timer.run = on_too_long;
	loop_timer_set(m->loop, &asked.timer, clock_ms() + STEP_MS);
	return NULL;
}

void epoch_go_on(struct monitor *m)
{
	struct auditor_flush request = {.id = asked.id + 1};
	int r;

	if (asked.step != STEP_AUDIT || m->trail.written < asked.event_id)
		return;
	r = locked_open(&asked.key, "epoch-key", sizeof((struct audit_key *)0)->epoch_key);
	if (r < 0)
		return asked_fail(m, "there is no locked memory for it (ulimit -l, LimitMEMLOCK=)");
	asked.step = STEP_AUDITOR;
	asked.id = request.id;
	r = helper_send(&m->helpers[HELPER_AUDITOR], AUDITOR_EPOCH, &request, sizeof request,
			asked.key.fd);
	if (r < 0)
		asked_fail(m, "the auditor takes no request: again in a moment");
}

/* The answer as JSON, by hand: no library's memory has the key. Nothing in the line needs to be
 * escaped: hexadecimal, digits and base64. */
static size_t answer_write(struct slab *slab, const struct auditor_epoch *e)
{
	struct audit_key *key = (struct audit_key *)(void *)slab->memory;
	char *text = (char *)slab->memory + sizeof *key;
	char line[AUDIT_KEY_SIZE];
	int len;

	key->epoch = e->epoch;
	memcpy(key->trail, e->trail, sizeof key->trail);
	memcpy(key->first_block, e->first_block, sizeof key->first_block);
	memcpy(key->signer, e->signer, sizeof key->signer);
	memcpy(key->epoch_key, asked.key.memory, sizeof key->epoch_key);
	audit_key_write(line, key);
	len = snprintf(text, slab->size - sizeof *key, "{\"key\":\"%s\"}", line);
	sodium_memzero(line, sizeof line);
	assert(len > 0 && (size_t)len < slab->size - sizeof *key);
	memmove(slab->memory, text, (size_t)len + 1);
	sodium_memzero(slab->memory + len + 1, slab->size - (size_t)len - 1);
	return (size_t)len;
}

void epoch_begun(struct monitor *m, const struct auditor_epoch *e)
{
	OWNED_BY(slab_close) struct slab slab = {0};
	char why[256];
	size_t len;
	bool taken;

	if (asked.step != STEP_AUDITOR || e->id != asked.id)
		return; /* nobody waits any more, and the memory is wiped: nobody has this one */
	if (e->error != 0)
		return asked_fail(m, "the auditor can't begin an epoch: the audit log can't be "
				     "written now");
	if (slab_open(&slab, 4096, 4096, why, sizeof why) < 0)
		return asked_fail(m, why);
	len = answer_write(&slab, e);
	sodium_stackzero(STACK_MAX);
	asked_end(m);
	taken = control_shows(REQUEST, &slab, len);
	m->trail.shown = taken ? e->epoch : m->trail.shown;
	trail_say(m, EVENT_OPERATOR, taken ? "audit-key-shown" : "audit-key-not-shown",
		  "epoch %llu, from block %llu of commands and %llu of events, %s",
		  (unsigned long long)e->epoch,
		  (unsigned long long)e->first_block[LOG_COMMANDS - 1],
		  (unsigned long long)e->first_block[LOG_EVENTS - 1], asked.who);
}

void epoch_away(struct monitor *m)
{
	if (asked.step == STEP_AUDITOR)
		asked_fail(m, "the auditor ended meanwhile: again in a moment");
}

bool epoch_is_shown(const struct monitor *m)
{
	return m->trail.shown != 0 && m->trail.shown == m->trail.told.epoch;
}
