/* Fields of the trail's payloads, to octets and back. Whoever writes them trusts what it
 * writes; whoever reads them trusts no octet. */
#include "gateway/audit/codec.h"

void put_number(struct wr *w, uint64_t value)
{
	uint8_t octets[NUMBER_OCTETS_MAX];
	size_t len = 0;

	while (value >= 0x80) {
		octets[len++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	octets[len++] = (uint8_t)value;
	wr_bytes(w, octets, len);
}

static uint64_t get_long_number(struct rd *r)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		uint64_t octet = *r->p++, bits = octet & 0x7f;

		if (bits << shift >> shift != bits)
			break;
		value |= bits << shift;
		if (octet == bits)
			return value;
	}
	r->failed = true;
	return 0;
}

uint64_t get_number(struct rd *r)
{
	if (!r->failed && r->p < r->end && *r->p < 0x80)
		return *r->p++;
	return r->failed ? 0 : get_long_number(r);
}

uint64_t get_number_below(struct rd *r, uint64_t limit)
{
	uint64_t value = get_number(r);

	if (value > limit)
		r->failed = true;
	return r->failed ? 0 : value;
}

void put_distance(struct wr *w, uint64_t value, uint64_t base)
{
	uint64_t above = value - base, below = base - value;

	put_number(w, above <= INT64_MAX ? above << 1 : (below - 1) << 1 | 1);
}

uint64_t get_distance(struct rd *r, uint64_t base)
{
	uint64_t value = get_number(r);

	return value & 1 ? base - (value >> 1) - 1 : base + (value >> 1);
}

void put_text(struct wr *w, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	put_number(w, len);
	wr_bytes(w, text, len);
}

void get_text(struct rd *r, char *ret, size_t size)
{
	size_t len = (size_t)get_number_below(r, size - 1);
	const uint8_t *p = rd_bytes(r, len);

	memset(ret, 0, size);
	if (p && len > 0)
		memcpy(ret, p, len);
}

void put_endpoint(struct wr *w, const struct endpoint *e)
{
	uint8_t version = e->ip.version == 4 || e->ip.version == 6 ? e->ip.version : 0;

	wr_be(w, 1, version);
	if (version == 0)
		return;
	wr_bytes(w, e->ip.bytes, version == 4 ? 4 : 16);
	put_number(w, e->ip.scope);
	wr_be(w, 2, e->port);
}

void get_endpoint(struct rd *r, struct endpoint *ret)
{
	const uint8_t *p;
	size_t len;

	*ret = (struct endpoint){.ip.version = (uint8_t)rd_be(r, 1)};
	if (ret->ip.version == 0)
		return;
	if (ret->ip.version != 4 && ret->ip.version != 6)
		r->failed = true;
	len = ret->ip.version == 4 ? 4 : 16;
	p = rd_bytes(r, len);
	if (p)
		memcpy(ret->ip.bytes, p, len);
	ret->ip.scope = (uint32_t)get_number_below(r, UINT32_MAX);
	ret->port = (uint16_t)rd_be(r, 2);
}
