/* The tables of the auditor's channel, and the words for what a record holds. Plain
 * data, linked into every process: the monitor sends what the auditor's table takes,
 * and the other way round. */
#include "gateway/audit/auditor.h"

/* Monitor to auditor. */
const struct message_spec auditor_inbox[] = {
	{AUDITOR_ATTACH, "attach", sizeof(struct auditor_ring_info), 3, false},
	{AUDITOR_DETACH, "detach", sizeof(struct auditor_ring_info), 0, false},
	{AUDITOR_RINGS, "rings", 0, 0, false},
	{AUDITOR_EVENT, "event", sizeof(struct audit_event), 0, false},
	{AUDITOR_FLUSH, "flush", sizeof(struct auditor_flush), 0, false},
	{AUDITOR_STOP, "stop", 0, 0, true},
	{AUDITOR_SETTINGS, "settings", sizeof(struct auditor_settings), 0, false},
	{AUDITOR_EPOCH, "epoch", sizeof(struct auditor_flush), 1, false},
};
const size_t auditor_inbox_len = ARRAY_LEN(auditor_inbox);

/* Auditor to monitor. */
const struct message_spec auditor_outbox[] = {
	{AUDITOR_READY, "ready", sizeof(struct auditor_status), 0, true},
	{AUDITOR_WRITTEN, "written", sizeof(struct auditor_flush), 0, false},
	{AUDITOR_FLUSHED, "flushed", sizeof(struct auditor_flushed), 0, false},
	{AUDITOR_STATUS, "status", sizeof(struct auditor_status), 0, false},
	{AUDITOR_EPOCH_BEGUN, "epoch begun", sizeof(struct auditor_epoch), 0, false},
	{AUDITOR_CHECKPOINT, "checkpoint", sizeof(struct auditor_checkpoint), 0, false},
};
const size_t auditor_outbox_len = ARRAY_LEN(auditor_outbox);

_Static_assert(sizeof(struct audit_event) <= CHANNEL_BODY_MAX, "an event is one message");

static const char *const event_names[EVENT_KINDS] = {
	[EVENT_START] = "start",
	[EVENT_STOP] = "stop",
	[EVENT_POLICY] = "policy",
	[EVENT_CONNECTION] = "connection",
	[EVENT_LOGIN] = "login",
	[EVENT_REFUSAL] = "refusal",
	[EVENT_REFUSALS_COUNTED] = "refusals-counted",
	[EVENT_DISCOVERY] = "discovery",
	[EVENT_LOGOUT] = "logout",
	[EVENT_BAN] = "ban",
	[EVENT_UNBAN] = "unban",
	[EVENT_HELPER] = "helper",
	[EVENT_DISK] = "disk",
	[EVENT_OPERATOR] = "operator",
	[EVENT_FIREWALL] = "firewall",
	[EVENT_GAP] = "gap",
	[EVENT_DECOY] = "decoy",
	[EVENT_RETENTION] = "retention",
	[EVENT_SPACE] = "space",
};

const char *audit_event_name(enum audit_event_kind kind)
{
	if ((unsigned)kind >= EVENT_KINDS || !event_names[kind])
		return "unknown";
	return event_names[kind];
}

static const char *const verdict_names[] = {
	[VERDICT_ADMITTED] = "admitted", [VERDICT_DENIED] = "denied",
	[VERDICT_REFUSED] = "refused",	 [VERDICT_NOT_EXECUTED] = "not-executed",
	[VERDICT_FAILED] = "failed",	 [VERDICT_BUSY] = "busy",
	[VERDICT_DONE] = "done",
};

const char *audit_verdict_name(enum audit_verdict verdict)
{
	if ((unsigned)verdict >= ARRAY_LEN(verdict_names) || !verdict_names[verdict])
		return "unknown";
	return verdict_names[verdict];
}

/* RFC 7143 section 11.5.1, RFC 7144 section 6.3 */
static const char *const task_names[] = {
	NULL,
	"abort-task",
	"abort-task-set",
	"clear-aca",
	"clear-task-set",
	"lun-reset",
	"target-warm-reset",
	"target-cold-reset",
	"task-reassign",
	"query-task",
	"query-task-set",
	"nexus-reset",
	"query-event",
};

const char *audit_task_name(uint8_t function)
{
	if (function >= ARRAY_LEN(task_names) || !task_names[function])
		return "unknown";
	return task_names[function];
}
