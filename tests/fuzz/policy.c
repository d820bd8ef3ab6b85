/* The policy compiler over any octets: no crash, no leak, and what is taken can be decided on and
 * becomes a firewall script. */
#include "policy/firewall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decide(const struct policy *p)
{
	struct claim claim = {.from = {.version = 4, .bytes = {10, 9, 0, 7}},
			      .portal = SIZE_MAX,
			      .initiator = "iqn.1994-05.com.redhat:client",
			      .target = "iqn.2026-11.net.example.gw:vault",
			      .write = true};
	struct decision d;

	policy_decide(p, &claim, &d);
	free(firewall_script(p, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *quiet;
	struct policy_options options = {.json = size > 0 && data[size - 1] == ' '};
	struct policy *p = NULL;

	if (!quiet && !(quiet = fopen("/dev/null", "we")))
		abort();
	options.messages = quiet;
	if (policy_parse("policy.yaml", (const char *)data, size, &options, &p) == 0)
		decide(p);
	policy_free(p);
	return 0;
}
