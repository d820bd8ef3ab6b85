/* The answer about files on its way between two processes, of which the first may have been taken
 * over. */
#include "gateway/base/bytes.h"
#include "gateway/files/wire.h"
#include "tests/unit/test.h"

static void gather(struct finding *f)
{
	*f = (struct finding){.answer = {.what = FILES_FILE,
					 .partition = 2,
					 .inode = 14,
					 .size_bytes = 5000,
					 .modified_s = -1,
					 .note = "n"}};
	(void)string_copy(f->answer.system, sizeof f->answer.system, "ext4");
	assert_int_equal(finding_range(f, 8192, 4096), 0);
	assert_int_equal(finding_range(f, 1024, 1024), 0);
	assert_int_equal(finding_range(f, 2048, 512), 0);
	assert_int_equal(finding_range(f, 700, 100), 0);
	assert_int_equal(finding_name(f, "/a\nb", 4), 0);
	assert_int_equal(finding_name(f, "/c", 2), 0);
	finding_finish(f, 512);
}

static void encoded(uint8_t **ret_bytes, size_t *ret_len)
{
	struct finding f;

	gather(&f);
	assert_int_equal(answer_encode(&f, ret_bytes, ret_len), 0);
	finding_free(&f);
}

static void as_it_was(void **state)
{
	struct files_answer a = {.what = FILES_INVALID};
	char why[FILES_WHY];
	uint8_t *bytes;
	size_t len;

	(void)state;
	encoded(&bytes, &len);
	assert_int_equal(answer_decode(bytes, len, &a, why), 0);
	assert_string_equal(a.system, "ext4");
	assert_int_equal(a.modified_s, -1);
	assert_int_equal(a.range_count, 2);
	assert_int_equal(a.ranges[0].lba, 1);
	assert_int_equal(a.ranges[0].blocks, 4);
	assert_int_equal(a.ranges[1].lba, 16);
	assert_int_equal(a.ranges[1].blocks, 8);
	assert_int_equal(a.name_count, 2);
	assert_string_equal(a.names[0], "/a\nb");
	files_answer_free(&a);
	free(bytes);
}

static void cut_off(void **state)
{
	struct files_answer a;
	char why[FILES_WHY];
	uint8_t *bytes;
	size_t len;

	(void)state;
	encoded(&bytes, &len);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(answer_decode(bytes, n, &a, why), -EPROTO);
	bytes = realloc(bytes, len + 1);
	bytes[len] = 0;
	assert_int_equal(answer_decode(bytes, len + 1, &a, why), -EPROTO);
	free(bytes);
}

static void flipped(void **state)
{
	char why[FILES_WHY];
	uint8_t *bytes;
	size_t len;

	(void)state;
	encoded(&bytes, &len);
	for (size_t i = 0; i < len * 8; i++) {
		struct files_answer a = {.what = FILES_INVALID};
		uint64_t end = 0;

		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		if (answer_decode(bytes, len, &a, why) == 0)
			for (size_t k = 0; k < a.range_count; k++) {
				assert_true(k == 0 || a.ranges[k].lba > end);
				assert_true(ADD_OK(a.ranges[k].lba, a.ranges[k].blocks, &end));
			}
		files_answer_free(&a);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	free(bytes);
}

static void an_error(void **state)
{
	struct finding f = {.error = -ENOENT, .why = "no such file"};
	struct files_answer a;
	char why[FILES_WHY];
	uint8_t *bytes;
	size_t len;

	(void)state;
	assert_int_equal(answer_encode(&f, &bytes, &len), 0);
	assert_int_equal(answer_decode(bytes, len, &a, why), -ENOENT);
	assert_string_equal(why, "no such file");
	free(bytes);
}

static void too_many(void **state)
{
	struct finding f = {.error = 0};
	int r = 0;

	(void)state;
	for (uint64_t i = 0; r == 0 && i <= FILES_RANGES_MAX; i++)
		r = finding_range(&f, i * 2048, 512);
	assert_int_equal(r, -E2BIG);
	for (unsigned i = 0; i < 2 * FILES_NAMES_MAX; i++)
		assert_int_equal(finding_name(&f, "/x", 2), 0);
	assert_int_equal(f.answer.name_count, FILES_NAMES_MAX);
	finding_free(&f);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "an answer arrives as it was sent, its blocks whole, sorted and joined",
		  as_it_was, NULL);
	tests_add(&t, "an answer that is cut off anywhere is none", cut_off, NULL);
	tests_add(&t, "an answer with any bit flipped has ascending ranges, or is none", flipped,
		  NULL);
	tests_add(&t, "what was not found is told with its sentence", an_error, NULL);
	tests_add(&t, "P6: ranges and names have an end", too_many, NULL);
	return tests_run(&t, "files_answer");
}
