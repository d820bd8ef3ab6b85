/* What a disk's record has of reservations: looked up, put, dropped, and judged after it was
 * read back. Runs in the arbiter and with its journal; asks nobody and sends nothing. */
#include "gateway/arbiter/reservations.h"

/* --- the record --- */

struct registration *registration_find(struct arbiter_record *r, uint64_t nexus)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS && nexus != 0; i++) {
		if (r->registrations[i].nexus == nexus)
			return &r->registrations[i];
	}
	return NULL;
}

bool registration_exists(const struct arbiter_record *r, uint64_t nexus)
{
	return registration_find((struct arbiter_record *)(uintptr_t)r, nexus) != NULL;
}

bool reservation_is_held_by(const struct arbiter_record *r, uint64_t nexus)
{
	if (!reservation_is_persistent(r->state.reservation))
		return false;
	if (reservation_is_of_all(r->state.reservation))
		return registration_exists(r, nexus);
	return r->state.holder == nexus;
}

bool reservation_has_registrations(const struct arbiter_record *r)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (r->registrations[i].nexus != 0)
			return true;
	}
	return false;
}

bool registration_put(struct arbiter_record *r, const struct registration *new)
{
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (r->registrations[i].nexus != 0)
			continue;
		r->registrations[i] = *new;
		r->state.registrants[i] = new->nexus;
		return true;
	}
	return false;
}

void registration_drop(struct arbiter_record *r, struct registration *gone)
{
	r->state.registrants[gone - r->registrations] = 0;
	*gone = (struct registration){0};
}

void reservation_drop(struct arbiter_record *r)
{
	r->state.reservation = RESERVATION_NONE;
	r->state.holder = 0;
}

void reservation_put(struct arbiter_record *r, uint8_t type, uint64_t nexus)
{
	r->state.reservation = type;
	r->state.holder = reservation_is_of_all(type) ? 0 : nexus;
}

/* --- is it sound? --- */

static bool place_is_sound(const struct arbiter_record *r, size_t at)
{
	const struct registration *one = &r->registrations[at];

	if (r->state.registrants[at] != one->nexus)
		return false;
	if (one->nexus == 0)
		return true;
	for (size_t i = 0; i < at; i++) {
		if (r->registrations[i].nexus == one->nexus)
			return false;
	}
	return one->key != 0 && memchr(one->initiator, '\0', sizeof one->initiator) != NULL;
}

bool reservations_are_sound(const struct arbiter_record *r)
{
	uint8_t type = r->state.reservation;

	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		if (!place_is_sound(r, i))
			return false;
	}
	if (type == RESERVATION_NONE)
		return r->state.holder == 0;
	if (type == RESERVATION_RESERVE_6)
		return r->state.holder != 0 && !reservation_has_registrations(r);
	if (!reservation_is_persistent(type))
		return false;
	return reservation_is_of_all(type)
		       ? r->state.holder == 0 && reservation_has_registrations(r)
		       : registration_exists(r, r->state.holder);
}
