/* The payload of a block, packed and unpacked (zstd), with contexts that are made once. */
#pragma once

#include "gateway/audit/block.h"

struct packer {
	void *context; /* zstd's */
};

struct unpacker {
	void *context;
	uint8_t *bytes; /* BLOCK_PAYLOAD_MAX */
};

int packer_open(struct packer *p) MUST_CHECK;
void packer_close(struct packer *p);
/* Into ret, which has `len` octets. The size, smaller than len; or 0: it does not get smaller. */
size_t packer_pack(struct packer *p, const uint8_t *bytes, size_t len, uint8_t *ret);

int unpacker_open(struct unpacker *u) MUST_CHECK;
void unpacker_close(struct unpacker *u);
/* Exactly `raw` octets into ret, or -EBADMSG. */
int unpacker_unpack(struct unpacker *u, const uint8_t *bytes, size_t len, uint8_t *ret,
		    size_t raw) MUST_CHECK;
/* The payload of a whole block whose header was read; valid until the next one. */
int unpacker_block(struct unpacker *u, const struct block_header *h, const uint8_t *block,
		   const uint8_t **ret_payload) MUST_CHECK;
