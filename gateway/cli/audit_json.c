/* `sallyport audit --json`: one object a line, with field names that stay. Written
 * here and not by a library because block addresses have 64 bits without a sign, and
 * because a trail has many lines. Texts go through text_escape() first: a terminal is safe
 * from them, and they are UTF-8. */
#include "gateway/cli/audit_print.h"

#include "gateway/base/when.h"
#include "gateway/base/log.h"

/* Names are ours and need no escaping; every object begins with "seq". */
static void number(FILE *f, const char *name, uint64_t value)
{
	(void)fprintf(f, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void text(FILE *f, const char *name, const char *value)
{
	char escaped[4 * AUDIT_DETAIL_SIZE];

	if (!value[0])
		return;
	(void)fprintf(f, ",\"%s\":\"", name);
	(void)text_escape(value, strlen(value), escaped, sizeof escaped);
	for (const char *c = escaped; *c; c++) {
		if (*c == '"' || *c == '\\')
			(void)fputc('\\', f);
		(void)fputc(*c, f);
	}
	(void)fputc('"', f);
}

static void subject(FILE *f, const struct trail_record *r)
{
	struct audit_subject s = audit_subject(r);
	char ip[ADDRESS_TEXT];

	if (r->frame.connection)
		number(f, "connection", r->frame.connection);
	text(f, "initiator", s.initiator);
	text(f, "target", s.target);
	if (s.peer.ip.version) {
		text(f, "peer_ip", ip_format(&s.peer.ip, ip));
		number(f, "peer_port", s.peer.port);
	}
}

static void command(FILE *f, const struct audit_record *c)
{
	char name[64], cdb[2 * sizeof c->cdb + 1] = "", hex[20];
	uint64_t key;

	for (size_t i = 0; i < MIN((size_t)c->cdb_len, sizeof c->cdb); i++)
		(void)snprintf(cdb + 2 * i, 3, "%02x", c->cdb[i]);
	text(f, "command", audit_command_text(c, name, sizeof name));
	text(f, "cdb", cdb);
	number(f, "cdb_bytes", c->cdb_len);
	if (c->lun != 0xffff)
		number(f, "lun", c->lun);
	if (audit_command_key(c, &key)) {
		(void)snprintf(hex, sizeof hex, "0x%016llx", (unsigned long long)key);
		text(f, "reservation_key", hex);
	} else {
		number(f, "lba", c->lba);
		number(f, "blocks", c->blocks);
	}
	if (c->source)
		number(f, "source", 1);
	number(f, "task_tag", c->task_tag);
	text(f, "verdict", audit_verdict_name((enum audit_verdict)c->verdict));
	if (c->rule_line)
		number(f, "rule_line", c->rule_line);
	if (c->kind == AUDIT_OUTCOME) {
		number(f, "status", c->status);
		number(f, "sense_key", c->sense_key);
		number(f, "asc", c->asc);
		number(f, "ascq", c->ascq);
	}
	number(f, "ring_index", c->index);
	number(f, "session_time_ns", c->wall_ns);
}

static const char *algorithm_name(uint8_t number_of)
{
	static const char *const names[] = {
		[5] = "md5", [6] = "sha1", [7] = "sha256", [8] = "sha3-256"};

	return number_of < ARRAY_LEN(names) && names[number_of] ? names[number_of] : "unknown";
}

static void event(FILE *f, const struct audit_event *e)
{
	if (e->id)
		number(f, "event_id", e->id);
	text(f, "reason", e->reason);
	text(f, "user", e->user);
	text(f, "portal", e->portal);
	if (e->algorithm)
		text(f, "algorithm", algorithm_name(e->algorithm));
	if (e->policy_line)
		number(f, "policy_line", e->policy_line);
	if (e->count)
		number(f, "count", e->count);
	text(f, "detail", e->detail);
	number(f, "event_time_ns", e->wall_ns);
}

void audit_print_json(const struct audit_print *p, const struct trail_record *r)
{
	char time[WHEN_TEXT], run[24];

	(void)fprintf(p->out, "{\"seq\":%llu", (unsigned long long)r->frame.stamp.sequence);
	text(p->out, "time", when_format(r->frame.stamp.time_ns, p->utc, time));
	number(p->out, "time_ns", r->frame.stamp.time_ns);
	(void)snprintf(run, sizeof run, "%010llx", (unsigned long long)r->run);
	text(p->out, "run", run);
	text(p->out, r->frame.type == FRAME_COMMAND ? "kind" : "event", audit_record_name(r));
	subject(p->out, r);
	if (r->frame.type == FRAME_COMMAND)
		command(p->out, &r->frame.command);
	else if (r->frame.type == FRAME_EVENT)
		event(p->out, &r->frame.event);
	else if (r->frame.type == FRAME_END)
		text(p->out, "reason", r->frame.end == SEGMENT_END_STOP ? "stop" : "monitor-died");
	(void)fputs("}\n", p->out);
}
