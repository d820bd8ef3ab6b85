/* Within the comparison of policies: every fact of a policy as a text that is the same whatever
 * the order in the file. A key that is added to the policy gets its row in the table here. */
#pragma once

#include "policy/diff.h"

/* A text that grows; once memory is out it stays failed. */
struct text {
	char *text;
	size_t len, space;
	bool failed;
};
void text_add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_clear(struct text *t); /* keeps its memory */
void text_free(struct text *t);

/* Texts whose order means nothing. */
struct text_list {
	char **items;
	size_t count, space;
	bool failed;
};
void text_list_add(struct text_list *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Adds them, sorted and parted by ", ", and frees the list. */
void text_list_join(struct text_list *l, struct text *t);

/* One thing of a policy, with all that it is within. */
struct side {
	const struct policy *policy;
	const struct policy_portal *portal;
	const struct policy_disk *disk;
	const struct policy_target *target;
	const struct policy_lun *lun;
	const struct policy_initiator *initiator;
	const struct policy_access *access;
};

#define FACT_MAIN    (1u << 0) /* says what the thing is, when all of it is new or gone */
#define FACT_SESSION (1u << 1) /* of a disk: a session learns it in its login alone */

enum fact_form {
	FORM_WRITTEN, /* by write() */
	FORM_YES,     /* bool */
	FORM_NUMBER,  /* uint32_t, as the next two */
	FORM_OCTETS,
	FORM_MS,
	FORM_SECONDS,
	FORM_TEXT, /* char[] */
};

struct fact {
	enum difference_of of;
	const char *key;
	uint32_t flags;
	enum fact_form form;
	size_t offset;					     /* in its thing */
	void (*write)(struct text *t, const struct side *s); /* nothing: it has none */
	uint32_t (*line)(const struct side *s);		     /* NULL: the thing's own */
	/* NULL: by the texts. Where a fact is another's default, it is no difference of its own. */
	bool (*same)(const struct side *before, const struct side *after);
};
/* facts_trail.c: audit, and a disk's part of it */
void audit_durability(struct text *t, const struct side *s);
void audit_outcomes(struct text *t, const struct side *s);
void disk_durability(struct text *t, const struct side *s);
void keep_for(struct text *t, const struct side *s);
void keep_at_most(struct text *t, const struct side *s);
void space_warn(struct text *t, const struct side *s);
void space_refuse(struct text *t, const struct side *s);
void space_stop(struct text *t, const struct side *s);
void space_reserve(struct text *t, const struct side *s);
void checkpoints_file(struct text *t, const struct side *s);
void checkpoints_command(struct text *t, const struct side *s);
void checkpoints_syslog(struct text *t, const struct side *s);

/* facts_tls.c: certificates */
void portal_certificate(struct text *t, const struct side *s);
void portal_key(struct text *t, const struct side *s);
void portal_client_ca(struct text *t, const struct side *s);
void portal_crl(struct text *t, const struct side *s);
void portal_tls12(struct text *t, const struct side *s);
void initiator_certificate(struct text *t, const struct side *s);

void fact_write(const struct fact *f, struct text *t, const struct side *s);
extern const struct fact facts[];
extern const size_t fact_count;

uint32_t side_line(const struct side *s, enum difference_of of);
/* Do initiators see the same disk, in all that they learned at login? *ret_key: what is not. */
bool disk_is_same(const struct policy_disk *before, const struct policy_disk *after,
		  const char **ret_key);
