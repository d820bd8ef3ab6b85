/* The authenticator as a process, between a monitor and sessions that this test plays
 * over real channels: who hears what, and when. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "auth/chap.h"
#include "auth/store.h"
#include "gateway/base/channel.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "tests/unit/test.h"

#define STRONG	(CHAP_ALGORITHM_BIT(CHAP_SHA256) | CHAP_ALGORITHM_BIT(CHAP_SHA3_256))
#define WAIT_MS 30000

static const uint8_t key[STORE_KEY_SIZE] = {4, 2};
static pid_t pid;
static struct channel monitor;

/* --- the process and the monitor's side ------------------------------------------------------ */

/* A forked child is no test: cmocka's handlers would go on with the tests in it. */
static void child_begin(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static NORETURN void child_run(int fd, bool no_locked_memory)
{
	const struct rlimit none = {0, 0};

	child_begin();
	if (no_locked_memory && setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		_exit(99);
	if (no_locked_memory && geteuid() == 0 && setresuid(65533, 65533, 65533) < 0)
		_exit(99);
	if (fd != PROCESS_FD_FIRST && dup2(fd, PROCESS_FD_FIRST) < 0)
		_exit(99);
	(void)close_range(PROCESS_FD_FIRST + 1, ~0u, 0);
	_exit(authenticator_main());
}

static void start(bool no_locked_memory)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	pid = fork();
	if (pid == 0)
		child_run(fds[1], no_locked_memory);
	assert_true(pid > 0);
	(void)close(fds[1]);
	channel_open(&monitor, fds[0], auth_outbox, auth_outbox_len);
}

static int status_of(void)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The next message, which must be of this type. */
static void expect(struct channel *c, uint32_t type, void *ret_body, size_t size)
{
	struct pollfd p = {c->fd, POLLIN, 0};
	struct message m;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(channel_receive(c, &m), 1);
	assert_int_equal(m.type, type);
	memcpy(ret_body, m.body, size);
}

static void expect_end(struct channel *c)
{
	struct pollfd p = {c->fd, POLLIN, 0};
	struct message m;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(channel_receive(c, &m), -EPIPE);
	channel_close(c);
}

static enum auth_secret proved;

static enum auth_reason verdict_of(uint32_t connection)
{
	struct auth_verdict v;

	expect(&monitor, AUTH_VERDICT, &v, sizeof v);
	assert_int_equal(v.connection, connection);
	proved = v.secret;
	return v.reason;
}

static struct secret secret_of(const char *text)
{
	struct secret s = {.len = (uint8_t)strlen(text)};

	memcpy(s.octets, text, s.len);
	return s;
}

static void give_rotated(const char *alices, const char *before, uint64_t until_s, bool harm);

/* A store with alice's secret and the gateway's; `harm` flips its last octet. */
static void give_store(const char *alices, bool harm)
{
	give_rotated(alices, NULL, 0, harm);
}

static void give_rotated(const char *alices, const char *before, uint64_t until_s, bool harm)
{
	static struct secret slots[3];
	struct store s = {.secrets = slots, .room = 3};
	const char *const texts[][2] = {{"alice", before ? before : alices},
					{"gw", "the gateway's own"}};
	OWNED_FREE uint8_t *bytes = NULL;
	const char *other;
	size_t len;
	int fds[2];

	for (size_t i = 0; i < 2; i++) {
		struct store_entry e = {.created_s = 1, .kind = STORE_SET};
		struct secret secret = secret_of(texts[i][1]);

		(void)string_copy(e.name, sizeof e.name, texts[i][0]);
		assert_int_equal(store_put(&s, &e, &secret, &other), 0);
	}
	if (before) {
		struct store_entry e = {.name = "alice", .created_s = 2, .kind = STORE_SET};
		struct secret secret = secret_of(alices);

		assert_int_equal(store_rotate(&s, &e, &secret, until_s, &other), 0);
	}
	assert_int_equal(store_seal(&s, key, &bytes, &len), 0);
	store_clear(&s);
	bytes[len - 1] ^= harm ? 1 : 0;
	fds[0] = memfd_sealed("store", bytes, len);
	fds[1] = memfd_sealed("key", key, sizeof key);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	assert_int_equal(channel_send(&monitor, AUTH_STORE, NULL, 0, fds, 2), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* `told`: how many there are said to be; there is one. */
static struct auth_ready give_accounts_of(uint32_t told)
{
	static const struct auth_account list[] = {{"alice", "gw", STRONG}};
	const struct auth_count count = {told, STRONG};
	struct auth_ready ready;
	int fd = memfd_sealed("accounts", list, sizeof list);

	assert_int_equal(channel_send(&monitor, AUTH_ACCOUNTS, &count, sizeof count, &fd, 1), 0);
	(void)close(fd);
	expect(&monitor, AUTH_READY, &ready, sizeof ready);
	return ready;
}

static struct auth_ready give_accounts(void)
{
	return give_accounts_of(1);
}

static int setup(void **state)
{
	(void)state;
	start(false);
	give_store("alice's own secret", false);
	(void)give_accounts();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	channel_close(&monitor);
	return pid == 0 || status_of() == 0 ? 0 : -1;
}

/* --- the session's side ---------------------------------------------------------------------- */

static void enter(struct channel *c, uint32_t number, uint32_t deadline_ms)
{
	const struct auth_connection info = {.connection = number, .deadline_ms = deadline_ms};
	struct pollfd p = {monitor.fd, POLLOUT, 0};
	int fds[2], r;

	assert_int_equal(channel_pair(fds), 0);
	while ((r = channel_send(&monitor, AUTH_CONNECTION, &info, sizeof info, &fds[1], 1)) ==
	       -EAGAIN)
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(r, 0);
	(void)close(fds[1]);
	channel_open(c, fds[0], auth_session_outbox, auth_session_outbox_len);
}

static void offer(struct channel *c, uint32_t algorithm)
{
	const struct auth_offer o = {.count = 1, .algorithms = {algorithm}};

	assert_int_equal(CHANNEL_SEND(c, AUTH_OFFER, &o), 0);
}

static void challenge(struct channel *c, struct auth_challenge *ret)
{
	offer(c, CHAP_SHA256);
	expect(c, AUTH_CHALLENGE, ret, sizeof *ret);
	assert_int_equal(ret->algorithm, CHAP_SHA256);
}

static void prove(struct channel *c, const struct auth_challenge *ch, const char *user,
		  const char *text)
{
	struct auth_proof p = {
		.response_len = 32, .has_challenge = 1, .id = 9, .challenge_len = 16};
	struct secret s = secret_of(text);
	struct chap_challenge ours = {(uint8_t)ch->id, ch->challenge, CHAP_CHALLENGE_LEN};

	(void)string_copy(p.user, sizeof p.user, user);
	assert_int_equal(chap_respond(CHAP_SHA256, &s, &ours, p.response), 0);
	assert_int_equal(CHANNEL_SEND(c, AUTH_PROOF, &p), 0);
}

static struct auth_result result_of(struct channel *c)
{
	struct auth_result r;

	expect(c, AUTH_RESULT, &r, sizeof r);
	expect_end(c);
	return r;
}

static void run_login(void **state)
{
	static const uint8_t theirs[16];
	struct secret gw = secret_of("the gateway's own");
	struct chap_challenge c = {9, theirs, sizeof theirs};
	struct pollfd p = {-1, POLLIN, 0};
	uint8_t want[CHAP_DIGEST_MAX];
	struct auth_challenge ch;
	struct auth_result result;
	struct channel session;

	(void)state;
	enter(&session, 17, WAIT_MS);
	challenge(&session, &ch);
	prove(&session, &ch, "alice", "alice's own secret");
	result = result_of(&session);
	p.fd = monitor.fd;
	assert_int_equal(poll(&p, 1, 0), 1); /* the verdict is there already */
	assert_int_equal(verdict_of(17), AUTH_OK);
	assert_int_equal(result.ok, 1);
	assert_string_equal(result.name, "gw");
	assert_int_equal(chap_respond(CHAP_SHA256, &gw, &c, want), 0);
	assert_memory_equal(result.response, want, sizeof want);
}

static void run_alike(void **state)
{
	static const char *const tries[][2] = {{"alice", "not alice's secret"},
					       {"mallory", "alice's own secret"}};
	struct auth_result results[2];
	struct auth_challenge ch;
	struct channel session;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		enter(&session, i + 1, WAIT_MS);
		challenge(&session, &ch);
		prove(&session, &ch, tries[i][0], tries[i][1]);
		results[i] = result_of(&session);
		assert_int_equal(verdict_of(i + 1), i == 0 ? AUTH_WRONG_SECRET : AUTH_UNKNOWN_USER);
	}
	assert_memory_equal(&results[0], &results[1], sizeof results[0]);
	assert_int_equal(results[0].ok, 0);
}

static void run_gone(void **state)
{
	struct auth_challenge ch;
	struct channel session;

	(void)state;
	enter(&session, 5, WAIT_MS);
	challenge(&session, &ch);
	prove(&session, &ch, "alice", "alice's own secret");
	channel_close(&session);
	assert_int_equal(verdict_of(5), AUTH_OK);
}

static void run_broken(void **state)
{
	static const struct auth_proof proof = {.user = "alice"};
	struct channel honest, early, wild, twice;
	struct auth_challenge ch;

	(void)state;
	enter(&honest, 1, WAIT_MS);
	challenge(&honest, &ch);
	enter(&early, 2, WAIT_MS);
	assert_int_equal(CHANNEL_SEND(&early, AUTH_PROOF, &proof), 0);
	assert_int_equal(verdict_of(2), AUTH_BROKEN);
	expect_end(&early);
	enter(&wild, 3, WAIT_MS);
	assert_int_equal(channel_send(&wild, AUTH_STORE, "x", 1, NULL, 0), 0);
	assert_int_equal(verdict_of(3), AUTH_BROKEN);
	expect_end(&wild);
	enter(&twice, 4, WAIT_MS);
	offer(&twice, CHAP_SHA256);
	offer(&twice, CHAP_SHA256);
	assert_int_equal(verdict_of(4), AUTH_BROKEN);
	channel_close(&twice);
	prove(&honest, &ch, "alice", "alice's own secret");
	assert_int_equal(result_of(&honest).ok, 1);
	assert_int_equal(verdict_of(1), AUTH_OK);
}

static void run_expired(void **state)
{
	struct channel session;

	(void)state;
	enter(&session, 8, 1);
	assert_int_equal(verdict_of(8), AUTH_EXPIRED);
	expect_end(&session);
}

static void run_left(void **state)
{
	struct channel session, next;

	(void)state;
	enter(&session, 1, WAIT_MS);
	channel_close(&session);
	enter(&next, 2, 1);
	assert_int_equal(verdict_of(2), AUTH_EXPIRED); /* nothing about 1 */
	channel_close(&next);
}

/* More verdicts than a socket holds, from a monitor that does not read. */
static void run_flood(void **state)
{
	enum { N = 600 };
	static struct channel sessions[N];
	static bool seen[N];
	struct auth_challenge ch;
	struct auth_verdict v;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		enter(&sessions[i], i, WAIT_MS);
		offer(&sessions[i], CHAP_MD5);
	}
	for (size_t i = 0; i < N; i++) {
		expect(&monitor, AUTH_VERDICT, &v, sizeof v);
		assert_int_equal(v.reason, AUTH_NO_ALGORITHM);
		assert_true(v.connection < N && !seen[v.connection]);
		seen[v.connection] = true;
	}
	for (size_t i = 0; i < N; i++) {
		expect(&sessions[i], AUTH_CHALLENGE, &ch, sizeof ch);
		assert_int_equal(ch.algorithm, CHAP_NONE);
		expect_end(&sessions[i]);
	}
}

static void run_reload(void **state)
{
	struct auth_challenge before, after;
	struct channel old, new;

	(void)state;
	enter(&old, 1, WAIT_MS);
	challenge(&old, &before);
	give_store("alice's next secret", false);
	assert_int_equal(give_accounts().missing, 0);
	enter(&new, 2, WAIT_MS);
	challenge(&new, &after);
	prove(&old, &before, "alice", "alice's next secret");
	assert_int_equal(result_of(&old).ok, 1);
	assert_int_equal(verdict_of(1), AUTH_OK);
	prove(&new, &after, "alice", "alice's own secret");
	assert_int_equal(result_of(&new).ok, 0);
	assert_int_equal(verdict_of(2), AUTH_WRONG_SECRET);
}

static void run_damaged(void **state)
{
	struct auth_challenge ch;
	struct auth_ready ready;
	struct channel session;

	(void)state;
	give_store("alice's next secret", true);
	ready = give_accounts();
	assert_non_null(strstr(ready.why, "damaged"));
	assert_int_equal(ready.taken, 0);
	assert_int_equal(ready.secrets, 2);
	enter(&session, 1, WAIT_MS);
	challenge(&session, &ch);
	prove(&session, &ch, "alice", "alice's own secret");
	assert_int_equal(result_of(&session).ok, 1);
	assert_int_equal(verdict_of(1), AUTH_OK);
	give_store("alice's next secret", false);
	ready = give_accounts();
	assert_string_equal(ready.why, "");
	assert_int_equal(ready.taken, 1);
}

static enum auth_reason verdict_for(uint32_t connection, const char *text)
{
	struct auth_challenge ch;
	struct channel session;

	enter(&session, connection, WAIT_MS);
	challenge(&session, &ch);
	prove(&session, &ch, "alice", text);
	(void)result_of(&session);
	return verdict_of(connection);
}

static void run_halves(void **state)
{
	struct auth_ready ready;

	(void)state;
	give_store("alice's next secret", false);
	assert_int_equal(verdict_for(1, "alice's own secret"), AUTH_OK); /* no accounts yet */
	ready = give_accounts_of(2);
	assert_int_equal(ready.taken, 0);
	assert_non_null(strstr(ready.why, "can't be taken up"));
	assert_int_equal(verdict_for(2, "alice's next secret"), AUTH_WRONG_SECRET);
	assert_int_equal(verdict_for(3, "alice's own secret"), AUTH_OK);
	assert_int_equal(give_accounts().taken,
			 1); /* the store that came with the others is gone */
	assert_int_equal(verdict_for(4, "alice's own secret"), AUTH_OK);
	give_store("alice's next secret", false);
	assert_int_equal(give_accounts().taken, 1);
	assert_int_equal(verdict_for(5, "alice's own secret"), AUTH_WRONG_SECRET);
	assert_int_equal(verdict_for(6, "alice's next secret"), AUTH_OK);
}

static void run_rotated(void **state)
{
	const uint64_t year = 366 * 86400, now = clock_wall_ns() / 1000000000u;

	(void)state;
	give_rotated("alice's next secret", "alice's own secret", now + year, false);
	assert_int_equal(give_accounts().secrets, 3);
	assert_int_equal(verdict_for(1, "alice's own secret"), AUTH_OK);
	assert_int_equal(proved, AUTH_SECRET_OLD);
	assert_int_equal(verdict_for(2, "alice's next secret"), AUTH_OK);
	assert_int_equal(proved, AUTH_SECRET_NEW);
	give_rotated("alice's next secret", "alice's own secret", now - 1, false);
	assert_int_equal(give_accounts().secrets, 2); /* wiped */
	assert_int_equal(verdict_for(3, "alice's own secret"), AUTH_WRONG_SECRET);
	assert_int_equal(verdict_for(4, "alice's next secret"), AUTH_OK);
	assert_int_equal(proved, AUTH_SECRET_ONLY);
}

static void run_locked(void **state)
{
	char path[64], line[256];
	unsigned long locked_kib = 0;
	struct auth_ready ready;
	FILE *f;

	(void)state;
	ready = give_accounts();
	assert_int_equal(ready.accounts, 1);
	assert_int_equal(ready.secrets, 2);
	assert_int_equal(ready.missing, 0);
	assert_true(ready.locked >= 1);
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		(void)sscanf(line, "VmLck: %lu kB", &locked_kib);
	(void)fclose(f);
	assert_true(locked_kib >= 16);
}

static void run_unlocked(void **state)
{
	(void)state;
	start(true);
	assert_int_equal(status_of(), 1);
	channel_close(&monitor);
}

static void run_end(void **state)
{
	struct channel session;
	struct auth_challenge ch;

	(void)state;
	enter(&session, 1, WAIT_MS);
	challenge(&session, &ch);
	channel_close(&monitor);
	assert_int_equal(status_of(), 0);
	expect_end(&session);
}

static void add(struct tests *t, const char *sentence, CMUnitTestFunction run)
{
	tests_add(t, sentence, run, NULL);
	t->list[t->count - 1].setup_func = setup;
	t->list[t->count - 1].teardown_func = teardown;
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0 && chap_open() == 0);
	add(&t, "a mutual login, whose verdict the monitor has before the session its answer",
	    run_login);
	add(&t, "a wrong secret and an unknown name get the same answer, octet by octet",
	    run_alike);
	add(&t, "the monitor has the verdict also when the session is gone", run_gone);
	add(&t, "P6: a session that breaks the rules ends its own connection alone", run_broken);
	add(&t, "a connection past its deadline is over, and told", run_expired);
	add(&t, "who leaves before its proof leaves no verdict", run_left);
	add(&t, "no verdict is lost when the monitor does not read, and each comes once",
	    run_flood);
	add(&t, "P7: a changed secret does not disturb the exchanges in progress", run_reload);
	add(&t, "a damaged store is told about, and the old one stays in use", run_damaged);
	add(&t, "P7: store and accounts are taken up together or not at all", run_halves);
	add(&t, "P7: both secrets of a rotation log in, and which one did is told", run_rotated);
	add(&t, "P3: secrets are in locked memory", run_locked);
	tests_add(&t, "P3: no authenticator where no memory can be locked", run_unlocked, NULL);
	add(&t, "when the monitor is gone, the authenticator ends", run_end);
	return tests_run(&t, "chap_process");
}
