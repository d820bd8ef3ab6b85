/* What each kind of finding is called, what it means, and what to do about it. */
#include "gateway/audit/verify.h"

#define RESTORE "restore the folder from a copy, and compare it with checkpoints kept elsewhere"
#define EXAMINE "somebody changed it: keep the folder as it is, and find out who could write there"

static const struct verify_words words[FOUND_KINDS] = {
	[FOUND_UNKNOWN_FILE] = {"unknown-file", VERIFY_DAMAGED,
				"no file that a gateway makes here, so nothing of it is proven",
				"move it out of the audit folder"},
	[FOUND_UNREADABLE] = {"unreadable", VERIFY_DAMAGED, "nothing of it can be proven",
			      "make it readable, or " RESTORE},
	[FOUND_UNFINISHED] = {"unfinished-file", VERIFY_OPEN,
			      "a file that was begun and never finished: a crash leaves it",
			      "the gateway takes it away when it starts"},
	[FOUND_HEADER_DAMAGED] = {"header-damaged", VERIFY_DAMAGED,
				  "nothing of this segment can be proven", RESTORE},
	[FOUND_HEADER_FALSE] = {"header-false", VERIFY_FORGED,
				"the header says what the blocks before it don't", EXAMINE},
	[FOUND_SEGMENT_MISSING] = {"segment-missing", VERIFY_DAMAGED,
				   "a file of the trail was taken away", RESTORE},
	[FOUND_START_MISSING] = {"start-missing", VERIFY_DAMAGED,
				 "the oldest files are gone, and no record says that retention "
				 "deleted them",
				 RESTORE},
	[FOUND_DAMAGED] = {"damaged", VERIFY_DAMAGED, "these records are not as they were written",
			   RESTORE},
	[FOUND_MISSING] = {"missing", VERIFY_DAMAGED, "these records were taken out", RESTORE},
	[FOUND_INSERTED] = {"inserted", VERIFY_DAMAGED, "octets that are no block", EXAMINE},
	[FOUND_REPEATED] = {"repeated", VERIFY_FORGED, "a block stands where it does not belong",
			    EXAMINE},
	[FOUND_BEHIND_END] = {"behind-end", VERIFY_DAMAGED,
			      "nothing is written behind the end of a run", EXAMINE},
	[FOUND_CHAIN_FALSE] = {"chain-broken", VERIFY_FORGED,
			       "the block before it is another one than when it was made", EXAMINE},
	[FOUND_TREE_FALSE] = {"tree-false", VERIFY_FORGED,
			      "the blocks before it are others than when it was made", EXAMINE},
	[FOUND_CONTEXT_FALSE] = {"context-false", VERIFY_FORGED,
				 "the segment's header is another one than when it was begun",
				 EXAMINE},
	[FOUND_LOGS_DISAGREE] = {"logs-disagree", VERIFY_FORGED,
				 "the two logs are not of one trail: one was changed, or put in "
				 "the place of another",
				 EXAMINE},
	[FOUND_CUT] = {"cut", VERIFY_FORGED,
		       "the end was cut off: what is missing was already known to be on the disk",
		       RESTORE},
	[FOUND_SEQUENCE_MISSING] = {"sequence-missing", VERIFY_FORGED,
				    "records are missing between two blocks", EXAMINE},
	[FOUND_SEQUENCE_REPEATED] = {"sequence-repeated", VERIFY_FORGED,
				     "records stand there a second time", EXAMINE},
	[FOUND_TIME_FALSE] = {"time-false", VERIFY_FORGED, "the monotonic clock went back",
			      EXAMINE},
	[FOUND_EPOCH_FALSE] = {"epoch-false", VERIFY_FORGED,
			       "epochs only rise, and begin where the key says", EXAMINE},
	[FOUND_PAYLOAD_FALSE] = {"payload-false", VERIFY_FORGED,
				 "the chain is right, but no gateway writes this", EXAMINE},
	[FOUND_INDEX_FALSE] = {"index-false", VERIFY_FORGED,
			       "the index hides records, or shows some that are not there",
			       EXAMINE},
	[FOUND_SEAL_FALSE] = {"seal-false", VERIFY_FORGED,
			      "not sealed by the gateway: made or changed afterwards", EXAMINE},
	[FOUND_KEY_FALSE] = {"key-false", VERIFY_FORGED,
			     "the verification key is of another trail, or this trail was made "
			     "anew",
			     "give the key of this trail; if it is, " EXAMINE},
	[FOUND_NOTE_DAMAGED] = {"checkpoint-damaged", VERIFY_DAMAGED,
				"a checkpoint is not as it was written", RESTORE},
	[FOUND_NOTE_MISSING] = {"checkpoint-missing", VERIFY_DAMAGED,
				"blocks count more checkpoints than there are: some were taken "
				"away",
				RESTORE},
	[FOUND_NOTE_FALSE] = {"checkpoint-false", VERIFY_FORGED,
			      "the checkpoint's signature is not the trail's signer's", EXAMINE},
	[FOUND_ROOT_FALSE] = {"root-false", VERIFY_FORGED,
			      "the blocks are others than those that were signed", EXAMINE},
	[FOUND_SIGNER_FALSE] = {"signer-false", VERIFY_FORGED,
				"signed by another key than the one that you gave, or than before",
				"if the signer was replaced on purpose, give both with --signer; "
				"else " EXAMINE},
	[FOUND_OTHER_TRAIL] = {"other-trail", VERIFY_FORGED,
			       "the checkpoints kept elsewhere are of another trail: this one was "
			       "put in its place, or they are the wrong ones",
			       "give those of this gateway; if they are, " EXAMINE},
	[FOUND_LIVE_FALSE] = {"live-false", VERIFY_FORGED,
			      "this is not what the running gateway has written: files were put "
			      "in the place of its own",
			      "keep the folder and the gateway as they are, and find out who could "
			      "write there"},
	[FOUND_OLD_CHECKPOINT] = {"old-checkpoint", VERIFY_SAID,
				  "what it is about was deleted by retention", "keep newer ones"},
	[FOUND_OLD_KEY] = {"old-key", VERIFY_SAID, "what it sealed was deleted by retention",
			   "keep newer ones"},
	[FOUND_KEY_UNUSED] = {"key-unused", VERIFY_OPEN,
			      "the key that you gave seals no block that is there, so nothing is "
			      "proven by it",
			      "give the key of an epoch that is there; `audit key` of a running "
			      "gateway begins one"},
	[FOUND_REST_FALSE] = {"rest-false", VERIFY_DAMAGED,
			      "what a segment has beyond the beginning of the next one must stand "
			      "there again, and does not",
			      RESTORE},
	[FOUND_RESERVE_FALSE] = {"reserve-false", VERIFY_DAMAGED,
				 "the reserve of space holds something", EXAMINE},
	[FOUND_RUN_CUT] = {"run-cut", VERIFY_FORGED,
			   "a run has no end, and the next one does not say that it found none",
			   EXAMINE},
	[FOUND_GAP] = {"gap", VERIFY_GAP, "something was lost, and the trail says so itself",
		       "look at the record"},
	[FOUND_TORN] = {"torn-end", VERIFY_OPEN,
			"the last block is incomplete: a crash cut it off, or somebody did",
			"start the gateway, which declares it; or give --checkpoint"},
	[FOUND_OPEN] = {"open-end", VERIFY_OPEN,
			"the gateway neither runs nor stopped cleanly: whether the last records "
			"were cut off can't be told",
			"give --checkpoint with checkpoints kept elsewhere, or start the gateway"},
	[FOUND_UNSIGNED] = {"unsigned-end", VERIFY_OPEN,
			    "the gateway runs, and no checkpoint of the trail's signer reaches "
			    "what it says is on the disk: it could not write one, or somebody took "
			    "it away",
			    "verify again, and look for `can't write a checkpoint` in its log; if "
			    "that is not it, stop the gateway, and " EXAMINE},
};

const struct verify_words *verify_words(enum verify_kind kind)
{
	assert(kind > FOUND_INVALID && kind < FOUND_KINDS);
	return &words[kind];
}
