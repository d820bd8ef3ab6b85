/* Devices for tests/fuzz/cdb.c: two sessions of two initiators on two disks (LUN 0 to write and LUN
 * 3 to read), the real court between them, a ring that always takes records, and memory in the
 * place of backends/backend.c whose requests end when asked, as asked. */
#pragma once

#include "gateway/arbiter/court.h"
#include "gateway/scsi/scsi.h"

#define DISK_BYTES (8u << 20)
#define SEATS	   2
#define TASKS_MAX  6
#define TURNS_MAX  20000

static struct audit_ring_memory slots;
static struct audit_ring_page page = {.state = AUDIT_WRITING, .durable = UINT64_MAX};
static struct audit_ring ring = {.memory = &slots, .page = &page};
static struct backend disk;
static struct arbiter_page shared;
static struct court court;
static uint8_t buffers[TASKS_MAX][SCSI_TRANSFER_MAX]; /* who waits looks at its own again */
static struct io *queue[64];
static size_t queued;

static struct seat {
	struct member member;
	struct arbiter_own own;
	struct arbiter_view view;
	struct scsi_nexus nexus;
	struct arbiter_answer answers[1 + ARBITER_RANGES_EACH];
	unsigned answered;
	bool ends[4];
} seats[SEATS];

static struct conversation {
	struct scsi_task task;
	struct iovec iov;
	uint8_t cdb[16];
	enum { NEVER_BEGAN, RUNS, IS_OVER } state;
} all[TASKS_MAX];

int backend_check(struct backend *b)
{
	assert(b == &disk);
	return 0;
}

int backend_submit(struct backend *b, const struct admission *admission, struct io *io)
{
	assert(b == &disk && admission != NULL);
	assert(io->op == IO_FLUSH || io->offset + io->length <= DISK_BYTES);
	assert(queued < ARRAY_LEN(queue));
	queue[queued++] = io;
	return 0;
}

/* --- the court --- */

static inline void on_changed(struct member *m)
{
	(void)m;
}

static inline void on_reset_done(struct member *m, uint32_t id)
{
	(void)m, (void)id;
}

static inline void on_answer(struct member *m, const struct arbiter_answer *answer)
{
	struct seat *s = CONTAINER_OF(m, struct seat, member);

	assert(s->answered < ARRAY_LEN(s->answers));
	s->answers[s->answered++] = *answer;
}

static inline void on_kill(struct member *m, enum arbiter_blame blame)
{
	(void)m, (void)blame;
	assert(false); /* our sessions are honest */
}

static inline int on_keep(unsigned d, const struct arbiter_record *record, bool durable)
{
	(void)record, (void)durable;
	assert(d < 2);
	return 0;
}

static inline void on_end_tasks(void *host, const struct scsi_lun *lun, bool with_status)
{
	(void)with_status;
	((struct seat *)host)->ends[lun->number] = true;
}

static inline void say(struct seat *s, uint32_t type, const void *body, size_t size)
{
	struct message m = {.type = type};

	if (size > 0)
		memcpy(m.body, body, size);
	assert(court_hear(&court, &s->member, &m) == 0);
	court_turn(&court, 1);
}

/* --- one device --- */

static inline void unit_open(struct seat *s, uint16_t lun, uint16_t disk_number)
{
	bool writable = lun == 0;

	s->nexus.luns[lun] = (struct scsi_lun){.present = true,
					       .number = lun,
					       .writable = writable,
					       .thin = writable,
					       .removable = writable,
					       .block_size = 512,
					       .blocks = DISK_BYTES / 512,
					       .naa = {0x31, (uint8_t)lun},
					       .naa_len = 8,
					       .serial = "0f5c9e4c",
					       .backend = &disk};
	arbiter_view_hold(&s->view, lun, disk_number);
	memset(&s->own.luns[lun], 0, sizeof s->own.luns[lun]);
}

static inline void device_open(struct seat *s, unsigned n)
{
	struct arbiter_attach info = {.connection = n + 1,
				      .relative_port = (uint16_t)(n + 1),
				      .groups = {1, 2},
				      .initiator = "iqn.2026-11.a",
				      .disks = {1, [3] = 2},
				      .writable = {1}};
	struct arbiter_hello hello = {.life = 1};

	info.initiator[12] = (char)('a' + n);
	s->member = (struct member){.own = &s->own};
	assert(court_attach(&court, &s->member, &info) == 0);
	s->view.page = &shared;
	s->view.own = &s->own;
	s->view.me = n + 1;
	s->view.nexus = s->member.nexus;
	arbiter_view_attach(&s->view);
	if (s->nexus.gate == NULL) {
		s->nexus = (struct scsi_nexus){.now_ms = 1,
					       .ring = &ring,
					       .arbiter = &s->view,
					       .host = s,
					       .end_tasks = on_end_tasks};
		assert(scsi_nexus_open(&s->nexus, TASKS_MAX) == 0);
		assert(command_set_add(&s->nexus.rules.allowed, "sanitize"));
		assert(command_set_add(&s->nexus.rules.allowed, "set-target-port-groups"));
	}
	s->nexus.groups[0] = (struct scsi_port_group){s->member.port, (uint16_t)(n + 1)};
	s->nexus.group_count = 1;
	unit_open(s, 0, 0);
	unit_open(s, 3, 1);
	say(s, ARBITER_HELLO, &hello, sizeof hello);
}

/* What takes long to make is made once. */
static inline void devices_open(void)
{
	static const struct court_ops ops = {.changed = on_changed,
					     .done = on_reset_done,
					     .answer = on_answer,
					     .kill = on_kill,
					     .keep = on_keep};

	memset(shared.disks, 0, 2 * sizeof shared.disks[0]);
	memset(all, 0, sizeof all);
	if (court.page == NULL)
		assert(court_open(&court, &shared, 1, 2, &ops) == 0);
	court.members = NULL;
	for (unsigned d = 0; d < 2; d++) {
		if (court.records[d] != NULL)
			memset(court.records[d], 0, sizeof *court.records[d]);
		publish_open(&court, d);
	}
	for (unsigned n = 0; n < SEATS; n++)
		device_open(&seats[n], n);
	court_go(&court, 1);
}

static inline void devices_close(void)
{
	for (unsigned n = 0; n < SEATS; n++) {
		const struct arbiter_own_lun *own = &seats[n].own.luns[0];

		assert(scsi_room(&seats[n].nexus) == TASKS_MAX);
		assert(own->in_flight[0] + own->in_flight[1] == 0);
	}
	assert(court.queue == NULL && atomic_load(&shared.disks[0].range_count) == 0);
}

/* --- tasks --- */

static inline void on_done(struct scsi_task *task)
{
	struct conversation *c = CONTAINER_OF(task, struct conversation, task);

	assert(c->state == RUNS && task->data_len <= task->bytes);
	c->state = IS_OVER;
}

static inline void go_on(struct conversation *c, enum scsi_step step)
{
	struct scsi_task *task = &c->task;

	while (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER) {
		assert(task->bytes <= task->edtl && task->bytes <= SCSI_TRANSFER_MAX);
		c->iov = (struct iovec){buffers[c - all], task->bytes};
		task->iov = &c->iov;
		task->iov_count = 1;
		task->buffer_len = task->bytes;
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
	}
	if (step == SCSI_DONE)
		on_done(task);
}

static inline void cancel(struct conversation *c)
{
	if (c->state == RUNS && scsi_cancel(&c->task))
		c->state = IS_OVER;
}

static inline bool seat_turn(struct seat *s)
{
	struct arbiter_order order;
	struct arbiter_drop drop;
	struct scsi_task *task;
	bool any = false;

	for (unsigned lun = 0; lun < ARRAY_LEN(s->ends); lun++) {
		for (unsigned k = 0; s->ends[lun] && k < TASKS_MAX; k++) {
			if (all[k].task.nexus == &s->nexus && all[k].task.unit &&
			    all[k].task.unit->number == lun)
				cancel(&all[k]);
		}
		if (s->ends[lun])
			scsi_tasks_ended(&s->nexus, lun);
		any = any || s->ends[lun];
		s->ends[lun] = false;
	}
	for (; scsi_drop_next(&s->nexus, &drop); any = true) {
		say(s, ARBITER_DROP, &drop, sizeof drop);
		scsi_drop_sent(&s->nexus);
	}
	for (; scsi_order_next(&s->nexus, &order); any = true) {
		scsi_order_sent(&s->nexus);
		say(s, ARBITER_ORDER, &order, sizeof order);
	}
	for (; s->view.settled > 0; s->view.settled--, any = true)
		say(s, ARBITER_SETTLED, NULL, 0);
	while (s->answered > 0) {
		struct arbiter_answer answer = s->answers[0];

		memmove(s->answers, s->answers + 1, --s->answered * sizeof answer);
		scsi_answered(&s->nexus, &answer);
		any = true;
	}
	for (; (task = scsi_next(&s->nexus)) != NULL; any = true)
		go_on(CONTAINER_OF(task, struct conversation, task), scsi_start(task));
	scsi_shared_turn(&s->nexus);
	scsi_audit_moved(&s->nexus);
	return any;
}

/* Until nothing moves; requests end with `result`. */
static inline void settle(int result)
{
	bool any = true;

	for (unsigned turn = 0; any; turn++) {
		assert(turn < TURNS_MAX);
		any = queued > 0;
		if (queued > 0) {
			struct io *io = queue[0];

			memmove(queue, queue + 1, --queued * sizeof queue[0]);
			io->done(io, result);
		}
		for (unsigned n = 0; n < SEATS; n++)
			any = seat_turn(&seats[n]) || any;
		/* Who waited for the audit goes on when it has taken something. */
		any = any || queued > 0 || atomic_load(&page.consumed) != ring.head;
		atomic_store(&page.consumed, ring.head);
	}
}
