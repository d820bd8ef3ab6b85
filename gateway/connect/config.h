/* What `sallyport connect` shall do: tunnels, each from addresses of this machine to one
 * gateway, from the command line or from a small file. Runs in the process that the
 * operator started; the file is the operator's, but may be written by any editor.
 *
 *   version: 1
 *   tunnels:
 *     vault:
 *       gateway: gw.example.net:3261
 *       listen: ["127.0.0.1:3260", "[::1]:3260"]   # the default
 *       identity: /etc/sallyport/client            # default: the file's own folder
 *       name: gw.example.net                       # in the certificate; default: the host
 *       server: sha256:…                           # the certificate itself, instead of CA and name
 *       accept_risk: true                          # for listen: addresses of a network
 */
#pragma once

#include <stdio.h>
#include "gateway/base/address.h"

#define CONNECT_TUNNELS_MAX 16
#define CONNECT_LISTENS_MAX 4
#define CONNECT_NAME_SIZE   64
#define CONNECT_HOST_SIZE   256
#define CONNECT_PATH_SIZE   1024
#define CONNECT_PIN_SIZE    32 /* SHA-256 of the certificate */
#define CONNECT_FILE_MAX    65536
#define CONNECT_FOLDER	    "/etc/sallyport/client"
#define CONNECT_LISTEN_PORT 3260
#define CONNECT_FINGERPRINT "sha256:"

struct connect_tunnel {
	char name[CONNECT_NAME_SIZE]; /* for the log */
	char host[CONNECT_HOST_SIZE]; /* a name, or an address */
	uint16_t port;
	struct endpoint listen[CONNECT_LISTENS_MAX];
	uint32_t listen_count;
	bool listen_default; /* nobody asked for these: ::1 may be missing on this machine */
	bool accept_risk;
	bool pinned;
	uint8_t pin[CONNECT_PIN_SIZE];
	char server_name[CONNECT_HOST_SIZE]; /* which the certificate must have */
	char identity[CONNECT_PATH_SIZE];    /* folder of client.pem, client.key, ca.pem */
};

struct connect_config {
	struct connect_tunnel tunnels[CONNECT_TUNNELS_MAX];
	size_t count;
};

/* "gw.example.net:3261", "192.0.2.1:3261", "[2001:db8::1]:3261" into host, port and the name that
 * the certificate must have. -EINVAL and what is wrong. */
int connect_gateway_parse(const char *text, struct connect_tunnel *ret,
			  const char **ret_why) MUST_CHECK;
/* A host's name or an address, as a certificate has it: no pattern, never empty. */
bool connect_name_is_one(const char *text);
/* "127.0.0.1:3260": another address of this machine; not loopback only with accept_risk. */
int connect_listen_add(struct connect_tunnel *t, const char *text, const char **ret_why) MUST_CHECK;
/* 64 hex digits, colons between octets allowed, after "sha256:". */
int connect_pin_parse(const char *text, uint8_t ret[CONNECT_PIN_SIZE]) MUST_CHECK;
/* 127.0.0.1 and ::1, when nothing was added. */
void connect_listen_default(struct connect_tunnel *t);

/* Takes the file apart; `folder` is where relative paths begin. Mistakes are printed to `messages`,
 * each with its line. 0, -EINVAL, -ENOMEM. */
int connect_config_parse(const char *file, const char *text, size_t len, FILE *messages,
			 struct connect_config *ret) MUST_CHECK;
