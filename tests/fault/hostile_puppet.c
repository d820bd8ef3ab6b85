/* A session process that was taken over: it stands where sallyport-session should, and its
 * peer pulls the strings, line by line:
 *	claim TSIH INITIATOR TARGET     the names, with one ISID for all
 *	prove USER                      asks for the challenge
 *	response HEX                    the answer to it
 *	report                          that its session ends, which it does not
 *	refusing                        that it refuses by itself, and nobody is to blame
 *	say TYPE LONGER PASSES          a message of that type and its size, and so many octets
 *	                                more; passes 1: with a descriptor
 * It tells the peer each message that it was sent. Compiled by session_puppet.py. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include "auth/auth.h"
#include "gateway/session/messages.h"
#include "tests/fault/hostile_put.h"

static const size_t sizes[] = {
	[SESSION_CLAIM] = sizeof(struct session_claim),
	[SESSION_ENTER] = 0,
	[SESSION_JOIN] = sizeof(struct session_join),
	[SESSION_GRANT] = sizeof(struct session_grant),
	[SESSION_ADOPT] = sizeof(struct session_join),
	[SESSION_LUN_FAILED] = sizeof(struct session_lun_failed),
};

static struct auth_proof proof = {.has_challenge = 1, .challenge_len = 16};

static void tell_peer(const char *word, uint32_t number)
{
	char line[64];

	(void)!send(SESSION_FD_SOCKET, line,
		    (size_t)snprintf(line, sizeof line, "%s %u\n", word, number), MSG_NOSIGNAL);
}

static void obey(const char *line)
{
	struct session_claim claim = {.isid = {0x80}};
	struct auth_offer offer = {.count = 1, .algorithms = {CHAP_MD5}};
	unsigned type, longer, passes, at = 0, octet;

	if (sscanf(line, "claim %hu %223s %223s", &claim.tsih, claim.initiator, claim.target) == 3)
		put(SESSION_FD_MONITOR, SESSION_CLAIM, &claim, sizeof claim, -1);
	if (sscanf(line, "prove %255s", proof.user) == 1)
		put(SESSION_FD_AUTH, AUTH_OFFER, &offer, sizeof offer, -1);
	if (strcmp(line, "report") == 0) {
		struct session_report report = {.end = SESSION_END_LEFT};

		put(SESSION_FD_MONITOR, SESSION_REPORT, &report, sizeof report, -1);
	}
	if (strcmp(line, "refusing") == 0) {
		struct session_report report = {.end = SESSION_END_UNAVAILABLE};

		put(SESSION_FD_MONITOR, SESSION_REFUSING, &report, sizeof report, -1);
	}
	if (strncmp(line, "response ", 9) == 0) {
		for (; at < 16 && sscanf(line + 9 + 2 * at, "%2x", &octet) == 1; at++)
			proof.response[at] = (uint8_t)octet;
		proof.response_len = at;
		put(SESSION_FD_AUTH, AUTH_PROOF, &proof, sizeof proof, -1);
	}
	if (sscanf(line, "say %u %u %u", &type, &longer, &passes) == 3) {
		static const char garbage[CHANNEL_BODY_MAX];
		size_t size = type < ARRAY_LEN(sizes) ? sizes[type] : 0;

		put(SESSION_FD_MONITOR, type, garbage, size + longer,
		    passes ? SESSION_FD_SOCKET : -1);
	}
}

static bool hear_peer(void)
{
	char text[1024], *line, *rest = text;
	ssize_t n = recv(SESSION_FD_SOCKET, text, sizeof text - 1, MSG_DONTWAIT);

	if (n <= 0)
		return false;
	text[n] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		obey(line);
	return true;
}

static bool hear_monitor(void)
{
	uint8_t packet[CHANNEL_BODY_MAX];
	uint32_t type;

	if (recv(SESSION_FD_MONITOR, packet, sizeof packet, MSG_DONTWAIT) < (ssize_t)sizeof type)
		return false;
	memcpy(&type, packet, sizeof type);
	if (type == SESSION_GRANT) {
		struct session_grant grant;

		memcpy(&grant, packet + sizeof type, sizeof grant);
		tell_peer("tsih", grant.tsih);
	}
	tell_peer("got", type);
	return true;
}

static void hear_authenticator(void)
{
	struct auth_challenge challenge;
	uint8_t packet[CHANNEL_BODY_MAX];
	uint32_t type;

	if (recv(SESSION_FD_AUTH, packet, sizeof packet, MSG_DONTWAIT) < (ssize_t)sizeof type)
		return;
	memcpy(&type, packet, sizeof type);
	if (type != AUTH_CHALLENGE)
		return;
	memcpy(&challenge, packet + sizeof type, sizeof challenge);
	for (size_t k = 0; k < sizeof challenge.challenge; k++)
		tell_peer("octet", challenge.challenge[k]);
	tell_peer("id", challenge.id);
}

int main(void)
{
	struct pollfd p[] = {{.fd = SESSION_FD_SOCKET, .events = POLLIN},
			     {.fd = SESSION_FD_MONITOR, .events = POLLIN},
			     {.fd = SESSION_FD_AUTH, .events = POLLIN}};

	while (poll(p, ARRAY_LEN(p), 60000) > 0) {
		if (p[2].revents)
			hear_authenticator();
		if (p[2].revents & POLLHUP)
			p[2].fd = -1;
		if ((p[1].revents && !hear_monitor()) || (p[0].revents && !hear_peer()))
			return 0;
	}
	return 0;
}
