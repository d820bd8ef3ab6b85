/* Facts of a policy about its audit trail as texts: what records wait for, what is
 * kept, when there is too little room,
 * where checkpoints go. Runs in the monitor and the command line, on what the compiler has
 * checked. */
#include "policy/facts.h"
#include "policy/types.h"

static const char *const durabilities[DURABILITIES] = {
	[DURABILITY_HANDED_OVER] = "handed-over",
	[DURABILITY_WRITTEN] = "written",
	[DURABILITY_SYNCED] = "synced",
};

void audit_durability(struct text *t, const struct side *s)
{
	text_add(t, "%s", durabilities[s->policy->durability]);
}

void audit_outcomes(struct text *t, const struct side *s)
{
	text_add(t, "%s", s->policy->outcomes_all ? "all" : "failed");
}

/* Left out, it is audit.durability, which is told there. */
void disk_durability(struct text *t, const struct side *s)
{
	if (s->disk->durability != DURABILITY_INVALID)
		text_add(t, "%s", durabilities[s->disk->durability]);
}

void keep_for(struct text *t, const struct side *s)
{
	char text[QUANTITY_TEXT];

	if (s->policy->trail.keep_ms > 0)
		text_add(t, "%s", duration_format(s->policy->trail.keep_ms, text));
}

void keep_at_most(struct text *t, const struct side *s)
{
	char text[QUANTITY_TEXT];

	if (s->policy->trail.at_most > 0)
		text_add(t, "%s", size_format(s->policy->trail.at_most, text));
}

static void write_room(struct text *t, const struct policy_room *r)
{
	char text[QUANTITY_TEXT];

	if (r->percent > 0)
		text_add(t, "%u%%", r->percent);
	if (r->octets > 0)
		text_add(t, "%s%s", r->percent > 0 ? ", at most " : "",
			 size_format(r->octets, text));
}

void space_warn(struct text *t, const struct side *s)
{
	write_room(t, &s->policy->trail.warn);
}

void space_refuse(struct text *t, const struct side *s)
{
	write_room(t, &s->policy->trail.refuse);
}

void space_stop(struct text *t, const struct side *s)
{
	write_room(t, &s->policy->trail.stop);
}

void space_reserve(struct text *t, const struct side *s)
{
	char text[QUANTITY_TEXT];

	text_add(t, "%s", size_format(s->policy->trail.reserve, text));
}

void checkpoints_file(struct text *t, const struct side *s)
{
	if (s->policy->trail.file != NULL)
		text_add(t, "%s", s->policy->trail.file);
}

/* Where one argument ends, the text says as well. */
void checkpoints_command(struct text *t, const struct side *s)
{
	const struct policy_trail *trail = &s->policy->trail;

	for (size_t k = 0; k < trail->command_count; k++)
		text_add(t, "%s\"%s\"", k > 0 ? " " : "", trail->command[k]);
}

void checkpoints_syslog(struct text *t, const struct side *s)
{
	if (s->policy->trail.syslog != NULL)
		text_add(t, "unix:%s", s->policy->trail.syslog);
}
