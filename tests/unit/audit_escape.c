/* What a peer wrote, in each form of the review's output: never a command to a terminal, to a
 * spreadsheet, to a browser or to what reads logs. */
#include "tests/unit/test.h"

#include "gateway/audit/escape.h"

static const struct escaped {
	const char *why;
	enum escape_form form;
	const char *text, *want;
} cases[] = {
	{"table: a name stays", ESCAPE_TABLE, "iqn.x:app-3", "iqn.x:app-3"},
	{"table: a control sequence", ESCAPE_TABLE, "\x1b[2J", "\\x1b[2J"},
	{"table: a mark that turns the writing", ESCAPE_TABLE, "\xe2\x80\xae", "\\xe2\\x80\\xae"},
	{"JSON: a name stays", ESCAPE_JSON, "Z\u00fcrich \u20ac", "Z\u00fcrich \u20ac"},
	{"JSON: a quote and a backslash", ESCAPE_JSON, "\"\\", "\\\\x22\\\\x5c"},
	{"JSON: a newline", ESCAPE_JSON, "a\nb", "a\\\\x0ab"},
	{"JSON: the end of a script", ESCAPE_JSON, "</script><!--",
	 "\\u003c/script\\u003e\\u003c!--"},
	{"JSON: an entity", ESCAPE_JSON, "&amp;", "\\u0026amp;"},
	{"CSV: a name stays without quotes", ESCAPE_CSV, "iqn.x:app-3", "iqn.x:app-3"},
	{"CSV: nothing is an empty field", ESCAPE_CSV, "", ""},
	{"CSV: a comma is quoted", ESCAPE_CSV, "a,b", "\"a,b\""},
	{"CSV: so is a semicolon", ESCAPE_CSV, "a;=b", "\"a;=b\""},
	{"CSV: a quote can't end the field", ESCAPE_CSV, "a\",b", "\"a\\x22,b\""},
	{"CSV: a newline can't end the row", ESCAPE_CSV, "a\r\nb", "\"a\\x0d\\x0ab\""},
	{"CSV: a formula", ESCAPE_CSV, "=1+1", "\"'=1+1\""},
	{"CSV: a formula with +", ESCAPE_CSV, "+1", "\"'+1\""},
	{"CSV: a formula with -", ESCAPE_CSV, "-1", "\"'-1\""},
	{"CSV: a formula with @", ESCAPE_CSV, "@SUM(A1)", "\"'@SUM(A1)\""},
	{"CSV: a formula behind spaces", ESCAPE_CSV, "  =1", "\"'  =1\""},
	{"CSV: a formula in wide characters", ESCAPE_CSV, "\uff1d1", "\"'\uff1d1\""},
	{"CSV: a tab first", ESCAPE_CSV, "\t=1", "\"\\x09=1\""},
	{"CSV: a carriage return first", ESCAPE_CSV, "\r=1", "\"\\x0d=1\""},
	{"CSV: a mark of its own can't be mistaken for ours", ESCAPE_CSV, "'=1", "\"\\x27=1\""},
	{"CSV: a minus within is none", ESCAPE_CSV, "app-3", "app-3"},
	{"HTML: markup", ESCAPE_HTML, "<img src=x onerror=alert(1)>",
	 "&lt;img src=x onerror=alert(1)&gt;"},
	{"HTML: the end of an attribute", ESCAPE_HTML, "\" '&", "\\x22 \\x27&amp;"},
	{"HTML: a backtick", ESCAPE_HTML, "`", "\\x60"},
	{"CEF header: a pipe and a backslash", ESCAPE_CEF_HEADER, "a|b\\", "a\\|b\\\\x5c"},
	{"CEF header: an equals sign stays", ESCAPE_CEF_HEADER, "a=b", "a=b"},
	{"CEF: an equals sign can't begin another field", ESCAPE_CEF, "x outcome=ok|",
	 "x outcome\\=ok|"},
	{"CEF: a newline", ESCAPE_CEF, "a\nCEF:0|", "a\\\\x0aCEF:0|"},
	{"syslog: the end of the element", ESCAPE_SYSLOG, "a] \"b\\", "a\\] \\\\x22b\\\\x5c"},
};

static void test_case(void **state)
{
	const struct escaped *c = *state;
	char out[128], *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(escape_copy(c->form, c->text, out, sizeof out), strlen(c->want));
	assert_string_equal(out, c->want);
	assert_non_null(f);
	escape_put(f, c->form, c->text);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, c->want);
	free(text);
}

static void test_room(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(escape_copy(ESCAPE_HTML, "<<", out, sizeof out), -ENOSPC);
	assert_string_equal(out, "");
	assert_int_equal(escape_copy(ESCAPE_HTML, "<abc", out, sizeof out), 7);
	assert_string_equal(out, "&lt;abc");
	assert_int_equal(escape_copy(ESCAPE_CSV, "a,bcdef", out, sizeof out), -ENOSPC);
	assert_int_equal(escape_copy(ESCAPE_CSV, "", out, 1), 0);
}

static void test_long(void **state)
{
	static char text[ESCAPE_TEXT_MAX * 8], out[sizeof text];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	assert_true(escape_copy(ESCAPE_JSON, text, out, sizeof out) > ESCAPE_TEXT_MAX);
	assert_non_null(strstr(out, "\u2026"));
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, cases, test_case);
	tests_add(&t, "what does not fit whole is not there at all", test_room, NULL);
	tests_add(&t, "a text without end is cut, and shows it", test_long, NULL);
	return tests_run(&t, "audit_escape");
}
