/* The court's life and its members: who is taken in, condemned or over, what the monitor says
 * and whose time is up. Runs in the arbiter. What it decides: queue.c, changes.c; what
 * sessions say: hearing.c. */
#include "gateway/arbiter/court.h"

/* --- time --- */

/* It stays until the monitor says that it is over: its I/O may still be on the way. What it asked
 * for is not begun any more. */
void court_condemn(struct court *c, struct member *m, enum arbiter_blame blame)
{
	if (m->condemned)
		return;
	m->condemned = true;
	for (size_t k = 0; k < PETITIONS; k++) {
		if (m->petitions[k].state != PETITION_DRAINING)
			queue_drop(c, &m->petitions[k]);
	}
	c->ops->kill(m, blame);
}

void court_tick(struct court *c, uint64_t now_ms)
{
	if (c->attach_deadline_ms != 0 && now_ms >= c->attach_deadline_ms) {
		c->attach_deadline_ms = 0;
		for (struct member *m = c->members; m != NULL; m = m->next_member) {
			if (m->old && !m->hello)
				court_condemn(c, m, ARBITER_NOT_ATTACHED);
		}
	}
	if (c->unkept_ms != 0 && now_ms >= c->unkept_ms)
		unkept_again(c, now_ms);
	queue_tick(c, now_ms);
	tokens_tick(c);
}

uint64_t court_next_tick(const struct court *c)
{
	const uint64_t all[] = {c->attach_deadline_ms, c->unkept_ms, queue_next_tick(c),
				tokens_next_tick(c)};
	uint64_t next = 0;

	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		if (all[k] != 0 && (next == 0 || all[k] < next))
			next = all[k];
	}
	return next;
}

/* --- what the monitor says --- */

int court_open(struct court *c, struct arbiter_page *page, uint32_t life, uint32_t disks,
	       const struct court_ops *ops)
{
	c->disks = MIN(disks, ARBITER_DISKS_MAX);
	c->page = page;
	c->ops = ops;
	c->life = life;
	c->draft = calloc(1, sizeof *c->draft);
	if (c->draft == NULL)
		return -ENOMEM;
	for (unsigned d = 0; d < c->disks; d++)
		publish_open(c, d);
	atomic_store(&page->changes, ARBITER_GENERATION_FIRST(life));
	return 0;
}

void court_close(struct court *c)
{
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++)
		free(TAKE(c->records[d]));
	free(TAKE(c->draft));
	tokens_close(c);
}

int court_attach(struct court *c, struct member *m, const struct arbiter_attach *info)
{
	int r = member_luns(c, m, info);

	if (r < 0)
		return r;
	m->connection = info->connection;
	m->old = info->old != 0;
	m->relative_port = info->relative_port;
	m->port = arbiter_port_id(info->target, info->relative_port);
	m->nexus = arbiter_nexus_id(info->initiator, info->isid, m->port);
	memcpy(m->isid, info->isid, sizeof m->isid);
	member_groups(m, info);
	memcpy(m->initiator, info->initiator, sizeof m->initiator);
	m->initiator[sizeof m->initiator - 1] = '\0';
	m->next_member = c->members;
	c->members = m;
	return 0;
}

struct member *court_find(const struct court *c, uint32_t connection)
{
	struct member *m = c->members;

	while (m != NULL && m->connection != connection)
		m = m->next_member;
	return m;
}

void court_over(struct court *c, struct member *m, uint64_t now_ms)
{
	struct member **at = &c->members;

	while (*at != m)
		at = &(*at)->next_member;
	*at = m->next_member;
	for (size_t k = 0; k < PETITIONS; k++)
		queue_drop(c, &m->petitions[k]);
	for (unsigned k = 0; k < m->lun_count; k++) {
		unsigned d = m->luns[k].disk;

		court_drop_ranges(c, m, d, 0);
		c->swept[d / 64] |= 1ull << d % 64;
	}
	queue_run(c, now_ms);
}

void court_clear(struct court *c, unsigned d, bool forget, uint64_t now_ms)
{
	if (d >= c->disks)
		return;
	disk_set(&c->clears, d, true);
	disk_set(&c->forgets, d, forget);
	queue_run(c, now_ms);
}

void court_news(struct court *c, const struct arbiter_news *news, uint64_t now_ms)
{
	if (news->disk >= c->disks)
		return;
	c->sizes[news->disk] = MAX(c->sizes[news->disk], news->size);
	disk_set(&c->news, news->disk, true);
	if (news->low != 0)
		disk_set(&c->lows, news->disk, true);
	queue_run(c, now_ms);
}

/* What those left whom no arbiter saw go is seen to, now that all have come who will. */
void court_go(struct court *c, uint64_t now_ms)
{
	c->gone_on = true;
	c->attach_deadline_ms = now_ms + ARBITER_DRAIN_MS;
	for (unsigned d = 0; d < c->disks; d++) {
		court_recount_ranges(c, d);
		c->swept[d / 64] |= 1ull << d % 64;
	}
	queue_run(c, now_ms);
}
