/* IP addresses, endpoints and networks, IPv4 and IPv6 alike. A v4-mapped IPv6
 * address is the IPv4 address everywhere: there is one way to write a peer. */
#pragma once

#include <sys/socket.h>
#include "gateway/base/base.h"

#define ADDRESS_TEXT 72 /* "[v6%scope]:port" with NUL */

struct ip {
	uint8_t version;   /* 4 or 6; 0 is no address */
	uint8_t bytes[16]; /* network order; IPv4 uses the first 4, the rest is zero */
	uint32_t scope;	   /* interface index of a link-local IPv6 address, else 0 */
};

struct endpoint {
	struct ip ip;
	uint16_t port;
};

struct network {
	struct ip ip;
	uint8_t prefix; /* bits */
};

int ip_parse(const char *text, struct ip *ret_ip) MUST_CHECK;
/* "192.0.2.1:3260", "[2001:db8::1]:3260"; the port is required. */
int endpoint_parse(const char *text, struct endpoint *ret_endpoint) MUST_CHECK;
/* "192.0.2.7", "2001:db8::/64"; -EINVAL not a network, -EDOM when bits beyond the prefix are set.
 */
int network_parse(const char *text, struct network *ret_network) MUST_CHECK;

const char *ip_format(const struct ip *ip, char ret[ADDRESS_TEXT]);
const char *endpoint_format(const struct endpoint *endpoint, char ret[ADDRESS_TEXT]);
const char *network_format(const struct network *network, char ret[ADDRESS_TEXT]);

bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_any(const struct ip *ip);
bool ip_is_link_local(const struct ip *ip); /* IPv6: means nothing without its scope */
bool network_contains(const struct network *network, const struct ip *ip);
/* Whom bans and counts are about: the address (IPv4), its /64 (IPv6). */
struct network ip_source_block(const struct ip *ip);

struct endpoint endpoint_from_sockaddr(const struct sockaddr_storage *sa); /* version 0: neither */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret_sa);
