/* The buffer of a nexus, who has it, and reading the medium through it. Runs in the session;
 * the data-out is the peer's and only compared. A command that ends gives the buffer back
 * with everything else (task_leave() in device.c), however it ends. */
#include "gateway/scsi/verifier.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"

struct verifier {
	struct scsi_task *owner, *waiting;
	_Alignas(IO_ALIGNED) uint8_t
		buffer[WRITE_ATOMIC_MAX_OCTETS]; /* of the kernel's, until it is written to */
};

_Static_assert(VERIFY_PIECE <= WRITE_ATOMIC_MAX_OCTETS, "a piece fits");

int verifier_open(struct verifier **ret_verifier)
{
	struct verifier *v = aligned_alloc(_Alignof(struct verifier), sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	memset(v, 0, offsetof(struct verifier, buffer));
	*ret_verifier = v;
	return 0;
}

void verifier_close(struct verifier *v)
{
	free(v);
}

uint8_t *verifier_buffer(const struct scsi_task *task)
{
	assert(task->nexus->verifier->owner == task);
	return task->nexus->verifier->buffer;
}

/* --- whose it is --- */

static void wait_for_it(struct verifier *v, struct scsi_task *task)
{
	struct scsi_task **end = &v->waiting;

	while (*end != NULL)
		end = &(*end)->next;
	task->next = NULL;
	task->waits_for_buffer = true;
	*end = task;
}

enum scsi_step verifier_take(struct scsi_task *task, enum scsi_step (*then)(struct scsi_task *task))
{
	struct verifier *v = task->nexus->verifier;

	task->with_buffer = then;
	if (v->owner != NULL || v->waiting != NULL) {
		wait_for_it(v, task);
		return SCSI_RUNNING;
	}
	v->owner = task;
	return then(task);
}

void verifier_leave(struct scsi_task *task)
{
	struct verifier *v = task->nexus->verifier;
	struct scsi_task **at = &v->waiting;

	if (v->owner == task)
		v->owner = NULL;
	if (!task->waits_for_buffer)
		return;
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->next = NULL;
	task->waits_for_buffer = false;
}

/* done() may begin and cancel others: the list is looked at afresh after each. */
bool verifier_turn(struct scsi_nexus *n)
{
	struct verifier *v = n->verifier;
	bool any = false;

	while (v->owner == NULL && v->waiting != NULL) {
		struct scsi_task *task = v->waiting;

		verifier_leave(task);
		v->owner = task;
		if (task->with_buffer(task) == SCSI_DONE)
			task->done(task);
		any = true;
	}
	return any;
}

/* --- reading --- */

static void was_read(struct io *io, int result);

static enum scsi_step read_piece(struct scsi_task *task)
{
	struct io *io = &task->io;

	io->length = MIN(VERIFY_PIECE, medium_octets(task) - task->progress);
	io->iov[0] = (struct iovec){verifier_buffer(task), io->length};
	io->iov_count = 1;
	return medium_run(task, IO_READ, was_read);
}

enum scsi_step verifier_read(struct scsi_task *task,
			     bool (*look)(struct scsi_task *task, const uint8_t *octets,
					  size_t len),
			     void (*over)(struct scsi_task *task))
{
	task->look = look;
	task->read_over = over;
	task->progress = 0;
	return read_piece(task);
}

static void next_piece(struct scsi_task *task, size_t len)
{
	if (!task->look(task, verifier_buffer(task), len)) {
		task_finish(task, task_fail);
		return;
	}
	task->progress += len;
	if (task->progress < medium_octets(task)) {
		if (read_piece(task) == SCSI_DONE)
			task->done(task);
		return;
	}
	task->progress = 0;
	verifier_leave(task);
	task->read_over(task);
}

static void was_read(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);
	struct scsi_nexus *n = task->nexus;

	if (medium_continue(task, result))
		next_piece(task, io->length);
	(void)verifier_turn(n);
}

/* --- comparing --- */

/* Octets of `bytes` that equal the data-out from `skip` on, until the first that does not. */
static size_t equal_octets(const struct scsi_task *task, size_t skip, const uint8_t *bytes,
			   size_t len)
{
	size_t equal = 0;

	for (unsigned i = 0; i < task->iov_count && equal < len; i++) {
		const uint8_t *base = task->iov[i].iov_base;
		size_t part;

		if (skip >= task->iov[i].iov_len) {
			skip -= task->iov[i].iov_len;
			continue;
		}
		part = MIN(len - equal, task->iov[i].iov_len - skip);
		if (memcmp(base + skip, bytes + equal, part) == 0) {
			equal += part;
			skip = 0;
			continue;
		}
		while (base[skip] == bytes[equal]) {
			skip++;
			equal++;
		}
		return equal;
	}
	return equal;
}

bool verifier_match(struct scsi_task *task, size_t skip, const uint8_t *octets, size_t len)
{
	size_t equal = equal_octets(task, skip, octets, len);

	if (equal == len)
		return true;
	sense_set_information(task, KEY_MISCOMPARE, SENSE_MISCOMPARE_DURING_VERIFY, skip + equal);
	return false;
}
