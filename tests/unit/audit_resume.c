/* What an auditor that starts does with damage: what checkpoints say was on the disk stays, however
 * many there are and whatever became of some of them. */
#include "tests/unit/audit_place.h"

#include "gateway/audit/resume.h"

static struct tests t;
static struct place place;

#define BLOCKS 6
#define MANY   (5u << 20) /* octets of checkpoints */

static const struct row {
	const char *why;
	size_t before; /* octets of older checkpoints, at least */
	bool first_damaged;
	size_t torn; /* octets of one more that is not whole */
} rows[] = {
	{"damage before a checkpoint is kept as it is", 0, false, 0},
	{"damage is kept when a day's checkpoints are before the one that covers it", MANY, false,
	 0},
	{"damage is kept when a checkpoint before the one that covers it is damaged, too", 1, true,
	 0},
	{"a checkpoint that is torn is cut off behind many", MANY, false, 20},
};

static void put_block(void)
{
	struct audit_record record = {.kind = AUDIT_COMMAND, .cdb_len = 6};

	(void)writer_put_command(&place.writer, 1, &record);
	place_block(&place);
}

static size_t note_now(char text[NOTE_SIZE])
{
	assert_int_equal(log_writer_note(writer_log(&place.writer, LOG_COMMANDS), place.fd,
					 place.keys, text),
			 1);
	return strlen(text);
}

static int note_file(int flags)
{
	int fd = openat(place.fd, "commands-000001.note", flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

/* The old ones, then the last, then one that is torn. Returns the octets of whole ones. */
static off_t notes_write(const struct row *row, const char *old, const char *last)
{
	OWNED_FD fd = note_file(O_WRONLY | O_TRUNC | O_APPEND);
	off_t whole;

	for (size_t at = 0; at < row->before; at += strlen(old))
		assert_int_equal(fd_write_all(fd, old, strlen(old)), 0);
	assert_int_equal(fd_write_all(fd, last, strlen(last)), 0);
	whole = size_of(fd);
	assert_int_equal(fd_write_all(fd, last, row->torn), 0);
	if (row->first_damaged) {
		OWNED_FD again = note_file(O_WRONLY);

		assert_int_equal(pwrite(again, "X", 1, 0), 1);
	}
	return whole;
}

static void damage(const struct row *row)
{
	char old[NOTE_SIZE], last[NOTE_SIZE];
	static uint8_t bytes[1u << 16];
	struct resume resume;
	size_t len, at, size;
	off_t notes;

	put_block();
	(void)note_now(old);
	for (unsigned i = 1; i < BLOCKS; i++)
		put_block();
	(void)note_now(last);
	place_writer_close(&place);
	notes = notes_write(row, old, last);
	len = place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes);
	at = place_block_at(bytes, len, 3, &size);
	bytes[at + size / 2] ^= 1;
	place_write(&place, LOG_COMMANDS, 1, bytes, len);
	assert_int_equal(resume_read(&resume, place.fd, 8, NULL), 0);
	assert_int_equal(place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes), len);
	assert_string_equal(resume.found.cut, "");
	assert_non_null(strstr(resume.found.damage, "commands-000001.log is damaged"));
	assert_int_equal(resume.end.logs[0].place.blocks, BLOCKS + 1);
	resume_free(&resume);
	{
		OWNED_FD fd = note_file(O_RDONLY);

		assert_int_equal(size_of(fd), notes);
	}
}

static void run(void **state)
{
	place_open(&place);
	place_begin(&place, AUDIT_LOG_INVALID);
	damage(*state);
	place_close(&place);
}

static void test_left(void **state)
{
	char text[NOTE_SIZE], name[SEGMENT_NAME_SIZE];
	struct resume resume;

	(void)state;
	place_open(&place);
	place_begin(&place, AUDIT_LOG_INVALID);
	put_block();
	(void)note_now(text);
	place_begin(&place, LOG_COMMANDS);
	put_block();
	(void)note_now(text);
	place_writer_close(&place);
	assert_int_equal(unlinkat(place.fd, segment_name(LOG_COMMANDS, 1, name), 0), 0);
	assert_int_equal(resume_read(&resume, place.fd, 8, NULL), 0);
	resume_free(&resume);
	(void)segment_note_name(LOG_COMMANDS, 1, name);
	assert_true(faccessat(place.fd, name, F_OK, 0) < 0 && errno == ENOENT);
	(void)segment_note_name(LOG_COMMANDS, 2, name);
	assert_int_equal(faccessat(place.fd, name, F_OK, 0), 0);
	place_close(&place);
}

int main(void)
{
	tests_add(&t, "checkpoints of a segment that retention had just deleted are deleted",
		  test_left, NULL);
	TESTS_ADD_TABLE(&t, rows, run);
	return tests_run(&t, "audit");
}
