/* What the record of a command waits for before the command is carried out: as the policy says it,
 * the monitor tells it and the session keeps to it. Plain data. */
#pragma once

/* The stricter, the larger. */
enum durability {
	DURABILITY_INVALID,
	DURABILITY_HANDED_OVER, /* in memory that no death of a process of ours loses */
	DURABILITY_WRITTEN,	/* in the file: the kernel has it */
	DURABILITY_SYNCED,	/* on the disk */
	DURABILITIES
};
