/* A configuration of stunnel, for machines that `sallyport connect` does not run on: one service
 * for each portal with TLS. What stands in the gateway's certificate decides whose name is checked;
 * it is the policy's own, and read, not judged. */
#include <stdio.h>
#include "auth/certificate.h"
#include "gateway/base/bytes.h"
#include "gateway/cli/client.h"

static void begin(const struct client_page *page)
{
	(void)page;
	printf("# stunnel, 5.50 or later. It needs the client's certificate, client.pem, its "
	       "private\n"
	       "# key, client.key, and the CA of the gateway's certificate, ca.pem.\n"
	       "# Windows, as administrator: these three, and this as stunnel.conf, in stunnel's\n"
	       "# folder config; then\n"
	       "#     stunnel -install; stunnel -start\n"
	       "# Linux: these three, and this as sallyport.conf, in /etc/stunnel; then, as root,\n"
	       "#     sed -i -E 's,= (client|ca)[.],= /etc/stunnel/\\1.,' "
	       "/etc/stunnel/sallyport.conf\n"
	       "#     chmod 600 /etc/stunnel/client.key && systemctl enable --now "
	       "stunnel@sallyport\n"
	       "# Then the commands of --for linux, windows, esxi or libiscsi, on the same "
	       "machine.\n\n"
	       "client = yes\n"
	       "socket = l:TCP_NODELAY=1\n"
	       "socket = r:TCP_NODELAY=1\n"
	       "socket = r:SO_KEEPALIVE=1\n");
}

/* The first name of a host in the gateway's certificate, else its first address; "": not known. */
static void host_find(const struct policy_portal *p, struct certificate_hosts *hosts,
		      char ret[CERTIFICATE_HOST_SIZE])
{
	const struct tls_part *chain = &p->tls->chain;
	OWNED_X509 *leaf = NULL;
	struct ip ip;

	ret[0] = '\0';
	if (chain->len < 4 || get_be(chain->der, 4) > chain->len - 4 ||
	    certificate_read(chain->der + 4, (size_t)get_be(chain->der, 4), &leaf) < 0)
		return;
	certificate_hosts(leaf, hosts);
	if (hosts->count > 0)
		memcpy(ret, hosts->names[0], CERTIFICATE_HOST_SIZE);
	for (size_t k = hosts->count; k-- > 0;)
		if (ip_parse(hosts->names[k], &ip) < 0)
			memcpy(ret, hosts->names[k], CERTIFICATE_HOST_SIZE);
}

static void name_tell(const char *host)
{
	struct ip ip;

	if (!host[0])
		printf("# put in the name that the gateway's certificate has\n"
		       "checkHost = NAME\n");
	else
		printf("%s = %s\n", ip_parse(host, &ip) == 0 ? "checkIP" : "checkHost", host);
}

static void far_tell(const struct policy_portal *p, const char *host)
{
	const struct endpoint *e = &p->listen[0];
	char text[ADDRESS_TEXT];
	struct ip ip;

	if (!ip_is_any(&e->ip))
		printf("connect = %s\n", endpoint_show(e, text));
	else if (host[0] && (ip_parse(host, &ip) < 0 || ip.version == 4))
		printf("connect = %s:%u\n", host, e->port);
	else
		printf("# put in the gateway's address, as this machine reaches it\n"
		       "connect = GATEWAY:%u\n",
		       e->port);
}

static bool uses(const struct policy_target *t, size_t number, const char *name)
{
	bool named = false, through = false;

	for (size_t k = 0; k < t->initiator_count; k++)
		named = named || strcmp(t->initiators[k].name, name) == 0;
	for (size_t k = 0; k < t->portal_count; k++)
		through = through || t->portals[k] == number;
	return named && through;
}

/* Was it told for a target before this one? */
static bool is_told(const struct client_page *page, const struct client_section *s)
{
	size_t number = (size_t)(s->portal - page->policy->portals);

	for (const struct policy_target *t = page->policy->targets; t < s->target; t++)
		if (uses(t, number, page->initiator))
			return true;
	return false;
}

static void section(const struct client_page *page, const struct client_section *s)
{
	static struct certificate_hosts hosts;
	const struct policy_portal *p = s->portal;
	char host[CERTIFICATE_HOST_SIZE];

	if (p->transport != PORTAL_TLS) {
		printf("# this portal has no TLS: its initiator goes there without stunnel\n");
		return;
	}
	if (is_told(page, s)) {
		printf("# the service above leads there\n");
		return;
	}
	host_find(p, &hosts, host);
	printf("[%s]\naccept = %s\n", p->name, s->place);
	far_tell(p, host);
	printf("cert = client.pem\nkey = client.key\nCAfile = ca.pem\nverifyChain = yes\n");
	name_tell(host);
	printf("sslVersionMin = %s\n", p->tls->allow_tls12 ? "TLSv1.2" : "TLSv1.3");
}

static void end(const struct client_page *page)
{
	(void)page;
}

const struct client_form client_stunnel = {
	.name = "stunnel",
	.is_tunnel = true,
	.begin = begin,
	.section = section,
	.end = end,
};
