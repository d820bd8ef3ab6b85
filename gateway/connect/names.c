/* The process that asks for the addresses of one gateway, and ends. It runs as a user
 * without rights: what answers is a network, and the modules of libc that ask know no
 * sandbox. Whoever takes it over can name wrong addresses; TLS tells who is there. */
#include <netdb.h>
#include <stdio.h>
#include <sys/prctl.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/connect/messages.h"

static bool has(const struct connect_addresses *a, const struct ip *ip)
{
	for (uint32_t k = 0; k < a->count; k++)
		if (ip_equal(&a->at[k].ip, ip))
			return true;
	return false;
}

static void addresses_find(const char *host, struct connect_addresses *ret)
{
	const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int r = getaddrinfo(host, NULL, &wanted, &list);

	if (r != 0) {
		(void)snprintf(ret->why, sizeof ret->why, "%s", gai_strerror(r));
		return;
	}
	for (const struct addrinfo *a = list; a && ret->count < CONNECT_ADDRESSES_MAX;
	     a = a->ai_next) {
		struct sockaddr_storage sa = {0};
		struct endpoint e;

		memcpy(&sa, a->ai_addr, MIN((size_t)a->ai_addrlen, sizeof sa));
		e = endpoint_from_sockaddr(&sa);
		if (e.ip.version != 0 && !has(ret, &e.ip))
			ret->at[ret->count++] = e;
	}
	freeaddrinfo(list);
	if (ret->count == 0)
		(void)snprintf(ret->why, sizeof ret->why, "it has none");
}

int connect_names_main(void)
{
	struct channel starter = {.fd = -1};
	OWNED_FREE char *bytes = NULL;
	struct connect_addresses answer = {0};
	const struct connect_ask *ask;
	size_t len;
	int r;

	if (!process_fds_are(2)) {
		log_error("started with other descriptors than its own");
		return 3;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || capabilities_limit(0) < 0)
		return 3;
	r = fd_read_all(PROCESS_FD_FIRST + 1, sizeof *ask, &bytes, &len);
	if (r < 0 || len != sizeof *ask)
		return 3;
	ask = (const struct connect_ask *)(void *)bytes;
	answer.tunnel = ask->tunnel;
	addresses_find(ask->host, &answer);
	channel_open(&starter, PROCESS_FD_FIRST, NULL, 0);
	r = CHANNEL_SEND(&starter, CONNECT_ADDRESSES, &answer);
	channel_close(&starter);
	return r < 0 ? 3 : 0;
}
