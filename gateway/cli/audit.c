/* `sallyport audit VERB`: the table of the verbs. Each is a file of its own; what they share, and
 * how one is made, is audit_review.h. */
#include "gateway/cli/audit_review.h"

static const struct subcommand *const verbs[] = {
	&audit_show,	    &audit_summary,    &audit_report,  &audit_tail,
	&audit_last_writer, &audit_first_seen, &audit_compare, &audit_verify,
	&audit_export,	    &audit_key,	       &audit_files,   NULL,
};

const struct subcommand cli_audit = {
	.name = "audit",
	.arguments = "VERB",
	.summary = "who did what: the trail of every command, login and refusal",
	.examples = "  sallyport audit show --since -2h --op write --initiator app-3\n"
		    "  sallyport audit tail\n",
	.verbs = verbs,
};
