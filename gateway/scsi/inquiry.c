/* INQUIRY, SPC-4: what the unit is, and its vital product data. Runs in the session. Says
 * nothing that is not so: what is not built (third-party copy, protection) is
 * not claimed. Names come from the grant, so they are trusted. */
#include "gateway/scsi/rules.h"
#include "gateway/scsi/sense.h"
#include <stdio.h>

#define EVPD 0x01
/* "No peripheral device of any type is here": qualifier 011b, type 1Fh. */
#define NO_DEVICE 0x7f

#define VENDOR	 "SALLYPRT"
#define PRODUCT	 "SALLYPORT DISK  "
#define REVISION "0001"

#define STANDARD_LENGTH	 96
#define LIMITS_LENGTH	 60 /* B0h and B1h, after the header */
#define PHYSICAL_BLOCK	 4096
#define NON_ROTATING	 1
#define UGAVALID	 0x80000000u
#define LBPU		 0x80 /* UNMAP */
#define LBPWS		 0x40 /* WRITE SAME(16) with UNMAP */
#define LBPWS10		 0x20
#define LBPRZ		 0x04 /* zeroes are read where nothing is */
#define PROVISIONED_THIN 0x02
#define WSNZ		 0x01 /* WRITE SAME of 0 blocks is refused */
#define PROTOCOL_ISCSI	 0x5
#define TARGET_NAME_ROOM (ISCSI_NAME_SIZE + 16)

/* SPC-4 annex on version descriptors: SAM-5, iSCSI, SPC-4, SBC-3; none with a revision claimed. */
#define VERSION_ISCSI 0x0960
static const uint16_t versions[] = {0x00a0, VERSION_ISCSI, 0x0460, 0x04c0};

/* RFC 7144 section 4.2: that of iSCSI tells the protocol level of the session. */
static uint16_t version_told(const struct scsi_task *task, uint16_t version)
{
	return version == VERSION_ISCSI ? (uint16_t)(version + task->nexus->protocol_level)
					: version;
}

static void standard(const struct scsi_task *task, struct wr *w)
{
	static const uint8_t head[] = {
		0x00, /* no removable medium */
		0x06, /* SPC-4 */
		0x12, /* hierarchical LUN addresses; response data format 2 */
		STANDARD_LENGTH - 5,
		0x00,
		0x00,
		0x02, /* command queuing */
	};

	wr_be(w, 1, task->unit == NULL ? NO_DEVICE : 0);
	wr_bytes(w, head, sizeof head);
	wr_bytes(w, VENDOR, 8);
	wr_bytes(w, PRODUCT, 16);
	wr_bytes(w, REVISION, 4);
	wr_zero(w, 58 - wr_len(w));
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		wr_be(w, 2, version_told(task, versions[i]));
	wr_zero(w, STANDARD_LENGTH - wr_len(w));
}

static void serial(const struct scsi_task *task, struct wr *w)
{
	wr_bytes(w, task->unit->serial, strlen(task->unit->serial));
}

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

static void port_number(struct wr *w, enum designator type, uint16_t number)
{
	designator(w, CODE_BINARY, OF_PORT, type, 4);
	wr_be(w, 4, number);
}

static void identification(const struct scsi_task *task, struct wr *w)
{
	const struct scsi_nexus *n = task->nexus;
	size_t serial_len = strlen(task->unit->serial);
	char port[TARGET_NAME_ROOM];

	designator(w, CODE_BINARY, OF_UNIT, NAA, task->unit->naa_len);
	wr_bytes(w, task->unit->naa, task->unit->naa_len);
	designator(w, CODE_ASCII, OF_UNIT, T10_VENDOR, 8 + serial_len);
	wr_bytes(w, VENDOR, 8);
	wr_bytes(w, task->unit->serial, serial_len);
	(void)snprintf(port, sizeof port, "%s,t,0x%04x", n->target, (unsigned)n->portal_group);
	name_string(w, OF_PORT, port);
	port_number(w, RELATIVE_PORT, n->relative_port);
	port_number(w, PORT_GROUP, n->portal_group);
	name_string(w, OF_DEVICE, n->target);
}

/* SBC-3: block limits. Everything about atomic writes stays 0: not there. */
static void block_limits(const struct scsi_task *task, struct wr *w)
{
	uint32_t block = task->unit->block_size;
	bool thin = task->unit->thin && rules_offers_unmap(task->nexus);

	wr_be(w, 1, WSNZ);
	wr_zero(w, 1);
	wr_be(w, 2, MAX(PHYSICAL_BLOCK / block, 1));
	wr_be(w, 4, SCSI_TRANSFER_MAX / block);
	wr_zero(w, 4);
	wr_be(w, 4, SCSI_TRANSFER_MAX / block); /* MAXIMUM PREFETCH LENGTH */
	wr_be(w, 4, thin ? UNMAP_MAX_BLOCKS : 0);
	wr_be(w, 4, thin ? UNMAP_MAX_RANGES : 0);
	wr_be(w, 4, thin ? MAX(PHYSICAL_BLOCK / block, 1) : 0); /* OPTIMAL UNMAP GRANULARITY */
	wr_be(w, 4, thin ? UGAVALID : 0);
	wr_be(w, 8, WRITE_SAME_MAX_BLOCKS);
	wr_zero(w, LIMITS_LENGTH - 40);
}

static void characteristics(const struct scsi_task *task, struct wr *w)
{
	wr_be(w, 2, task->unit->rotational ? 0 : NON_ROTATING);
	wr_zero(w, LIMITS_LENGTH - 2);
}

/* How room is given back, as far as this nexus may. */
static unsigned ways_to_unmap(const struct scsi_nexus *n)
{
	if (!rules_offers_unmap(n))
		return 0;
	return LBPU | (rules_offers_code(n, 0x93, -1) ? LBPWS : 0) |
	       (rules_offers_code(n, 0x41, -1) ? LBPWS10 : 0);
}

/* No threshold, no anchor. */
static void provisioning(const struct scsi_task *task, struct wr *w)
{
	bool thin = task->unit->thin;

	wr_zero(w, 1);
	wr_be(w, 1, thin ? ways_to_unmap(task->nexus) | LBPRZ : 0);
	wr_be(w, 1, thin ? PROVISIONED_THIN : 0);
	wr_zero(w, 1);
}

static void supported(const struct scsi_task *task, struct wr *w);

static const struct {
	uint8_t code;
	bool any_lun;
	void (*write)(const struct scsi_task *task, struct wr *w);
} pages[] = {
	{0x00, true, supported},     {0x80, false, serial},	     {0x83, false, identification},
	{0xb0, false, block_limits}, {0xb1, false, characteristics}, {0xb2, false, provisioning},
};

static bool has_page(const struct scsi_task *task, size_t i)
{
	return task->unit != NULL || pages[i].any_lun;
}

static void supported(const struct scsi_task *task, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (has_page(task, i))
			wr_be(w, 1, pages[i].code);
	}
}

static bool vital_product_data(struct scsi_task *task, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		uint8_t *head = w->p;

		if (pages[i].code != task->cdb[2] || !has_page(task, i))
			continue;
		wr_be(w, 1, task->unit == NULL ? NO_DEVICE : 0);
		wr_be(w, 1, pages[i].code);
		wr_be(w, 2, 0);
		pages[i].write(task, w);
		put_be(head + 2, 2, wr_len(w) - 4);
		return true;
	}
	sense_cdb_field(task, 2, 7);
	return false;
}

bool inquiry_reply(struct scsi_task *task, struct wr *w)
{
	if (task->cdb[1] & EVPD)
		return vital_product_data(task, w);
	if (task->cdb[2] != 0) { /* a page code means something with EVPD only */
		sense_cdb_field(task, 2, 7);
		return false;
	}
	standard(task, w);
	return true;
}
