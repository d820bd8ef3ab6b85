/* Checkpoints go where the policy says, and nothing that does not take them keeps the monitor. The
 * test is the monitor; the processes that it starts are this very program. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/monitor/audit.h"

#define NOBODY 65534

static struct tests t;
static struct monitor m;
static struct policy policy;
static char folder[64], path[128];
static struct timer tick;
static bool (*until)(void);
static uint64_t give_up_ms;

static void on_tick(struct timer *timer)
{
	checkpoints_tick(&m);
	if (until() || clock_ms() > give_up_ms)
		return loop_stop(m.loop);
	loop_timer_set(m.loop, timer, clock_ms() + 5);
}

static void run_until(bool (*condition)(void))
{
	until = condition;
	give_up_ms = clock_ms() + 20000;
	tick.run = on_tick;
	loop_timer_set(m.loop, &tick, clock_ms());
	assert_int_equal(loop_run(m.loop), 0);
	loop_timer_clear(m.loop, &tick);
	assert_true(condition());
}

static int setup(void **state)
{
	(void)state;
	(void)string_copy(folder, sizeof folder, "/tmp/checkpoints-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0777), 0);
	(void)snprintf(path, sizeof path, "%s/got", folder);
	m = (struct monitor){.policy = &policy, .state_path = "/nowhere"};
	m.net_uid = m.net_gid = NOBODY;
	policy = (struct policy){0};
	m.programs.self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	assert_int_equal(loop_open(&m.loop), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	policy = (struct policy){0};
	checkpoints_close(&m);
	loop_close(m.loop);
	fd_close(&m.programs.self);
	checkpoints_late_ms = 5 * 60 * 1000;
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void put(enum audit_log log, unsigned number)
{
	struct auditor_checkpoint c = {.log = log};

	c.len = (uint32_t)snprintf(c.text, sizeof c.text, "%s\n%u\n",
				   log == LOG_EVENTS ? "events" : "commands", number);
	checkpoint_take(&m, &c);
}

static char *got(void)
{
	static char *text;
	size_t len;
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);

	free(text);
	text = NULL;
	if (fd < 0 || fd_read_all(fd, 1 << 20, &text, &len) < 0)
		text = strdup("");
	return text;
}

/* What status says of the one destination; borrowed. */
static const json_t *told(const char *key, size_t *ret_problems)
{
	static json_t *list, *problems;

	json_decref(list);
	json_decref(problems);
	problems = json_array();
	list = checkpoints_json(&m, problems);
	if (ret_problems)
		*ret_problems = json_array_size(problems);
	return json_object_get(json_array_get(list, 0), key);
}

static bool all_through(void)
{
	return json_is_false(told("behind", NULL));
}

static bool has_second(void)
{
	return strstr(got(), "commands\n2\n") && all_through();
}

static void run_file(void **state)
{
	struct stat st;

	(void)state;
	policy.trail.file = path;
	checkpoints_reload(&m);
	put(LOG_COMMANDS, 1);
	put(LOG_EVENTS, 7);
	put(LOG_COMMANDS, 2);
	run_until(has_second);
	assert_string_equal(got(), "commands\n1\nevents\n7\ncommands\n2\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static char *sh[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c", NULL, NULL};

/* The script runs in the test's folder. */
static void command(const char *script_text)
{
	static char script[512];

	(void)snprintf(script, sizeof script, "cd %s; %s", folder, script_text);
	sh[2] = script;
	policy.trail.command = sh;
	policy.trail.command_count = 3;
	checkpoints_reload(&m);
}

static void run_command(void **state)
{
	char *text;

	(void)state;
	command("exec 2>&1 >got; exec >>got; /usr/bin/env; ls /proc/self/fd; "
		"/usr/bin/id -u; exec /bin/cat");
	put(LOG_COMMANDS, 2);
	run_until(has_second);
	text = got();
	assert_null(strstr(text, "HOME="));
	assert_null(strstr(text, "PATH="));
	assert_null(strstr(text, "\n4\n")); /* 3 is ls's own */
	if (geteuid() == 0)
		assert_non_null(strstr(text, "\n65534\n"));
}

static void run_deaf(void **state)
{
	size_t problems;

	(void)state;
	command("exec /bin/sleep 60");
	checkpoints_late_ms = 0;
	for (unsigned k = 0; k < 5000; k++)
		put(LOG_COMMANDS, k); /* nothing here may block */
	checkpoints_tick(&m);
	assert_true(json_is_true(told("behind", &problems)));
	assert_true(json_integer_value(told("skipped", NULL)) > 4000);
	assert_int_equal(problems, 1);
	checkpoints_late_ms = 5 * 60 * 1000;
	(void)told("behind", &problems);
	assert_int_equal(problems, 0);
}

static bool newest_only(void)
{
	return strstr(got(), "commands\n4999\n") && all_through();
}

static void run_slow(void **state)
{
	(void)state;
	command("while ! test -e go; do :; done; exec /bin/cat >got");
	for (unsigned k = 0; k < 5000; k++)
		put(LOG_COMMANDS, k);
	(void)snprintf(path, sizeof path, "%s/go", folder);
	assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
	(void)snprintf(path, sizeof path, "%s/got", folder);
	run_until(newest_only);
	assert_null(strstr(got(), "commands\n4998\n"));
}

static bool came_twice(void)
{
	const char *first = strstr(got(), "commands\n1\n");

	return first && strstr(first + 1, "commands\n1\n");
}

static void run_dies(void **state)
{
	(void)state;
	command("/usr/bin/head -n 2 >>got; exit 1");
	put(LOG_COMMANDS, 1);
	run_until(came_twice);
}

static bool has_note(void)
{
	return json_string_length(told("note", NULL)) > 0;
}

static void run_nowhere(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof path, "%s/none/file", folder);
	policy.trail.file = path;
	checkpoints_reload(&m);
	put(LOG_COMMANDS, 1);
	run_until(has_note);
	assert_non_null(strstr(json_string_value(told("note", NULL)), "No such file"));
	assert_true(json_is_true(told("behind", NULL)));
}

static void run_no_program(void **state)
{
	static char none[] = "/no/such/program", *argv[] = {none, NULL};

	(void)state;
	policy.trail.command = argv;
	policy.trail.command_count = 1;
	checkpoints_reload(&m);
	put(LOG_COMMANDS, 1);
	run_until(has_note);
	assert_true(json_is_true(told("behind", NULL)));
}

static void run_syslog(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char line[512] = "";

	(void)state;
	(void)string_copy(sa.sun_path, sizeof sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	policy.trail.syslog = path;
	checkpoints_reload(&m);
	put(LOG_EVENTS, 3);
	assert_true(recv(fd, line, sizeof line - 1, 0) > 0);
	assert_string_equal(line, "<85>sallyport-audit: events\\n3\\n");
	for (unsigned k = 0; k < 5000; k++)
		put(LOG_EVENTS, k); /* nothing here may block */
	assert_true(json_is_true(told("behind", NULL)));
	policy.trail.syslog = NULL;
	checkpoints_reload(&m);
	assert_null(told("behind", NULL));
}

static void run_wrong(void **state)
{
	struct auditor_checkpoint c = {.log = LOG_EVENTS, .len = sizeof c.text + 1};

	(void)state;
	policy.trail.file = path;
	checkpoints_reload(&m);
	checkpoint_take(&m, &c);
	c.len = 5;
	c.log = 3;
	checkpoint_take(&m, &c);
	assert_true(json_is_false(told("behind", NULL)));
}

static int internal(const char *role)
{
	return strcmp(role, "scribe") == 0 ? scribe_main() : checkpoint_command_main();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"a file gets each one, in order", run_file},
		{"P3: a program gets them, and no environment, descriptor or right", run_command},
		{"a program that never reads is told of when it is late, and keeps nobody",
		 run_deaf},
		{"one that does not keep up gets the newest", run_slow},
		{"one that dies is started again, and gets the last one again", run_dies},
		{"a file that can't be opened is told of", run_nowhere},
		{"so is a program that is not there", run_no_program},
		{"a syslog gets each as a line, and keeps nobody", run_syslog},
		{"what is no checkpoint is not passed on", run_wrong},
	};

	if (argc > 2 && strcmp(argv[1], "internal") == 0)
		return internal(argv[2]);
	(void)signal(SIGPIPE, SIG_IGN); /* as process_harden() does */
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, rows[k].why, rows[k].run, NULL);
		t.list[k].setup_func = setup;
		t.list[k].teardown_func = teardown;
	}
	return tests_run(&t, "monitor");
}
