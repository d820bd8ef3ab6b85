/* A command of 25 octets (LUN, EDTL, flags, result, attributes, CDB), then its data-out, perhaps
 * behind another: nothing stays in the gate or a task set, no data-in is longer than asked. */
#include "tests/fuzz/cdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ended(struct scsi_task *task)
{
	assert(task->data_len <= task->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scsi_task task, first = {.nexus = &nexus, .done = ended};
	enum scsi_step step;

	if (size < 25)
		return 0;
	device_open(data + 25, size - 25);
	task = (struct scsi_task){.nexus = &nexus, .lun = {data[0], data[1]}, .done = ended};
	task.edtl = (uint32_t)(data[2] << 16 | data[3] << 8 | data[4]);
	task.read = data[5] & 1, task.write = data[5] & 2;
	task.attribute = data[7] & 7;
	task.cdb = data + 9, task.cdb_len = 16;
	device_occupy(&first, data[8]);
	step = scsi_begin(&task);
	if (task.place == PLACE_DORMANT && (data[5] & 8))
		assert(scsi_cancel(&task));
	if (scsi_cancel(&first) && scsi_next(&nexus) != NULL)
		step = scsi_start(&task);
	assert(task.bytes <= task.edtl && task.bytes <= sizeof buffer);
	device_give_buffer(&task);
	if (step != SCSI_RUNNING && (data[5] & 4))
		assert(scsi_cancel(&task));
	else if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER)
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(&task) : scsi_buffer_ready(&task);
	device_settle(-data[6]);
	assert(task.admission == NULL && scsi_room(&nexus) == 4);
	return 0;
}
