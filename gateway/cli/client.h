/* What to type on a client's machine: one page for an initiator, one section for each target and
 * portal that it may use, in the words of its own tools. */
#pragma once

#include "gateway/cli/secret_bench.h"
#include "policy/policy.h"

struct client_section {
	const struct policy_target *target;
	const struct policy_portal *portal;
	const struct policy_initiator *entry;
	struct endpoint at;	    /* which the client reaches */
	char address[ADDRESS_TEXT]; /* "192.0.2.1", "2001:db8::1" */
	char place[ADDRESS_TEXT];   /* with the port, as in a URL */
};

enum client_secret { CLIENT_SECRET, CLIENT_MUTUAL }; /* of the user; of the gateway */

struct client_page {
	const struct policy *policy;
	const char *initiator;
	const struct policy_initiator *entry; /* any of its: user and mutual name are one */
	uint32_t algorithms;		      /* bits 1 << CHAP number that are taken from it */
	const struct secret *secrets[2];      /* NULL: not to be shown */
};

struct client_form {
	const char *name;
	bool md5_only;
	void (*begin)(const struct client_page *page);
	void (*section)(const struct client_page *page, const struct client_section *s);
	void (*end)(const struct client_page *page);
	bool is_tunnel; /* it is itself what portals with TLS need first */
};
extern const struct client_form client_stunnel;
const struct client_form *client_form_find(const char *name); /* NULL: none */
#define CLIENT_FORMS "linux, windows, esxi, libiscsi, stunnel"

/* The octets in quotes. A quote within them is written as a shell wants it (quote_as is a
 * backslash) or as PowerShell does (a quote). Returns the length, of CLIENT_QUOTED(count) at most.
 */
#define CLIENT_QUOTED(count) (4 * (count) + 2)
size_t client_quote(const uint8_t *octets, size_t count, char quote_as, char *ret);
/* Writes the secret in quotes, past stdio, whose buffers nobody wipes. */
void client_secret_write(const struct client_page *page, enum client_secret which, char quote_as);
