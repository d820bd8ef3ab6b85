/* Which session a login joins, and what becomes of its socket: RFC 7143 section 6.3.1. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gateway/base/fd.h"
#include "gateway/monitor/monitor.h"

static struct tests t;

#define ALICE "iqn.1994-05.com.redhat:alice"
#define BOB   "iqn.1994-05.com.redhat:bob"

static const struct policy_target vault;

enum { SESSION, JOINS, CONNECTIONS };
static struct connection connections[CONNECTIONS];
static struct monitor monitor = {.connections = connections, .connection_max = CONNECTIONS};

static void connection_set(struct connection *c, enum connection_state state)
{
	*c = (struct connection){.m = &monitor,
				 .state = state,
				 .id = (uint32_t)(c - connections) + 1,
				 .pid = 1,
				 .kept_fd = -1,
				 .portal_tag = 7,
				 .target = &vault,
				 .target_name = "iqn.2026-11.net.example.gw:vault",
				 .user = "alice",
				 .initiator_name = ALICE,
				 .claim = {.tsih = 5, .isid = {0x80, 1, 2, 3, 4, 5}}};
}

static void is_bobs(struct connection *c)
{
	(void)string_copy(c->initiator_name, sizeof c->initiator_name, BOB);
}

static void is_another_user(struct connection *c)
{
	(void)string_copy(c->user, sizeof c->user, "alice-2");
}

static void is_another_port(struct connection *c)
{
	c->claim.isid[5]++;
}

static void is_of_the_store(struct connection *c)
{
	(void)string_copy(c->target_name, sizeof c->target_name, "iqn.2026-11.net.example:store");
}

static void is_by_a_portal_of_the_group(struct connection *c)
{
	c->portal = 1; /* its tag is the same */
}

static void is_by_another_group(struct connection *c)
{
	c->portal_tag = 9;
}

static void has_no_such_tsih(struct connection *c)
{
	c->claim.tsih++;
}

static void is_discovery(struct connection *c)
{
	c->claim.discovery = 1;
}

static void is_not_granted(struct connection *c)
{
	c->state = CONN_ENTERING;
}

static void has_no_process(struct connection *c)
{
	c->pid = 0;
}

static void is_being_ended(struct connection *c)
{
	(void)string_copy(c->ended, sizeof c->ended, "replaced-by-a-new-login");
}

static void is_as_it_should(struct connection *c)
{
	(void)c;
}

static const struct row {
	const char *why;
	unsigned which;
	void (*other)(struct connection *c);
	bool joins;
} rows[] = {
	{"the same initiator port, target and TSIH: it joins", JOINS, is_as_it_should, true},
	{"another portal of the same group", JOINS, is_by_a_portal_of_the_group, true},
	{"P3: another initiator's session is not joined", JOINS, is_bobs, false},
	{"P3: nor one of another user", JOINS, is_another_user, false},
	{"P3: nor one of another target", JOINS, is_of_the_store, false},
	{"P3: nor by a discovery login", JOINS, is_discovery, false},
	{"nor one of another ISID", JOINS, is_another_port, false},
	{"nor by a portal of another group", JOINS, is_by_another_group, false},
	{"nor one of another TSIH", JOINS, has_no_such_tsih, false},
	{"nor a discovery session", SESSION, is_discovery, false},
	{"nor one that is not granted yet", SESSION, is_not_granted, false},
	{"nor one without a process", SESSION, has_no_process, false},
	{"nor one that is being ended", SESSION, is_being_ended, false},
};

static void test_row(void **state)
{
	const struct row *r = *state;

	connection_set(&connections[SESSION], CONN_GRANTED);
	connections[SESSION].tsih = 5;
	connection_set(&connections[JOINS], CONN_ENTERING);
	r->other(&connections[r->which]);
	assert_ptr_equal(join_session(&connections[JOINS]),
			 r->joins ? &connections[SESSION] : NULL);
}

/* A process of its own, which stays until it is killed. */
static pid_t idle_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	return pid;
}

/* Its process is killed, but not reaped yet, when something else lets waiting logins go on. */
static void test_once(void **state)
{
	struct connection *s = &connections[SESSION], *c = &connections[JOINS];
	struct channel session;
	struct message m;
	int pair[2];

	(void)state;
	connection_set(s, CONN_GRANTED);
	s->tsih = 5;
	connection_set(c, CONN_ENTERING);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	channel_open(&s->channel, pair[0], session_outbox, session_outbox_len);
	channel_open(&session, pair[1], session_inbox, session_inbox_len);
	c->join = calloc(1, sizeof *c->join);
	c->kept_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	c->event_id = monitor.trail.written = 1;
	c->pid = idle_process();
	monitor.entering = 1;
	entries_go_on(&monitor);
	entries_go_on(&monitor);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
	assert_int_equal(c->kept_fd, -1);
	assert_int_equal(channel_receive(&session, &m), 1);
	assert_int_equal(m.type, SESSION_ADOPT);
	message_close_fds(&m);
	assert_int_equal(channel_receive(&session, &m), 0); /* not even one without a socket */
	channel_close(&session);
	channel_close(&s->channel);
	free(TAKE(c->join));
}

/* One that has lived long, with many connections after one another. */
static void test_told(void **state)
{
	struct session_connections body = {.count = 3};
	struct connection *s = &connections[SESSION];
	struct channel session;
	int pair[2];

	(void)state;
	connection_set(s, CONN_GRANTED);
	s->heard = s->joined = 10000;
	assert_int_equal(channel_pair(pair), 0);
	channel_open(&s->channel, pair[0], session_outbox, session_outbox_len);
	channel_open(&session, pair[1], session_inbox, session_inbox_len);
	s->messages.fd = s->channel.fd;
	assert_int_equal(CHANNEL_SEND(&session, SESSION_CONNECTIONS, &body), 0);
	connection_drain(s);
	assert_int_equal(s->connections, 3);
	assert_string_equal(s->ended, "");
	channel_close(&session);
	channel_close(&s->channel);
}

static const struct tsih_row {
	const char *why;
	uint16_t last, theirs, want;
	void (*other)(struct connection *c);
} tsihs[] = {
	{"numbers are given one after another", 8, 5, 9, is_as_it_should},
	{"after 65535 comes 1", 65535, 5, 1, is_as_it_should},
	{"one that a session of the initiator has is passed over", 4, 5, 6, is_as_it_should},
	{"whatever its ISID", 4, 5, 6, is_another_port},
	{"another initiator's may be the same", 4, 5, 5, is_bobs},
	{"65535 and 0 are passed over together", 65534, 65535, 1, is_as_it_should},
};

static void test_tsih(void **state)
{
	const struct tsih_row *r = *state;

	connection_set(&connections[SESSION], CONN_GRANTED);
	connections[SESSION].tsih = r->theirs;
	connection_set(&connections[JOINS], CONN_ENTERING);
	r->other(&connections[JOINS]);
	monitor.next_tsih = r->last;
	assert_int_equal(tsih_take(&connections[JOINS]), r->want);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_row);
	TESTS_ADD_TABLE(&t, tsihs, test_tsih);
	tests_add(&t, "P4: a socket is passed on once, whoever goes on meanwhile", test_once, NULL);
	tests_add(&t, "P7: a session may tell of each connection that joins it, and that goes",
		  test_told, NULL);
	return tests_run(&t, "monitor_join");
}
