/* Cursors over bytes: reading what a peer sent, writing what we answer. Once a
 * cursor fails it stays failed, so that a parser may read all its fields and
 * test `failed` once, at the end. Big-endian unless the name says otherwise. */
#pragma once

#include <endian.h>
#include "gateway/base/base.h"

struct rd {
	const uint8_t *p, *end;
	bool failed;
};

struct wr {
	uint8_t *start, *p, *end;
	bool failed; /* did not fit; what was written before is intact */
};

struct rd rd_over(const void *bytes, size_t len);
size_t rd_left(const struct rd *r);
uint64_t rd_be(struct rd *r, size_t width);	   /* width 1 to 8 octets */
const uint8_t *rd_bytes(struct rd *r, size_t len); /* NULL when there are fewer */
void rd_skip(struct rd *r, size_t len);

struct wr wr_over(void *bytes, size_t size);
size_t wr_len(const struct wr *w);
void wr_be(struct wr *w, size_t width, uint64_t value);
void wr_bytes(struct wr *w, const void *bytes, size_t len);
void wr_zero(struct wr *w, size_t len);

/* Fields at fixed places in buffers whose size the caller has checked. Here, because a width that
 * the compiler knows makes one or two instructions of them; so do 4 octets in any case. */
static inline uint64_t get_be(const uint8_t *p, size_t width)
{
	uint64_t value = 0;
	uint32_t word;

	assert(width >= 1 && width <= sizeof value); /* our bug, never the peer's */
	if (width == sizeof word) {
		memcpy(&word, p, sizeof word);
		return be32toh(word);
	}
	for (size_t i = 0; i < width; i++)
		value = value << 8 | p[i];
	return value;
}

static inline void put_be(uint8_t *p, size_t width, uint64_t value)
{
	uint32_t word = htobe32((uint32_t)value);

	assert(width >= 1 && width <= sizeof value);
	if (width == sizeof word) {
		memcpy(p, &word, sizeof word);
		return;
	}
	for (size_t i = 0; i < width; i++)
		p[i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

/* A decimal number, digits only, in [min, max]; -EINVAL or -ERANGE. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value) MUST_CHECK;
/* The same, in decimal or in hex after "0x" or "0X": a numerical-value of RFC 7143 section 6.1. */
int number_parse_any(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value) MUST_CHECK;

/* CHAP's binary values, RFC 7143 section 6.1: "0x" hex or "0b" base64, either case of prefix.
 * Decodes at most size octets; returns the count or -EINVAL (bad digit, odd digits, no prefix),
 * -EMSGSIZE (more than size). */
ssize_t binary_decode(const char *text, uint8_t *ret_bytes, size_t size) MUST_CHECK;
/* Writes "0x…" or "0b…" and NUL; false when text_size is too small. */
bool binary_encode_hex(const uint8_t *bytes, size_t len, char *ret_text, size_t text_size);
bool binary_encode_base64(const uint8_t *bytes, size_t len, char *ret_text, size_t text_size);
