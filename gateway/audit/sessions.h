/* The sessions of the segment that is read, by their connection's number. Bounded: a
 * file with more of them than a gateway can have just leaves records without names. */
#pragma once

#include "gateway/audit/auditor.h"

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions *s);
void sessions_clear(struct sessions *s);
void sessions_put(struct sessions *s, const struct auditor_ring_info *info);
const struct auditor_ring_info *sessions_find(const struct sessions *s, uint32_t connection);
/* In no order. */
void sessions_each(const struct sessions *s,
		   void (*visit)(void *arg, const struct auditor_ring_info *info), void *arg);
