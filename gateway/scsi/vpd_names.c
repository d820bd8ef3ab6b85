/* The names that a unit, its target and its target port have: device identification (83h)
 * and SCSI ports (88h), SPC-4 section 7.8. Runs in the session. The names come
 * from the grant, so they are trusted. */
#include "gateway/scsi/vpd.h"
#include <stdio.h>

#define PROTOCOL_ISCSI	 0x5
#define TARGET_NAME_ROOM (ISCSI_NAME_SIZE + 16)

enum code_set { CODE_BINARY = 1, CODE_ASCII = 2, CODE_UTF8 = 3 };
enum association { OF_UNIT = 0, OF_PORT = 1, OF_DEVICE = 2 };
enum designator { T10_VENDOR = 1, NAA = 3, RELATIVE_PORT = 4, PORT_GROUP = 5, SCSI_NAME = 8 };

static void designator(struct wr *w, enum code_set code, enum association association,
		       enum designator type, size_t len)
{
	bool of_transport = association != OF_UNIT;

	wr_be(w, 1, (of_transport ? PROTOCOL_ISCSI << 4 : 0) | (unsigned)code);
	wr_be(w, 1, (of_transport ? 0x80u : 0) | (unsigned)association << 4 | (unsigned)type);
	wr_be(w, 1, 0);
	wr_be(w, 1, len);
}

/* A SCSI name string ends with NUL and is padded to 4 octets. */
static void name_string(struct wr *w, enum association association, const char *name)
{
	size_t len = strlen(name), padded = (len + 4) & ~(size_t)3;

	designator(w, CODE_UTF8, association, SCSI_NAME, padded);
	wr_bytes(w, name, len);
	wr_zero(w, padded - len);
}

static void port_name(const struct scsi_nexus *n, uint16_t portal_group, struct wr *w)
{
	char port[TARGET_NAME_ROOM];

	(void)snprintf(port, sizeof port, "%s,t,0x%04x", n->target, (unsigned)portal_group);
	name_string(w, OF_PORT, port);
}

static void port_number(struct wr *w, enum designator type, uint16_t number)
{
	designator(w, CODE_BINARY, OF_PORT, type, 4);
	wr_be(w, 4, number);
}

void vpd_identification(const struct scsi_task *task, struct wr *w)
{
	const struct scsi_nexus *n = task->nexus;
	size_t serial_len = strlen(task->unit->serial);

	designator(w, CODE_BINARY, OF_UNIT, NAA, task->unit->naa_len);
	wr_bytes(w, task->unit->naa, task->unit->naa_len);
	designator(w, CODE_ASCII, OF_UNIT, T10_VENDOR, VENDOR_WIDTH + serial_len);
	vpd_vendor(task->unit, w);
	wr_bytes(w, task->unit->serial, serial_len);
	port_name(n, n->portal_group, w);
	port_number(w, RELATIVE_PORT, n->relative_port);
	port_number(w, PORT_GROUP, n->portal_group);
	name_string(w, OF_DEVICE, n->target);
}

/* The ports that REPORT TARGET PORT GROUPS tells. Initiator ports are not told. */
void vpd_ports(const struct scsi_task *task, struct wr *w)
{
	const struct scsi_nexus *n = task->nexus;
	size_t length_at;

	for (unsigned k = 0; k < n->group_count; k++) {
		wr_zero(w, 2);
		wr_be(w, 2, n->groups[k].tag);
		wr_zero(w, 4); /* the initiator port's TransportID: of length 0 */
		wr_zero(w, 2);
		length_at = wr_len(w);
		wr_be(w, 2, 0);
		port_name(n, n->groups[k].tag, w);
		put_be(w->start + length_at, 2, wr_len(w) - length_at - 2);
	}
}
