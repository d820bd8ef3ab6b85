/* The disks of the policy: claimed once at start, so that a mounted device or another
 * gateway's disk is refused; looked at every second, so that one that shrank or
 * vanished is noticed by a person too. */
#include <stdio.h>
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

static const enum disk_kind kinds[] = {
	[POLICY_FILE] = DISK_FILE,
	[POLICY_DEVICE] = DISK_DEVICE,
	[POLICY_MEMORY] = DISK_MEMORY,
};

static int disk_begin(struct monitor *m, struct monitor_disk *d, const struct policy_disk *p)
{
	struct disk_spec spec = {
		.kind = kinds[p->kind],
		.name = p->name,
		.path = p->path,
		.size_bytes = p->size_bytes,
		.read_only = p->read_only,
		.roots = (const char *const *)m->policy->disk_roots,
		.root_count = m->policy->disk_root_count,
	};
	char why[512];
	int r;

	d->policy = p;
	d->disk.claim_fd = -1;
	r = disk_claim(&spec, &d->disk, why, sizeof why);
	if (r < 0) {
		log_error("%s:%u: %s", m->policy_path, p->line, why);
		return r;
	}
	if (d->disk.size_bytes % p->block_size != 0) {
		log_error("%s:%u: the disk %s ends within a block of %u octets: write the "
			  "block_size that it was used with",
			  m->policy_path, p->line, p->name, p->block_size);
		return -EINVAL;
	}
	if (p->thin == POLICY_YES && !d->disk.thin)
		log_warning("%s:%u: the disk %s can't give room back, and is served so: its file "
			    "system or its device has no way to",
			    m->policy_path, p->line, p->name);
	d->disk.thin = d->disk.thin && p->thin != POLICY_NO;
	if (p->rotational != POLICY_AS_FOUND)
		d->disk.rotational = p->rotational == POLICY_YES;
	m->largest_disk = MAX(m->largest_disk, d->disk.size_bytes);
	return 0;
}

int disks_open(struct monitor *m)
{
	int worst = 0;

	m->disks = calloc(m->policy->disk_count + 1, sizeof *m->disks);
	if (m->disks == NULL)
		return -ENOMEM;
	for (size_t k = 0; k < m->policy->disk_count; k++) {
		int r = disk_begin(m, &m->disks[k], &m->policy->disks[k]);

		worst = r < 0 ? r : worst; /* all mistakes in one go */
	}
	return worst;
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
	log_error("disk %s %s (%s, told by %s); its initiators get errors", d->policy->name,
		  rows[k].text, strerror(-error), who);
	trail_say(m, EVENT_DISK, rows[k].reason, "disk %s: %s, told by %s", d->policy->name,
		  strerror(-error), who);
}

void disk_back(struct monitor *m, struct monitor_disk *d)
{
	if (d->error == 0)
		return;
	d->error = 0;
	log_notice("disk %s is there again; an initiator that got errors logs in again to use it",
		   d->policy->name);
	trail_say(m, EVENT_DISK, "back", "disk %s", d->policy->name);
}

void disks_check(struct monitor *m)
{
	disk_news_go_on(m);
	for (size_t k = 0; k < m->policy->disk_count; k++) {
		int r = disk_check(&m->disks[k].disk);

		if (r < 0)
			disk_failed(m, &m->disks[k], r, "the monitor");
		else if (m->disks[k].checked < 0)
			disk_back(m, &m->disks[k]);
		m->disks[k].checked = r;
		if (r == 0)
			disk_look(m, &m->disks[k]);
	}
}

void disks_close(struct monitor *m)
{
	for (size_t k = 0; m->disks != NULL && k < m->policy->disk_count; k++)
		disk_release(&m->disks[k].disk);
	free(m->disks);
	m->disks = NULL;
}
