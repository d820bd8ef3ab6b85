/* A hash table with chains, cleared at each segment. Used by the review; its content
 * comes from files and is hostile. */
#include "gateway/audit/sessions.h"

#define BUCKETS	     4096u
#define SESSIONS_MAX 65536u

struct entry {
	struct entry *next;
	struct auditor_ring_info info;
};

struct sessions {
	struct entry *buckets[BUCKETS];
	size_t count;
};

struct sessions *sessions_new(void)
{
	return calloc(1, sizeof(struct sessions));
}

void sessions_clear(struct sessions *s)
{
	for (size_t i = 0; i < BUCKETS && s->count > 0; i++) {
		struct entry *e = s->buckets[i];

		for (s->buckets[i] = NULL; e; s->count--) {
			struct entry *next = e->next;

			free(e);
			e = next;
		}
	}
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	sessions_clear(s);
	free(s);
}

static struct entry *find(const struct sessions *s, uint32_t connection)
{
	struct entry *e = s->buckets[connection % BUCKETS];

	while (e && e->info.connection != connection)
		e = e->next;
	return e;
}

void sessions_put(struct sessions *s, const struct auditor_ring_info *info)
{
	struct entry *e = find(s, info->connection);

	if (!e) {
		if (s->count == SESSIONS_MAX || !(e = calloc(1, sizeof *e)))
			return;
		e->next = s->buckets[info->connection % BUCKETS];
		s->buckets[info->connection % BUCKETS] = e;
		s->count++;
	}
	e->info = *info;
}

const struct auditor_ring_info *sessions_find(const struct sessions *s, uint32_t connection)
{
	const struct entry *e = connection ? find(s, connection) : NULL;

	return e ? &e->info : NULL;
}

void sessions_each(const struct sessions *s,
		   void (*visit)(void *arg, const struct auditor_ring_info *info), void *arg)
{
	for (size_t i = 0; i < BUCKETS && s->count > 0; i++)
		for (const struct entry *e = s->buckets[i]; e; e = e->next)
			visit(arg, &e->info);
}
