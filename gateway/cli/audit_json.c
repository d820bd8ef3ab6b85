/* `sallyport audit --json` and `--csv`: one object or row a line, with field names that stay
 * (gateway/audit/fields.h). */
#include "gateway/cli/audit_print.h"

#include "gateway/audit/export.h"

void audit_print_json(const struct audit_print *p, const struct trail_record *r)
{
	char line[EXPORT_TEXT_MAX];
	struct wr w = wr_over(line, sizeof line);

	export_jsonl(&w, r, p->utc);
	(void)fwrite(line, 1, wr_len(&w), p->out);
}

void audit_print_csv(const struct audit_print *p, const struct trail_record *r)
{
	char line[EXPORT_TEXT_MAX];
	struct wr w = wr_over(line, sizeof line);
	struct field_values values;

	if (r == NULL) {
		export_head(&w, EXPORT_CSV);
	} else {
		fields_of(&values, r, p->utc);
		export_csv(&w, &values);
	}
	(void)fwrite(line, 1, wr_len(&w), p->out);
}
