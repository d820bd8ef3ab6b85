/* REPORT SUPPORTED OPERATION CODES, SPC-4: the command table as the initiator may read it,
 * and what of it this nexus is offered. Runs in the session. The opcode and action asked for are
 * compared, never used as an index. */
#include "gateway/scsi/rules.h"
#include "gateway/scsi/sense.h"

enum { REPORT_ALL = 0, REPORT_OPCODE = 1, REPORT_ACTION = 2, REPORT_EITHER = 3 };
enum { SUPPORT_NOT = 1, SUPPORT_STANDARD = 3 };

enum { OP_WRITE_SAME_10 = 0x41, OP_UNMAP = 0x42, OP_WRITE_SAME_16 = 0x93 };
#define UNMAP_BIT 0x08 /* of WRITE SAME, octet 1 */

#define RCTD		  0x80
#define CTDP_OF_LIST	  0x02
#define SERVACTV	  0x01
#define CTDP_OF_ONE	  0x80
#define TIMEOUTS_LENGTH	  10
#define REPORTING_OPTIONS 0x07

/* In seconds: after which it is worth while to ask how far a command is, and after which it is
 * lost. A helper process that is away, or a session that has to be ended, take some of it. */
static const struct timeouts {
	uint8_t opcode;
	uint32_t nominal, recommended;
} long_ones[] = {
	{0x04, 60, 86400}, /* FORMAT UNIT */
	{0x35, 5, 300},	   /* SYNCHRONIZE CACHE (10) */
	{0x41, 5, 300},	   /* WRITE SAME (10) */
	{0x42, 5, 300},	   /* UNMAP */
	{0x48, 60, 86400}, /* SANITIZE */
	{0x83, 60, 600},   /* EXTENDED COPY, POPULATE TOKEN, WRITE USING TOKEN */
	{0x91, 5, 300},	   /* SYNCHRONIZE CACHE (16) */
	{0x93, 5, 300},	   /* WRITE SAME (16) */
};
#define NOMINAL_S	     1
#define RECOMMENDED_MEDIUM_S 60
#define RECOMMENDED_S	     30

static struct timeouts timeouts_of(const struct scsi_command *c)
{
	bool medium = (c->touches & (TOUCHES_READ | TOUCHES_WRITE | TOUCHES_DISCARD)) != 0;

	for (size_t i = 0; i < ARRAY_LEN(long_ones); i++) {
		if (long_ones[i].opcode == c->opcode)
			return long_ones[i];
	}
	return (struct timeouts){c->opcode, NOMINAL_S,
				 medium ? RECOMMENDED_MEDIUM_S : RECOMMENDED_S};
}

static void write_timeouts(struct wr *w, const struct scsi_command *c)
{
	struct timeouts t = timeouts_of(c);

	wr_be(w, 2, TIMEOUTS_LENGTH);
	wr_zero(w, 2);
	wr_be(w, 4, t.nominal);
	wr_be(w, 4, t.recommended);
}

bool command_is_offered(const struct scsi_task *task, const struct scsi_command *command)
{
	return rules_offers(task->nexus, command) &&
	       (!command->thin || (task->unit != NULL && task->unit->thin));
}

bool command_offers(const struct scsi_task *task, uint8_t opcode, uint16_t action)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	for (size_t i = 0; i < count; i++) {
		if (table[i].opcode == opcode &&
		    (table[i].service_action < 0 || table[i].service_action == action))
			return command_is_offered(task, &table[i]);
	}
	return false;
}

static void write_all(const struct scsi_task *task, struct wr *w, bool timeouts)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	wr_be(w, 4, 0);
	for (size_t i = 0; i < count; i++) {
		bool action = table[i].service_action >= 0;

		if (!command_is_offered(task, &table[i]))
			continue;
		wr_be(w, 1, table[i].opcode);
		wr_be(w, 1, 0);
		wr_be(w, 2, action ? (uint64_t)table[i].service_action : 0);
		wr_be(w, 1, 0);
		wr_be(w, 1, (timeouts ? CTDP_OF_LIST : 0) | (action ? SERVACTV : 0));
		wr_be(w, 2, table[i].cdb_len);
		if (timeouts)
			write_timeouts(w, &table[i]);
	}
	put_be(w->start, 4, wr_len(w) - 4);
}

/* The bits that this unit evaluates for this nexus; a service action stands there itself. */
static void write_usage(const struct scsi_task *task, struct wr *w, const struct scsi_command *c)
{
	uint8_t usage[CDB_MAX];

	memcpy(usage, c->usage, sizeof usage);
	if (c->service_action >= 0)
		usage[1] = (uint8_t)((usage[1] & ~0x1f) | c->service_action);
	if ((c->opcode == OP_WRITE_SAME_10 || c->opcode == OP_WRITE_SAME_16) &&
	    !command_offers(task, OP_UNMAP, 0))
		usage[1] &= (uint8_t)~UNMAP_BIT;
	wr_bytes(w, usage, c->cdb_len);
}

static void write_one(const struct scsi_task *task, struct wr *w, const struct scsi_command *c,
		      bool timeouts)
{
	wr_be(w, 1, 0);
	if (c == NULL) {
		wr_be(w, 1, SUPPORT_NOT);
		wr_be(w, 2, 0);
		return;
	}
	wr_be(w, 1, (timeouts ? CTDP_OF_ONE : 0) | SUPPORT_STANDARD);
	wr_be(w, 2, c->cdb_len);
	write_usage(task, w, c);
	if (timeouts)
		write_timeouts(w, c);
}

static const struct scsi_command *find(const struct scsi_task *task, uint16_t action,
				       bool *ret_has_actions)
{
	size_t count;
	const struct scsi_command *table = commands(&count), *found = NULL;

	*ret_has_actions = false;
	for (size_t i = 0; i < count; i++) {
		if (table[i].opcode != task->cdb[3] || !command_is_offered(task, &table[i]))
			continue;
		if (table[i].service_action >= 0)
			*ret_has_actions = true;
		if (table[i].service_action < 0 || table[i].service_action == action)
			found = &table[i];
	}
	return found;
}

bool report_opcodes_reply(struct scsi_task *task, struct wr *w)
{
	unsigned option = task->cdb[2] & REPORTING_OPTIONS;
	uint16_t action = (uint16_t)get_be(task->cdb + 4, 2);
	bool timeouts = (task->cdb[2] & RCTD) != 0, has_actions;
	const struct scsi_command *c;

	if (option > REPORT_EITHER) {
		sense_cdb_field(task, 2, 2);
		return false;
	}
	if (option == REPORT_ALL) {
		write_all(task, w, timeouts);
		return true;
	}
	c = find(task, action, &has_actions);
	if ((option == REPORT_OPCODE && has_actions) ||
	    (option == REPORT_ACTION && c != NULL && !has_actions)) {
		sense_cdb_field(task, 2, 2);
		return false;
	}
	if (option == REPORT_EITHER && c != NULL && !has_actions && action != 0)
		c = NULL;
	write_one(task, w, c, timeouts);
	return true;
}
