/* The PDUs of RFC 7143 section 11 as numbers: opcodes, places in the Basic Header
 * Segment, flags, serial arithmetic, CRC32C. Pure functions; the bytes read are the
 * peer's, and nothing here believes their lengths. */
#pragma once

#include "gateway/base/bytes.h"
#include "gateway/iscsi/iscsi.h"

enum opcode {
	OP_NOP_OUT = 0x00,
	OP_SCSI_COMMAND = 0x01,
	OP_TMF = 0x02,
	OP_LOGIN = 0x03,
	OP_TEXT = 0x04,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT = 0x06,
	OP_SNACK = 0x10,
	OP_NOP_IN = 0x20,
	OP_SCSI_RESPONSE = 0x21,
	OP_TMF_RESPONSE = 0x22,
	OP_LOGIN_RESPONSE = 0x23,
	OP_TEXT_RESPONSE = 0x24,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RESPONSE = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC = 0x32,
	OP_REJECT = 0x3f,
};

/* Places in the header, in octets. What a place means depends on the opcode. */
enum bhs_place {
	BHS_LUN = 8,
	BHS_ISID = 8,
	BHS_TMF_INFO = 8, /* three octets: RFC 7144 section 6.4.1 */
	BHS_TSIH = 14,
	BHS_ITT = 16,
	BHS_TTT = 20,
	BHS_EDTL = 20,
	BHS_CID = 20,
	BHS_RTT = 20,	    /* Referenced Task Tag */
	BHS_SNACK_TAG = 20, /* SNACK, SCSI Response */
	BHS_CMDSN = 24,
	BHS_STATSN = 24,
	BHS_EXPSTATSN = 28,
	BHS_EXPCMDSN = 28,
	BHS_CDB = 32,
	BHS_MAXCMDSN = 32,
	BHS_REFCMDSN = 32,
	BHS_DATASN = 36,
	BHS_LOGIN_STATUS = 36,
	BHS_OFFSET = 40,
	BHS_BEGRUN = 40, /* SNACK */
	BHS_RESIDUAL = 44,
	BHS_LENGTH = 44,    /* R2T: Desired Data Transfer Length */
	BHS_RUNLENGTH = 44, /* SNACK */
};

#define OPCODE_MASK	 0x3f
#define OPCODE_IMMEDIATE 0x40
#define FLAG_FINAL	 0x80
#define FLAG_CONTINUE	 0x40 /* Text, Login */
#define FLAG_READ	 0x40 /* SCSI Command */
#define FLAG_WRITE	 0x20
#define FLAG_OVERFLOW	 0x04 /* SCSI Response, Data-In */
#define FLAG_UNDERFLOW	 0x02
#define FLAG_STATUS	 0x01 /* Data-In */

#define TAG_NONE 0xffffffffu

/* RFC 7143 section 11.17.1 */
enum reject_reason {
	REJECT_INVALID,
	REJECT_DATA_DIGEST = 0x02,
	REJECT_SNACK = 0x03,
	REJECT_PROTOCOL = 0x04,
	REJECT_NOT_SUPPORTED = 0x05,
	REJECT_IMMEDIATE = 0x06,
	REJECT_DATA_ACK = 0x08,
	REJECT_INVALID_FIELD = 0x09,
	REJECT_RESOURCES = 0x0a,
};

#define AHS_MAX (255u * 4u)

/* A received PDU: its header, decoded where all opcodes agree. */
struct pdu {
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint8_t opcode, flags;
	bool immediate, final;
	size_t ahs_len;	 /* octets */
	size_t data_len; /* without padding */
	uint32_t itt, cmdsn;
	const uint8_t *ahs; /* ahs_len octets, while the PDU is looked at */
	uint8_t *data;	    /* data_len octets; not for data that went into a task */
};

void pdu_decode(const uint8_t bhs[ISCSI_BHS_SIZE], struct pdu *ret_pdu);
uint32_t pdu_u32(const struct pdu *pdu, enum bhs_place at);
uint16_t pdu_u16(const struct pdu *pdu, enum bhs_place at);
/* A header of ours: opcode, flags (byte 1), task tag; everything else is zero. */
void bhs_start(uint8_t bhs[ISCSI_BHS_SIZE], enum opcode opcode, uint8_t flags, uint32_t itt);
void bhs_u32(uint8_t bhs[ISCSI_BHS_SIZE], enum bhs_place at, uint32_t value);
void bhs_data_len(uint8_t bhs[ISCSI_BHS_SIZE], size_t len);
size_t pdu_padding(size_t len); /* 0 to 3 octets to a multiple of four */

/* Serial numbers, RFC 1982: "before" within half of the circle. */
bool serial_before(uint32_t a, uint32_t b);
bool serial_at_most(uint32_t a, uint32_t b);

/* CRC32C as iSCSI sends it: begin, feed, then four octets to put on the wire. */
#define CRC_START 0xffffffffu
uint32_t crc_feed(uint32_t crc, const uint8_t *bytes, size_t len);
void crc_wire(uint32_t crc, uint8_t ret_octets[4]);
