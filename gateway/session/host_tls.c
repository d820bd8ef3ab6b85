/* TLS, seen from the session: what the monitor gives for it, the handshake, whose key is
 * asked to sign, what is told of the certificate, and when it is no good any more. The
 * records are the transport's. Trusts the monitor; whose certificate it may be, the
 * monitor decides. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/session/session.h"

#define DRAIN_MAX 65536

/* --- the key --- */

static int await(int fd, uint64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do {
		uint64_t now = clock_ms();

		if (now >= deadline_ms)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)MIN(deadline_ms - now, 60000u));
	} while (r == 0 || (r < 0 && errno == EINTR));
	return r < 0 ? -errno : 0;
}

/* The authenticator's answer is waited for: the handshake is all that there is to do. */
static int sign(void *arg, const struct auth_sign *ask, struct auth_signature *ret_signature)
{
	struct session *s = arg;
	struct message m = {.type = AUTH_INVALID};
	int r = channel_send(&s->auth, AUTH_SIGN, ask, sizeof *ask, NULL, 0);

	while (r == 0 && m.type != AUTH_SIGNATURE) {
		if ((r = await(s->auth.fd, s->login_timer.at_ms)) == 0 &&
		    (r = channel_receive(&s->auth, &m)) > 0)
			r = 0;
	}
	if (r == 0)
		memcpy(ret_signature, m.body, sizeof *ret_signature);
	return r;
}

/* --- what the monitor gives --- */

static int context_read(struct session *s, const struct message *m, struct tls_context **ret)
{
	OWNED_FREE uint8_t *octets = NULL;
	struct tls_settings settings = {.role = TLS_SERVER, .signer = &s->signer};
	struct session_tls body;
	char why[128] = "it can't be read";
	int r;

	memcpy(&body, m->body, sizeof body);
	if (body.flags & SESSION_TLS_ALLOW_12)
		settings.flags |= TLS_ALLOW_12;
	if (body.flags & SESSION_TLS_JOINS)
		settings.flags |= TLS_JOINS;
	r = tls_settings_read(m->fds[0], (uint32_t[]){body.chain_len, body.ca_len, body.crl_len},
			      &settings, &octets);
	if (r == 0)
		r = tls_context_make(&settings, ret, why, sizeof why);
	if (r < 0)
		log_error("what belongs to the portal's certificate can't be used: %s", why);
	return r;
}

static void end_live(struct session *s, enum tls_reason reason, const char *sentence)
{
	char detail[sizeof s->end_detail];

	(void)snprintf(detail, sizeof detail, "%s: %s", tls_reason_name(reason), sentence);
	if (iscsi_is_full_feature(s->iscsi))
		iscsi_say_dropped(s->iscsi);
	session_end(s, SESSION_END_TLS, detail);
}

static struct tls *shaken(struct session *s)
{
	for (unsigned k = 0; k < TRANSPORTS_MAX; k++) {
		struct transport *t = &s->transports[k];

		if (t->c && t->tls && !t->shake_events)
			return t->tls;
	}
	return NULL;
}

static const char *sentence_of(const struct session *s, enum tls_reason reason, int64_t now_s)
{
	if (reason == TLS_CRL)
		return "the CRL is out of date: put a new one in its place, and reload";
	if (reason == TLS_EXPIRED)
		return now_s >= s->not_after_s ? "its certificate is over"
					       : "a CA's certificate that it rests on is over";
	return "its certificate is not good any more";
}

/* At the end of the first thing that its certificate rests on. */
static void look_later(struct session *s, const struct tls *tls, int64_t now_s)
{
	int64_t wait_ms = tls_recheck_in_ms(tls, now_s);

	if (wait_ms >= 0)
		loop_timer_set(s->loop, &s->certificate_timer, clock_ms() + (uint64_t)wait_ms);
}

static void look_again(struct session *s)
{
	struct tls *tls = shaken(s);
	int64_t now_s = clock_wall_s();
	enum tls_reason reason;

	if (!tls || s->ending)
		return;
	reason = tls_recheck(tls, s->tls_fresh ? s->tls_fresh : s->tls, now_s);
	if (reason != TLS_REASON_NONE)
		end_live(s, reason, sentence_of(s, reason, now_s));
	else
		look_later(s, tls, now_s);
}

static void on_look_again(struct timer *timer)
{
	look_again(CONTAINER_OF(timer, struct session, certificate_timer));
}

static void take(struct session *s, struct message *m)
{
	struct tls_context *fresh = NULL;

	if (!(s->start.flags & SESSION_START_TLS))
		return;
	if (!s->tls) {
		s->signer = (struct tls_signer){sign, s};
		if (context_read(s, m, &s->tls) < 0)
			s->tls = NULL;
		loop_stop(s->loop); /* session_main() goes on with it, or says why not */
		return;
	}
	if (context_read(s, m, &fresh) < 0)
		return session_end(s, SESSION_END_FAILED, "new certificates can't be used");
	tls_context_free(s->tls_fresh);
	s->tls_fresh = fresh;
	look_again(s);
}

/* --- the handshake --- */

static int open_one(struct transport *t)
{
	t->shake_events = EPOLLIN;
	return tls_open(t->s->tls, t->socket.fd, &t->tls);
}

static void tell_certificate(struct session *s, struct tls *tls)
{
	struct session_certificate body = {0};
	struct tls_peer p;

	tls_peer(tls, &p);
	body.version = p.version;
	body.ktls = p.kernel;
	memcpy(body.fingerprint, p.fingerprint, sizeof body.fingerprint);
	body.serial_len = p.serial_len;
	memcpy(body.serial, p.serial, sizeof body.serial);
	body.not_after_s = p.not_after_s;
	body.name_count = p.name_count;
	_Static_assert(sizeof body.names == sizeof p.names, "all of them");
	memcpy(body.names, p.names, sizeof body.names);
	memcpy(body.cipher, p.cipher, sizeof body.cipher);
	memcpy(body.group, p.group, sizeof body.group);
	_Static_assert(sizeof body.links == sizeof p.links, "all of them");
	body.link_count = p.link_count;
	memcpy(body.links, p.links, sizeof body.links);
	session_tell(s, SESSION_CERTIFICATE, &body, sizeof body);
	s->not_after_s = p.not_after_s;
	s->certificate_timer.run = on_look_again;
	look_later(s, tls, clock_wall_s());
}

/* What is left unread would turn our last words into a reset. */
static void drain(int fd)
{
	uint8_t octets[4096];
	ssize_t n = 1;

	for (size_t total = 0; total < DRAIN_MAX && n > 0; total += (size_t)n)
		n = recv(fd, octets, sizeof octets, MSG_DONTWAIT);
}

static void detail(const struct tls *tls, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s: %s", tls_reason_name(tls_reason(tls)), tls_detail(tls));
}

/* Who left without a word only looked whether somebody is there, as balancers do. */
static void failed(struct transport *t, int r)
{
	struct session *s = t->s;
	char sentence[sizeof s->end_detail];

	detail(t->tls, sentence, sizeof sentence);
	if (r == -ENODATA)
		session_end(s, SESSION_END_LEFT, "");
	else
		session_end(s, SESSION_END_TLS, sentence);
	drain(t->socket.fd);
	t->left = true;
}

/* A handshake has a little less than the login, so that its end is told by who knows the reason,
 * and not by the authenticator, which only waits. */
static uint32_t patience_ms(const struct session *s)
{
	uint32_t all = s->start.login_timeout_ms;

	return all - MIN(all / 8, 1000u);
}

static void shake(struct transport *t)
{
	uint32_t events = 0;
	int r = tls_handshake(t->tls, &events);

	if (r < 0)
		return failed(t, r);
	if (r == 0) {
		t->shake_events = events;
		return;
	}
	t->shake_events = 0;
	loop_timer_set(t->s->loop, &t->s->login_timer,
		       t->s->login_timer.at_ms + t->s->start.login_timeout_ms - patience_ms(t->s));
	if (tls_alpn(t->tls) == TLS_ALPN_IS_JOIN)
		return host_enrol(t);
	tell_certificate(t->s, t->tls);
	/* Or its time ran out meanwhile: the peer says when its handshake ends. */
	if (t->s->tls_fresh || tls_recheck_in_ms(t->tls, clock_wall_s()) == 0)
		look_again(t->s);
}

static void too_long(struct session *s)
{
	if (s->not_after_s == 0)
		session_end(s, SESSION_END_TLS,
			    "tls-timeout: there was no handshake within the time of a login");
}

const struct tls_ops session_tls_ops = {
	.take = take,
	.open = open_one,
	.shake = shake,
	.too_long = too_long,
	.patience_ms = patience_ms,
	.detail = detail,
	.receive = tls_receive,
	.send = tls_send,
	.has_more = tls_has_more,
	.unsent = tls_unsent,
	.flush = tls_flush,
	.reason = tls_reason,
	.close = tls_close,
	.free = tls_free,
};
