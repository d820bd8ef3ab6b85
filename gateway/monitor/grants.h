/* What a session is given, for how long, and who of several may write: grants.c, hours.c and
 * writers.c of the monitor. A part of monitor.h, which includes it. */
#pragma once

#include <jansson.h>
#include "gateway/base/base.h"

struct monitor;
struct connection;
struct monitor_disk;
struct granted_lun;

/* grants.c: what a session is given */
int grants_decide(struct connection *c) MUST_CHECK; /* c->luns and groups, by the policy */
/* Of a session, by another policy: what it gets is on its way, rules are told. -ESTALE: it has what
 * the policy does not give it as it is. */
int grants_widen(struct connection *c) MUST_CHECK;
uint64_t octets_hash(const void *octets, size_t len);
/* How many it got (a disk that can't be opened is left out), or a negative error of ours. */
int grants_send(struct connection *c) MUST_CHECK;
void grants_go_on(struct connection *c);   /* its LUNs that it has not been told of */
void grants_release(struct connection *c); /* its writers' places are free again */
void rules_send(struct connection *c);
/* For the trail, readable by machines (sallyport-audit(5)): "lun 0 vault 512 131072 rw; lun 1 …",
 * its octets a block, blocks and access, from the LUN at index `from` on, as many as fit. Returns
 * the index of the first that did not. */
size_t grants_text(const struct connection *c, size_t from, char *ret, size_t size);
/* Those from `from` on, as events of their own. */
void grants_tell(const struct connection *c, size_t from);
void records_send(struct connection *c); /* what the audit has of it */

/* Another word on writing a LUN that it has. */
void lun_tell_again(struct connection *c, struct granted_lun *g, bool writable);

/* writers.c: one writer at a time */
void writers_load(struct monitor *m);
void writers_close(struct monitor *m);
void writers_commit(struct monitor *m, struct monitor_disk *d); /* it is served from now on */
/* May it write now? Takes the slot, if it is free. */
bool writer_enters(struct connection *c, const struct granted_lun *g, struct monitor_disk *d);
void writer_leaves(struct connection *c, struct monitor_disk *d); /* no I/O of it is left */
void writers_look(struct monitor *m, struct monitor_disk *d); /* another reservation, or policy */
void writers_reload(struct monitor *m);
void writers_tick(struct monitor *m);
json_t *writer_json(const struct monitor_disk *d);
const char *writer_free(struct monitor *m, const char *name) MUST_CHECK; /* NULL: it is */

/* hours.c: grants that end, and hours of the week */
void hours_tick(struct monitor *m);
void hours_reload(struct monitor *m);
/* NULL: its entry is open now; or the reason, for the audit, and the policy's line. */
const char *hours_closed(const struct connection *c, uint32_t *ret_line);
