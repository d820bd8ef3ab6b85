/* A trail as a story: who logs in and what it does, record by record, told to the statistics. For
 * tests. */
#pragma once

#include <stdio.h>
#include "gateway/audit/statistics.h"

#define SECOND UINT64_C(1000000000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
/* A Sunday, 2026-11-22T00:00:00Z */
#define SUNDAY (UINT64_C(1795305600) * SECOND)
#define BLOCKS 131072u /* 64 MiB of 512 octets */

#define APP   "iqn.2026-11.net.example:app"
#define VAULT "iqn.2026-11.net.example.gw:vault"

struct story {
	struct statistics *s;
	uint64_t sequence, now;
	uint64_t index;
	struct auditor_ring_info session;
};

static inline void begin(struct story *y, uint64_t since, uint64_t until)
{
	*y = (struct story){.s = statistics_open(since, until, true), .now = since};
	assert_non_null(y->s);
	y->session = (struct auditor_ring_info){.connection = 7, .initiator = APP, .target = VAULT};
}

static inline void end(struct story *y)
{
	statistics_close(y->s);
}

static inline void event_at(struct story *y, enum audit_event_kind kind, const char *reason,
			    const char *detail, const char *peer)
{
	struct trail_record r = {.frame = {.type = FRAME_EVENT}};
	struct audit_event *e = &r.frame.event;

	r.frame.stamp = (struct stamp){.sequence = ++y->sequence, .time_ns = y->now};
	e->kind = kind;
	(void)string_copy(e->reason, sizeof e->reason, reason);
	(void)string_copy(e->detail, sizeof e->detail, detail);
	(void)string_copy(e->initiator, sizeof e->initiator, y->session.initiator);
	(void)string_copy(e->target, sizeof e->target, VAULT);
	if (peer)
		assert_int_equal(ip_parse(peer, &e->peer.ip), 0);
	e->count = kind == EVENT_REFUSALS_COUNTED ? 100 : 0;
	statistics_add(y->s, &r);
}

static inline void login(struct story *y)
{
	event_at(y, EVENT_LOGIN, "granted", "lun 0 vault 512 131072 rw; lun 1 big 4096 1000 ro",
		 "192.0.2.7");
}

static inline struct trail_record command(struct story *y, uint8_t opcode, uint64_t lba,
					  uint32_t blocks)
{
	struct trail_record r = {.frame = {.type = FRAME_COMMAND}, .session = &y->session};

	r.frame.stamp = (struct stamp){.sequence = ++y->sequence, .time_ns = y->now};
	r.frame.connection = y->session.connection;
	r.frame.command = (struct audit_record){.index = y->index++,
						.lba = lba,
						.blocks = blocks,
						.kind = AUDIT_COMMAND,
						.verdict = VERDICT_ADMITTED,
						.cdb_len = 16,
						.cdb = {opcode}};
	r.frame.command.task_tag = (uint32_t)y->index;
	return r;
}

static inline void touch(struct story *y, uint8_t opcode, uint64_t lba, uint32_t blocks)
{
	struct trail_record r = command(y, opcode, lba, blocks);

	statistics_add(y->s, &r);
}

enum { READ = 0x88, WRITE = 0x8a, UNMAP = 0x42 };
