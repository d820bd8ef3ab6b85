/* The dictionary: an open hash table for the auditor, which gives ids; an array for the
 * review, which takes them from files and believes none. */
#include "gateway/audit/names.h"

#include "gateway/audit/codec.h"

#define IN_PLACE 0
#define DEFINED	 1
#define IDS	 2

void names_clear(struct names *n)
{
	for (uint32_t i = 0; i < n->count; i++)
		free(n->texts[i]);
	memset(n, 0, sizeof *n);
}

const char *names_text(const struct names *n, uint64_t id)
{
	return id < n->count && n->texts[id] ? n->texts[id] : "";
}

/* FNV-1a: whoever chooses names has authenticated, and the table is at most half full. */
static uint16_t *place_of(struct names *n, const char *text, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	for (;; hash++) {
		uint16_t *place = &n->table[hash % ARRAY_LEN(n->table)];
		const char *there = *place ? n->texts[*place - 1] : NULL;

		if (!there || (strncmp(there, text, len) == 0 && there[len] == '\0'))
			return place;
	}
}

static bool name_define(struct names *n, uint16_t *place, const char *text, size_t len)
{
	char *copy;

	if (len == 0 || len >= NAME_SIZE_MAX || n->count == NAMES_MAX ||
	    !(copy = strndup(text, len)))
		return false;
	n->texts[n->count++] = copy;
	*place = (uint16_t)n->count;
	return true;
}

bool names_put(struct names *n, struct wr *w, const char *text, size_t size, bool define)
{
	size_t len = strnlen(text, size - 1);
	uint16_t *place = place_of(n, text, len);
	bool defined = false;

	if (*place) {
		put_number(w, IDS + *place - 1u);
		return false;
	}
	defined = define && name_define(n, place, text, len);
	put_number(w, defined ? DEFINED : IN_PLACE);
	if (defined)
		put_number(w, *place - 1u);
	put_text(w, text, size);
	return defined;
}

static void name_set(struct names *n, uint64_t id, const char *text)
{
	char *copy = id < NAMES_MAX ? strdup(text) : NULL;

	if (!copy)
		return;
	free(n->texts[id]);
	n->texts[id] = copy;
	n->count = MAX(n->count, (uint32_t)id + 1);
}

void names_get(struct names *n, struct rd *r, char *ret, size_t size)
{
	uint64_t how = get_number_below(r, NAMES_MAX + IDS - 1), id;

	if (how >= IDS) {
		memset(ret, 0, size);
		(void)string_copy(ret, size, names_text(n, how - IDS));
		return;
	}
	id = how == DEFINED ? get_number_below(r, NAMES_MAX - 1) : 0;
	get_text(r, ret, size);
	if (how == DEFINED && !r->failed)
		name_set(n, id, ret);
}

void names_write(const struct names *n, struct wr *w)
{
	put_number(w, n->count);
	for (uint32_t i = 0; i < n->count; i++) {
		put_number(w, i);
		put_text(w, names_text(n, i), NAME_SIZE_MAX);
	}
}

void names_read(struct names *n, struct rd *r)
{
	uint64_t count = get_number_below(r, NAMES_MAX);
	char text[NAME_SIZE_MAX];

	names_clear(n);
	for (uint64_t i = 0; i < count && !r->failed; i++) {
		uint64_t id = get_number_below(r, NAMES_MAX - 1);

		get_text(r, text, sizeof text);
		if (!r->failed)
			name_set(n, id, text);
	}
}
