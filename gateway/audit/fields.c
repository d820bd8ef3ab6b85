/* Takes a record apart into named values, for the review and the exports. The record comes
 * from files and is hostile: its texts are handed on raw, its numbers as they are. */
#include "gateway/audit/fields.h"

#include <stdio.h>
#include "gateway/scsi/command_names.h"

const struct field fields[FIELDS] = {
	[FIELD_SEQ] = {"seq", FIELD_NUMBER, false, "of the record; rises by one over the trail"},
	[FIELD_TIME] = {"time", FIELD_TEXT, false, "when the auditor had it, to the millisecond"},
	[FIELD_TIME_NS] = {"time_ns", FIELD_NUMBER, false, "the same, nanoseconds since 1970, UTC"},
	[FIELD_MONO_NS] = {"mono_ns", FIELD_NUMBER, false,
			   "the same by the clock that never jumps"},
	[FIELD_RUN] = {"run", FIELD_TEXT, false, "the gateway's run, hexadecimal"},
	[FIELD_KIND] = {"kind", FIELD_TEXT, false, "command or outcome"},
	[FIELD_EVENT] = {"event", FIELD_TEXT, false, "login, refusal, policy, ..., session, end"},
	[FIELD_CONNECTION] = {"connection", FIELD_NUMBER, false, "its number in the run"},
	[FIELD_INITIATOR] = {"initiator", FIELD_TEXT, true, "iSCSI name of who asked"},
	[FIELD_TARGET] = {"target", FIELD_TEXT, true, "iSCSI name of the target"},
	[FIELD_PEER_IP] = {"peer_ip", FIELD_TEXT, false, "address of who asked"},
	[FIELD_PEER_PORT] = {"peer_port", FIELD_NUMBER, false, "its TCP port"},
	[FIELD_COMMAND] = {"command", FIELD_TEXT, false, "WRITE(10), or a3h/1fh if it has no name"},
	[FIELD_CDB] = {"cdb", FIELD_TEXT, false, "the CDB's first 32 octets, hexadecimal"},
	[FIELD_CDB_BYTES] = {"cdb_bytes", FIELD_NUMBER, false, "octets of the whole CDB"},
	[FIELD_LUN] = {"lun", FIELD_NUMBER, false, "logical unit"},
	[FIELD_RESERVATION_KEY] = {"reservation_key", FIELD_TEXT, false,
				   "of PERSISTENT RESERVE OUT"},
	[FIELD_LBA] = {"lba", FIELD_NUMBER, false, "first logical block"},
	[FIELD_BLOCKS] = {"blocks", FIELD_NUMBER, false, "how many logical blocks"},
	[FIELD_SOURCE] = {"source", FIELD_NUMBER, false, "1: blocks that a copy reads"},
	[FIELD_TASK_TAG] = {"task_tag", FIELD_NUMBER, false, "the initiator's number of the task"},
	[FIELD_VERDICT] = {"verdict", FIELD_TEXT, false, "admitted, denied, refused, failed, ..."},
	[FIELD_RULE_LINE] = {"rule_line", FIELD_NUMBER, false, "of the policy that denied it"},
	[FIELD_STATUS] = {"status", FIELD_NUMBER, false, "SCSI status of the outcome"},
	[FIELD_SENSE_KEY] = {"sense_key", FIELD_NUMBER, false, "of the outcome"},
	[FIELD_ASC] = {"asc", FIELD_NUMBER, false, "additional sense code"},
	[FIELD_ASCQ] = {"ascq", FIELD_NUMBER, false, "its qualifier"},
	[FIELD_LATENCY_US] = {"latency_us", FIELD_NUMBER, false,
			      "from admission to end, microseconds"},
	[FIELD_RING_INDEX] = {"ring_index", FIELD_NUMBER, false, "gap-free in each connection"},
	[FIELD_SESSION_TIME_NS] = {"session_time_ns", FIELD_NUMBER, false, "the session's clock"},
	[FIELD_EVENT_ID] = {"event_id", FIELD_NUMBER, false, "gap-free in each run"},
	[FIELD_REASON] = {"reason", FIELD_TEXT, true, "short and stable: wrong-secret"},
	[FIELD_USER] = {"user", FIELD_TEXT, true, "CHAP name"},
	[FIELD_PORTAL] = {"portal", FIELD_TEXT, true, "the portal's name in the policy"},
	[FIELD_ALGORITHM] = {"algorithm", FIELD_TEXT, false, "of CHAP"},
	[FIELD_POLICY_LINE] = {"policy_line", FIELD_NUMBER, false, "that decided"},
	[FIELD_COUNT] = {"count", FIELD_NUMBER, false, "how often it happened"},
	[FIELD_DETAIL] = {"detail", FIELD_TEXT, true, "more, in words"},
	[FIELD_EVENT_TIME_NS] = {"event_time_ns", FIELD_NUMBER, false, "the monitor's clock"},
};

static void number(struct field_values *v, enum field_id id, uint64_t value)
{
	v->set |= UINT64_C(1) << id;
	v->of[id].number = value;
}

/* An empty text says nothing. */
static void text(struct field_values *v, enum field_id id, const char *value)
{
	if (!value[0])
		return;
	v->set |= UINT64_C(1) << id;
	v->of[id].text = value;
}

static void number_if(struct field_values *v, enum field_id id, uint64_t value)
{
	if (value)
		number(v, id, value);
}

const char *record_command_text(const struct audit_record *c, char *ret, size_t size)
{
	const struct command_name *name =
		c->cdb_len ? command_name_find(c->cdb, MIN((size_t)c->cdb_len, sizeof c->cdb))
			   : NULL;

	if (c->kind == AUDIT_TASK)
		string_copy(ret, size, audit_task_name(c->cdb_len > 0 ? c->cdb[0] : 0));
	else if (c->kind == AUDIT_LIST)
		string_copy(ret, size, "parameters");
	else if (name)
		string_copy(ret, size, name->name);
	else if (c->cdb_len == 0)
		ret[0] = '\0';
	else
		(void)snprintf(ret, size, "%02xh/%02xh", c->cdb[0], c->cdb[1] & 0x1fu);
	return ret;
}

/* PERSISTENT RESERVE OUT, once its list came: a record for each of the two keys. */
bool record_command_key(const struct audit_record *c, uint64_t *ret_key)
{
	static const uint8_t persistent_reserve_out = 0x5f;

	if (c->kind != AUDIT_COMMAND || c->cdb_len == 0 || c->cdb[0] != persistent_reserve_out ||
	    c->verdict != VERDICT_ADMITTED)
		return false;
	*ret_key = c->lba;
	return true;
}

static void subject(struct field_values *v, const struct trail_record *r)
{
	struct audit_subject s = audit_subject(r);

	number_if(v, FIELD_CONNECTION, r->frame.connection);
	text(v, FIELD_INITIATOR, s.initiator);
	text(v, FIELD_TARGET, s.target);
	if (!s.peer.ip.version)
		return;
	text(v, FIELD_PEER_IP, ip_format(&s.peer.ip, v->made.ip));
	number(v, FIELD_PEER_PORT, s.peer.port);
}

static void cdb(struct field_values *v, const struct audit_record *c)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = MIN((size_t)c->cdb_len, sizeof c->cdb);

	for (size_t i = 0; i < len; i++) {
		v->made.cdb[2 * i] = digits[c->cdb[i] >> 4];
		v->made.cdb[2 * i + 1] = digits[c->cdb[i] & 0xf];
	}
	v->made.cdb[2 * len] = '\0';
	text(v, FIELD_COMMAND, record_command_text(c, v->made.command, sizeof v->made.command));
	text(v, FIELD_CDB, v->made.cdb);
	number(v, FIELD_CDB_BYTES, c->cdb_len);
}

static void outcome(struct field_values *v, const struct audit_record *c)
{
	number(v, FIELD_STATUS, c->status);
	number(v, FIELD_SENSE_KEY, c->sense_key);
	number(v, FIELD_ASC, c->asc);
	number(v, FIELD_ASCQ, c->ascq);
	number_if(v, FIELD_LATENCY_US, c->latency_us);
}

static void command(struct field_values *v, const struct audit_record *c)
{
	uint64_t key;

	cdb(v, c);
	if (c->lun != 0xffff)
		number(v, FIELD_LUN, c->lun);
	if (record_command_key(c, &key)) {
		(void)snprintf(v->made.key, sizeof v->made.key, "0x%016llx",
			       (unsigned long long)key);
		text(v, FIELD_RESERVATION_KEY, v->made.key);
	} else {
		number(v, FIELD_LBA, c->lba);
		number(v, FIELD_BLOCKS, c->blocks);
	}
	if (c->source)
		number(v, FIELD_SOURCE, 1);
	number(v, FIELD_TASK_TAG, c->task_tag);
	text(v, FIELD_VERDICT, audit_verdict_name((enum audit_verdict)c->verdict));
	number_if(v, FIELD_RULE_LINE, c->rule_line);
	if (c->kind == AUDIT_OUTCOME)
		outcome(v, c);
	number(v, FIELD_RING_INDEX, c->index);
	number(v, FIELD_SESSION_TIME_NS, c->wall_ns);
}

static const char *algorithm_name(uint8_t number_of)
{
	static const char *const names[] = {
		[5] = "md5", [6] = "sha1", [7] = "sha256", [8] = "sha3-256"};

	return number_of < ARRAY_LEN(names) && names[number_of] ? names[number_of] : "unknown";
}

static void event(struct field_values *v, const struct audit_event *e)
{
	number_if(v, FIELD_EVENT_ID, e->id);
	text(v, FIELD_REASON, e->reason);
	text(v, FIELD_USER, e->user);
	text(v, FIELD_PORTAL, e->portal);
	if (e->algorithm)
		text(v, FIELD_ALGORITHM, algorithm_name(e->algorithm));
	number_if(v, FIELD_POLICY_LINE, e->policy_line);
	number_if(v, FIELD_COUNT, e->count);
	text(v, FIELD_DETAIL, e->detail);
	number(v, FIELD_EVENT_TIME_NS, e->wall_ns);
}

void fields_of(struct field_values *ret, const struct trail_record *r, bool utc)
{
	const struct frame *f = &r->frame;

	ret->set = 0;
	number(ret, FIELD_SEQ, f->stamp.sequence);
	text(ret, FIELD_TIME, when_format(f->stamp.time_ns, utc, ret->made.time));
	number(ret, FIELD_TIME_NS, f->stamp.time_ns);
	number_if(ret, FIELD_MONO_NS, f->stamp.mono_ns);
	(void)snprintf(ret->made.run, sizeof ret->made.run, "%010llx", (unsigned long long)r->run);
	text(ret, FIELD_RUN, ret->made.run);
	text(ret, f->type == FRAME_COMMAND ? FIELD_KIND : FIELD_EVENT, audit_record_name(r));
	subject(ret, r);
	if (f->type == FRAME_COMMAND)
		command(ret, &f->command);
	else if (f->type == FRAME_EVENT)
		event(ret, &f->event);
	else if (f->type == FRAME_END)
		text(ret, FIELD_REASON, f->end == SEGMENT_END_STOP ? "stop" : "monitor-died");
}
