/* iSCSI names (RFC 7143 section 4.2.7): iqn., eui., naa.; at most 223 octets. */
#pragma once

#include "gateway/base/base.h"

#define ISCSI_NAME_MAX	223
#define ISCSI_NAME_SIZE (ISCSI_NAME_MAX + 1)

/* Checks and normalises to lower case. -EINVAL with *ret_why (a static text, "a name starts with
 * iqn., eui. or naa.") when it is no iSCSI name. ASCII letters, digits, '-', '.', ':' only. */
int iscsi_name_normalise(const char *text, char ret_name[ISCSI_NAME_SIZE],
			 const char **ret_why) MUST_CHECK;
