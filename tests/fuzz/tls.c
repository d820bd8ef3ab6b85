/* Any octets to the server's end of a TLS connection, in one piece or two: it ends in order, nobody
 * gets in, and what failed stays so. The signer signs nothing. */
#include "tests/fuzz/tls_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct iovec iov = {(uint8_t[64]){0}, 64};
	int fds[2], r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
	uint32_t events;
	struct tls *t;

	assert(r == 0 && tls_open(context, fds[0], &t) == 0);
	for (size_t k = 0, at = 0, part = len; k < 2 && r == 0; k++, at += part) {
		part = k ? len - at : len > 0 ? data[0] * len / 256 : 0;
		r = part ? (int)send(fds[1], data + at, part, 0) < 0 : 0;
		r = tls_handshake(t, &events);
		assert(r != 1 && (tls_reason(t) == TLS_REASON_NONE) == (r == 0));
	}
	assert(tls_receive(t, &iov, 1) < 0 && (r == 0 || tls_handshake(t, &events) < 0));
	tls_free(t);
	return close(fds[0]) | close(fds[1]);
}
