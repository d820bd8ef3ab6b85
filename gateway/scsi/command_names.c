/* The names of SPC's and SBC's commands, those that we do not execute too: an audit
 * review and a `deny:` must know UNMAP before a disk does. Plain data: linked
 * into the monitor, the auditor's readers and the session alike. A CDB comes
 * from the network and is only compared here. */
#include "gateway/scsi/command_names.h"

#define NO_ACTION	(-1)
#define VARIABLE_LENGTH 0x7f /* its service action is in octets 8 and 9 */

/* Sorted by opcode, then service action. */
static const struct command_name names[] = {
	/* clang-format off */
	{0x00, NO_ACTION, "TEST UNIT READY", "test-unit-ready",
	 TOUCHES_NOTHING, ALLOWED_UNLESS_RESERVED},
	{0x01, NO_ACTION, "REZERO UNIT", "rezero-unit", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x03, NO_ACTION, "REQUEST SENSE", "request-sense", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x04, NO_ACTION, "FORMAT UNIT", "format-unit",
	 TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x07, NO_ACTION, "REASSIGN BLOCKS", "reassign-blocks",
	 TOUCHES_WRITE | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x08, NO_ACTION, "READ(6)", "read-6", TOUCHES_READ, ALLOWED_AS_READ},
	{0x0a, NO_ACTION, "WRITE(6)", "write-6", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x0b, NO_ACTION, "SEEK(6)", "seek-6", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x12, NO_ACTION, "INQUIRY", "inquiry", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x15, NO_ACTION, "MODE SELECT(6)", "mode-select-6", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x16, NO_ACTION, "RESERVE(6)", "reserve-6", TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x17, NO_ACTION, "RELEASE(6)", "release-6", TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x1a, NO_ACTION, "MODE SENSE(6)", "mode-sense-6", TOUCHES_NOTHING, ALLOWED_AS_READ},
	{0x1b, NO_ACTION, "START STOP UNIT", "start-stop-unit", TOUCHES_CONTROL, ALLOWED_TO_START},
	{0x1c, NO_ACTION, "RECEIVE DIAGNOSTIC RESULTS", "receive-diagnostic-results",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x1d, NO_ACTION, "SEND DIAGNOSTIC", "send-diagnostic", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x1e, NO_ACTION, "PREVENT ALLOW MEDIUM REMOVAL", "prevent-allow-medium-removal",
	 TOUCHES_CONTROL, ALLOWED_TO_ALLOW},
	{0x23, NO_ACTION, "READ FORMAT CAPACITIES", "read-format-capacities",
	 TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x25, NO_ACTION, "READ CAPACITY(10)", "read-capacity-10", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x28, NO_ACTION, "READ(10)", "read-10", TOUCHES_READ, ALLOWED_AS_READ},
	{0x2a, NO_ACTION, "WRITE(10)", "write-10", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x2b, NO_ACTION, "SEEK(10)", "seek-10", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x2e, NO_ACTION, "WRITE AND VERIFY(10)", "write-and-verify-10",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x2f, NO_ACTION, "VERIFY(10)", "verify-10", TOUCHES_READ, ALLOWED_AS_READ},
	{0x34, NO_ACTION, "PRE-FETCH(10)", "pre-fetch-10", TOUCHES_READ, ALLOWED_AS_READ},
	{0x35, NO_ACTION, "SYNCHRONIZE CACHE(10)", "synchronize-cache-10",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x37, NO_ACTION, "READ DEFECT DATA(10)", "read-defect-data-10",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x3b, NO_ACTION, "WRITE BUFFER", "write-buffer", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x3c, NO_ACTION, "READ BUFFER(10)", "read-buffer-10", TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x3e, NO_ACTION, "READ LONG(10)", "read-long-10", TOUCHES_READ, ALLOWED_AS_WRITE},
	{0x3f, NO_ACTION, "WRITE LONG(10)", "write-long-10", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x41, NO_ACTION, "WRITE SAME(10)", "write-same-10",
	 TOUCHES_WRITE | TOUCHES_DISCARD, ALLOWED_AS_WRITE},
	{0x42, NO_ACTION, "UNMAP", "unmap", TOUCHES_DISCARD, ALLOWED_AS_WRITE},
	{0x48, 0x01, "SANITIZE/OVERWRITE", "sanitize-overwrite",
	 TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x48, 0x02, "SANITIZE/BLOCK ERASE", "sanitize-block-erase",
	 TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x48, 0x03, "SANITIZE/CRYPTOGRAPHIC ERASE", "sanitize-cryptographic-erase",
	 TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x48, 0x1f, "SANITIZE/EXIT FAILURE MODE", "sanitize-exit-failure-mode",
	 TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x4c, NO_ACTION, "LOG SELECT", "log-select", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x4d, NO_ACTION, "LOG SENSE", "log-sense", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x50, NO_ACTION, "XDWRITE(10)", "xdwrite-10",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x51, NO_ACTION, "XPWRITE(10)", "xpwrite-10",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x52, NO_ACTION, "XDREAD(10)", "xdread-10", TOUCHES_READ, ALLOWED_AS_READ},
	{0x53, NO_ACTION, "XDWRITEREAD(10)", "xdwriteread-10",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x55, NO_ACTION, "MODE SELECT(10)", "mode-select-10", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x56, NO_ACTION, "RESERVE(10)", "reserve-10", TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x57, NO_ACTION, "RELEASE(10)", "release-10", TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5a, NO_ACTION, "MODE SENSE(10)", "mode-sense-10", TOUCHES_NOTHING, ALLOWED_AS_READ},
	{0x5e, 0x00, "PERSISTENT RESERVE IN/READ KEYS", "persistent-reserve-in-read-keys",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5e, 0x01, "PERSISTENT RESERVE IN/READ RESERVATION",
	 "persistent-reserve-in-read-reservation",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5e, 0x02, "PERSISTENT RESERVE IN/REPORT CAPABILITIES",
	 "persistent-reserve-in-report-capabilities",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5e, 0x03, "PERSISTENT RESERVE IN/READ FULL STATUS",
	 "persistent-reserve-in-read-full-status",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x00, "PERSISTENT RESERVE OUT/REGISTER", "persistent-reserve-out-register",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x01, "PERSISTENT RESERVE OUT/RESERVE", "persistent-reserve-out-reserve",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x02, "PERSISTENT RESERVE OUT/RELEASE", "persistent-reserve-out-release",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x03, "PERSISTENT RESERVE OUT/CLEAR", "persistent-reserve-out-clear",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x04, "PERSISTENT RESERVE OUT/PREEMPT", "persistent-reserve-out-preempt",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x05, "PERSISTENT RESERVE OUT/PREEMPT AND ABORT",
	 "persistent-reserve-out-preempt-and-abort",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x06, "PERSISTENT RESERVE OUT/REGISTER AND IGNORE EXISTING KEY",
	 "persistent-reserve-out-register-and-ignore-existing-key",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x07, "PERSISTENT RESERVE OUT/REGISTER AND MOVE",
	 "persistent-reserve-out-register-and-move",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x5f, 0x08, "PERSISTENT RESERVE OUT/REPLACE LOST RESERVATION",
	 "persistent-reserve-out-replace-lost-reservation",
	 TOUCHES_RESERVATION, ALLOWED_BY_ARBITER},
	{0x7f, 0x09, "READ(32)", "read-32", TOUCHES_READ, ALLOWED_AS_READ},
	{0x7f, 0x0a, "VERIFY(32)", "verify-32", TOUCHES_READ, ALLOWED_AS_READ},
	{0x7f, 0x0b, "WRITE(32)", "write-32", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x7f, 0x0c, "WRITE AND VERIFY(32)", "write-and-verify-32",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x7f, 0x0d, "WRITE SAME(32)", "write-same-32",
	 TOUCHES_WRITE | TOUCHES_DISCARD, ALLOWED_AS_WRITE},
	{0x7f, 0x0e, "ORWRITE(32)", "orwrite-32", TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x7f, 0x0f, "WRITE ATOMIC(32)", "write-atomic-32", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x83, 0x00, "EXTENDED COPY(LID1)", "extended-copy-lid1",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x83, 0x01, "EXTENDED COPY(LID4)", "extended-copy-lid4",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x83, 0x10, "POPULATE TOKEN", "populate-token", TOUCHES_READ, ALLOWED_AS_READ},
	{0x83, 0x11, "WRITE USING TOKEN", "write-using-token", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x83, 0x1c, "COPY OPERATION ABORT", "copy-operation-abort",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x84, 0x00, "RECEIVE COPY STATUS(LID1)", "receive-copy-status-lid1",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x01, "RECEIVE COPY DATA(LID1)", "receive-copy-data-lid1",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x03, "RECEIVE COPY OPERATING PARAMETERS", "receive-copy-operating-parameters",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x04, "RECEIVE COPY FAILURE DETAILS(LID1)", "receive-copy-failure-details-lid1",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x05, "RECEIVE COPY STATUS(LID4)", "receive-copy-status-lid4",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x06, "RECEIVE COPY DATA(LID4)", "receive-copy-data-lid4",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x07, "RECEIVE ROD TOKEN INFORMATION", "receive-rod-token-information",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x84, 0x08, "REPORT ALL ROD TOKENS", "report-all-rod-tokens",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x85, NO_ACTION, "ATA PASS-THROUGH(16)", "ata-pass-through-16",
	 TOUCHES_READ | TOUCHES_WRITE | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x86, NO_ACTION, "ACCESS CONTROL IN", "access-control-in",
	 TOUCHES_CONTROL, ALLOWED_ALWAYS},
	{0x87, NO_ACTION, "ACCESS CONTROL OUT", "access-control-out",
	 TOUCHES_CONTROL, ALLOWED_ALWAYS},
	{0x88, NO_ACTION, "READ(16)", "read-16", TOUCHES_READ, ALLOWED_AS_READ},
	{0x89, NO_ACTION, "COMPARE AND WRITE", "compare-and-write",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x8a, NO_ACTION, "WRITE(16)", "write-16", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x8b, NO_ACTION, "ORWRITE(16)", "orwrite-16",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x8c, NO_ACTION, "READ ATTRIBUTE", "read-attribute", TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x8d, NO_ACTION, "WRITE ATTRIBUTE", "write-attribute", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x8e, NO_ACTION, "WRITE AND VERIFY(16)", "write-and-verify-16",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x8f, NO_ACTION, "VERIFY(16)", "verify-16", TOUCHES_READ, ALLOWED_AS_READ},
	{0x90, NO_ACTION, "PRE-FETCH(16)", "pre-fetch-16", TOUCHES_READ, ALLOWED_AS_READ},
	{0x91, NO_ACTION, "SYNCHRONIZE CACHE(16)", "synchronize-cache-16",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0x93, NO_ACTION, "WRITE SAME(16)", "write-same-16",
	 TOUCHES_WRITE | TOUCHES_DISCARD, ALLOWED_AS_WRITE},
	{0x9a, NO_ACTION, "WRITE STREAM(16)", "write-stream-16", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x9b, NO_ACTION, "READ BUFFER(16)", "read-buffer-16", TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0x9c, NO_ACTION, "WRITE ATOMIC(16)", "write-atomic-16", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0x9e, 0x10, "READ CAPACITY(16)", "read-capacity-16", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x9e, 0x11, "READ LONG(16)", "read-long-16", TOUCHES_READ, ALLOWED_AS_WRITE},
	{0x9e, 0x12, "GET LBA STATUS", "get-lba-status", TOUCHES_READ, ALLOWED_AS_READ},
	{0x9e, 0x13, "REPORT REFERRALS", "report-referrals", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0x9f, 0x11, "WRITE LONG(16)", "write-long-16", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0xa0, NO_ACTION, "REPORT LUNS", "report-luns", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xa1, NO_ACTION, "ATA PASS-THROUGH(12)", "ata-pass-through-12",
	 TOUCHES_READ | TOUCHES_WRITE | TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa2, NO_ACTION, "SECURITY PROTOCOL IN", "security-protocol-in",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	{0xa3, 0x05, "REPORT IDENTIFYING INFORMATION", "report-identifying-information",
	 TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xa3, 0x0a, "REPORT TARGET PORT GROUPS", "report-target-port-groups",
	 TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xa3, 0x0b, "REPORT ALIASES", "report-aliases", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xa3, 0x0c, "REPORT SUPPORTED OPERATION CODES", "report-supported-operation-codes",
	 TOUCHES_NOTHING, ALLOWED_AS_READ},
	{0xa3, 0x0d, "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
	 "report-supported-task-management-functions",
	 TOUCHES_NOTHING, ALLOWED_AS_READ},
	{0xa3, 0x0e, "REPORT PRIORITY", "report-priority", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xa3, 0x0f, "REPORT TIMESTAMP", "report-timestamp", TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xa3, 0x10, "MANAGEMENT PROTOCOL IN", "management-protocol-in",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa4, 0x06, "SET IDENTIFYING INFORMATION", "set-identifying-information",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa4, 0x0a, "SET TARGET PORT GROUPS", "set-target-port-groups",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa4, 0x0b, "CHANGE ALIASES", "change-aliases", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa4, 0x0e, "SET PRIORITY", "set-priority", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa4, 0x0f, "SET TIMESTAMP", "set-timestamp", TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa4, 0x10, "MANAGEMENT PROTOCOL OUT", "management-protocol-out",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xa8, NO_ACTION, "READ(12)", "read-12", TOUCHES_READ, ALLOWED_AS_READ},
	{0xaa, NO_ACTION, "WRITE(12)", "write-12", TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0xab, 0x01, "READ MEDIA SERIAL NUMBER", "read-media-serial-number",
	 TOUCHES_NOTHING, ALLOWED_ALWAYS},
	{0xae, NO_ACTION, "WRITE AND VERIFY(12)", "write-and-verify-12",
	 TOUCHES_READ | TOUCHES_WRITE, ALLOWED_AS_WRITE},
	{0xaf, NO_ACTION, "VERIFY(12)", "verify-12", TOUCHES_READ, ALLOWED_AS_READ},
	{0xb5, NO_ACTION, "SECURITY PROTOCOL OUT", "security-protocol-out",
	 TOUCHES_CONTROL, ALLOWED_AS_WRITE},
	{0xb7, NO_ACTION, "READ DEFECT DATA(12)", "read-defect-data-12",
	 TOUCHES_CONTROL, ALLOWED_AS_READ},
	/* clang-format on */
};

/* Commands whose service actions are one family in a policy: "sanitize" is all of them. */
static const char *const families[] = {
	"sanitize",
	"persistent-reserve-in",
	"persistent-reserve-out",
	"extended-copy",
};

/* The service action that this CDB has if its opcode has service actions; -1: the CDB ends before
 * it. */
static int service_action(const uint8_t *cdb, size_t len)
{
	if (cdb[0] == VARIABLE_LENGTH)
		return len < 10 ? -1 : cdb[8] << 8 | cdb[9];
	return len < 2 ? -1 : cdb[1] & 0x1f;
}

const struct command_name *command_name_find(const uint8_t *cdb, size_t len)
{
	int action;

	if (len == 0)
		return NULL;
	action = service_action(cdb, len);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].opcode != cdb[0])
			continue;
		if (names[i].service_action == NO_ACTION || names[i].service_action == action)
			return &names[i];
	}
	return NULL;
}

/* "read" of "read-6", "sanitize" of "sanitize-overwrite"; not "read" of "read-capacity-10". */
static bool is_family(const char *family, const char *policy_name)
{
	size_t len = strlen(family);

	if (strncmp(family, policy_name, len) != 0 || policy_name[len] != '-')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		if (strcmp(family, families[i]) == 0)
			return true;
	}
	policy_name += len + 1;
	return *policy_name != '\0' && policy_name[strspn(policy_name, "0123456789")] == '\0';
}

bool command_name_fits(const struct command_name *row, const char *policy_name)
{
	return strcmp(policy_name, row->policy_name) == 0 ||
	       is_family(policy_name, row->policy_name);
}

/* The table is sorted by opcode, then service action. */
const struct command_name *command_name_at(uint8_t opcode, int action)
{
	size_t low = 0, high = ARRAY_LEN(names);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct command_name *row = &names[middle];

		if (row->opcode == opcode && row->service_action == action)
			return row;
		if (row->opcode < opcode || (row->opcode == opcode && row->service_action < action))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct command_name *command_name_by_policy(const char *policy_name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(policy_name, names[i].policy_name) == 0)
			return &names[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (is_family(policy_name, names[i].policy_name))
			return &names[i];
	}
	return NULL;
}

const struct command_name *command_names(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(names);
	return names;
}
