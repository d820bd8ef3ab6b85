/* `sallyport secret` as it is typed: exit statuses, what goes to stdout and what to
 * stderr, and that a secret shows nowhere but where it is generated. Each row runs in a
 * child, on a state folder where alice has a secret already. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include "auth/store.h"
#include "gateway/base/fd.h"
#include "gateway/cli/cli.h"
#include "tests/unit/test.h"

#define ALICES "alice's own secret"
#define X16    "xxxxxxxxxxxxxxxx"
#define X255   X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 "xxxxxxxxxxxxxxx"

static char folder[256], state_path[300], key_path[320];
static char out[8192], err[8192];

/* A forked child is no test: cmocka's handlers would go on with the tests in it. */
static void child_begin(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static NORETURN void child_run(const char *verb, const char *name, bool json)
{
	struct cli cli = {.command = &cli_secret,
			  .arguments = {verb, name},
			  .argument_count = name ? 2 : 1,
			  .state = state_path,
			  .json = json};
	int status;

	child_begin();
	status = cli_secret.run(&cli);

	(void)fflush(NULL);
	_exit(status);
}

static int memfd_with(const char *bytes, size_t len)
{
	int fd = memfd_sealed("stdin", bytes, len);

	assert_true(fd >= 0);
	(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

static void slurp(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);

	assert_true(n >= 0);
	ret[n] = '\0';
	(void)close(fd);
}

/* Runs one command; its output is in out and err. */
static int sallyport_secret(const char *verb, const char *name, const char *input, size_t len)
{
	const bool json = strcmp(verb, "list --json") == 0;
	int in = memfd_with(input, len), fds[2], status;
	pid_t pid;

	fds[0] = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	fds[1] = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	pid = fork();
	if (pid == 0) {
		if (dup2(in, 0) < 0 || dup2(fds[0], 1) < 0 || dup2(fds[1], 2) < 0)
			_exit(99);
		child_run(json ? "list" : verb, name, json);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(in);
	slurp(fds[0], out, sizeof out);
	slurp(fds[1], err, sizeof err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	(void)snprintf(folder, sizeof folder, "%s/sallyport-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(state_path, sizeof state_path, "%s/state", folder);
	(void)snprintf(key_path, sizeof key_path, "%s/state.key", folder);
	return sallyport_secret("set", "alice", ALICES "\n", sizeof ALICES);
}

static int teardown(void **state)
{
	char path[400];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/%s", state_path, STORE_FILE);
	(void)unlink(path);
	(void)rmdir(state_path);
	(void)unlink(key_path);
	return rmdir(folder);
}

static const struct typed {
	const char *why, *verb, *name, *input;
	size_t len;
	int status;
	const char *out, *err; /* somewhere in it; "": nothing at all comes out */
} typed[] = {
#define INPUT(s) (s), sizeof(s) - 1
	{"set takes 12 octets", "set", "bob", INPUT("twelve bytes"), 0, "", "is set"},
	{"set refuses 11 octets and a newline", "set", "bob", INPUT("eleven byte\n"), 3, "",
	 "11 octets"},
	{"set refuses nothing", "set", "bob", INPUT(""), 3, "", "0 octets"},
	{"set refuses a newline", "set", "bob", INPUT("\n"), 3, "", "0 octets"},
	{"set takes 255 octets", "set", "bob", INPUT(X255), 0, "", "is set"},
	{"set takes 255 octets and a newline", "set", "bob", INPUT(X255 "\n"), 0, "", "is set"},
	{"set refuses 256 octets", "set", "bob", INPUT(X255 "x"), 3, "", "more than 255"},
	{"set refuses 256 octets and a newline", "set", "bob", INPUT(X255 "x\n"), 3, "",
	 "more than 255"},
	{"set refuses 255 octets and two newlines", "set", "bob", INPUT(X255 "\n\n"), 3, "",
	 "more than 255"},
	{"set refuses another name's secret", "set", "bob", INPUT(ALICES), 3, "",
	 "alice has this very secret"},
	{"two newlines at the end: one belongs to the secret", "set", "bob", INPUT(ALICES "\n\n"),
	 0, "", "is set"},
	{"octets of zero are octets", "set", "bob", INPUT("alice's\0own\0x"), 0, "", "is set"},
	{"set replaces", "set", "alice", INPUT("alice's next secret"), 0, "", "is replaced"},
	{"set takes the secret that the name has", "set", "alice", INPUT(ALICES), 0, "",
	 "is replaced"},
	{"generate refuses a name that has a secret", "generate", "alice", INPUT(""), 3, "",
	 "remove alice"},
	{"generate says that the secret is shown this once", "generate", "bob", INPUT(""), 0, "\n",
	 "shown this once"},
	{"rotate makes another, and says until when the old one is good", "rotate", "alice",
	 INPUT(""), 0, "\n", "alice had is good until 20"},
	{"rotate needs a secret that is there", "rotate", "bob", INPUT(""), 3, "",
	 "no secret that could be rotated"},
	{"rotate needs a name", "rotate", NULL, INPUT(""), 2, "", "needs a NAME"},
	{"list shows names and kinds", "list", NULL, INPUT(""), 0, "alice", ""},
	{"list --json is JSON", "list --json", NULL, INPUT(""), 0, "\"kind\": \"set\"", ""},
	{"list takes no name", "list", "alice", INPUT(""), 2, "", "no NAME"},
	{"remove removes", "remove", "alice", INPUT(""), 0, "", "is removed"},
	{"remove tells of a name that is not there", "remove", "bob", INPUT(""), 3, "",
	 "no secret of the name bob"},
	{"set needs a name", "set", NULL, INPUT(""), 2, "", "needs a NAME"},
	{"a name with a slash is wrong usage", "set", "a/b", INPUT(ALICES "."), 2, "", "a NAME is"},
	{"an unknown verb gets the nearest", "lst", NULL, INPUT(""), 2, "", "did you mean list"},
};

static void run_typed(void **state)
{
	const struct typed *row = *state;

	assert_int_equal(setup(NULL), 0);
	assert_int_equal(sallyport_secret(row->verb, row->name, row->input, row->len), row->status);
	assert_non_null(strstr(out, row->out));
	assert_int_equal(*out == '\0', *row->out == '\0');
	assert_non_null(strstr(err, row->err));
	assert_int_equal(*err == '\0', *row->err == '\0');
	if (row->len > 4) { /* a secret that was typed shows nowhere */
		assert_null(memmem(out, strlen(out), row->input, row->len - 2));
		assert_null(memmem(err, strlen(err), row->input, row->len - 2));
	}
	assert_int_equal(teardown(NULL), 0);
}

static void run_generated(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._";
	char first[64];

	(void)state;
	assert_int_equal(sallyport_secret("generate", "bob", "", 0), 0);
	assert_int_equal(strlen(out), 17);
	assert_int_equal(strspn(out, letters), 16);
	assert_int_equal(out[16], '\n');
	(void)string_copy(first, sizeof first, out);
	assert_int_equal(sallyport_secret("generate", "carl", "", 0), 0);
	assert_string_not_equal(first, out);
	/* it is bob's: nobody else may have it */
	assert_int_equal(sallyport_secret("set", "dora", first, 17), 3);
	assert_non_null(strstr(err, "bob has this very secret"));
	first[16] = '\0';
	assert_int_equal(sallyport_secret("list", NULL, "", 0), 0);
	assert_null(strstr(out, first));
}

static void run_files(void **state)
{
	char path[400];
	struct stat st;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/%s", state_path, STORE_FILE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(sallyport_secret("list", NULL, "", 0), 0); /* names need no key */
	assert_int_equal(sallyport_secret("generate", "bob", "", 0), 3);
	assert_non_null(strstr(err, "is missing"));
	assert_int_equal(access(key_path, F_OK), -1);
	assert_int_equal(chmod(state_path, 0777), 0);
	assert_int_equal(sallyport_secret("list", NULL, "", 0), 3);
	assert_non_null(strstr(err, "written by others"));
}

/* Eight at once, each with a name of its own: none is lost. */
static void run_together(void **state)
{
	enum { N = 8 };
	char name[] = "user-0";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	pid_t pids[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		name[5] = (char)('0' + i);
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)dup2(null, 1);
			(void)dup2(null, 2);
			child_run("generate", name, false);
		}
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	(void)close(null);
	assert_int_equal(sallyport_secret("list", NULL, "", 0), 0);
	for (int i = 0; i < N; i++) {
		name[5] = (char)('0' + i);
		assert_non_null(strstr(out, name));
	}
}

/* --- at a terminal --------------------------------------------------------------------------- */

struct terminal {
	int master, slave;
	pid_t pid;
};

/* Reads what the terminal shows until `word` is there. */
static void shown(const struct terminal *t, const char *word)
{
	size_t len = strlen(out);

	while (!strstr(out, word)) {
		struct pollfd p = {t->master, POLLIN, 0};
		ssize_t n;

		assert_int_equal(poll(&p, 1, 30000), 1);
		n = read(t->master, out + len, sizeof out - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		out[len] = '\0';
	}
}

static void terminal_open(struct terminal *t)
{
	assert_int_equal(openpty(&t->master, &t->slave, NULL, NULL, NULL), 0);
	out[0] = '\0';
	t->pid = fork();
	if (t->pid == 0) {
		(void)close(t->master);
		if (setsid() < 0 || ioctl(t->slave, TIOCSCTTY, 0) < 0 || dup2(t->slave, 0) < 0 ||
		    dup2(t->slave, 1) < 0 || dup2(t->slave, 2) < 0)
			_exit(99);
		child_run("set", "bob", false);
	}
}

static int terminal_close(struct terminal *t, bool *ret_echo)
{
	struct termios now;
	int status;

	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_int_equal(tcgetattr(t->slave, &now), 0);
	*ret_echo = now.c_lflag & ECHO;
	(void)close(t->slave);
	(void)close(t->master);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const struct talk {
	const char *why, *first, *second;
	int status;
	const char *says;
} talks[] = {
	{"at a terminal a secret is asked for twice, without echo", "bob's secret !\n",
	 "bob's secret !\n", 0, "is set"},
	{"two that differ change nothing", "bob's secret !\n", "bob's secret ?\n", 3, "differ"},
	{"an interrupt changes nothing, and the terminal echoes again", "\x03", NULL, 3,
	 "nothing was changed"},
	{"the end of input changes nothing", "\x04", NULL, 3, "0 octets"},
};

static void run_talk(void **state)
{
	const struct talk *row = *state;
	struct terminal t;
	bool echo = false;
	int status;

	assert_int_equal(setup(NULL), 0);
	terminal_open(&t);
	shown(&t, "secret for bob: ");
	assert_int_equal(fd_write_all(t.master, row->first, strlen(row->first)), 0);
	if (row->second) {
		shown(&t, "once more, for bob: ");
		assert_int_equal(fd_write_all(t.master, row->second, strlen(row->second)), 0);
	}
	shown(&t, row->says);
	status = terminal_close(&t, &echo);
	assert_int_equal(status, row->status);
	assert_true(echo);
	assert_null(strstr(out, "bob's secret"));
	assert_int_equal(teardown(NULL), 0);
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

	TESTS_ADD_TABLE(&t, typed, run_typed);
	TESTS_ADD_TABLE(&t, talks, run_talk);
	add(&t, "a generated secret: 16 characters of 64, each time others, shown once",
	    run_generated);
	add(&t, "store and key are 0600; a lost key is never made anew", run_files);
	add(&t, "commands at the same time lose nothing", run_together);
	return tests_run(&t, "secret_command");
}
