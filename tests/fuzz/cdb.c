/* Up to six commands of 28 octets (which session, LUN, EDTL, flags, result, attribute, octets of
 * data-out, CDB) and their data-out, from two sessions at once: every task ends, nothing stays in
 * a gate or at the arbiter, no data-in is longer than asked. */
#include "tests/fuzz/cdb.h"

#define HEADER 28u
enum { READS = 1, WRITES = 2, CANCELS = 4, SETTLES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void command_begin(struct conversation *c, const uint8_t *b)
{
	memcpy(c->cdb, b + 12, sizeof c->cdb);
	c->task = (struct scsi_task){.nexus = &seats[b[0] % SEATS].nexus,
				     .lun = {b[1] & 0x40, b[1] & 3},
				     .done = on_done,
				     .cdb = c->cdb,
				     .cdb_len = sizeof c->cdb,
				     .edtl = (uint32_t)(b[2] << 16 | b[3] << 8 | b[4]),
				     .read = b[5] & READS,
				     .write = b[5] & WRITES,
				     .attribute = b[7] & 7};
	c->state = RUNS;
	go_on(c, scsi_begin(&c->task));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	devices_open();
	for (unsigned n = 0; n < TASKS_MAX && size >= HEADER; n++) {
		const uint8_t *b = data;
		size_t len = MIN((size_t)(b[8] << 8 | b[9]), size - HEADER);

		memset(buffers[n], 0, 8192); /* few parameter lists are longer */
		memcpy(buffers[n], b + HEADER, MIN(len, SCSI_TRANSFER_MAX));
		command_begin(&all[n], b);
		if (b[5] & SETTLES)
			settle(-b[6]);
		if (b[5] & CANCELS)
			cancel(&all[b[10] % TASKS_MAX]);
		data += HEADER + len;
		size -= HEADER + len;
	}
	settle(0);
	for (unsigned n = 0; n < TASKS_MAX; n++)
		assert(all[n].state != RUNS);
	devices_close();
	return 0;
}
