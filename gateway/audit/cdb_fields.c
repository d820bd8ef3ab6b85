/* Which fields a CDB has, by table: SPC-4 and SBC-3, sections 5 and 6. The CDB was a peer's;
 * nothing beyond its length is read. */
#include "gateway/audit/cdb_fields.h"

/* Where a field begins: octet and bit, counted as the standards do (7 is the first one sent). */
#define AT(octet, bit) ((octet)*8 + 7 - (bit))

struct cdb_field {
	const char *name;
	uint16_t at; /* bits from the first one */
	uint8_t width;
};

#define LBA(octet, width)                                    \
	{                                                    \
		"LOGICAL BLOCK ADDRESS", AT(octet, 7), width \
	}
#define LENGTH(octet, width)                           \
	{                                              \
		"TRANSFER LENGTH", AT(octet, 7), width \
	}
#define BLOCKS(octet, width)                                    \
	{                                                       \
		"NUMBER OF LOGICAL BLOCKS", AT(octet, 7), width \
	}
#define LIST(octet, width)                                   \
	{                                                    \
		"PARAMETER LIST LENGTH", AT(octet, 7), width \
	}
#define ROOM(octet, width)                               \
	{                                                \
		"ALLOCATION LENGTH", AT(octet, 7), width \
	}
#define GROUP(octet)                            \
	{                                       \
		"GROUP NUMBER", AT(octet, 4), 5 \
	}
#define ACTION                                \
	{                                     \
		"SERVICE ACTION", AT(1, 4), 5 \
	}
#define DPO                        \
	{                          \
		"DPO", AT(1, 4), 1 \
	}
#define FUA                        \
	{                          \
		"FUA", AT(1, 3), 1 \
	}
#define READ_BITS                             \
	{"RDPROTECT", AT(1, 7), 3}, DPO, FUA, \
	{                                     \
		"RARC", AT(1, 2), 1           \
	}
#define WRITE_BITS {"WRPROTECT", AT(1, 7), 3}, DPO, FUA
#define VERIFY_BITS                      \
	{"VRPROTECT", AT(1, 7), 3}, DPO, \
	{                                \
		"BYTCHK", AT(1, 2), 2    \
	}
#define BOTH_BITS                        \
	{"WRPROTECT", AT(1, 7), 3}, DPO, \
	{                                \
		"BYTCHK", AT(1, 2), 2    \
	}
#define SAME_BITS                                            \
	{"WRPROTECT", AT(1, 7), 3}, {"ANCHOR", AT(1, 4), 1}, \
	{                                                    \
		"UNMAP", AT(1, 3), 1                         \
	}
#define SYNC_BITS                    \
	{                            \
		"IMMED", AT(1, 1), 1 \
	}
#define END                \
	{                  \
		NULL, 0, 0 \
	}

/* clang-format off */
static const struct row {
	uint8_t opcode;
	uint8_t len;
	struct cdb_field fields[9];
} rows[] = {
	{0x00, 6, {END}},
	{0x03, 6, {{"DESC", AT(1, 0), 1}, ROOM(4, 8), END}},
	{0x04, 6, {{"FMTPINFO", AT(1, 7), 2}, {"LONGLIST", AT(1, 5), 1}, {"FMTDATA", AT(1, 4), 1},
		   {"CMPLST", AT(1, 3), 1}, {"DEFECT LIST FORMAT", AT(1, 2), 3}, END}},
	{0x08, 6, {{"LOGICAL BLOCK ADDRESS", AT(1, 4), 21}, LENGTH(4, 8), END}},
	{0x0a, 6, {{"LOGICAL BLOCK ADDRESS", AT(1, 4), 21}, LENGTH(4, 8), END}},
	{0x12, 6, {{"EVPD", AT(1, 0), 1}, {"PAGE CODE", AT(2, 7), 8}, ROOM(3, 16), END}},
	{0x15, 6, {{"PF", AT(1, 4), 1}, {"SP", AT(1, 0), 1}, LIST(4, 8), END}},
	{0x16, 6, {END}},
	{0x17, 6, {END}},
	{0x1a, 6, {{"DBD", AT(1, 3), 1}, {"PC", AT(2, 7), 2}, {"PAGE CODE", AT(2, 5), 6},
		   {"SUBPAGE CODE", AT(3, 7), 8}, ROOM(4, 8), END}},
	{0x1b, 6, {{"IMMED", AT(1, 0), 1}, {"POWER CONDITION", AT(4, 7), 4},
		   {"NO_FLUSH", AT(4, 2), 1}, {"LOEJ", AT(4, 1), 1}, {"START", AT(4, 0), 1}, END}},
	{0x1e, 6, {{"PREVENT", AT(4, 1), 2}, END}},
	{0x25, 10, {END}},
	{0x28, 10, {READ_BITS, LBA(2, 32), GROUP(6), LENGTH(7, 16), END}},
	{0x2a, 10, {WRITE_BITS, LBA(2, 32), GROUP(6), LENGTH(7, 16), END}},
	{0x2e, 10, {BOTH_BITS, LBA(2, 32), GROUP(6), LENGTH(7, 16), END}},
	{0x2f, 10, {VERIFY_BITS, LBA(2, 32), GROUP(6), LENGTH(7, 16), END}},
	{0x34, 10, {SYNC_BITS, LBA(2, 32), GROUP(6), {"PREFETCH LENGTH", AT(7, 7), 16}, END}},
	{0x35, 10, {SYNC_BITS, LBA(2, 32), GROUP(6), BLOCKS(7, 16), END}},
	{0x41, 10, {SAME_BITS, LBA(2, 32), GROUP(6), BLOCKS(7, 16), END}},
	{0x42, 10, {{"ANCHOR", AT(1, 0), 1}, GROUP(6), LIST(7, 16), END}},
	{0x48, 10, {{"IMMED", AT(1, 7), 1}, {"ZNR", AT(1, 6), 1}, {"AUSE", AT(1, 5), 1}, ACTION,
		    LIST(7, 16), END}},
	{0x4d, 10, {{"SP", AT(1, 0), 1}, {"PC", AT(2, 7), 2}, {"PAGE CODE", AT(2, 5), 6},
		    {"SUBPAGE CODE", AT(3, 7), 8}, {"PARAMETER POINTER", AT(5, 7), 16},
		    ROOM(7, 16), END}},
	{0x55, 10, {{"PF", AT(1, 4), 1}, {"SP", AT(1, 0), 1}, LIST(7, 16), END}},
	{0x5a, 10, {{"LLBAA", AT(1, 4), 1}, {"DBD", AT(1, 3), 1}, {"PC", AT(2, 7), 2},
		    {"PAGE CODE", AT(2, 5), 6}, {"SUBPAGE CODE", AT(3, 7), 8}, ROOM(7, 16), END}},
	{0x5e, 10, {ACTION, ROOM(7, 16), END}},
	{0x5f, 10, {ACTION, {"SCOPE", AT(2, 7), 4}, {"TYPE", AT(2, 3), 4}, LIST(5, 32), END}},
	{0x83, 16, {ACTION, LIST(10, 32), END}},
	{0x84, 16, {ACTION, {"LIST IDENTIFIER", AT(2, 7), 32}, ROOM(10, 32), END}},
	{0x88, 16, {READ_BITS, LBA(2, 64), LENGTH(10, 32), GROUP(14), END}},
	{0x89, 16, {WRITE_BITS, LBA(2, 64), {"NUMBER OF LOGICAL BLOCKS", AT(13, 7), 8}, GROUP(14),
		    END}},
	{0x8a, 16, {WRITE_BITS, LBA(2, 64), LENGTH(10, 32), GROUP(14), END}},
	{0x8b, 16, {{"ORPROTECT", AT(1, 7), 3}, DPO, FUA, LBA(2, 64), LENGTH(10, 32), GROUP(14), END}},
	{0x8e, 16, {BOTH_BITS, LBA(2, 64), LENGTH(10, 32), GROUP(14), END}},
	{0x8f, 16, {VERIFY_BITS, LBA(2, 64), {"VERIFICATION LENGTH", AT(10, 7), 32}, GROUP(14), END}},
	{0x90, 16, {SYNC_BITS, LBA(2, 64), {"PREFETCH LENGTH", AT(10, 7), 32}, GROUP(14), END}},
	{0x91, 16, {SYNC_BITS, LBA(2, 64), BLOCKS(10, 32), GROUP(14), END}},
	{0x93, 16, {SAME_BITS, {"NDOB", AT(1, 0), 1}, LBA(2, 64), BLOCKS(10, 32), GROUP(14), END}},
	{0x9c, 16, {WRITE_BITS, LBA(2, 64), {"ATOMIC BOUNDARY", AT(10, 7), 16}, LENGTH(12, 16),
		    GROUP(14), END}},
	{0x9e, 16, {ACTION, LBA(2, 64), ROOM(10, 32), END}},
	{0xa0, 12, {{"SELECT REPORT", AT(2, 7), 8}, ROOM(6, 32), END}},
	{0xa3, 12, {ACTION, {"RCTD", AT(2, 7), 1}, {"REPORTING OPTIONS", AT(2, 2), 3},
		    {"REQUESTED OPERATION CODE", AT(3, 7), 8},
		    {"REQUESTED SERVICE ACTION", AT(4, 7), 16}, ROOM(6, 32), END}},
	{0xa4, 12, {ACTION, LIST(6, 32), END}},
	{0xa8, 12, {READ_BITS, LBA(2, 32), LENGTH(6, 32), GROUP(10), END}},
	{0xaa, 12, {WRITE_BITS, LBA(2, 32), LENGTH(6, 32), GROUP(10), END}},
	{0xae, 12, {BOTH_BITS, LBA(2, 32), LENGTH(6, 32), GROUP(10), END}},
	{0xaf, 12, {VERIFY_BITS, LBA(2, 32), {"VERIFICATION LENGTH", AT(6, 7), 32}, GROUP(10), END}},
};
/* clang-format on */

static uint64_t bits(const uint8_t *octets, unsigned at, unsigned width)
{
	uint64_t value = 0;

	for (; width > 0; at++, width--)
		value = value << 1 | ((uint32_t)octets[at / 8] >> (7 - at % 8) & 1);
	return value;
}

bool cdb_fields(const uint8_t *cdb, size_t len, cdb_teller tell, void *arg)
{
	for (size_t i = 0; len > 0 && i < ARRAY_LEN(rows); i++) {
		if (rows[i].opcode != cdb[0] || len < rows[i].len)
			continue;
		tell(arg, "OPERATION CODE", cdb[0]);
		for (const struct cdb_field *f = rows[i].fields; f->name; f++)
			tell(arg, f->name, bits(cdb, f->at, f->width));
		tell(arg, "CONTROL", cdb[rows[i].len - 1]);
		return true;
	}
	return false;
}
