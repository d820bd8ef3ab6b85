/* Between who asks for files and the process that looks. The question is ours; the answer comes
 * from a process that reads what initiators wrote, and is checked like a peer's. */
#pragma once

#include "gateway/files/files.h"

#define FILES_FD_DISK	  3
#define FILES_FD_QUESTION 4 /* a sealed memfd with a struct files_asked */
#define FILES_FD_ANSWER	  5 /* a pipe */
#define FILES_FD_COUNT	  3

#define FILES_SECONDS 120 /* for everything */

struct files_asked {
	uint64_t lba;
	uint32_t block_size, partition;
	bool has_path;
	char path[FILES_PATH_MAX];
};

/* What is found is gathered here, in octets of the disk. */
struct finding {
	int error; /* -errno: nothing was found, `why` tells */
	char why[FILES_WHY];
	struct files_answer answer; /* lba and blocks of its ranges: octets, until they are sent */
	size_t room;
};

/* -E2BIG: more ranges than anybody reads. */
int finding_range(struct finding *f, uint64_t offset, uint64_t len) MUST_CHECK;
/* More names than there is room for are left out. */
int finding_name(struct finding *f, const char *name, size_t len) MUST_CHECK;
/* Sorts, and makes blocks of octets: whole blocks that have any of them. */
void finding_finish(struct finding *f, uint32_t block_size);
/* Forgets the ranges. */
void finding_no_ranges(struct finding *f);
void finding_free(struct finding *f);

/* The whole answer as octets, which are the caller's. */
int answer_encode(const struct finding *f, uint8_t **ret_bytes, size_t *ret_len) MUST_CHECK;
/* 0, or the error that was found (its sentence in ret_why); -EPROTO: no answer. */
int answer_decode(const uint8_t *bytes, size_t len, struct files_answer *ret_answer,
		  char ret_why[FILES_WHY]) MUST_CHECK;
#define ANSWER_MOST \
	(64u + FILES_WHY + 256u + 16u * FILES_RANGES_MAX + FILES_NAMES_MAX * (FILES_PATH_MAX + 4u))
