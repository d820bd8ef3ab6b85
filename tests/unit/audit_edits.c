/* What somebody does to a trail who has an editor and `mv`: everything is found, and its file is
 * named, by the files alone. */
#include "tests/unit/audit_forgery.h"

#define QUICK 100u
#define SOAK  15000u

/* What somebody with a hex editor and `mv` does. The name of the file that is hit in *ret_file;
 * false: it came out harmless, or as it was. */
typedef bool (*edit)(struct image *m, uint64_t *state, char *ret_file);

static struct sample_file *any_file(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = &m->files[below(state, m->count)];

	(void)string_copy(ret_file, SEGMENT_NAME_SIZE, f->name);
	return f;
}

static struct sample_file *any_segment(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f;

	do
		f = any_file(m, state, ret_file);
	while (is_note(f));
	return f;
}

static bool last_of_log(const struct image *m, const struct sample_file *f)
{
	size_t log = strcspn(f->name, "-");

	for (size_t i = 0; i < m->count; i++)
		if (strncmp(m->files[i].name, f->name, log + 1) == 0 &&
		    is_note(&m->files[i]) == is_note(f) && strcmp(m->files[i].name, f->name) > 0)
			return false;
	return true;
}

/* Octets of the blocks that stand in the next segment, too. */
static size_t rest_of(const struct image *m, const struct sample_file *f)
{
	static struct chain c;
	size_t rest = 0;

	chain_take(&c, (struct image *)(uintptr_t)m);
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		for (size_t k = 0; k < c.logs[i].segment_count; k++) {
			const struct segment_header *h = &c.logs[i].segments[k].h;
			char name[SEGMENT_NAME_SIZE];

			if (strcmp(segment_name(h->log, h->number, name), f->name) == 0)
				rest = c.logs[i].segments[k].rest;
		}
	return rest;
}

static bool flip(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_file(m, state, ret_file);
	size_t bit = below(state, f->len * 8);

	f->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	return true;
}

static bool set(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_file(m, state, ret_file);
	size_t at = below(state, f->len), len = 1 + below(state, MIN(f->len - at, 400));
	bool changed = false;
	uint8_t value = (uint8_t)next_random(state);

	for (size_t i = at; i < at + len; i++) {
		changed |= f->bytes[i] != value;
		f->bytes[i] = value;
	}
	return changed;
}

static bool cut(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_file(m, state, ret_file);
	size_t len = below(state, f->len), rest = is_note(f) ? 0 : rest_of(m, f), at = 0, span;
	bool last = last_of_log(m, f);

	while (is_note(f) && (span = note_span((char *)f->bytes + at, len - at)) > 0)
		at += span;
	f->len = len;
	/* Nobody misses a checkpoint but the last one, nor what stands elsewhere as well. */
	return is_note(f) ? last || at < len : len < f->len + rest && rest == 0;
}

static bool insert(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_file(m, state, ret_file);
	uint8_t bytes[64];
	size_t len = 1 + below(state, sizeof bytes);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)next_random(state);
	octets_in(f, below(state, f->len + 1), bytes, len);
	return true;
}

static bool take_out(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file);
	size_t rest = rest_of(m, f), at = below(state, f->len - rest - 1),
	       len = 1 + below(state, MIN(f->len - rest - at, 300));

	memmove(f->bytes + at, f->bytes + at + len, f->len - at - len);
	f->len -= len;
	return true;
}

static bool block_out(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file);
	size_t at[CHAIN_BLOCKS] = {0}, count = blocks_of(f, at), i = below(state, count);

	if (count < 2 || rest_of(m, f) > 0)
		return false;
	memmove(f->bytes + at[i], f->bytes + at[i + 1], f->len - at[i + 1]);
	f->len -= at[i + 1] - at[i];
	return true;
}

static bool block_twice(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file);
	size_t at[CHAIN_BLOCKS] = {0}, count = blocks_of(f, at), i = below(state, count),
	       k = below(state, count + 1);
	OWNED_FREE uint8_t *block = malloc(at[i + 1] - at[i]);

	memcpy(block, f->bytes + at[i], at[i + 1] - at[i]);
	octets_in(f, at[k], block, at[i + 1] - at[i]);
	return true;
}

static bool blocks_swapped(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file);
	size_t at[CHAIN_BLOCKS] = {0}, count = blocks_of(f, at), i = below(state, count - 1), first,
	       second;
	OWNED_FREE uint8_t *block = NULL;

	if (count < 2)
		return false;
	first = at[i + 1] - at[i];
	second = at[i + 2] - at[i + 1];
	block = malloc(first);
	memcpy(block, f->bytes + at[i], first);
	memmove(f->bytes + at[i], f->bytes + at[i + 1], second);
	memcpy(f->bytes + at[i] + second, block, first);
	return true;
}

static bool drop(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_file(m, state, ret_file);
	bool missed = !is_note(f) || last_of_log(m, f);

	image_drop(m, f);
	ret_file[0] = '\0'; /* said of its neighbour */
	return missed;
}

static bool renamed(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file);

	f->name[strlen(f->name) - 5] = '9';
	ret_file[0] = '\0';
	return true;
}

static bool exchanged(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file),
			   *g = any_segment(m, state, ret_file);
	struct sample_file kept = *f;

	f->bytes = g->bytes;
	f->len = g->len;
	g->bytes = kept.bytes;
	g->len = kept.len;
	ret_file[0] = '\0';
	return f != g;
}

static void put_from(struct sample_file *f, const struct sample_file *from)
{
	free(f->bytes);
	f->bytes = malloc(from->len + 1);
	memcpy(f->bytes, from->bytes, from->len);
	f->len = from->len;
}

static bool from_stranger(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file);

	put_from(f, image_find(&stranger.whole, f->name));
	return true;
}

static bool block_of_stranger(struct image *m, uint64_t *state, char *ret_file)
{
	struct sample_file *f = any_segment(m, state, ret_file),
			   *g = image_find(&stranger.whole, f->name);
	size_t at[CHAIN_BLOCKS] = {0}, from[CHAIN_BLOCKS] = {0}, i = below(state, blocks_of(f, at)),
	       k = below(state, blocks_of(g, from));

	octets_in(f, at[i], g->bytes + from[k], from[k + 1] - from[k]);
	return true;
}

/* One log as it was after the first run. */
static bool rolled_back(struct image *m, uint64_t *state, char *ret_file)
{
	const char *log = audit_log_name((enum audit_log)(1 + below(state, AUDIT_LOGS)));

	for (size_t i = m->count; i-- > 0;)
		if (strncmp(m->files[i].name, log, strlen(log)) == 0 &&
		    !image_find(&sample.first, m->files[i].name))
			image_drop(m, &m->files[i]);
	ret_file[0] = '\0';
	return true;
}

static bool unknown_file(struct image *m, uint64_t *state, char *ret_file)
{
	static const char *const names[] = {"notes.txt",
					    "commands-1.log",
					    "events-000001.log.bak",
					    "commands-000000.log",
					    "audit-000001.log",
					    "reserve",
					    "commands-000002.notes",
					    "commands.new"};

	(void)string_copy(ret_file, SEGMENT_NAME_SIZE, names[below(state, ARRAY_LEN(names))]);
	(void)image_add(m, ret_file, "x", 1);
	return true;
}

static const struct edit_case {
	const char *why;
	edit apply;
	unsigned times;
} edit_cases[] = {
	{"a bit flipped anywhere is found, and its file is named", flip, 80},
	{"octets that were overwritten are found, and their file is named", set, 30},
	{"a file that was cut is found", cut, 20},
	{"octets that were put in are found, and their file is named", insert, 20},
	{"octets that were taken out are found, and their file is named", take_out, 20},
	{"a block that was taken out is found, and its file is named", block_out, 8},
	{"a block that stands there twice is found, and its file is named", block_twice, 8},
	{"two blocks that changed places are found, and their file is named", blocks_swapped, 8},
	{"a file that is gone is found", drop, 8},
	{"a file with another name is found", renamed, 8},
	{"two files that changed names are found", exchanged, 8},
	{"a file of another trail is found, and named", from_stranger, 8},
	{"a block of another trail is found, and its file is named", block_of_stranger, 8},
	{"one log that was rolled back is found", rolled_back, 2},
	{"a file that does not belong there is found, and named", unknown_file, 8},
};

static bool named(const struct judged *j, const char *file)
{
	for (size_t i = 0; i < j->count; i++)
		if (strcmp(j->findings[i].file, file) == 0)
			return true;
	return file[0] == '\0';
}

/* One forgery of this kind; false: found wrongly. */
static bool forged(const struct edit_case *c, uint64_t *state)
{
	char file[SEGMENT_NAME_SIZE] = "";
	struct image m;
	bool found;

	image_copy(&m, &sample.whole);
	if (!c->apply(&m, state, file)) {
		image_free(&m);
		return true;
	}
	image_write(&m, scratch);
	judge(&judged, scratch, NULL);
	/* Of what is cut off at the end, the checkpoints tell; and a checkpoint more or less tells
	 * nothing but whether the end is proven. */
	found = judged.result.worst >= VERIFY_OPEN && (c->apply == cut || named(&judged, file));
	if (!found) {
		print_message("%s: %s\n", c->why, file);
		judged_print(&judged);
	}
	image_free(&m);
	return found;
}

static void test_edit(void **state)
{
	const struct edit_case *c = *state;
	uint64_t seed = (uint64_t)(c - edit_cases) * 1000 + 1;

	for (unsigned i = 0; i < c->times; i++)
		assert_true(forged(c, &seed));
}

static bool any_edit(uint64_t *state)
{
	return forged(&edit_cases[below(state, ARRAY_LEN(edit_cases))], state);
}

static void test_random(void **state)
{
	(void)state;
	random_forgeries(QUICK, SOAK, any_edit);
}

int main(void)
{
	static struct tests t;
	int r;

	if (!forgery_begin())
		return 1;
	TESTS_ADD_TABLE(&t, edit_cases, test_edit);
	tests_add(&t, "random edits are found", test_random, NULL);
	r = tests_run(&t, "audit");
	forgery_end();
	return r;
}
