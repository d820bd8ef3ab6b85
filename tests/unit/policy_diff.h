/* Two policies that differ in one place: the base with one text for another. */
#pragma once

#include <stdio.h>
#include "policy/policy.h"

#define VAULT "iqn.2026-11.net.example.gw:vault"
#define OTHER "iqn.2026-11.net.example.gw:other"
#define ALICE "iqn.1994-05.com.redhat:alice"
#define BOB   "iqn.1994-05.com.redhat:bob"
#define CAROL "iqn.1994-05.com.redhat:carol"

static const char base_text[] =
	"version: 1\n"
	"portals:\n"
	"  lan: {listen: ['192.0.2.1:3260', '[2001:db8::1]:3260'], transport: plain,\n"
	"        accept_risk: true}\n"
	"  here: {listen: ['127.0.0.1:3261'], transport: plain}\n"
	"disks:\n"
	"  a: {memory: 1MiB}\n"
	"  b: {memory: 2MiB}\n"
	"  c: {memory: 4MiB}\n"
	"targets:\n"
	"  " VAULT ":\n"
	"    portals: [lan, here]\n"
	"    luns: {0: a, 1: b, 2: c}\n"
	"    initiators:\n"
	"      " ALICE ":\n"
	"        from: [198.51.100.0/24, 127.0.0.1]\n"
	"        chap: {user: alice, mutual: gw-a}\n"
	"        luns: {0: read-write, 1: read-only}\n"
	"      " BOB ":\n"
	"        from: [203.0.113.9]\n"
	"        chap: {user: bob, mutual: gw-b}\n"
	"        deny: [unmap]\n"
	"        protect: [{blocks: 0-7}]\n"
	"  " OTHER ":\n"
	"    portals: [here]\n"
	"    luns: {0: c}\n"
	"    initiators:\n"
	"      " CAROL ":\n"
	"        chap: {user: carol, mutual: gw-c, algorithms: [md5]}\n"
	"gateway: {grace: 30s, disk_roots: [/srv]}\n";

static inline struct policy *policy_taken(const char *text, size_t len)
{
	char *said = NULL;
	size_t said_len = 0;
	FILE *f = open_memstream(&said, &said_len);
	struct policy_options options = {.messages = f};
	struct policy *p = NULL;
	int r = policy_parse("/etc/sallyport/policy.yaml", text, len, &options, &p);

	assert_int_equal(fclose(f), 0);
	if (r < 0)
		fail_msg("%s", said);
	free(said);
	return p;
}

static inline struct policy *policy_base(void)
{
	return policy_taken(base_text, sizeof base_text - 1);
}

/* The base with up to four texts for others: {from, to, from, to, NULL}. */
static inline struct policy *policy_edited(const char *const edits[8])
{
	char *text = strdup(base_text);
	struct policy *p;

	for (size_t k = 0; k < 8 && edits[k]; k += 2) {
		char *at = strstr(text, edits[k]), *next = NULL;

		if (!at) {
			fail_msg("the base does not have %s", edits[k]);
			abort();
		}
		*at = '\0';
		assert_true(asprintf(&next, "%s%s%s", text, edits[k + 1], at + strlen(edits[k])) >
			    0);
		free(text);
		text = next;
	}
	p = policy_taken(text, strlen(text));
	free(text);
	return p;
}
