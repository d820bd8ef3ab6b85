/* `sallyport audit first-seen`: the first time that each initiator came from each address. The
 * whole trail is looked at; --since chooses what of it is told. */
#include "gateway/audit/first_seen.h"

#include "gateway/audit/escape.h"
#include "gateway/audit/json_out.h"
#include "gateway/base/log.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_review.h"

enum { NEW = 18, FROM = 22, HOW = 34, TIME_UTC = 24, TIME_LOCAL = 29 };

static int add(void *arg, const struct trail_record *record)
{
	first_seen_add(arg, record);
	return 0;
}

static const char *new_text(const struct seen_pair *p)
{
	static const char *const texts[] = {
		[0] = "pair",
		[SEEN_INITIATOR] = "initiator",
		[SEEN_ADDRESS] = "address",
		[SEEN_INITIATOR | SEEN_ADDRESS] = "initiator+address",
	};

	return texts[p->fresh];
}

static void print_json(const struct audit_print *p, const struct seen_pair *pair)
{
	char line[8192], time[WHEN_TEXT], ip[ADDRESS_TEXT];
	struct wr w = wr_over(line, sizeof line);
	struct json_out j = {.w = &w};

	json_open(&j, NULL, '{');
	json_number(&j, "seq", pair->first_sequence);
	json_text(&j, "first_time", when_format(pair->first_ns, p->utc, time));
	json_number(&j, "first_time_ns", pair->first_ns);
	json_text(&j, "new", new_text(pair));
	if (pair->key.initiator[0])
		json_text(&j, "initiator", pair->key.initiator);
	if (pair->key.ip.version)
		json_text(&j, "peer_ip", ip_format(&pair->key.ip, ip));
	json_text(&j, "target", pair->target);
	json_text(&j, "event", audit_event_name(pair->kind));
	json_text(&j, "reason", pair->reason);
	json_text(&j, "user", pair->user);
	json_number(&j, "count", pair->times);
	json_number(&j, "last_time_ns", pair->last_ns);
	json_close(&j, '}');
	(void)fwrite(line, 1, wr_len(&w), p->out);
	(void)fputc('\n', p->out);
}

static void csv_text(const struct audit_print *p, const char *text)
{
	(void)fputc(',', p->out);
	escape_put(p->out, ESCAPE_CSV, text);
}

static void print_csv(const struct audit_print *p, const struct seen_pair *pair)
{
	char time[WHEN_TEXT], ip[ADDRESS_TEXT] = "";

	if (pair->key.ip.version)
		(void)ip_format(&pair->key.ip, ip);
	(void)fprintf(p->out, "%llu,%s,%llu,%s", (unsigned long long)pair->first_sequence,
		      when_format(pair->first_ns, p->utc, time), (unsigned long long)pair->first_ns,
		      new_text(pair));
	csv_text(p, pair->key.initiator);
	csv_text(p, ip);
	csv_text(p, pair->target);
	csv_text(p, audit_event_name(pair->kind));
	csv_text(p, pair->reason);
	csv_text(p, pair->user);
	(void)fprintf(p->out, ",%llu,%llu\n", (unsigned long long)pair->times,
		      (unsigned long long)pair->last_ns);
}

static void print_row(const struct audit_print *p, const struct seen_pair *pair)
{
	char time[WHEN_TEXT], ip[ADDRESS_TEXT], how[160], reason[128], name[2 * ISCSI_NAME_SIZE];

	if (pair->accepted)
		string_copy(how, sizeof how, audit_event_name(pair->kind));
	else
		(void)snprintf(
			how, sizeof how, "refused: %s",
			text_escape(pair->reason, strlen(pair->reason), reason, sizeof reason));
	(void)fprintf(p->out, "%s %9llu ", when_format(pair->first_ns, p->utc, time),
		      (unsigned long long)pair->first_sequence);
	audit_print_cell(p, new_text(pair), NEW);
	audit_print_cell(p, pair->key.ip.version ? ip_format(&pair->key.ip, ip) : "-", FROM);
	if (!pair->accepted)
		audit_print_red(p, true);
	audit_print_cell(p, how, HOW);
	if (!pair->accepted)
		audit_print_red(p, false);
	(void)fprintf(
		p->out, "%7llu %s %s\n", (unsigned long long)pair->times,
		when_format(pair->last_ns, p->utc, time),
		text_escape(pair->key.initiator, strlen(pair->key.initiator), name, sizeof name));
}

static void print_head(const struct audit_print *p)
{
	int width = p->utc ? TIME_UTC : TIME_LOCAL;

	if (p->csv)
		(void)fputs("seq,first_time,first_time_ns,new,initiator,peer_ip,target,event,"
			    "reason,user,count,last_time_ns\n",
			    p->out);
	if (p->csv || p->json)
		return;
	(void)fprintf(p->out, "%-*s %9s ", width, "FIRST SEEN", "SEQ");
	audit_print_cell(p, "NEW", NEW);
	audit_print_cell(p, "FROM", FROM);
	audit_print_cell(p, "HOW", HOW);
	(void)fprintf(p->out, "%7s %-*s INITIATOR\n", "TIMES", width, "LAST SEEN");
}

static void print(const struct review *r, const struct first_seen *s, uint64_t since_ns)
{
	const struct seen_pair *pair;
	size_t at[2] = {0, 0};

	print_head(&r->print);
	while ((pair = first_seen_next(s, at)) != NULL) {
		if (pair->first_ns < since_ns)
			continue;
		if (r->print.json)
			print_json(&r->print, pair);
		else if (r->print.csv)
			print_csv(&r->print, pair);
		else
			print_row(&r->print, pair);
	}
	if (first_seen_left_out(s))
		(void)fprintf(stderr,
			      "sallyport audit first-seen: up to %llu more came than are "
			      "kept here\n",
			      (unsigned long long)first_seen_left_out(s));
}

static const enum audit_event_kind events[] = {EVENT_LOGIN,	 EVENT_DISCOVERY,
					       EVENT_REFUSAL,	 EVENT_REFUSALS_COUNTED,
					       EVENT_CONNECTION, EVENT_DECOY};

static int first_seen(const struct cli *cli)
{
	OWNED_REVIEW r = {0};
	struct first_seen s;
	int e, status = review_begin(&r, cli);
	uint64_t since_ns = r.filter.since_ns;

	r.filter.since_ns = 0; /* who was there before is not new */
	r.skips = true;
	for (size_t k = 0; k < ARRAY_LEN(events) && status == EXIT_DONE; k++)
		status = audit_filter_op(&r.filter, audit_event_name(events[k])) < 0 ? EXIT_CANNOT
										     : EXIT_DONE;
	if (status == EXIT_DONE)
		status = review_open(&r);
	if (status != EXIT_DONE)
		return status;
	first_seen_open(&s);
	e = review_each(&r, add, &s);
	if (e == 0)
		print(&r, &s, since_ns);
	first_seen_close(&s);
	return review_verdict(&r, e);
}

const struct subcommand audit_first_seen = {
	.name = "audit first-seen",
	.arguments = "",
	.summary = "Initiators and addresses, by the first time that they came, or tried.",
	.examples = "  sallyport audit first-seen --since yesterday\n"
		    "  sallyport audit first-seen --address 203.0.113.0/24 --json\n",
	.text = "NEW says what appeared there for the first time: the initiator, the address, or "
		"the\n"
		"pair of them alone. With --since: only who is new since then, in the whole "
		"trail.\n"
		"Exit status as of show.",
	.options = audit_csv_option,
	.shared = audit_who_options,
	.json = true,
	.run = first_seen,
};
