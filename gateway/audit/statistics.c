/* Statistics of a trail: events (logins, refusals, bans, what changed) and the frame of
 * the count. Commands are counted in statistics_blocks.c. Part of the review; reads
 * records that may have been written by anybody. */
#include "gateway/audit/statistics_parts.h"

#include <stdio.h>

#define REASONS_MAX    64
#define SOURCES_MAX    1024
#define INITIATORS_MAX 256
#define ACCESSES_MAX   2048
#define LUNS_MAX       2048
#define KNOWN_MAX      8192

/* An initiator, and an address that it came from; version 0: whatever address. */
struct known_key {
	char initiator[ISCSI_NAME_SIZE];
	struct ip ip;
};

struct statistics *statistics_open(uint64_t since_ns, uint64_t until_ns, bool utc)
{
	struct statistics *s = calloc(1, sizeof *s);
	bool short_of_memory = s == NULL;

	for (size_t k = 0; s && k < LISTS; k++) {
		s->lists[k] = calloc(1, sizeof *s->lists[k]);
		short_of_memory |= s->lists[k] == NULL;
	}
	if (short_of_memory) {
		statistics_close(s);
		return NULL;
	}
	s->since_ns = since_ns;
	s->until_ns = until_ns;
	s->utc = utc;
	table_open(&s->reasons, sizeof(struct reason_count), 64, REASONS_MAX);
	table_open(&s->sources, sizeof(struct source_count), sizeof(struct network), SOURCES_MAX);
	table_open(&s->initiators, sizeof(struct initiator_count), ISCSI_NAME_SIZE, INITIATORS_MAX);
	table_open(&s->accesses, sizeof(struct access_count), sizeof(struct access_key),
		   ACCESSES_MAX);
	table_open(&s->luns, sizeof(struct lun_count), sizeof(struct lun_key), LUNS_MAX);
	table_open(&s->known, sizeof(struct known_key), sizeof(struct known_key), KNOWN_MAX);
	return s;
}

void statistics_close(struct statistics *s)
{
	if (!s)
		return;
	blocks_close(s);
	table_close(&s->reasons);
	table_close(&s->sources);
	table_close(&s->initiators);
	table_close(&s->accesses);
	table_close(&s->luns);
	table_close(&s->known);
	for (size_t k = 0; k < LISTS; k++)
		free(s->lists[k]);
	free(s);
}

size_t statistics_bucket(const struct statistics *s, uint64_t time_ns)
{
	if (time_ns <= s->since_ns || s->bucket_ns == 0)
		return 0;
	return (size_t)MIN((time_ns - s->since_ns) / s->bucket_ns, STATISTICS_BUCKETS - 1);
}

/* --- whom it is about --- */

/* Of a table that is full, who has the least makes room, and its count goes on as the newcomer's:
 * who has more than the sum by the number of places is always in it (the "space-saving" count). */
static struct source_count *source_get(struct statistics *s, const struct ip *ip)
{
	struct network key, block = ip_source_block(ip);
	struct source_count *source;
	uint64_t least = UINT64_MAX, sum;
	size_t at = 0;

	memset(&key, 0, sizeof key); /* its padding, too */
	key.ip.version = block.ip.version;
	memcpy(key.ip.bytes, block.ip.bytes, sizeof key.ip.bytes);
	key.prefix = block.prefix;
	source = table_get(&s->sources, &key);
	if (source || s->sources.count < SOURCES_MAX)
		return source;
	for (size_t k = 0; k < s->sources.count; k++) {
		source = (struct source_count *)(void *)s->sources.entries[k];
		sum = source_sum(source);
		if (sum < least) {
			least = sum;
			at = k;
		}
	}
	source = table_replace(&s->sources, at, &key);
	source->not_listed = source->over = least;
	return source;
}

static struct source_count *source_of(struct statistics *s, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;
	struct source_count *source = e->peer.ip.version ? source_get(s, &e->peer.ip) : NULL;

	if (!source)
		return NULL;
	if (source->first_ns == 0)
		source->first_ns = r->frame.stamp.time_ns;
	source->last_ns = r->frame.stamp.time_ns;
	return source;
}

static void list_add(struct statistics *s, enum statistics_list which, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;
	struct event_list *list = s->lists[which];
	struct event_note *n;

	if (list->count == STATISTICS_LISTED) {
		list->more++;
		return;
	}
	n = &list->notes[list->count++];
	*n = (struct event_note){.time_ns = r->frame.stamp.time_ns,
				 .sequence = r->frame.stamp.sequence,
				 .count = e->count,
				 .kind = (enum audit_event_kind)e->kind,
				 .peer = e->peer};
	(void)string_copy(n->reason, sizeof n->reason, e->reason);
	(void)string_copy(n->user, sizeof n->user, e->user);
	(void)string_copy(n->initiator, sizeof n->initiator, e->initiator);
	(void)string_copy(n->target, sizeof n->target, e->target);
	(void)string_copy(n->detail, sizeof n->detail, e->detail);
}

/* Was it there before? Remembers it. What there is no room for counts as known. */
static bool is_known(struct statistics *s, const char *initiator, const struct ip *ip)
{
	struct known_key key;

	memset(&key, 0, sizeof key);
	(void)string_copy(key.initiator, sizeof key.initiator, initiator);
	if (ip) {
		key.ip.version = ip->version;
		memcpy(key.ip.bytes, ip->bytes, sizeof key.ip.bytes);
	}
	if (table_find(&s->known, &key))
		return true;
	return table_get(&s->known, &key) == NULL;
}

static void first_seen(struct statistics *s, const struct trail_record *r, bool counts)
{
	const struct audit_event *e = &r->frame.event;
	bool name = is_known(s, e->initiator, NULL), ip = is_known(s, e->initiator, &e->peer.ip);

	if (!counts || (name && ip))
		return;
	list_add(s, LIST_FIRST_SEEN, r);
	if (s->lists[LIST_FIRST_SEEN]->more == 0) {
		struct event_note *n =
			&s->lists[LIST_FIRST_SEEN]->notes[s->lists[LIST_FIRST_SEEN]->count - 1];

		(void)string_copy(n->reason, sizeof n->reason, name ? "address" : "initiator");
	}
}

/* --- events, by kind --- */

static void login(struct statistics *s, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;
	struct initiator_count *by = initiator_get(s, e->initiator);
	struct source_count *source = source_of(s, r);
	bool joined = strcmp(e->reason, "joined") == 0;

	s->logins_ok++;
	s->logins_joined += joined;
	s->logins_at[statistics_bucket(s, r->frame.stamp.time_ns)]++;
	if (by)
		by->logins++;
	if (source) {
		source->logins++;
		(void)string_copy(source->initiator, sizeof source->initiator, e->initiator);
	}
}

static void discovery(struct statistics *s, const struct trail_record *r)
{
	struct initiator_count *by = initiator_get(s, r->frame.event.initiator);

	s->discoveries++;
	if (by)
		by->discoveries++;
}

static void logout(struct statistics *s, const struct trail_record *r)
{
	struct initiator_count *by = initiator_get(s, r->frame.event.initiator);

	s->logouts++;
	if (by)
		by->logouts++;
}

static void reason_add(struct statistics *s, const char *reason, uint64_t count)
{
	char key[64] = "";
	struct reason_count *found;

	(void)string_copy(key, sizeof key, reason[0] ? reason : "no reason told");
	found = table_get(&s->reasons, key);
	if (found)
		found->count += count;
}

static void refusal(struct statistics *s, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;
	bool connection = e->kind == EVENT_CONNECTION;
	struct source_count *source = source_of(s, r);
	size_t bucket = statistics_bucket(s, r->frame.stamp.time_ns);

	reason_add(s, e->reason, 1);
	*(connection ? &s->refused_connections : &s->refused) += 1;
	(connection ? s->connections_at : s->refusals_at)[bucket]++;
	if (!source)
		return;
	*(connection ? &source->connections : &source->refused) += 1;
	(void)string_copy(source->reason, sizeof source->reason, e->reason);
	if (e->initiator[0])
		(void)string_copy(source->initiator, sizeof source->initiator, e->initiator);
}

static void refusals_counted(struct statistics *s, const struct trail_record *r)
{
	const struct audit_event *e = &r->frame.event;
	struct source_count *source = source_of(s, r);

	reason_add(s, e->reason, e->count);
	s->refused_not_listed += e->count;
	s->refusals_at[statistics_bucket(s, r->frame.stamp.time_ns)] += e->count;
	if (source)
		source->not_listed += e->count;
}

static void ban(struct statistics *s, const struct trail_record *r)
{
	struct source_count *source = source_of(s, r);

	s->bans++;
	if (source)
		source->bans++;
	list_add(s, LIST_BANS, r);
}

static void unban(struct statistics *s, const struct trail_record *r)
{
	s->unbans++;
	list_add(s, LIST_BANS, r);
}

static void decoy(struct statistics *s, const struct trail_record *r)
{
	struct source_count *source = source_of(s, r);

	s->decoys++;
	if (source)
		source->decoys++;
	list_add(s, LIST_BANS, r);
}

static void policy(struct statistics *s, const struct trail_record *r)
{
	list_add(s, LIST_POLICY, r);
}

static void operator_asked(struct statistics *s, const struct trail_record *r)
{
	bool allowed = strcmp(r->frame.event.reason, "not-allowed") != 0;

	list_add(s, allowed ? LIST_OPERATORS : LIST_NOT_ALLOWED, r);
}

static void disk(struct statistics *s, const struct trail_record *r)
{
	if (strcmp(r->frame.event.reason, "granted") != 0) /* part of a login */
		list_add(s, LIST_DISKS, r);
}

static void gap(struct statistics *s, const struct trail_record *r)
{
	list_add(s, LIST_GAPS, r);
}

static void service(struct statistics *s, const struct trail_record *r)
{
	list_add(s, LIST_SERVICES, r);
}

typedef void (*event_counter)(struct statistics *s, const struct trail_record *r);
static const event_counter counters[EVENT_KINDS] = {
	[EVENT_START] = service,
	[EVENT_STOP] = service,
	[EVENT_POLICY] = policy,
	[EVENT_CONNECTION] = refusal,
	[EVENT_LOGIN] = login,
	[EVENT_REFUSAL] = refusal,
	[EVENT_REFUSALS_COUNTED] = refusals_counted,
	[EVENT_DISCOVERY] = discovery,
	[EVENT_LOGOUT] = logout,
	[EVENT_BAN] = ban,
	[EVENT_UNBAN] = unban,
	[EVENT_HELPER] = service,
	[EVENT_DISK] = disk,
	[EVENT_OPERATOR] = operator_asked,
	[EVENT_FIREWALL] = service,
	[EVENT_GAP] = gap,
	[EVENT_DECOY] = decoy,
	[EVENT_RETENTION] = service,
	[EVENT_SPACE] = service,
};

static void event(struct statistics *s, const struct trail_record *r, bool counts)
{
	const struct audit_event *e = &r->frame.event;

	if (e->kind == EVENT_LOGIN || e->kind == EVENT_DISCOVERY)
		first_seen(s, r, counts);
	if (e->kind == EVENT_LOGIN || e->kind == EVENT_DISK)
		blocks_granted(s, e);
	if (counts && e->kind < EVENT_KINDS && counters[e->kind])
		counters[e->kind](s, r);
}

/* --- the most first --- */

uint64_t source_sum(const struct source_count *source)
{
	return source->refused + source->connections + source->not_listed;
}

uint64_t amounts_bytes(const struct amounts amounts[FAMILIES])
{
	uint64_t sum = 0;

	for (size_t k = 0; k < FAMILIES_OF_BLOCKS; k++)
		sum = amounts[k].bytes < UINT64_MAX - sum ? sum + amounts[k].bytes : UINT64_MAX;
	return sum;
}

static bool anything(const struct amounts amounts[FAMILIES], const struct verdicts *v)
{
	for (size_t k = 0; k < FAMILIES; k++) {
		if (amounts[k].commands || amounts[k].blocks)
			return true;
	}
	return v->denied || v->refused || v->failed || v->not_executed || v->busy;
}

bool initiator_counts(const struct initiator_count *by)
{
	return by->logins || by->discoveries || by->logouts || anything(by->amounts, &by->verdicts);
}

bool access_counts(const struct access_count *access)
{
	return anything(access->amounts, &access->verdicts);
}

static int falling(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int sources_by_sum(const void *a, const void *b)
{
	const struct source_count *const *x = a, *const *y = b;

	return falling(source_sum(*x), source_sum(*y));
}

static int reasons_by_count(const void *a, const void *b)
{
	const struct reason_count *const *x = a, *const *y = b;

	return falling((*x)->count, (*y)->count);
}

static int initiators_by_bytes(const void *a, const void *b)
{
	const struct initiator_count *const *x = a, *const *y = b;

	return falling(amounts_bytes((*x)->amounts), amounts_bytes((*y)->amounts));
}

static int accesses_by_bytes(const void *a, const void *b)
{
	const struct access_count *const *x = a, *const *y = b;

	return falling(amounts_bytes((*x)->amounts), amounts_bytes((*y)->amounts));
}

static void table_sort(struct table *t, int (*compare)(const void *a, const void *b))
{
	free(TAKE(t->slots)); /* which are by the order before */
	if (t->count > 1)
		qsort(t->entries, t->count, sizeof *t->entries, compare);
}

/* --- the pass --- */

static void period_begin(struct statistics *s, uint64_t time_ns)
{
	if (s->since_ns == 0)
		s->since_ns = MIN(time_ns, s->until_ns - 1);
	s->bucket_ns = (s->until_ns - s->since_ns + STATISTICS_BUCKETS - 1) / STATISTICS_BUCKETS;
}

void statistics_add(struct statistics *s, const struct trail_record *r)
{
	uint64_t time_ns = r->frame.stamp.time_ns;
	bool counts;

	if (time_ns >= s->until_ns || r->frame.stamp.sequence == 0) /* later; or a repetition */
		return;
	if (s->bucket_ns == 0)
		period_begin(s, time_ns);
	counts = time_ns >= s->since_ns;
	if (counts && s->records++ == 0)
		s->first_sequence = r->frame.stamp.sequence;
	if (counts)
		s->last_sequence = r->frame.stamp.sequence;
	else if (s->history_records++ == 0)
		s->history_ns = time_ns;
	if (r->frame.type == FRAME_COMMAND)
		blocks_add(s, r, counts);
	else if (r->frame.type == FRAME_EVENT)
		event(s, r, counts);
	else if (r->frame.type == FRAME_SESSION && counts)
		s->sessions++;
}

void statistics_end(struct statistics *s)
{
	if (s->bucket_ns == 0)
		period_begin(s, s->since_ns ? s->since_ns : s->until_ns - 1);
	unusual_end(s);
	table_sort(&s->sources, sources_by_sum);
	table_sort(&s->reasons, reasons_by_count);
	table_sort(&s->initiators, initiators_by_bytes);
	table_sort(&s->accesses, accesses_by_bytes);
}

const char *bytes_text(uint64_t bytes, char ret[16])
{
	static const char units[] = "KMGTPE";
	uint64_t tenths;
	unsigned unit = 0;

	if (bytes < 1024) {
		(void)snprintf(ret, 16, "%u B", (unsigned)bytes);
		return ret;
	}
	for (; bytes >= UINT64_C(1024) * 1024 && unit < sizeof units - 2; bytes /= 1024)
		unit++;
	tenths = bytes * 10 / 1024;
	if (tenths < 100)
		(void)snprintf(ret, 16, "%u.%u %ciB", (unsigned)(tenths / 10),
			       (unsigned)(tenths % 10), units[unit]);
	else
		(void)snprintf(ret, 16, "%u %ciB", (unsigned)(tenths / 10), units[unit]);
	return ret;
}
