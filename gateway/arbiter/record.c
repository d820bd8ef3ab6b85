/* Ids of ports and nexuses: the same for the same names, whoever computes them. Linked into
 * the monitor and the arbiter. The names are authenticated ones, and normalised. */
#include "gateway/arbiter/record.h"

#include <sodium.h>
#include "gateway/base/bytes.h"

static uint64_t id_of(const uint8_t *octets, size_t len)
{
	uint8_t hash[crypto_generichash_BYTES_MIN];

	(void)crypto_generichash(hash, sizeof hash, octets, len, NULL, 0);
	return MAX(get_be(hash, 8), 1);
}

uint64_t arbiter_port_id(const char *target, uint16_t tag)
{
	uint8_t octets[ISCSI_NAME_SIZE + 2] = {0};

	put_be(octets, 2, tag);
	(void)string_copy((char *)octets + 2, ISCSI_NAME_SIZE, target);
	return id_of(octets, sizeof octets);
}

uint64_t arbiter_nexus_id(const char *initiator, const uint8_t isid[6], uint64_t port)
{
	uint8_t octets[8 + 6 + ISCSI_NAME_SIZE] = {0};

	put_be(octets, 8, port);
	memcpy(octets + 8, isid, 6);
	(void)string_copy((char *)octets + 14, ISCSI_NAME_SIZE, initiator);
	return id_of(octets, sizeof octets);
}
