/* IP addresses, endpoints and networks: text to numbers and back. Used by the policy,
 * the monitor and the firewall; its input may come from anywhere. A scope is kept as
 * the index of its interface, and written as one, but for people: a sandboxed process
 * can't ask for an interface's name. */
#include "gateway/base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include "gateway/base/bytes.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static struct ip ip_v4(const void *bytes)
{
	struct ip ip = {.version = 4};

	memcpy(ip.bytes, bytes, 4);
	return ip;
}

static bool bytes_are_mapped(const uint8_t bytes[16])
{
	return memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static bool bytes_are_link_local(const uint8_t bytes[16])
{
	return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static struct ip ip_v6(const uint8_t bytes[16], uint32_t scope)
{
	struct ip ip = {.version = 6};

	if (bytes_are_mapped(bytes))
		return ip_v4(bytes + sizeof mapped_prefix);
	memcpy(ip.bytes, bytes, 16);
	ip.scope = bytes_are_link_local(bytes) ? scope : 0;
	return ip;
}

/* A scope is an interface's name or its index. */
static int scope_parse(const char *text, uint32_t *ret_scope)
{
	uint64_t index;

	if (number_parse(text, 1, INT32_MAX, &index) < 0) {
		if (strnlen(text, IF_NAMESIZE) == IF_NAMESIZE)
			return -EINVAL;
		index = if_nametoindex(text);
	}
	if (index == 0)
		return -EINVAL;
	*ret_scope = (uint32_t)index;
	return 0;
}

/* Without its scope, which is at *ret_scope; NULL: it has none. */
static int host_parse(const char *text, struct ip *ret_ip, const char **ret_scope)
{
	char host[INET6_ADDRSTRLEN];
	size_t host_len = strcspn(text, "%");
	uint8_t bytes[16];

	*ret_scope = NULL;
	if (inet_pton(AF_INET, text, bytes) == 1) {
		*ret_ip = ip_v4(bytes);
		return 0;
	}
	if (host_len >= sizeof host)
		return -EINVAL;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	if (inet_pton(AF_INET6, host, bytes) != 1)
		return -EINVAL;
	if (text[host_len] && !bytes_are_link_local(bytes))
		return -EINVAL;
	if (text[host_len])
		*ret_scope = text + host_len + 1;
	*ret_ip = ip_v6(bytes, 0);
	return 0;
}

int ip_parse(const char *text, struct ip *ret_ip)
{
	const char *scope;
	struct ip ip;

	if (host_parse(text, &ip, &scope) < 0 || (scope && scope_parse(scope, &ip.scope) < 0))
		return -EINVAL;
	*ret_ip = ip;
	return 0;
}

/* Cuts "[v6]:port" or "v4:port" into its two halves; false when it has neither form. */
static bool endpoint_split(char *text, char **ret_host, char **ret_port)
{
	char *colon;

	if (*text == '[') {
		char *close = strchr(text, ']');

		if (!close || close[1] != ':')
			return false;
		*close = '\0';
		*ret_host = text + 1;
		*ret_port = close + 2;
		return strchr(*ret_host, ':') != NULL;
	}
	colon = strchr(text, ':');
	if (!colon)
		return false;
	*colon = '\0';
	*ret_host = text;
	*ret_port = colon + 1;
	return true;
}

int endpoint_parse(const char *text, struct endpoint *ret_endpoint)
{
	char copy[ADDRESS_TEXT], *host, *port;
	struct endpoint e;
	uint64_t number;

	if (!string_copy(copy, sizeof copy, text) || !endpoint_split(copy, &host, &port) ||
	    ip_parse(host, &e.ip) < 0 || number_parse(port, 1, UINT16_MAX, &number) < 0)
		return -EINVAL;
	e.port = (uint16_t)number;
	*ret_endpoint = e;
	return 0;
}

bool interface_name_ok(const char *name)
{
	static const char digits[] = "0123456789";
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strnlen(name, INTERFACE_NAME_SIZE);

	return len > 0 && len < INTERFACE_NAME_SIZE && strspn(name, letters) == len &&
	       strspn(name, digits) < len && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The index of an interface, 0 when it is not here; of its names, the one that packets have. */
static uint32_t interface_find(char name[INTERFACE_NAME_SIZE])
{
	uint32_t index = if_nametoindex(name);
	char proper[IF_NAMESIZE];

	if (index && if_indextoname(index, proper) && interface_name_ok(proper))
		(void)string_copy(name, INTERFACE_NAME_SIZE, proper);
	return index;
}

int endpoint_parse_on(const char *text, struct endpoint *ret_endpoint,
		      char ret_interface[INTERFACE_NAME_SIZE])
{
	char copy[ADDRESS_TEXT], *host, *port, name[INTERFACE_NAME_SIZE] = "";
	const char *scope;
	struct endpoint e;
	uint64_t number;

	if (!string_copy(copy, sizeof copy, text) || !endpoint_split(copy, &host, &port) ||
	    host_parse(host, &e.ip, &scope) < 0 || number_parse(port, 1, UINT16_MAX, &number) < 0)
		return -EINVAL;
	if (scope && !interface_name_ok(scope))
		return -ENXIO;
	if (scope) {
		(void)string_copy(name, sizeof name, scope);
		e.ip.scope = interface_find(name);
	}
	e.port = (uint16_t)number;
	*ret_endpoint = e;
	memcpy(ret_interface, name, sizeof name);
	return 0;
}

static bool bit_is_set(const uint8_t *bytes, unsigned bit)
{
	return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static bool bits_beyond(const struct ip *ip, unsigned prefix)
{
	for (unsigned bit = prefix; bit < (ip->version == 4 ? 32U : 128U); bit++)
		if (bit_is_set(ip->bytes, bit))
			return true;
	return false;
}

int network_parse(const char *text, struct network *ret_network)
{
	char copy[ADDRESS_TEXT], *slash;
	struct network n;
	uint64_t prefix, written;

	if (!string_copy(copy, sizeof copy, text) || strchr(copy, '%'))
		return -EINVAL;
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (ip_parse(copy, &n.ip) < 0)
		return -EINVAL;
	/* "::ffff:192.0.2.0/120" is 192.0.2.0/24; a shorter prefix would hold more than IPv4. */
	written = strchr(copy, ':') ? 128 : 32;
	prefix = written;
	if (slash && number_parse(slash + 1, 0, written, &prefix) < 0)
		return -EINVAL;
	if (n.ip.version == 4 && written == 128) {
		if (prefix < 96)
			return -EINVAL;
		prefix -= 96;
	}
	if (bits_beyond(&n.ip, (unsigned)prefix))
		return -EDOM;
	n.prefix = (uint8_t)prefix;
	*ret_network = n;
	return 0;
}

/* `scope` is "" for an address that has none. */
static const char *ip_write(const struct ip *ip, const char *scope, char ret[ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN];

	if ((ip->version != 4 && ip->version != 6) ||
	    !inet_ntop(ip->version == 4 ? AF_INET : AF_INET6, ip->bytes, host, sizeof host))
		(void)string_copy(host, sizeof host, "?");
	(void)snprintf(ret, ADDRESS_TEXT, "%s%s%.15s", host, scope[0] ? "%" : "", scope);
	return ret;
}

static const char *endpoint_write(const struct endpoint *endpoint, const char *host,
				  char ret[ADDRESS_TEXT])
{
	bool v6 = endpoint->ip.version == 6;

	(void)snprintf(ret, ADDRESS_TEXT, "%s%.62s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
		       endpoint->port);
	return ret;
}

const char *ip_format(const struct ip *ip, char ret[ADDRESS_TEXT])
{
	char scope[INTERFACE_NAME_SIZE] = "";

	if (ip->scope)
		(void)snprintf(scope, sizeof scope, "%u", ip->scope);
	return ip_write(ip, scope, ret);
}

const char *endpoint_format(const struct endpoint *endpoint, char ret[ADDRESS_TEXT])
{
	char host[ADDRESS_TEXT];

	return endpoint_write(endpoint, ip_format(&endpoint->ip, host), ret);
}

const char *ip_show(const struct ip *ip, char ret[ADDRESS_TEXT])
{
	char name[IF_NAMESIZE];

	if (ip->scope && if_indextoname(ip->scope, name) && interface_name_ok(name))
		return ip_write(ip, name, ret);
	return ip_format(ip, ret);
}

const char *endpoint_show(const struct endpoint *endpoint, char ret[ADDRESS_TEXT])
{
	char host[ADDRESS_TEXT];

	return endpoint_write(endpoint, ip_show(&endpoint->ip, host), ret);
}

const char *network_format(const struct network *network, char ret[ADDRESS_TEXT])
{
	char host[ADDRESS_TEXT];

	(void)ip_format(&network->ip, host);
	if (network->prefix == (network->ip.version == 4 ? 32 : 128))
		(void)string_copy(ret, ADDRESS_TEXT, host);
	else
		(void)snprintf(ret, ADDRESS_TEXT, "%.60s/%u", host, network->prefix);
	return ret;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->version == b->version && a->scope == b->scope &&
	       memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
	static const uint8_t one[16] = {[15] = 1};

	if (ip->version == 4)
		return ip->bytes[0] == 127;
	return ip->version == 6 && memcmp(ip->bytes, one, sizeof one) == 0;
}

bool ip_is_any(const struct ip *ip)
{
	return (ip->version == 4 || ip->version == 6) && !bits_beyond(ip, 0);
}

bool ip_is_link_local(const struct ip *ip)
{
	return ip->version == 6 && bytes_are_link_local(ip->bytes);
}

/* The first octet of IPv4: 0 is "this network" (RFC 1122 section 3.2.1.3), from 224 on are groups
 * and what is reserved. */
bool ip_is_host(const struct ip *ip)
{
	static const uint8_t zero[16];

	if (ip->scope != 0)
		return false;
	if (ip->version == 4)
		return ip->bytes[0] != 0 && ip->bytes[0] < 224 &&
		       memcmp(ip->bytes + 4, zero, sizeof ip->bytes - 4) == 0;
	return ip->version == 6 && memcmp(ip->bytes, zero, sizeof zero) != 0 &&
	       ip->bytes[0] != 0xff && !bytes_are_mapped(ip->bytes) &&
	       !bytes_are_link_local(ip->bytes);
}

bool network_contains(const struct network *network, const struct ip *ip)
{
	unsigned whole = network->prefix / 8, rest = network->prefix % 8;

	if (ip->version != network->ip.version || ip->version == 0)
		return false;
	if (memcmp(network->ip.bytes, ip->bytes, whole) != 0)
		return false;
	return rest == 0 || (network->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest) == 0;
}

struct network ip_source_block(const struct ip *ip)
{
	struct network n = {.ip = *ip, .prefix = ip->version == 4 ? 32 : 64};

	n.ip.scope = 0;
	if (ip->version == 6)
		memset(n.ip.bytes + 8, 0, 8);
	return n;
}

struct endpoint endpoint_from_sockaddr(const struct sockaddr_storage *sa)
{
	struct endpoint e = {0};

	if (sa->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		e.ip = ip_v4(&in.sin_addr);
		e.port = ntohs(in.sin_port);
	} else if (sa->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		e.ip = ip_v6(in6.sin6_addr.s6_addr, in6.sin6_scope_id);
		e.port = ntohs(in6.sin6_port);
	}
	return e;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret_sa)
{
	memset(ret_sa, 0, sizeof *ret_sa);
	if (endpoint->ip.version == 4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};

		memcpy(&in.sin_addr, endpoint->ip.bytes, 4);
		memcpy(ret_sa, &in, sizeof in);
		return sizeof in;
	}
	if (endpoint->ip.version == 6) {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
					   .sin6_port = htons(endpoint->port),
					   .sin6_scope_id = endpoint->ip.scope};

		memcpy(&in6.sin6_addr, endpoint->ip.bytes, 16);
		memcpy(ret_sa, &in6, sizeof in6);
		return sizeof in6;
	}
	return 0;
}

int endpoint_compare(const struct endpoint *a, const struct endpoint *b)
{
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->ip.version != b->ip.version)
		return a->ip.version < b->ip.version ? -1 : 1;
	return memcmp(a->ip.bytes, b->ip.bytes, sizeof a->ip.bytes);
}
