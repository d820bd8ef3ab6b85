/* What a running gateway adds to an explanation: bans, a firewall that drifted. */
#pragma once

#include "gateway/cli/cli.h"
#include "policy/policy.h"

struct explain_notes {
	char notes[4][300];
	size_t note_count;
};

/* Asks the gateway in the state folder, when there is one. An address that is banned now is not let
 * through by the firewall, whatever the policy says: then the decision is refused there. */
void explain_running(const struct cli *cli, const struct policy *p, const struct claim *claim,
		     struct decision *d, struct explain_notes *ret_notes);
