/* When each initiator of the policy was here last, kept in the state folder: a right that
 * nobody uses is one that somebody may find. Its loss harms nothing. */
#include <fcntl.h>
#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

#define SEEN_FILE     "seen.json"
#define SEEN_MAX      (8u << 20)
#define SAVE_EVERY_MS 60000
#define HERE_EVERY_S  3600 /* a session that goes on is seen this often */
#define UNSEEN_S      (90 * 86400)
#define SECRET_OLD_S  (365 * 86400)
#define LISTED_MOST   10

/* { NAME: time }: of who never came, when the policy first named it. */
static json_t *names_of(const struct policy *p, const json_t *before, json_int_t now_s)
{
	json_t *names = json_object();

	for (size_t t = 0; t < p->target_count; t++) {
		for (size_t k = 0; k < p->targets[t].initiator_count; k++) {
			const char *name = p->targets[t].initiators[k].name;
			const json_t *known = json_object_get(before, name);
			/* The clock may have been ahead. */
			json_int_t at = known ? MIN(json_integer_value(known), now_s) : now_s;

			if (json_object_set_new(names, name, json_integer(at)) < 0)
				log_warning("initiator %s is not watched for: no memory", name);
		}
	}
	return names;
}

static json_int_t wall_s(void)
{
	return (json_int_t)(clock_wall_ns() / 1000000000u);
}

void seen_load(struct monitor *m)
{
	OWNED_FD fd = openat(m->state_fd, SEEN_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	OWNED_FREE char *text = NULL;
	json_t *before = NULL;
	size_t len;

	if (fd >= 0 && fd_read_all(fd, SEEN_MAX, &text, &len) == 0)
		before = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (fd >= 0 && !json_is_object(before))
		log_warning("%s/%s can't be read: when initiators were here is forgotten",
			    m->state_path, SEEN_FILE);
	m->seen = names_of(m->policy, before, wall_s());
	m->seen_unsaved = true;
	json_decref(before);
}

/* Another policy is in force. Bounded by it: who is not named is forgotten. */
void seen_reload(struct monitor *m)
{
	json_t *before = m->seen;

	m->seen = names_of(m->policy, before, wall_s());
	m->seen_unsaved = true;
	json_decref(before);
}

void seen_save(struct monitor *m)
{
	OWNED_FREE char *text = json_dumps(m->seen, JSON_COMPACT | JSON_SORT_KEYS);

	if (text == NULL || file_replace(m->state_fd, SEEN_FILE, text, strlen(text), 0600) < 0)
		log_error("%s/%s can't be written: when initiators were here ends with this run",
			  m->state_path, SEEN_FILE);
	m->seen_unsaved = false;
	m->seen_saved_ms = clock_ms();
}

void seen_note(struct monitor *m, const char *initiator)
{
	if (json_object_get(m->seen, initiator) == NULL)
		return;
	if (json_object_set_new(m->seen, initiator, json_integer(wall_s())) == 0)
		m->seen_unsaved = true;
}

void seen_tick(struct monitor *m)
{
	json_int_t now_s = wall_s();

	if (clock_ms() < m->seen_saved_ms + SAVE_EVERY_MS)
		return;
	for (uint32_t k = 0; k < m->connection_max; k++) {
		const struct connection *c = &m->connections[k];

		if (c->state == CONN_GRANTED &&
		    json_integer_value(json_object_get(m->seen, c->initiator_name)) +
				    HERE_EVERY_S <=
			    now_s)
			seen_note(m, c->initiator_name);
	}
	if (m->seen_unsaved)
		seen_save(m);
	m->seen_saved_ms = clock_ms();
}

void seen_close(struct monitor *m)
{
	json_decref(TAKE(m->seen));
}

/* --- what an operator is told ---------------------------------------------------------------- */

/* The first so many are listed, the others counted. */
struct warnings {
	json_t *list;
	size_t count;
};

static void PRINTF_LIKE(2, 3) warn(struct warnings *w, const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (w->count++ >= LISTED_MOST)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	json_array_append_new(w->list, json_string(text));
}

static void count_rest(struct warnings *w, const char *what)
{
	char text[128];

	if (w->count > LISTED_MOST) {
		(void)snprintf(text, sizeof text, "%zu more %s", w->count - LISTED_MOST, what);
		json_array_append_new(w->list, json_string(text));
	}
	w->count = 0;
}

json_t *warnings_json(const struct store_list *secrets, json_t *seen, uint64_t now_s)
{
	struct warnings w = {.list = json_array()};
	const char *name;
	json_t *at;

	for (size_t k = 0; k < secrets->count; k++) {
		const struct store_entry *e = &secrets->entries[k];

		if (e->until_s == 0 && e->created_s + SECRET_OLD_S < now_s)
			warn(&w, "the secret of %s is %llu days old: sallyport secret rotate %s",
			     e->name, (unsigned long long)((now_s - e->created_s) / 86400),
			     e->name);
	}
	count_rest(&w, "secrets are older than a year: sallyport secret list");
	json_object_foreach(seen, name, at)
	{
		uint64_t was_s = (uint64_t)MAX(json_integer_value(at), 0);

		if (was_s + UNSEEN_S < now_s)
			warn(&w,
			     "initiator %s was not seen for %llu days: if it is gone, take it out "
			     "of the policy",
			     name, (unsigned long long)((now_s - was_s) / 86400));
	}
	count_rest(&w, "initiators were not seen for 90 days");
	return w.list;
}
