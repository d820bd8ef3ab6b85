/* Disks that come and go while the gateway runs, and sessions that get more: the monitor's word
 * alone, which is trusted. A row of the page that is given back has no generation, so nobody
 * admits anything there; it is given to another disk when its own is forgotten. Runs in the
 * arbiter. */
#include "gateway/arbiter/court.h"

static bool is_somebodys(const struct court *c, unsigned d)
{
	for (const struct member *m = c->members; m != NULL; m = m->next_member) {
		for (unsigned k = 0; k < m->lun_count; k++) {
			if (m->luns[k].disk == d)
				return true;
		}
	}
	return false;
}

/* What it grew to, the monitor says again. Who left it meanwhile is swept. */
void court_row_take(struct court *c, unsigned d, uint64_t now_ms)
{
	if (d >= ARBITER_DISKS_MAX)
		return;
	if (c->records[d] != NULL)
		c->records[d]->state.size = 0;
	c->disks = MAX(c->disks, d + 1);
	publish_open(c, d);
	c->swept[d / 64] |= 1ull << d % 64;
	queue_run(c, now_ms);
}

/* -EBUSY: a member has it still. */
int court_row_free(struct court *c, unsigned d)
{
	if (d >= c->disks)
		return -EINVAL;
	if (is_somebodys(c, d))
		return -EBUSY;
	atomic_store(&c->page->generations[d], 0);
	court_recount_ranges(c, d);
	tokens_revoke(c, d);
	c->swept[d / 64] &= ~(1ull << d % 64);
	disk_set(&c->clears, d, false);
	disk_set(&c->forgets, d, false);
	disk_set(&c->news, d, false);
	disk_set(&c->lows, d, false);
	disk_set(&c->unkept, d, false);
	c->sizes[d] = 0;
	free(TAKE(c->records[d]));
	return 0;
}

/* --- a member that gets more --- */

static int lun_take(struct member *m, unsigned lun, unsigned disk, bool writable)
{
	unsigned k = 0;

	while (k < m->lun_count && m->luns[k].lun != lun)
		k++;
	if (k < m->lun_count && m->luns[k].disk != disk)
		return -EINVAL;
	if (k == m->lun_count)
		m->luns[m->lun_count++] =
			(struct member_lun){.lun = (uint16_t)lun, .disk = (uint16_t)disk};
	m->luns[k].writable = writable;
	return 0;
}

void member_groups(struct member *m, const struct arbiter_attach *info)
{
	for (size_t k = 0; k < ARBITER_GROUPS; k++) {
		m->groups[k].tag = info->groups[k];
		m->groups[k].port = arbiter_port_id(info->target, info->groups[k]);
	}
}

/* Places of LUNs stay: petitions know them. */
int member_luns(struct court *c, struct member *m, const struct arbiter_attach *info)
{
	int r = 0;

	for (unsigned lun = 0; lun < ARBITER_LUNS && r == 0; lun++) {
		if (info->disks[lun] > c->disks)
			r = -EINVAL;
		else if (info->disks[lun] != 0)
			r = lun_take(m, lun, info->disks[lun] - 1u, lun_has(info->writable, lun));
	}
	return r;
}
