/* Which blocks a record is about. Its CDB was a peer's and is in a file by now: hostile. */
#include "gateway/audit/reach.h"

#include "gateway/scsi/command_names.h"

enum {
	FORMAT_UNIT = 0x04,
	WRITE_SAME_10 = 0x41,
	SANITIZE = 0x48,
	VARIABLE_LENGTH = 0x7f,
	COPY_OUT = 0x83,
	WRITE_SAME_16 = 0x93,
};
#define UNMAP_BIT	  0x08 /* of WRITE SAME's octet 1 */
#define EXIT_FAILURE_MODE 0x1f /* SANITIZE: changes no block */
#define WRITE_SAME_32	  0x0d

static const char *const deed_names[DEEDS] = {"read", "write", "discard", "reserve", "other"};

const char *deed_name(unsigned bit)
{
	assert(bit < DEEDS);
	return deed_names[bit];
}

static uint32_t deeds_of(uint32_t touches)
{
	uint32_t deeds = 0;

	deeds |= touches & TOUCHES_READ ? DEED_READ : 0u;
	deeds |= touches & TOUCHES_WRITE ? DEED_WRITE : 0u;
	deeds |= touches & TOUCHES_DISCARD ? DEED_DISCARD : 0u;
	deeds |= touches & TOUCHES_RESERVATION ? DEED_RESERVE : 0u;
	return deeds ? deeds : DEED_OTHER;
}

/* By opcode and service action: looked up once each, not for each of millions of records. */
static uint32_t deeds_at(uint8_t opcode, uint8_t action)
{
	static uint8_t known[256][32];
	uint8_t *slot = &known[opcode][action & 0x1f];

	if (*slot == 0) {
		const struct command_name *name = command_name_at(opcode, action);

		if (name == NULL)
			name = command_name_at(opcode, -1);
		*slot = (uint8_t)(name ? deeds_of(name->touches) : (uint32_t)DEED_OTHER);
	}
	return *slot;
}

uint32_t opcode_deeds(uint8_t opcode)
{
	uint32_t all = opcode == VARIABLE_LENGTH ? DEED_OTHER : 0u;

	for (uint8_t action = 0; action < 32; action++)
		all |= deeds_at(opcode, action);
	return all;
}

static size_t cdb_size(const struct audit_record *r)
{
	return MIN((size_t)r->cdb_len, sizeof r->cdb);
}

static bool is_same(const struct audit_record *r, uint32_t action)
{
	return r->cdb[0] == WRITE_SAME_10 || r->cdb[0] == WRITE_SAME_16 ||
	       (r->cdb[0] == VARIABLE_LENGTH && action == WRITE_SAME_32);
}

static uint32_t deeds(const struct audit_record *r)
{
	uint32_t action = r->cdb[1] & 0x1fu;
	uint32_t all;

	if (cdb_size(r) < 2)
		return cdb_size(r) == 0 ? 0 : DEED_OTHER;
	if (r->cdb[0] == VARIABLE_LENGTH)
		action = cdb_size(r) < 10 ? UINT32_MAX : (uint32_t)r->cdb[8] << 8 | r->cdb[9];
	if (action > 0x1f) /* only of the variable length: none that is known */
		return DEED_OTHER;
	all = deeds_at(r->cdb[0], (uint8_t)action);
	if (is_same(r, action)) /* without the bit it is a write like others */
		return r->cdb[r->cdb[0] == VARIABLE_LENGTH ? 10 : 1] & UNMAP_BIT ? DEED_DISCARD
										 : DEED_WRITE;
	if (r->cdb[0] == COPY_OUT && (all & (DEED_READ | DEED_WRITE))) /* one end of a copy */
		return r->source || !(all & DEED_WRITE) ? DEED_READ : DEED_WRITE;
	return all;
}

static bool is_whole(const struct audit_record *r)
{
	return r->cdb[0] == FORMAT_UNIT ||
	       (r->cdb[0] == SANITIZE && (r->cdb[1] & 0x1f) != EXIT_FAILURE_MODE);
}

struct reach audit_reach(const struct audit_record *r)
{
	struct reach ret = {0};

	if (r->verdict == VERDICT_BUSY || r->kind > AUDIT_OUTCOME) /* not blocks */
		return ret;
	ret.deeds = deeds(r);
	if (!(ret.deeds & (DEED_READ | DEED_WRITE | DEED_DISCARD)))
		return ret;
	if (is_whole(r)) {
		ret.blocks = ret.whole = true;
		ret.last = UINT64_MAX;
	} else if (r->blocks > 0) {
		ret.blocks = true;
		ret.first = r->lba;
		ret.last = r->lba + (r->blocks - 1);
		if (ret.last < ret.first)
			ret.last = UINT64_MAX;
	}
	return ret;
}
