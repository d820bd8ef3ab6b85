/* Every reader of text in gateway/base on arbitrary octets; what is taken must be
 * written and read again to the same. */
#include <stdio.h>
#include "gateway/base/address.h"
#include "gateway/base/bytes.h"
#include "gateway/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512], out[ADDRESS_TEXT], interface[INTERFACE_NAME_SIZE];
	struct endpoint e, e2;
	struct network n, n2;
	uint8_t bytes[100];
	uint64_t number;
	ssize_t len;

	if (size == 0 || size > sizeof text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	len = binary_decode(text, bytes, data[0] % sizeof bytes);
	assert(len <= (ssize_t)(data[0] % sizeof bytes));
	if (number_parse_any(text, 0, 1000, &number) == 0)
		assert(number <= 1000);
	if (endpoint_parse(text, &e) == 0)
		assert(endpoint_parse(endpoint_format(&e, out), &e2) == 0 &&
		       ip_equal(&e.ip, &e2.ip) && e.port == e2.port);
	if (endpoint_parse_on(text, &e, interface) == 0)
		assert(!interface[0] || (interface_name_ok(interface) && ip_is_link_local(&e.ip)));
	if (network_parse(text, &n) == 0)
		assert(network_parse(network_format(&n, out), &n2) == 0 &&
		       ip_equal(&n.ip, &n2.ip) && n.prefix == n2.prefix);
	(void)text_escape(text, size, out, 1 + data[0] % sizeof out);
	return 0;
}
