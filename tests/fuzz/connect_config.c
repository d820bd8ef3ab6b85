/* The file of `sallyport connect` over any octets: no crash, no leak, and what is taken is bounded,
 * and listens on nothing but loopback unless the file accepts the risk. */
#include "gateway/connect/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct connect_tunnel *t)
{
	if (t->listen_count == 0 || t->listen_count > CONNECT_LISTENS_MAX || t->port == 0 ||
	    !t->host[0] || !t->identity[0])
		abort();
	for (uint32_t k = 0; k < t->listen_count; k++)
		if (!t->accept_risk && !ip_is_loopback(&t->listen[k].ip))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct connect_config config;
	static FILE *quiet;

	if (!quiet && !(quiet = fopen("/dev/null", "we")))
		abort();
	if (connect_config_parse("connect.yaml", (const char *)data, size, quiet, &config) < 0)
		return 0;
	if (config.count == 0 || config.count > CONNECT_TUNNELS_MAX)
		abort();
	for (size_t k = 0; k < config.count; k++)
		judge(&config.tunnels[k]);
	return 0;
}
