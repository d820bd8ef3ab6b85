/* `sallyport join CODE`, on the client: what its two halves share. The call reaches who may be
 * the gateway; the folder is what the client has from then on. */
#pragma once

#include "auth/certificate.h"
#include "auth/enrol.h"
#include "auth/why.h"
#include "gateway/cli/cli.h"

#define JOIN_FOLDER "/etc/sallyport/client"

/* What must not reach the swap: in a slab. */
struct join_secrets {
	uint8_t proof[INVITATION_KEY_SIZE];
	uint8_t box_secret[crypto_box_SECRETKEYBYTES];
	uint8_t bytes[ENROL_ACCOUNTS_BYTES_MAX];
	struct invitation_code code;
	struct enrol_accounts accounts;
};

struct join {
	const struct cli *cli;
	struct join_secrets *secrets;
	char said[512];
	struct why why; /* said */
	EVP_PKEY *key;
	struct enrol_request request;
	uint8_t exporter[ENROL_EXPORTER_SIZE];
	uint8_t answer[ENROL_ANSWER_MAX];
	size_t answer_len;
	X509 *certificate, *ca;
	struct certificate_facts facts;
	char text[ENROL_TEXT_MAX + 1]; /* lines "WORD VALUE", printable */
};

/* Connects, asks, and fills exporter and answer; nothing is believed yet. 0 or -errno, with why. */
int join_call(struct join *j) MUST_CHECK;

/* The folder, made where it is missing; -EEXIST: somebody joined there already. A descriptor. */
int join_folder_open(const struct join *j, const char *path, bool force) MUST_CHECK;
/* All files; secrets for their owner alone. 0 or -errno, with why. */
int join_folder_write(struct join *j, int folder_fd) MUST_CHECK;
