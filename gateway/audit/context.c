/* Contexts of segments. The auditor writes them from its own memory; whoever reads them
 * trusts no octet, and keeps no more sessions than sessions.c has places for. */
#include "gateway/audit/context.h"

#include "gateway/audit/rows.h"

#define INFO_MAX 1024 /* of one session */

static int put_all(struct wr *w, const struct context *c)
{
	const struct auditor_ring_info *info;
	bool defined = false;

	names_write(c->names, w);
	for (size_t i = 0; c->sessions && (info = c->sessions(c->arg, i)); i++) {
		if ((size_t)(w->end - w->p) < INFO_MAX)
			return -EFBIG;
		rows_put_info(w, c->names, info, false, &defined);
	}
	return w->failed ? -EFBIG : 0;
}

int context_write(struct segment_header *h, const struct context *context, uint8_t **ret_header)
{
	OWNED_FREE uint8_t *raw = malloc(SEGMENT_CONTEXT_MAX);
	OWNED_FREE uint8_t *packed = malloc(SEGMENT_CONTEXT_MAX);
	OWNED_FREE uint8_t *header = NULL;
	size_t stored;
	struct wr w;
	int e;

	if (!raw || !packed)
		return -ENOMEM;
	w = wr_over(raw, SEGMENT_CONTEXT_MAX);
	e = put_all(&w, context);
	if (e < 0)
		return e;
	stored = packer_pack(context->packer, raw, wr_len(&w), packed);
	header = malloc(SEGMENT_FIXED_SIZE + TREE_LEVELS * HASH_SIZE + 12 + wr_len(&w));
	if (!header)
		return -ENOMEM;
	segment_header_write(h, stored ? packed : raw, (uint32_t)(stored ? stored : wr_len(&w)),
			     (uint32_t)wr_len(&w), header);
	*ret_header = TAKE(header);
	return 0;
}

static int get_all(struct rd *r, struct names *names, struct sessions *sessions)
{
	struct auditor_ring_info info;

	names_read(names, r);
	while (!r->failed && rd_left(r) > 0) {
		rows_get_info(r, names, &info);
		if (!r->failed && sessions)
			sessions_put(sessions, &info);
	}
	return r->failed ? -EBADMSG : 0;
}

int context_read(const struct segment_header *h, const uint8_t *bytes, struct unpacker *unpacker,
		 struct names *names, struct sessions *sessions)
{
	const uint8_t *context = bytes + h->context_at;
	OWNED_FREE uint8_t *raw = NULL;
	struct rd r;
	int e;

	if (sessions)
		sessions_clear(sessions);
	if (h->context_stored != h->context_raw) {
		raw = malloc(h->context_raw);
		if (!raw)
			return -ENOMEM;
		e = unpacker_unpack(unpacker, context, h->context_stored, raw, h->context_raw);
		if (e < 0)
			return e;
		context = raw;
	}
	r = rd_over(context, h->context_raw);
	return get_all(&r, names, sessions);
}
