/* The inside of one session and its connections, shared by the rooms of this folder and
 * by nobody else. Runs in the session process. Everything that a peer can make grow
 * has its bound here: slots, frames, answers, text, chunks. Nothing is allocated but
 * with iscsi_open(), with a connection, and for the list of targets.
 */
#pragma once

#include "gateway/iscsi/iscsi.h"
#include "gateway/iscsi/keys.h"
#include "gateway/iscsi/pdu.h"
#include "gateway/iscsi/text.h"

#define LOGIN_SEGMENT_MAX 8192u /* before the full-feature phase, whatever was declared */
#define LOGIN_PDUS_MAX	  128	/* of one login */
#define TEXT_PDUS_MAX	  128	/* of one Text negotiation that the C bit spreads */
#define TARGETS_TEXT_MAX  (1u << 20)
#define SEGMENT_LIMIT	  262144u /* the largest data segment of ours, in both directions */
#define STAGE_SIZE	  65536u
#define STAGE_BEHIND	  1024u /* behind much data comes more, which is not to be copied */
#define R2T_MAX		  16
#define EXTRA_CHUNKS	  (ISCSI_POOL_CHUNKS - ISCSI_TASKS_MAX)
#define ABORTED_MAX	  ISCSI_TASKS_MAX
#define HEAD_MAX	  (ISCSI_BHS_SIZE + AHS_MAX + 4)

/* --- tasks ------------------------------------------------------------------------------- */

enum slot_kind {
	SLOT_INVALID,
	SLOT_COMMAND,
	SLOT_HELD_PDU, /* a Text, NOP-Out, … that waits for its CmdSN */
	SLOT_TMF,      /* waits for tasks to end, then answers */
	SLOT_LOGOUT,   /* the same */
};

enum slot_state {
	SLOT_FREE,
	SLOT_FILLING,	 /* its own PDU is still coming in */
	SLOT_HELD,	 /* complete, but its CmdSN is not next */
	SLOT_ACTIVE,	 /* in its turn: the host's, or waiting for the end of its data */
	SLOT_CANCELLING, /* the host has still something running for it */
	SLOT_ANSWERING,	 /* its response is queued, perhaps partly sent */
	SLOT_SENT,	 /* all has gone, and is kept until it is acknowledged (level 1) */
};

/* Why a command is ended by us with CHECK CONDITION: RFC 7143 section 11.4.7.2. */
enum fault {
	FAULT_NONE,
	FAULT_UNEXPECTED_DATA,
	FAULT_AMOUNT,
	FAULT_CRC,
	FAULT_ABORTED, /* another nexus ended it: TASK ABORTED, SPC-5's TAS bit */
};

struct r2t {
	uint32_t ttt, offset, length, got, datasn, r2tsn;
	bool again; /* a SNACK asked for it */
};

/* A place in the queue of what is to be sent. */
enum job_kind { JOB_INVALID, JOB_MISC, JOB_ANSWER, JOB_R2T, JOB_AGAIN };
struct job {
	struct job *next;
	enum job_kind kind;
	bool queued;
	bool numbered; /* its status has gone, or goes, with this StatSN */
	bool kept;     /* for a SNACK: in the connection's list */
	uint32_t statsn;
	struct job *next_kept;
};

#define SLOT_WORDS ((ISCSI_TASKS_MAX + 63) / 64)

struct slot {
	struct iscsi_task task;	       /* first: the host's view */
	struct iscsi_connection *conn; /* its allegiance: RFC 7143 section 4.2.5.1 */
	enum slot_kind kind;
	enum slot_state state;
	bool in_host;  /* the host was told and did not yet forget it */
	bool counted;  /* takes a place of the window */
	bool withheld; /* no longer, but its slot is not free: the window is smaller by it */
	bool control;  /* takes one of the places for task management and Logout */
	struct job answer, ask, again;
	unsigned in_frames; /* frames of it that have not gone */

	/* data-out: octets 0 to got are there, in order (DataPDUInOrder, DataSequenceInOrder) */
	bool unsolicited; /* Data-Out without an R2T is still to come */
	bool wanting;	  /* the host waits for `want` octets */
	bool responded;	  /* the response waits for the end of the data */
	uint32_t unsolicited_sn, r2tsn;
	size_t got, want, asked;
	struct r2t r2t[R2T_MAX]; /* r2t_open of them, the oldest first */
	unsigned r2t_open;
	enum fault fault;
	bool hole;	 /* level 1: data was lost; what is owed goes by, then R2Ts ask again */
	unsigned futile; /* holes since the last octets that fitted */

	/* its buffer: one chunk of its own and some of the shared ones */
	uint16_t extra[ISCSI_TASK_CHUNKS - 1];
	unsigned extra_count;
	size_t reserve; /* octets that it waits for */
	bool waits_for_chunks;
	struct slot *next_waiting;

	/* the answer */
	uint8_t status, response, residual_flag;
	uint32_t residual, snack_tag;
	size_t data_len;
	/* Data-In as a function of DataSN: from base_sn on, at base_at, base_used octets into a
	 * sequence, in segments of this size; datasn is the next to be sent, datasn_end the first
	 * that there is not */
	uint32_t segment, base_sn, datasn, datasn_end;
	size_t base_at, base_used;
	uint32_t acked_sn; /* what the initiator may still ask for begins here */
	size_t acked_at;
	uint32_t again_sn, again_end; /* the run that a SNACK asked for */
	bool apart;		      /* the status comes in a SCSI Response of its own */
	bool status_again;	      /* the answer's job is to repeat the status alone */
	uint8_t sense[2 + ISCSI_SENSE_MAX];
	size_t sense_len; /* with its two octets of length */

	/* SLOT_HELD_PDU, SLOT_TMF, SLOT_LOGOUT */
	struct pdu pdu;
	uint8_t verdict; /* response code */
	uint8_t info[3]; /* additional response information: RFC 7144 section 6.4.1 */
	bool gap;	 /* commands before it are missing: up to gap_end, exclusive */
	uint32_t gap_end;
	bool unrecorded;	    /* nothing of it is carried out yet */
	bool spreading;		    /* other sessions are still at it */
	uint64_t waits[SLOT_WORDS]; /* bit of each slot that must end first */
};

/* --- sending ------------------------------------------------------------------------------ */

#define TX_FRAMES	ISCSI_SENDING_MAX
#define TX_SPANS	6
#define TX_MISC		64
#define TX_MISC_RESERVE 8 /* kept for what we send of our own accord */
#define TX_ARENA_SIZE	(2 * SEGMENT_LIMIT)

enum misc_effect { EFFECT_NONE, EFFECT_PROOF_SENT, EFFECT_PING, EFFECT_WINDOW };

/* An answer that no task carries: NOP-In, Reject, Login and Text Response, … */
struct misc {
	struct job job; /* first */
	bool used;
	unsigned in_frames;
	bool counts; /* takes a StatSN */
	bool plain;  /* of the login phase: no digests */
	enum misc_effect effect;
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint64_t data_at; /* in the arena's count of octets */
	uint8_t *data;
	size_t data_len;
};

/* One PDU on its way out, numbered and summed up. */
struct tx_frame {
	uint8_t head[ISCSI_BHS_SIZE + 4], tail[8];
	size_t head_len, tail_len, data_len;
	struct iovec data[TX_SPANS];
	unsigned spans;
	struct slot *of;
	bool last; /* of the slot's PDUs */
	struct misc *misc;
};

struct tx {
	struct job *first, **last;
	struct misc misc[TX_MISC];
	unsigned misc_used, misc_next;
	uint8_t *arena; /* a ring: octets arena_from to arena_to of all that ever were in it */
	uint64_t arena_from, arena_to;
	unsigned arena_users;
	struct tx_frame frames[TX_FRAMES]; /* a ring */
	unsigned frame_first, frame_count;
	size_t sent; /* octets of the first frame */
	uint32_t statsn;
	struct job *kept_first, **kept_last; /* in the order of StatSN */
	uint32_t acked;			     /* the initiator's ExpStatSN */
	bool solicited;			     /* it was asked to acknowledge, and has not yet */
	bool header_digest, data_digest;
	bool ping_queued, window_queued;
	bool moves; /* octets have left since pings were looked at */
};

/* --- receiving ---------------------------------------------------------------------------- */

enum rx_state { RX_HEAD, RX_ROUTE, RX_DATA, RX_TAIL };

struct rx {
	enum rx_state state;
	uint8_t head[HEAD_MAX];
	size_t head_len;
	struct pdu pdu;
	const struct rule *rule; /* full-feature phase */
	uint8_t *stage;		 /* octets that came and were not looked at yet */
	size_t stage_at, stage_end;
	uint8_t *segment;	   /* the data of a PDU that belongs to no task */
	struct slot *into;	   /* or the task whose buffer gets it */
	size_t into_at;		   /* next octet, in the segment or in the task's buffer */
	bool discard;		   /* or nobody */
	enum reject_reason reason; /* why it will be rejected when its data has gone by */
	size_t data_left;
	uint8_t tail[8];
	size_t tail_len, tail_need;
	uint32_t crc;
	bool header_digest, data_digest;
	uint64_t last_ms; /* when octets came */
};

/* --- login -------------------------------------------------------------------------------- */

enum login_ask { ASK_NOTHING, ASK_CHALLENGE, ASK_VERDICT, ASK_GRANT };
enum chap_step { CHAP_STEP_INVALID, CHAP_START, CHAP_METHOD, CHAP_CHALLENGED, CHAP_PROVEN };

struct login {
	bool started, names_told, tag_told, declared;
	bool transit; /* this request's T bit */
	uint8_t csg, nsg;
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint32_t itt;
	unsigned pdus;
	enum login_ask ask;
	enum chap_step step;
	uint32_t chap_seen; /* bit of each key id of this request */
	bool chap_bad;	    /* one of their values is none */
	uint16_t refusal;   /* told by the host while no request was there to answer */
	char moved_to[ISCSI_ADDRESS_SIZE]; /* with status 01xxh: TargetAddress */
	bool base64, proof;
	struct iscsi_names names;
	struct iscsi_chap_proof chap;
	uint32_t algorithms[16];
	size_t algorithm_count;
	uint8_t out_bytes[KEYS_ANSWER_MAX];
	struct wr out;
};

/* A Text negotiation of the full-feature phase. */
struct text_exchange {
	bool open;
	bool answering; /* the request is whole, its answer is on the way */
	bool final;	/* the initiator has nothing more to negotiate */
	uint32_t itt, ttt;
	unsigned pdus;
	uint8_t *out; /* what is still to be sent; malloc'd */
	size_t out_len, out_sent;
};

/* --- the connection ----------------------------------------------------------------------- */

enum phase {
	PHASE_INVALID,
	PHASE_LOGIN,
	PHASE_FULL,
	PHASE_OVER, /* nothing more is read; what is queued is still sent */
	PHASE_LOST, /* without a transport; at level 2 its tasks wait for another connection */
	PHASE_GONE, /* without tasks too, but for those that the host still runs */
};

/* Connections that live, and lost ones whose tasks wait. */
#define CONNECTION_PLACES (2 * ISCSI_CONNECTIONS_MAX)

struct iscsi_connection {
	struct iscsi *i;
	enum phase phase;
	enum iscsi_end end;
	char detail[160];
	bool proof_sent;
	uint16_t cid;
	uint64_t until_ms; /* PHASE_LOST: its tasks wait so long */
	bool attached;	   /* the host has a transport for it */
	bool was_full;	   /* it has been in the full-feature phase */
	bool logged_out;   /* nothing of it is kept */
	bool handed_over;  /* to another process: nothing more is read */
	bool closing;	   /* a Logout waits for tasks: nothing more is read */
	bool lost;	   /* nothing more is sent */
	bool rejected;	   /* by the handler that runs: its CmdSN does not count as received */

	struct rx rx;
	struct tx tx;
	struct login login;
	struct text text;
	struct keys keys;
	struct text_exchange exchange;
	uint32_t peer_segment; /* the initiator's MaxRecvDataSegmentLength */
	unsigned control_used; /* immediate task management and Logouts that wait for tasks */

	/* pings of ours */
	uint32_t ping_ttt;
	bool ping_open;
	uint64_t ping_at_ms;
	unsigned ping_missed;

	/* a response that is fenced waits until this StatSN is acknowledged */
	bool fence_marked, fence_asked;
	uint32_t fence_mark;

	/* What connection_reset() leaves alone. */
	unsigned place;
	uint8_t *memory; /* all of it, one mapping of memory_size octets */
	size_t memory_size;
};

/* RFC 7143 section 11.9 */
enum async_event {
	ASYNC_LOGOUT = 1,
	ASYNC_CONNECTION_DROPPED = 2,
	ASYNC_SESSION_DROPPED = 3,
	ASYNC_TASKS_ENDED = 5, /* FastAbort */
};

struct async {
	enum async_event event;
	uint16_t parameter[3];
	uint8_t lun[8];
};

/* RFC 7143 section 4.2.2.3.3 */
struct fence {
	struct iscsi_connection *conn; /* of the response that is fenced; NULL: none is */
	struct slot *slot;	       /* it, until it has its StatSN */
	bool passed;		       /* it may go out */
	uint32_t statsn;
};

/* --- the session -------------------------------------------------------------------------- */

struct iscsi {
	struct iscsi_limits limits;
	const struct iscsi_host *ops;
	void *host;
	uint16_t portal_group;
	struct iscsi_connection *connections[CONNECTION_PLACES]; /* NULL: a free place */
	unsigned places_used; /* at most: behind them all are free */

	/* What session_reset() clears: from here on. */
	uint64_t now_ms;
	bool lost;	     /* nothing is begun any more */
	bool running, again; /* octets are looked at; and must be once more */

	/* what was agreed on its first connection */
	bool discovery, immediate_data, initial_r2t, fast_abort, response_fence;
	struct fence fence;
	uint8_t isid[6];
	uint16_t tsih; /* 0: not in the full-feature phase yet */
	uint8_t protocol_level;
	uint32_t max_connections, time2wait, time2retain;
	uint32_t max_burst, first_burst, max_r2t, queue_depth;
	uint32_t outstanding; /* fewer at once than was granted, for now; 0: as granted */
	uint32_t level;	      /* ErrorRecoveryLevel; 0 in discovery: RFC 7143 section 7.4.1 */

	/* CmdSN: RFC 7143 section 4.2.2.1 */
	uint32_t expcmdsn, maxcmdsn;
	unsigned window_used; /* tasks in their turn that take a place of the window */
	unsigned withheld;    /* slots whose answers are kept: the window is smaller by them */
	unsigned immediate_used, control_used, held_count;
	uint64_t plugged[4]; /* CmdSNs, modulo 256, that count as received */
	unsigned plug_count;
	unsigned gaps;	      /* requests that wait for missing commands */
	unsigned unrecorded;  /* … that the audit does not have yet */
	struct slot *in_turn; /* a PDU that was held, while its handler runs */

	uint16_t free_slots[ISCSI_TASKS_MAX];
	unsigned free_slot_count;
	uint32_t itts[ISCSI_TASKS_MAX]; /* of the slots in `commands`, close together */
	uint64_t commands[SLOT_WORDS], used[SLOT_WORDS];
	uint32_t next_tag;
	uint32_t aborted[ABORTED_MAX]; /* task tags whose late data is dropped in silence */
	unsigned aborted_count, aborted_next;

	uint16_t free_extra[EXTRA_CHUNKS];
	unsigned free_extra_count;
	struct slot *waiting_first, **waiting_last;

	/* What session_reset() leaves alone. */
	size_t memory_size; /* of the mapping that this is the beginning of */
	uint8_t *chunks;
	struct slot slots[ISCSI_TASKS_MAX];
};

/* Every connection, one after another; the body may end the one that it is at. */
#define EACH_CONNECTION(i, c)                                                     \
	for (struct iscsi_connection *c = connection_after((i), NULL), *c##_next; \
	     c && (c##_next = connection_after((i), c), true); c = c##_next)
struct iscsi_connection *connection_after(const struct iscsi *i,
					  const struct iscsi_connection *c); /* NULL: no more */

/* Every slot in use, one after another. The body may free the slot that it is at. */
#define EACH_SLOT(i, n) for (int n = slot_after((i), -1); n >= 0; n = slot_after((i), n))
int slot_after(const struct iscsi *i, int n); /* -1: no more */
bool slots_has(const uint64_t set[], const struct slot *s);

/* iscsi.c */
#define PAGE	    4096u
#define IN_PAGES(n) (((n) + PAGE - 1) / PAGE * PAGE)
void async_send(struct iscsi_connection *c, const struct async *a);
uint8_t *memory_map(size_t size);    /* zero, and not there until it is touched; NULL: none */
void session_reset(struct iscsi *i); /* as new, with one connection; no task may be left */

/* RFC 7143 section 11.6.1, RFC 7144 section 6.4.2 */
enum tmf_verdict {
	TMF_COMPLETE = 0,
	TMF_NO_TASK = 1,
	TMF_NO_LUN = 2,
	TMF_STILL_ALLEGIANT = 3,
	TMF_NO_REASSIGN = 4,
	TMF_NOT_SUPPORTED = 5,
	TMF_SUCCEEDED = 7,
	TMF_REJECTED = 255,
};

/* allegiance.c */
void connection_detach(struct iscsi_connection *c); /* its tasks end without a response, or wait */
void session_drop_tasks(struct iscsi *i, const struct iscsi_connection *c);
void session_sweep(struct iscsi *i); /* forgets connections that nothing needs any more */
void allegiance_tick(struct iscsi *i);
/* Room for one more connection: forgets the one that was lost first if need be. */
void session_make_place(struct iscsi *i);
void session_end_all(struct iscsi *i, const char *why);
enum tmf_verdict task_may_move(struct iscsi *i, const struct pdu *pdu);
void task_reassign(struct iscsi_connection *c, const struct pdu *pdu);

/* fence.c */
bool fence_passes(struct slot *s); /* may this waiter answer now? Else it is asked again */
bool fence_holds(const struct iscsi_connection *c); /* no answers now */
void fence_numbered(const struct slot *s, uint32_t statsn);
void fence_moved(struct iscsi *i);		 /* something was acknowledged, or lost */
void fence_answered(struct iscsi_connection *c); /* a ping was */
void fence_forget(const struct slot *s);	 /* it ends without an answer */

/* connection.c */
struct iscsi_connection *connection_new(struct iscsi *i); /* NULL: no place, no memory */
struct iscsi_connection *connection_by_cid(const struct iscsi *i, uint16_t cid);
bool connection_lives(const struct iscsi_connection *c); /* in the full-feature phase */
void connection_unmap(struct iscsi_connection *c);
void connection_reset(struct iscsi_connection *c);
void connection_tick(struct iscsi_connection *c);
uint64_t connection_next_tick(const struct iscsi_connection *c); /* 0: none */
void connection_end(struct iscsi_connection *c, enum iscsi_end end, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
uint32_t connection_tag(struct iscsi *i, unsigned slot); /* a Target Transfer Tag, never TAG_NONE */
void connection_ping(struct iscsi_connection *c);

/* rx.c */
void rx_run(struct iscsi *i);
void rx_forget(struct iscsi_connection *c, const struct slot *s);

/* tx.c */
void tx_start(struct iscsi_connection *c);
bool tx_has_room(struct iscsi_connection *c); /* gives up kept answers for it */
struct misc *tx_misc(struct iscsi_connection *c, enum opcode opcode, uint32_t itt); /* NULL: full */
bool tx_misc_data(struct iscsi_connection *c, struct misc *m, const void *bytes,
		  size_t len) MUST_CHECK;
void tx_queue(struct iscsi_connection *c, struct job *job);
void tx_queue_first(struct iscsi_connection *c, struct job *job);
void tx_unqueue(struct iscsi_connection *c, struct job *job);
void tx_drop_all(struct iscsi_connection *c);
void tx_release(struct iscsi_connection *c, struct job *job); /* free, once nothing needs it */

/* kept.c: what was sent at level 1 and above, until it is acknowledged */
void kept_add(struct iscsi_connection *c, struct job *job);
void kept_remove(struct iscsi_connection *c, struct job *job);
void kept_acknowledge(struct iscsi_connection *c, const struct pdu *pdu); /* ExpStatSN */
bool kept_give_up(struct iscsi_connection *c); /* the oldest that no task carries; false: none */
void kept_solicit(struct iscsi *i);	       /* asks for ExpStatSN if too much is kept */

/* window.c */
enum order { ORDER_INVALID, ORDER_NOW, ORDER_LATER, ORDER_DROP };
enum order window_order(struct iscsi *i, const struct pdu *pdu);
uint32_t window_max(struct iscsi *i); /* MaxCmdSN to send now; never moves back */
void window_announce(struct iscsi *i);
void window_plug(struct iscsi *i, uint32_t cmdsn);
bool window_expects(struct iscsi *i, uint32_t cmdsn); /* in the window, and not come yet */
bool window_turn(struct iscsi *i); /* runs one held PDU or skips one plug, if it is next */

/* slot.c */
void slots_start(struct iscsi *i);
uint32_t slots_for_window(const struct iscsi *i); /* for numbered requests that may come */
struct slot *slot_new(struct iscsi_connection *c, enum slot_kind kind, const struct pdu *pdu);
void slot_free(struct iscsi *i, struct slot *s);
struct slot *slot_of(struct iscsi *i, struct iscsi_task *task);
struct slot *slot_by_itt(struct iscsi *i, uint32_t itt);   /* commands not wholly answered */
struct slot *slot_answered(struct iscsi *i, uint32_t itt); /* commands whose answer was sent */
void slot_sent(struct iscsi *i, struct slot *s);	   /* its last PDU has gone */
uint8_t *slot_at(struct iscsi *i, struct slot *s, size_t offset, size_t *ret_contiguous);
bool slot_reserve(struct iscsi *i, struct slot *s, size_t bytes);
void slot_set_buffer(struct iscsi *i, struct slot *s, size_t bytes);
void slot_activate(struct iscsi *i, struct slot *s); /* takes its place of the window */
void aborted_remember(struct iscsi *i, uint32_t itt);
bool aborted_known(const struct iscsi *i, uint32_t itt);

/* command.c, data_out.c, data_in.c */
enum route {
	ROUTE_INVALID,
	ROUTE_GO,
	ROUTE_WAIT, /* a SNACK: until the answers to the last one have left */
	ROUTE_END
};
enum route command_route(struct iscsi_connection *c, struct pdu *pdu);
void command_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void command_turn(struct iscsi *i, struct slot *s);
void command_buffer_ready(struct iscsi *i, struct slot *s);
void command_answer(struct iscsi *i, struct slot *s);
/* On another connection, from this DataSN on. */
void command_answer_again(struct slot *s, uint32_t expdatasn);
void command_fail(struct iscsi *i, struct slot *s);
enum route data_out_route(struct iscsi_connection *c, struct pdu *pdu);
void data_out_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void data_out_progress(struct iscsi *i, struct slot *s);
bool data_out_frame(struct iscsi *i, struct slot *s, struct tx_frame *f); /* true: no more */
bool data_out_again(struct iscsi *i, struct slot *s, uint32_t from, uint32_t end); /* R2Ts */
void data_in_start(struct iscsi *i, struct slot *s, uint32_t segment);
/* From this DataSN on anew, in segments of this size; false: it can't be told any more where it
 * was, nothing has changed. */
bool data_in_restart(struct iscsi *i, struct slot *s, uint32_t from, uint32_t segment) MUST_CHECK;
void data_in_resegment(struct iscsi_connection *c); /* its initiator takes no longer ones now */
bool data_in_frame(struct iscsi *i, struct slot *s, struct tx_frame *f);  /* true: the last */
bool data_in_again(struct iscsi *i, struct slot *s, struct tx_frame *f);  /* true: no more */
void data_in_status(struct iscsi *i, struct slot *s, struct tx_frame *f); /* the status again */

/* ffp.c */
struct rule {
	enum opcode opcode;
	bool in_discovery;
	bool numbered; /* CmdSN orders it; else the row looks at it itself */
	enum route (*route)(struct iscsi_connection *c,
			    struct pdu *pdu); /* where its data goes; or NULL */
	void (*run)(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
};
enum route ffp_route(struct iscsi_connection *c, struct pdu *pdu);
void ffp_done(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void ffp_turn(struct slot *s);
void ffp_start(struct iscsi_connection *c);

/* the handlers of the rows */
void nop_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void text_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void logout_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void tmf_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void unsupported_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
enum route snack_route(struct iscsi_connection *c, struct pdu *pdu);
void snack_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok);
void text_close(struct iscsi_connection *c);
void reject(struct iscsi_connection *c, const struct pdu *pdu, enum reject_reason reason);
struct slot *waiter_new(struct iscsi_connection *c, enum slot_kind kind, const struct pdu *pdu);
void waiter_add(struct slot *s, const struct slot *task);
void waiter_answer(struct slot *s); /* when nothing is left that it waits for */
void waiters_forget(struct iscsi *i, const struct slot *over); /* it is another task's place now */
void waiter_spread(struct slot *s, uint8_t function);	       /* to other sessions, by the host */
/* Of a task that is not there, whose CmdSN the request names. */
enum tmf_verdict tmf_missing(struct iscsi *i, const struct pdu *pdu);
void reject_run(struct iscsi_connection *c, const struct pdu *pdu, uint32_t next_sn);
void logout_answered(struct slot *s);
void logout_dropped(const struct slot *s);
void logout_frame(struct slot *s, uint8_t bhs[ISCSI_BHS_SIZE]);
void tmf_frame(struct slot *s, uint8_t bhs[ISCSI_BHS_SIZE]);
/* Cancels the marked tasks; bits that stay set are tasks that still run. */
void tmf_cancel(struct iscsi *i, uint64_t set[SLOT_WORDS]);

/* query.c */
enum tmf_verdict query_task(struct iscsi *i, struct slot *s);
enum tmf_verdict query_task_set(struct iscsi *i, struct slot *s);
enum tmf_verdict query_event(struct iscsi *i, struct slot *s);

/* abort_set.c */
void abort_set_plug(struct iscsi *i, const struct pdu *pdu);
void abort_set_wait(struct iscsi *i, struct slot *s);
void abort_set_forget(struct iscsi *i, struct slot *s);
bool abort_set_covers(const struct iscsi *i, const struct slot *command); /* it is to end */
void abort_set_moved(struct iscsi *i);					  /* ExpCmdSN has */
void abort_set_tell(struct iscsi *i, const uint64_t set[], const struct iscsi_connection *asker);

/* login.c, chap_keys.c */
bool login_check_header(struct iscsi_connection *c, const struct pdu *pdu);
void login_run(struct iscsi_connection *c, struct pdu *pdu);
void login_refuse(struct iscsi_connection *c, uint16_t status, const char *why);
enum chap_outcome { CHAP_OUTCOME_INVALID, CHAP_REPLY, CHAP_ASKED, CHAP_REFUSED };
void chap_take(struct login *l, const struct key *key, const struct text_pair *pair);
enum chap_outcome chap_act(struct iscsi_connection *c);
void login_reply(struct iscsi_connection *c);
void login_advance(struct iscsi_connection *c); /* the request is dealt with: answers it */
