/* A session process that was taken over before anybody authenticated: it stands where
 * sallyport-session should, and does to monitor and authenticator what the first line
 * from its peer names. Then it tells the peer which messages it was sent. Compiled by
 * session_taken_over.py. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include "auth/auth.h"
#include "gateway/session/messages.h"
#include "tests/fault/hostile_put.h"

#define NAME_I "iqn.1994-05.com.redhat:client"
#define NAME_T "iqn.2026-11.net.example.gw:vault"

#define TELL(type, body) put(SESSION_FD_MONITOR, (type), (body), sizeof *(body), -1)
#define ASK(type, body)	 put(SESSION_FD_AUTH, (type), (body), sizeof *(body), -1)

static const struct session_claim claim = {.initiator = NAME_I, .target = NAME_T, .isid = {0x80}};
static const struct auth_offer offer = {.count = 1, .algorithms = {CHAP_SHA256}};
static struct auth_proof proof = {
	.user = "alice", .response_len = 32, .has_challenge = 1, .challenge_len = 16};

static void enter(void)
{
	put(SESSION_FD_MONITOR, SESSION_ENTER, NULL, 0, -1);
}
static void claim_enter(void)
{
	TELL(SESSION_CLAIM, &claim);
	enter();
}
static void claim_twice(void)
{
	TELL(SESSION_CLAIM, &claim);
	TELL(SESSION_CLAIM, &claim);
}
static void claim_short(void)
{
	put(SESSION_FD_MONITOR, SESSION_CLAIM, &claim, sizeof claim - 1, -1);
}
static void claim_with_fd(void)
{
	put(SESSION_FD_MONITOR, SESSION_CLAIM, &claim, sizeof claim, 0);
}
static void unknown_type(void)
{
	put(SESSION_FD_MONITOR, 31, NULL, 0, -1);
}
static void huge_type(void)
{
	put(SESSION_FD_MONITOR, 0xffffffff, NULL, 0, -1);
}
static void empty_packet(void)
{
	(void)!send(SESSION_FD_MONITOR, "", 0, MSG_NOSIGNAL);
}
static void nothing(void)
{
}

static void grants_itself(void)
{
	struct session_grant grant = {.tsih = 1, .target = NAME_T, .initiator = NAME_I};

	TELL(SESSION_CLAIM, &claim);
	TELL(SESSION_GRANT, &grant);
}

static void fails_a_disk(void)
{
	struct session_lun_failed failed = {.lun = 0, .error = EIO};

	TELL(SESSION_LUN_FAILED, &failed);
}

static void flood(void)
{
	struct session_report report = {.end = SESSION_END_MALFORMED, .detail = "\033[2J\n% %n"};

	for (int k = 0; k < 100000; k++)
		TELL(SESSION_REPORT, &report);
}

static void lifeline(void)
{
	(void)!send(SESSION_FD_LIFELINE, "alive?", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(SESSION_FD_LIFELINE, SHUT_RDWR);
	(void)close(SESSION_FD_LIFELINE);
	claim_enter();
}

static void offer_twice(void)
{
	TELL(SESSION_CLAIM, &claim);
	ASK(AUTH_OFFER, &offer);
	ASK(AUTH_OFFER, &offer);
}
static void proof_first(void)
{
	TELL(SESSION_CLAIM, &claim);
	ASK(AUTH_PROOF, &proof);
	enter();
}

static void guess(void)
{
	TELL(SESSION_CLAIM, &claim);
	ASK(AUTH_OFFER, &offer);
	ASK(AUTH_PROOF, &proof);
	ASK(AUTH_PROOF, &proof);
	enter();
}

static void lengths(void)
{
	proof.response_len = proof.challenge_len = 0xffffffff;
	memset(proof.user, 'A', sizeof proof.user);
	guess();
}

static void as_the_monitor(void)
{
	struct auth_verdict verdict = {.connection = 1, .reason = AUTH_OK, .user = "alice"};

	TELL(SESSION_CLAIM, &claim);
	ASK(AUTH_VERDICT, &verdict); /* to the authenticator, in the monitor's words */
	put(SESSION_FD_MONITOR, AUTH_VERDICT, &verdict, sizeof verdict, -1);
	enter();
}

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{"enter", enter},
	{"claim-enter", claim_enter},
	{"claim-twice", claim_twice},
	{"claim-short", claim_short},
	{"claim-fd", claim_with_fd},
	{"unknown", unknown_type},
	{"huge", huge_type},
	{"empty", empty_packet},
	{"grant", grants_itself},
	{"disk", fails_a_disk},
	{"flood", flood},
	{"lifeline", lifeline},
	{"offer-twice", offer_twice},
	{"proof-first", proof_first},
	{"guess", guess},
	{"lengths", lengths},
	{"as-monitor", as_the_monitor},
	{"nothing", nothing},
};

/* "started" and the types of the messages from the monitor, until it ends us or half a second. */
static void tell_what_came(void)
{
	struct pollfd p = {.fd = SESSION_FD_MONITOR, .events = POLLIN};
	uint8_t packet[CHANNEL_BODY_MAX];
	char line[64];

	while (poll(&p, 1, 500) == 1 && recv(p.fd, packet, sizeof packet, MSG_DONTWAIT) >= 4) {
		uint32_t type;

		memcpy(&type, packet, sizeof type);
		(void)!send(SESSION_FD_SOCKET, line,
			    (size_t)snprintf(line, sizeof line, "%u\n", type), MSG_NOSIGNAL);
	}
}

int main(void)
{
	char word[64] = "";
	struct pollfd p = {.fd = SESSION_FD_SOCKET, .events = POLLIN};
	ssize_t n = poll(&p, 1, 5000) == 1 ? recv(SESSION_FD_SOCKET, word, sizeof word - 1, 0) : 0;

	word[n > 0 ? strcspn(word, "\n") : 0] = '\0';
	for (size_t k = 0; k < ARRAY_LEN(attacks); k++) {
		if (strcmp(attacks[k].name, word) == 0)
			attacks[k].run();
	}
	tell_what_came();
	if (strcmp(word, "nothing") == 0)
		(void)poll(NULL, 0, 60000); /* stays, until the monitor's timer */
	return 0;
}
