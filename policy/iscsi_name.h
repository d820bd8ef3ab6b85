/* iSCSI names (RFC 7143 section 4.2.7): iqn., eui., naa.; checked, and brought to the one form in
 * which they are compared (RFC 3722). */
#pragma once

#include "gateway/base/iscsi_name.h"

/* -EINVAL with *ret_why (a static text, "a name starts with iqn., eui. or naa.") when it is no
 * iSCSI name. Of `text`, at most ISCSI_NAME_SIZE octets are looked at. */
int iscsi_name_normalise(const char *text, char ret_name[ISCSI_NAME_SIZE],
			 const char **ret_why) MUST_CHECK;
