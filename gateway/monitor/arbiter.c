/* The arbiter's page and the seats of sessions in it: made and kept here, so that a new
 * arbiter finds every session that the one before had. A session takes its seat at the
 * login and gives it up when no I/O of it can reach a disk any more; while the arbiter is
 * away, its page has no generations, and nobody admits anything. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

#define SILENT_MAX	   10	  /* times that it was asked, one a second */
#define SILENT_AT_FIRST	   60	  /* … while it reads its journal */
#define SILENT_KEEPING	   120	  /* … while it writes there, as slow as the disk may be */
#define LOGIN_NO_RESOURCES 0x0302 /* RFC 7143 section 11.13.5 */

/* No generation anywhere: no session admits a command. The arbiter that could write is dead. */
static void page_clear(const struct monitor *m)
{
	static const uint64_t none[ARBITER_DISKS_MAX];
	off_t at = offsetof(struct arbiter_page, generations);

	if (pwrite(m->arbiter_page_fd, none, sizeof none, at) != (ssize_t)sizeof none)
		log_error("the arbiter's page can't be cleared: %m");
}

/* Its journal's files are named by them. */
static int identities_make(struct monitor *m)
{
	OWNED_FREE struct arbiter_identity *list = calloc(m->disk_end + 1, sizeof *list);
	struct monitor_disk *d;

	if (list == NULL)
		return -ENOMEM;
	EACH_DISK(m, d, row)
	{
		d->known = !disk_waits(m, d);
		if (!d->known)
			continue;
		(void)string_copy(list[row].serial, sizeof list[row].serial, d->serial);
		(void)string_copy(list[row].name, sizeof list[row].name, d->policy.name);
	}
	return memfd_sealed("identities", list, m->disk_end * sizeof *list);
}

int arbiter_open(struct monitor *m)
{
	_Static_assert(POLICY_DISKS_MAX <= ARBITER_DISKS_MAX, "a policy has no more disks");

	if (getrandom(m->run, sizeof m->run, 0) != (ssize_t)sizeof m->run)
		return -EIO;
	m->arbiter_page_fd = memfd_shared("arbiter-page", sizeof(struct arbiter_page));
	return MIN(m->arbiter_page_fd, 0);
}

int seat_make(struct connection *c)
{
	c->own_fd = memfd_shared("arbiter-own", sizeof(struct arbiter_own));
	return MIN(c->own_fd, 0);
}

/* --- one seat --- */

static void disks_of(const struct connection *c, struct arbiter_attach *ret_info)
{
	*ret_info = (struct arbiter_attach){
		.connection = c->id,
		.old = c->seat_old,
		.relative_port = c->portal_tag,
	};
	(void)string_copy(ret_info->initiator, ISCSI_NAME_SIZE, c->initiator_name);
	(void)string_copy(ret_info->target, ISCSI_NAME_SIZE, c->target_name);
	memcpy(ret_info->isid, c->claim.isid, sizeof ret_info->isid);
	for (size_t k = 0; k < c->lun_count; k++) {
		const struct granted_lun *g = &c->luns[k];

		ret_info->disks[g->lun] = (uint16_t)(g->row + 1);
		if (g->may) /* whoever writes now: it may reserve */
			ret_info->writable[g->lun / 64] |= 1ull << g->lun % 64;
	}
	if (c->sets_groups)
		memcpy(ret_info->groups, c->groups, sizeof ret_info->groups);
}

/* Does the arbiter know all of its disks? */
static bool rows_are_known(const struct connection *c)
{
	for (size_t k = 0; k < c->lun_count; k++) {
		if (!c->m->disks[c->luns[k].row]->known)
			return false;
	}
	return true;
}

/* The arbiter and the session get an end each of a new channel. */
static int seat_ask(struct connection *c)
{
	struct helper *arbiter = &c->m->helpers[HELPER_ARBITER];
	OWNED_FD own = fd_reopen(c->own_fd, O_RDONLY);
	struct arbiter_attach info;
	int pair[2], fds[2], r;

	if (own < 0)
		return own;
	if ((r = channel_pair(pair)) < 0)
		return r;
	disks_of(c, &info);
	fds[0] = pair[1];
	fds[1] = own;
	r = helper_sent(arbiter, channel_send(&arbiter->channel, ARBITER_ATTACH, &info, sizeof info,
					      fds, ARRAY_LEN(fds)));
	fd_close(&pair[1]);
	if (r == 0) {
		c->seat = SEAT_ASKED;
		c->seat_more = false;
		c->seat_asked++;
		connection_send(c, SESSION_ARBITER, NULL, 0, pair[0]);
	}
	fd_close(&pair[0]);
	return r;
}

/* More LUNs, or another word on groups. */
static int seat_add(struct connection *c)
{
	struct arbiter_attach info;
	int r;

	disks_of(c, &info);
	r = helper_send(&c->m->helpers[HELPER_ARBITER], ARBITER_SEAT, &info, sizeof info, -1);
	if (r < 0)
		return r;
	c->seat_more = false;
	c->seat_asked++;
	return 0;
}

static int seat_tell(struct connection *c)
{
	struct arbiter_over over = {.connection = c->id};
	int r = helper_send(&c->m->helpers[HELPER_ARBITER], ARBITER_OVER, &over, sizeof over, -1);

	if (r == 0)
		c->seat = SEAT_NONE;
	return r;
}

int seat_take(struct connection *c)
{
	int r;

	if (!c->m->helpers[HELPER_ARBITER].ready)
		return -EPIPE;
	c->seat = SEAT_WANTED;
	r = rows_are_known(c) ? seat_ask(c) : -EAGAIN;
	if (r < 0 && r != -EAGAIN)
		c->seat = SEAT_NONE;
	return r == -EAGAIN ? 0 : r;
}

void seat_leave(struct connection *c)
{
	bool known = c->seat == SEAT_ASKED || c->seat == SEAT_TAKEN;

	c->seat = known && c->m->helpers[HELPER_ARBITER].ready ? SEAT_LEFT : SEAT_NONE;
	if (c->seat == SEAT_LEFT)
		IGNORE_RESULT(seat_tell(c)); /* or when there is room */
}

/* --- all of them --- */

/* As many as the arbiter's channel takes now. */
void seats_go_on(struct monitor *m)
{
	struct helper *arbiter = &m->helpers[HELPER_ARBITER];

	if (!arbiter->ready || disks_go_on(m) < 0)
		return;
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];
		int r = 0;

		if (c->seat == SEAT_WANTED && rows_are_known(c))
			r = seat_ask(c);
		else if (c->seat == SEAT_TAKEN && c->seat_more && rows_are_known(c))
			r = seat_add(c);
		else if (c->seat == SEAT_LEFT)
			r = seat_tell(c);
		if (r < 0)
			return; /* again when it has room, or at the next tick */
	}
	if (!m->arbiter_told && helper_send(arbiter, ARBITER_GO, NULL, 0, -1) == 0)
		m->arbiter_told = true;
}

void arbiter_away(struct monitor *m)
{
	page_clear(m);
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->seat == SEAT_LEFT) {
			c->seat = SEAT_NONE; /* the next one never hears of it */
		} else if (c->seat != SEAT_NONE) {
			c->seat = SEAT_WANTED;
			c->seat_old = true;
			c->seat_asked = 0;
		}
	}
	rings_flushed(m);
}

/* --- its channel --- */

int arbiter_begin(struct helper *h)
{
	struct monitor *m = h->m;
	struct arbiter_begin begin = {
		.life = ++m->arbiter_life,
		.disks = (uint32_t)m->disk_end,
	};
	OWNED_FD identities = identities_make(m);
	int fds[2] = {m->arbiter_page_fd, identities};

	if (identities < 0)
		return identities;
	memcpy(begin.run, m->run, sizeof begin.run);
	m->arbiter_told = false;
	return channel_send(&h->channel, ARBITER_BEGIN, &begin, sizeof begin, fds, ARRAY_LEN(fds));
}

static void on_ready(struct helper *h, const void *body)
{
	struct arbiter_ready ready;

	memcpy(&ready, body, sizeof ready);
	h->layers = ready.sandbox_layers;
	h->ready = true;
	disk_news_again(h->m);
	seats_go_on(h->m);
	monitor_progress(h->m);
}

static void on_attached(struct helper *h, const void *body)
{
	struct arbiter_attached attached;
	struct connection *c;

	memcpy(&attached, body, sizeof attached);
	c = connection_find(h->m, attached.connection);
	if (c == NULL || (c->seat != SEAT_ASKED && c->seat != SEAT_TAKEN) || c->seat_asked == 0)
		return;
	c->seat_asked--;
	if (attached.error != 0) {
		c->seat = SEAT_NONE;
		if (c->state == CONN_ENTERING && !c->refused)
			entry_refuse(c, LOGIN_NO_RESOURCES, "no-resources", "");
		else if (!c->refused)
			connection_kill(c, "no-seat-at-the-arbiter");
		return;
	}
	c->seat = SEAT_TAKEN;
	grants_go_on(c);
	entries_go_on(h->m);
}

/* Its end, and its lifeline's, make seat_leave() say that it is over. */
static void on_kill(struct helper *h, const void *body)
{
	struct arbiter_kill kill;
	struct connection *c;

	memcpy(&kill, body, sizeof kill);
	c = connection_find(h->m, kill.connection);
	if (c == NULL)
		return;
	log_warning("session %u is ended for the arbiter: %s", c->id,
		    arbiter_blame_name(kill.blame));
	connection_kill(c, arbiter_blame_name(kill.blame));
}

static void on_summary(struct helper *h, const void *body)
{
	struct arbiter_summary summary;

	memcpy(&summary, body, sizeof summary);
	disk_shared(h->m, &summary);
}

static void on_cleared(struct helper *h, const void *body)
{
	struct arbiter_cleared cleared;

	(void)h;
	memcpy(&cleared, body, sizeof cleared);
	control_cleared(-(int)cleared.error);
}

static void on_alive(struct helper *h, const void *body)
{
	(void)h, (void)body; /* whatever it says tells that */
}

static void on_trouble(struct helper *h, const void *body)
{
	struct arbiter_trouble trouble;

	memcpy(&trouble, body, sizeof trouble);
	h->why[0] = '\0';
	if (trouble.error != 0)
		(void)snprintf(h->why, sizeof h->why,
			       "its journal can't be written: %s; changes of reservations and mode "
			       "parameters get BUSY",
			       strerror((int)trouble.error));
}

void arbiter_message(struct helper *h, const struct message *msg)
{
	static void (*const handlers[])(struct helper * h, const void *body) = {
		[ARBITER_READY] = on_ready,	[ARBITER_ATTACHED] = on_attached,
		[ARBITER_KILL] = on_kill,	[ARBITER_SUMMARY] = on_summary,
		[ARBITER_CLEARED] = on_cleared, [ARBITER_TROUBLE] = on_trouble,
		[ARBITER_ALIVE] = on_alive,	[ARBITER_KEEPS] = on_alive,
	};

	h->silent = 0;
	h->keeps = msg->type == ARBITER_KEEPS;
	handlers[msg->type](h, msg->body);
}

void arbiter_room(struct helper *h)
{
	seats_go_on(h->m);
	rings_flushed(h->m);
}

static unsigned silent_most(const struct helper *h)
{
	if (!h->ready)
		return SILENT_AT_FIRST;
	return h->keeps ? SILENT_KEEPING : SILENT_MAX;
}

/* Counted in our own turns: what stops all of us stops the count. */
void arbiter_beat(struct monitor *m)
{
	struct helper *h = &m->helpers[HELPER_ARBITER];

	if (h->pid == 0 || m->stopping)
		return;
	helper_drain(h);
	if (h->silent++ < silent_most(h)) {
		IGNORE_RESULT(helper_send(h, ARBITER_BEAT, NULL, 0, -1)); /* or the next one */
		return;
	}
	log_error("the arbiter does nothing, for %u s: it is ended and started again",
		  h->silent - 1);
	trail_say(m, EVENT_HELPER, "silent", "arbiter: for %u s", h->silent - 1);
	h->silent = 0;
	(void)kill(h->pid, SIGKILL);
}
