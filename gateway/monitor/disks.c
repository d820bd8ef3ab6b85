/* The disks that are served, each in a row of its own: claimed when a policy that has them is
 * taken up, so that a mounted device or another gateway's disk is refused; looked at every
 * second, so that one that shrank or vanished is noticed by a person too; given up when the
 * policy has them no more and no session does. Runs in the monitor. */
#include <stdio.h>
#include "gateway/base/log.h"
#include "gateway/monitor/reload.h"

static const enum disk_kind kinds[] = {
	[POLICY_FILE] = DISK_FILE,
	[POLICY_DEVICE] = DISK_DEVICE,
	[POLICY_MEMORY] = DISK_MEMORY,
};

struct monitor_disk *disk_next(const struct monitor *m, size_t *row)
{
	while (*row < m->disk_end && m->disks[*row] == NULL)
		(*row)++;
	return *row < m->disk_end ? m->disks[*row] : NULL;
}

struct monitor_disk *disk_find(const struct monitor *m, const char *name)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	{
		if (!d->leaves && strcmp(d->policy.name, name) == 0)
			return d;
	}
	return NULL;
}

/* --- before a policy is in force --- */

static const char *path_of(const struct policy_disk *p)
{
	return p->path != NULL ? p->path : "";
}

static bool is_same_place(const struct monitor_disk *d, const struct policy_disk *p)
{
	return d->disk.kind == kinds[p->kind] && strcmp(d->disk.path, path_of(p)) == 0;
}

/* Served already, and as it is: the same UUID, the same file. Blocks of another size would be other
 * blocks to who shares it; and who writes around the page cache has nobody beside it who writes
 * through it, since a page that goes back takes blocks along that were not its writer's. */
static struct monitor_disk *served_find(const struct monitor *m, const struct policy_disk *p,
					const char *serial)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	{
		if (!d->leaves && strcmp(d->serial, serial) == 0 && is_same_place(d, p) &&
		    d->policy.block_size == p->block_size && d->policy.direct == p->direct &&
		    disk_check(&d->disk) != -ESTALE)
			return d;
	}
	return NULL;
}

/* One of ours that has this file, under whatever name. */
static const struct disk *held_find(const struct monitor *m, const struct policy_disk *p)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	{
		if (p->path != NULL && is_same_place(d, p))
			return &d->disk;
	}
	return NULL;
}

/* The lowest free row from `from` on, or -1. */
static int row_find(const struct monitor *m, size_t from)
{
	while (from < ARBITER_DISKS_MAX && m->disks[from] != NULL)
		from++;
	return from < ARBITER_DISKS_MAX ? (int)from : -1;
}

static struct disk_spec spec_of(const struct monitor *m, const struct setup *s,
				const struct policy_disk *p)
{
	return (struct disk_spec){
		.kind = kinds[p->kind],
		.name = p->name,
		.path = p->path,
		.size_bytes = p->size_bytes,
		.read_only = p->read_only,
		.direct = p->direct,
		.block_size = p->block_size,
		.roots = (const char *const *)s->policy->disk_roots,
		.root_count = s->policy->disk_root_count,
		.held = held_find(m, p),
	};
}

static int claim(const struct monitor *m, struct setup *s, const struct policy_disk *p,
		 struct monitor_disk *d)
{
	struct disk_spec spec = spec_of(m, s, p);
	char why[512];
	int r = disk_claim(&spec, &d->disk, why, sizeof why);

	if (r < 0)
		setup_say(s, "%s:%u: %s", m->policy_path, p->line, why);
	return r;
}

static int disk_begin(const struct monitor *m, struct setup *s, const struct policy_disk *p,
		      struct monitor_disk *d)
{
	int r;

	d->disk.claim_fd = -1;
	if ((r = claim(m, s, p, d)) < 0)
		return r;
	if (d->disk.size_bytes % p->block_size != 0) {
		setup_say(s,
			  "%s:%u: the disk %s ends within a block of %u octets: write the "
			  "block_size that it was used with",
			  m->policy_path, p->line, p->name, p->block_size);
		return -EINVAL;
	}
	if (p->thin == POLICY_YES && !d->disk.thin)
		log_warning("%s:%u: the disk %s can't give room back, and is served so: its file "
			    "system or its device has no way to",
			    m->policy_path, p->line, p->name);
	d->found_thin = d->disk.thin;
	d->found_rotational = d->disk.rotational;
	return 0;
}

static int plan_new(const struct monitor *m, struct setup *s, size_t k, size_t *from)
{
	struct monitor_disk *d = calloc(1, sizeof *d);
	int row = row_find(m, *from);

	s->disks[k].fresh = d;
	if (d == NULL)
		return -ENOMEM;
	d->disk.claim_fd = -1;
	if (row < 0) {
		setup_say(s,
			  "%s:%u: there is no room for the disk %s while sessions still have "
			  "disks that are given up: again when they are over",
			  m->policy_path, s->policy->disks[k].line, s->policy->disks[k].name);
		return -ENOSPC;
	}
	d->row = (uint16_t)row;
	*from = (size_t)row + 1;
	return disk_begin(m, s, &s->policy->disks[k], d);
}

/* It may be written from now on, or no more: claimed once more, beside the claim that there is. */
static int plan_access(const struct monitor *m, struct setup *s, const struct policy_disk *p,
		       struct disk_plan *plan)
{
	plan->fresh = calloc(1, sizeof *plan->fresh);
	if (plan->fresh == NULL)
		return -ENOMEM;
	return disk_begin(m, s, p, plan->fresh);
}

/* One that is served already keeps what it has, or is larger from now on. */
static int plan_served(const struct monitor *m, struct setup *s, const struct policy_disk *p,
		       struct disk_plan *plan)
{
	const struct monitor_disk *d = plan->row;
	struct disk_spec spec = spec_of(m, s, p);
	char why[512];
	int r = disk_allowed(&spec, why, sizeof why);

	if (r < 0)
		setup_say(s, "%s:%u: %s", m->policy_path, p->line, why);
	if (r == 0 && p->read_only != d->policy.read_only)
		r = plan_access(m, s, p, plan);
	if (r == 0 && p->size_bytes > d->disk.size_bytes && disk_check(&d->disk) < 0) {
		setup_say(s,
			  "%s:%u: the disk %s is smaller than it was: restore it before it grows",
			  m->policy_path, p->line, p->name);
		return -ENODATA;
	}
	if (r < 0 || p->size_bytes == 0 || s->goes_back || p->size_bytes == d->disk.size_bytes ||
	    (p->kind == POLICY_FILE && p->size_bytes > d->disk.size_bytes))
		return r;
	if (p->kind == POLICY_MEMORY)
		setup_say(s,
			  "%s:%u: the disk %s is in memory, whose size can't change while it is "
			  "served: give it another name (what it holds is lost)",
			  m->policy_path, p->line, p->name);
	else
		setup_say(s,
			  "%s:%u: the disk %s has %ju octets, more than its size in the policy, "
			  "%ju: correct the policy (a file is never cut)",
			  m->policy_path, p->line, p->name, (uintmax_t)d->disk.size_bytes,
			  (uintmax_t)p->size_bytes);
	return -EINVAL;
}

int disks_prepare(struct monitor *m, struct setup *s)
{
	size_t from = 0;
	int worst = 0;

	for (size_t k = 0; k < s->policy->disk_count; k++) {
		const struct policy_disk *p = &s->policy->disks[k];
		struct disk_plan *plan = &s->disks[k];
		int r;

		plan->row = served_find(m, p, plan->serial);
		r = plan->row != NULL ? plan_served(m, s, p, plan) : plan_new(m, s, k, &from);
		worst = r < 0 ? r : worst; /* all mistakes in one go */
	}
	return worst;
}

void disks_undo(struct setup *s)
{
	for (size_t k = 0; s->disks != NULL && k < s->policy->disk_count; k++) {
		if (s->disks[k].fresh != NULL)
			disk_release(&s->disks[k].fresh->disk);
		free(TAKE(s->disks[k].fresh));
	}
}

/* --- in force --- */

static void disk_grow_to(const struct monitor *m, struct monitor_disk *d, uint64_t size)
{
	int r;

	if (d->disk.kind != DISK_FILE || size <= d->disk.size_bytes)
		return;
	r = disk_grow(&d->disk, size); /* the next look at it finds it grown */
	if (r < 0)
		log_error("%s:%u: disk %s can't be made larger: %s; it is served as it is",
			  m->policy_path, d->policy.line, d->policy.name, strerror(-r));
}

/* What the policy and the state folder say of it. */
static void disk_settle(struct monitor *m, struct monitor_disk *d, const struct policy_disk *p,
			const struct disk_plan *plan)
{
	d->policy = *p;
	d->policy.path = NULL;
	d->policy.formerly = NULL;
	d->policy.formerly_count = 0;
	memcpy(d->serial, plan->serial, sizeof d->serial);
	d->told = plan->told;
	d->disk.thin = d->found_thin && p->thin != POLICY_NO;
	d->disk.rotational = p->rotational == POLICY_AS_FOUND ? d->found_rotational
							      : p->rotational == POLICY_YES;
	disk_grow_to(m, d, p->size_bytes);
	m->largest_disk = MAX(m->largest_disk, d->disk.size_bytes);
}

static void claim_take(struct monitor_disk *d, struct monitor_disk *fresh)
{
	struct disk old = d->disk;

	fresh->disk.size_bytes = MAX(fresh->disk.size_bytes, old.size_bytes);
	d->disk = fresh->disk;
	d->found_thin = fresh->found_thin;
	fresh->disk = old; /* given up with what else is left of the setup */
}

static void leaving_count(struct monitor *m)
{
	struct monitor_disk *d;

	m->disks_leaving = 0;
	EACH_DISK(m, d, row)
	m->disks_leaving += d->leaves;
}

void disks_commit(struct monitor *m, struct setup *s)
{
	uint64_t largest = m->largest_disk;
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	d->leaves = true;
	for (size_t k = 0; k < s->policy->disk_count; k++) {
		struct disk_plan *plan = &s->disks[k];

		if (plan->row != NULL && plan->fresh != NULL)
			claim_take(plan->row, plan->fresh);
		d = plan->row != NULL ? plan->row : TAKE(plan->fresh);
		d->leaves = false;
		m->disks[d->row] = d;
		m->disk_end = MAX(m->disk_end, (size_t)d->row + 1);
		s->disk_rows[k] = d->row;
		disk_settle(m, d, &s->policy->disks[k], plan);
		writers_commit(m, d);
	}
	leaving_count(m);
	if (m->serving && m->largest_disk > largest)
		limits_raise(m, m->largest_disk);
}

/* --- rows --- */

static bool is_used(const struct monitor *m, uint16_t row)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		const struct connection *c = &m->connections[k];

		for (size_t n = 0; c->state != CONN_FREE && n < c->lun_count; n++) {
			if (c->luns[n].row == row)
				return true;
		}
	}
	return false;
}

/* Its file, or its identity, is still another row's, whose sessions are not over. */
bool disk_waits(const struct monitor *m, const struct monitor_disk *d)
{
	const struct monitor_disk *e;

	if (d->leaves || m->disks_leaving == 0)
		return false;
	EACH_DISK(m, e, row)
	{
		bool same = e->disk.dev == d->disk.dev && e->disk.ino == d->disk.ino;

		if (e->leaves && (same || strcmp(e->serial, d->serial) == 0))
			return true;
	}
	return false;
}

static int row_tell(struct monitor *m, const struct monitor_disk *d)
{
	struct arbiter_row body = {.row = d->row, .taken = !d->leaves};

	if (!d->leaves) {
		(void)string_copy(body.identity.serial, sizeof body.identity.serial, d->serial);
		(void)string_copy(body.identity.name, sizeof body.identity.name, d->policy.name);
	}
	return helper_send(&m->helpers[HELPER_ARBITER], ARBITER_ROW, &body, sizeof body, -1);
}

/* One that died has nothing to forget, and the next one begins with what there is then. */
static int row_give_back(struct monitor *m, struct monitor_disk *d)
{
	const struct helper *arbiter = &m->helpers[HELPER_ARBITER];
	int r = 0;

	if (arbiter->pid != 0 && d->known)
		r = m->arbiter_told ? row_tell(m, d) : -EAGAIN;
	if (r == -EAGAIN)
		return r;
	log_info("disk %s is given up: nobody has it any more", d->policy.name);
	m->disks[d->row] = NULL;
	m->disks_leaving--;
	disk_release(&d->disk);
	free(d);
	return 0;
}

int disks_go_on(struct monitor *m)
{
	struct monitor_disk *d;
	int r = 0;

	for (size_t row = 0; m->disks_leaving > 0 && (d = disk_next(m, &row)) != NULL; row++) {
		if (d->leaves && !is_used(m, d->row) && (r = row_give_back(m, d)) < 0)
			return r;
	}
	if (!m->arbiter_told)
		return 0;
	EACH_DISK(m, d, row)
	{
		if (d->known || disk_waits(m, d))
			continue;
		if ((r = row_tell(m, d)) < 0)
			return r;
		d->known = true;
	}
	return 0;
}

void disk_failed(struct monitor *m, struct monitor_disk *d, int error, const char *who)
{
	static const struct {
		int error;
		const char *reason, *text;
	} rows[] = {
		{-ENODATA, "shrank", "is smaller than it was: restore its size"},
		{-ESTALE, "vanished", "was deleted or replaced: put the file back and restart"},
		{0, "failed", "failed"},
	};
	size_t k = 0;

	if (d->error == error)
		return;
	d->error = error;
	while (rows[k].error != error && rows[k].error != 0)
		k++;
	log_error("disk %s %s (%s, told by %s); its initiators get errors", d->policy.name,
		  rows[k].text, strerror(-error), who);
	trail_say(m, EVENT_DISK, rows[k].reason, "disk %s: %s, told by %s", d->policy.name,
		  strerror(-error), who);
}

void disk_back(struct monitor *m, struct monitor_disk *d)
{
	if (d->error == 0)
		return;
	d->error = 0;
	log_notice("disk %s is there again; an initiator that got errors logs in again to use it",
		   d->policy.name);
	trail_say(m, EVENT_DISK, "back", "disk %s", d->policy.name);
}

void disks_check(struct monitor *m)
{
	struct monitor_disk *d;

	disk_news_go_on(m);
	EACH_DISK(m, d, row)
	{
		int r = disk_check(&d->disk);

		if (r < 0)
			disk_failed(m, d, r, "the monitor");
		else if (d->checked < 0)
			disk_back(m, d);
		d->checked = r;
		if (r == 0)
			disk_look(m, d);
	}
}

void disks_close(struct monitor *m)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	{
		disk_release(&d->disk);
		free(TAKE(m->disks[row]));
	}
	free(TAKE(m->disk_rows));
}
