/* Two firewall scripts, line by line: what one has and the other has not. */
#include "tests/unit/test.h"

#include <stdio.h>
#include "policy/firewall_lines.h"

static struct tests t;

#define SET(elements) \
	"table inet s {\n\tset from_a_4 {\n\t\telements = {\n" elements "\t\t}\n\t}\n}\n"

static const struct row {
	const char *why, *before, *after, *want;
} rows[] = {
	{"two empty scripts", "", "", ""},
	{"the same script", SET("\t\t\t1.2.3.4\n"), SET("\t\t\t1.2.3.4\n"), ""},
	{"comments and empty lines are no difference", "# hash 1\nx\n", "# hash 2\n\n\tx\n", ""},
	{"a comma is no difference", SET("\t\t\t1.2.3.4,\n\t\t\t1.2.3.5\n"),
	 SET("\t\t\t1.2.3.5,\n\t\t\t1.2.3.4\n"), ""},
	{"which line of the policy is cited is no difference",
	 "chain a {\n\tgoto b comment \"policy line 3\"\n}\n",
	 "chain a {\n\tgoto b comment \"policy line 14\"\n}\n", ""},
	{"an element more, with its set", SET("\t\t\t1.2.3.4\n"),
	 SET("\t\t\t1.2.3.4,\n\t\t\t1.2.3.5\n"), "+ set from_a_4: 1.2.3.5\n"},
	{"an element for another", SET("\t\t\t1.2.3.4\n"), SET("\t\t\t1.2.3.5\n"),
	 "- set from_a_4: 1.2.3.4\n+ set from_a_4: 1.2.3.5\n"},
	{"a line twice, and once", "a\na\nb\n", "a\nb\n", "- : a\n"},
	{"a line once, and three times", "a\n", "a\na\na\n", "+ : a\n+ : a\n"},
	{"the same line in another chain", "chain a {\n\tdrop\n}\n", "chain b {\n\tdrop\n}\n",
	 "- chain a: drop\n+ chain b: drop\n"},
	{"all is new, in the script's order", "", "chain a {\n\tz\n\ty\n}\nchain b {\n\tx\n}\n",
	 "+ chain a: z\n+ chain a: y\n+ chain b: x\n"},
	{"braces within a line open nothing", "iifname { \"lo\" } accept\n",
	 "iifname { \"lo\", \"e\" } accept\n",
	 "- : iifname { \"lo\" } accept\n+ : iifname { \"lo\", \"e\" } accept\n"},
	{"no end of the last line", "a", "b", "- : a\n+ : b\n"},
};

static void compares(void **state)
{
	const struct row *row = *state;
	struct firewall_lines l;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(firewall_lines_compare(row->before, row->after, &l), 0);
	for (size_t k = 0; k < l.count; k++)
		fprintf(f, "%c %.*s: %.*s\n", l.list[k].added ? '+' : '-', (int)l.list[k].block_len,
			l.list[k].block, (int)l.list[k].len, l.list[k].line);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, row->want);
	free(text);
	firewall_lines_free(&l);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, compares);
	return tests_run(&t, "firewall");
}
