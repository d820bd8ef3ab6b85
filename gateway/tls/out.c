/* Where records gather on their way to the socket: several to one call of the kernel,
 * and libssl never finds the way blocked. In the session and in the client's end; not
 * used where the kernel encrypts. Holds what is encrypted already. */
#include <sys/socket.h>
#include "gateway/tls/parts.h"

#define RECORD_ROOM (TLS_RECORD_MAX + 1024) /* header and tag of each 512 octets, at worst */
#define LAST_ROOM   1024		    /* for an alert, or a key update that is answered */
#define OUT_SIZE    (8 * RECORD_ROOM + LAST_ROOM)

static int out_write(BIO *b, const char *octets, size_t len, size_t *ret_written)
{
	struct tls *t = BIO_get_data(b);
	struct tls_out *out = &t->out;

	BIO_clear_retry_flags(b);
	if (out->end + len > OUT_SIZE && out->start > 0) {
		memmove(out->octets, out->octets + out->start, out->end - out->start);
		out->end -= out->start;
		out->start = 0;
	}
	if (out->end + len > OUT_SIZE) {
		BIO_set_retry_write(b);
		return 0;
	}
	memcpy(out->octets + out->end, octets, len);
	out->end += len;
	*ret_written = len;
	return 1;
}

static long out_control(BIO *b, int command, long number, void *pointer)
{
	(void)b;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH; /* what is not sent now, tls_out_flush() sends */
}

static BIO_METHOD *method(void)
{
	static BIO_METHOD *made;

	if (made)
		return made;
	made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");
	if (made && (BIO_meth_set_write_ex(made, out_write) != 1 ||
		     BIO_meth_set_ctrl(made, out_control) != 1)) {
		BIO_meth_free(made);
		made = NULL;
	}
	return made;
}

int tls_out_open(struct tls *t)
{
	BIO *b;

	if (BIO_get_ktls_send(SSL_get_wbio(t->ssl)))
		return 0;
	t->out = (struct tls_out){.octets = malloc(OUT_SIZE)};
	b = t->out.octets && method() ? BIO_new(method()) : NULL;
	if (!b)
		return -ENOMEM;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	SSL_set0_wbio(t->ssl, b);
	return 0;
}

void tls_out_close(struct tls *t)
{
	free(t->out.octets);
	t->out = (struct tls_out){0};
}

bool tls_out_room(const struct tls *t)
{
	return OUT_SIZE - (t->out.end - t->out.start) >= RECORD_ROOM + LAST_ROOM;
}

int tls_out_flush(struct tls *t)
{
	struct tls_out *out = &t->out;

	while (out->start < out->end) {
		ssize_t n = send(t->fd, out->octets + out->start, out->end - out->start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -EAGAIN : -EPIPE;
		out->start += (size_t)n;
	}
	out->start = out->end = 0;
	return 0;
}
