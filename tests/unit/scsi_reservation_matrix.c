/* Every reservation type, for every command that has a name, for a holder, a registrant and a
 * stranger. What is expected is written as SPC-4 and SBC-3 print their tables, with SPC-2's column
 * for RESERVE, and not taken from the code. */
#include "tests/unit/reservation_peers.h"
#include "gateway/scsi/reservation_rules.h"

/* The columns, 'a' for allowed, 'C' for conflict: reserved with RESERVE by another; write exclusive
 * of another; exclusive access of another; shared by registrants, from one of them; the same, write
 * exclusive, from who is not; the same, exclusive access. */
enum { BY_RESERVE, WE, EA, REGISTRANT, WE_STRANGER, EA_STRANGER };

#define ALL_ALLOWED "aaaaaa"
#define READS	    "CaCaaC"
#define WRITES	    "CCCaCC"

static const struct {
	const char *name; /* as a policy has it */
	uint8_t octet_4;
	const char *columns;
} table[] = {
	/* clang-format off */
	{"test-unit-ready", 0, "Caaaaa"},
	{"rezero-unit", 0, WRITES},
	{"request-sense", 0, ALL_ALLOWED},
	{"format-unit", 0, WRITES},
	{"reassign-blocks", 0, WRITES},
	{"read-6", 0, READS},
	{"write-6", 0, WRITES},
	{"seek-6", 0, WRITES},
	{"inquiry", 0, ALL_ALLOWED},
	{"mode-select-6", 0, WRITES},
	{"reserve-6", 0, ALL_ALLOWED}, /* the arbiter's: tested where it decides */
	{"release-6", 0, ALL_ALLOWED},
	{"mode-sense-6", 0, READS},
	{"start-stop-unit", 0x01, ALL_ALLOWED},
	{"start-stop-unit", 0x00, WRITES},
	{"start-stop-unit", 0x02, WRITES},
	{"start-stop-unit", 0x03, ALL_ALLOWED},
	{"start-stop-unit", 0x11, WRITES},
	{"start-stop-unit", 0x30, WRITES},
	{"receive-diagnostic-results", 0, READS},
	{"send-diagnostic", 0, WRITES},
	{"prevent-allow-medium-removal", 0, ALL_ALLOWED},
	{"prevent-allow-medium-removal", 1, WRITES},
	{"prevent-allow-medium-removal", 2, WRITES},
	{"prevent-allow-medium-removal", 3, WRITES},
	{"read-format-capacities", 0, ALL_ALLOWED},
	{"read-capacity-10", 0, ALL_ALLOWED},
	{"read-10", 0, READS},
	{"write-10", 0, WRITES},
	{"seek-10", 0, WRITES},
	{"write-and-verify-10", 0, WRITES},
	{"verify-10", 0, READS},
	{"pre-fetch-10", 0, READS},
	{"synchronize-cache-10", 0, WRITES},
	{"read-defect-data-10", 0, READS},
	{"write-buffer", 0, WRITES},
	{"read-buffer-10", 0, READS},
	{"read-long-10", 0, WRITES},
	{"write-long-10", 0, WRITES},
	{"write-same-10", 0, WRITES},
	{"unmap", 0, WRITES},
	{"sanitize-overwrite", 0, WRITES},
	{"sanitize-block-erase", 0, WRITES},
	{"sanitize-cryptographic-erase", 0, WRITES},
	{"sanitize-exit-failure-mode", 0, WRITES},
	{"log-select", 0, WRITES},
	{"log-sense", 0, ALL_ALLOWED},
	{"xdwrite-10", 0, WRITES},
	{"xpwrite-10", 0, WRITES},
	{"xdread-10", 0, READS},
	{"xdwriteread-10", 0, WRITES},
	{"mode-select-10", 0, WRITES},
	{"reserve-10", 0, ALL_ALLOWED},
	{"release-10", 0, ALL_ALLOWED},
	{"mode-sense-10", 0, READS},
	{"persistent-reserve-in-read-keys", 0, ALL_ALLOWED},
	{"persistent-reserve-in-read-reservation", 0, ALL_ALLOWED},
	{"persistent-reserve-in-report-capabilities", 0, ALL_ALLOWED},
	{"persistent-reserve-in-read-full-status", 0, ALL_ALLOWED},
	{"persistent-reserve-out-register", 0, ALL_ALLOWED},
	{"persistent-reserve-out-reserve", 0, ALL_ALLOWED},
	{"persistent-reserve-out-release", 0, ALL_ALLOWED},
	{"persistent-reserve-out-clear", 0, ALL_ALLOWED},
	{"persistent-reserve-out-preempt", 0, ALL_ALLOWED},
	{"persistent-reserve-out-preempt-and-abort", 0, ALL_ALLOWED},
	{"persistent-reserve-out-register-and-ignore-existing-key", 0, ALL_ALLOWED},
	{"persistent-reserve-out-register-and-move", 0, ALL_ALLOWED},
	{"persistent-reserve-out-replace-lost-reservation", 0, ALL_ALLOWED},
	{"read-32", 0, READS},
	{"verify-32", 0, READS},
	{"write-32", 0, WRITES},
	{"write-and-verify-32", 0, WRITES},
	{"write-same-32", 0, WRITES},
	{"orwrite-32", 0, WRITES},
	{"write-atomic-32", 0, WRITES},
	{"extended-copy-lid1", 0, WRITES},
	{"extended-copy-lid4", 0, WRITES},
	{"populate-token", 0, READS},
	{"write-using-token", 0, WRITES},
	{"copy-operation-abort", 0, WRITES},
	{"receive-copy-status-lid1", 0, READS},
	{"receive-copy-data-lid1", 0, READS},
	{"receive-copy-operating-parameters", 0, READS},
	{"receive-copy-failure-details-lid1", 0, READS},
	{"receive-copy-status-lid4", 0, READS},
	{"receive-copy-data-lid4", 0, READS},
	{"receive-rod-token-information", 0, READS},
	{"report-all-rod-tokens", 0, READS},
	{"ata-pass-through-16", 0, WRITES},
	{"access-control-in", 0, ALL_ALLOWED},
	{"access-control-out", 0, ALL_ALLOWED},
	{"read-16", 0, READS},
	{"compare-and-write", 0, WRITES},
	{"write-16", 0, WRITES},
	{"orwrite-16", 0, WRITES},
	{"read-attribute", 0, READS},
	{"write-attribute", 0, WRITES},
	{"write-and-verify-16", 0, WRITES},
	{"verify-16", 0, READS},
	{"pre-fetch-16", 0, READS},
	{"synchronize-cache-16", 0, WRITES},
	{"write-same-16", 0, WRITES},
	{"write-stream-16", 0, WRITES},
	{"read-buffer-16", 0, READS},
	{"write-atomic-16", 0, WRITES},
	{"read-capacity-16", 0, ALL_ALLOWED},
	{"read-long-16", 0, WRITES},
	{"get-lba-status", 0, READS},
	{"report-referrals", 0, ALL_ALLOWED},
	{"write-long-16", 0, WRITES},
	{"report-luns", 0, ALL_ALLOWED},
	{"ata-pass-through-12", 0, WRITES},
	{"security-protocol-in", 0, READS},
	{"report-identifying-information", 0, ALL_ALLOWED},
	{"report-target-port-groups", 0, ALL_ALLOWED},
	{"report-aliases", 0, ALL_ALLOWED},
	{"report-supported-operation-codes", 0, READS},
	{"report-supported-task-management-functions", 0, READS},
	{"report-priority", 0, ALL_ALLOWED},
	{"report-timestamp", 0, ALL_ALLOWED},
	{"management-protocol-in", 0, WRITES},
	{"set-identifying-information", 0, WRITES},
	{"set-target-port-groups", 0, WRITES},
	{"change-aliases", 0, WRITES},
	{"set-priority", 0, WRITES},
	{"set-timestamp", 0, WRITES},
	{"management-protocol-out", 0, WRITES},
	{"read-12", 0, READS},
	{"write-12", 0, WRITES},
	{"read-media-serial-number", 0, ALL_ALLOWED},
	{"write-and-verify-12", 0, WRITES},
	{"verify-12", 0, READS},
	{"security-protocol-out", 0, WRITES},
	{"read-defect-data-12", 0, READS},
	/* clang-format on */
};

/* A holds, B is registered, C is a stranger. Which column binds each: -1, none. */
static const struct reserved {
	const char *why;
	uint8_t type; /* 0xff: RESERVE(6) */
	int column[PEERS];
} reserved[] = {
	{"nothing reserved: everything is allowed", 0, {-1, -1, -1}},
	{"write exclusive", 1, {-1, WE, WE}},
	{"exclusive access", 3, {-1, EA, EA}},
	{"write exclusive, registrants only", 5, {-1, REGISTRANT, WE_STRANGER}},
	{"exclusive access, registrants only", 6, {-1, REGISTRANT, EA_STRANGER}},
	{"write exclusive, all registrants", 7, {-1, -1, WE_STRANGER}},
	{"exclusive access, all registrants", 8, {-1, -1, EA_STRANGER}},
	{"RESERVE(6)", 0xff, {-1, BY_RESERVE, BY_RESERVE}},
};

static void reserve(const struct reserved *row)
{
	static const struct rig_command reserve_6 = {.cdb = {0x16}};
	struct peer_task t;

	peers_open();
	if (row->type == 0xff) {
		assert_int_equal(peer_run(&t, A, &reserve_6, NULL, 0), SCSI_GOOD);
	} else {
		peer_register(A);
		peer_register(B);
		if (row->type != 0)
			peer_reserve(A, row->type);
	}
	rig_share();
}

static bool is_expected(const char *columns, int column)
{
	return column >= 0 && columns[column] == 'C';
}

static void follows_the_table(void **state)
{
	const struct reserved *row = *state;

	reserve(row);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct command_name *name = command_name_by_policy(table[i].name);
		uint8_t cdb[16] = {name->opcode, [4] = table[i].octet_4};
		struct scsi_command command = {.opcode = name->opcode,
					       .service_action = name->service_action};
		struct scsi_task task = {.cdb = cdb, .cdb_len = 16, .command = &command};

		for (unsigned who = 0; who < PEERS; who++) {
			bool want = is_expected(table[i].columns, row->column[who]);

			task.nexus = nexus_of(who);
			task.unit = &task.nexus->luns[0];
			if (reservation_conflicts(&task) != want)
				fail_msg("%s, session %u: wanted %d", table[i].name, who, want);
		}
	}
	peers_close();
}

/* Each command that is executed, through the gate, with fields that it takes. One that has none
 * here may be refused before it comes to the gate, and must not be admitted. */
static const struct rig_command samples[] = {
	/* clang-format off */
	{.cdb = {0x08, [4] = 0}},  {.cdb = {0x0a, [4] = 0}},  {.cdb = {0x1a, [2] = 0x3f}},
	{.cdb = {0x28, [8] = 1}},  {.cdb = {0x2a, [8] = 1}},  {.cdb = {0x2e, [8] = 1}},
	{.cdb = {0x41, [8] = 1}, .edtl = RIG_BLOCK},  {.cdb = {0x42}},	      {.cdb = {0x5a, [2] = 0x3f}},
	{.cdb = {0x5f, [8] = 24}}, {.cdb = {0x88, [13] = 1}}, {.cdb = {0x8a, [13] = 1}},
	{.cdb = {0x8e, [13] = 1}}, {.cdb = {0x93, [13] = 1}, .edtl = RIG_BLOCK}, {.cdb = {0x9e, [13] = 24}},
	{.cdb = {0xa8, [9] = 1}},  {.cdb = {0xaa, [9] = 1}},
};

/* True: it has to come to the gate. */
static bool sample_of(const struct scsi_command *c, struct rig_command *ret)
{
	bool found = false;

	*ret = (struct rig_command){.cdb = {c->opcode}};
	for (size_t i = 0; i < ARRAY_LEN(samples) && !found; i++) {
		found = samples[i].cdb[0] == c->opcode;
		if (found)
			*ret = samples[i];
	}
	if (ret->edtl == 0)
		ret->edtl = 256 * RIG_BLOCK;
	ret->read = c->allocation.width != 0 || c->touches == TOUCHES_READ;
	ret->write = !ret->read;
	if (c->service_action >= 0)
		ret->cdb[1] = (uint8_t)c->service_action;
	return found;
}

static const char *columns_of(const struct scsi_command *c, uint8_t octet_4)
{
	const struct command_name *name = command_name_at(c->opcode, c->service_action);

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name->policy_name) == 0 && table[i].octet_4 == octet_4)
			return table[i].columns;
	}
	return ALL_ALLOWED;
}

static void try_command(const struct scsi_command *command, unsigned who, int column)
{
	struct rig_command c;
	bool comes = sample_of(command, &c);
	bool want = is_expected(columns_of(command, c.cdb[4]), column);
	struct peer_task t;
	enum scsi_step step;

	nexus_of(who)->luns[0].thin = true;
	step = peer_begin(&t, who, &c);
	if (want ? t.task.admission != NULL || t.task.status == SCSI_GOOD ||
			    (comes && t.task.status != SCSI_RESERVATION_CONFLICT)
		 : t.task.status == SCSI_RESERVATION_CONFLICT)
		fail_msg("%02xh/%d, session %u: wanted %d, status %02xh", command->opcode,
			 command->service_action, who, want, t.task.status);
	if (step != SCSI_DONE && !scsi_cancel(&t.task))
		(void)peer_end(&t, SCSI_RUNNING);
	rig_audit();
}

static void passes_the_gate(void **state)
{
	const struct reserved *row = *state;
	size_t count;
	const struct scsi_command *all = commands(&count);

	reserve(row);
	for (size_t i = 0; i < count; i++) {
		for (unsigned who = 0; who < PEERS; who++)
			try_command(&all[i], who, row->column[who]);
	}
	peers_close();
}

/* A command with several units asks for each. */
static void asks_for_units(void **state)
{
	const struct reserved *row = *state;

	reserve(row);
	for (unsigned who = 0; who < PEERS; who++) {
		const struct scsi_nexus *n = nexus_of(who);

		assert_int_equal(reservation_conflicts_on(n, &n->luns[0], false),
				 is_expected(READS, row->column[who]));
		assert_int_equal(reservation_conflicts_on(n, &n->luns[0], true),
				 is_expected(WRITES, row->column[who]));
	}
	peers_close();
}

static void is_whole(void **state)
{
	size_t count;
	const struct command_name *names = command_names(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		bool found = false;

		for (size_t k = 0; k < ARRAY_LEN(table); k++)
			found = found || strcmp(table[k].name, names[i].policy_name) == 0;
		if (!found)
			fail_msg("%s is not in the test's table", names[i].name);
		assert_int_not_equal(names[i].allowed, ALLOWED_INVALID);
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, reserved, follows_the_table);
	TESTS_ADD_TABLE(&t, reserved, passes_the_gate);
	TESTS_ADD_TABLE(&t, reserved, asks_for_units);
	tests_add(&t, "every command that has a name is in the table", is_whole, NULL);
	return tests_run(&t, "who may under a reservation");
}
