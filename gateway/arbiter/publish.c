/* Writes the arbiter's page: the state under a sequence lock, the events one after the other,
 * then a new generation, which makes every session look. Runs in the arbiter. */
#include "gateway/arbiter/court.h"

void tell_changed(struct court *c, const struct disk_set *disks)
{
	atomic_fetch_add(&c->page->changes, 1);
	for (struct member *m = c->members; m != NULL; m = m->next_member) {
		bool concerned = false;

		for (unsigned k = 0; k < m->lun_count; k++)
			concerned = concerned || disk_has(disks, m->luns[k].disk);
		if (concerned && !m->condemned)
			c->ops->changed(m);
	}
}

static void publish_events(struct arbiter_disk *disk, const struct arbiter_record *r)
{
	uint64_t at = atomic_load(&disk->event_count);
	uint64_t words[3];

	while (at < r->event_count) {
		uint64_t left = r->event_count - at;
		const struct arbiter_event *e = &r->events[r->event_new - MIN(left, r->event_new)];

		memcpy(words, e, sizeof words);
		for (size_t k = 0; k < ARRAY_LEN(words); k++)
			atomic_store(&disk->events[at % ARBITER_EVENTS][k], words[k]);
		atomic_store(&disk->event_count, ++at);
	}
}

static void publish_state(struct arbiter_disk *disk, const struct arbiter_record *r)
{
	uint64_t words[ARBITER_STATE_WORDS];

	memcpy(words, &r->state, sizeof words);
	atomic_store(&disk->sequence, atomic_load(&disk->sequence) | 1);
	atomic_thread_fence(memory_order_release);
	for (size_t k = 0; k < ARBITER_STATE_WORDS; k++)
		atomic_store_explicit(&disk->state[k], words[k], memory_order_relaxed);
	atomic_store(&disk->sequence, atomic_load(&disk->sequence) + 1);
}

void publish_generation(struct court *c, unsigned d)
{
	atomic_fetch_add(&c->page->generations[d], 1);
}

static void tell_published(const struct court *c, unsigned d)
{
	if (c->ops->published != NULL)
		c->ops->published(d);
}

void publish(struct court *c, unsigned d)
{
	if (c->records[d] != NULL) {
		publish_state(&c->page->disks[d], c->records[d]);
		publish_events(&c->page->disks[d], c->records[d]);
	}
	publish_generation(c, d);
	tell_published(c, d);
}

/* A record without a journal knows less than the page's log. */
void publish_open(struct court *c, unsigned d)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	struct arbiter_record *r = c->records[d];

	court_recount_ranges(c, d);
	tokens_forget(c, d);
	if (r == NULL && atomic_load(&disk->sequence) != 0 && (r = court_record(c, d)) == NULL)
		return; /* no memory: nothing is admitted there */
	if (r != NULL && r->event_count < atomic_load(&disk->event_count)) {
		r->event_count = atomic_load(&disk->event_count);
		r->event_new = 0;
	}
	if (r != NULL) { /* otherwise nothing ever happened to it */
		publish_state(disk, r);
		publish_events(disk, r);
		tell_published(c, d);
	}
	atomic_store(&c->page->generations[d], ARBITER_GENERATION_FIRST(c->life));
}
