/* Running nft. For the firewall process alone. */
#pragma once

#include "gateway/base/base.h"

const char *nft_find(void); /* its path, or NULL: there is none */
/* Loads the script, which nft does whole or not at all. Why not, in nft's words, escaped. */
int nft_run(const char *nft, int script_fd, char *ret_why, size_t size) MUST_CHECK;
