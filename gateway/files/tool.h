/* Running a file system's own tools, one at a time, on a window: by absolute path, from a fixed
 * list, without an environment but language and zone, for a bounded time, with a bounded output. */
#pragma once

#include "gateway/files/window.h"

enum tool {
	TOOL_INVALID,
	TOOL_DEBUGFS,	  /* e2fsprogs */
	TOOL_XFS_DB,	  /* xfsprogs */
	TOOL_NTFSINFO,	  /* ntfs-3g */
	TOOL_NTFSCLUSTER, /* ntfs-3g */
};

#define TOOL_WHY       256
#define TOOL_ARGUMENTS 16
#define TOOL_WINDOW    "/proc/self/fd/3" /* the window, as the tools are told of it */

/* What a tool said. Hostile: it repeats what stands in the file system. NUL behind it. */
struct tool_output {
	char *text;
	size_t len;
};

#define OWNED_OUTPUT OWNED_BY(tool_output_free) struct tool_output
static inline void tool_output_free(struct tool_output *o)
{
	free(o->text);
}

/* Where the programs may be; NULL-ended; for the sandbox. */
extern const char *const tool_paths[];

struct toolbox {
	struct window window;
	int null_fd;
	uint64_t deadline_ms; /* clock_ms(): of everything together */
	char why[TOOL_WHY];   /* when something failed */
	char words[160];      /* what the last tool said on stderr; escaped */
};

/* `arguments`: NULL-ended, without the program's name. 0; -ENOENT: the tool is not installed;
 * -ETIMEDOUT: the process is to end, and the tool ends with it; other -errno. What failed is in
 * t->why. */
int tool_run(struct toolbox *t, enum tool tool, const char *const *arguments,
	     struct tool_output *ret_output) MUST_CHECK;
