/* Asking the running gateway, through the control socket in the state folder. */
#pragma once

#include <jansson.h>
#include "gateway/base/base.h"

/* Sends one request ("status"), waits at most 5 s. Returns the answer (the caller's), or NULL when
 * no gateway answers: *ret_error then says why, -errno. */
json_t *gateway_ask(const char *state_path, const char *request, int *ret_error);
/* The answer as it comes, in the caller's memory alone: its length, or -errno. */
ssize_t gateway_ask_secret(const char *state_path, const char *request, int seconds,
			   uint8_t *ret_answer, size_t size) MUST_CHECK;
/* Asks again while the answer says that it may be taken in a moment, for 5 s at most. */
json_t *gateway_ask_until(const char *state_path, const char *request, int *ret_error);
/* The same as gateway_ask(), waiting longer for the answer. */
json_t *gateway_ask_for(const char *state_path, const char *request, int seconds, int *ret_error);
