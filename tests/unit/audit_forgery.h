/* What both programs of forgeries have: a trail, another one, somewhere to write them to, and
 * numbers that are as random as their seed. */
#pragma once

#include "tests/unit/audit_rechain.h"

static struct sample sample, stranger;
static struct judged judged;
static int scratch = -1;

static inline uint64_t next_random(uint64_t *state) /* splitmix64 */
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline size_t below(uint64_t *state, size_t limit)
{
	return limit ? (size_t)(next_random(state) % limit) : 0;
}

static inline bool is_note(const struct sample_file *f)
{
	return strstr(f->name, ".note") != NULL;
}

static inline void octets_in(struct sample_file *f, size_t at, const uint8_t *bytes, size_t len)
{
	f->bytes = realloc(f->bytes, f->len + len + 1);
	assert_non_null(f->bytes);
	memmove(f->bytes + at + len, f->bytes + at, f->len - at);
	memcpy(f->bytes + at, bytes, len);
	f->len += len;
}

/* The blocks of a segment: offsets, then the end. */
static inline size_t blocks_of(const struct sample_file *f, size_t ret[CHAIN_BLOCKS])
{
	struct segment_header h;
	struct block_header b;
	size_t at, count = 0;

	assert_int_equal(segment_header_size(f->bytes, &at), 0);
	assert_int_equal(segment_header_read(f->bytes, at, &h), 0);
	while (at < f->len && block_header_read(f->bytes + at, h.salt, &b) == 0 &&
	       block_size(&b) <= f->len - at) {
		ret[count++] = at;
		at += block_size(&b);
	}
	ret[count] = at;
	return count;
}

/* As many as SALLYPORT_SOAK=1 asks for, from a seed of its own each time; SALLYPORT_SEED repeats
 * one. */
static inline void random_forgeries(uint64_t quick, uint64_t soak, bool (*one)(uint64_t *state))
{
	const char *soaked = getenv("SALLYPORT_SOAK"), *given = getenv("SALLYPORT_SEED");
	uint64_t seed = 1, wrong = 0, count = soaked && soaked[0] ? soak : quick;

	if (count == soak)
		randombytes_buf(&seed, sizeof seed - 2);
	if (given)
		assert_int_equal(number_parse(given, 0, UINT64_MAX, &seed), 0);
	print_message("# %llu forgeries, seed %llu\n", (unsigned long long)count,
		      (unsigned long long)seed);
	for (uint64_t i = 0; i < count; i++)
		wrong += !one(&seed);
	assert_int_equal(wrong, 0);
}

static inline bool forgery_begin(void)
{
	if (sodium_init() < 0 || hash_start() < 0)
		return false;
	sample_make(&sample, 1);
	sample_make(&stranger, 2);
	scratch = stranger.folder_fd;
	return true;
}

static inline void forgery_end(void)
{
	sample_free(&stranger);
	sample_free(&sample);
}
