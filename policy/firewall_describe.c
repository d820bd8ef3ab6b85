/* Rules, chains and sets of the kernel in words: libnftnl's own where it has them. Runs in the
 * firewall process. What it is given was taken apart by libnftnl; names and comments in it are
 * somebody's, and are escaped by whoever prints them. */
#include "policy/firewall_describe.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <inttypes.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>

#define TYPE_IPV4    7 /* nft's numbers */
#define TYPE_IPV6    8
#define TYPE_SERVICE 13

static const char *word_of(const char *const *words, size_t count, uint32_t number)
{
	return number < count ? words[number] : "unknown";
}

void firewall_chain_describe(const struct nftnl_chain *c, char ret[FIREWALL_BODY_MAX])
{
	static const char *const hooks[] = {"prerouting", "input",	 "forward",
					    "output",	  "postrouting", "ingress"};
	static const char *const policies[] = {"drop", "accept"};
	const char *device = nftnl_chain_get_str(c, NFTNL_CHAIN_DEV);
	const char *type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
	uint32_t flags = nftnl_chain_is_set(c, NFTNL_CHAIN_FLAGS)
				 ? nftnl_chain_get_u32(c, NFTNL_CHAIN_FLAGS) &
					   ~(uint32_t)NFT_CHAIN_BASE
				 : 0;
	int n;

	if (!nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM)) {
		(void)snprintf(ret, FIREWALL_BODY_MAX, "no hook, flags %" PRIu32, flags);
		return;
	}
	n = snprintf(
		ret, FIREWALL_BODY_MAX, "%s hook %s priority %" PRId32 " policy %s",
		type ? type : "",
		word_of(hooks, ARRAY_LEN(hooks), nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM)),
		nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO),
		word_of(policies, ARRAY_LEN(policies), nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY)));
	if (device || flags)
		(void)snprintf(ret + n, (size_t)(FIREWALL_BODY_MAX - n),
			       " device %.64s flags %" PRIu32, device ? device : "", flags);
}

void firewall_set_describe(const struct nftnl_set *set, char ret[FIREWALL_BODY_MAX])
{
	static const struct {
		uint16_t attribute;
		bool wide;
		const char *name;
	} facts[] = {
		{NFTNL_SET_KEY_TYPE, false, "type"},  {NFTNL_SET_KEY_LEN, false, "of"},
		{NFTNL_SET_FLAGS, false, "flags"},    {NFTNL_SET_DATA_TYPE, false, "data"},
		{NFTNL_SET_DATA_LEN, false, "of"},    {NFTNL_SET_OBJ_TYPE, false, "object"},
		{NFTNL_SET_DESC_SIZE, false, "size"}, {NFTNL_SET_POLICY, false, "policy"},
		{NFTNL_SET_GC_INTERVAL, false, "gc"}, {NFTNL_SET_TIMEOUT, true, "timeout"},
	};
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		uint64_t value;

		if (!nftnl_set_is_set(set, facts[i].attribute))
			continue;
		value = facts[i].wide ? nftnl_set_get_u64(set, facts[i].attribute)
				      : nftnl_set_get_u32(set, facts[i].attribute);
		len += (size_t)snprintf(ret + len, FIREWALL_BODY_MAX - len, "%s%s %" PRIu64,
					len ? " " : "", facts[i].name, value);
	}
}

struct body {
	char *text;
	size_t len;
	bool cut;
};

static void body_add(struct body *b, const char *text)
{
	size_t len = strlen(text);

	b->cut = b->cut || len >= FIREWALL_BODY_MAX - b->len;
	if (b->cut)
		return;
	memcpy(b->text + b->len, text, len + 1);
	b->len += len;
}

static int expression_describe(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	struct body *b = arg;
	char text[FIREWALL_BODY_MAX];
	int n = 0;

	body_add(b, b->len ? " [ " : "[ ");
	body_add(b, name);
	text[0] = '\0';
	if (strcmp(name, "counter") != 0) /* it counts */
		n = nftnl_expr_snprintf(text, sizeof text, e, NFTNL_OUTPUT_DEFAULT, 0);
	b->cut = b->cut || n < 0 || (size_t)n >= sizeof text;
	if (text[0]) {
		body_add(b, " ");
		body_add(b, text);
	}
	while (b->len > 0 && b->text[b->len - 1] == ' ')
		b->text[--b->len] = '\0';
	body_add(b, " ]");
	return 0;
}

static int comment_find(const struct nftnl_udata *attribute, void *arg)
{
	uint8_t len = nftnl_udata_len(attribute);
	const char *text = nftnl_udata_get(attribute);
	const char **ret_comment = arg;

	if (nftnl_udata_type(attribute) == NFTNL_UDATA_RULE_COMMENT && len > 0 &&
	    text[len - 1] == '\0')
		*ret_comment = text;
	return 0;
}

bool firewall_rule_describe(struct nftnl_rule *rule, char ret[FIREWALL_BODY_MAX])
{
	struct body b = {.text = ret};
	const char *comment = NULL;
	const void *data;
	uint32_t len = 0;

	ret[0] = '\0';
	(void)nftnl_expr_foreach(rule, expression_describe, &b);
	data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);
	if (data && nftnl_udata_parse(data, len, comment_find, &comment) >= 0 && comment) {
		body_add(&b, " (");
		body_add(&b, comment);
		body_add(&b, ")");
	}
	return !b.cut;
}

void firewall_key_format(const uint8_t *key, size_t len, uint32_t type, char ret[FIREWALL_KEY_TEXT])
{
	ret[0] = '\0';
	if (type == TYPE_IPV4 && len == 4) {
		(void)inet_ntop(AF_INET, key, ret, FIREWALL_KEY_TEXT);
	} else if (type == TYPE_IPV6 && len == 16) {
		(void)inet_ntop(AF_INET6, key, ret, FIREWALL_KEY_TEXT);
	} else if (type == TYPE_SERVICE && len == 2) {
		(void)snprintf(ret, FIREWALL_KEY_TEXT, "%u", key[0] * 256U + key[1]);
	} else {
		for (size_t i = 0; i < MIN(len, (size_t)FIREWALL_KEY_MAX); i++)
			(void)snprintf(ret + 2 * i, 3, "%02x", key[i]);
	}
}
