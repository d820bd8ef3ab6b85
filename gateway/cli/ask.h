/* Asking the running gateway, through the control socket in the state folder. */
#pragma once

#include <jansson.h>
#include "gateway/base/base.h"

/* Sends one request ("status"), waits at most 5 s. Returns the answer (the caller's), or NULL when
 * no gateway answers: *ret_error then says why, -errno. */
json_t *gateway_ask(const char *state_path, const char *request, int *ret_error);
/* The same, waiting longer for the answer. */
json_t *gateway_ask_for(const char *state_path, const char *request, int seconds, int *ret_error);
