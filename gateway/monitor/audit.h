/* What the monitor does for the trail besides its events: the signer and the keys that outlive the
 * auditor, the verification key that an operator is shown, checkpoints that go elsewhere, and the
 * policy's settings. */
#pragma once

#include "auth/slab.h"
#include "gateway/monitor/monitor.h"

/* signer.c */
int signer_begin(struct monitor *m) MUST_CHECK;
int signer_get(const struct monitor *m) MUST_CHECK; /* a descriptor to read the seed from */
void signer_end(struct monitor *m);
/* The auditor's word of what it is: the public half of the key is put beside the sealed one. */
void signer_told(struct monitor *m, const struct auditor_status *s);
json_t *signer_json(const struct monitor *m); /* the verifier keys; or an error */

/* epoch.c: `audit key`. The epoch begins when what was asked is durable. NULL: asked, and the
 * answer comes with control_answered() or control_shows(); otherwise why not, for people. */
const char *epoch_ask(struct monitor *m) MUST_CHECK;
void epoch_go_on(struct monitor *m); /* an event became durable */
void epoch_begun(struct monitor *m, const struct auditor_epoch *e);
void epoch_away(struct monitor *m);	      /* the auditor died */
bool epoch_is_shown(const struct monitor *m); /* somebody has the key of the one that runs */

/* control.c: the answer to `request` is this text in locked memory, which is wiped when it is
 * sent, or when nobody waits for it any more. Returns whether somebody did. */
bool control_shows(const char *request, struct slab *text, size_t len);

/* checkpoints.c: the trail's checkpoints go where the policy says */
#define CHECKPOINT_WORDS_MAX 64
extern uint64_t checkpoints_late_ms; /* not through for so long is a problem; tests change it */
#define CHECKPOINT_ARGV_MAX 65536    /* octets of a command with its arguments */
void checkpoints_reload(struct monitor *m); /* at the start, too */
void checkpoint_take(struct monitor *m, const struct auditor_checkpoint *c);
void checkpoints_tick(struct monitor *m); /* each second */
json_t *checkpoints_json(const struct monitor *m, json_t *problems);
void checkpoints_close(struct monitor *m);
/* scribe.c: processes that get them */
int scribe_main(void);
int checkpoint_command_main(void);

/* settings.c: audit.keep and audit.space, for the auditor */
void settings_send(struct monitor *m);
