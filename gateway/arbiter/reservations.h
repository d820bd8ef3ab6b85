/* Reservations of a disk, as its record has them: who is registered under which key, who
 * holds what. Persistent ones (SPC-4 section 5.13) and those of RESERVE (SPC-2); the
 * orders for them are in court.h. */
#pragma once

#include "gateway/arbiter/record.h"

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

/* For a record that was read back: no two registrations of one nexus, each with a key, published
 * as it is; a holder is registered. */
bool reservations_are_sound(const struct arbiter_record *r);
