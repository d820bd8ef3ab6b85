/* Arbitrary bytes as the kernel's news of changes, and as names of chains that somebody added: the
 * words about them are bounded and printable. */
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include "policy/firewall_live.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void words_check(const char *words, size_t size)
{
	assert(strnlen(words, size) < size);
	for (; *words; words++)
		assert((uint8_t)*words >= ' ' && *words != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static _Alignas(8) char message[8192], packet[8192];
	struct firewall_reading *none = firewall_reading_new(), *r = firewall_reading_new();
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(message, NFT_MSG_NEWCHAIN, 1, 0, 0);
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct firewall_events events = {0};
	struct firewall_changes changes;

	memcpy(packet, bytes, size = MIN(size, (size_t)4096));
	packet[size] = '\0';
	firewall_events_take(&events, packet, size);
	words_check(events.by, sizeof events.by);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, firewall_tables[0]);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, packet);
	nftnl_chain_nlmsg_build_payload(h, c);
	nftnl_chain_free(c);
	assert(firewall_reading_take(r, h) == 0 && firewall_reading_end(r) == 0);
	(void)firewall_reading_same(none, r, &changes);
	words_check(changes.words, sizeof changes.words);
	firewall_reading_free(none);
	firewall_reading_free(r);
	return 0;
}
