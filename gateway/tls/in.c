/* What comes from the socket, once there is a connection: where libssl reads, so that it
 * does not ask a socket that has just told that it is empty. In the session and in the
 * client's end; not used where the kernel decrypts. Holds nothing. */
#include <sys/socket.h>
#include "gateway/tls/parts.h"

/* Less than there was room for: whatever comes later, epoll tells of. */
static int in_read(BIO *b, char *octets, size_t len, size_t *ret_read)
{
	struct tls *t = BIO_get_data(b);
	ssize_t n = -1;

	BIO_clear_retry_flags(b);
	errno = EAGAIN;
	if (!t->in.dry) {
		do
			n = recv(t->fd, octets, len, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		t->in.dry = n != 0 && n != (ssize_t)len;
	}
	t->in.over = n == 0;
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	if (n <= 0)
		return 0;
	*ret_read = (size_t)n;
	return 1;
}

static long in_control(BIO *b, int command, long number, void *pointer)
{
	const struct tls *t = BIO_get_data(b);

	(void)number;
	(void)pointer;
	return command == BIO_CTRL_EOF &&
	       t->in.over; /* so that libssl tells the end from an error */
}

static BIO_METHOD *method(void)
{
	static BIO_METHOD *made;

	if (made)
		return made;
	made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
	if (made && (BIO_meth_set_read_ex(made, in_read) != 1 ||
		     BIO_meth_set_ctrl(made, in_control) != 1)) {
		BIO_meth_free(made);
		made = NULL;
	}
	return made;
}

int tls_in_open(struct tls *t)
{
	BIO *b;

	if (BIO_get_ktls_recv(SSL_get_rbio(t->ssl)))
		return 0;
	b = method() ? BIO_new(method()) : NULL;
	if (!b)
		return -ENOMEM;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	SSL_set0_rbio(t->ssl, b);
	return 0;
}
