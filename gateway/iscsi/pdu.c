/* Decoding and building the Basic Header Segment, serial arithmetic, CRC32C.
 * Runs in the session process on bytes from the network; the header's size is
 * fixed, and its lengths are only numbers here. */
#include "gateway/iscsi/pdu.h"

#include <isa-l/crc.h>

void pdu_decode(const uint8_t bhs[ISCSI_BHS_SIZE], struct pdu *ret_pdu)
{
	*ret_pdu = (struct pdu){
		.opcode = bhs[0] & OPCODE_MASK,
		.immediate = (bhs[0] & OPCODE_IMMEDIATE) != 0,
		.flags = bhs[1],
		.final = (bhs[1] & FLAG_FINAL) != 0,
		.ahs_len = (size_t)bhs[4] * 4,
		.data_len = (size_t)get_be(bhs + 5, 3),
		.itt = (uint32_t)get_be(bhs + BHS_ITT, 4),
		.cmdsn = (uint32_t)get_be(bhs + BHS_CMDSN, 4),
	};
	memcpy(ret_pdu->bhs, bhs, ISCSI_BHS_SIZE);
}

uint32_t pdu_u32(const struct pdu *pdu, enum bhs_place at)
{
	return (uint32_t)get_be(pdu->bhs + at, 4);
}

uint16_t pdu_u16(const struct pdu *pdu, enum bhs_place at)
{
	return (uint16_t)get_be(pdu->bhs + at, 2);
}

void bhs_start(uint8_t bhs[ISCSI_BHS_SIZE], enum opcode opcode, uint8_t flags, uint32_t itt)
{
	memset(bhs, 0, ISCSI_BHS_SIZE);
	bhs[0] = (uint8_t)opcode;
	bhs[1] = flags;
	put_be(bhs + BHS_ITT, 4, itt);
}

void bhs_u32(uint8_t bhs[ISCSI_BHS_SIZE], enum bhs_place at, uint32_t value)
{
	put_be(bhs + at, 4, value);
}

void bhs_data_len(uint8_t bhs[ISCSI_BHS_SIZE], size_t len)
{
	assert(len < 1u << 24);
	put_be(bhs + 5, 3, len);
}

size_t pdu_padding(size_t len)
{
	return (4 - len % 4) % 4;
}

bool serial_before(uint32_t a, uint32_t b)
{
	return a != b && b - a < 1u << 31;
}

bool serial_at_most(uint32_t a, uint32_t b)
{
	return a == b || serial_before(a, b);
}

/* ISA-L neither presets nor inverts: both are ours to do. */
uint32_t crc_feed(uint32_t crc, const uint8_t *bytes, size_t len)
{
	assert(len <= INT32_MAX);
	if (len == 0)
		return crc;
	return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)len, crc);
}

/* RFC 7143 section 13.1 and its examples: the octet that the polynomial's lowest terms are in
 * comes first. */
void crc_wire(uint32_t crc, uint8_t ret_octets[4])
{
	crc = ~crc;
	for (unsigned n = 0; n < 4; n++)
		ret_octets[n] = (uint8_t)(crc >> 8 * n);
}
