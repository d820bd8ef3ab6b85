/* A CDB taken apart into the fields that SPC and SBC name, for whoever reads a record. */
#pragma once

#include "gateway/base/base.h"

/* Calls `tell` for each field of the CDB, in its order, reserved bits left out. False: nothing is
 * known of this CDB but its octets. */
typedef void (*cdb_teller)(void *arg, const char *name, uint64_t value);
bool cdb_fields(const uint8_t *cdb, size_t len, cdb_teller tell, void *arg);
