/* What a stranger sends to join, and what somebody answers in the gateway's place. */
#include "auth/enrol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void answer_try(const uint8_t *copy, size_t len)
{
	const struct enrol_part *parts[4];
	struct enrol_answer a;

	if (enrol_answer_parse(copy, len, &a) < 0)
		return;
	parts[0] = &a.certificate;
	parts[1] = &a.ca;
	parts[2] = &a.accounts;
	parts[3] = &a.text;
	for (size_t k = 0; k < 4; k++)
		assert(parts[k]->octets >= copy && parts[k]->octets + parts[k]->len <= copy + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[INVITATION_KEY_SIZE], line[ENROL_EXPORTER_SIZE];
	const struct enrol_proof by = {key, line};
	struct enrol_request q;
	uint8_t *copy = malloc(len + 1); /* its own, so that a sanitizer sees what is beyond */

	memcpy(copy, data, len);
	if (len >= ENROL_REQUEST_SIZE && enrol_request_parse(copy, &q) == 0)
		assert(strlen(q.initiator) < sizeof q.initiator);
	answer_try(copy, len);
	(void)enrol_answer_proven(copy, len, &by);
	free(copy);
	return 0;
}
