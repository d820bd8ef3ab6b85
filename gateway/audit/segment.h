/* The trail on disk: files audit-NNNNNN.log, each a header and then frames, big-endian.
 * This room knows octets only: who writes them is writer.h, who reads them reader.h.
 *
 *   header  80 octets: "SPAUDIT\0", version 16, size 16, 0 32, run 64, number 64, start ns 64,
 *           first sequence 64, last event 64, salt 64, 0 96, CRC32C 32
 *   frame   a5h, type 8, length of the payload 16, payload, CRC32C 32
 *
 * Every frame's CRC starts with the segment's salt and the frame's own offset: what a peer wrote
 * (it does not know the salt) can't look like a frame, nor a frame that was moved like one in its
 * place. Numbers in payloads are LEB128 unless it is said otherwise; texts have their length
 * before them. Every payload begins with its sequence and the auditor's time (64 bits, ns).
 * Sequences are gap-free over all segments. 0 is the sequence of what is only repeated: the
 * sessions that are open when a segment begins, so that each segment can be read by itself.
 *
 * A segment ends where the next one begins: what it has at or beyond the next one's first sequence
 * was not known to be on the disk when that was begun, and stands there again. */
#pragma once

#include "gateway/audit/auditor.h"
#include "gateway/base/bytes.h"

#define SEGMENT_VERSION	    1
#define SEGMENT_HEADER_SIZE 80
#define SEGMENT_NAME_SIZE   40 /* "audit-000017.log" with NUL */

#define FRAME_MARKER	  0xa5
#define FRAME_HEAD	  4
#define FRAME_OVERHEAD	  8
#define FRAME_PAYLOAD_MAX 1536
#define FRAME_MAX	  (FRAME_OVERHEAD + FRAME_PAYLOAD_MAX)
#define FRAME_COMMAND_MAX 160 /* of a command's frame in all */
#define FRAME_LEAST	  18  /* octets that any frame has at least: marker to CRC */

struct segment_header {
	uint64_t run;		 /* random, of the gateway's run */
	uint64_t number;	 /* of the segment, as in its name */
	uint64_t start_ns;	 /* wall clock */
	uint64_t first_sequence; /* of the first frame that is not a repetition */
	uint64_t last_event;	 /* id of the run's last event before this segment; 0: none */
	uint64_t salt;
};

enum frame_type {
	FRAME_INVALID,
	FRAME_COMMAND, /* a slot of a ring */
	FRAME_SESSION, /* a session's ring was attached */
	FRAME_EVENT,   /* from the monitor; id 0: the auditor's own */
	FRAME_END,     /* the last one of a run */
	FRAME_TYPES
};

enum segment_end { SEGMENT_END_INVALID, SEGMENT_END_STOP, SEGMENT_END_ORPHANED };

struct stamp {
	uint64_t sequence;
	uint64_t time_ns; /* the auditor's wall clock */
};

struct frame {
	enum frame_type type;
	struct stamp stamp;
	uint32_t connection; /* 0: none */
	union {
		struct audit_record command;
		struct auditor_ring_info session;
		struct audit_event event;
		enum segment_end end;
	};
};

void segment_header_write(const struct segment_header *h, uint8_t ret[SEGMENT_HEADER_SIZE]);
/* -EBADMSG: no header of a segment, or damaged; -EPROTONOSUPPORT: of a version unknown here. */
int segment_header_read(const uint8_t bytes[SEGMENT_HEADER_SIZE],
			struct segment_header *ret_header) MUST_CHECK;

const char *segment_name(uint64_t number, char ret[SEGMENT_NAME_SIZE]);
/* The number in the name of a segment, or 0: no such name. */
uint64_t segment_number(const char *name);

/* Append a frame whose CRC is not set yet. The cursor fails when there is no room. */
void frame_put_command(struct wr *w, struct stamp stamp, uint32_t connection,
		       const struct audit_record *record);
void frame_put_session(struct wr *w, struct stamp stamp, const struct auditor_ring_info *info);
void frame_put_event(struct wr *w, struct stamp stamp, const struct audit_event *event);
void frame_put_end(struct wr *w, struct stamp stamp, enum segment_end end);

/* Sets the CRCs of frames of our own making, which will stand at this offset of the file. */
void frames_seal(uint8_t *frames, size_t len, uint64_t offset, uint64_t salt);

/* Octets of the frame that starts here (its CRC included), 0: more than `len` are needed to tell,
 * -EBADMSG: no frame starts here. Looks at the head alone. */
int frame_size(const uint8_t *bytes, size_t len) MUST_CHECK;
/* Of a whole frame. */
bool frame_crc_right(const uint8_t *frame, size_t size, uint64_t offset, uint64_t salt);
int frame_decode(const uint8_t *frame, size_t size, struct frame *ret_frame) MUST_CHECK;
