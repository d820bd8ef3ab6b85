/* The strongest CHAP algorithm that each user has logged in with, within the monitor: none weaker
 * is taken from it afterwards, until an operator says so. */
#pragma once

#include "auth/auth.h"

struct connection;
struct monitor;

int algorithms_load(struct monitor *m) MUST_CHECK;
void algorithms_close(struct monitor *m);
bool algorithm_is_weaker(const struct connection *c, char *ret_detail, size_t size);
int algorithm_remember(struct connection *c) MUST_CHECK; /* durably */
/* NULL: the next login of this user may use any that the policy allows; else why not. */
const char *algorithm_accept_weaker(struct monitor *m, const char *user,
				    enum chap_algorithm *ret_before) MUST_CHECK;
