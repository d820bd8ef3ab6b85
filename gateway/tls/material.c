/* Certificates and CRLs on their way: from PEM text to a list in DER, from a sealed
 * memfd to the lists of a context. In whoever reads the files and in the session. The
 * lists are the monitor's; what is in the files, their owner's. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"
#include "gateway/tls/parts.h"

int tls_settings_read(int fd, const uint32_t lens[3], struct tls_settings *s, uint8_t **ret_octets)
{
	struct tls_octets *const lists[3] = {&s->chain, &s->ca, &s->crl};
	OWNED_FREE char *octets = NULL;
	const uint8_t *at;
	uint64_t sum = 0;
	size_t len;
	int r;

	if (!fd_is_sealed(fd))
		return -EINVAL;
	if ((r = fd_read_all(fd, TLS_MATERIAL_MAX, &octets, &len)) < 0)
		return r;
	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		sum += lens[k];
	if (sum != len)
		return -EINVAL;
	at = (const uint8_t *)octets;
	for (size_t k = 0; k < ARRAY_LEN(lists); at += lens[k++])
		*lists[k] = (struct tls_octets){at, lens[k]};
	*ret_octets = (uint8_t *)TAKE(octets);
	return 0;
}

static bool is_kept(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_CRL) == 0 ||
	       strcmp(name, PEM_STRING_X509_OLD) == 0;
}

static int append(uint8_t **octets, size_t *len, const uint8_t *der, size_t der_len)
{
	uint8_t *more;

	if (*len + 4 + der_len > TLS_MATERIAL_MAX)
		return -EFBIG;
	more = realloc(*octets, *len + 4 + der_len);
	if (!more)
		return -ENOMEM;
	put_be(more + *len, 4, der_len);
	memcpy(more + *len + 4, der, der_len);
	*octets = more;
	*len += 4 + der_len;
	return 0;
}

int tls_pem_to_der(const char *pem, size_t len, uint8_t **ret_octets, size_t *ret_len)
{
	BIO *in = len <= TLS_MATERIAL_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	char *name, *header;
	unsigned char *der;
	int count = 0, r = 0;
	long der_len;

	if (!in)
		return len > TLS_MATERIAL_MAX ? -EFBIG : -ENOMEM;
	while (r == 0 && PEM_read_bio(in, &name, &header, &der, &der_len) == 1) {
		if (is_kept(name)) {
			r = append(ret_octets, ret_len, der, (size_t)der_len);
			count++;
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)der_len); /* the file may hold the key as well */
	}
	if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		r = -EINVAL;
	ERR_clear_error();
	BIO_free(in);
	return r < 0 ? r : count;
}
