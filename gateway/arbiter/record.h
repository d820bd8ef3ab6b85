/* All that the arbiter keeps about one disk: what its page shows, and what it keeps to
 * itself. Decisions change a copy of it; the journal keeps it; then it is published. */
#pragma once

#include "gateway/arbiter/page.h"
#include "gateway/base/iscsi_name.h"

/* Of one I_T nexus with the disk, SPC-4 section 5.13. */
struct registration {
	uint64_t nexus; /* 0: a free place */
	uint64_t port;	/* the target port's id, arbiter_port_id() */
	uint64_t key;
	uint16_t relative_port;
	uint8_t isid[6];
	char initiator[ISCSI_NAME_SIZE];
};

#define ARBITER_PREVENTERS 128 /* sessions that keep one disk's medium in */
#define ARBITER_ANSWERS	   128 /* to changes of one disk that are not heard yet */

/* What a session was answered to an order that changed something, until it has heard that: a new
 * arbiter that is asked again knows that it is done. */
struct remembered {
	uint32_t connection, id; /* connection 0: a free place */
	uint8_t status, key;
	uint16_t code;
};

struct arbiter_record {
	struct arbiter_state state; /* as it is published */
	struct registration
		registrations[ARBITER_REGISTRANTS]; /* at the places of its registrants */
	uint32_t pr_generation;
	bool aptpl; /* registrations and reservation are kept over a loss of power */
	uint8_t saved_modes[ARBITER_MODES];
	uint64_t failed_since_s;		    /* since 1970; of state.failed */
	uint64_t preventers[ARBITER_PREVENTERS];    /* connection << 32 | LUN; 0: a free place */
	uint32_t operator_connection;		    /* who carries out state.operation */
	uint32_t operator_order;		    /* … and the id of the order that began it */
	struct remembered answers[ARBITER_ANSWERS]; /* one of a connection */
	/* The last change's events; of these the page has as many as its log tells. */
	uint64_t event_count; /* ever, with these */
	uint32_t event_new;
	struct arbiter_event events[ARBITER_EVENTS];
};

/* Ids of a target port (target name and portal group tag), and of an I_T nexus; never 0. */
uint64_t arbiter_port_id(const char *target, uint16_t tag);
uint64_t arbiter_nexus_id(const char *initiator, const uint8_t isid[6], uint64_t port);
