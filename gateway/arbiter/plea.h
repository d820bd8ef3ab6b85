/* One order about persistent reservations while it is decided: for the files that share
 * the rules of PERSISTENT RESERVE OUT. */
#pragma once

#include "gateway/arbiter/court.h"
#include "gateway/arbiter/reservations.h"

struct plea {
	const struct court *court;
	const struct member *member;
	const struct arbiter_order *order; /* hostile */
	unsigned disk;
	struct arbiter_record *draft;
	struct arbiter_answer *ret;
	struct registration *mine; /* NULL: the asker is not registered */
};

/* The asker names its own key. */
bool plea_has_key(const struct plea *p);
/* A unit attention for each that is registered, but for the asker. */
void plea_tell_registered(const struct plea *p, uint16_t code);
enum decision plea_bad_cdb(const struct plea *p);
enum decision plea_bad_list(const struct plea *p, size_t octet);

/* registrations.c */
enum decision plea_register(struct plea *p);
enum decision plea_move(struct plea *p);
