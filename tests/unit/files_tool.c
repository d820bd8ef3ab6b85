/* A tool of a file system on a window: it reads the window and nothing else, and has an end. */
#include <fcntl.h>
#include <sys/prctl.h>
#include "gateway/base/clock.h"
#include "gateway/files/tool.h"
#include "tests/unit/test.h"

#define DISK (4u << 20)

struct rig {
	uint8_t *bytes;
	struct source source;
	struct toolbox box;
};

/* The tool's filter needs what the sandbox would have seen to: no new privileges. */
static void rig_open(struct rig *r)
{
	r->bytes = calloc(1, DISK);
	r->source = source_over_bytes(r->bytes, DISK);
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(window_open(&r->box.window, &r->source), 0);
	r->box.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	r->box.deadline_ms = clock_ms() + 60000;
}

static int ask(struct rig *r, struct tool_output *o)
{
	static const char *const arguments[] = {"-R", "stats -h", TOOL_WINDOW, NULL};

	return tool_run(&r->box, TOOL_DEBUGFS, arguments, o);
}

/* Just enough of a superblock to be refused for its number of blocks, not for its magic. */
static void superblock(uint8_t *at)
{
	at[1024 + 56] = 0x53;
	at[1024 + 57] = 0xef;
}

static void reads_the_window(struct rig *r)
{
	OWNED_OUTPUT before = {.text = NULL}, after = {.text = NULL};

	superblock(r->bytes + (1 << 20));
	assert_int_equal(window_move(&r->box.window, 0, 1 << 20), 0);
	IGNORE_RESULT(ask(r, &before)); /* its status differs between versions */
	assert_non_null(strstr(r->box.words, "Bad magic number"));
	assert_int_equal(window_move(&r->box.window, 1 << 20, 1 << 20), 0);
	IGNORE_RESULT(ask(r, &after));
	assert_null(strstr(r->box.words, "Bad magic number"));
	assert_true(r->box.words[0] != '\0');
}

static void reads_what_is_there_now(struct rig *r)
{
	OWNED_OUTPUT before = {.text = NULL}, after = {.text = NULL};

	assert_int_equal(window_move(&r->box.window, 0, 1 << 20), 0);
	IGNORE_RESULT(ask(r, &before));
	assert_non_null(strstr(r->box.words, "Bad magic number"));
	superblock(r->bytes);
	IGNORE_RESULT(ask(r, &after));
	assert_null(strstr(r->box.words, "Bad magic number"));
}

static void has_an_end(struct rig *r)
{
	OWNED_OUTPUT o = {.text = NULL};

	assert_int_equal(window_move(&r->box.window, 0, 1 << 20), 0);
	r->box.deadline_ms = clock_ms();
	assert_int_equal(ask(r, &o), -ETIMEDOUT);
	assert_non_null(strstr(r->box.why, "debugfs did not end in time"));
	assert_null(o.text);
}

static void holds_no_disk(struct rig *r)
{
	assert_int_equal(fcntl(r->box.window.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(r->box.window.reader_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(r->box.window.reader_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
}

static const struct row {
	const char *why;
	void (*run)(struct rig *r);
} rows[] = {
	{"a tool reads the part of the disk that its window shows", reads_the_window},
	{"a tool that reads again reads what is on the disk by then", reads_what_is_there_now},
	{"P6: a tool that is not done in time has none left, and that is told", has_an_end},
	{"P3: a tool gets its window to read, and no other descriptor of ours", holds_no_disk},
};

static void a_row(void **state)
{
	const struct row *row = *state;
	struct rig r = {.bytes = NULL};

	if (access("/usr/sbin/debugfs", X_OK) < 0 && access("/sbin/debugfs", X_OK) < 0) {
		print_message("debugfs is not here; run deploy/install-deps.sh test\n");
		skip();
	}
	rig_open(&r);
	row->run(&r);
	window_close(&r.box.window);
	fd_close(&r.box.null_fd);
	free(r.bytes);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, a_row);
	return tests_run(&t, "files_tool");
}
