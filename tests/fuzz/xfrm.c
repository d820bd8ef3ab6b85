/* What the kernel says of IPsec policies and states, cut into buffers in any way. However it is,
 * what has no policy of its own is not covered. */
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include "policy/xfrm.h"

#define SIZE	 4096
#define SEQUENCE 0

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_Alignas(struct nlmsghdr) static uint8_t bytes[SIZE];
	struct endpoint local, peer;
	struct xfrm_coverage c;
	size_t policies;
	int r;

	if (len < 1 || len - 1 > SIZE || endpoint_parse("10.8.0.1:3260", &local) < 0 ||
	    endpoint_parse("203.0.113.7:40000", &peer) < 0)
		return 0;
	policies = data[0] * (len - 1) / 255;
	xfrm_coverage_begin(&c, &local, &peer);
	memcpy(bytes, data + 1, policies);
	r = xfrm_policies_take(&c, bytes, policies, SEQUENCE);
	assert(r <= 1);
	memcpy(bytes, data + 1 + policies, len - 1 - policies);
	r = xfrm_states_take(&c, bytes, len - 1 - policies, SEQUENCE);
	assert(r <= 1);
	assert(xfrm_coverage_lacks(&c) ||
	       (c.ways[0].found && c.ways[0].alive && c.ways[1].found && c.ways[1].alive));
	return 0;
}
