/* The vocabulary of every file: attributes, ownership that is visible in the
 * declaration, arithmetic that can't overflow. Functions return 0 (or a count)
 * or a negative errno; those marked MUST_CHECK make the compiler complain when
 * the result is dropped. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MUST_CHECK		      __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args)	      __attribute__((format(printf, fmt, args)))
#define NORETURN		      __attribute__((noreturn))
#define ARRAY_LEN(a)		      (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)		      ((a) < (b) ? (a) : (b))
#define MAX(a, b)		      ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* Asserts stay on in release builds: they state our own invariants, never a peer's duty. */
#ifdef NDEBUG
#error "asserts stay on"
#endif

/* Leaving the scope closes or frees. OWNED_FD fd = open(...); */
#define OWNED_FD	  __attribute__((cleanup(fd_close_owned))) int
#define OWNED_FREE	  __attribute__((cleanup(free_owned)))
#define OWNED_BY(cleaner) __attribute__((cleanup(cleaner)))

/* Ownership moves to whoever takes the value. */
#define TAKE(p)                             \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void fd_close_owned(int *fd)
{
	fd_close(fd);
}

static inline void free_owned(void *p)
{
	free(*(void **)p);
}

/* For a MUST_CHECK function whose failure leaves nothing to be done; say why at the call. */
#define IGNORE_RESULT(call)                         \
	do {                                        \
		__typeof__(call) ignored_ = (call); \
		(void)ignored_;                     \
	} while (0)

/* Sizes from outside are added and multiplied with these only: true when it fits. */
#define ADD_OK(a, b, ret) (!__builtin_add_overflow((a), (b), (ret)))
#define MUL_OK(a, b, ret) (!__builtin_mul_overflow((a), (b), (ret)))

/* Copies at most size - 1 bytes of src and ends dst with NUL. Returns false when it was cut. */
bool string_copy(char *dst, size_t size, const char *src);
