/* A proxy's header from arbitrary octets: the same however it is cut into reads, bounded, and what
 * it says is a host. The first octet says how long reads are. */
#include "gateway/session/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum proxy_state take(const uint8_t *data, size_t len, size_t step, struct proxied *ret)
{
	struct proxy_header h = {0};
	enum proxy_state state = PROXY_MORE;
	const char *why = NULL;

	for (size_t at = 0; at < len && state == PROXY_MORE;) {
		uint8_t *to;
		size_t n = MIN(MIN(proxy_space(&h, &to), step), len - at);

		assert(n > 0 && to + n <= h.octets + sizeof h.octets);
		memcpy(to, data + at, n);
		at += n;
		state = proxy_took(&h, n, ret, &why);
	}
	assert(state == PROXY_MORE || state == PROXY_WHOLE || why != NULL);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proxied whole = {0}, cut = {0};

	if (len == 0)
		return 0;
	if (take(data + 1, len - 1, SIZE_MAX, &whole) == PROXY_WHOLE) {
		assert(take(data + 1, len - 1, 1 + data[0] % 64, &cut) == PROXY_WHOLE);
		assert(whole.local == cut.local && ip_equal(&whole.source.ip, &cut.source.ip));
		assert(whole.local || (ip_is_host(&whole.source.ip) && whole.source.port));
	}
	return 0;
}
