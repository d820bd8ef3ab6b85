/* Headers of segments and their contexts over any octets, with a CRC made right, so that what is
 * behind it is reached, too. */
#include <isa-l/crc.h>
#include "gateway/audit/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t start[] = "SPAUDIT\0\0\2\1";
	static struct unpacker unpacker;
	static struct names names;
	static struct sessions *sessions;
	static uint8_t bytes[8192];
	struct segment_header h;
	size_t whole;

	if (!sessions && (!(sessions = sessions_new()) || unpacker_open(&unpacker) < 0))
		abort();
	size = MIN(size, sizeof bytes - 4);
	memcpy(bytes, data, size);
	if (size < SEGMENT_PREFIX_SIZE)
		return 0;
	(void)!segment_header_size(bytes, &whole);
	memcpy(bytes, start, sizeof start - 1);
	bytes[11] = 0;
	put_be(bytes + 12, 4, size + 4);
	put_be(bytes + size, 4, crc32_iscsi(bytes, (int)size, ~0u));
	if (segment_header_size(bytes, &whole) < 0 || whole != size + 4 ||
	    segment_header_read(bytes, whole, &h) < 0)
		return 0;
	(void)!context_read(&h, bytes, &unpacker, &names, sessions);
	return 0;
}
