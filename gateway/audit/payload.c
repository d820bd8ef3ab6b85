/* zstd over payloads. What is unpacked comes from files: its size is known and bounded
 * before, and anything else than exactly that is damage. */
#include "gateway/audit/payload.h"

#include <zstd.h>

#define LEVEL 1

int packer_open(struct packer *p)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (!c)
		return -ENOMEM;
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0); /* the header has it */
	p->context = c;
	return 0;
}

void packer_close(struct packer *p)
{
	(void)ZSTD_freeCCtx(p->context);
	p->context = NULL;
}

size_t packer_pack(struct packer *p, const uint8_t *bytes, size_t len, uint8_t *ret)
{
	size_t got = len > 1 ? ZSTD_compress2(p->context, ret, len - 1, bytes, len) : 0;

	return ZSTD_isError(got) ? 0 : got;
}

int unpacker_open(struct unpacker *u)
{
	u->context = ZSTD_createDCtx();
	u->bytes = malloc(BLOCK_PAYLOAD_MAX);
	if (u->context && u->bytes)
		return 0;
	unpacker_close(u);
	return -ENOMEM;
}

void unpacker_close(struct unpacker *u)
{
	(void)ZSTD_freeDCtx(u->context);
	free(u->bytes);
	*u = (struct unpacker){0};
}

int unpacker_unpack(struct unpacker *u, const uint8_t *bytes, size_t len, uint8_t *ret, size_t raw)
{
	size_t got = ZSTD_decompressDCtx(u->context, ret, raw, bytes, len);

	return ZSTD_isError(got) || got != raw ? -EBADMSG : 0;
}

int unpacker_block(struct unpacker *u, const struct block_header *h, const uint8_t *block,
		   const uint8_t **ret_payload)
{
	const uint8_t *stored = block + BLOCK_HEADER_SIZE;
	int e;

	assert(h->raw <= BLOCK_PAYLOAD_MAX && h->stored <= BLOCK_PAYLOAD_MAX);
	if (!(h->flags & BLOCK_ZSTD)) {
		*ret_payload = stored;
		return 0;
	}
	e = unpacker_unpack(u, stored, h->stored, u->bytes, h->raw);
	if (e == 0)
		*ret_payload = u->bytes;
	return e;
}
