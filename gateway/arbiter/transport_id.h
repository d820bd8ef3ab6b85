/* iSCSI TransportIDs, SPC-4 section 7.6.4: which initiator port an octet string names, and the
 * other way round. What is read comes from an initiator. */
#pragma once

#include "gateway/base/bytes.h"
#include "gateway/base/iscsi_name.h"

#define TRANSPORT_ID_MAX (4 + ((ISCSI_NAME_MAX + 17 + 1 + 3) & ~3)) /* octets */

struct initiator_port {
	char name[ISCSI_NAME_SIZE]; /* in small letters */
	uint8_t isid[6];
	bool every_isid; /* format 00b names the initiator, with all of its ports */
};

/* The next one of a list. -EPROTO: it is none; then r->p is at what is wrong. */
int transport_id_read(struct rd *r, struct initiator_port *ret_port) MUST_CHECK;
void transport_id_write(struct wr *w, const char *name, const uint8_t isid[6]);
