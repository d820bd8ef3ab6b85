/* The normaliser of iSCSI names on arbitrary octets: what it takes is UTF-8 of at most 223 octets,
 * normal already (a second time changes nothing), and ASCII names only lose their capitals. */
#include "policy/iscsi_name.h"
#include "policy/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_but_for_case(const char *text, const char *name)
{
	assert(strlen(text) == strlen(name));
	for (size_t i = 0; text[i]; i++)
		assert(name[i] == (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 0x20 : text[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Exactly its length: reading on would be seen. */
	OWNED_FREE char *text = calloc(size + 1, 1);
	char name[ISCSI_NAME_SIZE], again[ISCSI_NAME_SIZE];
	const char *why = NULL;
	bool ascii = true;

	if (!text || size > 512)
		return 0;
	memcpy(text, data, size);
	if (iscsi_name_normalise(text, name, &why) < 0) {
		assert(why);
		return 0;
	}
	assert(iscsi_name_normalise(name, again, &why) == 0 && strcmp(name, again) == 0);
	for (size_t i = 0; name[i]; i += utf8_length(name + i, strlen(name + i)))
		assert(utf8_shown(name + i, utf8_length(name + i, strlen(name + i))));
	for (size_t i = 0; text[i]; i++)
		ascii = ascii && (uint8_t)text[i] < 0x80;
	if (ascii)
		same_but_for_case(text, name);
	return 0;
}
