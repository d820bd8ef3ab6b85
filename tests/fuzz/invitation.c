/* Codes as somebody types them, and files of invitations, from arbitrary octets. */
#include "auth/invitation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void code_try(const char *text)
{
	char written[INVITATION_CODE_SIZE];
	struct invitation_code c, again;
	const char *why;

	if (invitation_code_parse(text, &c, &why) < 0)
		return;
	assert(c.port > 0 && c.host[0] && strlen(c.host) <= strlen(c.place));
	invitation_code_write(&c, written);
	assert(invitation_code_parse(written, &again, &why) == 0);
	assert(memcmp(c.secret, again.secret, sizeof c.secret) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sealed_file f;
	struct invitation i;
	char *text = malloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	code_try(text);
	if (sealed_parse((const uint8_t *)text, len, &f) == 0 && invitation_parse(&f, &i) == 0)
		assert(i.initiator[0] && strlen(i.initiator) <= ISCSI_NAME_MAX && i.until_s >= 0);
	free(text);
	return 0;
}
