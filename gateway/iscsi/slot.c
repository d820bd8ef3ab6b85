/* Task slots and their buffers. Each slot has a chunk of its own, which takes all
 * unsolicited data; larger transfers share the other chunks, first come first served.
 * Runs in the session process; every index here is ours. */
#include "gateway/iscsi/core.h"

static bool is_command(const struct slot *s)
{
	return s->kind == SLOT_COMMAND;
}

void slots_start(struct iscsi *i)
{
	for (unsigned n = 0; n < ISCSI_TASKS_MAX; n++)
		i->free_slots[n] = (uint16_t)(ISCSI_TASKS_MAX - 1 - n);
	i->free_slot_count = ISCSI_TASKS_MAX;
	for (unsigned n = 0; n < EXTRA_CHUNKS; n++)
		i->free_extra[n] = (uint16_t)(EXTRA_CHUNKS - 1 - n);
	i->free_extra_count = EXTRA_CHUNKS;
}

int slot_after(const struct iscsi *i, int n)
{
	for (unsigned word = (unsigned)(n + 1) / 64; word < SLOT_WORDS; word++) {
		uint64_t left = i->used[word];

		if (word == (unsigned)(n + 1) / 64)
			left &= ~0ull << (unsigned)(n + 1) % 64;
		if (left)
			return (int)(word * 64) + __builtin_ctzll(left);
	}
	return -1;
}

bool slots_has(const uint64_t set[], const struct slot *s)
{
	return (set[s->task.slot / 64] & 1ull << s->task.slot % 64) != 0;
}

/* What ends other tasks has places of its own, for when those take all the others. */
static bool is_control(const struct iscsi *i, enum slot_kind kind, const struct pdu *pdu)
{
	return pdu->immediate && (kind == SLOT_TMF || kind == SLOT_LOGOUT) &&
	       i->immediate_used == ISCSI_IMMEDIATE_MAX;
}

static bool has_place(const struct iscsi_connection *c, enum slot_kind kind, const struct pdu *pdu)
{
	const struct iscsi *i = c->i;

	if (is_control(i, kind, pdu))
		return c->control_used < ISCSI_CONTROL_MAX;
	if (i->free_slot_count + i->control_used <= ISCSI_CONTROL_MAX * ISCSI_CONNECTIONS_MAX)
		return false;
	return !pdu->immediate || i->immediate_used < ISCSI_IMMEDIATE_MAX;
}

static void count_place(struct iscsi *i, const struct slot *s, int one)
{
	if (s->control) {
		i->control_used += (unsigned)one;
		s->conn->control_used += (unsigned)one;
	} else if (s->task.immediate) {
		i->immediate_used += (unsigned)one;
	}
}

/* RFC 7143 section 4.2.2.1: who sends what the window allows is never turned away for want of a
 * place, so no more is allowed than there are places for. */
uint32_t slots_for_window(const struct iscsi *i)
{
	unsigned others = ISCSI_CONTROL_MAX * ISCSI_CONNECTIONS_MAX - i->control_used +
			  ISCSI_IMMEDIATE_MAX - i->immediate_used;

	return i->free_slot_count > others ? i->free_slot_count - others : 0;
}

struct slot *slot_new(struct iscsi_connection *c, enum slot_kind kind, const struct pdu *pdu)
{
	struct iscsi *i = c->i;
	struct slot *s;
	unsigned n;

	if (!has_place(c, kind, pdu))
		return NULL;
	n = i->free_slots[--i->free_slot_count];
	s = &i->slots[n];
	memset(s, 0, sizeof *s);
	s->conn = c;
	s->kind = kind;
	s->state = SLOT_FILLING;
	s->answer.kind = JOB_ANSWER;
	s->ask.kind = JOB_R2T;
	s->again.kind = JOB_AGAIN;
	s->pdu = *pdu;
	s->task.slot = n;
	s->task.itt = pdu->itt;
	s->task.cmdsn = pdu->cmdsn;
	s->task.immediate = pdu->immediate;
	s->control = is_control(i, kind, pdu);
	count_place(i, s, 1);
	i->itts[n] = pdu->itt;
	i->used[n / 64] |= 1ull << n % 64;
	if (is_command(s))
		i->commands[n / 64] |= 1ull << n % 64;
	return s;
}

void slot_activate(struct iscsi *i, struct slot *s)
{
	s->state = SLOT_ACTIVE;
	s->counted = !s->task.immediate;
	i->window_used += s->counted;
}

static void take_chunks(struct iscsi *i, struct slot *s, size_t bytes)
{
	size_t chunks = (bytes + ISCSI_CHUNK_SIZE - 1) / ISCSI_CHUNK_SIZE;

	while (chunks > 0 && s->extra_count < chunks - 1)
		s->extra[s->extra_count++] = i->free_extra[--i->free_extra_count];
}

static bool chunks_free(const struct iscsi *i, const struct slot *s, size_t bytes)
{
	size_t chunks = (bytes + ISCSI_CHUNK_SIZE - 1) / ISCSI_CHUNK_SIZE;

	return chunks <= 1 + (size_t)s->extra_count + i->free_extra_count;
}

bool slot_reserve(struct iscsi *i, struct slot *s, size_t bytes)
{
	assert(bytes <= (size_t)ISCSI_TASK_CHUNKS * ISCSI_CHUNK_SIZE);
	s->reserve = bytes;
	if ((!i->waiting_first || bytes <= ISCSI_CHUNK_SIZE) && chunks_free(i, s, bytes)) {
		take_chunks(i, s, bytes);
		return true;
	}
	s->waits_for_chunks = true;
	s->next_waiting = NULL;
	*i->waiting_last = s;
	i->waiting_last = &s->next_waiting;
	kept_solicit(i);
	return false;
}

static void stop_waiting(struct iscsi *i, struct slot *s)
{
	struct slot **at = &i->waiting_first;

	while (*at && *at != s)
		at = &(*at)->next_waiting;
	if (!*at)
		return;
	*at = s->next_waiting;
	if (!*at)
		i->waiting_last = at;
	s->waits_for_chunks = false;
}

static void serve_waiting(struct iscsi *i)
{
	while (i->waiting_first && chunks_free(i, i->waiting_first, i->waiting_first->reserve)) {
		struct slot *s = i->waiting_first;

		stop_waiting(i, s);
		take_chunks(i, s, s->reserve);
		command_buffer_ready(i, s);
	}
}

void slot_free(struct iscsi *i, struct slot *s)
{
	unsigned n = s->task.slot;

	assert(s->state != SLOT_FREE && !s->in_host && s->in_frames == 0);
	rx_forget(s->conn, s);
	fence_forget(s);
	tx_unqueue(s->conn, &s->answer);
	tx_unqueue(s->conn, &s->ask);
	tx_unqueue(s->conn, &s->again);
	kept_remove(s->conn, &s->answer);
	if (s->waits_for_chunks)
		stop_waiting(i, s);
	while (s->extra_count > 0)
		i->free_extra[i->free_extra_count++] = s->extra[--s->extra_count];
	i->commands[n / 64] &= ~(1ull << n % 64);
	i->used[n / 64] &= ~(1ull << n % 64);
	i->window_used -= s->counted;
	abort_set_forget(i, s);
	if (i->unrecorded > 0)
		waiters_forget(i, s);
	i->withheld -= s->withheld;
	count_place(i, s, -1);
	s->state = SLOT_FREE;
	i->free_slots[i->free_slot_count++] = (uint16_t)n;
	if (i->lost)
		return;
	serve_waiting(i);
	window_announce(i);
}

struct slot *slot_of(struct iscsi *i, struct iscsi_task *task)
{
	struct slot *s = CONTAINER_OF(task, struct slot, task);

	assert(s == &i->slots[task->slot] && s->state != SLOT_FREE);
	return s;
}

struct slot *slot_by_itt(struct iscsi *i, uint32_t itt)
{
	for (unsigned word = 0; word < SLOT_WORDS; word++)
		for (uint64_t left = i->commands[word]; left; left &= left - 1) {
			unsigned n = word * 64 + (unsigned)__builtin_ctzll(left);

			if (i->itts[n] == itt)
				return &i->slots[n];
		}
	return NULL;
}

struct slot *slot_answered(struct iscsi *i, uint32_t itt)
{
	EACH_SLOT(i, n)
	{
		struct slot *s = &i->slots[n];

		if (is_command(s) && s->task.itt == itt &&
		    (s->state == SLOT_ANSWERING || s->state == SLOT_SENT))
			return s;
	}
	return NULL;
}

/* What is kept is no task any more: its tag may be used again, and it can't be aborted. */
void slot_sent(struct iscsi *i, struct slot *s)
{
	unsigned n = s->task.slot;

	s->state = SLOT_SENT;
	i->commands[n / 64] &= ~(1ull << n % 64);
}

static uint8_t *slot_chunk(struct iscsi *i, const struct slot *s, size_t n)
{
	assert(n <= s->extra_count);
	return i->chunks +
	       (n == 0 ? (size_t)s->task.slot : ISCSI_TASKS_MAX + (size_t)s->extra[n - 1]) *
		       ISCSI_CHUNK_SIZE;
}

uint8_t *slot_at(struct iscsi *i, struct slot *s, size_t offset, size_t *ret_contiguous)
{
	size_t within = offset % ISCSI_CHUNK_SIZE;

	*ret_contiguous = ISCSI_CHUNK_SIZE - within;
	return slot_chunk(i, s, offset / ISCSI_CHUNK_SIZE) + within;
}

void slot_set_buffer(struct iscsi *i, struct slot *s, size_t bytes)
{
	struct iscsi_task *t = &s->task;

	t->iov_count = 0;
	t->buffer_len = bytes;
	for (size_t at = 0; at < bytes; at += ISCSI_CHUNK_SIZE)
		t->iov[t->iov_count++] = (struct iovec){
			.iov_base = slot_chunk(i, s, at / ISCSI_CHUNK_SIZE),
			.iov_len = MIN(bytes - at, ISCSI_CHUNK_SIZE),
		};
}

void aborted_remember(struct iscsi *i, uint32_t itt)
{
	i->aborted[i->aborted_next] = itt;
	i->aborted_next = (i->aborted_next + 1) % ABORTED_MAX;
	i->aborted_count = MIN(i->aborted_count + 1, ABORTED_MAX);
}

bool aborted_known(const struct iscsi *i, uint32_t itt)
{
	for (unsigned n = 0; n < i->aborted_count; n++)
		if (i->aborted[n] == itt)
			return true;
	return false;
}
