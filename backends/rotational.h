/* Does a block device turn? SBC says so to the initiator, which schedules by it. */
#pragma once

#include "gateway/base/base.h"

/* False also when the kernel does not say. */
bool device_is_rotational(dev_t dev);
