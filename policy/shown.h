/* Certificates that were shown, by the policy: within its one decision. */
#pragma once

#include "policy/policy.h"

/* Is it the entry's? NULL (none was shown, where none is asked for) is. */
bool shown_fits(const struct policy_initiator *i, const struct claim_certificate *shown);
/* Why it is refused, one of the audit's words, with a sentence and the line that says it where that
 * is not the entry's; NULL: it is not. */
const char *shown_fault(const struct policy_portal *portal, const struct policy_initiator *i,
			const struct claim_certificate *shown, uint32_t *line, char ret_text[256]);
