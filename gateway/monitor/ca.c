/* The gateway's own CA, seen from the monitor: which invitations are open, and so whether the
 * authenticator has the CA's key; who joined; what `sallyport ca` changed. Keys and codes pass
 * through as descriptors: the monitor reads what is in clear alone. A session's word counts for
 * nothing here: it is the authenticator who says that a code was proven. */
#include "gateway/monitor/ca.h"

#include <fcntl.h>
#include <stdio.h>
#include "auth/ca.h"
#include "auth/invitation.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"

#define READ_FLAGS	   (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define FOLDER_FLAGS	   (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define STATUS_AUTH_FAILED 0x0201 /* RFC 7143 section 11.13.5 */
#define STATUS_UNAVAILABLE 0x0301

/* Who joins: between the authenticator's question and its answer. */
struct connection_enrol {
	struct auth_enrol_ask ask;
	uint64_t event_id;
	bool gone; /* it has what it came for */
};

static struct {
	size_t told;	/* open invitations that the authenticator was told of */
	bool joins;	/* … and it has the key */
	bool due;	/* it is to be told again */
	bool failed;	/* it can't be told */
	bool asked;	/* an operator waits for its answer */
	int64_t next_s; /* when the next of them is over */
} ca;

bool ca_joins(void)
{
	return ca.joins;
}

/* --- what is open ---------------------------------------------------------------------------- */

/* Returns how many are open. */
static size_t open_count(const struct invitations *all, int64_t now_s, int64_t *ret_next_s)
{
	size_t count = 0;

	*ret_next_s = INT64_MAX;
	for (size_t k = 0; k < all->count; k++) {
		if (!invitation_is_open(&all->list[k], now_s))
			continue;
		*ret_next_s = MIN(*ret_next_s, all->list[k].until_s);
		count++;
	}
	return count;
}

static int send_ca(struct monitor *m, int ca_fd, const struct invitations *all)
{
	struct helper *h = &m->helpers[HELPER_AUTHENTICATOR];
	const struct auth_ca body = {.count = (uint32_t)all->count};
	char why[512] = "";
	OWNED_FD key = openat(ca_fd, CA_KEY, READ_FLAGS);
	OWNED_FD opens = key_get(m, why, sizeof why);
	OWNED_FD certificate = openat(ca_fd, CA_CERTIFICATE, READ_FLAGS);
	OWNED_FD invitations = invitations_gather(ca_fd, all);
	const int fds[] = {key, opens, certificate, invitations};

	for (size_t k = 0; k < ARRAY_LEN(fds); k++) {
		if (fds[k] >= 0)
			continue;
		log_error(
			"who has an invitation can't join: the files of the CA can't be opened%s%s",
			why[0] ? ": " : "", why);
		return -EIO;
	}
	return helper_sent(
		h, channel_send(&h->channel, AUTH_CA, &body, sizeof body, fds, ARRAY_LEN(fds)));
}

static int invitations_find(const struct monitor *m, struct invitations *ret, int *ret_fd)
{
	int fd = openat(m->state_fd, CA_FOLDER, FOLDER_FLAGS);
	int r = fd < 0 ? -errno : invitations_load(fd, ret);

	if (r < 0)
		fd_close(&fd);
	*ret_fd = fd;
	return r == -ENOENT ? 0 : r; /* there is no CA: nobody is invited */
}

static void answer(json_t *root)
{
	if (ca.asked)
		control_answered("ca", root);
	else
		json_decref(root);
	ca.asked = false;
}

/* What the policy in force is made with is read again by a reload of that very policy, which the
 * client asks for next. */
static json_t *done(const struct monitor *m, bool reload)
{
	char hash[POLICY_HASH_TEXT];

	if (!reload)
		return json_pack("{s:I}", "open", (json_int_t)ca.told);
	policy_hash_text(m->policy, hash);
	return json_pack("{s:s}", "reload", hash);
}

/* The authenticator has nothing to say to it: what an operator waited for is over, used up or
 * withdrawn by now, or can't be told. */
static json_t *untold(const struct monitor *m)
{
	if (!ca.failed)
		return done(m, false);
	return json_pack(
		"{s:s}", "error",
		"the authenticator can't be told what is open: the gateway's log says why");
}

/* Tells the authenticator what is open. False: it need not answer, or can't be told. */
static bool tell(struct monitor *m)
{
	struct helper *h = &m->helpers[HELPER_AUTHENTICATOR];
	OWNED_BY(invitations_free) struct invitations all = {0};
	const int64_t now_s = clock_wall_s();
	OWNED_FD fd = -1;
	size_t open = 0;
	int r = invitations_find(m, &all, &fd);
	const bool unread = r < 0; /* nobody joins then */

	ca.due = false;
	ca.failed = unread;
	if (r == 0)
		open = open_count(&all, now_s, &ca.next_s);
	if (h->pid == 0)
		return false;
	if (r == 0 && open == 0 && ca.told == 0) {
		answer(untold(m));
		return false;
	}
	ca.joins = ca.joins && open > 0;
	r = open > 0 ? send_ca(m, fd, &all) : helper_send(h, AUTH_CA_CLOSE, NULL, 0, -1);
	ca.due = r == -EAGAIN;
	ca.failed = unread || (r < 0 && !ca.due);
	ca.told = r == 0 ? open : ca.told;
	if (!ca.due && (r < 0 || open == 0))
		answer(untold(m));
	return r == 0 && open > 0;
}

void ca_begin(struct monitor *m)
{
	ca.told = 0;
	ca.joins = false;
	(void)tell(m);
}

void ca_tick(struct monitor *m)
{
	if (ca.due || (ca.told > 0 && clock_wall_s() >= ca.next_s))
		(void)tell(m);
}

/* --- operators ------------------------------------------------------------------------------- */

/* Revoking waits for nobody. */
json_t *ca_told(struct monitor *m, const char *argument)
{
	const bool invites = strncmp(argument, "invite", strlen("invite")) == 0;

	if (!invites) {
		(void)tell(m);
		return done(m, true);
	}
	if (ca.asked)
		return json_pack("{s:s,s:b}", "error",
				 "the CA is being taken up: again in a moment", "again", 1);
	if (m->helpers[HELPER_AUTHENTICATOR].pid == 0)
		return json_pack(
			"{s:s}", "error",
			"the authenticator is not running: it hears of it when it is back");
	if (!tell(m) && !ca.due)
		return untold(m);
	ca.asked = true;
	return json_null();
}

static void on_ready(struct monitor *m, const struct message *msg)
{
	struct auth_ca_ready ready;

	memcpy(&ready, msg->body, sizeof ready);
	ready.why[sizeof ready.why - 1] = '\0';
	ca.joins = ready.taken == 1;
	if (!ca.joins)
		log_error("who has an invitation can't join: %s", ready.why);
	answer(ca.joins ? done(m, false) : json_pack("{s:s}", "error", ready.why));
}

void ca_away(void)
{
	ca.joins = false;
	answer(json_pack("{s:s}", "error", "the authenticator ended meanwhile"));
}

/* --- who joins ------------------------------------------------------------------------------- */

static void refuse(struct connection *c, uint16_t status, const char *reason, const char *detail)
{
	const struct auth_enrol_no no = {.connection = c->id};

	(void)helper_send(&c->m->helpers[HELPER_AUTHENTICATOR], AUTH_ENROL_NO, &no, sizeof no, -1);
	entry_refuse(c, status, reason, detail);
}

static bool may_come_from(const struct connection *c, const struct policy_target *t,
			  const struct policy_initiator *i)
{
	bool from = i->from_count == 0, portal = false;

	for (size_t k = 0; k < i->from_count; k++)
		from = from || network_contains(&i->from[k], &c->peer.ip);
	for (size_t k = 0; k < t->portal_count; k++)
		portal = portal || t->portals[k] == c->portal;
	return from && portal && !c->behind.due; /* nobody has said yet whose it is */
}

/* One user more whose secrets it is to have. False: there are too many. */
static bool account_put(struct auth_enrol_go *go, const struct policy_initiator *i)
{
	for (uint32_t k = 0; k < go->count; k++)
		if (strcmp(go->accounts[k].user, i->user) == 0)
			return true;
	if (go->count == ARRAY_LEN(go->accounts))
		return false;
	(void)string_copy(go->accounts[go->count].user, sizeof go->accounts[0].user, i->user);
	(void)string_copy(go->accounts[go->count].mutual, sizeof go->accounts[0].mutual, i->mutual);
	go->count++;
	return true;
}

static void line_put(struct auth_enrol_go *go, const char *word, const char *value)
{
	const size_t used = strlen(go->text), room = sizeof go->text - used;

	if (strlen(word) + strlen(value) + sizeof " \n" <= room)
		(void)snprintf(go->text + used, room, "%s %s\n", word, value);
}

/* What its user may log in with, the best first; what is weak only where there is nothing else: who
 * offers it could be asked for it by somebody else. */
static void algorithms_put(struct auth_enrol_go *go, const struct policy *p,
			   const struct policy_initiator *i)
{
	const uint32_t may = policy_floor(i->algorithms, policy_algorithms(p));
	const uint32_t sha3 = may & 1u << CHAP_SHA3_256, sha2 = may & 1u << CHAP_SHA256;

	if (sha3 || sha2)
		line_put(go, "algorithms",
			 !sha2	? "SHA3-256"
			 : sha3 ? "SHA3-256,SHA256"
				: "SHA256");
	else
		line_put(go, "algorithms", may & 1u << CHAP_SHA1 ? "SHA1" : "MD5");
}

/* What the policy in force gives to this initiator here; NULL: all is well. */
static const char *policy_ask(const struct connection *c, struct auth_enrol_go *go)
{
	const struct policy *p = c->m->policy;
	uint32_t users = 0;
	bool named = false;

	line_put(go, "initiator", c->initiator_name);
	for (size_t t = 0; t < p->target_count; t++) {
		for (size_t k = 0; k < p->targets[t].initiator_count; k++) {
			const struct policy_initiator *i = &p->targets[t].initiators[k];

			if (strcmp(i->name, c->initiator_name) != 0)
				continue;
			named = true;
			if (!may_come_from(c, &p->targets[t], i))
				continue;
			if (!account_put(go, i))
				return "join-too-many-users";
			if (go->count > users)
				algorithms_put(go, p, i);
			users = go->count;
			if (store_list_find(&c->m->secrets, i->user) < 0 ||
			    (i->mutual[0] && store_list_find(&c->m->secrets, i->mutual) < 0))
				return "join-without-a-secret";
			line_put(go, "target", p->targets[t].name);
		}
	}
	if (go->count > 0)
		return NULL;
	return named ? "join-from-another-place" : "join-not-in-the-policy";
}

static void put_event(struct connection *c)
{
	struct audit_event e;

	event_from_connection(&e, EVENT_OPERATOR, c);
	(void)string_copy(e.reason, sizeof e.reason, "client-joined");
	(void)snprintf(e.detail, sizeof e.detail,
		       "certificate %.40s for %s, by an invitation, which is used up",
		       c->tls->enrol->ask.serial, c->initiator_name);
	c->tls->enrol->event_id = trail_put(c->m, &e);
}

static bool is_asking(const struct connection *c)
{
	return c->state == CONN_LOGIN && c->tls != NULL && !c->judged && !c->claimed &&
	       !c->refused && !c->tls->shown && c->tls->enrol == NULL;
}

static void on_ask(struct monitor *m, const struct message *msg)
{
	struct auth_enrol_ask ask;
	struct auth_enrol_go go = {0};
	struct connection *c;
	const char *reason;

	memcpy(&ask, msg->body, sizeof ask);
	ask.initiator[sizeof ask.initiator - 1] = ask.serial[sizeof ask.serial - 1] = '\0';
	c = connection_find(m, ask.connection);
	if (c == NULL)
		return;
	connection_drain(c);
	if (!is_asking(c))
		return connection_kill(c, "join-out-of-turn");
	c->judged = true;
	(void)string_copy(c->initiator_name, sizeof c->initiator_name, ask.initiator);
	if ((reason = policy_ask(c, &go)) != NULL)
		return refuse(c, STATUS_AUTH_FAILED, reason, "");
	c->tls->enrol = calloc(1, sizeof *c->tls->enrol);
	if (c->tls->enrol == NULL || !trail_well(m))
		return refuse(c, STATUS_UNAVAILABLE, "audit-away", "");
	*c->tls->enrol = (struct connection_enrol){.ask = ask};
	put_event(c);
	if (c->tls->enrol->event_id == 0)
		refuse(c, STATUS_UNAVAILABLE, "audit-away", "");
}

/* The certificate is kept, so that it can be revoked; then the invitation is used up; and then he
 * gets it. */
static int keep(const struct connection *c)
{
	const struct auth_enrol_ask *ask = &c->tls->enrol->ask;
	OWNED_FD fd = openat(c->m->state_fd, CA_FOLDER, FOLDER_FLAGS);
	OWNED_FD issued = fd < 0 ? -1 : openat(fd, CA_ISSUED, FOLDER_FLAGS);
	char name[sizeof ask->serial + sizeof ".der"];
	int r;

	if (fd < 0 || issued < 0)
		return -errno;
	if (ask->serial[strspn(ask->serial, "0123456789abcdef")] != '\0' || !ask->serial[0] ||
	    ask->len > sizeof ask->certificate)
		return -EINVAL;
	(void)snprintf(name, sizeof name, "%s.der", ask->serial);
	r = file_replace_with_folder(issued, name, ask->certificate, ask->len, 0600);
	return r < 0 ? r : invitation_use(fd, ask->id);
}

static void go_on(struct connection *c)
{
	struct helper *h = &c->m->helpers[HELPER_AUTHENTICATOR];
	struct auth_enrol_go go = {.connection = c->id};
	const char *reason;
	int r;

	if (c->refused || c->pid == 0 || c->ended[0] != '\0' || c->tls->enrol->gone ||
	    c->tls->enrol->event_id > c->m->trail.written)
		return;
	if ((reason = policy_ask(c, &go)) != NULL) /* another policy is in force since */
		return refuse(c, STATUS_AUTH_FAILED, reason, "");
	if ((r = keep(c)) < 0) {
		log_error("session %u can't join: its certificate can't be kept: %s", c->id,
			  strerror(-r));
		return refuse(c, STATUS_UNAVAILABLE, "join-not-kept", "");
	}
	c->tls->enrol->gone = true;
	log_notice("%s has joined: certificate %s", c->initiator_name, c->tls->enrol->ask.serial);
	if (helper_send(h, AUTH_ENROL_GO, &go, sizeof go, -1) < 0)
		connection_kill(c, "authenticator-away");
	(void)tell(c->m);
}

void ca_go_on(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++)
		if (m->connections[k].state == CONN_LOGIN && m->connections[k].tls != NULL &&
		    m->connections[k].tls->enrol != NULL)
			go_on(&m->connections[k]);
}

bool ca_has_joined(const struct connection *c)
{
	return c->tls != NULL && c->tls->enrol != NULL && c->tls->enrol->gone;
}

bool ca_message(struct monitor *m, const struct message *msg)
{
	if (msg->type == AUTH_CA_READY)
		on_ready(m, msg);
	else if (msg->type == AUTH_ENROL_ASK)
		on_ask(m, msg);
	else
		return false;
	return true;
}
