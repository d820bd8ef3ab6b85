/* IP addresses, endpoints and networks, IPv4 and IPv6 alike. A v4-mapped IPv6
 * address is the IPv4 address everywhere: there is one way to write a peer. */
#pragma once

#include <sys/socket.h>
#include "gateway/base/base.h"

#define ADDRESS_TEXT	    72 /* "[v6%scope]:port" with NUL */
#define INTERFACE_NAME_SIZE 16

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
/* The same for an address that another boot or machine may mean, "[fe80::1%eth0]:3260": with the
 * interface's name, or "". An interface that is not here has index 0. -ENXIO: no name of one. */
int endpoint_parse_on(const char *text, struct endpoint *ret_endpoint,
		      char ret_interface[INTERFACE_NAME_SIZE]) MUST_CHECK;
/* Letters, digits, '.', '_' and '-', and not a number: what the firewall and people can be told. */
bool interface_name_ok(const char *name);
/* "192.0.2.7", "2001:db8::/64"; -EINVAL not a network, -EDOM when bits beyond the prefix are set.
 */
int network_parse(const char *text, struct network *ret_network) MUST_CHECK;

/* A scope is written as its number. */
const char *ip_format(const struct ip *ip, char ret[ADDRESS_TEXT]);
const char *endpoint_format(const struct endpoint *endpoint, char ret[ADDRESS_TEXT]);
const char *network_format(const struct network *network, char ret[ADDRESS_TEXT]);
/* For people, with the name of a scope's interface: asks the kernel, which a sandboxed process
 * can't. */
const char *ip_show(const struct ip *ip, char ret[ADDRESS_TEXT]);
const char *endpoint_show(const struct endpoint *endpoint, char ret[ADDRESS_TEXT]);

bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_any(const struct ip *ip);
bool ip_is_link_local(const struct ip *ip); /* IPv6: means nothing without its scope */
/* One host, and the same one whoever says it: no group, no link's own address, nothing reserved.
 * Takes any octets: a scope, or IPv4 that is written in IPv6, is none either. */
bool ip_is_host(const struct ip *ip);
bool network_contains(const struct network *network, const struct ip *ip);
/* Whom bans and counts are about: the address (IPv4), its /64 (IPv6). */
struct network ip_source_block(const struct ip *ip);

struct endpoint endpoint_from_sockaddr(const struct sockaddr_storage *sa); /* version 0: neither */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret_sa);
/* An order for sorting: by port, then address; scopes do not count. */
int endpoint_compare(const struct endpoint *a, const struct endpoint *b);
