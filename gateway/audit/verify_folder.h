/* What is in the audit folder, by what it is. */
#pragma once

#include "gateway/audit/block.h"

struct verify_numbers {
	uint64_t *list; /* ascending */
	size_t count;
};

struct verify_folder {
	struct verify_numbers segments[AUDIT_LOGS], notes[AUDIT_LOGS];
	uint64_t octets; /* of the segments */
	/* Told by name: no file of the trail; one that was begun and never finished; the reserve.
	 */
	void (*unknown)(void *arg, const char *name);
	void (*unfinished)(void *arg, const char *name);
	void (*reserve)(void *arg, const char *name);
	void *arg;
};

int verify_folder_read(struct verify_folder *f, int folder_fd) MUST_CHECK;
void verify_folder_free(struct verify_folder *f);
