/* The room that an iSCSI name takes (RFC 7143 section 4.2.7): at most 223 octets of UTF-8. What is
 * a name, and how two are compared, the policy knows: policy/iscsi_name.h. */
#pragma once

#include "gateway/base/base.h"

#define ISCSI_NAME_MAX	223
#define ISCSI_NAME_SIZE (ISCSI_NAME_MAX + 1)
