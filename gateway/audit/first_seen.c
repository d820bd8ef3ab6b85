/* First appearances, from the events of a trail. */
#include "gateway/audit/first_seen.h"

struct name_entry {
	char name[ISCSI_NAME_SIZE];
};

struct ip_entry {
	struct ip ip;
};

void first_seen_open(struct first_seen *s)
{
	for (int accepted = 0; accepted < 2; accepted++) {
		size_t most = accepted ? FIRST_SEEN_ACCEPTED : FIRST_SEEN_REFUSED;

		table_open(&s->of[accepted].pairs, sizeof(struct seen_pair),
			   sizeof(struct seen_key), most);
		table_open(&s->of[accepted].initiators, sizeof(struct name_entry),
			   sizeof(struct name_entry), most);
		table_open(&s->of[accepted].addresses, sizeof(struct ip_entry),
			   sizeof(struct ip_entry), most);
	}
}

void first_seen_close(struct first_seen *s)
{
	for (int accepted = 0; accepted < 2; accepted++) {
		table_close(&s->of[accepted].pairs);
		table_close(&s->of[accepted].initiators);
		table_close(&s->of[accepted].addresses);
	}
}

/* Was there no such entry yet? It is there afterwards, if there is room. `accepted`: of those that
 * were let in, who are known to everybody. */
static bool is_new(struct table *t, const struct table *accepted, const void *key)
{
	size_t before = t->count;

	(void)table_get(t, key);
	return t->count > before && (t == accepted || !table_find(accepted, key));
}

static void begin(struct first_seen *s, struct seen_pair *p, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;

	p->first_ns = r->frame.stamp.time_ns;
	p->first_sequence = r->frame.stamp.sequence;
	p->kind = (enum audit_event_kind)e->kind;
	string_copy(p->reason, sizeof p->reason, e->reason);
	string_copy(p->user, sizeof p->user, e->user);
	string_copy(p->target, sizeof p->target, e->target);
	if (p->key.initiator[0] &&
	    is_new(&s->of[p->accepted].initiators, &s->of[1].initiators, p->key.initiator))
		p->fresh |= SEEN_INITIATOR;
	if (p->key.ip.version &&
	    is_new(&s->of[p->accepted].addresses, &s->of[1].addresses, &p->key.ip))
		p->fresh |= SEEN_ADDRESS;
}

static bool counts(uint32_t kind)
{
	static const uint32_t kinds = 1u << EVENT_LOGIN | 1u << EVENT_DISCOVERY |
				      1u << EVENT_REFUSAL | 1u << EVENT_CONNECTION |
				      1u << EVENT_REFUSALS_COUNTED | 1u << EVENT_DECOY;

	return kind < EVENT_KINDS && (kinds >> kind & 1) != 0;
}

void first_seen_add(struct first_seen *s, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;
	struct seen_key key;
	struct seen_pair *p;
	bool accepted;

	if (r->frame.type != FRAME_EVENT || !counts(e->kind))
		return;
	accepted = e->kind == EVENT_LOGIN || e->kind == EVENT_DISCOVERY;
	memset(&key, 0, sizeof key); /* padding, too */
	string_copy(key.initiator, sizeof key.initiator, e->initiator);
	key.ip = e->peer.ip;
	p = table_get(&s->of[accepted].pairs, &key);
	if (!p)
		return;
	p->accepted = accepted;
	if (p->times == 0)
		begin(s, p, r);
	p->times += e->kind == EVENT_REFUSALS_COUNTED ? MAX(e->count, 1) : 1;
	p->last_ns = r->frame.stamp.time_ns;
}

const struct seen_pair *first_seen_next(const struct first_seen *s, size_t at[2])
{
	const struct seen_pair *found[2] = {NULL, NULL};
	int accepted;

	for (accepted = 0; accepted < 2; accepted++) {
		const struct table *t = &s->of[accepted].pairs;

		if (at[accepted] < t->count)
			found[accepted] = (const void *)t->entries[at[accepted]];
	}
	if (!found[0] && !found[1])
		return NULL;
	accepted = !found[0] || (found[1] && found[1]->first_sequence < found[0]->first_sequence);
	at[accepted]++;
	return found[accepted];
}

uint64_t first_seen_left_out(const struct first_seen *s)
{
	return s->of[0].pairs.left_out + s->of[1].pairs.left_out;
}
