/* A file of the arbiter's journal, of any octets: with a hash made right, so that the record behind
 * it is reached, too. What is taken is sound, and says the same again. */
#include <sodium.h>
#include "gateway/arbiter/journal.h"
#include "gateway/base/bytes.h"

#define SERIAL "0f5c9e4c-3f4d-4a53-9d31-5d3d6f0c7a11"
#define HASH   crypto_generichash_BYTES
#define LENGTH 12 /* where the head has the file's length */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t run[JOURNAL_RUN_SIZE] = {1};
	static uint8_t octets[JOURNAL_FILE_MAX], again[JOURNAL_FILE_MAX];
	static struct arbiter_record record, blank;
	size_t len, head = 68;

	(void)journal_decode(size % 2 ? run : NULL, SERIAL, data, size, &record);
	if (journal_encode(run, SERIAL, &blank, octets, sizeof octets) == 0)
		abort();
	len = head + MIN(size, sizeof octets - head - HASH) + HASH;
	memcpy(octets + head, data, len - head - HASH);
	put_be(octets + LENGTH, 4, len);
	(void)crypto_generichash(octets + len - HASH, HASH, octets, len - HASH, NULL, 0);
	if (journal_decode(run, SERIAL, octets, len, &record) < 0)
		return 0;
	record_after_power_loss(&record);
	if (!record_is_sound(&record) ||
	    journal_encode(NULL, SERIAL, &record, again, sizeof again) == 0)
		abort();
	return 0;
}
