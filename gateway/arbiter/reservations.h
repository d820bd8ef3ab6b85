/* Reservations of a disk, as its record has them: who is registered under which key, who
 * holds what. Persistent ones (SPC-4 section 5.13) and those of RESERVE (SPC-2); the
 * orders for them are in court.h. */
#pragma once

#include "gateway/arbiter/record.h"

/* PERSISTENT RESERVE IN and OUT, service actions. */
enum pr_in_action {
	PR_READ_KEYS = 0x00,
	PR_READ_RESERVATION = 0x01,
	PR_REPORT_CAPABILITIES = 0x02,
	PR_READ_FULL_STATUS = 0x03,
};

enum pr_out_action {
	PR_REGISTER = 0x00,
	PR_RESERVE = 0x01,
	PR_RELEASE = 0x02,
	PR_CLEAR = 0x03,
	PR_PREEMPT = 0x04,
	PR_PREEMPT_AND_ABORT = 0x05,
	PR_REGISTER_AND_IGNORE = 0x06,
	PR_REGISTER_AND_MOVE = 0x07,
};

/* Where things are in the parameter list of PERSISTENT RESERVE OUT. */
enum {
	PR_LIST_ACTION_KEY = 8,
	PR_LIST_FLAGS = 20,
	PR_LIST_BASIC = 24,	    /* octets of the basic list */
	PR_LIST_TRANSPORT_IDS = 28, /* with SPEC_I_PT: after their length */
	PR_MOVE_FLAGS = 17,
	PR_MOVE_RELATIVE_PORT = 18,
	PR_MOVE_TRANSPORT_ID = 24,
};

/* One of the six types that persistent reservations have. */
bool reservation_is_persistent(uint8_t type);
/* … that registrants share with its holder, or that every registrant holds. */
bool reservation_is_of_registrants(uint8_t type);
bool reservation_is_of_all(uint8_t type);
/* Is this nexus a holder of the disk's persistent reservation? */
bool reservation_is_held_by(const struct arbiter_record *r, uint64_t nexus);
bool reservation_has_registrations(const struct arbiter_record *r);
void reservation_put(struct arbiter_record *r, uint8_t type, uint64_t nexus);
void reservation_drop(struct arbiter_record *r);

/* NULL: it is not registered. */
struct registration *registration_find(struct arbiter_record *r, uint64_t nexus);
bool registration_exists(const struct arbiter_record *r, uint64_t nexus);
/* False: there is no place. */
bool registration_put(struct arbiter_record *r, const struct registration *one);
void registration_drop(struct arbiter_record *r, struct registration *gone);

/* What is left after a loss of power: with APTPL all that is persistent, else nothing. */
void reservations_power_on(struct arbiter_record *r);
/* For a record that was read back: no two registrations of one nexus, each with a key, published
 * as it is; a holder is registered. */
bool reservations_are_sound(const struct arbiter_record *r);
