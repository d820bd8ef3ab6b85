/* The tables behind sandbox_enter(): what each kind of process may still ask of the
 * kernel. For sandbox.c alone. */
#pragma once

#include <seccomp.h>
#include "gateway/base/sandbox.h"

#define SANDBOX_CHECKS 2
#define SANDBOX_TABLES 4

/* Since ABI 3 of Landlock: newer than the headers of Debian 12. */
#define SANDBOX_ACCESS_FS_TRUNCATE (1ull << 14)

/* Stands for the process's own id in a check. */
#define SANDBOX_OWN_PID UINT64_MAX

/* A system call that is allowed when all its checks hold; those that the architecture does not have
 * are skipped. What no row allows kills the process. */
struct sandbox_call {
	const char *name;
	const char *why;
	struct scmp_arg_cmp checks[SANDBOX_CHECKS]; /* op 0: none */
	int refuse;				    /* an errno: not allowed, but answered so */
};

struct sandbox_table {
	const struct sandbox_call *calls;
	size_t len;
};

struct sandbox_rules {
	struct sandbox_table tables[SANDBOX_TABLES];
	uint64_t keep_caps;
	uint64_t folder_rights;	    /* LANDLOCK_ACCESS_FS_… below struct sandbox's folder */
	const char *const *read;    /* files and folders that may be read; NULL-ended */
	const char *const *execute; /* files that may be read and executed; NULL-ended */
	bool holds_disks;
};

/* NULL for no profile. */
const struct sandbox_rules *sandbox_rules_of(enum sandbox_profile profile);
