/* A command of 25 octets (LUN, EDTL, flags, result, CDB), then its data-out: nothing stays in the
 * gate, no data-in is longer than asked. */
#include "tests/fuzz/cdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ended(struct scsi_task *task)
{
	assert(task->data_len <= task->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scsi_task task;
	struct iovec iov = {buffer, 0};
	enum scsi_step step;

	if (size < 25)
		return 0;
	device_open(data + 25, size - 25);
	task = (struct scsi_task){.nexus = &nexus, .lun = {data[0], data[1]}, .done = ended};
	task.edtl = (uint32_t)(data[2] << 16 | data[3] << 8 | data[4]);
	task.read = data[5] & 1;
	task.write = data[5] & 2;
	task.cdb = data + 9;
	task.cdb_len = 16;
	step = scsi_begin(&task);
	assert(task.bytes <= task.edtl && task.bytes <= sizeof buffer);
	iov.iov_len = task.buffer_len = task.bytes;
	task.iov = &iov;
	task.iov_count = 1;
	if (step != SCSI_RUNNING && (data[5] & 4))
		assert(scsi_cancel(&task));
	else if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER)
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(&task) : scsi_buffer_ready(&task);
	device_settle(-data[6]);
	assert(task.admission == NULL && scsi_room(&nexus) == 4);
	return 0;
}
