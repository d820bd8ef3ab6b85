/* Points and bans by address block. The monitor's; decides, and leaves the effect to the firewall
 * and to accept. Linear tables: looked at once per failure and once per accepted connection, and
 * the one of bans fits into the cache. */
#include "auth/penalties.h"

/* A wrong secret is one point. What is our own doing, or only somebody's leaving, costs nothing and
 * is not here. Of a session's end "crashed" stands for every signal of a fault; what breaks the
 * channel to the monitor is a session that somebody has taken over. */
const struct penalty_cost penalty_costs[] = {
	{"wrong-secret", 1, "a wrong CHAP secret"},
	{"unknown-user", 1, "a CHAP user that nobody has"},
	{"weak-algorithm", 1, "a CHAP algorithm below the user's floor"},
	{"no-algorithm", 1, "no CHAP algorithm in common"},
	{"no-mutual", 1, "our proof was not asked for"},
	{"reflection", 2, "our own challenge, sent back"},
	{"broken", 2, "CHAP out of turn"},
	{"expired", 1, "a CHAP response that came too late"},
	{"no-names", 1, "a login without names"},
	{"bad-initiator-name", 1, "an initiator name that is none"},
	{"unknown-initiator", 1, "an initiator that the policy does not name"},
	{"wrong-initiator", 1, "another initiator's CHAP user"},
	{"wrong-user", 1, "another CHAP user than the initiator's"},
	{"wrong-address", 1, "another address than the initiator's"},
	{"wrong-portal", 1, "a portal that is not the initiator's"},
	{"our-mutual-proof-was-not-accepted", 1, "it left when it heard our proof"},
	{"malformed", 2, "a malformed PDU before the login was over"},
	{"digest-error", 1, "a wrong digest before the login was over"},
	{"login-timeout", 1, "a login that took too long"},
	{"refused", 1, "a login that the session refused"},
	{"certificate-is-of-another-name", 1, "a TLS certificate of another name"},
	{"certificate-is-not-the-pinned-one", 1, "another TLS certificate than the pinned one"},
	{"tls-plain-on-a-tls-port", 1, "no TLS, where TLS is"},
	{"tls-on-a-plain-port", 1, "TLS, where there is none"},
	{"tls-garbage", 2, "octets that are no TLS"},
	{"tls-version", 1, "a TLS version that is too old"},
	{"tls-no-common-cipher", 1, "no TLS cipher in common"},
	{"tls-no-common-group", 1, "no TLS group in common"},
	{"tls-no-certificate", 1, "no TLS certificate"},
	{"tls-unknown-ca", 1, "a TLS certificate of an unknown CA"},
	{"tls-expired", 1, "a TLS certificate that is over"},
	{"tls-not-yet-valid", 1, "a TLS certificate that is not valid yet"},
	{"tls-revoked", 1, "a TLS certificate that was taken back"},
	{"tls-wrong-purpose", 1, "a TLS certificate that is not for clients"},
	{"tls-bad-signature", 2, "a TLS certificate without its key, or a forged record"},
	{"tls-truncated", 1, "a TLS connection that was cut off"},
	{"tls-timeout", 1, "a TLS handshake that took too long"},
	{"tls-alert", 1, "a TLS handshake that it gave up"},
	{"tls-alpn", 1, "no TLS application protocol in common"},
	{"tls-failed", 1, "a TLS handshake that failed"},
	{"crashed", 3, "its session crashed"},
	{"certificate-out-of-turn", 5, "its session broke the rules"},
	{"claim-out-of-turn", 5, "its session broke the rules"},
	{"enter-out-of-turn", 5, "its session broke the rules"},
	{"join-out-of-turn", 5, "its session broke the rules"},
	{"refuses-out-of-turn", 5, "its session broke the rules"},
	{"says-too-much", 5, "its session broke the rules"},
	{"broke-its-channel", 5, "its session broke the rules"},
	{"join-no-invitation-is-open", 1, "it wanted to join, and nobody is invited"},
	{"join-unknown-code", 2, "a code to join with that nobody has"},
	{"join-code-used", 1, "a code to join with that was used"},
	{"join-code-expired", 1, "a code to join with whose time is over"},
	{"join-code-not-proven", 2, "a code to join with that it does not know"},
	{"join-code-is-for-another-name", 1, "another initiator's code to join with"},
	{"join-failed", 1, "a key to join with that no certificate can be made for"},
	{"join-from-another-place", 1, "a code to join with, from another address or portal"},
	{"proxied-out-of-turn", 5, "its session broke the rules"},
	{"proxy-header-missing", 1, "a proxy that said nothing of whom it brings"},
	{"proxy-header-malformed", 2, "a proxy's header that is none"},
	{"proxy-header-from-a-stranger", 2, "a proxy's header, and no proxy is there"},
	{"decoy", PENALTY_AT_ONCE, "it asked for a decoy"},
};
const size_t penalty_cost_count = ARRAY_LEN(penalty_costs);

unsigned penalty_points(const char *reason)
{
	for (size_t k = 0; k < ARRAY_LEN(penalty_costs); k++) {
		if (strcmp(penalty_costs[k].reason, reason) == 0)
			return penalty_costs[k].points;
	}
	return 0;
}

/* --- sources ---------------------------------------------------------------------------------- */

/* Blocks differ in their first 8 octets. */
static bool same_source(const struct network *a, const struct network *b)
{
	return a->ip.version == b->ip.version && memcmp(a->ip.bytes, b->ip.bytes, 8) == 0;
}

/* What one customer of a provider may have, and fill a table with. */
static bool same_crowd(const struct network *a, const struct network *b)
{
	return a->ip.version == b->ip.version &&
	       memcmp(a->ip.bytes, b->ip.bytes, a->ip.version == 4 ? 3 : 6) == 0;
}

bool penalty_is_exempt(const struct penalties *p, const struct network *source)
{
	static const struct ip loopback_v6 = {.version = 6, .bytes = {[15] = 1}};

	for (size_t k = 0; k < p->rules.exempt_count; k++) {
		if (network_contains(&p->rules.exempt[k], &source->ip) ||
		    network_contains(source, &p->rules.exempt[k].ip))
			return true;
	}
	return ip_is_loopback(&source->ip) || network_contains(source, &loopback_v6);
}

/* --- points ----------------------------------------------------------------------------------- */

static uint64_t window_begins(const struct penalties *p, uint64_t now_ms)
{
	uint64_t window_ms = (uint64_t)p->rules.within_s * 1000;

	return now_ms > window_ms ? now_ms - window_ms : 0;
}

unsigned penalty_points_of(const struct penalties *p, const struct penalty_suspect *s,
			   uint64_t now_ms)
{
	uint64_t since = window_begins(p, now_ms);
	unsigned sum = 0;

	for (unsigned k = 0; k < s->failures; k++)
		sum += s->at_ms[k] >= since ? s->points[k] : 0;
	return sum;
}

/* suspects_end: nowhere. */
static size_t suspect_place(const struct penalties *p, const struct network *source)
{
	size_t k = 0;

	while (k < p->suspects_end && !same_source(&p->suspects[k].source, source))
		k++;
	return k;
}

static struct penalty_suspect *suspect_find(struct penalties *p, const struct network *source)
{
	size_t k = suspect_place(p, source);

	return k < p->suspects_end ? &p->suspects[k] : NULL;
}

static uint64_t last_failure(const struct penalty_suspect *s)
{
	return s->failures > 0 ? s->at_ms[s->failures - 1] : 0;
}

static bool is_older(const struct penalty_suspect *s, const struct penalty_suspect *than)
{
	return than == NULL || last_failure(s) < last_failure(than);
}

/* A free entry; or the one heard of longest ago: of the source's own crowd, when that has its
 * share, else of all. */
static struct penalty_suspect *suspect_make(struct penalties *p, const struct network *source)
{
	struct penalty_suspect *oldest = NULL, *own = NULL;
	size_t crowd = 0;

	p->suspects_end += p->suspects_end < PENALTY_SUSPECTS_MAX;
	for (size_t k = 0; k < p->suspects_end; k++) {
		struct penalty_suspect *s = &p->suspects[k];

		if (is_older(s, oldest)) /* a free one has heard of nothing */
			oldest = s;
		if (s->source.ip.version == 0 || !same_crowd(source, &s->source))
			continue;
		crowd++;
		if (is_older(s, own))
			own = s;
	}
	if (crowd >= PENALTY_CROWD_MAX)
		oldest = own;
	*oldest = (struct penalty_suspect){.source = *source};
	return oldest;
}

/* Forgets failures older than the window, and the oldest when there is no room. */
static void forget(struct penalty_suspect *s, uint64_t before_ms)
{
	unsigned first = s->failures == PENALTY_FAILURES_MAX;

	while (first < s->failures && s->at_ms[first] < before_ms)
		first++;
	s->failures -= first;
	memmove(s->at_ms, s->at_ms + first, s->failures * sizeof s->at_ms[0]);
	memmove(s->points, s->points + first, s->failures * sizeof s->points[0]);
}

/* --- bans ------------------------------------------------------------------------------------- */

bool penalty_is_active(const struct penalty *e, uint64_t now_ms)
{
	return (e->kind == PENALTY_BANNED || e->kind == PENALTY_SLOWED) &&
	       e->until_ms > (int64_t)now_ms;
}

static bool is_forgotten(const struct penalties *p, const struct penalty *e, uint64_t now_ms)
{
	return e->source.ip.version == 0 ||
	       (e->kind != PENALTY_LIFTED &&
		e->until_ms + (int64_t)p->rules.cap_s * 1000 <= (int64_t)now_ms);
}

/* bans_end: nowhere. */
static size_t ban_place(const struct penalties *p, const struct network *source)
{
	size_t k = 0;

	while (k < p->bans_end && !same_source(&p->bans[k].source, source))
		k++;
	return k;
}

static struct penalty *ban_find(struct penalties *p, const struct network *source)
{
	size_t k = ban_place(p, source);

	return k < p->bans_end ? &p->bans[k] : NULL;
}

static bool ends_before(const struct penalty *e, const struct penalty *than)
{
	if (than == NULL || than->source.ip.version == 0)
		return than == NULL;
	return e->source.ip.version == 0 || e->until_ms < than->until_ms;
}

/* Where a new ban may stand. A crowd that has its share makes room itself: its ban that ends first
 * goes (the firewall keeps that one all the same, it has more room). Otherwise a ban that is over;
 * one that is in force is pushed out by an operator's alone, and an operator's by nobody. */
static struct penalty *ban_room(struct penalties *p, const struct penalty *row, uint64_t now_ms)
{
	struct penalty *first = NULL, *own = NULL;
	size_t crowd = 0;

	p->bans_end += p->bans_end < PENALTY_BANS_MAX;
	for (size_t k = 0; k < p->bans_end; k++) {
		struct penalty *e = &p->bans[k];

		if (is_forgotten(p, e, now_ms))
			*e = (struct penalty){0};
		if (e->kind == PENALTY_LIFTED || (e->by_operator && penalty_is_active(e, now_ms)))
			continue;
		if (ends_before(e, first))
			first = e;
		if (e->source.ip.version == 0 || !same_crowd(&row->source, &e->source))
			continue;
		crowd++;
		if (ends_before(e, own))
			own = e;
	}
	if (crowd >= PENALTY_CROWD_MAX)
		return own;
	p->full = first == NULL || penalty_is_active(first, now_ms);
	return p->full && !row->by_operator ? NULL : first;
}

static struct penalty *ban_make(struct penalties *p, const struct penalty *row, uint64_t now_ms)
{
	struct penalty *e = ban_find(p, &row->source);

	if (e == NULL)
		e = ban_room(p, row, now_ms);
	if (e != NULL)
		*e = *row;
	return e;
}

struct penalty *penalty_put(struct penalties *p, const struct penalty *row, uint64_t now_ms)
{
	return ban_make(p, row, now_ms);
}

static uint64_t ban_lasts(const struct penalty_rules *r, unsigned repeats)
{
	uint64_t ms = (uint64_t)r->for_s * 1000, cap_ms = (uint64_t)r->cap_s * 1000;

	while (repeats-- > 0 && ms < cap_ms)
		ms *= 2;
	return MIN(ms, cap_ms);
}

static struct penalty *ban_begin(struct penalties *p, const struct network *source,
				 const char *reason, bool slowed, uint64_t now_ms)
{
	const struct penalty *before = ban_find(p, source);
	struct penalty row = {
		.source = *source,
		.kind = slowed ? PENALTY_SLOWED : PENALTY_BANNED,
		.news = !slowed,
		.since_ms = (int64_t)now_ms,
		.login_ms = now_ms,
	};

	if (before != NULL && before->kind != PENALTY_LIFTED && !is_forgotten(p, before, now_ms))
		row.repeats = (uint8_t)MIN(before->repeats + 1, UINT8_MAX);
	row.until_ms = row.since_ms + (int64_t)ban_lasts(&p->rules, row.repeats);
	(void)string_copy(row.reason, sizeof row.reason, reason);
	return ban_make(p, &row, now_ms);
}

struct penalty *penalty_failure(struct penalties *p, const struct ip *ip, const char *reason,
				bool has_session, uint64_t now_ms)
{
	struct network source = ip_source_block(ip);
	unsigned points = penalty_points(reason);
	struct penalty_suspect *s;
	struct penalty *e;

	if (p->rules.after == 0 || points == 0 || penalty_is_exempt(p, &source))
		return NULL;
	e = ban_find(p, &source);
	if (e != NULL && e->kind == PENALTY_BANNED && penalty_is_active(e, now_ms))
		return NULL;
	s = suspect_find(p, &source);
	if (s == NULL)
		s = suspect_make(p, &source);
	forget(s, window_begins(p, now_ms));
	s->at_ms[s->failures] = now_ms;
	s->points[s->failures++] = (uint8_t)points;
	if (penalty_points_of(p, s, now_ms) < p->rules.after)
		return NULL;
	e = ban_begin(p, &source, reason, has_session, now_ms);
	if (e != NULL)
		*s = (struct penalty_suspect){0};
	return e;
}

enum penalty_kind penalty_look(const struct penalties *p, const struct ip *ip, uint64_t now_ms)
{
	struct network source = ip_source_block(ip);
	size_t at = ban_place(p, &source);

	if (at < p->bans_end && penalty_is_active(&p->bans[at], now_ms))
		return p->bans[at].kind;
	if (!p->full || p->rules.after == 0 || penalty_is_exempt(p, &source))
		return PENALTY_NONE;
	at = suspect_place(p, &source);
	return at < p->suspects_end &&
			       penalty_points_of(p, &p->suspects[at], now_ms) >= p->rules.after
		       ? PENALTY_BANNED
		       : PENALTY_NONE;
}

bool penalty_enter(struct penalties *p, const struct ip *ip, uint64_t now_ms)
{
	enum penalty_kind kind = penalty_look(p, ip, now_ms);
	struct network source = ip_source_block(ip);
	struct penalty *e;

	if (kind != PENALTY_SLOWED)
		return kind == PENALTY_NONE;
	e = ban_find(p, &source);
	if (now_ms < e->login_ms + PENALTY_SLOW_MS)
		return false;
	e->login_ms = now_ms;
	return true;
}

bool penalty_lift(struct penalties *p, const struct network *source, uint64_t now_ms)
{
	struct penalty_suspect *s = suspect_find(p, source);
	struct penalty *e = ban_find(p, source);
	bool active = e != NULL && penalty_is_active(e, now_ms);

	if (s != NULL)
		*s = (struct penalty_suspect){0};
	if (e != NULL)
		*e = (struct penalty){.source = *source, .kind = PENALTY_LIFTED, .news = true};
	return active;
}

void penalty_told(struct penalty *e)
{
	e->news = false;
	if (e->kind == PENALTY_LIFTED)
		*e = (struct penalty){0};
}
