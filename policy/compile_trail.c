/* What a policy says of its audit trail: how long it is kept, what happens when there is no room
 * for it, and where its checkpoints go. Runs in the monitor and the command line, on a tree that
 * the schema has checked. */
#include <sys/un.h>
#include "policy/compile.h"
#include "policy/types.h"

#define GIB (UINT64_C(1) << 30)

/* --- keep and space ----------------------------------------------------------------------- */

/* From the mildest to the last. Left out: a part of the file system, which on a large one is no
 * reason yet to send anybody away. */
static const struct step {
	const char *key;
	struct policy_room otherwise;
} steps[] = {
	{"warn", {.octets = 4 * GIB, .percent = 20}},
	{"refuse", {.octets = 2 * GIB, .percent = 10}},
	{"stop", {.octets = 1 * GIB, .percent = 5}},
};

static struct policy_room room_of(const struct node *space, const struct step *s)
{
	const struct node *n = node_get(space, s->key);

	if (!n || n->bad)
		return s->otherwise;
	if (n->value & ROOM_PERCENT)
		return (struct policy_room){.percent = (uint32_t)(n->value & ~ROOM_PERCENT)};
	return (struct policy_room){.octets = n->value};
}

/* Is `a` less than `b` whatever the size of the disk? */
static bool room_is_less(const struct policy_room *a, const struct policy_room *b)
{
	bool octets = a->octets > 0 && b->octets > 0, parts = a->percent > 0 && b->percent > 0;

	if (octets && parts)
		return a->octets < b->octets && a->percent < b->percent;
	return octets ? a->octets < b->octets : parts && a->percent < b->percent;
}

/* What comes first has to leave more room than what comes next. */
static void order_check(struct compiler *c, const struct node *space, const struct step *first,
			const struct step *next)
{
	const struct policy_room a = room_of(space, first), b = room_of(space, next);
	const struct node *said = node_get(space, first->key);

	if (!room_is_less(&a, &b))
		return;
	if (!said)
		said = node_get(space, next->key);
	diagnose_warning(c->d, node_place(said), "\"%s\" comes after \"%s\": it is less room",
			 first->key, next->key);
	diagnose_hint(c->d, "the room shrinks: warn first, then refuse, then stop");
}

static void most_check(struct compiler *c, const struct node *space, const struct step *s)
{
	const struct policy_room room = room_of(space, s);
	const struct node *n = node_get(space, s->key);
	char most[QUANTITY_TEXT];

	if (!n || n->bad || room.octets == 0 || c->policy->trail.at_most == 0 ||
	    room.octets < c->policy->trail.at_most)
		return;
	diagnose_error(c->d, n->at, "\"%s\" is %s, and the whole trail has at most %s", s->key,
		       n->text, size_format(c->policy->trail.at_most, most));
	diagnose_hint(c->d, "it would always be so: lower it, or write a part, like 10%%");
}

static void compile_space(struct compiler *c, const struct node *space)
{
	struct policy_trail *t = &c->policy->trail;

	t->warn = room_of(space, &steps[0]);
	t->refuse = room_of(space, &steps[1]);
	t->stop = room_of(space, &steps[2]);
	t->reserve = schema_value(SECTION_SPACE, space, "reserve");
	for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
		most_check(c, space, &steps[k]);
		if (k > 0)
			order_check(c, space, &steps[k - 1], &steps[k]);
	}
}

static void compile_keep(struct compiler *c, const struct node *keep)
{
	const struct node *time = node_get(keep, "for"), *most = node_get(keep, "at_most");
	struct policy_trail *t = &c->policy->trail;

	t->keep_ms = time && !time->bad ? time->value : 0;
	t->at_most = most && !most->bad ? most->value : 0;
}

/* --- checkpoints -------------------------------------------------------------------------- */

static void compile_file(struct compiler *c, const struct node *n)
{
	char path[PATH_MAX];

	if (!n || n->bad)
		return;
	if (path_absolute(c->folder, n->text, path) == 0) {
		c->policy->trail.file = compile_copy(c, path);
		return;
	}
	diagnose_error(c->d, n->at, "\"%s\" is no path for a file", shown_text(n->text).text);
	diagnose_hint(c->d, "write the path without \"..\"");
}

/* No shell and no PATH: what runs is what is written. */
static void compile_command(struct compiler *c, const struct node *list)
{
	struct policy_trail *t = &c->policy->trail;
	const struct node *program = node_first(list);

	if (!program)
		return;
	t->command = compile_alloc(c, node_count(list) + 1, sizeof(char *));
	for (const struct node *n = program; n && t->command; n = n->next)
		t->command[t->command_count++] = compile_copy(c, n->text);
	if (program->bad || program->text[0] == '/')
		return;
	diagnose_error(c->d, program->at, "\"%s\" is no absolute path of a program",
		       shown_text(program->text).text);
	diagnose_hint(c->d, "write it like %s; a shell is written out: [/bin/sh, -c, ...]",
		      schema_find(SECTION_CHECKPOINTS, "command")->example);
}

static void compile_syslog(struct compiler *c, const struct node *n)
{
	static const char prefix[] = "unix:/";
	const struct sockaddr_un sa = {0};

	if (!n || n->bad)
		return;
	if (strncmp(n->text, prefix, sizeof prefix - 1) == 0 &&
	    strlen(n->text) - strlen("unix:") < sizeof sa.sun_path) {
		c->policy->trail.syslog = compile_copy(c, n->text + strlen("unix:"));
		return;
	}
	diagnose_error(c->d, n->at, "\"%s\" is no socket of a syslog", shown_text(n->text).text);
	diagnose_hint(c->d, "write syslog: unix:/dev/log");
}

void compile_trail(struct compiler *c)
{
	const struct node *audit = node_map(c->root, "audit");
	const struct node *checkpoints = node_map(audit, "checkpoints");

	compile_keep(c, node_map(audit, "keep"));
	compile_space(c, node_map(audit, "space"));
	compile_file(c, node_get(checkpoints, "file"));
	compile_command(c, node_list(checkpoints, "command"));
	compile_syslog(c, node_get(checkpoints, "syslog"));
}
