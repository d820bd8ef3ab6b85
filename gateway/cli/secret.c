/* `sallyport secret`: generates, sets, lists and removes CHAP secrets in the sealed store.
 * Needs neither a policy nor a gateway. Secrets are in locked memory here, too; one
 * comes in from stdin or is shown once, and is never an argument. */
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/base/state.h"
#include "gateway/cli/cli.h"

#define GENERATED_LEN 16 /* characters of 6 bits: 96, and Windows takes no more */
#define INPUT_SIZE    4096
#define INPUT_MAX     (CHAP_SECRET_MAX + 2) /* a newline, and one octet too many */

/* What a command works with. */
struct bench {
	const struct cli *cli;
	const char *name;
	char why[1024];
	int state_fd, lock_fd;
	struct slab input; /* struct secret, and behind it the octets as they came */
	struct secret *fresh;
	struct slab slab; /* key, then the store's secrets */
	uint8_t *key;
	struct store store;
};

static void bench_close(struct bench *b)
{
	store_list_free(&b->store.list);
	slab_close(&b->slab);
	slab_close(&b->input);
	fd_close(&b->lock_fd);
	fd_close(&b->state_fd);
}

static int bench_cannot(struct bench *b)
{
	return cli_cannot(b->cli, "%s", b->why);
}

static int state_begin(struct bench *b)
{
	b->state_fd = state_open(b->cli->state, true, b->why, sizeof b->why);
	if (b->state_fd < 0)
		return b->state_fd;
	return store_key_ensure(b->cli->state, b->state_fd, b->why, sizeof b->why);
}

static int key_begin(struct bench *b)
{
	OWNED_FD fd = store_key_open(b->cli->state, b->why, sizeof b->why);
	int r = fd < 0 ? fd : store_key_read(fd, b->key);

	if (fd >= 0 && r < 0)
		(void)snprintf(b->why, sizeof b->why, "the key file can't be read: %s",
			       strerror(-r));
	return r;
}

/* Opens, locks and unseals the store, with room for one secret more. */
static int store_begin(struct bench *b)
{
	OWNED_BY(store_list_free) struct store_list names = {0};
	OWNED_FD fd = -1;
	size_t size;
	int r;

	if ((r = state_begin(b)) < 0)
		return r;
	b->lock_fd = store_lock(b->state_fd, b->why, sizeof b->why);
	if (b->lock_fd < 0)
		return b->lock_fd;
	if ((r = store_list_load(b->state_fd, &names, b->why, sizeof b->why)) < 0)
		return r;
	size = (names.count + 2) * sizeof(struct secret);
	if ((r = slab_open(&b->slab, size, size, b->why, sizeof b->why)) < 0)
		return r;
	b->key = b->slab.memory;
	b->store.secrets = (struct secret *)(void *)b->slab.memory + 1;
	b->store.room = names.count + 1;
	if ((r = key_begin(b)) < 0)
		return r;
	fd = store_open(b->state_fd, b->why, sizeof b->why);
	return fd < 0 ? fd : store_load(&b->store, fd, b->key, b->why, sizeof b->why);
}

static int store_finish(struct bench *b)
{
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;
	int r = store_seal(&b->store, b->key, &bytes, &len);

	if (r < 0) {
		(void)snprintf(b->why, sizeof b->why, "the store can't be sealed: %s",
			       strerror(-r));
		return r;
	}
	return store_write(b->state_fd, bytes, len, b->why, sizeof b->why);
}

static int fresh_begin(struct bench *b)
{
	int r = slab_open(&b->input, INPUT_SIZE, INPUT_SIZE, b->why, sizeof b->why);

	if (r == 0)
		b->fresh = (struct secret *)(void *)b->input.memory;
	return r;
}

/* Puts the fresh secret under the name and writes the store. */
static int fresh_store(struct bench *b, enum store_kind kind)
{
	struct store_entry entry = {.created_s = clock_wall_ns() / 1000000000u, .kind = kind};
	const char *other = NULL;
	int r;

	(void)string_copy(entry.name, sizeof entry.name, b->name);
	r = store_put(&b->store, &entry, b->fresh, &other);
	if (r == -EEXIST)
		(void)snprintf(b->why, sizeof b->why,
			       "%s has this very secret already; whoever knows it could be both: "
			       "give each name a secret of its own, nothing was changed",
			       other);
	else if (r == -ENOSPC)
		(void)snprintf(b->why, sizeof b->why, "the store is full with %d secrets",
			       STORE_ENTRIES_MAX);
	else if (r < 0)
		(void)snprintf(b->why, sizeof b->why, "%s can't be stored: %s", b->name,
			       strerror(-r));
	return r < 0 ? r : store_finish(b);
}

static void say_restart(void)
{
	fprintf(stderr, "A running gateway takes it up when it restarts.\n");
}

/* --- generate -------------------------------------------------------------------------------- */

/* 64 characters that need no quotes in a shell, in YAML, in PowerShell or in an iscsi:// URL, and
 * can't be taken for the start of an option. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
_Static_assert(sizeof alphabet - 1 == 64, "6 bits a character");

static void fresh_generate(struct secret *s)
{
	s->len = GENERATED_LEN;
	randombytes_buf(s->octets, GENERATED_LEN);
	for (size_t i = 0; i < GENERATED_LEN; i++)
		s->octets[i] = (uint8_t)alphabet[s->octets[i] & 63];
}

/* Past stdio, whose buffers nobody wipes. */
static bool fresh_show(const struct secret *s)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)s->octets, s->len}, {"\n", 1}};

	return writev(STDOUT_FILENO, iov, 2) == (ssize_t)s->len + 1;
}

static int run_generate(struct bench *b)
{
	if (fresh_begin(b) < 0 || store_begin(b) < 0)
		return bench_cannot(b);
	if (store_list_find(&b->store.list, b->name) >= 0)
		return cli_cannot(b->cli,
				  "%s has a secret already, which is kept: `sallyport secret "
				  "remove %s` first, or `set` one over it",
				  b->name, b->name);
	fresh_generate(b->fresh);
	if (fresh_store(b, STORE_GENERATED) < 0)
		return bench_cannot(b);
	if (!fresh_show(b->fresh))
		return cli_cannot(b->cli,
				  "the secret of %s is stored, but could not be shown: %s; remove "
				  "it and generate another",
				  b->name, strerror(errno));
	fprintf(stderr,
		"The secret of %s (%d random bits): on the line of its own, and shown this once.\n",
		b->name, GENERATED_LEN * 6);
	say_restart();
	return EXIT_DONE;
}

/* --- set ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* Signals are blocked but while it waits here, so that none is lost between prompt and read(). */
static bool line_wait(const sigset_t *unblocked)
{
	struct pollfd p = {STDIN_FILENO, POLLIN, 0};
	int r;

	do
		r = ppoll(&p, 1, NULL, unblocked);
	while (r < 0 && errno == EINTR && !interrupted);
	return r > 0 && !interrupted;
}

/* Reads to the end, or to a terminal's end of line (`unblocked` is set), or until there is one
 * octet too many. */
static ssize_t input_read(uint8_t *bytes, size_t size, const sigset_t *unblocked)
{
	size_t len = 0;

	while (len < size && !(unblocked && len > 0 && bytes[len - 1] == '\n')) {
		ssize_t n;

		if (unblocked && !line_wait(unblocked))
			return -EINTR;
		n = read(STDIN_FILENO, bytes + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

struct terminal {
	struct termios shown;
	sigset_t unblocked;
	struct sigaction before[5];
};

static const int terminal_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

static int terminal_begin(struct terminal *t)
{
	const struct sigaction act = {.sa_handler = on_signal};
	struct termios hidden;
	sigset_t blocked;

	_Static_assert(ARRAY_LEN(terminal_signals) == ARRAY_LEN(t->before), "one each");
	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_LEN(terminal_signals); i++)
		sigaddset(&blocked, terminal_signals[i]);
	(void)sigprocmask(SIG_BLOCK, &blocked, &t->unblocked);
	for (size_t i = 0; i < ARRAY_LEN(terminal_signals); i++)
		(void)sigaction(terminal_signals[i], &act, &t->before[i]);
	hidden = t->shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	return tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0 ? -errno : 0;
}

static void terminal_end(const struct terminal *t)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->shown);
	(void)sigprocmask(SIG_SETMASK, &t->unblocked, NULL);
	for (size_t i = 0; i < ARRAY_LEN(terminal_signals); i++)
		(void)sigaction(terminal_signals[i], &t->before[i], NULL);
}

static ssize_t prompt_read(const char *prompt, const char *name, uint8_t *bytes,
			   const sigset_t *unblocked)
{
	ssize_t n;

	fprintf(stderr, "%s %s: ", prompt, name);
	fflush(stderr);
	n = input_read(bytes, INPUT_MAX, unblocked);
	fprintf(stderr, "\n");
	return n;
}

/* Without echo, twice. Whatever ends it, the terminal is put back. */
static ssize_t terminal_read(const struct bench *b, uint8_t *bytes)
{
	struct terminal t;
	ssize_t n = 0, again = 0;
	int r;

	if (tcgetattr(STDIN_FILENO, &t.shown) < 0)
		return -errno;
	r = terminal_begin(&t);
	if (r == 0)
		n = prompt_read("secret for", b->name, bytes, &t.unblocked);
	if (r == 0 && n > 0)
		again = prompt_read("once more, for", b->name, bytes + INPUT_MAX, &t.unblocked);
	terminal_end(&t);
	if (r < 0 || n < 0 || again < 0 || interrupted)
		return r < 0 ? r : -EINTR;
	return n == again && sodium_memcmp(bytes, bytes + INPUT_MAX, (size_t)n) == 0 ? n : -EBADMSG;
}

static int fresh_read(struct bench *b)
{
	uint8_t *bytes = b->input.memory + sizeof *b->fresh;
	const bool terminal = isatty(STDIN_FILENO) == 1;
	ssize_t n = terminal ? terminal_read(b, bytes) : input_read(bytes, INPUT_MAX, NULL);

	if (n > 0 && bytes[n - 1] == '\n')
		n--;
	if (n >= CHAP_SECRET_MIN && n <= CHAP_SECRET_MAX) {
		b->fresh->len = (uint8_t)n;
		memcpy(b->fresh->octets, bytes, (size_t)n);
		return 0;
	}
	if (n == -EBADMSG)
		return cli_cannot(b->cli, "the two differ: nothing was changed");
	if (n < 0)
		return cli_cannot(b->cli, "no secret was read (%s): nothing was changed",
				  strerror((int)-n));
	if (n > CHAP_SECRET_MAX)
		return cli_cannot(b->cli, "the secret has more than %d octets: nothing was changed",
				  CHAP_SECRET_MAX);
	return cli_cannot(b->cli,
			  "the secret has %zd octets, and one of fewer than %d can be guessed from "
			  "a recorded login: `sallyport secret generate` makes a good one; nothing "
			  "was changed",
			  n, CHAP_SECRET_MIN);
}

static int run_set(struct bench *b)
{
	bool replaced;
	int r;

	if (fresh_begin(b) < 0)
		return bench_cannot(b);
	if ((r = fresh_read(b)) != 0) /* before the lock: whoever types may take long */
		return r;
	if (store_begin(b) < 0)
		return bench_cannot(b);
	replaced = store_list_find(&b->store.list, b->name) >= 0;
	if (fresh_store(b, STORE_SET) < 0)
		return bench_cannot(b);
	fprintf(stderr, "The secret of %s is %s.\n", b->name, replaced ? "replaced" : "set");
	say_restart();
	return EXIT_DONE;
}

/* --- list, remove ---------------------------------------------------------------------------- */

static void age_print(uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
		i++;
	printf("%llu %s\n", (unsigned long long)(seconds / units[i].seconds), units[i].unit);
}

static void list_print(const struct store_list *list, uint64_t now_s)
{
	if (list->count == 0)
		fprintf(stderr, "There are no secrets yet: sallyport secret generate NAME\n");
	else
		printf("%-24s %-10s %s\n", "NAME", "KIND", "AGE");
	for (size_t i = 0; i < list->count; i++) {
		const struct store_entry *e = &list->entries[i];

		printf("%-24s %-10s ", e->name, store_kind_name(e->kind));
		age_print(now_s - MIN(e->created_s, now_s));
	}
}

static int list_print_json(const struct store_list *list, uint64_t now_s)
{
	json_t *array = json_array();
	int r = array ? 0 : -1;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		const struct store_entry *e = &list->entries[i];
		const time_t at = (time_t)e->created_s;
		struct tm tm = {0};
		char created[32] = "";

		(void)gmtime_r(&at, &tm);
		(void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &tm);
		r = json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:I}", "name", e->name, "kind",
					 store_kind_name(e->kind), "created", created, "age_s",
					 (json_int_t)(now_s - MIN(e->created_s, now_s))));
	}
	if (r == 0)
		r = json_dumpf(array, stdout, JSON_INDENT(2));
	json_decref(array);
	printf("\n");
	return r;
}

/* Names are read without the key. */
static int run_list(struct bench *b)
{
	OWNED_BY(store_list_free) struct store_list list = {0};
	const uint64_t now_s = clock_wall_ns() / 1000000000u;

	b->state_fd = state_open(b->cli->state, true, b->why, sizeof b->why);
	if (b->state_fd < 0 || store_list_load(b->state_fd, &list, b->why, sizeof b->why) < 0 ||
	    (list.count == 0 &&
	     store_key_ensure(b->cli->state, b->state_fd, b->why, sizeof b->why) < 0))
		return bench_cannot(b);
	if (!b->cli->json)
		list_print(&list, now_s);
	else if (list_print_json(&list, now_s) < 0)
		return cli_cannot(b->cli, "the list can't be printed: no memory");
	return EXIT_DONE;
}

static int run_remove(struct bench *b)
{
	if (store_begin(b) < 0)
		return bench_cannot(b);
	if (store_remove(&b->store, b->name) < 0)
		return cli_cannot(
			b->cli,
			"there is no secret of the name %s: `sallyport secret list` shows "
			"what there is",
			b->name);
	if (store_finish(b) < 0)
		return bench_cannot(b);
	fprintf(stderr, "The secret of %s is removed.\n", b->name);
	say_restart();
	return EXIT_DONE;
}

/* --- the command ----------------------------------------------------------------------------- */

static const struct verb {
	const char *name;
	bool takes_name, json;
	int (*run)(struct bench *b);
} verbs[] = {
	{"generate", true, false, run_generate},
	{"set", true, false, run_set},
	{"list", false, true, run_list},
	{"remove", true, false, run_remove},
};

static int run_secret(const struct cli *cli)
{
	OWNED_BY(bench_close)
	struct bench b = {.cli = cli, .name = cli->arguments[1], .state_fd = -1, .lock_fd = -1};
	const struct verb *verb = cli_verb(cli, verbs, sizeof verbs[0], ARRAY_LEN(verbs));

	if (!verb)
		return EXIT_USAGE;
	if (verb->takes_name != (b.name != NULL))
		return cli_usage(cli, verb->takes_name ? "%s needs a NAME" : "%s takes no NAME",
				 verb->name);
	if (cli->json && !verb->json)
		return cli_usage(cli, "--json is for list");
	if (b.name && !store_name_valid(b.name))
		return cli_usage(cli,
				 "a NAME is 1 to %d letters, digits, dots, hyphens and "
				 "underscores",
				 STORE_NAME_MAX);
	if (process_harden() < 0 || sodium_init() < 0)
		return cli_cannot(cli, "this process can't be protected from others, so no secret "
				       "is read");
	return verb->run(&b);
}

const struct subcommand cli_secret = {
	.name = "secret",
	.arguments = "generate|set|list|remove [NAME]",
	.least = 1,
	.most = 2,
	.summary = "the CHAP secrets, sealed in the state folder",
	.examples = "  sallyport secret generate alice\n"
		    "  sallyport secret list",
	.text = "\n"
		"  generate NAME  makes a secret of 16 random characters and prints it, once\n"
		"  set NAME       takes 12 to 255 octets from stdin (without one newline at the\n"
		"                 end), or asks at a terminal; replaces\n"
		"  list           names, how they came, and their age; never a secret\n"
		"  remove NAME    forgets it; a user without its secret can't log in\n"
		"\n"
		"The policy names users and mutual names; their secrets are here. Each name has "
		"one\n"
		"of its own: a secret that another name has already is refused. The first command\n"
		"makes the key file that seals them; keep a copy of it, apart from the store's.",
	.json = true,
	.run = run_secret,
};
