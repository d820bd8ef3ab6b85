/* What the process of the tunnels tells of a check is printed on a terminal: whatever it says. */
#include "gateway/connect/messages.h"
#include "tests/unit/test.h"

static const struct said {
	const char *why, *text, *want;
} saids[] = {
	{"plain words stay", "CN = gw.example.net", "CN = gw.example.net"},
	{"what is escaped already stays", "CN = \\x1b[31m", "CN = \\x1b[31m"},
	{"letters beyond ASCII stay", "O = Sch\xc3\xb6n", "O = Sch\xc3\xb6n"},
	{"P3: what a terminal obeys is escaped", "CN = \x1b[31m", "CN = \\x1b[31m"},
	{"P3: so is what is no UTF-8, which no JSON has", "CN = \xff", "CN = \\xff"},
	{"none stays none", "", ""},
};

static void said(void **state)
{
	const struct said *row = *state;
	struct connect_checked c = {0};

	(void)snprintf(c.subject, sizeof c.subject, "%s", row->text);
	(void)snprintf(c.group, sizeof c.group, "%s", row->text);
	connect_checked_settle(&c);
	assert_string_equal(c.subject, row->want);
	if (strlen(row->want) < sizeof c.group)
		assert_string_equal(c.group, row->want);
}

static void endless(void **state)
{
	struct connect_checked c;
	const char *const texts[] = {c.why,	c.protocol, c.cipher, c.group,
				     c.subject, c.issuer,   c.names};

	(void)state;
	for (int octet = 1; octet < 256; octet++) {
		memset(&c, octet, sizeof c);
		connect_checked_settle(&c);
		for (size_t k = 0; k < ARRAY_LEN(texts); k++)
			for (const char *p = texts[k]; *p; p++)
				assert_true((uint8_t)*p >= ' ' && *p != 0x7f);
		assert_in_range(strlen(c.protocol), 1, sizeof c.protocol - 1);
		assert_in_range(strlen(c.names), 1, sizeof c.names - 1);
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, saids, said);
	tests_add(&t, "P3: texts without an end have one, whatever they are of", endless, NULL);
	return tests_run(&t, "connect_checked");
}
