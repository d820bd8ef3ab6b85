/* What a command's record says of blocks: which ones, and what the command does to them. Of the
 * auditor's index and of every question of the review that is about blocks. */
#pragma once

#include "gateway/audit/record.h"

/* What a command is for. A command may be for several; one that is unknown is for others. */
enum deed {
	DEED_READ = 1 << 0,    /* reads blocks */
	DEED_WRITE = 1 << 1,   /* writes blocks */
	DEED_DISCARD = 1 << 2, /* gives blocks back, erases them, formats them */
	DEED_RESERVE = 1 << 3, /* RESERVE, PERSISTENT RESERVE IN and OUT */
	DEED_OTHER = 1 << 4,
};
#define DEEDS 5

/* "read", "write", "discard", "reserve", "other". */
const char *deed_name(unsigned bit);

/* All that an opcode may be for, whatever its service action and its bits. */
uint32_t opcode_deeds(uint8_t opcode);

struct reach {
	uint32_t deeds;	      /* enum deed; 0: no command */
	bool blocks;	      /* `first` to `last` */
	bool whole;	      /* … which is all of the medium, however large */
	uint64_t first, last; /* inclusive */
};

/* Of a copy, its source's records read and its destination's write. An outcome reaches what its CDB
 * names, which is less than the list of a command that has one. Takes some 10 ns. */
struct reach audit_reach(const struct audit_record *r);
