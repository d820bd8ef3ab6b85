/* The table of negotiated keys and the one negotiation that works from it, RFC 7143
 * sections 6.2 and 13. Runs in the session process on text from the network: what
 * is not in the table is NotUnderstood, what does not fit its row is Reject, and a
 * key that is offered twice ends the negotiation. */
#include "gateway/iscsi/keys.h"

#define SECURITY	 STAGE_SECURITY
#define OPERATIONAL	 STAGE_OPERATIONAL
#define LOGIN		 (STAGE_SECURITY | STAGE_OPERATIONAL)
#define FULL		 STAGE_FULL
#define ANY		 (LOGIN | FULL)
#define SEGMENT_MAX	 ((1u << 24) - 1)
#define NOT_IN_DISCOVERY KEY_NOT_IN_DISCOVERY
#define REPEATABLE	 KEY_REPEATABLE
#define LEADING		 KEY_LEADING
#define NORMAL		 (KEY_NOT_IN_DISCOVERY | KEY_LEADING)
#define BIT(id)		 (1ull << (id))

static const char *const digest_values[] = {"None", "CRC32C", NULL};
static const char *const reporting_values[] = {"RFC3720", "ResponseFence", "FastAbort", NULL};

/* clang-format off */
static const struct key keys[] = {
	/* id                    name                       type         initially  min  max  when                    */
	{ KEY_AUTH_METHOD,       "AuthMethod",              KEY_TEXT,           0,   0,    0, SECURITY, 0, NULL }, /* 12.1 */
	{ KEY_CHAP_A,            "CHAP_A",                  KEY_TEXT,           0,   0,    0, SECURITY, 0, NULL }, /* 12.1.3 */
	{ KEY_CHAP_I,            "CHAP_I",                  KEY_TEXT,           0,   0,    0, SECURITY, 0, NULL },
	{ KEY_CHAP_C,            "CHAP_C",                  KEY_TEXT,           0,   0,    0, SECURITY, 0, NULL },
	{ KEY_CHAP_N,            "CHAP_N",                  KEY_TEXT,           0,   0,    0, SECURITY, 0, NULL },
	{ KEY_CHAP_R,            "CHAP_R",                  KEY_TEXT,           0,   0,    0, SECURITY, 0, NULL },
	{ KEY_INITIATOR_NAME,    "InitiatorName",           KEY_TEXT,           0,   0,    0, LOGIN, REPEATABLE, NULL }, /* 13.5 */
	{ KEY_INITIATOR_ALIAS,   "InitiatorAlias",          KEY_NOTED,          0,   0,    0, ANY, REPEATABLE, NULL }, /* 13.7 */
	{ KEY_TARGET_NAME,       "TargetName",              KEY_TEXT,           0,   0,    0, LOGIN, REPEATABLE, NULL }, /* 13.4 */
	{ KEY_SESSION_TYPE,      "SessionType",             KEY_TEXT,           0,   0,    0, LOGIN, REPEATABLE, NULL }, /* 13.21 */
	{ KEY_SEND_TARGETS,      "SendTargets",             KEY_TEXT,           0,   0,    0, FULL, 0, NULL }, /* 13.3 */
	{ KEY_TARGET_ALIAS,      "TargetAlias",             KEY_NOT_YOURS,      0,   0,    0, ANY, 0, NULL }, /* 13.6 */
	{ KEY_TARGET_ADDRESS,    "TargetAddress",           KEY_NOT_YOURS,      0,   0,    0, ANY, 0, NULL }, /* 13.8 */
	{ KEY_PORTAL_GROUP,      "TargetPortalGroupTag",    KEY_NOT_YOURS,      0,   0,    0, ANY, 0, NULL }, /* 13.9 */
	{ KEY_HEADER_DIGEST,     "HeaderDigest",            KEY_LIST,           0,   0,    1, OPERATIONAL, 0, digest_values }, /* 13.1 */
	{ KEY_DATA_DIGEST,       "DataDigest",              KEY_LIST,           0,   0,    1, OPERATIONAL, 0, digest_values },
	{ KEY_MAX_CONNECTIONS,   "MaxConnections",          KEY_MIN,            1,   1,65535, OPERATIONAL, NORMAL, NULL }, /* 13.2 */
	{ KEY_INITIAL_R2T,       "InitialR2T",              KEY_OR,             1,   0,    1, OPERATIONAL, NORMAL, NULL }, /* 13.10 */
	{ KEY_IMMEDIATE_DATA,    "ImmediateData",           KEY_AND,            1,   0,    1, OPERATIONAL, NORMAL, NULL }, /* 13.11 */
	{ KEY_MAX_RECV_SEGMENT,  "MaxRecvDataSegmentLength", KEY_DECLARED,   8192, 512, SEGMENT_MAX, ANY, 0, NULL }, /* 13.12 */
	{ KEY_MAX_BURST,         "MaxBurstLength",          KEY_MIN,       262144, 512, SEGMENT_MAX, OPERATIONAL, NORMAL, NULL }, /* 13.13 */
	{ KEY_FIRST_BURST,       "FirstBurstLength",        KEY_MIN,        65536, 512, SEGMENT_MAX, OPERATIONAL, NORMAL, NULL }, /* 13.14 */
	{ KEY_TIME2WAIT,         "DefaultTime2Wait",        KEY_MAX,            2,   0, 3600, OPERATIONAL, LEADING, NULL }, /* 13.15 */
	{ KEY_TIME2RETAIN,       "DefaultTime2Retain",      KEY_MIN,           20,   0, 3600, OPERATIONAL, LEADING, NULL }, /* 13.16 */
	{ KEY_MAX_R2T,           "MaxOutstandingR2T",       KEY_MIN,            1,   1,65535, OPERATIONAL, NORMAL, NULL }, /* 13.17 */
	{ KEY_PDU_IN_ORDER,      "DataPDUInOrder",          KEY_OR,             1,   0,    1, OPERATIONAL, NORMAL, NULL }, /* 13.18 */
	{ KEY_SEQUENCE_IN_ORDER, "DataSequenceInOrder",     KEY_OR,             1,   0,    1, OPERATIONAL, NORMAL, NULL }, /* 13.19 */
	{ KEY_ERROR_RECOVERY,    "ErrorRecoveryLevel",      KEY_MIN,            0,   0,    2, OPERATIONAL, LEADING, NULL }, /* 13.20 */
	{ KEY_TASK_REPORTING,    "TaskReporting",           KEY_LIST,           0,   0,    2, OPERATIONAL, NORMAL, reporting_values }, /* 13.23 */
	{ KEY_PROTOCOL_LEVEL,    "iSCSIProtocolLevel",      KEY_MIN,            1,   0,   31, OPERATIONAL, NORMAL, NULL }, /* RFC 7144 7.1.1 */
	{ KEY_IF_MARKER,         "IFMarker",                KEY_MARKER,         0,   0,    0, LOGIN, 0, NULL }, /* 13.25 */
	{ KEY_OF_MARKER,         "OFMarker",                KEY_MARKER,         0,   0,    0, LOGIN, 0, NULL },
	{ KEY_IF_MARK_INT,       "IFMarkInt",               KEY_MARK_INT,       0,   0,    0, LOGIN, 0, NULL },
	{ KEY_OF_MARK_INT,       "OFMarkInt",               KEY_MARK_INT,       0,   0,    0, LOGIN, 0, NULL },
	/* Taken from others, never told: what runs here is nobody's business, and 13.26.2 allows it. */
	{ KEY_NODE_ARCHITECTURE, "X#NodeArchitecture",      KEY_NOTED,          0,   0,    0, LOGIN, 0, NULL }, /* 13.26 */
};
/* clang-format on */

_Static_assert(KEY_COUNT <= 64, "one bit of `seen` a key");

void keys_start(struct keys *k, const struct iscsi_limits *limits)
{
	*k = (struct keys){0};
	for (size_t n = 0; n < ARRAY_LEN(keys); n++)
		k->result[keys[n].id] = keys[n].initially;
	keys_limit(k, limits);
}

void keys_limit(struct keys *k, const struct iscsi_limits *limits)
{
	k->ours[KEY_HEADER_DIGEST] = limits->header_digest;
	k->ours[KEY_DATA_DIGEST] = limits->data_digest;
	k->insisted = limits->digests_required ? BIT(KEY_HEADER_DIGEST) | BIT(KEY_DATA_DIGEST) : 0;
	k->ours[KEY_MAX_CONNECTIONS] = MAX(limits->max_connections, 1);
	k->ours[KEY_INITIAL_R2T] = limits->initial_r2t;
	k->ours[KEY_IMMEDIATE_DATA] = limits->immediate_data;
	k->ours[KEY_MAX_BURST] = limits->max_burst;
	k->ours[KEY_FIRST_BURST] = limits->first_burst;
	k->ours[KEY_TIME2WAIT] = limits->time2wait;
	/* below level 2 a session ends with its last connection */
	k->ours[KEY_TIME2RETAIN] = limits->error_recovery == 2 ? limits->time2retain : 0;
	k->ours[KEY_MAX_R2T] = limits->max_r2t;
	k->ours[KEY_PDU_IN_ORDER] = 1;
	k->ours[KEY_SEQUENCE_IN_ORDER] = 1;
	k->ours[KEY_ERROR_RECOVERY] = limits->error_recovery;
	k->ours[KEY_TASK_REPORTING] = REPORTING_FAST_ABORT;
	k->ours[KEY_PROTOCOL_LEVEL] = PROTOCOL_LEVEL_7144;
}

void keys_restart(struct keys *k)
{
	k->seen = 0;
	k->offered = 0;
	k->unknown = 0;
	k->offer_count = 0;
}

const struct key *keys_find(const struct text_pair *pair)
{
	for (size_t n = 0; n < ARRAY_LEN(keys); n++)
		if (text_is(pair, keys[n].name))
			return &keys[n];
	return NULL;
}

/* RFC 7143 section 6.1: a decimal constant of several digits does not begin with 0. */
static bool is_padded(const char *value)
{
	return value[0] == '0' && value[1] >= '0' && value[1] <= '9';
}

static enum key_answer take_number(struct keys *k, const struct key *key, const char *value)
{
	uint64_t number;
	uint32_t ours = k->ours[key->id], theirs;

	if (k->discovery && key->id == KEY_ERROR_RECOVERY) /* RFC 7143 section 7.4.1 */
		ours = 0;
	if (is_padded(value) || number_parse_any(value, key->min, key->max, &number) < 0)
		return KEY_REJECT;
	theirs = (uint32_t)number;
	if (key->type == KEY_MIN)
		theirs = MIN(theirs, ours);
	else if (key->type == KEY_MAX)
		theirs = MAX(theirs, ours);
	k->result[key->id] = theirs;
	return KEY_RESULT;
}

static enum key_answer take_boolean(struct keys *k, const struct key *key, const char *value)
{
	bool yes = strcmp(value, "Yes") == 0, ours = k->ours[key->id] != 0;

	if (!yes && strcmp(value, "No") != 0)
		return KEY_REJECT;
	k->result[key->id] = key->type == KEY_AND ? yes && ours : yes || ours;
	return KEY_RESULT;
}

/* RFC 7143 section 6.2.1: the first value of the originator's list that the responder has. */
static enum key_answer take_list(struct keys *k, const struct key *key, const char *value)
{
	const char *at = value, *item;
	uint32_t least = k->insisted & BIT(key->id) ? k->ours[key->id] : 0;
	size_t len;

	while (text_list_next(&at, &item, &len)) {
		for (uint32_t n = least; key->values[n] && n <= k->ours[key->id]; n++) {
			if (strlen(key->values[n]) != len || memcmp(key->values[n], item, len) != 0)
				continue;
			k->result[key->id] = n;
			return KEY_RESULT;
		}
	}
	return KEY_REJECT;
}

static enum key_answer take_value(struct keys *k, const struct key *key, const char *value)
{
	switch (key->type) {
	case KEY_MIN:
	case KEY_MAX:
	case KEY_DECLARED:
		return take_number(k, key, value);
	case KEY_AND:
	case KEY_OR:
		return take_boolean(k, key, value);
	case KEY_LIST:
		return take_list(k, key, value);
	case KEY_MARKER:
	case KEY_NOTED:
		return KEY_RESULT;
	default:
		return KEY_REJECT;
	}
}

static int add_offer(struct keys *k, const struct key *key, const struct text_pair *pair,
		     enum key_answer answer)
{
	struct key_offer *o;

	if (k->offer_count == ARRAY_LEN(k->offers))
		return -EPROTO;
	o = &k->offers[k->offer_count++];
	*o = (struct key_offer){.key = key, .answer = answer};
	memcpy(o->name, pair->key, pair->key_len);
	return 0;
}

static int take_unknown(struct keys *k, const struct text_pair *pair)
{
	if (k->unknown++ == KEYS_UNKNOWN_MAX)
		return -EPROTO;
	return add_offer(k, NULL, pair, KEY_UNKNOWN);
}

/* The answer to an offer of ours, which was of one value: that, or something that refuses it. */
static void take_answer(struct keys *k, const struct key *key, const char *value)
{
	uint32_t ours = k->ours[key->id];

	if (strcmp(value, key->values[ours]) == 0)
		k->result[key->id] = ours;
}

/* RFC 7143 section 6.1 limits the values, so of a list each one: what is longer is none of ours. */
static bool value_fits(const struct key *key, const struct text_pair *pair)
{
	return key->type == KEY_LIST || pair->value_len <= TEXT_VALUE_MAX;
}

static enum key_answer answer_to(struct keys *k, const struct key *key,
				 const struct text_pair *pair)
{
	if (!value_fits(key, pair))
		return KEY_REJECT;
	if ((key->flags & KEY_NOT_IN_DISCOVERY) && k->discovery)
		return KEY_IRRELEVANT;
	/* RFC 7143 section 13: the leading connection's keys can't be changed by a later one. To
	 * say Irrelevant (section 6.2) lets the login of who offers them all the same go on. */
	if ((key->flags & KEY_LEADING) && k->joins)
		return KEY_IRRELEVANT;
	return take_value(k, key, pair->value);
}

/* RFC 7143 section 6.2: to offer one of these is a protocol error. */
static bool is_answer(const struct text_pair *pair)
{
	return strcmp(pair->value, "Reject") == 0 || strcmp(pair->value, "Irrelevant") == 0 ||
	       strcmp(pair->value, "NotUnderstood") == 0;
}

static int take_known(struct keys *k, const struct key *key, const struct text_pair *pair)
{
	if (k->offered & BIT(key->id)) {
		take_answer(k, key, pair->value);
		return 0;
	}
	if (is_answer(pair)) /* only what a target declares may have one */
		return key->type == KEY_NOT_YOURS ? 0 : -EPROTO;
	return add_offer(k, key, pair, answer_to(k, key, pair));
}

int keys_take(struct keys *k, enum key_stage stage, const struct text_pair *pair,
	      const struct key **ret_key)
{
	const struct key *key = keys_find(pair);
	bool again;

	if (!key)
		return is_answer(pair) ? -EPROTO : take_unknown(k, pair);
	again = (k->seen & BIT(key->id)) != 0;
	if (again && !(key->flags & KEY_REPEATABLE))
		return -EPROTO;
	k->seen |= BIT(key->id);
	if (!(key->stages & stage))
		return add_offer(k, key, pair, KEY_REJECT);
	if (key->type == KEY_TEXT) {
		*ret_key = key;
		return 1;
	}
	return take_known(k, key, pair);
}

void keys_reject(struct keys *k, const struct key *key)
{
	if (k->offer_count == ARRAY_LEN(k->offers))
		return;
	k->offers[k->offer_count] = (struct key_offer){.key = key, .answer = KEY_REJECT};
	(void)string_copy(k->offers[k->offer_count].name, TEXT_KEY_MAX + 1, key->name);
	k->offer_count++;
}

static void put_result(const struct keys *k, const struct key *key, struct wr *w)
{
	uint32_t result = k->result[key->id];

	switch (key->type) {
	case KEY_MIN:
	case KEY_MAX:
		text_put_number(w, key->name, result);
		return;
	case KEY_AND:
	case KEY_OR:
		text_put(w, key->name, result ? "Yes" : "No");
		return;
	case KEY_LIST:
		text_put(w, key->name, key->values[result]);
		return;
	case KEY_MARKER:
		text_put(w, key->name, "No");
		return;
	default: /* a declaration has no answer */
		return;
	}
}

bool keys_insisted(const struct keys *k)
{
	for (size_t n = 0; n < ARRAY_LEN(keys); n++)
		if (k->insisted & BIT(keys[n].id) && k->result[keys[n].id] != k->ours[keys[n].id])
			return false;
	return true;
}

bool keys_insist(struct keys *k, struct wr *w)
{
	uint64_t open = k->insisted & ~k->seen & ~k->offered;

	for (size_t n = 0; n < ARRAY_LEN(keys); n++)
		if (open & BIT(keys[n].id))
			text_put(w, keys[n].name, keys[n].values[k->ours[keys[n].id]]);
	k->offered |= open;
	return open != 0;
}

uint32_t keys_first_burst(const struct keys *k)
{
	return MIN(k->result[KEY_FIRST_BURST], k->result[KEY_MAX_BURST]);
}

/* Is there no unsolicited data, so that its amount means nothing? RFC 7143 section 13.14. */
static bool no_first_burst(const struct keys *k)
{
	return k->result[KEY_INITIAL_R2T] && !k->result[KEY_IMMEDIATE_DATA];
}

/* What holds between keys is looked at when all of a request are there: RFC 7143 section 6.2. */
static void integrate(struct keys *k)
{
	for (size_t n = 0; n < k->offer_count; n++) {
		struct key_offer *o = &k->offers[n];

		if (o->answer != KEY_RESULT || o->key->id != KEY_FIRST_BURST || !no_first_burst(k))
			continue;
		o->answer = KEY_IRRELEVANT;
		k->result[KEY_FIRST_BURST] = o->key->initially;
	}
	k->result[KEY_FIRST_BURST] = keys_first_burst(k);
	if (k->result[KEY_ERROR_RECOVERY] > 0) /* RFC 7143 section 13.19: data in order */
		k->result[KEY_MAX_R2T] = 1;
}

void keys_answer(struct keys *k, struct wr *w)
{
	integrate(k);
	for (size_t n = 0; n < k->offer_count; n++) {
		const struct key_offer *o = &k->offers[n];

		if (o->answer == KEY_RESULT)
			put_result(k, o->key, w);
		else if (o->answer == KEY_REJECT)
			text_put(w, o->name, "Reject");
		else if (o->answer == KEY_IRRELEVANT)
			text_put(w, o->name, "Irrelevant");
		else
			text_put(w, o->name, "NotUnderstood");
	}
	k->offer_count = 0;
}
