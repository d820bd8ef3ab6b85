/* `sallyport join CODE`, on the client: makes a key here, gets a certificate for it and the CHAP
 * secrets from the gateway, and writes what `sallyport connect` and the initiator need. The code
 * proves the gateway: before that, nothing that it says is believed or written. */
#include "gateway/cli/join.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/slab.h"
#include "gateway/base/fd.h"
#include "gateway/base/sandbox.h"
#include "policy/iscsi_name.h"

#define INITIATOR_FILE "/etc/iscsi/initiatorname.iscsi"
#define INITIATOR_MAX  4096

/* --- who this machine is --------------------------------------------------------------------- */

/* The name that open-iscsi has here; "" where there is none. */
static void initiator_find(char ret[ISCSI_NAME_SIZE])
{
	static const char key[] = "InitiatorName=";
	OWNED_FD fd = open(INITIATOR_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	OWNED_FREE char *text = NULL;
	char *rest, *line;
	const char *why;
	size_t len;

	ret[0] = '\0';
	if (fd < 0 || fd_read_all(fd, INITIATOR_MAX, &text, &len) < 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (strncmp(line, key, sizeof key - 1) == 0 &&
		    iscsi_name_normalise(line + sizeof key - 1, ret, &why) < 0)
			ret[0] = '\0';
}

static int begin(struct join *j)
{
	struct join_secrets *s = j->secrets;
	const char *given = cli_option(j->cli, "--initiator"), *why;

	if (invitation_code_parse(j->cli->arguments[0], &s->code, &why) < 0)
		return cli_usage(j->cli, "CODE: %s", why);
	initiator_find(j->request.initiator);
	if (given && iscsi_name_normalise(given, j->request.initiator, &why) < 0)
		return cli_usage(j->cli, "--initiator: %s", why);
	invitation_derive(s->code.secret, j->request.id, s->proof);
	(void)crypto_box_keypair(j->request.box, s->box_secret);
	if (certificate_key_make(&j->key) < 0 ||
	    certificate_key_point(j->key, j->request.point) < 0)
		return cli_cannot(j->cli, "no key can be made");
	return EXIT_DONE;
}

/* --- what came ------------------------------------------------------------------------------- */

static int text_take(struct join *j, const struct enrol_part *text)
{
	for (size_t k = 0; k < text->len; k++)
		if (text->octets[k] != '\n' && (text->octets[k] < ' ' || text->octets[k] > '~'))
			return -EBADMSG;
	memcpy(j->text, text->octets, text->len);
	j->text[text->len] = '\0';
	return 0;
}

/* It is told to a shell later; and whoever said who he is gets no certificate of another. */
static int name_take(const struct join *j)
{
	char name[ISCSI_NAME_SIZE];
	const char *why;

	if (iscsi_name_normalise(j->facts.initiator, name, &why) < 0 ||
	    strcmp(name, j->facts.initiator) != 0 ||
	    (j->request.initiator[0] && strcmp(name, j->request.initiator) != 0))
		return -EBADMSG;
	return 0;
}

/* The proof first: what has none is not looked into. */
static int answer_take(struct join *j)
{
	const struct enrol_proof by = {j->secrets->proof, j->exporter};
	struct enrol_answer a;
	int r;

	if (!enrol_answer_proven(j->answer, j->answer_len, &by))
		return why_say(&j->why, -EKEYREJECTED,
			       "%s does not know the code: somebody stands between this machine "
			       "and the gateway, or the code is for another one. Nothing was "
			       "written",
			       j->secrets->code.place);
	r = enrol_answer_parse(j->answer, j->answer_len, &a);
	if (r == 0)
		r = certificate_read(a.certificate.octets, a.certificate.len, &j->certificate);
	if (r == 0)
		r = certificate_read(a.ca.octets, a.ca.len, &j->ca);
	if (r == 0 && (X509_check_private_key(j->certificate, j->key) != 1 ||
		       X509_verify(j->certificate, X509_get0_pubkey(j->ca)) != 1))
		r = -EBADMSG;
	if (r == 0)
		r = certificate_facts(j->certificate, &j->facts);
	if (r == 0)
		r = name_take(j);
	if (r == 0)
		r = enrol_accounts_open(&a.accounts, j->request.box, j->secrets->box_secret,
					j->secrets->bytes, &j->secrets->accounts);
	if (r == 0)
		r = text_take(j, &a.text);
	return r < 0 ? why_say(&j->why, r,
			       "what %s answered does not fit together: is it of "
			       "another version?",
			       j->secrets->code.place)
		     : 0;
}

/* --- what is told ---------------------------------------------------------------------------- */

/* It is for a shell: what is no name, and so could be more than one, is not shown. */
static void target_tell(const char *said, const char *folder)
{
	char target[ISCSI_NAME_SIZE];
	const char *why;

	if (iscsi_name_normalise(said, target, &why) < 0)
		return;
	printf("  iscsiadm -m node -T %s -p 127.0.0.1:3260 -o new\n"
	       "  while IFS='=' read -r n v; do iscsiadm -m node -T %s -p 127.0.0.1:3260 \\\n"
	       "    -o update -n \"$n\" -v \"$v\"; done < %s/chap.txt\n"
	       "  iscsiadm -m node -T %s -p 127.0.0.1:3260 --login\n",
	       target, target, folder, target);
}

static void tell(struct join *j, const char *folder)
{
	char own[ISCSI_NAME_SIZE], *rest = j->text, *line;

	fprintf(stderr, "Joined as %s. The CHAP secrets are in %s/chap.txt.\n", j->facts.initiator,
		folder);
	printf("# next, on this machine:\n");
	initiator_find(own);
	if (strcmp(own, j->facts.initiator) != 0)
		printf("  echo InitiatorName=%s > " INITIATOR_FILE "\n  systemctl restart iscsid\n",
		       j->facts.initiator);
	printf("  sallyport connect --config %s/connect.yaml\n", folder);
	while ((line = strsep(&rest, "\n")) != NULL)
		if (strncmp(line, "target ", strlen("target ")) == 0)
			target_tell(line + strlen("target "), folder);
}

/* --- the command ----------------------------------------------------------------------------- */

static int join_told(struct join *j, const char *folder)
{
	OWNED_FD fd = join_folder_open(j, folder, cli_has(j->cli, "--force"));

	if (fd < 0 || join_call(j) < 0 || answer_take(j) < 0 || join_folder_write(j, fd) < 0)
		return cli_cannot(j->cli, "%s", j->said);
	tell(j, folder);
	return EXIT_DONE;
}

static int run_join(const struct cli *cli)
{
	const char *given = cli_option(cli, "--to");
	OWNED_BY(slab_close) struct slab slab = {0};
	struct join j = {.cli = cli};
	int r;

	j.why = (struct why){j.said, sizeof j.said};
	if (process_harden() < 0 || sodium_init() < 0 || !certificate_begin())
		return cli_cannot(cli, "this process can't be protected from others, so no key is "
				       "made");
	if (slab_open(&slab, sizeof *j.secrets, sizeof *j.secrets, j.said, sizeof j.said) < 0)
		return cli_cannot(cli, "%s", j.said);
	j.secrets = (void *)slab.memory;
	r = begin(&j);
	if (r == EXIT_DONE)
		r = join_told(&j, given ? given : JOIN_FOLDER);
	X509_free(j.certificate);
	X509_free(j.ca);
	EVP_PKEY_free(j.key);
	return r;
}

static const struct cli_option options[] = {
	{"--to", "DIR", "the folder that is written (" JOIN_FOLDER ")"},
	{"--initiator", "IQN", "this machine's initiator name (as open-iscsi has it)"},
	{"--force", NULL, "over what is in that folder"},
	{0},
};

const struct subcommand cli_join = {
	.name = "join",
	.arguments = "CODE",
	.least = 1,
	.most = 1,
	.summary = "this machine becomes a client, by a code from the gateway",
	.examples = "  sallyport join gw.example.net:3261/000g40r40m30e209185gr38e1w7k\n"
		    "  sallyport join CODE --to ~/gateway --initiator iqn.2026-11.net.example:host",
	.text = "\n"
		"Makes a key here, has it certified over the TLS portal, and gets the CHAP\n"
		"secrets. The code is from `sallyport ca invite`, good once; it proves the "
		"gateway\n"
		"to this machine as well. Prints what to do next.",
	.options = options,
	.run = run_join,
};
