/* Task sets: sequences of tasks that come, end and are cancelled, and at which event each starts.
 * "s1" is task 1, SIMPLE (u: untagged, o: ORDERED, h: HEAD OF QUEUE), on LUN 0, or in
 * capitals on LUN 1; "-1" is its end or its cancellation. For each event: who starts. */
#include <ctype.h>
#include "tests/unit/test.h"
#include "gateway/scsi/commands.h"

#define TASKS 10

static const struct sequence {
	const char *why, *events, *starts;
} sequences[] = {
	{"SIMPLE tasks start at once", "s1 s2 s3", "1 2 3"},
	{"untagged tasks are SIMPLE", "u1 s2 u3", "1 2 3"},
	{"ORDERED starts at once when there is nothing else", "o1", "1"},
	{"HEAD OF QUEUE starts at once when there is nothing else", "h1", "1"},
	{"ORDERED waits for the SIMPLE task before it", "s1 o2 -1", "1 . 2"},
	{"ORDERED waits for all before it", "s1 s2 s3 o4 -2 -1 -3", "1 2 3 . . . 4"},
	{"SIMPLE behind ORDERED waits", "s1 o2 s3 -1 -2", "1 . . 2 3"},
	{"untagged behind ORDERED waits", "o1 u2 -1", "1 . 2"},
	{"all SIMPLE behind ORDERED start together", "o1 s2 s3 s4 -1", "1 . . . 234"},
	{"ORDERED tasks go one by one", "o1 o2 o3 -1 -2 -3", "1 . . 2 3 ."},
	{"SIMPLE between two ORDERED", "o1 s2 o3 s4 -1 -2 -3", "1 . . . 2 3 4"},
	{"the second ORDERED waits for each SIMPLE between", "o1 s2 s3 o4 -1 -3 -2",
	 "1 . . . 23 . 4"},
	{"HEAD OF QUEUE passes what is dormant", "s1 o2 s3 h4", "1 . . 4"},
	{"HEAD OF QUEUE passes ORDERED that runs", "o1 s2 h3", "1 . 3"},
	{"several HEAD OF QUEUE start as they come", "s1 o2 h3 h4 h5", "1 . 3 4 5"},
	{"ORDERED waits for HEAD OF QUEUE that came later", "s1 o2 h3 -1 -3", "1 . 3 . 2"},
	{"SIMPLE waits for HEAD OF QUEUE", "h1 s2 -1", "1 . 2"},
	{"SIMPLE waits for each HEAD OF QUEUE", "h1 h2 s3 -2 -1", "1 2 . . 3"},
	{"a SIMPLE task that runs is not held up by HEAD OF QUEUE", "s1 h2 -1 -2", "1 2 . ."},
	{"dormant SIMPLE tasks wait for HEAD OF QUEUE that came later", "o1 s2 h3 -1 -3",
	 "1 . 3 . 2"},
	{"SIMPLE does not overtake SIMPLE that waits", "h1 s2 s3 -1", "1 . . 23"},
	{"ORDERED behind SIMPLE that waits", "h1 s2 o3 -1 -2", "1 . . 2 3"},
	{"who is dormant and cancelled gives way", "s1 o2 s3 -2", "1 . . 3"},
	{"the one before ORDERED is cancelled", "s1 o2 -1", "1 . 2"},
	{"the last dormant is cancelled, another comes", "s1 o2 o3 -3 o4 -1 -2", "1 . . . . 2 4"},
	{"the only dormant is cancelled, another comes", "s1 o2 -2 o3 -1", "1 . . . 3"},
	{"one in the middle is cancelled", "o1 s2 o3 s4 -3 -1", "1 . . . . 24"},
	{"a dormant SIMPLE is cancelled: ORDERED behind it still waits", "o1 s2 o3 -2 -1",
	 "1 . . . 3"},
	{"all are cancelled, front to back", "s1 o2 s3 -1 -2 -3 s4", "1 . . 2 3 . 4"},
	{"all are cancelled, back to front", "s1 o2 s3 -3 -2 -1 s4 o5", "1 . . . . . 4 ."},
	{"HEAD OF QUEUE ends while ORDERED runs", "o1 h2 s3 -2 -1", "1 2 . . 3"},
	{"LUNs are apart: ORDERED waits for its own", "s1 O2 s3", "1 2 3"},
	{"LUNs are apart: SIMPLE passes another's ORDERED", "s1 o2 S3 H4", "1 . 3 4"},
	{"LUNs are apart: each goes on by itself", "s1 o2 S3 O4 -3 -1", "1 . 3 . 4 2"},
	{"LUNs are apart: HEAD OF QUEUE holds up its own", "H1 s2 S3 -1", "1 2 . 3"},
	{"after everything ended it is as new", "s1 o2 h3 -1 -3 -2 s4 s5", "1 . 3 . 2 . 4 5"},
	{"a long chain", "s1 s2 o3 s4 s5 o6 o7 s8 -1 -2 -3 -5 -4 -6 -7",
	 "1 2 . . . . . . . 3 45 . 6 7 8"},
};

static struct scsi_nexus nexus;
static struct scsi_task tasks[TASKS];

static enum scsi_attribute attribute_of(char letter)
{
	static const char letters[] = "usoh";

	return (enum scsi_attribute)(strchr(letters, tolower(letter)) - letters);
}

/* One event; appends who starts. */
static void run_event(const char *event, char *log)
{
	struct scsi_task *task = &tasks[event[1] - '0'], *started;

	if (event[0] == '-') {
		task_set_leave(task);
	} else {
		*task = (struct scsi_task){.nexus = &nexus};
		task->unit = &nexus.luns[isupper(event[0]) ? 1 : 0];
		task->attribute = (uint8_t)attribute_of(event[0]);
		if (task_set_enter(task))
			log[strlen(log)] = event[1];
	}
	while ((started = task_set_next(&nexus)) != NULL) {
		assert_int_equal(started->place, PLACE_ENABLED);
		log[strlen(log)] = (char)('0' + (started - tasks));
	}
}

static void check_sequence(void **state)
{
	const struct sequence *row = *state;
	char log[128] = "";

	memset(&nexus, 0, sizeof nexus);
	memset(tasks, 0, sizeof tasks);
	for (const char *event = row->events;; event += 3) {
		size_t before = strlen(log);

		run_event(event, log);
		if (strlen(log) == before)
			log[before] = '.';
		if (event[2] == '\0')
			break;
		log[strlen(log)] = ' ';
	}
	assert_string_equal(log, row->starts);
	for (size_t i = 0; i < TASKS; i++)
		task_set_leave(&tasks[i]);
	while (task_set_next(&nexus) != NULL)
		assert_true(false); /* who left is started never more */
	assert_int_equal(nexus.turns.waiting, 0);
	for (unsigned lun = 0; lun < 2; lun++) {
		assert_int_equal(nexus.luns[lun].tasks.enabled, 0);
		assert_int_equal(nexus.luns[lun].tasks.barriers, 0);
		assert_null(nexus.luns[lun].tasks.dormant.first);
	}
}

static struct scsi_task *enter(unsigned id, enum scsi_attribute attribute, bool starts)
{
	struct scsi_task *task = &tasks[id];

	*task = (struct scsi_task){.nexus = &nexus, .attribute = (uint8_t)attribute};
	task->unit = &nexus.luns[0];
	assert_int_equal(task_set_enter(task), starts);
	return task;
}

static void released_then_cancelled(void **state)
{
	struct scsi_task *first, *second, *third;

	(void)state;
	memset(&nexus, 0, sizeof nexus);
	first = enter(1, SCSI_ORDERED, true);
	second = enter(2, SCSI_ORDERED, false);
	third = enter(3, SCSI_SIMPLE, false);
	assert_int_equal(nexus.turns.waiting, 2);
	task_set_leave(first);
	assert_int_equal(second->place, PLACE_RELEASED);
	assert_int_equal(third->place, PLACE_DORMANT);
	task_set_leave(second);
	assert_int_equal(nexus.turns.waiting, 1);
	assert_ptr_equal(task_set_next(&nexus), third);
	assert_null(task_set_next(&nexus));
	task_set_leave(third);
	task_set_leave(third);
	assert_int_equal(nexus.luns[0].tasks.enabled, 0);
}

static void released_is_not_overtaken(void **state)
{
	struct scsi_task *first, *ordered, *simple;

	(void)state;
	memset(&nexus, 0, sizeof nexus);
	first = enter(1, SCSI_SIMPLE, true);
	ordered = enter(2, SCSI_ORDERED, false);
	task_set_leave(first);
	simple = enter(3, SCSI_SIMPLE, false);
	assert_ptr_equal(task_set_next(&nexus), ordered);
	assert_null(task_set_next(&nexus));
	task_set_leave(ordered);
	assert_ptr_equal(task_set_next(&nexus), simple);
	task_set_leave(simple);
}

static const struct head {
	const char *why;
	uint8_t opcode;
	enum scsi_attribute attribute;
	bool starts;
} heads[] = {
	{"implicit head of queue: INQUIRY", 0x12, SCSI_SIMPLE, true},
	{"implicit head of queue: INQUIRY that comes as ORDERED", 0x12, SCSI_ORDERED, true},
	{"implicit head of queue: REPORT LUNS", 0xa0, SCSI_SIMPLE, true},
	{"REQUEST SENSE is no implicit head of queue", 0x03, SCSI_SIMPLE, false},
	{"TEST UNIT READY is no implicit head of queue", 0x00, SCSI_SIMPLE, false},
	{"an unknown command waits as well", 0xff, SCSI_SIMPLE, false},
};

static void implicit_head(void **state)
{
	const struct head *row = *state;
	uint8_t cdb[CDB_MAX] = {row->opcode};
	struct scsi_task task = {.nexus = &nexus, .attribute = (uint8_t)row->attribute};
	struct scsi_task *ordered;

	memset(&nexus, 0, sizeof nexus);
	ordered = enter(1, SCSI_ORDERED, true);
	task.unit = &nexus.luns[0];
	task.command = command_find(cdb);
	assert_int_equal(task_set_enter(&task), row->starts);
	task_set_leave(ordered);
	task_set_leave(&task);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, sequences, check_sequence);
	TESTS_ADD_TABLE(&t, heads, implicit_head);
	tests_add(&t, "who was released and is cancelled before it starts gives way",
		  released_then_cancelled, NULL);
	tests_add(&t, "ORDERED that was released and did not start yet is not overtaken",
		  released_is_not_overtaken, NULL);
	return tests_run(&t, "scsi_task_set");
}
