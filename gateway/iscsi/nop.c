/* NOP-Out: pings of the initiator, and its answers to ours; RFC 7143 sections 11.18
 * and 11.19. Runs in the session process. */
#include "gateway/iscsi/core.h"

void nop_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	size_t len = MIN(pdu->data_len, c->peer_segment);
	struct misc *m;

	(void)digest_ok; /* numbered rows see intact PDUs only */
	if (!pdu->final || (pdu->itt == TAG_NONE && !pdu->immediate) ||
	    (pdu->itt != TAG_NONE && pdu_u32(pdu, BHS_TTT) != TAG_NONE)) {
		reject(c, pdu, REJECT_PROTOCOL);
		return;
	}
	/* An answer to our ping, or nothing but a StatSN: that octets came was noted already. */
	if (pdu->itt == TAG_NONE) {
		fence_answered(c);
		return;
	}
	m = tx_misc(c, OP_NOP_IN, pdu->itt);
	if (!m)
		return;
	m->counts = true;
	bhs_u32(m->bhs, BHS_TTT, TAG_NONE);
	if (tx_misc_data(c, m, pdu->data, len))
		tx_queue(c, &m->job);
}
