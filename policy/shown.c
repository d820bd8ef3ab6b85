/* A client's certificate, as its session found it, by the policy: in whose name it is, by which TLS
 * it came, and whether the portal's CAs and CRLs, which may be newer than those that the session
 * had, still take it. Without I/O; what is said of it is the session's word, and adds to CHAP. */
#include "policy/shown.h"

#include <stdio.h>

#define TLS_1_2 0x0303

bool shown_fits(const struct policy_initiator *i, const struct claim_certificate *shown)
{
	if (!shown)
		return true;
	if (i->pinned)
		return memcmp(i->pin, shown->fingerprint, sizeof i->pin) == 0;
	for (size_t k = 0; k < shown->name_count && k < CLAIM_NAMES_MAX; k++)
		if (strcmp(shown->names[k], i->name) == 0)
			return true;
	return false;
}

static const char *links_text(const char *reason)
{
	if (strcmp(reason, "tls-revoked") == 0)
		return "is taken back by a CRL";
	return strcmp(reason, "tls-crl") == 0 ? "needs a CRL that is not there"
					      : "is of a CA that is not taken";
}

static const char *portal_fault(const struct policy_portal *portal,
				const struct claim_certificate *shown, char ret_text[256])
{
	const struct policy_tls *tls = portal->tls;
	const char *fault;

	if (shown->version == TLS_1_2 && !tls->allow_tls12) {
		(void)snprintf(ret_text, 256,
			       "it came by TLS 1.2, and the portal %s takes 1.3 alone",
			       portal->name);
		return "tls-version";
	}
	fault = tls_links_judge(shown->links, shown->link_count, &tls->authorities,
				&tls->revocations);
	if (fault)
		(void)snprintf(ret_text, 256,
			       "its certificate, or one that it rests on, %s on the portal %s",
			       links_text(fault), portal->name);
	return fault;
}

const char *shown_fault(const struct policy_portal *portal, const struct policy_initiator *i,
			const struct claim_certificate *shown, uint32_t *line, char ret_text[256])
{
	const char *fault = portal->tls ? portal_fault(portal, shown, ret_text) : NULL;

	if (fault) {
		*line = portal->line;
		return fault;
	}
	if (shown_fits(i, shown))
		return NULL;
	if (i->pinned) {
		(void)snprintf(ret_text, 256, "its certificate is not the one that is pinned");
		return "certificate-is-not-the-pinned-one";
	}
	(void)snprintf(ret_text, 256, "its certificate is another's: it has no URI iscsi:%.190s",
		       i->name);
	return "certificate-is-of-another-name";
}
