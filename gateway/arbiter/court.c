/* The court: grants exclusions in the order of their arrival, waits for whoever still has
 * something in flight, and condemns who takes too long. Runs in the arbiter. A session's
 * page may lie: that delays an exclusion by ARBITER_DRAIN_MS at most, and costs the
 * liar its life. */
#include "gateway/arbiter/court.h"

struct disk_set {
	uint64_t bits[ARBITER_DISKS_MAX / 64];
};

static bool disk_has(const struct disk_set *s, unsigned disk)
{
	return (s->bits[disk / 64] & 1ull << disk % 64) != 0;
}

static bool lun_has(const uint64_t luns[], unsigned lun)
{
	return (luns[lun / 64] & 1ull << lun % 64) != 0;
}

static void disks_of(const struct member *m, struct disk_set *ret_set)
{
	*ret_set = (struct disk_set){0};
	for (unsigned k = 0; k < m->lun_count; k++) {
		unsigned disk = m->luns[k].disk;

		if (lun_has(m->exclusion.luns, m->luns[k].lun))
			ret_set->bits[disk / 64] |= 1ull << disk % 64;
	}
}

/* --- one exclusion --- */

static bool has_in_flight(const struct court *c, const struct member *m, unsigned k)
{
	const struct arbiter_own_lun *own = &m->own->luns[m->luns[k].lun];

	return atomic_load(&own->in_flight) != 0 &&
	       atomic_load(&own->under) != atomic_load(&c->page->disks[m->luns[k].disk].generation);
}

/* What the asker named, it ended itself. */
static bool is_waited_for(const struct court *c, const struct member *m, const struct member *asker,
			  const struct disk_set *disks)
{
	for (unsigned k = 0; k < m->lun_count; k++) {
		if (m == asker && lun_has(asker->exclusion.luns, m->luns[k].lun))
			continue;
		if (disk_has(disks, m->luns[k].disk) && has_in_flight(c, m, k))
			return true;
	}
	return false;
}

/* How many LUNs of it are among the disks: it has as many to settle. */
static uint32_t places_of(const struct member *m, const struct disk_set *disks)
{
	uint32_t count = 0;

	for (unsigned k = 0; k < m->lun_count; k++)
		count += disk_has(disks, m->luns[k].disk);
	return count;
}

static void exclusion_begin(struct court *c, struct member *asker, const struct disk_set *disks,
			    uint64_t now_ms)
{
	asker->exclusion.state = EXCLUSION_ACTIVE;
	asker->exclusion.deadline_ms = now_ms + ARBITER_DRAIN_MS;
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++) {
		if (!disk_has(disks, d))
			continue;
		atomic_store(&c->page->disks[d].by, asker->connection);
		atomic_fetch_add(&c->page->disks[d].generation, 1);
	}
	atomic_fetch_add(&c->page->changes, 1);
	for (struct member *m = c->members; m != NULL; m = m->next_member) {
		uint32_t places = places_of(m, disks);

		if (places == 0 || m->condemned)
			continue;
		m->owed = MIN(m->owed, UINT32_MAX - places) + places;
		c->ops->changed(m);
	}
}

static bool exclusion_is_over(const struct court *c, const struct member *asker,
			      const struct disk_set *disks)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		if (is_waited_for(c, m, asker, disks))
			return false;
	}
	return true;
}

/* --- the queue --- */

/* Every session that an earlier arbiter had has attached, or is over. */
static bool may_act(const struct court *c)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		if (m->old && !m->hello)
			return false;
	}
	return c->gone_on;
}

static bool disks_add(struct disk_set *taken, const struct disk_set *disks)
{
	uint64_t both = 0;

	for (size_t n = 0; n < ARRAY_LEN(taken->bits); n++) {
		both |= taken->bits[n] & disks->bits[n];
		taken->bits[n] |= disks->bits[n];
	}
	return both == 0;
}

/* Begins what waits for no older one, and ends what is over; true: one ended, so look again. */
static bool queue_pass(struct court *c, uint64_t now_ms)
{
	struct disk_set taken = {0}, disks;

	for (struct member **at = &c->queue; *at != NULL; at = &(*at)->exclusion.next) {
		struct member *asker = *at;
		struct exclusion *e = &asker->exclusion;

		disks_of(asker, &disks);
		if (disks_add(&taken, &disks) && e->state == EXCLUSION_QUEUED)
			exclusion_begin(c, asker, &disks, now_ms);
		if (e->state != EXCLUSION_ACTIVE || !exclusion_is_over(c, asker, &disks))
			continue;
		*at = e->next;
		e->state = EXCLUSION_NONE;
		c->ops->done(asker, e->id);
		return true;
	}
	return false;
}

static void queue_run(struct court *c, uint64_t now_ms)
{
	while (may_act(c) && queue_pass(c, now_ms))
		;
}

static void queue_put(struct court *c, struct member *m)
{
	struct member **end = &c->queue;

	while (*end != NULL)
		end = &(*end)->exclusion.next;
	m->exclusion.next = NULL;
	*end = m;
}

static void queue_drop(struct court *c, struct member *m)
{
	struct member **at = &c->queue;

	while (*at != NULL && *at != m)
		at = &(*at)->exclusion.next;
	if (*at != NULL)
		*at = m->exclusion.next;
	m->exclusion.state = EXCLUSION_NONE;
}

/* --- what sessions say --- */

static int hear_hello(struct court *c, struct member *m, const void *body)
{
	struct arbiter_hello hello;

	memcpy(&hello, body, sizeof hello);
	if (hello.life != c->life)
		return -EPROTO;
	m->hello = true;
	return 0;
}

static bool holds_all(const struct member *m, const uint64_t luns[])
{
	unsigned held = 0, asked = 0;

	for (unsigned n = 0; n < ARBITER_LUNS / 64; n++)
		asked += (unsigned)__builtin_popcountll(luns[n]);
	for (unsigned k = 0; k < m->lun_count; k++)
		held += lun_has(luns, m->luns[k].lun);
	return asked > 0 && held == asked;
}

static int hear_exclude(struct court *c, struct member *m, const void *body)
{
	struct arbiter_exclude exclude;

	memcpy(&exclude, body, sizeof exclude);
	if (!m->hello || m->exclusion.state != EXCLUSION_NONE || exclude.why != ARBITER_RESET ||
	    !holds_all(m, exclude.luns))
		return -EPROTO;
	m->exclusion = (struct exclusion){.state = EXCLUSION_QUEUED, .id = exclude.id};
	memcpy(m->exclusion.luns, exclude.luns, sizeof m->exclusion.luns);
	queue_put(c, m);
	return 0;
}

static int hear_settled(struct court *c, struct member *m, const void *body)
{
	(void)c;
	(void)body;
	if (m->owed == 0)
		return -EPROTO;
	m->owed--;
	return 0;
}

static const struct {
	uint32_t type;
	int (*hear)(struct court *c, struct member *m, const void *body);
} words[] = {
	{ARBITER_HELLO, hear_hello},
	{ARBITER_EXCLUDE, hear_exclude},
	{ARBITER_SETTLED, hear_settled},
};

int court_hear(struct court *c, struct member *m, const struct message *msg, uint64_t now_ms)
{
	int r = -EPROTO;

	for (size_t k = 0; k < ARRAY_LEN(words) && !m->condemned; k++) {
		if (words[k].type == msg->type)
			r = words[k].hear(c, m, msg->body);
	}
	if (r == 0)
		queue_run(c, now_ms);
	return r;
}

/* --- time --- */

/* It stays until the monitor says that it is over: its I/O may still be on the way. What it asked
 * for is not begun any more. */
void court_condemn(struct court *c, struct member *m, enum arbiter_blame blame)
{
	if (m->condemned)
		return;
	m->condemned = true;
	if (m->exclusion.state == EXCLUSION_QUEUED)
		queue_drop(c, m);
	c->ops->kill(m, blame);
}

static void condemn_undrained(struct court *c, const struct member *asker)
{
	struct disk_set disks;

	disks_of(asker, &disks);
	for (struct member *m = c->members; m != NULL; m = m->next_member) {
		if (is_waited_for(c, m, asker, &disks))
			court_condemn(c, m, ARBITER_NOT_DRAINED);
	}
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
	/* condemning drops who is queued, never who is active */
	for (struct member *m = c->queue; m != NULL; m = m->exclusion.next) {
		struct exclusion *e = &m->exclusion;

		if (e->state != EXCLUSION_ACTIVE || e->deadline_ms == 0 || now_ms < e->deadline_ms)
			continue;
		e->deadline_ms = 0;
		condemn_undrained(c, m);
	}
	queue_run(c, now_ms);
}

uint64_t court_next_tick(const struct court *c)
{
	uint64_t next = c->attach_deadline_ms;

	for (const struct member *m = c->queue; m != NULL; m = m->exclusion.next) {
		uint64_t at = m->exclusion.state == EXCLUSION_ACTIVE ? m->exclusion.deadline_ms : 0;

		if (at != 0 && (next == 0 || at < next))
			next = at;
	}
	return next;
}

/* --- what the monitor says --- */

void court_open(struct court *c, struct arbiter_page *page, uint32_t life,
		const struct court_ops *ops)
{
	*c = (struct court){.page = page, .ops = ops, .life = life};
	for (unsigned d = 0; d < ARBITER_DISKS_MAX; d++) {
		atomic_store(&page->disks[d].by, 0);
		atomic_store(&page->disks[d].generation, ARBITER_GENERATION_FIRST(life));
	}
	atomic_store(&page->changes, ARBITER_GENERATION_FIRST(life));
}

int court_attach(struct court *c, struct member *m, const struct arbiter_attach *info)
{
	for (unsigned lun = 0; lun < ARBITER_LUNS; lun++) {
		if (info->disks[lun] > ARBITER_DISKS_MAX)
			return -EINVAL;
		if (info->disks[lun] == 0)
			continue;
		m->luns[m->lun_count].lun = (uint16_t)lun;
		m->luns[m->lun_count++].disk = (uint16_t)(info->disks[lun] - 1);
	}
	m->connection = info->connection;
	m->old = info->old != 0;
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
	queue_drop(c, m);
	queue_run(c, now_ms);
}

void court_go(struct court *c, uint64_t now_ms)
{
	c->gone_on = true;
	c->attach_deadline_ms = now_ms + ARBITER_DRAIN_MS;
	queue_run(c, now_ms);
}
