/* Landlock: which files a process may reach, and no TCP at all. For sandbox.c alone. */
#pragma once

#include "gateway/base/sandbox_profiles.h"

/* Confines the calling thread, and those that it makes, to the paths of `s` and `rules`, by the
 * ABI that the kernel has. Returns SANDBOX_HAS_LANDLOCK_… in force, 0 without Landlock, -errno. */
int landlock_enter(const struct sandbox *s, const struct sandbox_rules *rules) MUST_CHECK;
