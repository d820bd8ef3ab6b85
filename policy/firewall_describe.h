/* Rules, chains and sets of the kernel as texts that differ when what they do differs, and only
 * then: no handles, no counters. For the firewall process. */
#pragma once

#include "gateway/base/base.h"

struct nftnl_chain;
struct nftnl_rule;
struct nftnl_set;

#define FIREWALL_BODY_MAX 4096 /* our own rules have some hundred octets */
#define FIREWALL_KEY_MAX  64   /* octets of an element's key, NFT_DATA_VALUE_MAXLEN */
#define FIREWALL_KEY_TEXT (2 * FIREWALL_KEY_MAX + 1)

void firewall_chain_describe(const struct nftnl_chain *c, char ret[FIREWALL_BODY_MAX]);
void firewall_set_describe(const struct nftnl_set *set, char ret[FIREWALL_BODY_MAX]);
/* "[ … ] [ … ] (comment)"; false: it does not fit. */
bool firewall_rule_describe(struct nftnl_rule *rule, char ret[FIREWALL_BODY_MAX]) MUST_CHECK;
/* An address or a port, where nft's number of its type says so; else hex. */
void firewall_key_format(const uint8_t *key, size_t len, uint32_t type,
			 char ret[FIREWALL_KEY_TEXT]);
