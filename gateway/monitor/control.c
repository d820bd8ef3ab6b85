/* The control socket: one line in, one JSON document out. Its group may read; what
 * changes anything needs root, the gateway's own user or a name under `operators:`,
 * and is audited with the peer's credentials. Never on TCP. */
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/monitor/audit.h"
#include "gateway/monitor/ca.h"
#include "gateway/monitor/bans.h"
#include "gateway/monitor/reload.h"

#define CONTROL_NAME	   "control"
#define REQUEST_MAX	   256
#define CLIENTS_MAX	   16
#define CONFIRM_WITHIN_MAX 86400
#define ANSWER_MS	   60000 /* for an answer that has to wait for others */
#define DENIED_LISTED	   20	 /* one by one, within: */
#define DENIED_EVERY_MS	   60000
#define FLUSHES_WAITING	   4	/* clients */
#define CLIENT_MS	   5000 /* for a client to ask and to take its answer */

struct client {
	struct watch watch;
	struct timer timer;
	struct client *next; /* younger */
	struct monitor *m;
	/* What it asked for, and by whom, until the event of that is durable; and then perhaps
	 * until its answer comes. */
	const struct request *recorded, *waits;
	uint64_t event_id;
	char asker[64], argument[REQUEST_MAX];
	uint64_t round;	    /* of flush_ask(), that it waits for */
	char *text;	    /* the answer, on its way */
	struct slab secret; /* … and where it is when it is one */
	size_t at, len;
};

/* Oldest first. */
static struct client *clients;

static json_t *answer_error(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *do_status(struct monitor *m, const char *argument)
{
	json_t *root = status_json(m);
	json_int_t left_s = (json_int_t)((reload_unconfirmed_ms() + 999) / 1000);

	(void)argument;
	IGNORE_RESULT(json_object_set_new(root, "confirm_within_s", json_integer(left_s)));
	return root;
}

static json_t *do_sessions(struct monitor *m, const char *argument)
{
	(void)argument;
	return sessions_json(m);
}

/* It holds no secret, and its group sees its names and addresses in `sessions` anyway. */
static json_t *do_policy(struct monitor *m, const char *argument)
{
	(void)argument;
	return policy_json(m);
}

static json_t *do_kick(struct monitor *m, const char *argument)
{
	struct connection *c;
	uint64_t id;

	if (number_parse(argument, 1, UINT32_MAX, &id) < 0)
		return answer_error("kick takes the number of a session: see sallyport sessions");
	c = connection_find(m, (uint32_t)id);
	if (c == NULL || c->state != CONN_GRANTED)
		return answer_error("there is no such session: see sallyport sessions");
	connection_ask_out(c, "kicked-by-an-operator");
	return json_pack("{s:I}", "asked_to_log_out", (json_int_t)id);
}

static struct client *waiting(const char *request);

static json_t *do_disks(struct monitor *m, const char *argument)
{
	(void)argument;
	return disks_shared_json(m);
}

/* json_null() of these: the answer comes with control_answered(). */
static json_t *do_clear(struct monitor *m, const char *argument)
{
	static const char forget[] = " forget-reservations";
	size_t len = strlen(argument), tail = sizeof forget - 1;
	bool forgets = len > tail && strcmp(argument + len - tail, forget) == 0;
	char name[REQUEST_MAX];
	const char *why;

	if (waiting("clear-disk") != NULL)
		return answer_error("another disk is being cleared: again in a moment");
	(void)string_copy(name, forgets ? len - tail + 1 : sizeof name, argument);
	why = disk_clear(m, name, forgets);
	return why != NULL ? answer_error(why) : json_null();
}

static json_t *do_free(struct monitor *m, const char *argument)
{
	const char *why = writer_free(m, argument);

	return why != NULL ? answer_error(why) : json_pack("{s:s}", "freed", argument);
}

/* `again`: it may well be taken in a moment. */
static json_t *secrets_error(const struct monitor *m, const char *why)
{
	bool again = m->secrets_done != NULL || !m->helpers[HELPER_AUTHENTICATOR].ready ||
		     reload_is_under_way();

	return json_pack("{s:s,s:b}", "error", why, "again", again);
}

static void secrets_taken(struct monitor *m, const struct auth_ready *ready)
{
	trail_say(m, EVENT_OPERATOR, ready->taken ? "secrets-taken" : "secrets-not-taken",
		  "secrets %u, users without a usable one %u%s%s", ready->secrets, ready->missing,
		  ready->why[0] ? ": " : "", ready->why);
	control_answered("secrets", ready->taken
					    ? json_pack("{s:i,s:i,s:s}", "secrets",
							(int)ready->secrets, "users_without",
							(int)ready->missing, "note", ready->why)
					    : secrets_error(m, ready->why));
}

/* The argument, what was changed, is for the audit alone. */
static json_t *do_secrets(struct monitor *m, const char *argument)
{
	const char *why;

	(void)argument;
	/* Else the users of the policy that goes would come after those of the one that comes. */
	if (reload_is_under_way())
		return secrets_error(m, "a reload is under way: again in a moment");
	why = secrets_take_up(m, NULL, secrets_taken);
	return why == NULL ? json_null() : secrets_error(m, why);
}

static json_t *do_bans(struct monitor *m, const char *argument)
{
	return bans_json(m, argument != NULL && strcmp(argument, "all") == 0);
}

static json_t *do_accept_weaker(struct monitor *m, const char *argument)
{
	enum chap_algorithm before;
	const char *why = algorithm_accept_weaker(m, argument, &before);

	if (why != NULL)
		return answer_error(why);
	return json_pack("{s:s,s:s}", "user", argument, "before", chap_algorithm_name(before));
}

static bool word_value(const char *word, const char *name, const char **ret)
{
	size_t len = strlen(name);

	if (strncmp(word, name, len) != 0)
		return false;
	*ret = word + len;
	return true;
}

static json_t *do_reload(struct monitor *m, const char *argument)
{
	struct reload_request q = {.expect = "", .who = m->asker, .asked = true};
	char words[REQUEST_MAX], *rest = words;
	const char *word, *value;
	uint64_t seconds;

	(void)string_copy(words, sizeof words, argument);
	while ((word = strsep(&rest, " ")) != NULL) {
		if (word_value(word, "expect=", &value))
			q.expect = value;
		else if (word_value(word, "confirm-within=", &value) &&
			 number_parse(value, 1, CONFIRM_WITHIN_MAX, &seconds) == 0)
			q.confirm_within_s = (uint32_t)seconds;
		else if (word[0] != '\0')
			return answer_error("reload takes expect=HASH and confirm-within=SECONDS, "
					    "1 to 86400");
	}
	return reload_ask(m, &q);
}

static json_t *do_confirm(struct monitor *m, const char *argument)
{
	const char *why = reload_confirm(m);

	(void)argument;
	return why != NULL ? answer_error(why) : json_pack("{s:b}", "confirmed", 1);
}

/* For who reads the files of the trail: they may be behind by what rings and memory hold. */
static json_t *do_flush(struct monitor *m, const char *argument)
{
	unsigned count = 0;

	(void)argument;
	for (const struct client *cl = clients; cl != NULL; cl = cl->next)
		count += cl->round != 0;
	if (count >= FLUSHES_WAITING)
		return answer_error("others wait for a flush: again in a moment");
	flush_ask(m);
	return json_null();
}

static json_t *do_audit_key(struct monitor *m, const char *argument)
{
	const char *why = epoch_ask(m);

	(void)argument;
	return why != NULL ? answer_error(why) : json_null();
}

static json_t *do_signer(struct monitor *m, const char *argument)
{
	(void)argument;
	return signer_json(m);
}

static const struct request {
	const char *name;
	bool changes;
	json_t *(*run)(struct monitor *m, const char *argument);
} requests[] = {
	{"status", false, do_status},	  {"sessions", false, do_sessions},
	{"kick", true, do_kick},	  {"disks", false, do_disks},
	{"clear-disk", true, do_clear},	  {"free-writer", true, do_free},
	{"secrets", true, do_secrets},	  {"policy", false, do_policy},
	{"bans", false, do_bans},	  {"ban", true, bans_add_json},
	{"unban", true, bans_lift_json},  {"accept-weaker", true, do_accept_weaker},
	{"reload", true, do_reload},	  {"confirm", true, do_confirm},
	{"flush-audit", false, do_flush}, {"audit-key", true, do_audit_key},
	{"signer", false, do_signer},	  {"ca", true, ca_told},
};

static struct client *waiting(const char *request)
{
	struct client *cl = clients;

	while (cl != NULL && (cl->waits == NULL || strcmp(cl->waits->name, request) != 0))
		cl = cl->next;
	return cl;
}

static bool may_change(const struct monitor *m, uid_t uid)
{
	uid_t operator_uid;
	gid_t gid;

	if (uid == 0 || uid == getuid())
		return true;
	for (size_t k = 0; k < m->policy->operator_count; k++) {
		if (user_find(m->policy->operators[k], &operator_uid, &gid) == 0 &&
		    operator_uid == uid)
			return true;
	}
	return false;
}

/* Who may only read does not fill the audit log, without which nobody logs in. */
static json_t *deny(struct monitor *m, const char *line, const char *argument)
{
	static uint64_t since_ms;
	static unsigned listed, counted;
	uint64_t now = clock_ms();

	if (listed == 0 || now - since_ms >= DENIED_EVERY_MS) {
		if (counted > 0)
			trail_say(m, EVENT_OPERATOR, "not-allowed", "%u more, not listed", counted);
		since_ms = now;
		listed = counted = 0;
	}
	if (listed < DENIED_LISTED) {
		listed++;
		trail_say(m, EVENT_OPERATOR, "not-allowed", "%s%s%s, %s", line, argument ? " " : "",
			  argument ? argument : "", m->asker);
	} else {
		counted++;
	}
	return answer_error("only root and the operators of the policy may do this");
}

/* It is carried out when its record is durable (P2): see control_go_on(). */
static json_t *defer(struct client *cl, const struct request *request, const char *argument)
{
	struct monitor *m = cl->m;
	uint64_t before = m->trail.next_id;

	if (!trail_well(m))
		return json_pack(
			"{s:s,s:b}", "error",
			"the audit log can't be written now, and nothing changes unrecorded",
			"again", 1);
	trail_say(m, EVENT_OPERATOR, request->name, "%s%s%s, %s", request->name,
		  argument[0] ? " " : "", argument, m->asker);
	assert(m->trail.next_id > before); /* as it is well, the queue has room */
	cl->event_id = m->trail.next_id - 1;
	cl->recorded = request;
	(void)string_copy(cl->asker, sizeof cl->asker, m->asker);
	(void)string_copy(cl->argument, sizeof cl->argument, argument);
	return json_null();
}

static json_t *answer(struct client *cl, char *line, const struct request **ret_request)
{
	struct monitor *m = cl->m;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof peer;
	char *argument = strchr(line, ' ');

	if (argument != NULL)
		*argument++ = '\0';
	if (getsockopt(cl->watch.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return answer_error("the socket does not say who you are");
	for (size_t k = 0; k < ARRAY_LEN(requests); k++) {
		if (strcmp(requests[k].name, line) != 0)
			continue;
		if (!requests[k].changes) {
			*ret_request = &requests[k];
			return requests[k].run(m, argument);
		}
		(void)snprintf(m->asker, sizeof m->asker, "uid %u, pid %d", peer.uid, peer.pid);
		if (!may_change(m, peer.uid))
			return deny(m, line, argument);
		return defer(cl, &requests[k], argument ? argument : "");
	}
	return answer_error("unknown request");
}

static void client_end(struct client *cl)
{
	struct client **place = &clients;

	while (*place != cl)
		place = &(*place)->next;
	*place = cl->next;
	loop_timer_clear(cl->m->loop, &cl->timer);
	loop_unwatch(cl->m->loop, &cl->watch);
	fd_close(&cl->watch.fd);
	if (cl->secret.memory == NULL)
		free(cl->text);
	slab_close(&cl->secret);
	free(cl);
}

static void on_client_too_long(struct timer *t)
{
	client_end(CONTAINER_OF(t, struct client, timer));
}

/* The new one at the end of the list; the oldest gives way, so that nobody who only connects keeps
 * others out; but not an operator's request that waits, of which there are few. */
static void client_add(struct client *cl)
{
	struct client **place = &clients, *idle = NULL;
	unsigned count = 0;

	for (; *place != NULL; place = &(*place)->next) {
		if (idle == NULL && (*place)->waits == NULL && (*place)->recorded == NULL)
			idle = *place;
		count++;
	}
	*place = cl;
	if (count >= CLIENTS_MAX)
		client_end(idle != NULL ? idle : clients);
}

/* As much of the answer as the socket takes now; the rest when it is writable again. */
static void client_write(struct client *cl)
{
	ssize_t n = 0;

	while (cl->at < cl->len) {
		n = send(cl->watch.fd, cl->text + cl->at, cl->len - cl->at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && loop_change(cl->m->loop, &cl->watch, EPOLLOUT) == 0)
			return;
		if (n <= 0)
			break;
		cl->at += (size_t)n;
	}
	client_end(cl);
}

static void client_answer(struct client *cl, json_t *root)
{
	cl->text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (cl->text == NULL)
		return client_end(cl);
	cl->len = strlen(cl->text);
	client_write(cl);
}

void control_answered(const char *request, json_t *answer)
{
	struct client *cl = waiting(request);

	if (cl == NULL)
		return json_decref(answer); /* it did not wait so long */
	cl->waits = NULL;
	client_answer(cl, answer);
}

bool control_shows(const char *request, struct slab *text, size_t len)
{
	struct client *cl = waiting(request);

	if (cl == NULL)
		return false;
	cl->waits = NULL;
	cl->secret = *text;
	*text = (struct slab){0};
	cl->text = (char *)cl->secret.memory;
	cl->len = len;
	client_write(cl);
	return true;
}

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
	char text[2 * HASH_SIZE + 1];

	assert(len <= HASH_SIZE);
	return json_string(sodium_bin2hex(text, sizeof text, bytes, len));
}

/* What the files must be, for who verifies them. */
static json_t *flushed_json(const struct auditor_flushed *f)
{
	json_t *logs = json_object();

	for (size_t i = 0; i < AUDIT_LOGS; i++)
		json_object_set_new(logs, audit_log_name((enum audit_log)(i + 1)),
				    json_pack("{s:I,s:o}", "blocks", (json_int_t)f->blocks[i],
					      "root", hex_json(f->roots[i], HASH_SIZE)));
	return json_pack("{s:b,s:I,s:o,s:o,s:o}", "flushed", 1, "sequence", (json_int_t)f->sequence,
			 "trail", hex_json(f->trail, TRAIL_ID_SIZE), "signer",
			 hex_json(f->signer, SIGNER_KEY_SIZE), "logs", logs);
}

void control_flushed(uint64_t round, const struct auditor_flushed *f)
{
	for (struct client *cl = clients, *next; cl != NULL; cl = next) {
		next = cl->next;
		if (cl->round == 0 || cl->round > round)
			continue;
		cl->round = 0;
		cl->waits = NULL;
		client_answer(cl, flushed_json(f));
	}
}

void control_cleared(int error)
{
	control_answered("clear-disk", error < 0 ? json_pack("{s:s}", "error", strerror(-error))
						 : json_pack("{s:b}", "cleared", 1));
}

/* json_null(): it comes later, from who carries the request out. */
static void answer_or_wait(struct client *cl, const struct request *request, json_t *root)
{
	if (!json_is_null(root))
		return client_answer(cl, root);
	cl->waits = request;
	loop_timer_set(cl->m->loop, &cl->timer, clock_ms() + ANSWER_MS);
}

static void on_client(struct watch *w, uint32_t ready)
{
	struct client *cl = CONTAINER_OF(w, struct client, watch);
	const struct request *request = NULL;
	char line[REQUEST_MAX];
	json_t *root;
	ssize_t n;

	(void)ready;
	if (cl->text != NULL)
		return client_write(cl);
	n = recv(w->fd, line, sizeof line - 1, MSG_DONTWAIT);
	if (n <= 0 || cl->waits != NULL || cl->recorded != NULL)
		return client_end(cl);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	root = answer(cl, line, &request);
	cl->round = json_is_null(root) && request != NULL && request->run == do_flush
			    ? cl->m->trail.rounds.wanted
			    : 0;
	answer_or_wait(cl, request, root);
}

/* Oldest first; carrying one out may end others. */
void control_go_on(struct monitor *m)
{
	struct client *cl = clients;

	while (cl != NULL) {
		const struct request *request = cl->recorded;

		if (request == NULL || m->trail.written < cl->event_id) {
			cl = cl->next;
			continue;
		}
		cl->recorded = NULL;
		(void)string_copy(m->asker, sizeof m->asker, cl->asker);
		answer_or_wait(cl, request, request->run(m, cl->argument));
		cl = clients;
	}
}

static void on_control(struct watch *w, uint32_t ready)
{
	struct monitor *m = CONTAINER_OF(w, struct monitor, control);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *cl;

	(void)ready;
	if (fd < 0) {
		if (listen_is_short(errno))
			listen_pause(m, errno);
		return;
	}
	cl = calloc(1, sizeof *cl);
	if (cl == NULL) {
		fd_close(&fd);
		return;
	}
	client_add(cl);
	cl->m = m;
	cl->timer.run = on_client_too_long;
	loop_timer_set(m->loop, &cl->timer, clock_ms() + CLIENT_MS);
	cl->watch = (struct watch){.fd = fd, .events = EPOLLIN, .run = on_client};
	if (loop_watch(m->loop, &cl->watch) < 0)
		client_end(cl);
}

int control_open(struct monitor *m)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	OWNED_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* Through the folder's descriptor, so that a long path fits. */
	(void)snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/" CONTROL_NAME,
		       m->state_fd);
	(void)unlinkat(m->state_fd, CONTROL_NAME, 0);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, CLIENTS_MAX) < 0)
		return -errno;
	if (m->root && (fchownat(m->state_fd, CONTROL_NAME, 0, m->gid, 0) < 0 ||
			fchown(m->state_fd, 0, m->gid) < 0 || fchmod(m->state_fd, 0710) < 0))
		return -errno;
	if (fchmodat(m->state_fd, CONTROL_NAME, 0660, 0) < 0)
		return -errno;
	m->control = (struct watch){.fd = fd_take(&fd), .events = EPOLLIN, .run = on_control};
	return loop_watch(m->loop, &m->control);
}

void control_close(struct monitor *m)
{
	loop_unwatch(m->loop, &m->control);
	fd_close(&m->control.fd);
	(void)unlinkat(m->state_fd, CONTROL_NAME, 0);
}
