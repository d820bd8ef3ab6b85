/* Statistics of a trail: commands. Who did what to which LUN, and the map of its blocks
 * over time. Part of the review; the records, their CDBs and block numbers are hostile:
 * sums stay at their greatest value instead of beginning anew. */
#include "gateway/audit/statistics_parts.h"

#define SAME_TIME_NS 2000

/* Families are deeds, one for a command. */
const char *family_name(enum family family)
{
	return deed_name((unsigned)family);
}

/* A command that does several things counts as the gravest of them. */
static enum family family_of(const struct reach *reach)
{
	if (reach->deeds & DEED_RESERVE)
		return FAMILY_RESERVE;
	if (reach->deeds & DEED_DISCARD)
		return FAMILY_DISCARD;
	if (reach->deeds & DEED_WRITE)
		return FAMILY_WRITE;
	return reach->deeds & DEED_READ ? FAMILY_READ : FAMILY_OTHER;
}

static void add(uint64_t *sum, uint64_t more)
{
	if (!ADD_OK(*sum, more, sum))
		*sum = UINT64_MAX;
}

static void amounts_add(struct amounts *a, const struct touched *t, uint64_t bytes)
{
	a->commands += !t->again;
	add(&a->blocks, t->blocks);
	add(&a->bytes, bytes);
}

/* --- LUNs --- */

static struct lun_count *lun_get(struct statistics *s, const char *target, uint32_t lun)
{
	struct lun_key key;

	memset(&key, 0, sizeof key);
	(void)string_copy(key.target, sizeof key.target, target);
	key.lun = lun;
	return table_get(&s->luns, &key);
}

/* One "lun 0 vault 512 131072 rw"; what is not one is left out. */
static void granted_one(struct statistics *s, const char *target, char *text)
{
	char *word[6], *rest = text;
	uint64_t lun, block_bytes, blocks;
	struct lun_count *on;

	for (size_t k = 0; k < ARRAY_LEN(word); k++)
		word[k] = strsep(&rest, " ");
	if (rest || !word[5] || strcmp(word[0], "lun") != 0 ||
	    (strcmp(word[5], "rw") != 0 && strcmp(word[5], "ro") != 0) ||
	    strlen(word[2]) >= sizeof on->disk || number_parse(word[1], 0, 0xffff, &lun) < 0 ||
	    number_parse(word[3], 512, 65536, &block_bytes) < 0 ||
	    number_parse(word[4], 0, INT64_MAX, &blocks) < 0)
		return;
	on = lun_get(s, target, (uint32_t)lun);
	if (!on)
		return;
	(void)string_copy(on->disk, sizeof on->disk, word[2]);
	on->block_bytes = (uint32_t)block_bytes;
	on->blocks = blocks;
}

void blocks_granted(struct statistics *s, const struct audit_event *e)
{
	char detail[AUDIT_DETAIL_SIZE], *rest = detail, *one;

	(void)string_copy(detail, sizeof detail, e->detail);
	while ((one = strsep(&rest, ";")) != NULL)
		granted_one(s, e->target, one + strspn(one, " "));
}

/* Twice as many blocks a row. */
static void map_fold(struct lun_map *m)
{
	for (size_t row = 0; row < STATISTICS_ROWS; row++) {
		for (size_t k = 0; k < STATISTICS_BUCKETS * FAMILIES_OF_BLOCKS; k++) {
			uint64_t sum = 0, *cells = &m->cells[0][0][0];
			size_t width = STATISTICS_BUCKETS * FAMILIES_OF_BLOCKS;

			if (row < STATISTICS_ROWS / 2) {
				sum = cells[2 * row * width + k];
				add(&sum, cells[(2 * row + 1) * width + k]);
			}
			cells[row * width + k] = sum;
		}
	}
	m->row_blocks *= 2;
}

static struct lun_map *map_of(struct statistics *s, struct lun_count *on)
{
	if (on->map || on->full)
		return on->map;
	if (s->maps < STATISTICS_MAPS)
		on->map = calloc(1, sizeof *on->map);
	on->full = on->map == NULL;
	if (!on->map)
		return NULL;
	s->maps++;
	on->map->row_blocks =
		MAX(on->blocks / STATISTICS_ROWS + (on->blocks % STATISTICS_ROWS ? 1 : 0), 1);
	return on->map;
}

static void map_add(struct statistics *s, const struct touched *t)
{
	struct lun_map *m = map_of(s, t->access->on);
	size_t bucket = statistics_bucket(s, t->record->frame.stamp.time_ns);
	uint64_t at = t->lba, end;

	if (!m || t->blocks == 0 || !ADD_OK(t->lba, t->blocks, &end) || end > INT64_MAX)
		return;
	while ((end - 1) / m->row_blocks >= STATISTICS_ROWS)
		map_fold(m);
	while (at < end) {
		uint64_t row = at / m->row_blocks, next = MIN((row + 1) * m->row_blocks, end);

		add(&m->cells[row][bucket][t->family], next - at);
		at = next;
	}
}

/* --- commands --- */

struct initiator_count *initiator_get(struct statistics *s, const char *name)
{
	char key[ISCSI_NAME_SIZE] = "";

	(void)string_copy(key, sizeof key, name);
	return table_get(&s->initiators, key);
}

static struct access_count *access_get(struct statistics *s, const struct audit_subject *subject,
				       uint32_t lun)
{
	struct access_key key;
	struct access_count *access;

	memset(&key, 0, sizeof key);
	(void)string_copy(key.initiator, sizeof key.initiator, subject->initiator);
	(void)string_copy(key.target, sizeof key.target, subject->target);
	key.lun = lun;
	access = table_get(&s->accesses, &key);
	if (access && !access->on)
		access->on = lun_get(s, subject->target, lun);
	return access;
}

static void whose(struct statistics *s, struct touched *t)
{
	const struct trail_record *r = t->record;
	uint32_t lun = r->frame.command.lun, connection = r->frame.connection;
	__typeof__(&s->seen[0]) seen = &s->seen[(connection * 31 + lun) % ARRAY_LEN(s->seen)];

	if (!seen->access || seen->run != r->run || seen->connection != connection ||
	    seen->lun != lun) {
		struct audit_subject subject = audit_subject(r);

		seen->run = r->run;
		seen->connection = connection;
		seen->lun = lun;
		seen->by = initiator_get(s, subject.initiator);
		seen->access = access_get(s, &subject, lun);
	}
	t->by = seen->by;
	t->access = seen->access;
}

/* UNMAP has a record for each range, PERSISTENT RESERVE OUT for each key: put at one moment of the
 * session's clock, of which the trail keeps microseconds. */
static bool is_again(struct statistics *s, const struct trail_record *r)
{
	const struct audit_record *c = &r->frame.command, *last = &s->last;
	uint64_t apart = c->wall_ns > last->wall_ns ? c->wall_ns - last->wall_ns
						    : last->wall_ns - c->wall_ns;
	bool again = apart <= SAME_TIME_NS && s->last_connection == r->frame.connection &&
		     c->index == last->index + 1 && c->task_tag == last->task_tag &&
		     c->cdb_len == last->cdb_len && c->kind == last->kind &&
		     memcmp(c->cdb, last->cdb, sizeof c->cdb) == 0;

	s->last = *c;
	s->last_connection = r->frame.connection;
	return again && r->frame.connection != 0;
}

static void verdict_add(struct verdicts *v, const struct audit_record *c)
{
	switch (c->verdict) {
	case VERDICT_DENIED:
		v->denied++;
		break;
	case VERDICT_REFUSED:
		v->refused++;
		break;
	case VERDICT_NOT_EXECUTED:
		v->not_executed++;
		break;
	case VERDICT_FAILED:
		v->failed++;
		break;
	case VERDICT_BUSY:
		add(&v->busy, c->blocks);
		break;
	default:
		break;
	}
}

static void other_verdict(struct statistics *s, const struct touched *t)
{
	const struct audit_record *c = &t->record->frame.command;

	if (!t->counts)
		return;
	verdict_add(&s->verdicts, c);
	if (t->by)
		verdict_add(&t->by->verdicts, c);
	if (t->access)
		verdict_add(&t->access->verdicts, c);
}

static void count(struct statistics *s, const struct touched *t)
{
	uint64_t time_ns = t->record->frame.stamp.time_ns, bytes;
	struct lun_count *on = t->access ? t->access->on : NULL;

	if (!MUL_OK(t->blocks, on && on->block_bytes ? on->block_bytes : 512, &bytes))
		bytes = UINT64_MAX;
	amounts_add(&s->amounts[t->family], t, bytes);
	if (t->by) {
		amounts_add(&t->by->amounts[t->family], t, bytes);
		if (t->family < FAMILIES_OF_BLOCKS)
			add(&t->by->bytes[t->family][statistics_bucket(s, time_ns)], bytes);
	}
	if (!t->access)
		return;
	amounts_add(&t->access->amounts[t->family], t, bytes);
	if (t->access->first_ns == 0)
		t->access->first_ns = time_ns;
	t->access->last_ns = time_ns;
	if (on && t->family < FAMILIES_OF_BLOCKS)
		map_add(s, t);
}

void blocks_add(struct statistics *s, const struct trail_record *r, bool counts)
{
	const struct audit_record *c = &r->frame.command;
	struct touched t = {.record = r, .counts = counts, .again = is_again(s, r)};
	struct reach reach;

	whose(s, &t);
	if (c->kind != AUDIT_COMMAND || c->verdict != VERDICT_ADMITTED) {
		other_verdict(s, &t);
		return;
	}
	reach = audit_reach(c);
	t.family = family_of(&reach);
	t.whole = reach.whole;
	if (reach.whole)
		t.blocks = t.access && t.access->on ? t.access->on->blocks : 0;
	else if (reach.blocks) {
		t.lba = reach.first;
		t.blocks = c->blocks;
	}
	if (counts)
		count(s, &t);
	unusual_command(s, &t);
}

void blocks_close(struct statistics *s)
{
	for (size_t k = 0; k < s->luns.count; k++) {
		struct lun_count *on = (struct lun_count *)(void *)s->luns.entries[k];

		free(on->map);
		unusual_close(on->watch);
	}
}
