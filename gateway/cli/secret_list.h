/* What may be known of the secrets: names, kinds, ages, rotations. */
#pragma once

#include "auth/store.h"

/* "2026-11-29 19:00", in the zone of who reads it */
const char *secret_time(uint64_t s, char ret[32]);
void secret_list_print(const struct store_list *list, uint64_t now_s);
int secret_list_json(const struct store_list *list, uint64_t now_s) MUST_CHECK;
