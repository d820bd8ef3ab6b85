/* Reject, RFC 7143 section 11.17: the header of the PDU that was refused goes back.
 * Runs in the session process. Bounded: nothing is read while the pool of answers
 * is full. */
#include "gateway/iscsi/core.h"

static void send_reject(struct iscsi_connection *c, const struct pdu *pdu,
			enum reject_reason reason, uint32_t next_sn)
{
	struct misc *m = tx_misc(c, OP_REJECT, TAG_NONE);

	c->rejected = true;
	if (!m)
		return;
	m->counts = true;
	m->bhs[2] = (uint8_t)reason;
	bhs_u32(m->bhs, BHS_DATASN, next_sn);
	if (tx_misc_data(c, m, pdu->bhs, ISCSI_BHS_SIZE))
		tx_queue(c, &m->job);
}

void reject(struct iscsi_connection *c, const struct pdu *pdu, enum reject_reason reason)
{
	send_reject(c, pdu, reason, 0);
}

/* A SNACK for what was not sent or is acknowledged: with the DataSN or R2TSN that would be next. */
void reject_run(struct iscsi_connection *c, const struct pdu *pdu, uint32_t next_sn)
{
	send_reject(c, pdu, REJECT_PROTOCOL, next_sn);
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
