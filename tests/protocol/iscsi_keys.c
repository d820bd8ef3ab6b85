/* Text and the table of keys, RFC 7143 sections 6.1, 6.2 and 13: every row with its
 * boundary values, what is refused and how, and the order of the answers. */
#include "tests/unit/test.h"
#include "gateway/iscsi/keys.h"

#include <stdio.h>

static const struct iscsi_limits limits = {
	.time2wait = 2,
	.max_recv_segment = 262144,
	.max_burst = 1048576,
	.first_burst = 65536,
	.max_r2t = 4,
	.queue_depth = 32,
	.immediate_data = true,
	.header_digest = true,
	.data_digest = true,
};

static const struct key_row {
	const char *why, *offer, *answer; /* answer "": none; NULL: the negotiation is over */
	enum key_stage stage;
	enum { NORMAL, DISCOVERY, JOINING } login;
} rows[] = {
#define OP   STAGE_OPERATIONAL, NORMAL
#define SEC  STAGE_SECURITY, NORMAL
#define FFP  STAGE_FULL, NORMAL
#define DISC STAGE_OPERATIONAL, DISCOVERY
#define JOIN STAGE_OPERATIONAL, JOINING
	{"13.1 HeaderDigest: the initiator's first choice that we have", "HeaderDigest=CRC32C,None",
	 "HeaderDigest=CRC32C", OP},
	{"13.1 HeaderDigest: None first", "HeaderDigest=None,CRC32C", "HeaderDigest=None", OP},
	{"13.1 HeaderDigest: unknown values are passed over", "HeaderDigest=Y-foo.bar,CRC32C",
	 "HeaderDigest=CRC32C", OP},
	{"13.1 HeaderDigest: nothing in common is Reject", "HeaderDigest=Y-foo",
	 "HeaderDigest=Reject", OP},
	{"13.1 HeaderDigest: the empty list is Reject", "HeaderDigest=", "HeaderDigest=Reject", OP},
	{"13.1 HeaderDigest: a longer name is no CRC32C", "HeaderDigest=CRC32Cx",
	 "HeaderDigest=Reject", OP},
	{"13.1 DataDigest: CRC32C", "DataDigest=CRC32C", "DataDigest=CRC32C", OP},
	{"13.2 MaxConnections: one is what we have", "MaxConnections=8", "MaxConnections=1", OP},
	{"13.2 MaxConnections: 0 is outside its range", "MaxConnections=0", "MaxConnections=Reject",
	 OP},
	{"13.2 MaxConnections: 65535 is inside", "MaxConnections=65535", "MaxConnections=1", OP},
	{"13.2 MaxConnections: 65536 is outside", "MaxConnections=65536", "MaxConnections=Reject",
	 OP},
	{"13.10 InitialR2T: No and No is No", "InitialR2T=No", "InitialR2T=No", OP},
	{"13.10 InitialR2T: Yes wins (OR)", "InitialR2T=Yes", "InitialR2T=Yes", OP},
	{"13.10 InitialR2T: yes in small letters is no boolean", "InitialR2T=yes",
	 "InitialR2T=Reject", OP},
	{"13.11 ImmediateData: Yes and Yes is Yes (AND)", "ImmediateData=Yes", "ImmediateData=Yes",
	 OP},
	{"13.11 ImmediateData: No wins", "ImmediateData=No", "ImmediateData=No", OP},
	{"13.11 ImmediateData: empty is Reject", "ImmediateData=", "ImmediateData=Reject", OP},
	{"13.12 MaxRecvDataSegmentLength: a declaration has no answer",
	 "MaxRecvDataSegmentLength=512", "", OP},
	{"13.12 MaxRecvDataSegmentLength: 511 is outside", "MaxRecvDataSegmentLength=511",
	 "MaxRecvDataSegmentLength=Reject", OP},
	{"13.12 MaxRecvDataSegmentLength: 2^24-1 is inside", "MaxRecvDataSegmentLength=16777215",
	 "", OP},
	{"13.12 MaxRecvDataSegmentLength: 2^24 is outside", "MaxRecvDataSegmentLength=16777216",
	 "MaxRecvDataSegmentLength=Reject", OP},
	{"13.12 MaxRecvDataSegmentLength: in the security stage too",
	 "MaxRecvDataSegmentLength=8192", "", SEC},
	{"13.12 MaxRecvDataSegmentLength: in full feature too", "MaxRecvDataSegmentLength=8192", "",
	 FFP},
	{"13.13 MaxBurstLength: the lower one", "MaxBurstLength=16776192", "MaxBurstLength=1048576",
	 OP},
	{"13.13 MaxBurstLength: 512", "MaxBurstLength=512", "MaxBurstLength=512", OP},
	{"13.13 MaxBurstLength: 511 is outside", "MaxBurstLength=511", "MaxBurstLength=Reject", OP},
	{"13.13 MaxBurstLength: a negative number is none", "MaxBurstLength=-1",
	 "MaxBurstLength=Reject", OP},
	{"13.13 MaxBurstLength: blanks are no digits", "MaxBurstLength= 512",
	 "MaxBurstLength=Reject", OP},
	{"13.13 MaxBurstLength: more than 64 bits", "MaxBurstLength=99999999999999999999999",
	 "MaxBurstLength=Reject", OP},
	{"6.1 numbers may be hex", "MaxBurstLength=0x1000", "MaxBurstLength=4096", OP},
	{"6.1 numbers may be hex, with 0X and capitals", "MaxBurstLength=0XFFF",
	 "MaxBurstLength=4095", OP},
	{"6.1 a decimal number does not begin with 0", "MaxBurstLength=0512",
	 "MaxBurstLength=Reject", OP},
	{"6.1 a hex number may", "MaxBurstLength=0x0200", "MaxBurstLength=512", OP},
	{"6.1 0 alone is a number", "DefaultTime2Retain=0", "DefaultTime2Retain=0", OP},
	{"6.1 a sign is no digit", "MaxBurstLength=+512", "MaxBurstLength=Reject", OP},
	{"6.2 a range is no number", "MaxBurstLength=512~1024", "MaxBurstLength=Reject", OP},
	{"6.2 a list is no number", "MaxBurstLength=512,1024", "MaxBurstLength=Reject", OP},
	{"6.1 a fraction is no number", "MaxBurstLength=512.0", "MaxBurstLength=Reject", OP},
	{"6.1 a base64 constant is no number here",
	 "MaxBurstLength=0bAgA=", "MaxBurstLength=Reject", OP},
	{"6.1 0x alone is no number", "MaxBurstLength=0x", "MaxBurstLength=Reject", OP},
	{"6.1 0xg is no number", "MaxBurstLength=0x10g0", "MaxBurstLength=Reject", OP},
	{"6.1 a hex number of 17 digits", "MaxBurstLength=0x10000000000000200",
	 "MaxBurstLength=Reject", OP},
	{"13.14 FirstBurstLength: the lower one", "FirstBurstLength=262144",
	 "FirstBurstLength=65536", OP},
	{"13.14 FirstBurstLength: 512", "FirstBurstLength=512", "FirstBurstLength=512", OP},
	{"13.14 FirstBurstLength never exceeds MaxBurstLength, offered before it",
	 "FirstBurstLength=65536\nMaxBurstLength=4096",
	 "FirstBurstLength=4096\nMaxBurstLength=4096", OP},
	{"13.14 FirstBurstLength is irrelevant when there is no unsolicited data",
	 "InitialR2T=Yes\nFirstBurstLength=4096\nImmediateData=No",
	 "InitialR2T=Yes\nFirstBurstLength=Irrelevant\nImmediateData=No", OP},
	{"13.14 FirstBurstLength counts with immediate data alone",
	 "InitialR2T=Yes\nFirstBurstLength=4096\nImmediateData=Yes",
	 "InitialR2T=Yes\nFirstBurstLength=4096\nImmediateData=Yes", OP},
	{"13.14 FirstBurstLength counts with unsolicited data alone",
	 "InitialR2T=No\nFirstBurstLength=4096\nImmediateData=No",
	 "InitialR2T=No\nFirstBurstLength=4096\nImmediateData=No", OP},
	{"13.15 DefaultTime2Wait: the higher one", "DefaultTime2Wait=0", "DefaultTime2Wait=2", OP},
	{"13.15 DefaultTime2Wait: 3600", "DefaultTime2Wait=3600", "DefaultTime2Wait=3600", OP},
	{"13.15 DefaultTime2Wait: 3601 is outside", "DefaultTime2Wait=3601",
	 "DefaultTime2Wait=Reject", OP},
	{"13.16 DefaultTime2Retain: at level 0 nothing is retained", "DefaultTime2Retain=20",
	 "DefaultTime2Retain=0", OP},
	{"13.16 DefaultTime2Retain: 3601 is outside", "DefaultTime2Retain=3601",
	 "DefaultTime2Retain=Reject", OP},
	{"13.17 MaxOutstandingR2T: the lower one", "MaxOutstandingR2T=65535", "MaxOutstandingR2T=4",
	 OP},
	{"13.17 MaxOutstandingR2T: 0 is outside", "MaxOutstandingR2T=0", "MaxOutstandingR2T=Reject",
	 OP},
	{"13.18 DataPDUInOrder: we insist", "DataPDUInOrder=No", "DataPDUInOrder=Yes", OP},
	{"13.19 DataSequenceInOrder: we insist", "DataSequenceInOrder=No",
	 "DataSequenceInOrder=Yes", OP},
	{"13.20 ErrorRecoveryLevel: 0 is what we have", "ErrorRecoveryLevel=2",
	 "ErrorRecoveryLevel=0", OP},
	{"13.20 ErrorRecoveryLevel: 3 is outside", "ErrorRecoveryLevel=3",
	 "ErrorRecoveryLevel=Reject", OP},
	{"13.23 TaskReporting: the initiator's first choice",
	 "TaskReporting=FastAbort,ResponseFence,RFC3720", "TaskReporting=FastAbort", OP},
	{"13.23 TaskReporting: ResponseFence", "TaskReporting=ResponseFence,RFC3720",
	 "TaskReporting=ResponseFence", OP},
	{"13.23 TaskReporting: RFC3720 first", "TaskReporting=RFC3720,FastAbort",
	 "TaskReporting=RFC3720", OP},
	{"13.23 TaskReporting: values have their case", "TaskReporting=fastabort,rfc3720",
	 "TaskReporting=Reject", OP},
	{"13.23 TaskReporting is irrelevant in discovery", "TaskReporting=FastAbort",
	 "TaskReporting=Irrelevant", DISC},
	{"RFC 7144 7.1.1 iSCSIProtocolLevel: 2", "iSCSIProtocolLevel=2", "iSCSIProtocolLevel=2",
	 OP},
	{"RFC 7144 7.1.1 iSCSIProtocolLevel: the lower one", "iSCSIProtocolLevel=31",
	 "iSCSIProtocolLevel=2", OP},
	{"RFC 7144 7.1.1 iSCSIProtocolLevel: 1", "iSCSIProtocolLevel=1", "iSCSIProtocolLevel=1",
	 OP},
	{"RFC 7144 7.1.1 iSCSIProtocolLevel: 0", "iSCSIProtocolLevel=0", "iSCSIProtocolLevel=0",
	 OP},
	{"RFC 7144 7.1.1 iSCSIProtocolLevel: 32 is outside", "iSCSIProtocolLevel=32",
	 "iSCSIProtocolLevel=Reject", OP},
	{"RFC 7144 7.1.1 iSCSIProtocolLevel is irrelevant in discovery", "iSCSIProtocolLevel=2",
	 "iSCSIProtocolLevel=Irrelevant", DISC},
	{"13.25 IFMarker: obsolete, No", "IFMarker=Yes", "IFMarker=No", OP},
	{"13.25 OFMarker: obsolete, No", "OFMarker=No", "OFMarker=No", OP},
	{"13.25 IFMarkInt: obsolete, Reject", "IFMarkInt=2048~8192", "IFMarkInt=Reject", OP},
	{"13.25 OFMarkInt: obsolete, Reject", "OFMarkInt=2048", "OFMarkInt=Reject", OP},
	{"13.26 X#NodeArchitecture is taken, and nothing is told",
	 "X#NodeArchitecture=Linux/6.1,x86_64", "", OP},
	{"13.26 X#NodeArchitecture: in the security stage, as RFC 4850 had it",
	 "X#NodeArchitecture=Linux", "", SEC},
	{"13.26 X#NodeArchitecture in discovery", "X#NodeArchitecture=Linux", "", DISC},
	{"13.26 X#NodeArchitecture twice is an error", "X#NodeArchitecture=a\nX#NodeArchitecture=a",
	 NULL, OP},
	{"13.26 X#NodeArchitecture in full feature is out of place", "X#NodeArchitecture=a",
	 "X#NodeArchitecture=Reject", FFP},
	{"13.22 a private key is not understood", "X-com.example.foo.bar=1",
	 "X-com.example.foo.bar=NotUnderstood", OP},
	{"13.22 a public key that nobody registered is not understood", "X#Foo=1",
	 "X#Foo=NotUnderstood", OP},
	{"6.2 an unknown key is not understood, once", "Foo=1", "Foo=NotUnderstood", OP},
	{"6.1 key names are compared whole", "MaxBurstLengthX=512", "MaxBurstLengthX=NotUnderstood",
	 OP},
	{"6.1 key names are compared with their case", "maxburstlength=512",
	 "maxburstlength=NotUnderstood", OP},
	{"6.2 the answers come in the originator's order",
	 "DataPDUInOrder=Yes\nFoo=1\nMaxBurstLength=512",
	 "DataPDUInOrder=Yes\nFoo=NotUnderstood\nMaxBurstLength=512", OP},
	{"6.2 Reject is no value to offer", "MaxBurstLength=Reject", NULL, OP},
	{"6.2 Irrelevant is no value to offer", "HeaderDigest=Irrelevant", NULL, OP},
	{"6.2 NotUnderstood is no value to offer", "InitialR2T=NotUnderstood", NULL, OP},
	{"6.2 NotUnderstood is no value of an unknown key", "Foo=NotUnderstood", NULL, OP},
	{"6.2 NotUnderstood answers what we declared", "TargetAlias=NotUnderstood", "", OP},
	{"6.2 NotUnderstood does not answer our segment length",
	 "MaxRecvDataSegmentLength=NotUnderstood", NULL, OP},
	{"6.2 a key offered twice is an error", "MaxBurstLength=512\nMaxBurstLength=512", NULL, OP},
	{"6.2 a declaration of a number twice is an error",
	 "MaxRecvDataSegmentLength=512\nMaxRecvDataSegmentLength=512", NULL, OP},
	{"13.6 TargetAlias is the target's to send", "TargetAlias=me", "TargetAlias=Reject", OP},
	{"13.8 TargetAddress is the target's to send", "TargetAddress=1.2.3.4:1,1",
	 "TargetAddress=Reject", OP},
	{"13.9 TargetPortalGroupTag is the target's to send", "TargetPortalGroupTag=1",
	 "TargetPortalGroupTag=Reject", SEC},
	{"6.3 an operational key in the security stage is out of place", "MaxBurstLength=512",
	 "MaxBurstLength=Reject", SEC},
	{"6.3 AuthMethod in the operational stage is out of place", "AuthMethod=CHAP",
	 "AuthMethod=Reject", OP},
	{"6.3 CHAP_N in the operational stage is out of place", "CHAP_N=alice", "CHAP_N=Reject",
	 OP},
	{"13.3 SendTargets in the login phase is out of place", "SendTargets=All",
	 "SendTargets=Reject", OP},
	{"13.1 HeaderDigest in full feature is out of place", "HeaderDigest=CRC32C",
	 "HeaderDigest=Reject", FFP},
	{"13.2 MaxConnections in full feature is out of place", "MaxConnections=1",
	 "MaxConnections=Reject", FFP},
	{"13.5 InitiatorName in full feature is out of place", "InitiatorName=iqn.a",
	 "InitiatorName=Reject", FFP},
	{"13.2 MaxConnections is irrelevant in discovery", "MaxConnections=1",
	 "MaxConnections=Irrelevant", DISC},
	{"13.10 InitialR2T is irrelevant in discovery", "InitialR2T=Yes", "InitialR2T=Irrelevant",
	 DISC},
	{"13.11 ImmediateData is irrelevant in discovery", "ImmediateData=Yes",
	 "ImmediateData=Irrelevant", DISC},
	{"13.13 MaxBurstLength is irrelevant in discovery", "MaxBurstLength=512",
	 "MaxBurstLength=Irrelevant", DISC},
	{"13.14 FirstBurstLength is irrelevant in discovery", "FirstBurstLength=512",
	 "FirstBurstLength=Irrelevant", DISC},
	{"13.17 MaxOutstandingR2T is irrelevant in discovery", "MaxOutstandingR2T=1",
	 "MaxOutstandingR2T=Irrelevant", DISC},
	{"13.18 DataPDUInOrder is irrelevant in discovery", "DataPDUInOrder=Yes",
	 "DataPDUInOrder=Irrelevant", DISC},
	{"13.19 DataSequenceInOrder is irrelevant in discovery", "DataSequenceInOrder=Yes",
	 "DataSequenceInOrder=Irrelevant", DISC},
	{"7.4.1 ErrorRecoveryLevel in discovery is 0", "ErrorRecoveryLevel=1",
	 "ErrorRecoveryLevel=0", DISC},
	{"13 MaxConnections is the leading connection's", "MaxConnections=8",
	 "MaxConnections=Irrelevant", JOIN},
	{"13 InitialR2T is the leading connection's", "InitialR2T=No", "InitialR2T=Irrelevant",
	 JOIN},
	{"13 ImmediateData is the leading connection's", "ImmediateData=No",
	 "ImmediateData=Irrelevant", JOIN},
	{"13 MaxBurstLength is the leading connection's", "MaxBurstLength=512",
	 "MaxBurstLength=Irrelevant", JOIN},
	{"13 FirstBurstLength is the leading connection's", "FirstBurstLength=512",
	 "FirstBurstLength=Irrelevant", JOIN},
	{"13 DefaultTime2Wait is the leading connection's", "DefaultTime2Wait=9",
	 "DefaultTime2Wait=Irrelevant", JOIN},
	{"13 DefaultTime2Retain is the leading connection's", "DefaultTime2Retain=9",
	 "DefaultTime2Retain=Irrelevant", JOIN},
	{"13 MaxOutstandingR2T is the leading connection's", "MaxOutstandingR2T=2",
	 "MaxOutstandingR2T=Irrelevant", JOIN},
	{"13 DataPDUInOrder is the leading connection's", "DataPDUInOrder=Yes",
	 "DataPDUInOrder=Irrelevant", JOIN},
	{"13 DataSequenceInOrder is the leading connection's", "DataSequenceInOrder=Yes",
	 "DataSequenceInOrder=Irrelevant", JOIN},
	{"13 ErrorRecoveryLevel is the leading connection's", "ErrorRecoveryLevel=2",
	 "ErrorRecoveryLevel=Irrelevant", JOIN},
	{"13 TaskReporting is the leading connection's", "TaskReporting=RFC3720",
	 "TaskReporting=Irrelevant", JOIN},
	{"13 iSCSIProtocolLevel is the leading connection's", "iSCSIProtocolLevel=2",
	 "iSCSIProtocolLevel=Irrelevant", JOIN},
	{"13.1 digests are each connection's own", "HeaderDigest=CRC32C\nDataDigest=CRC32C",
	 "HeaderDigest=CRC32C\nDataDigest=CRC32C", JOIN},
	{"13.12 MaxRecvDataSegmentLength is each connection's own", "MaxRecvDataSegmentLength=512",
	 "", JOIN},
	{"13.1 HeaderDigest counts in discovery too", "HeaderDigest=CRC32C", "HeaderDigest=CRC32C",
	 DISC},
	{"13.12 MaxRecvDataSegmentLength counts in discovery too", "MaxRecvDataSegmentLength=32768",
	 "", DISC},
};

/* Runs a request (lines for pairs); the answer as lines, or NULL when the negotiation is over. */
static const char *negotiate(struct keys *k, enum key_stage stage, const char *offer)
{
	static char bytes[16384], out[16384];
	struct wr w = wr_over(out, sizeof out);
	const struct key *key;
	struct text_pair pair;
	size_t len = strlen(offer) + 1;
	struct rd r = rd_over(bytes, len);
	int more;

	memcpy(bytes, offer, len);
	for (size_t n = 0; n < len; n++)
		if (bytes[n] == '\n')
			bytes[n] = '\0';
	while ((more = text_next(&r, &pair)) > 0)
		if (keys_take(k, stage, &pair, &key) < 0)
			return NULL;
	if (more < 0)
		return NULL;
	keys_answer(k, &w);
	assert_false(w.failed);
	for (size_t n = 0; n + 1 < wr_len(&w); n++)
		if (out[n] == '\0')
			out[n] = '\n';
	out[wr_len(&w)] = '\0';
	return out;
}

static void answers(void **state)
{
	const struct key_row *row = *state;
	struct keys k;
	const char *answer;

	keys_start(&k, &limits);
	k.discovery = row->login == DISCOVERY;
	k.joins = row->login == JOINING;
	answer = negotiate(&k, row->stage, row->offer);
	if (!row->answer)
		assert_null(answer);
	else
		assert_string_equal(answer, row->answer);
}

/* An unknown key, `len` octets of name: echoed whole, or the end. */
static void unknown_key(size_t len, bool fine)
{
	static char offer[9000], want[9000];
	struct keys k;
	const char *answer;

	memset(offer, 'K', len);
	(void)snprintf(offer + len, sizeof offer - len, "=1");
	(void)snprintf(want, sizeof want, "%.*s=NotUnderstood", (int)len, offer);
	keys_start(&k, &limits);
	answer = negotiate(&k, STAGE_OPERATIONAL, offer);
	if (fine)
		assert_string_equal(answer, want);
	else
		assert_null(answer);
}

static const struct {
	const char *why;
	size_t len;
	bool fine;
} names[] = {
	{"6.1 an unknown key of 1 octet", 1, true},
	{"6.1 an unknown key of 63 octets", 63, true},
	{"6.1 an unknown key of 64 octets is too long", 64, false},
	{"6.1 an unknown key of 65 octets is too long", 65, false},
	{"6.1 an unknown key of 8190 octets is too long", 8190, false},
	{"6.1 a pair without a name is none", 0, false},
};

static void key_names(void **state)
{
	const typeof(names[0]) *row = *state;

	unknown_key(row->len, row->fine);
}

static const struct {
	const char *why, *bytes;
	size_t len;
	int want; /* pairs, or -EPROTO */
} texts[] = {
	{"6.1 two pairs", "A=1\0B=2", 8, 2},
	{"6.1 a value may be empty", "A=", 3, 1},
	{"6.1 a value may have '=' in it", "A=b=c", 6, 1},
	{"6.1 the last pair must end with NUL", "A=1", 3, -EPROTO},
	{"6.1 a pair needs a '='", "A", 2, -EPROTO},
	{"6.1 NUL padding is no pair", "A=1\0\0\0", 7, 1},
	{"6.1 NULs before a pair are none either", "\0\0A=1", 6, 1},
	{"6.1 no octets are no pairs", "", 0, 0},
	{"6.1 a key with a blank in it is none", "A B=1", 6, -EPROTO},
	{"6.1 a key with a control character is none", "A\n=1", 5, -EPROTO},
	{"6.1 a key with octets above 7Eh is none", "\xc3\xa4=1", 5, -EPROTO},
};

static void text_pairs(void **state)
{
	const typeof(texts[0]) *row = *state;
	struct rd r = rd_over(row->bytes, row->len);
	struct text_pair pair;
	int count = 0, more;

	while ((more = text_next(&r, &pair)) > 0)
		count++;
	assert_int_equal(more < 0 ? more : count, row->want);
}

static void unknown_keys_are_bounded(void **state)
{
	struct keys k;
	char offer[32];

	(void)state;
	keys_start(&k, &limits);
	for (unsigned n = 0; n < KEYS_UNKNOWN_MAX; n++) {
		(void)snprintf(offer, sizeof offer, "Foo%u=1", n);
		assert_non_null(negotiate(&k, STAGE_OPERATIONAL, offer));
	}
	assert_null(negotiate(&k, STAGE_OPERATIONAL, "Bar=1"));
}

/* The limit is a value's, so a list as a whole may be longer. */
static void long_values(void **state)
{
	static char name[300] = "X#NodeArchitecture=", list[400] = "HeaderDigest=";
	static char number[400] = "MaxBurstLength=0x";
	struct keys k;

	(void)state;
	memset(name + strlen(name), 'a', 256);
	memset(list + strlen(list), 'Y', 300);
	(void)snprintf(list + strlen(list), 20, ",CRC32C");
	memset(number + strlen(number), '0', 253);
	(void)snprintf(number + strlen(number), 20, "200");
	keys_start(&k, &limits);
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, name), "X#NodeArchitecture=Reject");
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, list), "HeaderDigest=CRC32C");
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, number), "MaxBurstLength=Reject");
	name[strlen(name) - 1] = '\0';
	keys_start(&k, &limits);
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, name), "");
}

/* RFC 7143 section 13.19: recovery within an ordered sequence knows one R2T. */
static void one_r2t_for_recovery(void **state)
{
	struct iscsi_limits recovers = limits;
	struct keys k;

	(void)state;
	recovers.error_recovery = 1;
	keys_start(&k, &recovers);
	assert_string_equal(
		negotiate(&k, STAGE_OPERATIONAL, "MaxOutstandingR2T=4\nErrorRecoveryLevel=2"),
		"MaxOutstandingR2T=1\nErrorRecoveryLevel=1");
	keys_start(&k, &recovers);
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, "MaxOutstandingR2T=4"),
			    "MaxOutstandingR2T=4");
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, "ErrorRecoveryLevel=1"),
			    "ErrorRecoveryLevel=1");
	assert_int_equal(k.result[KEY_MAX_R2T], 1);
}

/* What was irrelevant has its default, if it comes to matter after all. */
static void irrelevant_is_the_default(void **state)
{
	struct keys k;

	(void)state;
	keys_start(&k, &limits);
	assert_string_equal(
		negotiate(&k, STAGE_OPERATIONAL, "FirstBurstLength=512\nImmediateData=No"),
		"FirstBurstLength=Irrelevant\nImmediateData=No");
	assert_int_equal(k.result[KEY_FIRST_BURST], 65536);
	assert_string_equal(negotiate(&k, STAGE_OPERATIONAL, "InitialR2T=No"), "InitialR2T=No");
	assert_int_equal(keys_first_burst(&k), 65536);
}

static void a_twice_offered_key_later(void **state)
{
	struct keys k;

	(void)state;
	keys_start(&k, &limits);
	assert_non_null(negotiate(&k, STAGE_OPERATIONAL, "MaxBurstLength=512"));
	assert_null(negotiate(&k, STAGE_OPERATIONAL, "MaxBurstLength=512"));
	keys_restart(&k);
	assert_non_null(negotiate(&k, STAGE_FULL, "MaxRecvDataSegmentLength=512"));
	assert_int_equal(k.result[KEY_MAX_RECV_SEGMENT], 512);
	assert_int_equal(k.result[KEY_MAX_BURST], 512);
}

static void digests_switched_off(void **state)
{
	struct iscsi_limits none = limits;
	struct keys k;

	(void)state;
	none.header_digest = none.data_digest = false;
	keys_start(&k, &none);
	assert_string_equal(
		negotiate(&k, STAGE_OPERATIONAL, "HeaderDigest=CRC32C,None\nDataDigest=CRC32C"),
		"HeaderDigest=None\nDataDigest=Reject");
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, answers);
	TESTS_ADD_TABLE(&t, names, key_names);
	TESTS_ADD_TABLE(&t, texts, text_pairs);
	tests_add(&t,
		  "6.2 P6: unknown keys are answered sixteen times, then the negotiation is over",
		  unknown_keys_are_bounded, NULL);
	tests_add(&t, "6.1 a value of more than 255 octets is Reject; a list may be longer",
		  long_values, NULL);
	tests_add(&t, "13.19 with error recovery there is one R2T at a time", one_r2t_for_recovery,
		  NULL);
	tests_add(&t, "13.14 a FirstBurstLength that was irrelevant has its default",
		  irrelevant_is_the_default, NULL);
	tests_add(&t, "6.2 a key offered again in a later PDU of the login is an error",
		  a_twice_offered_key_later, NULL);
	tests_add(&t, "13.1 digests that are switched off are not agreed to", digests_switched_off,
		  NULL);
	return tests_run(&t, "iscsi keys");
}
