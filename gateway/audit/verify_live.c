/* Beside a running gateway: what it says is on the disk is what its files must hold. Somebody who
 * made the trail anew, with keys of his own, has other blocks than it, or another signer. Believes
 * the gateway that answers on the control socket, and no octet of the files. */
#include "gateway/audit/verify_parts.h"

static void tell(struct verify *v, const struct verify_log *l, const char *what)
{
	struct verify_finding f = {.kind = FOUND_LIVE_FALSE};

	if (l) {
		uint64_t blocks = v->asked->live->blocks[l->log - 1];

		f.log = l->log;
		f.has_block = blocks > 0;
		f.block = f.last_block = blocks - f.has_block;
	}
	verify_text(&f, "%s", what);
	verify_found(v, &f);
}

void verify_live_reach(struct verify_log *l)
{
	const struct verify_live *live = l->v->asked->live;
	uint8_t root[HASH_SIZE];

	if (!live || !l->tree_known || l->tree.size != live->blocks[l->log - 1])
		return;
	tree_root(&l->tree, root);
	if (memcmp(root, live->roots[l->log - 1], sizeof root) != 0)
		tell(l->v, l, "the gateway has another root of the blocks up to there");
}

bool verify_live_signer(const struct verify *v, const uint8_t signer[SIGNER_KEY_SIZE])
{
	return v->asked->live && memcmp(v->asked->live->signer, signer, SIGNER_KEY_SIZE) == 0;
}

void verify_live_finish(struct verify *v)
{
	const struct verify_live *live = v->asked->live;

	if (!live)
		return;
	if (v->have_trail && memcmp(live->trail, v->result->trail, TRAIL_ID_SIZE) != 0)
		tell(v, NULL, "it writes another trail");
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		const struct verify_log *l = &v->logs[i];

		/* The last header is the one that it has begun itself. */
		if (l->any && !verify_live_signer(v, l->head.signer))
			tell(v, l, "it signs with another key");
		if (l->next < live->blocks[i] && !l->cut)
			tell(v, l, "it has made these blocks durable, and they are not there");
	}
}
