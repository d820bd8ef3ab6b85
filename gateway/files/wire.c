/* The answer about files: gathered in one process, read in another, which does not
 * believe it: counts are bounded before memory is taken, ranges must ascend, texts end. */
#include "gateway/files/wire.h"

#include "gateway/base/bytes.h"

#define ANSWER_MAGIC 0x53504631u

static const char *const what_names[FILES_WHATS] = {
	[FILES_INVALID] = "",	     [FILES_FILE] = "file",	  [FILES_FOLDER] = "folder",
	[FILES_FREE] = "free",	     [FILES_JOURNAL] = "journal", [FILES_METADATA] = "metadata",
	[FILES_OUTSIDE] = "outside",
};

const char *files_what_name(enum files_what what)
{
	return what_names[what];
}

void files_answer_free(struct files_answer *a)
{
	for (size_t i = 0; i < a->name_count; i++)
		free(a->names[i]);
	free(a->ranges);
	a->name_count = a->range_count = 0;
	a->ranges = NULL;
}

void finding_free(struct finding *f)
{
	files_answer_free(&f->answer);
}

void finding_no_ranges(struct finding *f)
{
	f->answer.range_count = 0;
}

/* --- gathering ---------------------------------------------------------------------------- */

int finding_range(struct finding *f, uint64_t offset, uint64_t len)
{
	struct files_answer *a = &f->answer;
	uint64_t end;

	if (len == 0)
		return 0;
	if (!ADD_OK(offset, len, &end))
		return -ERANGE;
	if (a->range_count > 0) {
		struct files_range *last = &a->ranges[a->range_count - 1];

		if (last->lba + last->blocks == offset) {
			last->blocks += len;
			return 0;
		}
	}
	if (a->range_count == FILES_RANGES_MAX)
		return -E2BIG;
	if (a->range_count == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		struct files_range *more = reallocarray(a->ranges, room, sizeof *more);

		if (!more)
			return -ENOMEM;
		a->ranges = more;
		f->room = room;
	}
	a->ranges[a->range_count++] = (struct files_range){offset, len};
	return 0;
}

int finding_name(struct finding *f, const char *name, size_t len)
{
	struct files_answer *a = &f->answer;

	if (a->name_count == FILES_NAMES_MAX)
		return 0;
	a->names[a->name_count] = strndup(name, MIN(len, (size_t)FILES_PATH_MAX - 1));
	if (!a->names[a->name_count])
		return -ENOMEM;
	a->name_count++;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct files_range *x = a, *y = b;

	return (x->lba > y->lba) - (x->lba < y->lba);
}

void finding_finish(struct finding *f, uint32_t block_size)
{
	struct files_answer *a = &f->answer;
	size_t kept = 0;

	if (a->range_count > 0)
		qsort(a->ranges, a->range_count, sizeof a->ranges[0], by_place);
	for (size_t i = 0; i < a->range_count; i++) {
		uint64_t first = a->ranges[i].lba / block_size,
			 end = (a->ranges[i].lba + a->ranges[i].blocks - 1) / block_size + 1;
		struct files_range *last = kept > 0 ? &a->ranges[kept - 1] : NULL;

		if (last && first <= last->lba + last->blocks)
			last->blocks = MAX(end, last->lba + last->blocks) - last->lba;
		else
			a->ranges[kept++] = (struct files_range){first, end - first};
	}
	a->range_count = kept;
}

/* --- octets ------------------------------------------------------------------------------- */

static void put_text(struct wr *w, const char *text)
{
	size_t len = strlen(text);

	wr_be(w, 4, len);
	wr_bytes(w, text, len);
}

int answer_encode(const struct finding *f, uint8_t **ret_bytes, size_t *ret_len)
{
	const struct files_answer *a = &f->answer;
	uint8_t *bytes = malloc(ANSWER_MOST);
	struct wr w = wr_over(bytes, ANSWER_MOST);

	if (!bytes)
		return -ENOMEM;
	wr_be(&w, 4, ANSWER_MAGIC);
	wr_be(&w, 4, (uint32_t)-f->error);
	put_text(&w, f->why);
	wr_be(&w, 4, a->what);
	wr_be(&w, 4, a->partition);
	wr_be(&w, 8, a->mapped_ns);
	wr_be(&w, 8, a->inode);
	wr_be(&w, 8, a->size_bytes);
	wr_be(&w, 8, (uint64_t)a->modified_s);
	wr_be(&w, 8, (uint64_t)a->changed_s);
	wr_be(&w, 1, a->shared);
	put_text(&w, a->system);
	put_text(&w, a->note);
	wr_be(&w, 4, a->range_count);
	for (size_t i = 0; i < a->range_count; i++) {
		wr_be(&w, 8, a->ranges[i].lba);
		wr_be(&w, 8, a->ranges[i].blocks);
	}
	wr_be(&w, 4, a->name_count);
	for (size_t i = 0; i < a->name_count; i++)
		put_text(&w, a->names[i]);
	assert(!w.failed);
	*ret_bytes = bytes;
	*ret_len = wr_len(&w);
	return 0;
}

static void take_text(struct rd *r, char *ret, size_t size)
{
	uint64_t len = rd_be(r, 4);
	const uint8_t *text = len < size ? rd_bytes(r, len) : NULL;

	if (!text || memchr(text, '\0', len)) {
		r->failed = true;
		return;
	}
	memcpy(ret, text, len);
	ret[len] = '\0';
}

static bool take_ranges(struct rd *r, struct files_answer *a)
{
	uint64_t count = rd_be(r, 4), end = 0;

	if (count > FILES_RANGES_MAX || count * 16 > rd_left(r))
		return false;
	a->ranges = calloc(count + 1, sizeof a->ranges[0]);
	if (!a->ranges)
		return false;
	for (; a->range_count < count; a->range_count++) {
		struct files_range *range = &a->ranges[a->range_count];

		range->lba = rd_be(r, 8);
		range->blocks = rd_be(r, 8);
		if (range->blocks == 0 || (a->range_count > 0 && range->lba <= end) ||
		    !ADD_OK(range->lba, range->blocks, &end))
			return false;
	}
	return true;
}

static bool take_names(struct rd *r, struct files_answer *a)
{
	char name[FILES_PATH_MAX];
	uint64_t count = rd_be(r, 4);

	if (count > FILES_NAMES_MAX)
		return false;
	while (a->name_count < count) {
		take_text(r, name, sizeof name);
		if (r->failed || !(a->names[a->name_count] = strdup(name)))
			return false;
		a->name_count++;
	}
	return true;
}

static bool take_head(struct rd *r, struct files_answer *a)
{
	uint64_t what = rd_be(r, 4), shared;

	a->partition = (uint32_t)rd_be(r, 4);
	a->mapped_ns = rd_be(r, 8);
	a->inode = rd_be(r, 8);
	a->size_bytes = rd_be(r, 8);
	a->modified_s = (int64_t)rd_be(r, 8);
	a->changed_s = (int64_t)rd_be(r, 8);
	shared = rd_be(r, 1);
	take_text(r, a->system, sizeof a->system);
	take_text(r, a->note, sizeof a->note);
	if (r->failed || what >= FILES_WHATS || shared > 1)
		return false;
	a->what = (enum files_what)what;
	a->shared = shared == 1;
	return true;
}

int answer_decode(const uint8_t *bytes, size_t len, struct files_answer *ret_answer,
		  char ret_why[FILES_WHY])
{
	struct rd r = rd_over(bytes, len);
	uint64_t magic = rd_be(&r, 4), error = rd_be(&r, 4);
	OWNED_ANSWER a = {.what = FILES_INVALID};

	take_text(&r, ret_why, FILES_WHY);
	if (r.failed || magic != ANSWER_MAGIC || error > 4095 || !take_head(&r, &a) ||
	    !take_ranges(&r, &a) || !take_names(&r, &a) || r.failed || rd_left(&r) > 0 ||
	    (error == 0) != (a.what != FILES_INVALID)) {
		(void)string_copy(ret_why, FILES_WHY, "");
		return -EPROTO;
	}
	if (error)
		return -(int)error;
	*ret_answer = a;
	a = (struct files_answer){.what = FILES_INVALID};
	return 0;
}
