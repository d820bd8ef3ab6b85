/* A device for tests/fuzz/cdb.c: one LUN to write and one to read, a ring that always takes
 * records, and a disk in the place of backends/backend.c whose requests end when asked. */
#pragma once

#include "gateway/scsi/scsi.h"

#define DISK_BYTES (8u << 20)

static struct audit_ring_memory slots;
static struct audit_ring_page page = {.state = AUDIT_WRITING, .durable = UINT64_MAX};
static struct audit_ring ring = {.memory = &slots, .page = &page};
static struct backend disk;
static struct scsi_nexus nexus = {.now_ms = 1, .ring = &ring};
static struct io *running;
static uint8_t buffer[SCSI_TRANSFER_MAX];

int backend_check(struct backend *b)
{
	assert(b == &disk);
	return 0;
}

int backend_submit(struct backend *b, const struct admission *admission, struct io *io)
{
	assert(b == &disk && admission != NULL && running == NULL);
	assert(io->op == IO_FLUSH || io->offset + io->length <= DISK_BYTES);
	running = io;
	return 0;
}

static inline void device_open(const uint8_t *data_out, size_t len)
{
	static struct arbiter_page shared = {.generations = {1}};
	static struct arbiter_own own;
	static struct arbiter_view view = {.page = &shared, .own = &own, .nexus = 1};
	struct scsi_lun lun = {.present = true,
			       .number = 3,
			       .block_size = 512,
			       .blocks = DISK_BYTES / 512,
			       .serial = "0f5c9e4c",
			       .backend = &disk};

	memset(buffer, 0, 8192); /* no parameter list is longer */
	memcpy(buffer, data_out, MIN(len, 8192));
	if (nexus.gate != NULL)
		return;
	nexus.luns[3] = lun;
	lun.writable = lun.thin = true;
	lun.number = 0;
	nexus.luns[0] = lun;
	nexus.arbiter = &view;
	arbiter_view_attach(&view);
	arbiter_view_hold(&view, 0, 0);
	arbiter_view_hold(&view, 3, 0);
	assert(scsi_nexus_open(&nexus, 4) == 0);
}

/* A WRITE that waits for its data, with one of the first four attributes; or nothing. */
static inline void device_occupy(struct scsi_task *task, uint8_t how)
{
	static const uint8_t write_10[16] = {0x2a, 0, 0, 0, 0, 1, 0, 0, 1};

	task->cdb = write_10;
	task->cdb_len = 16;
	task->edtl = 512;
	task->write = true;
	task->attribute = how & 3;
	if (how & 4)
		(void)scsi_begin(task);
}

static inline void device_give_buffer(struct scsi_task *task)
{
	static struct iovec iov;

	iov = (struct iovec){buffer, task->bytes};
	task->buffer_len = task->bytes;
	task->iov = &iov;
	task->iov_count = 1;
}

static inline void device_settle(int result)
{
	while (running != NULL) {
		struct io *io = running;

		running = NULL;
		io->done(io, result);
	}
	scsi_audit_moved(&nexus);
	atomic_store(&page.consumed, ring.head);
	for (size_t i = 0; i < ARRAY_LEN(nexus.luns); i++)
		nexus.luns[i].failed = 0;
}
