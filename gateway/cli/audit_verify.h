/* The parts of `sallyport audit verify`. */
#pragma once

#include "gateway/audit/verify.h"
#include "gateway/cli/audit_review.h"

#define GIVEN_FILES_MAX 16 /* of each option */
#define GIVEN_KEYS_MAX	64
#define GIVEN_NOTES_MAX 65536

/* What was kept elsewhere. Files are opened before the sandbox, and read in it. */
struct verify_given {
	const struct cli *cli;
	int key_fds[GIVEN_FILES_MAX], note_fds[GIVEN_FILES_MAX], signer_fds[GIVEN_FILES_MAX];
	size_t key_files, note_files, signer_files;
	const char *key_names[GIVEN_FILES_MAX], *note_names[GIVEN_FILES_MAX],
		*signer_names[GIVEN_FILES_MAX];
	struct audit_key keys[GIVEN_KEYS_MAX];
	uint8_t signers[GIVEN_KEYS_MAX][SIGNER_KEY_SIZE];
	struct note *notes;
	size_t key_count, signer_count, note_count;
};

/* EXIT_DONE or an exit status: what is wrong was said. */
int given_open(struct verify_given *g, const struct cli *cli) MUST_CHECK;
int given_read(struct verify_given *g) MUST_CHECK;
void given_free(struct verify_given *g); /* wipes the keys */

#define TOLD_MAX 1000 /* findings that are printed; more are counted */

/* What is told, gathered while it is found. */
struct verify_told {
	const struct cli *cli;
	FILE *out;
	bool utc, keys_given, notes_given;
	struct verify_finding *findings;
	size_t count;
	bool progress, progress_shown;
};

int verify_print(const struct verify_told *t, const struct verify_result *r); /* its exit status */
