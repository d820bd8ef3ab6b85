/* How much of a disk somebody may use, as the policy says it, the monitor tells it and the session
 * keeps to it. Plain data. */
#pragma once

#include "gateway/base/base.h"

/* 0: no limit. */
struct limit_values {
	uint64_t bandwidth; /* octets of the medium in a second */
	uint32_t iops;	    /* commands in a second */
	uint32_t outstanding;
};
