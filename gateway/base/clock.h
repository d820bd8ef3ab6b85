/* The clocks. Protocol code has none of its own: it is told the time. */
#pragma once

#include "gateway/base/base.h"

uint64_t clock_ms(void);      /* monotonic */
uint64_t clock_us(void);      /* monotonic */
uint64_t clock_ns(void);      /* monotonic */
uint64_t clock_wall_ns(void); /* since 1970, UTC */
int64_t clock_wall_s(void);   /* the same */
