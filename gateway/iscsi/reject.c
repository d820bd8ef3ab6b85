/* Reject, RFC 7143 section 11.17: the header of the PDU that was refused goes back.
 * Runs in the session process. Bounded: nothing is read while the pool of answers
 * is full. */
#include "gateway/iscsi/core.h"

void reject(struct iscsi_connection *c, const struct pdu *pdu, enum reject_reason reason)
{
	struct misc *m = tx_misc(c, OP_REJECT, TAG_NONE);

	c->rejected = true;
	if (!m)
		return;
	m->counts = true;
	m->bhs[2] = (uint8_t)reason;
	if (tx_misc_data(c, m, pdu->bhs, ISCSI_BHS_SIZE))
		tx_queue(c, &m->job);
}

/* What we know and don't offer, and what nobody knows. */
void unsupported_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	enum reject_reason reason = REJECT_NOT_SUPPORTED;

	if (!digest_ok)
		reason = REJECT_DATA_DIGEST;
	else if (pdu->opcode == OP_SNACK)
		reason = REJECT_SNACK;
	else if (pdu->opcode == OP_LOGIN) /* logged in already */
		reason = REJECT_PROTOCOL;
	reject(c, pdu, reason);
}
