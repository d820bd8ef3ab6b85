/* The certificates of a policy as facts: by name and by what was in the files, so that a file that
 * was replaced is a difference. Runs in the monitor and the command line, on what the compiler has
 * checked. */
#include "policy/facts.h"

static void write_part(struct text *t, const char *path, const struct tls_part *part)
{
	static const struct tls_part unread;

	text_add(t, "%s", path ? path : "the gateway's own");
	if (tls_part_is_same(part, &unread))
		return;
	text_add(t, " (");
	for (size_t k = 0; k < 8; k++)
		text_add(t, "%02x", part->hash[k]);
	text_add(t, ")");
}

void portal_certificate(struct text *t, const struct side *s)
{
	if (s->portal->tls)
		write_part(t, s->portal->tls->certificate, &s->portal->tls->chain);
}

void portal_key(struct text *t, const struct side *s)
{
	const struct policy_tls *tls = s->portal->tls;

	if (tls && tls->key && tls->certificate && strcmp(tls->key, tls->certificate) != 0)
		text_add(t, "%s", tls->key);
}

void portal_client_ca(struct text *t, const struct side *s)
{
	if (s->portal->tls)
		write_part(t, s->portal->tls->client_ca, &s->portal->tls->authorities);
}

void portal_crl(struct text *t, const struct side *s)
{
	const struct policy_tls *tls = s->portal->tls;
	struct text_list list = {0};

	for (size_t k = 0; tls && k < tls->crl_count; k++)
		text_list_add(&list, "%s", tls->crls[k]);
	text_list_join(&list, t);
	if (tls && tls->revocations.count > 0)
		write_part(t, "", &tls->revocations);
}

void portal_tls12(struct text *t, const struct side *s)
{
	if (s->portal->tls)
		text_add(t, "%s", s->portal->tls->allow_tls12 ? "true" : "false");
}

void initiator_certificate(struct text *t, const struct side *s)
{
	char text[TLS_FINGERPRINT_TEXT];

	if (s->initiator->pinned)
		text_add(t, "%s", tls_fingerprint_text(s->initiator->pin, text));
}
