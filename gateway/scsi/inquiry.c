/* INQUIRY, SPC-4: the standard data, and the way to the vital product data. Runs in the
 * session. Says nothing that is not so: what this nexus is not offered is not
 * claimed. A LUN that is not granted is answered as if no device were there. */
#include "gateway/scsi/sense.h"
#include "gateway/scsi/vpd.h"

#define EVPD 0x01

#define PRODUCT	 "SALLYPORT DISK"
#define REVISION "0001"

#define PRODUCT_WIDTH	16
#define STANDARD_LENGTH 96
#define VERSIONS_AT	58

enum {
	REMOVABLE = 0x80,	  /* RMB */
	SPC_4 = 0x06,		  /* of VERSION */
	HIERARCHICAL_LUNS = 0x10, /* HISUP */
	DATA_FORMAT = 0x02,	  /* the one that there is since SCSI-2 */
	IMPLICIT_ALUA = 0x10,	  /* TPGS: states are told, and may change … */
	EXPLICIT_ALUA = 0x20,	  /* … and this initiator may set them */
	THIRD_PARTY_COPY = 0x08,
	COMMAND_QUEUE = 0x02,
};

/* SPC-5's table of version descriptors: SAM-5, iSCSI, SPC-4 and 5, SBC-3 and 4; none with a
 * revision claimed, in the order that the standard recommends. */
#define VERSION_ISCSI 0x0960
static const uint16_t versions[] = {0x00a0, VERSION_ISCSI, 0x0460, 0x05c0, 0x04c0, 0x0600};

/* RFC 7144 section 4.2: that of iSCSI tells the protocol level of the session. */
static uint16_t version_told(const struct scsi_task *task, uint16_t version)
{
	return version == VERSION_ISCSI ? (uint16_t)(version + task->nexus->protocol_level)
					: version;
}

/* Octet 5: what this unit has more than one of, or none. */
static uint8_t abilities(const struct scsi_task *task)
{
	if (task->unit == NULL)
		return 0;
	return (command_offers(task, 0xa3, 0x0a) ? IMPLICIT_ALUA : 0) |
	       (command_offers(task, 0xa4, 0x0a) ? EXPLICIT_ALUA : 0) |
	       (command_offers(task, 0x83, 0x00) ? THIRD_PARTY_COPY : 0);
}

static void standard(const struct scsi_task *task, struct wr *w)
{
	const struct scsi_lun *unit = task->unit;

	wr_be(w, 1, vpd_device_type(task));
	wr_be(w, 1, unit != NULL && unit->removable ? REMOVABLE : 0);
	wr_be(w, 1, SPC_4);
	wr_be(w, 1, HIERARCHICAL_LUNS | DATA_FORMAT);
	wr_be(w, 1, STANDARD_LENGTH - 5);
	wr_be(w, 1, abilities(task));
	wr_be(w, 1, 0);
	wr_be(w, 1, COMMAND_QUEUE);
	vpd_vendor(unit, w);
	vpd_text(w, PRODUCT_WIDTH, PRODUCT, unit == NULL ? NULL : unit->product);
	wr_bytes(w, REVISION, 4);
	wr_zero(w, VERSIONS_AT - wr_len(w));
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		wr_be(w, 2, version_told(task, versions[i]));
	wr_zero(w, STANDARD_LENGTH - wr_len(w));
}

bool inquiry_reply(struct scsi_task *task, struct wr *w)
{
	if (task->cdb[1] & EVPD)
		return vpd_reply(task, w);
	if (task->cdb[2] != 0) { /* a page code means something with EVPD only */
		sense_cdb_field(task, 2, 7);
		return false;
	}
	standard(task, w);
	return true;
}
