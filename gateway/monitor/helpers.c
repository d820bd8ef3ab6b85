/* The helper processes: authenticator, auditor, firewall, arbiter. Started, watched, started
 * again when they die; what they say is taken from tables. While one is away, logins
 * and commands are refused and nothing is lost (P4). */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/wait.h>
#include "auth/auth.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/monitor/audit.h"
#include "gateway/monitor/ca.h"
#include "gateway/monitor/bans.h"
#include "gateway/monitor/reload.h"
#include "policy/firewall.h"

#define RESTART_FIRST_MS 50
#define RESTART_MOST_MS	 2000

static int auditor_begin(struct helper *h);
static void auditor_message(struct helper *h, const struct message *msg);
static void auditor_room(struct helper *h);

static const struct helper_kind_row {
	const char *name;
	const struct message_spec *inbox; /* what it may say */
	const size_t *inbox_len;
	int (*begin)(struct helper *h); /* the first messages */
	void (*message)(struct helper *h, const struct message *msg);
	void (*room)(struct helper *h); /* after -EAGAIN: go on sending; NULL: nothing waits */
	bool dies_with_parent;		/* the auditor saves what is in the rings first */
} kinds[HELPERS] = {
	[HELPER_AUDITOR] = {"auditor", auditor_outbox, &auditor_outbox_len, auditor_begin,
			    auditor_message, auditor_room, false},
	[HELPER_AUTHENTICATOR] = {"authenticator", auth_outbox, &auth_outbox_len,
				  authenticator_begin, authenticator_message, NULL, true},
	[HELPER_FIREWALL] = {"firewall", firewall_outbox, &firewall_outbox_len, firewall_begin,
			     firewall_message, firewall_room, true},
	[HELPER_ARBITER] = {"arbiter", arbiter_outbox, &arbiter_outbox_len, arbiter_begin,
			    arbiter_message, arbiter_room, true},
};

const char *helper_name(enum helper_kind kind)
{
	return kinds[kind].name;
}

int helper_sent(struct helper *h, int r)
{
	if (r == -EAGAIN)
		IGNORE_RESULT(loop_change(h->m->loop, &h->messages, EPOLLIN | EPOLLOUT));
	return r;
}

int helper_send(struct helper *h, uint32_t type, const void *body, size_t size, int fd)
{
	if (h->pid == 0)
		return -EPIPE;
	return helper_sent(h, channel_send(&h->channel, type, body, size, &fd, fd >= 0 ? 1 : 0));
}

/* --- what each is told at its start, and says --- */

static int auditor_begin(struct helper *h)
{
	settings_send(h->m); /* it says AUDITOR_READY when the segment is open */
	return 0;
}

static void auditor_status(struct helper *h, const struct auditor_status *s)
{
	struct trail *t = &h->m->trail;
	char why[sizeof s->why];

	(void)string_copy(why, sizeof why, s->why);
	if (s->state == AUDIT_CANNOT_WRITE && t->state != AUDIT_CANNOT_WRITE)
		log_error("the audit log can't be written (%s): commands get BUSY and logins 0301h "
			  "until it can; nothing is lost",
			  why);
	if (s->state == AUDIT_WRITING && t->state == AUDIT_CANNOT_WRITE)
		log_notice("the audit log can be written again");
	t->state = s->state;
	t->segment = s->segment;
	t->told = *s;
	signer_told(h->m, s);
	(void)string_copy(h->why, sizeof h->why, s->state == AUDIT_WRITING ? "" : why);
	h->layers = s->sandbox_layers;
}

static void auditor_message(struct helper *h, const struct message *msg)
{
	struct monitor *m = h->m;
	struct auditor_status status;
	struct auditor_epoch epoch;
	struct auditor_flush flush;
	struct auditor_flushed flushed;

	memcpy(&epoch, msg->body, sizeof epoch);
	memcpy(&status, msg->body, sizeof status);
	memcpy(&flush, msg->body, sizeof flush);
	memcpy(&flushed, msg->body, sizeof flushed);
	switch (msg->type) {
	case AUDITOR_READY:
		auditor_status(h, &status);
		h->ready = true;
		rings_reattach(m);
		trail_resend(m);
		flush_auditor_is_new(m);
		break;
	case AUDITOR_STATUS:
		auditor_status(h, &status);
		break;
	case AUDITOR_WRITTEN:
		if (flush.id >= m->trail.next_id || flush.id <= m->trail.written)
			return;
		m->trail.written = flush.id;
		entries_go_on(m);
		ca_go_on(m);
		bans_go_on(m);
		control_go_on(m);
		reload_go_on(m);
		epoch_go_on(m);
		break;
	case AUDITOR_FLUSHED:
		m->trail.flushed = MAX(m->trail.flushed, MIN(flushed.id, m->trail.flush_id));
		m->trail.durable = flushed;
		rings_flushed(m);
		flush_go_on(m);
		break;
	case AUDITOR_CHECKPOINT:
		checkpoint_take(m, (const struct auditor_checkpoint *)(const void *)msg->body);
		return;
	case AUDITOR_EPOCH_BEGUN:
		epoch_begun(m, &epoch);
		break;
	default:
		break;
	}
	monitor_progress(m);
}

static void auditor_room(struct helper *h)
{
	rings_go_on(h->m);
	if (h->m->trail.settings_unsent)
		settings_send(h->m);
	trail_send(h->m);
	rings_flushed(h->m);
	flush_go_on(h->m);
}

/* --- life --- */

static void helper_gone(struct helper *h);
static int helper_start(struct helper *h) MUST_CHECK;

void helper_drain(struct helper *h)
{
	struct message msg;
	int r;

	while (h->pid != 0 && h->messages.fd >= 0 &&
	       (r = channel_receive(&h->channel, &msg)) != 0) {
		if (r < 0) {
			/* Without a channel it is of no use; its end comes through the pidfd. */
			if (!h->stopping)
				(void)kill(h->pid, SIGKILL);
			loop_unwatch(h->m->loop, &h->messages);
			h->messages.fd = -1;
			return;
		}
		kinds[h->kind].message(h, &msg);
		message_close_fds(&msg);
	}
}

static void on_messages(struct watch *w, uint32_t ready)
{
	struct helper *h = CONTAINER_OF(w, struct helper, messages);

	if (ready & EPOLLOUT) {
		IGNORE_RESULT(loop_change(h->m->loop, w, EPOLLIN));
		if (kinds[h->kind].room != NULL)
			kinds[h->kind].room(h);
	}
	if (ready & ~(uint32_t)EPOLLOUT)
		helper_drain(h);
}

static void on_restart(struct timer *t)
{
	struct helper *h = CONTAINER_OF(t, struct helper, restart);

	if (helper_start(h) < 0)
		loop_timer_set(h->m->loop, t, clock_ms() + RESTART_MOST_MS);
}

static void on_process(struct watch *w, uint32_t ready)
{
	struct helper *h = CONTAINER_OF(w, struct helper, process);

	(void)ready;
	helper_gone(h);
}

static void helper_gone(struct helper *h)
{
	struct monitor *m = h->m;
	uint64_t wait_ms = RESTART_FIRST_MS;
	int status = 0;

	/* What it said last: the checkpoints of a clean end, an answer. */
	helper_drain(h);
	(void)waitpid(h->pid, &status, 0);
	loop_unwatch(m->loop, &h->process);
	if (h->messages.fd >= 0)
		loop_unwatch(m->loop, &h->messages);
	h->messages.fd = -1;
	fd_close(&h->process.fd);
	channel_close(&h->channel);
	h->pid = 0;
	h->ready = false;
	h->silent = 0;
	h->keeps = false;
	h->why[0] = '\0';
	/* While sessions end, the auditor is needed for what they did, the firewall to clean up. */
	if (h->kind == HELPER_ARBITER)
		arbiter_away(m);
	reload_helper_gone(m, h->kind);
	if (h->kind == HELPER_AUTHENTICATOR)
		authenticator_away(m);
	if (h->kind == HELPER_AUDITOR)
		epoch_away(m);
	if (h->kind == HELPER_FIREWALL)
		firewall_away(m);
	if (h->stopping ||
	    (m->stopping && (h->kind == HELPER_AUTHENTICATOR || h->kind == HELPER_ARBITER))) {
		monitor_progress(m);
		return;
	}
	h->deaths++;
	log_error("the %s ended (%s %d); starting it again", kinds[h->kind].name,
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (h->kind == HELPER_AUDITOR)
		rings_away(m);
	trail_say(m, EVENT_HELPER, "died", "%s: %s %d", kinds[h->kind].name,
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (clock_ms() - h->started_ms < RESTART_MOST_MS && h->deaths > 3)
		wait_ms = RESTART_MOST_MS;
	loop_timer_set(m->loop, &h->restart, clock_ms() + wait_ms);
}

/* The descriptors are in ret_child; *ret_signer is the caller's. */
static int auditor_child(const struct monitor *m, struct child *ret_child, int *ret_signer)
{
	*ret_signer = signer_get(m);
	ret_child->fds[ret_child->fd_count++] = m->audit_fd;
	ret_child->fds[ret_child->fd_count++] = m->lock_fd;
	ret_child->fds[ret_child->fd_count++] = *ret_signer;
	ret_child->fds[ret_child->fd_count++] = m->keys_page.fd;
	return MIN(*ret_signer, 0);
}

static int helper_child(const struct helper *h, int channel_fd, struct child *ret_child,
			int *ret_signer)
{
	const struct monitor *m = h->m;

	*ret_child = (struct child){
		.role = kinds[h->kind].name,
		.program = m->programs.self,
		.fds = {channel_fd},
		.fd_count = 1,
		.uid = m->uid,
		.gid = m->gid,
		.dies_with_parent = kinds[h->kind].dies_with_parent,
	};
	if (h->kind == HELPER_AUDITOR && auditor_child(m, ret_child, ret_signer) < 0)
		return *ret_signer;
	if (h->kind == HELPER_FIREWALL && coverage_is_needed(m->policy))
		ret_child->role = "firewall-ipsec";
	if (h->kind == HELPER_ARBITER)
		ret_child->fds[ret_child->fd_count++] = m->journal_fd;
	if (h->kind == HELPER_FIREWALL && capability_have(CAP_NET_ADMIN))
		ret_child->keep_caps = 1ull << CAP_NET_ADMIN;
	return 0;
}

static int helper_start(struct helper *h)
{
	OWNED_FD signer = -1;
	struct child child;
	int pair[2], r;

	if ((r = channel_pair(pair)) < 0)
		return r;
	r = helper_child(h, pair[1], &child, &signer);
	if (h->kind == HELPER_FIREWALL)
		h->m->firewall_asks = coverage_is_needed(h->m->policy);
	h->pid = r < 0 ? r : child_start(&child, &h->process.fd);
	fd_close(&pair[1]);
	if (h->pid < 0) {
		r = h->pid;
		h->pid = 0;
		fd_close(&pair[0]);
		log_error("the %s can't be started: %s", kinds[h->kind].name, strerror(-r));
		return r;
	}
	channel_open(&h->channel, pair[0], kinds[h->kind].inbox, *kinds[h->kind].inbox_len);
	h->started_ms = clock_ms();
	h->process.events = h->messages.events = EPOLLIN;
	h->process.run = on_process;
	h->messages.run = on_messages;
	h->messages.fd = h->channel.fd;
	if ((r = loop_watch(h->m->loop, &h->process)) < 0 ||
	    (r = loop_watch(h->m->loop, &h->messages)) < 0 || (r = kinds[h->kind].begin(h)) < 0)
		(void)kill(h->pid, SIGKILL);
	if (h->deaths > 0)
		trail_say(h->m, EVENT_HELPER, "started", "%s, after %u deaths", kinds[h->kind].name,
			  h->deaths);
	return 0;
}

int helpers_start(struct monitor *m)
{
	for (enum helper_kind k = 0; k < HELPERS; k++) {
		struct helper *h = &m->helpers[k];
		int r;

		h->m = m;
		h->kind = k;
		h->process.fd = h->messages.fd = h->channel.fd = -1;
		h->restart.run = on_restart;
		if (k == HELPER_FIREWALL && !firewall_is_wanted(m->policy)) {
			(void)string_copy(h->why, sizeof h->why, "switched off by the policy");
			continue;
		}
		if ((r = helper_start(h)) < 0)
			return r;
	}
	return 0;
}

/* It ends by itself. */
static void hang_up(struct helper *h)
{
	if (h->pid != 0)
		(void)shutdown(h->channel.fd, SHUT_RDWR);
}

void helpers_stop(struct monitor *m)
{
	struct helper *firewall = &m->helpers[HELPER_FIREWALL];
	bool unload = m->policy->manage_firewall;

	for (enum helper_kind k = 0; k < HELPERS; k++) {
		m->helpers[k].stopping = true;
		loop_timer_clear(m->loop, &m->helpers[k].restart);
	}
	(void)helper_send(&m->helpers[HELPER_AUDITOR], AUDITOR_STOP, NULL, 0, -1);
	hang_up(&m->helpers[HELPER_AUTHENTICATOR]);
	hang_up(&m->helpers[HELPER_ARBITER]);
	if (!unload)
		hang_up(firewall);
	else if (helper_send(firewall, FIREWALL_UNLOAD, NULL, 0, -1) < 0 && firewall->pid != 0)
		(void)kill(firewall->pid, SIGKILL);
}

void helpers_kill(struct monitor *m)
{
	for (enum helper_kind k = 0; k < HELPERS; k++) {
		if (m->helpers[k].pid == 0)
			continue;
		log_error("the %s does not end; it is killed", kinds[k].name);
		(void)kill(m->helpers[k].pid, SIGKILL);
	}
}

bool helpers_gone(const struct monitor *m)
{
	for (enum helper_kind k = 0; k < HELPERS; k++) {
		if (m->helpers[k].pid != 0)
			return false;
	}
	return true;
}
