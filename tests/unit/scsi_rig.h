/* A device server on a bench: a real audit ring over memfds, whose auditor the test plays, and a
 * disk in memory in the place of backends/backend.c, whose requests end when the test says
 * so and as it says. Buffers are poisoned. Each test opens a rig of its own. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "tests/unit/test.h"
#include "backends/backend.h"
#include "gateway/arbiter/court.h"
#include "gateway/arbiter/journal.h"
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"
#include "gateway/scsi/scsi.h"

#define RIG_BLOCK      512u
#define RIG_BLOCKS     16384u /* 8 MiB */
#define RIG_ADMISSIONS 8u
#define RIG_BUFFER     (SCSI_TRANSFER_MAX + 65536)
#define RIG_POISON     0xa5
#define RIG_LOG	       64
#define RIG_SEATS      4
#define RIG_TURNS      64 /* of the loop, until a command has ended */
#define RIG_LUNS       8  /* disks that the arbiter knows; LUN n is disk n */

struct backend_log {
	enum io_op op;
	bool fua, second; /* of the second disk */
	uint64_t offset;
	size_t length;
	uint64_t records_before; /* in the ring when the request came */
};

/* A session, as the court sees it and as it sees the court. */
struct rig_seat {
	struct member member;
	struct arbiter_own own;
	struct arbiter_view view;
	struct scsi_nexus *nexus;
	struct arbiter_answer answers[1 + ARBITER_RANGES_EACH];
	unsigned answered; /* of these, not heard yet */
	unsigned resets_done, killed;
	uint64_t to_end;  /* LUNs below 64 whose tasks are to be ended, bit of each */
	uint64_t to_tell; /* … with status TASK ABORTED */
};

struct rig {
	struct scsi_nexus nexus;
	struct audit_ring ring;
	struct audit_ring_page *page; /* as the auditor has it */
	int auditor_fd;
	struct court court; /* a real one: what it publishes stands on `shared` */
	struct arbiter_page *shared;
	struct rig_seat seats[RIG_SEATS]; /* the first is of `nexus` */
	unsigned namesake[RIG_SEATS];	  /* as many seats before it, one has its name */
	struct backend backend, second;
	uint8_t *disk, *second_disk, *buffer; /* second_disk: NULL unless a LUN has it */
	struct io *queue[RIG_LOG];	      /* submitted, not ended */
	size_t queued;
	struct backend_log log[RIG_LOG];
	size_t submitted;
	int results[RIG_LOG]; /* of the requests to come; 0: do it */
	size_t ended;
	int submit_result, check_result;
	unsigned checks, dones;
	int keep_result; /* of the arbiter's journal */
	unsigned keeps, durable_keeps;
	unsigned failures; /* calls of lun_failed */
	int failure;
	struct iovec iov[4];
	struct scsi_task task;
	uint8_t cdb[32];
};

static struct rig *rig; /* the one that the stand-in backend serves */

/* The stand-in for backends/backend.c: the linker takes these first. */
int backend_submit(struct backend *b, const struct admission *admission, struct io *io)
{
	assert_non_null(admission);
	assert_true(b == &rig->backend || b == &rig->second);
	if (rig->submit_result < 0)
		return rig->submit_result;
	assert_true(rig->queued < RIG_LOG && rig->submitted < RIG_LOG);
	rig->log[rig->submitted++] = (struct backend_log){
		.op = io->op,
		.fua = io->fua,
		.second = b == &rig->second,
		.offset = io->offset,
		.length = io->length,
		.records_before = rig->ring.head,
	};
	io->backend = b;
	rig->queue[rig->queued++] = io;
	return 0;
}

int backend_check(struct backend *b)
{
	assert_true(b == &rig->backend || b == &rig->second);
	rig->checks++;
	return rig->check_result;
}

int backend_open(struct engine *e, int fd, uint64_t size_bytes, bool writable,
		 struct backend **ret_backend)
{
	(void)e, (void)fd, (void)size_bytes, (void)writable, (void)ret_backend;
	return -ENOSYS;
}

void backend_close(struct backend *b)
{
	(void)b;
}

static inline void rig_move(const struct io *io)
{
	uint8_t *disk = io->backend == &rig->second ? rig->second_disk : rig->disk;
	uint8_t *at = disk + io->offset;
	size_t sum = 0;

	if (io->op == IO_DISCARD || io->op == IO_ZERO) {
		assert_true(io->offset + io->length <= (uint64_t)RIG_BLOCK * RIG_BLOCKS);
		memset(at, 0, io->length);
		return;
	}
	for (unsigned i = 0; i < io->iov_count; i++) {
		assert_true(io->offset + io->length <= (uint64_t)RIG_BLOCK * RIG_BLOCKS);
		if (io->op == IO_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
		sum += io->iov[i].iov_len;
	}
	assert_int_equal(sum, io->length);
}

/* Room is where the disk is not zero, in octets; a block that is so in part counts as mapped. */
static inline void rig_find(struct io *io)
{
	uint64_t end = io->offset;

	io->extent_is_data = rig->disk[end] != 0;
	while (end < (uint64_t)RIG_BLOCK * RIG_BLOCKS &&
	       (rig->disk[end] != 0) == io->extent_is_data)
		end++;
	io->extent_end = end;
}

/* Ends the oldest request. */
static inline void rig_reap_one(void)
{
	struct io *io = rig->queue[0];
	int result = rig->results[rig->ended++];

	assert_true(rig->queued > 0);
	memmove(rig->queue, rig->queue + 1, --rig->queued * sizeof rig->queue[0]);
	if (result == 0 && io->op == IO_EXTENT)
		rig_find(io);
	else if (result == 0 && io->op != IO_FLUSH)
		rig_move(io);
	io->done(io, result);
}

static inline void rig_reap(void)
{
	while (rig->queued > 0)
		rig_reap_one();
}

static inline void rig_done(struct scsi_task *task)
{
	(void)task;
	rig->dones++;
}

static inline void rig_lun_failed(void *host, const struct scsi_lun *lun, int error, uint64_t lba)
{
	(void)host, (void)lun, (void)lba;
	rig->failures++;
	rig->failure = error;
}

static inline void rig_add_lun(uint16_t number, bool writable)
{
	struct scsi_lun *lun = &rig->nexus.luns[number];

	*lun = (struct scsi_lun){
		.present = true,
		.number = number,
		.writable = writable,
		.block_size = RIG_BLOCK,
		.blocks = RIG_BLOCKS,
		.rule_line = writable ? 0 : 42,
		.naa = {0x31, 2, 3, 4, 5, 6, 7, (uint8_t)number},
		.naa_len = 8,
		.serial = "0f5c9e4c-3f4d-4a53-9d31-5d3d6f0c7a11",
		.backend = &rig->backend,
	};
	arbiter_view_hold(&rig->seats[0].view, number, number);
}

/* A LUN that is on a disk of its own. */
static inline void rig_add_second(uint16_t number, bool writable)
{
	rig_add_lun(number, writable);
	rig->nexus.luns[number].backend = &rig->second;
	rig->second_disk = calloc(RIG_BLOCKS, RIG_BLOCK);
	assert_non_null(rig->second_disk);
}

static inline void rig_open_ring(void)
{
	int ring_fd = memfd_shared("ring", sizeof(struct audit_ring_memory));
	int page_fd = memfd_shared("page", sizeof(struct audit_ring_page)), ends[2];

	assert_true(ring_fd >= 0 && page_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(audit_ring_attach(&rig->ring, ring_fd, page_fd, ends[0]), 0);
	rig->auditor_fd = ends[1];
	rig->page = mmap(NULL, sizeof *rig->page, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
	assert_true(rig->page != MAP_FAILED);
	atomic_store(&rig->page->state, AUDIT_WRITING);
	fd_close(&ring_fd);
	fd_close(&page_fd);
}

/* --- the arbiter --- */

static inline struct rig_seat *rig_seat_of(struct member *m)
{
	return CONTAINER_OF(m, struct rig_seat, member);
}

static inline void rig_changed(struct member *m)
{
	(void)m; /* rig_share() looks at everybody */
}

static inline void rig_reset_done(struct member *m, uint32_t id)
{
	(void)id;
	rig_seat_of(m)->resets_done++;
}

static inline void rig_answered(struct member *m, const struct arbiter_answer *answer)
{
	struct rig_seat *s = rig_seat_of(m);

	assert_true(s->answered < ARRAY_LEN(s->answers));
	s->answers[s->answered++] = *answer;
}

static inline void rig_killed(struct member *m, enum arbiter_blame blame)
{
	(void)blame;
	rig_seat_of(m)->killed++;
}

static inline int rig_keep(unsigned disk, const struct arbiter_record *record, bool durable)
{
	(void)disk;
	assert_true(record_is_sound(record)); /* or the journal would not take it */
	rig->keeps++;
	rig->durable_keeps += durable;
	return rig->keep_result;
}

static inline int rig_say(struct rig_seat *s, uint32_t type, const void *body, size_t size)
{
	struct message m = {.type = type};
	int r;

	if (size > 0)
		memcpy(m.body, body, size);
	r = court_hear(&rig->court, &s->member, &m);
	court_turn(&rig->court, rig->nexus.now_ms);
	return r;
}

/* What one seat has to say and to hear; true: there was something. */
static inline bool rig_share_one(struct rig_seat *s)
{
	struct arbiter_order order;
	struct arbiter_drop drop;
	bool any = false;

	if (s->nexus == NULL)
		return false;
	for (; scsi_drop_next(s->nexus, &drop); any = true) {
		assert_int_equal(rig_say(s, ARBITER_DROP, &drop, sizeof drop), 0);
		scsi_drop_sent(s->nexus);
	}
	for (; scsi_order_next(s->nexus, &order); any = true) {
		scsi_order_sent(s->nexus);
		assert_int_equal(rig_say(s, ARBITER_ORDER, &order, sizeof order), 0);
	}
	for (; s->view.settled > 0; s->view.settled--, any = true)
		assert_int_equal(rig_say(s, ARBITER_SETTLED, NULL, 0), 0);
	while (s->answered > 0) {
		struct arbiter_answer answer = s->answers[0];

		memmove(s->answers, s->answers + 1, --s->answered * sizeof answer);
		scsi_answered(s->nexus, &answer);
		any = true;
	}
	scsi_shared_turn(s->nexus);
	return any;
}

/* Messages of all go until none is left. */
static inline void rig_share(void)
{
	bool any;

	do {
		any = false;
		for (size_t k = 0; k < RIG_SEATS; k++)
			any = rig_share_one(&rig->seats[k]) || any;
	} while (any);
}

static inline void rig_end_tasks(void *host, const struct scsi_lun *lun, bool with_status)
{
	struct rig_seat *s = host;

	s->to_end |= 1ull << lun->number;
	s->to_tell |= (uint64_t)with_status << lun->number;
}

/* A session of initiator `seat`, which has disk n as LUN n. */
static inline void rig_sit(unsigned seat, struct scsi_nexus *nexus)
{
	struct rig_seat *s = &rig->seats[seat];
	struct arbiter_attach info = {.connection = seat + 1, .relative_port = 1};
	struct arbiter_hello hello = {.life = 1};

	(void)snprintf(info.initiator, ISCSI_NAME_SIZE, "iqn.2026-11.net.example:%u",
		       seat - rig->namesake[seat]);
	info.isid[5] = (uint8_t)seat;
	(void)snprintf(info.target, ISCSI_NAME_SIZE, "iqn.2026-11.net.example.gw:vault");
	for (uint16_t lun = 0; lun < RIG_LUNS; lun++)
		info.disks[lun] = (uint16_t)(lun + 1);
	memset(info.writable, 0xff, sizeof info.writable);
	s->member = (struct member){.own = &s->own};
	assert_int_equal(court_attach(&rig->court, &s->member, &info), 0);
	s->view = (struct arbiter_view){
		.page = rig->shared, .own = &s->own, .me = seat + 1, .nexus = s->member.nexus};
	arbiter_view_attach(&s->view);
	assert_int_equal(rig_say(s, ARBITER_HELLO, &hello, sizeof hello), 0);
	s->nexus = nexus;
	nexus->arbiter = &s->view;
	nexus->groups[0] = (struct scsi_port_group){s->member.port, 1};
	nexus->group_count = 1;
	nexus->host = s;
	nexus->end_tasks = rig_end_tasks;
}

static inline void rig_open_arbiter(void)
{
	static const struct court_ops ops = {.changed = rig_changed,
					     .done = rig_reset_done,
					     .answer = rig_answered,
					     .kill = rig_killed,
					     .keep = rig_keep};
	int fd = memfd_shared("arbiter", sizeof *rig->shared);

	assert_true(fd >= 0);
	rig->shared = mmap(NULL, sizeof *rig->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(rig->shared != MAP_FAILED);
	fd_close(&fd);
	assert_int_equal(court_open(&rig->court, rig->shared, 1, RIG_LUNS, &ops), 0);
	rig_sit(0, &rig->nexus);
	court_go(&rig->court, rig->nexus.now_ms);
}

/* Somebody else's session, `nexus` zeroed, with the same LUNs; after those were added. */
static inline void rig_open_peer(unsigned seat, struct scsi_nexus *nexus)
{
	*nexus = rig->nexus;
	nexus->gate = NULL;
	nexus->verifier = NULL;
	rig_sit(seat, nexus);
	for (uint16_t lun = 0; lun < RIG_LUNS; lun++) {
		if (nexus->luns[lun].present)
			arbiter_view_hold(nexus->arbiter, lun, lun);
	}
	assert_int_equal(scsi_nexus_open(nexus, RIG_ADMISSIONS), 0);
}

/* A session that gives no commands resets its LUN 0. */
static inline void rig_reset_by(unsigned seat)
{
	struct arbiter_exclude body = {.id = 1, .luns = {1}};

	arbiter_view_ask(&rig->seats[seat].view, body.luns);
	assert_int_equal(rig_say(&rig->seats[seat], ARBITER_EXCLUDE, &body, sizeof body), 0);
}

static inline int rig_open(void **state)
{
	(void)state;
	rig = calloc(1, sizeof *rig);
	assert_non_null(rig);
	rig->disk = calloc(RIG_BLOCKS, RIG_BLOCK);
	rig->buffer = malloc(RIG_BUFFER);
	assert_true(rig->disk && rig->buffer);
	memset(rig->buffer, RIG_POISON, RIG_BUFFER);
	rig_open_ring();
	rig_open_arbiter();
	rig->nexus.ring = &rig->ring;
	rig->nexus.now_ms = 1000;
	rig->nexus.wall_ns = 1700000000000000000u;
	rig->nexus.portal_group = 1;
	rig->nexus.relative_port = 1;
	rig->nexus.protocol_level = 2;
	rig->nexus.lun_failed = rig_lun_failed;
	(void)string_copy(rig->nexus.target, ISCSI_NAME_SIZE, "iqn.2026-11.net.example.gw:vault");
	rig_add_lun(0, true);
	assert_int_equal(scsi_nexus_open(&rig->nexus, RIG_ADMISSIONS), 0);
	return 0;
}

static inline void rig_close(void)
{
	scsi_nexus_close(&rig->nexus);
	audit_ring_detach(&rig->ring);
	(void)munmap(rig->page, sizeof *rig->page);
	fd_close(&rig->auditor_fd);
	court_close(&rig->court);
	(void)munmap(rig->shared, sizeof *rig->shared);
	free(rig->disk);
	free(rig->second_disk);
	free(rig->buffer);
	free(rig);
	rig = NULL;
}

/* What an auditor that works would have done by now. */
static inline void rig_audit(void)
{
	atomic_store(&rig->page->consumed, rig->ring.head);
}

static inline void rig_audit_durable(void)
{
	rig_audit();
	atomic_store(&rig->page->durable, atomic_load(&rig->ring.memory->durable_wanted));
}

/* What destroys is carried out when its record is durable. */
static inline void rig_recorded(void)
{
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
}

static inline const struct audit_record *rig_record(uint64_t index)
{
	assert_true(index < rig->ring.head);
	return &rig->ring.memory->slots[index % AUDIT_RING_SLOTS];
}

/* The record before the last: 0 is the last. */
static inline const struct audit_record *rig_last(uint64_t back)
{
	return rig_record(rig->ring.head - 1 - back);
}

struct rig_command {
	uint8_t cdb[16];
	uint8_t lun[8];
	uint32_t edtl;
	bool read, write;
};

static inline void rig_prepare(struct scsi_task *task, const struct rig_command *c)
{
	memcpy(rig->cdb, c->cdb, sizeof c->cdb);
	*task = (struct scsi_task){
		.nexus = &rig->nexus,
		.cdb = rig->cdb,
		.cdb_len = 16,
		.tag = 7,
		.edtl = c->edtl,
		.read = c->read,
		.write = c->write,
		.done = rig_done,
	};
	memcpy(task->lun, c->lun, sizeof c->lun);
}

/* Gives the task its buffer in uneven pieces, so that seams are crossed. */
static inline void rig_give_buffer(struct scsi_task *task)
{
	size_t cut = MIN(task->bytes, 100);

	rig->iov[0] = (struct iovec){rig->buffer, cut};
	rig->iov[1] = (struct iovec){rig->buffer + cut, task->bytes - cut};
	task->iov = rig->iov;
	task->iov_count = 2;
	task->buffer_len = task->bytes;
}

/* Runs one command to its end, with the backend answering at once. */
static inline struct scsi_task *rig_run(const struct rig_command *c)
{
	struct scsi_task *task = &rig->task;
	enum scsi_step step;

	rig_prepare(task, c);
	step = scsi_begin(task);
	if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER) {
		assert_true(task->bytes > 0 && task->bytes <= c->edtl);
		rig_give_buffer(task);
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
	}
	if (step == SCSI_RUNNING) {
		for (unsigned turn = 0; turn < RIG_TURNS && rig->dones == 0; turn++) {
			rig_share();
			rig_reap();
			rig_audit_durable();
			scsi_audit_moved(&rig->nexus);
		}
		assert_int_equal(rig->dones, 1);
		rig->dones = 0;
	} else {
		assert_int_equal(step, SCSI_DONE);
		assert_int_equal(rig->dones, 0);
	}
	assert_null(task->admission);
	rig_audit();
	return task;
}

static inline unsigned rig_code(const struct scsi_task *task)
{
	return (unsigned)task->sense[12] << 8 | task->sense[13];
}
