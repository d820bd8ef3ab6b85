/* Reads a PROXY protocol header of version 2 ("The PROXY protocol", section 2.2), octet by octet or
 * all at once. TCP over IPv4 and IPv6 alone; version 1 is told, and refused. Its octets come from
 * the network: nothing of them is believed but by the monitor, who knows whose they are. */
#include "gateway/session/proxy.h"

#include <isa-l/crc.h>
#include "gateway/base/bytes.h"

/* The 13th octet: the version and the command; the 14th: the family and the transport. */
#define VERSION_2     0x20
#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21
#define TCP_V4	      0x11
#define TCP_V6	      0x21

#define TYPE_CRC32C 0x03
#define CRC_SIZE    4

static const uint8_t signature[PROXY_SIGNATURE_SIZE] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t version_1[] = {'P', 'R', 'O', 'X', 'Y'};

/* As far as both go. */
static bool begins_as(const struct proxy_header *h, const uint8_t *what, size_t size)
{
	return memcmp(h->octets, what, MIN(h->len, size)) == 0;
}

bool proxy_is_signed(const struct proxy_header *h)
{
	return h->len >= sizeof signature && begins_as(h, signature, sizeof signature);
}

size_t proxy_space(struct proxy_header *h, uint8_t **ret_at)
{
	*ret_at = h->octets + h->len;
	return (h->total ? h->total : PROXY_HEAD_SIZE) - h->len;
}

static enum proxy_state refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return PROXY_MALFORMED;
}

/* --- the addresses ---------------------------------------------------------------------------- */

static void address_read(struct rd *in, size_t size, struct ip *ret)
{
	const uint8_t *bytes = rd_bytes(in, size);

	*ret = (struct ip){.version = size == 4 ? 4 : 6};
	if (bytes)
		memcpy(ret->bytes, bytes, size);
}

/* IPv4 that is written in IPv6 is IPv4 everywhere here. */
static void address_settle(struct ip *ip)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	struct ip v4 = {.version = 4};

	if (ip->version != 6 || memcmp(ip->bytes, prefix, sizeof prefix) != 0)
		return;
	memcpy(v4.bytes, ip->bytes + sizeof prefix, 4);
	*ip = v4;
}

/* Who it is from is somebody; where it went to may be told as nothing. */
static const char *addresses_read(struct rd *in, size_t size, struct proxied *ret)
{
	address_read(in, size, &ret->source.ip);
	address_read(in, size, &ret->dest.ip);
	ret->source.port = (uint16_t)rd_be(in, 2);
	ret->dest.port = (uint16_t)rd_be(in, 2);
	if (in->failed)
		return "its addresses are cut short";
	address_settle(&ret->source.ip);
	address_settle(&ret->dest.ip);
	if (!ip_is_host(&ret->source.ip) || ret->source.port == 0)
		return "its source is no host's address and port";
	if (!ip_is_host(&ret->dest.ip) || ret->dest.port == 0)
		ret->dest = (struct endpoint){0};
	return NULL;
}

/* --- what follows them ------------------------------------------------------------------------ */

/* Over the whole header, with zeros in its own place. */
static bool crc_is_right(const struct proxy_header *h, size_t at)
{
	uint8_t copy[PROXY_HEADER_MAX];
	uint32_t crc;

	memcpy(copy, h->octets, h->len);
	memset(copy + at, 0, CRC_SIZE);
	crc = crc32_iscsi(copy, (int)h->len, UINT32_MAX) ^ UINT32_MAX;
	return crc == (uint32_t)get_be(h->octets + at, CRC_SIZE);
}

/* Type, length, value, to the last octet. What is said of a TLS connection that ended at the proxy,
 * and the like, is not for us. */
static const char *extras_read(const struct proxy_header *h, struct rd *in)
{
	bool had_crc = false;

	while (rd_left(in) > 0 && !in->failed) {
		uint8_t type = (uint8_t)rd_be(in, 1);
		size_t size = rd_be(in, 2);
		const uint8_t *value = rd_bytes(in, size);

		if (!value || type != TYPE_CRC32C)
			continue;
		if (size != CRC_SIZE || had_crc)
			return "its checksum is none";
		had_crc = true;
		if (!crc_is_right(h, (size_t)(value - h->octets)))
			return "its checksum is wrong";
	}
	return in->failed ? "what follows its addresses is cut short" : NULL;
}

/* --- all of it -------------------------------------------------------------------------------- */

static enum proxy_state head_read(struct proxy_header *h, const char **ret_why)
{
	uint8_t command = h->octets[12];
	size_t total = PROXY_HEAD_SIZE + get_be(h->octets + 14, 2);

	if ((command & 0xf0) != VERSION_2)
		return refuse(ret_why, "it is of another version than 2");
	if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
		return refuse(ret_why, "its command is neither LOCAL nor PROXY");
	if (total > PROXY_HEADER_MAX)
		return refuse(ret_why, "it is longer than 536 octets");
	h->total = total;
	return PROXY_MORE;
}

/* LOCAL: whatever else it says, its addresses included, is to be left alone. */
static enum proxy_state whole_read(const struct proxy_header *h, struct proxied *ret,
				   const char **ret_why)
{
	uint8_t family = h->octets[13];
	struct rd in = rd_over(h->octets + PROXY_HEAD_SIZE, h->len - PROXY_HEAD_SIZE);
	struct proxied p = {.local = h->octets[12] == COMMAND_LOCAL};
	const char *why = NULL;

	if (!p.local && family != TCP_V4 && family != TCP_V6)
		return refuse(ret_why, "it is about something else than TCP over IPv4 or IPv6");
	if (!p.local)
		why = addresses_read(&in, family == TCP_V4 ? 4 : 16, &p);
	if (!p.local && !why)
		why = extras_read(h, &in);
	if (why)
		return refuse(ret_why, why);
	*ret = p;
	return PROXY_WHOLE;
}

enum proxy_state proxy_took(struct proxy_header *h, size_t n, struct proxied *ret,
			    const char **ret_why)
{
	h->len += n;
	if (begins_as(h, version_1, sizeof version_1)) {
		if (h->len < sizeof version_1)
			return PROXY_MORE;
		return refuse(ret_why, "it is of version 1: have the proxy send version 2");
	}
	if (!begins_as(h, signature, sizeof signature)) {
		*ret_why = "what came first is no header";
		return PROXY_MISSING;
	}
	if (h->len < PROXY_HEAD_SIZE)
		return PROXY_MORE;
	if (h->total == 0 && head_read(h, ret_why) != PROXY_MORE)
		return PROXY_MALFORMED;
	return h->len < h->total ? PROXY_MORE : whole_read(h, ret, ret_why);
}
