/* The firewall process: loads the script that the monitor hands over through `nft -f -`,
 * watches over it, sets and lifts bans by netlink, removes both tables at a clean stop.
 * It holds CAP_NET_ADMIN and nothing else. It trusts the monitor, its only peer, for what the
 * script says, and checks every ban. When the monitor is gone it ends, and the tables
 * stay as they are: closed. */
#include "policy/firewall.h"

#include <linux/capability.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "policy/firewall_netlink.h"
#include "policy/firewall_nft.h"
#include "policy/firewall_watch.h"
#include "policy/xfrm.h"

#define SCRIPT_MAX	 (4U << 20)
#define NFT_MEMORY_LIMIT (512U << 20) /* nft inherits it */
#define FILES_LIMIT	 32
#define OWED_MAX	 4 /* a look tells three things at most, a request is answered by one */

static const char unload_script[] = "add table inet sallyport\n"
				    "delete table inet sallyport\n"
				    "add table inet sallyport-bans\n"
				    "delete table inet sallyport-bans\n";

struct owed {
	uint32_t type;
	union {
		struct firewall_status status;
		struct firewall_coverage coverage;
		struct firewall_drift drift;
	};
	size_t size;
};

struct firewall {
	struct loop *loop;
	struct channel channel;
	struct watch watch, news;
	struct timer look;
	struct firewall_netlink netlink;
	struct firewall_watch rules;
	struct xfrm_netlink xfrm; /* open when a portal needs IPsec, and the kernel has it */
	const char *nft;	  /* NULL: there is none */
	int unload_fd;		  /* unload_script */
	int refused;		  /* netlink: why not, -errno */
	struct firewall_status ready;
	struct owed owed[OWED_MAX];
	size_t owed_count;
	bool over;	 /* ends when nothing is owed */
	int result;	 /* of firewall_main() */
	bool ban_failed; /* the last one: what follows is not logged one by one */
};

/* --- what is said ------------------------------------------------------------------------- */

static int owed_send_one(struct firewall *f)
{
	const struct owed *o = &f->owed[0];
	int r = channel_send(&f->channel, o->type, &o->status, o->size, NULL, 0);

	if (r == 0)
		memmove(f->owed, f->owed + 1, --f->owed_count * sizeof f->owed[0]);
	return r;
}

/* A few words may be owed: while the monitor does not read, neither do we, nor do we look, so that
 * it finds its own side of the channel full and nothing queues without bound. */
static void owed_send(struct firewall *f)
{
	int r = 0;

	while (r == 0 && f->owed_count > 0)
		r = owed_send_one(f);
	if (r == 0 || r == -EAGAIN)
		r = loop_change(f->loop, &f->watch, f->owed_count == 0 ? EPOLLIN : EPOLLOUT);
	if (r < 0) {
		log_error("the monitor takes no answer: %s; this process ends, the tables stay",
			  strerror(-r));
		f->result = 1;
	}
	if (r < 0 || (f->over && f->owed_count == 0))
		loop_stop(f->loop);
}

static struct owed *owe(struct firewall *f, uint32_t type, size_t size)
{
	struct owed *o;

	assert(f->owed_count < OWED_MAX);
	o = &f->owed[f->owed_count++];
	o->type = type;
	o->size = size;
	return o;
}

static void answer(struct firewall *f, uint32_t type, const struct firewall_status *status)
{
	owe(f, type, sizeof *status)->status = *status;
	owed_send(f);
}

/* --- looking at the rules ----------------------------------------------------------------- */

static void drift_log(const struct firewall_drift *d)
{
	const char *by = d->by[0] ? d->by : "somebody";

	switch (d->state) {
	case DRIFT_FOUND:
		log_warning("firewall drift: %s changed the rules: %s%s", by, d->changed,
			    d->wait_s ? "; it was put back before, so it is left a moment" : "");
		break;
	case DRIFT_RESTORED:
		log_notice("firewall drift: the rules are put back%s",
			   d->restored > 1 ? "; whoever changes them: the policy is the place"
					   : "");
		break;
	case DRIFT_OVER:
		log_notice("firewall drift is over: the rules are as they were loaded%s%s",
			   d->why[0] ? "; " : "", d->why);
		break;
	case DRIFT_FAILED:
		log_error("firewall drift: the rules could not be put back: %s; again in %u s",
			  d->why, d->wait_s);
		break;
	default:
		log_error("the rules can't be read back: %s; whoever changes them is not seen",
			  d->why);
		break;
	}
}

static void drift_tell(struct firewall_watch *w, const struct firewall_drift *drift)
{
	struct firewall *f = CONTAINER_OF(w, struct firewall, rules);

	drift_log(drift);
	owe(f, FIREWALL_DRIFT, sizeof *drift)->drift = *drift;
}

/* Looks when it is time and all was said; or sets the timer. */
static void look_go_on(struct firewall *f)
{
	uint64_t now = clock_ms(), next = firewall_watch_next(&f->rules);

	if (next > 0 && next <= now && f->owed_count == 0) {
		firewall_watch_look(&f->rules, now);
		if (f->owed_count > 0)
			owed_send(f);
		next = MAX(firewall_watch_next(&f->rules), now + 1);
	}
	if (next > 0 && f->owed_count == 0)
		loop_timer_set(f->loop, &f->look, next);
	else
		loop_timer_clear(f->loop, &f->look);
}

static void look_due(struct timer *t)
{
	look_go_on(CONTAINER_OF(t, struct firewall, look));
}

static void news_ready(struct watch *w, uint32_t ready)
{
	struct firewall *f = CONTAINER_OF(w, struct firewall, news);

	(void)ready;
	firewall_watch_news(&f->rules);
	look_go_on(f);
}

/* --- requests ----------------------------------------------------------------------------- */

static int script_check(int fd, char *ret_why, size_t size)
{
	OWNED_FREE char *text = NULL;
	size_t len;

	if (!fd_is_sealed(fd)) {
		(void)snprintf(ret_why, size, "the script is not sealed");
		return -EPERM;
	}
	if (fd_read_all(fd, SCRIPT_MAX, &text, &len) < 0) {
		(void)snprintf(ret_why, size, "the script is longer than %u octets", SCRIPT_MAX);
		return -EFBIG;
	}
	if (memchr(text, '\0', len) || !strstr(text, firewall_bans_script)) {
		(void)snprintf(ret_why, size, "the script lacks the ban table's part");
		return -EINVAL;
	}
	return 0;
}

static void request_load(struct firewall *f, struct message *m)
{
	struct firewall_status status = {.sandbox_layers = f->ready.sandbox_layers};
	struct firewall_load how;

	memcpy(&how, m->body, sizeof how);
	status.ok = script_check(m->fds[0], status.why, sizeof status.why) == 0 &&
		    firewall_watch_load(&f->rules, &m->fds[0], &how, status.why,
					sizeof status.why) == 0;
	if (!status.ok)
		log_error("the firewall script was not loaded, what was loaded before stays: %s",
			  status.why);
	answer(f, FIREWALL_LOADED, &status);
}

static void request_unload(struct firewall *f, struct message *m)
{
	struct firewall_status status = {.sandbox_layers = f->ready.sandbox_layers};

	(void)m;
	firewall_watch_end(&f->rules);
	status.ok = nft_run(f->nft, f->unload_fd, status.why, sizeof status.why) == 0;
	if (!status.ok) {
		log_error("the tables `inet sallyport` and `inet sallyport-bans` could not be "
			  "removed, and stay: %s; nft delete table removes them",
			  status.why);
		f->result = 1;
	}
	answer(f, FIREWALL_LOADED, &status);
}

static void ban_explain(int error, bool set, char *ret_why, size_t size)
{
	if (error == -ENFILE)
		(void)snprintf(ret_why, size, "%d bans are set, which is all that there may be",
			       FIREWALL_BANS_MAX);
	else if (error == -ENOENT)
		(void)snprintf(ret_why, size,
			       "the table `inet sallyport-bans` is missing: no "
			       "script was loaded, or somebody removed it");
	else
		(void)snprintf(ret_why, size, "the kernel did not %s the ban: %s",
			       set ? "set" : "lift", strerror(-error));
}

static void ban_change(struct firewall *f, const struct message *m, bool set)
{
	struct firewall_status status = {.sandbox_layers = f->ready.sandbox_layers};
	char source[ADDRESS_TEXT];
	struct firewall_ban ban;
	const char *refused;
	int r;

	memcpy(&ban, m->body, sizeof ban);
	refused = firewall_ban_refused(&ban.source);
	if (!refused && set && (ban.seconds == 0 || ban.seconds > FIREWALL_BAN_SECONDS_MAX))
		refused = "a ban is for 1 s to 366 days";
	if (refused) {
		(void)string_copy(status.why, sizeof status.why, refused);
	} else {
		r = set ? firewall_ban_set(&f->netlink, &ban.source, ban.seconds)
			: firewall_ban_lift(&f->netlink, &ban.source);
		status.ok = r == 0;
		if (r < 0)
			ban_explain(r, set, status.why, sizeof status.why);
	}
	if (!status.ok && !f->ban_failed)
		log_error("%s was not %s: %s; the next that fail are not told one by one",
			  network_format(&ban.source, source), set ? "banned" : "unbanned",
			  status.why);
	f->ban_failed = !status.ok;
	answer(f, FIREWALL_BANNED, &status);
}

static void request_ban(struct firewall *f, struct message *m)
{
	ban_change(f, m, true);
}

static void request_unban(struct firewall *f, struct message *m)
{
	ban_change(f, m, false);
}

static void request_covered(struct firewall *f, struct message *m)
{
	struct firewall_coverage *word = &owe(f, FIREWALL_COVERAGE, sizeof *word)->coverage;
	struct firewall_connection c;
	const char *lacks = NULL;
	int r;

	memcpy(&c, m->body, sizeof c);
	*word = (struct firewall_coverage){.connection = c.connection};
	r = xfrm_netlink_ask(&f->xfrm, &c.local, &c.peer, &lacks);
	if (r < 0)
		(void)snprintf(word->why, sizeof word->why,
			       "the kernel does not say what IPsec it has: %s", strerror(-r));
	else
		word->cover = lacks ? COVER_NONE : COVER_WHOLE;
	if (lacks)
		(void)string_copy(word->why, sizeof word->why, lacks);
	owed_send(f);
}

static const struct request {
	uint32_t type, answer;
	void (*run)(struct firewall *f, struct message *m);
} requests[] = {
	{FIREWALL_LOAD, FIREWALL_LOADED, request_load},
	{FIREWALL_BAN, FIREWALL_BANNED, request_ban},
	{FIREWALL_UNBAN, FIREWALL_BANNED, request_unban},
	{FIREWALL_COVERED, FIREWALL_COVERAGE, request_covered},
	{FIREWALL_UNLOAD, FIREWALL_LOADED, request_unload},
};

static void request_run(struct firewall *f, struct message *m)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].type != m->type)
			continue;
		f->over = m->type == FIREWALL_UNLOAD;
		if (f->ready.ok || m->type == FIREWALL_COVERED) /* nft is not needed for it */
			requests[i].run(f, m);
		else
			answer(f, requests[i].answer, &f->ready);
		return;
	}
}

static void channel_ready(struct watch *w, uint32_t ready)
{
	struct firewall *f = CONTAINER_OF(w, struct firewall, watch);
	static struct message m; /* 4 KiB: not on the stack */
	int r;

	(void)ready;
	if (f->owed_count > 0) {
		owed_send(f);
		look_go_on(f);
		return;
	}
	r = channel_receive(&f->channel, &m);
	if (r > 0) {
		request_run(f, &m);
		message_close_fds(&m);
		look_go_on(f);
	} else if (r < 0) {
		/* The monitor is gone, or no longer to be trusted: the tables stay, closed. */
		f->result = r == -EPIPE ? 0 : 1;
		loop_stop(f->loop);
	}
}

/* --- start -------------------------------------------------------------------------------- */

/* Ctrl-C reaches all processes of a terminal, and a service manager may signal all of a service:
 * the monitor says when the tables go, not they. */
static void signals_ignore(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_IGN);
}

static int firewall_open(struct firewall *f, bool with_ipsec)
{
	int r;

	/* Without it, nothing is said to be covered. */
	if (with_ipsec && (r = xfrm_netlink_open(&f->xfrm)) < 0)
		log_warning("the kernel has no IPsec that could be asked (%s): nobody can log in "
			    "on portals that need it",
			    strerror(-r));
	f->nft = f->rules.nft = nft_find();
	f->rules.tell = drift_tell;
	f->look.run = look_due;
	f->unload_fd = memfd_sealed("unload", unload_script, sizeof unload_script - 1);
	if (f->unload_fd < 0)
		return f->unload_fd;
	f->refused = firewall_netlink_open(&f->netlink);
	if ((r = firewall_watch_open(&f->rules)) < 0)
		return r;
	channel_open(&f->channel, PROCESS_FD_FIRST, firewall_inbox, firewall_inbox_len);
	f->watch = (struct watch){.fd = PROCESS_FD_FIRST, .events = EPOLLIN, .run = channel_ready};
	if ((r = loop_open(&f->loop)) < 0)
		return r;
	f->news = (struct watch){
		.fd = firewall_events_fd(&f->rules.events), .events = EPOLLIN, .run = news_ready};
	if (f->news.fd >= 0 && (r = loop_watch(f->loop, &f->news)) < 0)
		return r;
	return loop_watch(f->loop, &f->watch);
}

static int firewall_lock(struct firewall *f)
{
	const char *const programs[] = {f->nft, NULL};
	const struct sandbox sandbox = {
		.profile = SANDBOX_FIREWALL,
		.folder_fd = -1,
		.programs = programs,
		.memory_limit = NFT_MEMORY_LIMIT,
		.files_limit = FILES_LIMIT,
	};
	int layers = sandbox_enter(&sandbox);

	if (layers < 0)
		return layers;
	f->ready.sandbox_layers = (uint32_t)layers;
	return 0;
}

/* What is missing is told, and told again at every request. */
static void firewall_examine(struct firewall *f)
{
	const char *why = NULL;

	if (!f->nft)
		why = "nft is neither in /usr/sbin nor in /sbin: install the package nftables";
	else if (!capability_have(CAP_NET_ADMIN))
		why = "no right to change the firewall (CAP_NET_ADMIN): start the gateway as root "
		      "or by its systemd unit";
	f->ready.ok = !why && f->refused == 0;
	if (!why && f->refused < 0)
		(void)snprintf(f->ready.why, sizeof f->ready.why,
			       "the kernel refuses netlink, which the firewall is changed by: %s",
			       strerror(-f->refused));
	if (why)
		(void)string_copy(f->ready.why, sizeof f->ready.why, why);
}

static int firewall_run(bool with_ipsec)
{
	static struct firewall f = {
		.unload_fd = -1, .rules = {.script_fd = -1, .forget_fd = -1}, .channel.fd = -1};
	int r;

	signals_ignore();
	if (!process_fds_are(1)) {
		log_error("started without its channel: it is started by the monitor alone");
		return 1;
	}
	r = firewall_open(&f, with_ipsec);
	firewall_examine(&f); /* the sandbox lets nobody ask for capabilities */
	if (r == 0)
		r = firewall_lock(&f);
	if (r < 0) {
		log_error("the firewall process could not be set up: %s", strerror(-r));
		return 1;
	}
	answer(&f, FIREWALL_READY, &f.ready);
	if (f.result == 0 && (r = loop_run(f.loop)) < 0) {
		log_error("the event loop failed: %s", strerror(-r));
		f.result = 1;
	}
	channel_close(&f.channel);
	firewall_watch_close(&f.rules);
	firewall_netlink_close(&f.netlink);
	xfrm_netlink_close(&f.xfrm);
	loop_close(f.loop);
	fd_close(&f.unload_fd);
	return f.result;
}

int firewall_main(void)
{
	return firewall_run(false);
}

int firewall_ipsec_main(void)
{
	return firewall_run(true);
}
