/* `sallyport secret list`: the clear part of the store, for people and as JSON. No key is
 * needed and no secret is at hand. */
#include "gateway/cli/secret_list.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

const char *secret_time(uint64_t s, char ret[32])
{
	const time_t at = (time_t)s;
	struct tm tm = {0};

	(void)localtime_r(&at, &tm);
	return strftime(ret, 32, "%Y-%m-%d %H:%M", &tm) > 0 ? ret : "?";
}

static const char *age_text(uint64_t seconds, char ret[32])
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
		i++;
	(void)snprintf(ret, 32, "%llu %s", (unsigned long long)(seconds / units[i].seconds),
		       units[i].unit);
	return ret;
}

/* Until when the one before the rotation is good; 0: there is none, or its time is over. */
static uint64_t overlap_until(const struct store_list *list, size_t at, uint64_t now_s)
{
	ssize_t before = store_list_before(list, at);

	return before >= 0 && list->entries[before].until_s > now_s ? list->entries[before].until_s
								    : 0;
}

static void row_print(const struct store_list *list, size_t at, uint64_t now_s)
{
	const struct store_entry *e = &list->entries[at];
	const uint64_t until = overlap_until(list, at, now_s);
	char age[32], time[32];

	printf("%-24s %-10s %s", e->name, store_kind_name(e->kind),
	       age_text(now_s - MIN(e->created_s, now_s), age));
	if (until > 0)
		printf(", rotated: the old one is good until %s", secret_time(until, time));
	printf("\n");
}

void secret_list_print(const struct store_list *list, uint64_t now_s)
{
	if (list->count == 0)
		fprintf(stderr, "There are no secrets yet: sallyport secret generate NAME\n");
	else
		printf("%-24s %-10s %s\n", "NAME", "KIND", "AGE");
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].until_s == 0)
			row_print(list, i, now_s);
}

static const char *time_json(uint64_t s, char ret[32])
{
	const time_t at = (time_t)s;
	struct tm tm = {0};

	(void)gmtime_r(&at, &tm);
	return strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0 ? ret : "";
}

static json_t *row_json(const struct store_list *list, size_t at, uint64_t now_s)
{
	const struct store_entry *e = &list->entries[at];
	const uint64_t until = overlap_until(list, at, now_s);
	char created[32], ends[32];
	json_t *row = json_pack(
		"{s:s, s:s, s:s, s:I, s:b}", "name", e->name, "kind", store_kind_name(e->kind),
		"created", time_json(e->created_s, created), "age_s",
		(json_int_t)(now_s - MIN(e->created_s, now_s)), "overlap", until > 0);

	if (until > 0 &&
	    json_object_set_new(row, "old_until", json_string(time_json(until, ends))) < 0) {
		json_decref(row);
		return NULL;
	}
	return row;
}

int secret_list_json(const struct store_list *list, uint64_t now_s)
{
	json_t *array = json_array();
	int r = array ? 0 : -1;

	for (size_t i = 0; r == 0 && i < list->count; i++)
		if (list->entries[i].until_s == 0)
			r = json_array_append_new(array, row_json(list, i, now_s));
	if (r == 0)
		r = json_dumpf(array, stdout, JSON_INDENT(2));
	json_decref(array);
	printf("\n");
	return r;
}
