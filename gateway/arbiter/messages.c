/* The words of the arbiter's channels: which message may come over which end, of which
 * size, how often. Linked into every process that speaks with the arbiter. */
#include "gateway/arbiter/arbiter.h"

/* Received by the arbiter from the monitor. */
const struct message_spec arbiter_inbox[] = {
	{ARBITER_BEGIN, "begin", sizeof(struct arbiter_begin), 2, true},
	{ARBITER_ATTACH, "attach", sizeof(struct arbiter_attach), 2, false},
	{ARBITER_GO, "go", 0, 0, true},
	{ARBITER_OVER, "over", sizeof(struct arbiter_over), 0, false},
	{ARBITER_CLEAR, "clear", sizeof(struct arbiter_clear), 0, false},
	{ARBITER_NEWS, "news", sizeof(struct arbiter_news), 0, false},
	{ARBITER_BEAT, "beat", 0, 0, false},
	{ARBITER_ROW, "row", sizeof(struct arbiter_row), 0, false},
	{ARBITER_SEAT, "seat", sizeof(struct arbiter_attach), 0, false},
};
const size_t arbiter_inbox_len = ARRAY_LEN(arbiter_inbox);

/* Received by the monitor from the arbiter. */
const struct message_spec arbiter_outbox[] = {
	{ARBITER_READY, "ready", sizeof(struct arbiter_ready), 0, true},
	{ARBITER_ATTACHED, "attached", sizeof(struct arbiter_attached), 0, false},
	{ARBITER_KILL, "kill", sizeof(struct arbiter_kill), 0, false},
	{ARBITER_SUMMARY, "summary", sizeof(struct arbiter_summary), 0, false},
	{ARBITER_CLEARED, "cleared", sizeof(struct arbiter_cleared), 0, false},
	{ARBITER_TROUBLE, "trouble", sizeof(struct arbiter_trouble), 0, false},
	{ARBITER_ALIVE, "alive", 0, 0, false},
	{ARBITER_KEEPS, "keeps", 0, 0, false},
};
const size_t arbiter_outbox_len = ARRAY_LEN(arbiter_outbox);

/* Received by the arbiter from a session: hostile. */
const struct message_spec arbiter_session_inbox[] = {
	{ARBITER_HELLO, "hello", sizeof(struct arbiter_hello), 0, true},
	{ARBITER_EXCLUDE, "exclude", sizeof(struct arbiter_exclude), 0, false},
	{ARBITER_ORDER, "order", sizeof(struct arbiter_order), 0, false},
	{ARBITER_DROP, "drop", sizeof(struct arbiter_drop), 0, false},
	{ARBITER_SETTLED, "settled", 0, 0, false},
	{ARBITER_LEAVE, "leave", sizeof(struct arbiter_leave), 0, false},
};
const size_t arbiter_session_inbox_len = ARRAY_LEN(arbiter_session_inbox);

/* Received by a session from the arbiter. */
const struct message_spec arbiter_session_outbox[] = {
	{ARBITER_CHANGED, "changed", 0, 0, false},
	{ARBITER_DONE, "done", sizeof(struct arbiter_done), 0, false},
	{ARBITER_ANSWER, "answer", sizeof(struct arbiter_answer), 0, false},
};
const size_t arbiter_session_outbox_len = ARRAY_LEN(arbiter_session_outbox);

_Static_assert(ARBITER_ANSWER < CHANNEL_TYPES_MAX, "types fit the channel's bits");

const char *arbiter_blame_name(uint32_t blame)
{
	static const char *const names[ARBITER_BLAMES] = {
		[ARBITER_BLAME_INVALID] = "invalid",
		[ARBITER_NOT_DRAINED] = "did-not-drain",
		[ARBITER_NOT_ATTACHED] = "did-not-attach-to-the-new-arbiter",
		[ARBITER_BROKE_CHANNEL] = "broke-its-channel-to-the-arbiter",
		[ARBITER_KEPT_RANGE] = "kept-blocks-to-itself",
	};

	return blame < ARBITER_BLAMES ? names[blame] : "invalid";
}
