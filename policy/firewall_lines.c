/* Two firewall scripts, line by line within their sets and chains. Runs in the command line, on
 * scripts that were made here. */
#include "policy/firewall_lines.h"

struct rows {
	struct firewall_line *list;
	size_t count, space;
};

static bool begins(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* What is compared of a line: not its place, and not which line of a policy it comes from. */
static size_t line_end(const char *line, size_t len)
{
	static const char cites[] = " comment \"policy line ";
	const char *at = memmem(line, len, cites, sizeof cites - 1);

	if (at)
		len = (size_t)(at - line);
	while (len > 0 && strchr(", \t", line[len - 1]))
		len--;
	return len;
}

/* Those of a script. A block is opened by a line that ends with " {" and begins with its kind. */
static int script_read(struct rows *rows, const char *script, bool added)
{
	struct firewall_line at = {.added = added, .block = "", .line = script};

	for (const char *next; *at.line; at.line = next) {
		const char *end = strchrnul(at.line, '\n');
		size_t len;

		next = *end ? end + 1 : end;
		at.line += strspn(at.line, " \t");
		len = at.line < end ? (size_t)(end - at.line) : 0;
		at.len = line_end(at.line, len);
		if (at.len == 0 || at.line[0] == '#' || at.line[0] == '}')
			continue;
		if (at.line[len - 1] == '{' &&
		    (begins(at.line, len, "set ") || begins(at.line, len, "chain ") ||
		     begins(at.line, len, "table "))) {
			at.block = at.line;
			at.block_len = line_end(at.line, len - 1);
			continue;
		}
		if (rows->count == rows->space) {
			size_t space = rows->space * 2 + 64;
			struct firewall_line *bigger = realloc(rows->list, space * sizeof *bigger);

			if (!bigger)
				return -ENOMEM;
			rows->list = bigger;
			rows->space = space;
		}
		rows->list[rows->count++] = at;
	}
	return 0;
}

static int part_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, MIN(a_len, b_len));

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

static int same_compare(const struct firewall_line *x, const struct firewall_line *y)
{
	int r = part_compare(x->block, x->block_len, y->block, y->block_len);

	return r ? r : part_compare(x->line, x->len, y->line, y->len);
}

static int row_compare(const void *a, const void *b)
{
	const struct firewall_line *x = a, *y = b;
	int r = same_compare(x, y);

	return r ? r : x->added - y->added;
}

/* For people: within a block, what goes and then what comes, as the scripts have it. */
static int shown_compare(const void *a, const void *b)
{
	const struct firewall_line *x = a, *y = b;
	int r = part_compare(x->block, x->block_len, y->block, y->block_len);

	if (r == 0)
		r = x->added - y->added;
	return r ? r : (x->line > y->line) - (x->line < y->line);
}

int firewall_lines_compare(const char *before, const char *after, struct firewall_lines *ret_lines)
{
	struct rows rows = {0};
	size_t count = 0, end;

	if (script_read(&rows, before, false) < 0 || script_read(&rows, after, true) < 0) {
		free(rows.list);
		return -ENOMEM;
	}
	if (rows.count > 0)
		qsort(rows.list, rows.count, sizeof *rows.list, row_compare);
	/* Of each line, as many as one script has more than the other. */
	for (size_t first = 0; first < rows.count; first = end) {
		size_t added = 0, keep;

		for (end = first;
		     end < rows.count && same_compare(&rows.list[first], &rows.list[end]) == 0;
		     end++)
			added += rows.list[end].added;
		keep = 2 * added > end - first ? 2 * added - (end - first)
					       : (end - first) - 2 * added;
		for (size_t k = 0; k < keep; k++)
			rows.list[count++] = rows.list[2 * added > end - first ? end - 1 : first];
	}
	if (count > 0)
		qsort(rows.list, count, sizeof *rows.list, shown_compare);
	*ret_lines = (struct firewall_lines){rows.list, count};
	return 0;
}

void firewall_lines_free(struct firewall_lines *l)
{
	free(l->list);
	*l = (struct firewall_lines){0};
}
