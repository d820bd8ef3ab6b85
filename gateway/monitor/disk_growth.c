/* Disks that grow while they are served, and room that runs out below them: looked at each second,
 * told to the arbiter, which tells every session. Sessions may write further before they
 * hear of it. Trusts the file system and the device. */
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

/* SBC-3's soft threshold, and when it may be told of again, in hundredths of what is below. */
#define LOW_BELOW  10u
#define WELL_ABOVE 12u

static void look_at_size(struct monitor *m, struct monitor_disk *d)
{
	uint64_t size;

	if (disk_size(&d->disk, &size) < 0)
		return;
	size -= size % d->policy.block_size;
	if (size <= d->disk.size_bytes)
		return;
	log_notice("disk %s grew from %ju to %ju octets", d->policy.name,
		   (uintmax_t)d->disk.size_bytes, (uintmax_t)size);
	trail_say(m, EVENT_DISK, "grew", "disk %s: %ju octets", d->policy.name, (uintmax_t)size);
	d->disk.size_bytes = size;
	d->grew = d->has_news = true;
	if (size <= m->largest_disk)
		return;
	m->largest_disk = size;
	limits_raise(m, size);
}

static void look_at_room(struct monitor *m, struct monitor_disk *d)
{
	uint64_t total, left;

	if (!d->disk.thin || disk_room(&d->disk, &total, &left) < 0)
		return;
	if (left / WELL_ABOVE >= total / 100)
		d->low = false;
	if (d->low || left / LOW_BELOW >= total / 100)
		return;
	d->low = d->tell_low = d->has_news = true;
	log_warning("disk %s: %ju of %ju octets are free on the file system below it: make room, "
		    "or its initiators get errors when it is full",
		    d->policy.name, (uintmax_t)left, (uintmax_t)total);
	trail_say(m, EVENT_DISK, "low-on-room", "disk %s: %ju octets are free", d->policy.name,
		  (uintmax_t)left);
}

void disk_look(struct monitor *m, struct monitor_disk *d)
{
	look_at_size(m, d);
	look_at_room(m, d);
}

void disk_news_go_on(struct monitor *m)
{
	struct helper *arbiter = &m->helpers[HELPER_ARBITER];
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	{
		struct arbiter_news news = {
			.disk = d->row,
			.low = d->tell_low,
			.size = d->grew ? d->disk.size_bytes : 0,
		};

		if (!d->has_news || !arbiter->ready || !limits_are_raised(m))
			continue;
		if (helper_send(arbiter, ARBITER_NEWS, &news, sizeof news, -1) < 0)
			return; /* again at the next tick */
		d->has_news = d->tell_low = false;
	}
}

void disk_news_again(struct monitor *m)
{
	struct monitor_disk *d;

	EACH_DISK(m, d, row)
	d->has_news = d->has_news || d->grew;
}
