/* A record as octets and back: every field has a row with its place and its bound, big-endian,
 * so that a file says the same to every build. Runs in the arbiter. What is read is
 * believed after its bounds and relations are checked, and no sooner. */
#include "gateway/arbiter/journal.h"
#include "gateway/arbiter/reservations.h"
#include "gateway/base/bytes.h"

#define ERRNO_MAX 4095

/* Whoever adds to a record adds a row here, or says why it need not be kept. Files of a release say
 * another VERSION then. */
_Static_assert(sizeof(struct arbiter_state) == 1208, "a new field of the state has no row yet");
_Static_assert(sizeof(struct arbiter_record) ==
		       sizeof(struct arbiter_state) + 128 * 256 + 256 * 24 + 128 * (12 + 8) + 56,
	       "a new field of the record has no row yet");
_Static_assert(sizeof(struct registration) == 256, "a new field of registrations is not kept yet");
_Static_assert(sizeof(struct arbiter_event) == 24, "a new field of events is not kept yet");
_Static_assert(sizeof(struct remembered) == 12, "a new field of answers is not kept yet");

#define MEMBER(member) (((const struct arbiter_record *)NULL)->member)
#define FIELD(member, most)                                                            \
	{                                                                              \
		offsetof(struct arbiter_record, member), sizeof MEMBER(member), (most) \
	}

#define ACCESS(n) \
	FIELD(state.access[n].port, UINT64_MAX), FIELD(state.access[n].state, ACCESS_UNAVAILABLE)
_Static_assert(ARBITER_GROUPS == 8, "each has a row");

/* Not state.registrants: they are the registrations' nexuses. */
static const struct field {
	size_t at, width;
	uint64_t most;
} fields[] = {
	FIELD(state.size, INT64_MAX),
	FIELD(state.resets, UINT64_MAX),
	FIELD(state.holder, UINT64_MAX),
	FIELD(state.failed, ERRNO_MAX),
	FIELD(state.progress, UINT16_MAX),
	FIELD(state.reservation, UINT8_MAX),
	FIELD(state.operation, OPERATION_SANITIZE_FAILED),
	FIELD(state.ejected, 1),
	FIELD(state.prevented, 1),
	FIELD(state.stopped, UINT8_MAX),
	FIELD(state.free_exit, 1),
	FIELD(pr_generation, UINT32_MAX),
	FIELD(aptpl, 1),
	FIELD(failed_since_s, INT64_MAX),
	FIELD(operator_connection, UINT32_MAX),
	FIELD(operator_order, UINT32_MAX),
	FIELD(event_count, UINT64_MAX),
	FIELD(event_new, ARBITER_EVENTS),
	ACCESS(0),
	ACCESS(1),
	ACCESS(2),
	ACCESS(3),
	ACCESS(4),
	ACCESS(5),
	ACCESS(6),
	ACCESS(7),
};

static uint64_t field_get(const struct arbiter_record *r, const struct field *f)
{
	const void *p = (const uint8_t *)r + f->at;
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	switch (f->width) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		memcpy(&v2, p, sizeof v2);
		return v2;
	case 4:
		memcpy(&v4, p, sizeof v4);
		return v4;
	default:
		memcpy(&v8, p, sizeof v8);
		return v8;
	}
}

static void field_set(struct arbiter_record *r, const struct field *f, uint64_t value)
{
	const uint32_t v4 = (uint32_t)value;
	const uint16_t v2 = (uint16_t)value;
	const uint8_t v1 = (uint8_t)value;
	const void *from = f->width == 1   ? (const void *)&v1
			   : f->width == 2 ? (const void *)&v2
			   : f->width == 4 ? (const void *)&v4
					   : (const void *)&value;

	memcpy((uint8_t *)r + f->at, from, f->width);
}

/* --- what can't be --- */

bool record_is_sound(const struct arbiter_record *r)
{
	for (size_t k = 0; k < ARRAY_LEN(fields); k++) {
		if (field_get(r, &fields[k]) > fields[k].most)
			return false;
	}
	return r->event_new <= r->event_count && reservations_are_sound(r);
}

/* --- writing --- */

static void registration_write(struct wr *w, size_t place, const struct registration *g)
{
	size_t len = strnlen(g->initiator, sizeof g->initiator);

	wr_be(w, 1, place);
	wr_be(w, 8, g->nexus);
	wr_be(w, 8, g->port);
	wr_be(w, 8, g->key);
	wr_be(w, 2, g->relative_port);
	wr_bytes(w, g->isid, sizeof g->isid);
	wr_be(w, 1, len);
	wr_bytes(w, g->initiator, len);
}

static void event_write(struct wr *w, const struct arbiter_event *e)
{
	wr_be(w, 8, e->to);
	wr_be(w, 8, e->except);
	wr_be(w, 4, e->by);
	wr_be(w, 2, e->code);
	wr_be(w, 2, e->flags);
}

static void answers_write(struct wr *w, const struct arbiter_record *r)
{
	size_t count = 0;

	for (size_t k = 0; k < ARRAY_LEN(r->answers); k++)
		count += r->answers[k].connection != 0;
	wr_be(w, 2, count);
	for (size_t k = 0; k < ARRAY_LEN(r->answers); k++) {
		const struct remembered *a = &r->answers[k];

		if (a->connection == 0)
			continue;
		wr_be(w, 4, a->connection);
		wr_be(w, 4, a->id);
		wr_be(w, 1, a->status);
		wr_be(w, 1, a->key);
		wr_be(w, 2, a->code);
	}
}

static void preventers_write(struct wr *w, const struct arbiter_record *r)
{
	size_t count = 0;

	for (size_t k = 0; k < ARRAY_LEN(r->preventers); k++)
		count += r->preventers[k] != 0;
	wr_be(w, 2, count);
	for (size_t k = 0; k < ARRAY_LEN(r->preventers); k++) {
		if (r->preventers[k] != 0)
			wr_be(w, 8, r->preventers[k]);
	}
}

void record_write(struct wr *w, const struct arbiter_record *r)
{
	size_t count = 0;

	for (size_t k = 0; k < ARRAY_LEN(fields); k++)
		wr_be(w, fields[k].width, field_get(r, &fields[k]));
	wr_bytes(w, r->state.modes, sizeof r->state.modes);
	wr_bytes(w, r->saved_modes, sizeof r->saved_modes);
	for (size_t k = 0; k < ARRAY_LEN(r->registrations); k++)
		count += r->registrations[k].nexus != 0;
	wr_be(w, 2, count);
	for (size_t k = 0; k < ARRAY_LEN(r->registrations); k++) {
		if (r->registrations[k].nexus != 0)
			registration_write(w, k, &r->registrations[k]);
	}
	for (size_t k = 0; k < MIN(r->event_new, ARBITER_EVENTS); k++)
		event_write(w, &r->events[k]);
	answers_write(w, r);
	preventers_write(w, r);
}

/* --- reading --- */

/* Places ascend, so no registration stands twice. */
static int registration_read(struct rd *rd, int *place, struct arbiter_record *r)
{
	uint64_t at = rd_be(rd, 1);
	struct registration *g;
	const uint8_t *isid, *name;
	uint64_t len;

	if (rd->failed || at >= ARBITER_REGISTRANTS || (int)at <= *place)
		return -EBADMSG;
	*place = (int)at;
	g = &r->registrations[at];
	g->nexus = rd_be(rd, 8);
	g->port = rd_be(rd, 8);
	g->key = rd_be(rd, 8);
	g->relative_port = (uint16_t)rd_be(rd, 2);
	isid = rd_bytes(rd, sizeof g->isid);
	len = rd_be(rd, 1);
	name = rd_bytes(rd, len);
	if (rd->failed || g->nexus == 0 || len == 0 || len >= sizeof g->initiator ||
	    memchr(name, '\0', len) != NULL)
		return -EBADMSG;
	memcpy(g->isid, isid, sizeof g->isid);
	memcpy(g->initiator, name, len);
	r->state.registrants[at] = g->nexus;
	return 0;
}

static int registrations_read(struct rd *rd, struct arbiter_record *r)
{
	uint64_t count = rd_be(rd, 2);
	int place = -1, e = 0;

	if (rd->failed || count > ARBITER_REGISTRANTS)
		return -EBADMSG;
	for (uint64_t k = 0; k < count && e == 0; k++)
		e = registration_read(rd, &place, r);
	return e;
}

static void event_read(struct rd *rd, struct arbiter_event *ret)
{
	ret->to = rd_be(rd, 8);
	ret->except = rd_be(rd, 8);
	ret->by = (uint32_t)rd_be(rd, 4);
	ret->code = (uint16_t)rd_be(rd, 2);
	ret->flags = (uint16_t)rd_be(rd, 2);
}

static void octets_read(struct rd *rd, uint8_t *ret, size_t len)
{
	const uint8_t *octets = rd_bytes(rd, len);

	if (octets != NULL)
		memcpy(ret, octets, len);
}

static int answers_read(struct rd *rd, struct arbiter_record *r)
{
	uint64_t count = rd_be(rd, 2);

	if (rd->failed || count > ARBITER_ANSWERS)
		return -EBADMSG;
	for (size_t k = 0; k < count; k++) {
		struct remembered *a = &r->answers[k];

		a->connection = (uint32_t)rd_be(rd, 4);
		a->id = (uint32_t)rd_be(rd, 4);
		a->status = (uint8_t)rd_be(rd, 1);
		a->key = (uint8_t)rd_be(rd, 1);
		a->code = (uint16_t)rd_be(rd, 2);
		if (rd->failed || a->connection == 0)
			return -EBADMSG;
	}
	return 0;
}

static int preventers_read(struct rd *rd, struct arbiter_record *r)
{
	uint64_t count = rd_be(rd, 2);

	if (rd->failed || count > ARBITER_PREVENTERS)
		return -EBADMSG;
	for (size_t k = 0; k < count; k++) {
		r->preventers[k] = rd_be(rd, 8);
		if (rd->failed || r->preventers[k] >> 32 == 0)
			return -EBADMSG;
	}
	return 0;
}

int record_read(struct rd *rd, struct arbiter_record *ret)
{
	*ret = (struct arbiter_record){0};
	for (size_t k = 0; k < ARRAY_LEN(fields); k++) {
		uint64_t value = rd_be(rd, fields[k].width);

		if (rd->failed || value > fields[k].most)
			return -EBADMSG;
		field_set(ret, &fields[k], value);
	}
	octets_read(rd, ret->state.modes, sizeof ret->state.modes);
	octets_read(rd, ret->saved_modes, sizeof ret->saved_modes);
	if (registrations_read(rd, ret) < 0)
		return -EBADMSG;
	for (size_t k = 0; k < ret->event_new; k++)
		event_read(rd, &ret->events[k]);
	if (answers_read(rd, ret) < 0 || preventers_read(rd, ret) < 0)
		return -EBADMSG;
	return rd->failed || rd_left(rd) > 0 || !record_is_sound(ret) ? -EBADMSG : 0;
}
