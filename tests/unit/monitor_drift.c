/* What the monitor makes of the firewall process's word on drift: `status`, for how long, and what
 * a word that is no proper one does. */
#include "tests/unit/test.h"

#include "gateway/base/clock.h"
#include "gateway/monitor/monitor.h"
#include "policy/firewall.h"

#define DAY_MS (24u * 3600 * 1000)

static struct policy policy = {.manage_firewall = true, .restore_firewall = true};
static struct monitor m;

static void begin(void)
{
	memset(&m, 0, sizeof m);
	m.policy = &policy;
	m.trail.next_id = m.trail.sent = 1;
}

static void hear_drift(struct firewall_drift d)
{
	struct message msg = {.type = FIREWALL_DRIFT};

	memcpy(msg.body, &d, sizeof d);
	drift_message(&m, &msg);
}

static void hear(uint32_t state)
{
	hear_drift((struct firewall_drift){
		.state = state, .changes = 1, .changed = "table sallyport is gone", .by = "nft"});
}

static const char *problem(void)
{
	static char text[1024];

	return drift_problem(&m, text, sizeof text) ? text : "";
}

/* What `status` has of it: "none", "standing" or "mended". */
static const char *state_told(void)
{
	json_t *drift = drift_json(&m);
	const char *state = json_string_value(json_object_get(drift, "state"));

	state = state == NULL ? "none" : strcmp(state, "mended") == 0 ? "mended" : "standing";
	json_decref(drift);
	return state;
}

static const struct course {
	const char *why;
	uint32_t words[4]; /* enum firewall_drift_state, in their order; 0: the end */
	bool well;
	const char *told;
	unsigned events;
} courses[] = {
	{"without a word all is well", {0}, true, "none", 0},
	{"P5: drift that was found is not well", {DRIFT_FOUND}, false, "standing", 1},
	{"once it is put back, it is, and told", {DRIFT_FOUND, DRIFT_RESTORED}, true, "mended", 2},
	{"also when somebody else did that", {DRIFT_FOUND, DRIFT_OVER}, true, "mended", 2},
	{"not when it failed", {DRIFT_FOUND, DRIFT_FAILED}, false, "standing", 2},
	{"found again, it stands again",
	 {DRIFT_FOUND, DRIFT_RESTORED, DRIFT_FOUND},
	 false,
	 "standing",
	 3},
	{"rules that can't be read are not well", {DRIFT_BLIND}, false, "none", 1},
	{"until they can", {DRIFT_BLIND, DRIFT_OVER}, true, "none", 2},
	{"a word that there is not changes nothing",
	 {DRIFT_BLIND + 1, UINT32_MAX},
	 true,
	 "none",
	 0},
};

static void test_course(void **state)
{
	const struct course *c = *state;

	begin();
	for (size_t i = 0; i < ARRAY_LEN(c->words) && c->words[i]; i++)
		hear(c->words[i]);
	assert_int_equal(problem()[0] == '\0', c->well);
	assert_string_equal(state_told(), c->told);
	assert_int_equal(m.trail.next_id - 1, c->events);
}

static void test_day(void **state)
{
	(void)state;
	begin();
	hear(DRIFT_FOUND);
	hear(DRIFT_RESTORED);
	m.drift.mended_ms = clock_ms() - DAY_MS + 60000;
	assert_string_equal(state_told(), "mended");
	m.drift.mended_ms = clock_ms() - DAY_MS;
	assert_string_equal(state_told(), "none");
	hear(DRIFT_FOUND);
	m.drift.mended_ms = clock_ms() - DAY_MS;
	assert_string_equal(state_told(), "standing");
	drift_loaded(&m);
	assert_string_equal(state_told(), "mended");
	drift_forget(&m);
	assert_string_equal(state_told(), "none");
}

static void test_words(void **state)
{
	struct firewall_drift d = {.state = DRIFT_FAILED, .wait_s = 60};

	(void)state;
	begin();
	memset(d.changed, '\x1b', sizeof d.changed);
	memset(d.by, 0xff, sizeof d.by);
	memset(d.why, '\n', sizeof d.why);
	hear_drift(d);
	assert_string_equal(state_told(), "standing");
	for (const char *p = problem(); *p; p++)
		assert_true(*p >= ' ' || (uint8_t)*p >= 0x80);
	assert_non_null(strstr(problem(), "it is put back in "));
	(void)string_copy(d.changed, sizeof d.changed, "(\\x1b)");
	hear_drift(d);
	assert_non_null(strstr(problem(), ": (\\x1b); "));
	policy.restore_firewall = false;
	assert_non_null(strstr(problem(), "not put back, as on_drift says"));
	policy.restore_firewall = true;
}

static void test_stopping(void **state)
{
	(void)state;
	begin();
	m.stopping = true;
	hear(DRIFT_FOUND);
	assert_string_equal(problem(), "");
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, courses, test_course);
	tests_add(&t, "drift that was mended is told for a day, or until a reload", test_day, NULL);
	tests_add(&t, "P6: words that are not words are escaped and cut", test_words, NULL);
	tests_add(&t, "while the gateway stops, nothing is drift", test_stopping, NULL);
	return tests_run(&t, "monitor: drift");
}
