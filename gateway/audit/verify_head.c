/* Headers of segments: what each says of the blocks before it is compared with what was computed
 * from them. Where blocks are missing, the header says how the chain goes on. */
#include "gateway/audit/verify_parts.h"

#include "gateway/audit/context.h"

/* The whole header, in memory that the caller frees. */
static int head_load(struct verify_file *f, uint8_t **ret_bytes, size_t *ret_size)
{
	const uint8_t *p = verify_file_at(f, 0, SEGMENT_PREFIX_SIZE);
	OWNED_FREE uint8_t *bytes = NULL;
	size_t size;
	int e;

	if (!p)
		return f->error ? f->error : -EBADMSG;
	if ((e = segment_header_size(p, &size)) < 0)
		return e;
	if (size > f->size || size > SEGMENT_HEADER_MAX)
		return -EBADMSG;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	for (size_t at = 0; at < size;) {
		size_t len = MIN(size - at, BLOCK_PAYLOAD_MAX);

		p = verify_file_at(f, at, len);
		if (!p)
			return f->error ? f->error : -EBADMSG;
		memcpy(bytes + at, p, len);
		at += len;
	}
	*ret_bytes = TAKE(bytes);
	*ret_size = size;
	return 0;
}

static int head_parse(const uint8_t *bytes, size_t size, enum audit_log log, uint64_t number,
		      struct segment_header *ret)
{
	struct segment_header h;
	int e = segment_header_read(bytes, size, &h);

	if (e == 0 && (h.log != log || h.number != number))
		e = -EBADF; /* right, but of another file */
	if (e == 0)
		*ret = h;
	return e;
}

int verify_head_read(struct verify_file *f, enum audit_log log, uint64_t number,
		     struct segment_header *ret_head)
{
	OWNED_FREE uint8_t *bytes = NULL;
	size_t size;
	int e = head_load(f, &bytes, &size);

	return e < 0 ? e : head_parse(bytes, size, log, number, ret_head);
}

/* Every name that was defined until here is in the new dictionary, as it was. */
static bool names_go_on(const struct names *old, const struct names *new)
{
	for (uint32_t i = 0; i < old->count; i++)
		if (strcmp(names_text(old, i), names_text(new, i)) != 0)
			return false;
	return true;
}

static void names_enter(struct verify_log *l, const uint8_t *bytes, uint64_t old_salt)
{
	struct names *new = &l->v->fresh;
	struct names old = l->names;
	struct verify_finding f = verify_at(l, FOUND_HEADER_FALSE);

	if (context_read(&l->head, bytes, &l->v->unpacker, new, NULL) < 0) {
		verify_text(&f, "its context does not unpack");
		verify_found(l->v, &f);
		return;
	}
	/* Another auditor begins another dictionary. */
	if (l->any && l->hash_known && old_salt == l->head.salt && !names_go_on(&old, new)) {
		verify_text(&f, "its dictionary is not that of the blocks before it");
		verify_found(l->v, &f);
	}
	l->names = *new;
	*new = old;
	names_clear(new);
}

int verify_head_enter(struct verify_log *l)
{
	OWNED_FREE uint8_t *bytes = NULL;
	uint64_t old_salt = l->head.salt;
	struct segment_header h;
	size_t size;
	int e = head_load(&l->file, &bytes, &size);

	if (e == 0)
		e = head_parse(bytes, size, l->log, l->v->folder.segments[l->log - 1].list[l->at],
			       &h);
	if (e < 0)
		return e;
	l->last_run = l->head.run;
	l->head = h;
	block_hash(bytes, size, l->head_hash);
	names_enter(l, bytes, old_salt);
	return 0;
}

/* --- against what was computed ------------------------------------------------------------ */

static void head_false(struct verify_log *l, const char *what)
{
	struct verify_finding f = verify_at(l, FOUND_HEADER_FALSE);

	f.has_place = true;
	f.octets = l->head.size;
	verify_text(&f, "%s", what);
	verify_found(l->v, &f);
}

static bool given(const struct verify_asked *asked, const uint8_t signer[SIGNER_KEY_SIZE])
{
	for (size_t i = 0; i < asked->signer_count; i++)
		if (memcmp(asked->signers[i], signer, SIGNER_KEY_SIZE) == 0)
			return true;
	return false;
}

static void check_signer(struct verify_log *l)
{
	struct verify *v = l->v;
	const uint8_t *signer = l->head.signer;
	struct verify_finding f = verify_at(l, FOUND_SIGNER_FALSE);
	bool same = memcmp(signer, v->result->signer, SIGNER_KEY_SIZE) == 0;

	if (v->asked->signer_count > 0 ? !given(v->asked, signer) : !same) {
		if (memcmp(v->signer_told, signer, SIGNER_KEY_SIZE) != 0)
			verify_found(v, &f);
		memcpy(v->signer_told, signer, SIGNER_KEY_SIZE);
	}
}

static void first_of_trail(struct verify_log *l)
{
	struct verify *v = l->v;

	v->have_trail = true;
	memcpy(v->result->trail, l->head.trail, TRAIL_ID_SIZE);
	memcpy(v->result->signer, l->head.signer, SIGNER_KEY_SIZE);
	v->result->signer_known = given(v->asked, l->head.signer) ||
				  verify_live_signer(v, l->head.signer);
}

static void first_of_log(struct verify_log *l)
{
	struct verify *v = l->v;

	l->any = true;
	l->next = l->head.first_block;
	l->result->blocks.first = l->head.first_block;
	l->start_sequence = l->head.first_sequence;
	memcpy(l->first_before, l->head.before, HASH_SIZE);
	if (l->next > 0)
		v->pruned = MAX(v->pruned, l->head.first_sequence);
	l->hash_known = l->tree_known = false;
}

/* The run before has its end, or this one says that it found none. */
static void check_run(struct verify_log *l)
{
	struct verify_finding f = verify_at(l, FOUND_RUN_CUT);

	if (l->last_run == l->head.run || l->stopped)
		return;
	f.has_block = l->next > 0;
	f.block = f.last_block = l->next - f.has_block;
	verify_cut(l->v, l->head.run, &f);
}

static void check_before(struct verify_log *l)
{
	uint8_t now[HASH_SIZE], said[HASH_SIZE];

	if (l->hash_known && memcmp(l->hash, l->head.before, HASH_SIZE) != 0)
		head_false(l, "the block before its first one is another one");
	tree_root(&l->head.tree, said);
	tree_root(&l->tree, now);
	if (l->tree_known && memcmp(now, said, HASH_SIZE) != 0)
		head_false(l, "the blocks before its first one are others");
}

void verify_head_check(struct verify_log *l)
{
	bool first = !l->any;

	if (!l->v->have_trail)
		first_of_trail(l);
	else if (memcmp(l->head.trail, l->v->result->trail, TRAIL_ID_SIZE) != 0)
		head_false(l, "it is of another trail");
	check_signer(l);
	if (first)
		first_of_log(l);
	else
		check_run(l);
	if (l->head.first_block != l->next)
		head_false(l, "its first block is one of the segment before it");
	else
		check_before(l);
	if (l->head.first_block == l->next && (!l->hash_known || !l->tree_known)) {
		memcpy(l->hash, l->head.before, HASH_SIZE);
		l->tree = l->head.tree;
		l->hash_known = l->tree_known = true;
	}
	if (first && l->next > 0)
		verify_notes_reach(l);
}
