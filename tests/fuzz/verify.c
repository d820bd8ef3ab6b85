/* Verification of a folder with one segment a log, whose blocks are made of arbitrary octets: with
 * right CRCs, mostly right numbers, and payloads of any kind. What follows them is anything. */
#include "gateway/audit/verify.h"
#include "tests/fuzz/segment_make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void found(void *arg, const struct verify_finding *f)
{
	(*(uint64_t *)arg)++;
	assert(verify_words(f->kind)->name && memchr(f->text, '\0', sizeof f->text));
}

static char path[] = "/dev/shm/sallyport-fuzz-XXXXXX";
static int folder = -1;

static void leave(void)
{
	(void)unlinkat(folder, "commands-000001.log", 0);
	(void)unlinkat(folder, "events-000001.log", 0);
	(void)rmdir(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct verify_result result;
	uint64_t findings = 0;
	const struct verify_asked asked = {.found = found, .arg = &findings};
	struct rd one = rd_over(data, len / 2), other = rd_over(data + len / 2, len - len / 2);

	if (folder < 0 && (!mkdtemp(path) || (folder = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
			   atexit(leave) != 0))
		abort();
	segment_make(folder, &one, LOG_COMMANDS);
	segment_make(folder, &other, LOG_EVENTS);
	assert(verify_trail(folder, &asked, &result) == 0);
	assert(findings > 0 && result.worst >= VERIFY_OPEN); /* nothing is signed */
	return 0;
}
