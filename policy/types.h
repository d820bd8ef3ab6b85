/* The values of policy.yaml as texts: sizes ("20GiB"), durations ("10m"), whole numbers. */
#pragma once

#include "gateway/base/base.h"

#define QUANTITY_TEXT 32

/* 0; -EINVAL: no such thing; -EDOM: a number with no unit, or a unit that is not ours; -ERANGE:
 * more than 64 bits. Numbers have no sign, no fraction and no leading zero. */
int size_parse(const char *text, uint64_t *ret_octets) MUST_CHECK; /* B KiB MiB GiB TiB */
int duration_parse(const char *text, uint64_t *ret_ms) MUST_CHECK; /* ms s m h d */
int whole_number_parse(const char *text, uint64_t *ret_value) MUST_CHECK;

/* In the largest unit that divides it. */
const char *size_format(uint64_t octets, char ret[QUANTITY_TEXT]);
const char *duration_format(uint64_t ms, char ret[QUANTITY_TEXT]);
