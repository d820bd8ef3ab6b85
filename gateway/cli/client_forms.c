/* The words of each client's tools: open-iscsi, PowerShell, esxcli, libiscsi. Names that stand in
 * quotes are the compiler's, which lets no quote of a shell through (but those that PowerShell
 * takes for one); secrets are written by client_secret_write() alone. */
#include "gateway/cli/client.h"

#include <stdio.h>

/* A line on which a shell learns a secret, or asks for it. */
static void shell_secret(const struct client_page *page, enum client_secret which,
			 const char *variable)
{
	const char *name = which == CLIENT_SECRET ? page->entry->user : page->entry->mutual;

	if (page->secrets[which]) {
		printf("%s=", variable);
		client_secret_write(page, which, '\\');
		printf("\n");
	} else {
		printf("printf 'secret of %s: '; IFS= read -rs %s; echo\n", name, variable);
	}
}

static void shell_secrets(const struct client_page *page)
{
	shell_secret(page, CLIENT_SECRET, "SECRET");
	if (page->entry->mutual[0])
		shell_secret(page, CLIENT_MUTUAL, "MUTUAL");
}

static void nothing(const struct client_page *page)
{
	(void)page;
}

/* --- Linux -------------------------------------------------------------------------------- */

static void linux_begin(const struct client_page *page)
{
	printf("# Linux, open-iscsi, as root, in bash.\n"
	       "grep -qx 'InitiatorName=%s' /etc/iscsi/initiatorname.iscsi || "
	       "echo 'first: InitiatorName=%s in /etc/iscsi/initiatorname.iscsi, and restart "
	       "iscsid' >&2\n",
	       page->initiator, page->initiator);
	shell_secrets(page);
}

/* In order of strength, the best first; open-iscsi's names. */
static void algorithms_print(uint32_t bits)
{
	static const char *const names[] = {
		[CHAP_MD5] = "MD5",
		[CHAP_SHA1] = "SHA1",
		[CHAP_SHA256] = "SHA256",
		[CHAP_SHA3_256] = "SHA3-256",
	};
	const char *between = "";

	for (uint32_t a = CHAP_SHA3_256; a >= CHAP_MD5; a--) {
		if (!(bits & 1U << a))
			continue;
		printf("%s%s", between, names[a]);
		between = ",";
	}
}

/* For a line that is long, loses packets and goes away for minutes: patience before errors, pings
 * that notice a dead connection, digests since TCP's sum lets errors through. */
static const struct setting {
	const char *name, *value;
} linux_settings[] = {
	{"node.startup", "automatic"},
	{"node.session.timeo.replacement_timeout", "600"},
	{"node.conn[0].timeo.login_timeout", "30"},
	{"node.conn[0].timeo.logout_timeout", "30"},
	{"node.conn[0].timeo.noop_out_interval", "10"},
	{"node.conn[0].timeo.noop_out_timeout", "30"},
	{"node.session.err_timeo.abort_timeout", "60"},
	{"node.session.err_timeo.lu_reset_timeout", "60"},
	{"node.session.cmds_max", "128"},
	{"node.conn[0].iscsi.HeaderDigest", "CRC32C"},
	{"node.conn[0].iscsi.DataDigest", "CRC32C"},
};

/* What TLS carries arrives as it was sent: no digest of iSCSI finds more. */
static bool is_needless(const struct client_section *s, const char *name)
{
	return s->portal->transport == PORTAL_TLS && !s->target->limits.digests_required &&
	       strstr(name, "Digest") != NULL;
}

static void linux_section(const struct client_page *page, const struct client_section *s)
{
	const struct policy_initiator *i = s->entry;

	printf("iscsiadm -m node -o new -T '%s' -p '%s'\n", s->target->name, s->place);
	printf("iscsiadm -m node -T '%s' -p '%s' -o update \\\n"
	       "  -n node.session.auth.authmethod -v CHAP -n node.session.auth.chap_algs -v ",
	       s->target->name, s->place);
	algorithms_print(page->algorithms);
	printf(" \\\n  -n node.session.auth.username -v '%s' -n node.session.auth.password -v "
	       "\"$SECRET\" \\\n",
	       i->user);
	if (i->mutual[0])
		printf("  -n node.session.auth.username_in -v '%s' -n "
		       "node.session.auth.password_in -v \"$MUTUAL\" \\\n",
		       i->mutual);
	for (size_t k = 0; k < ARRAY_LEN(linux_settings); k++)
		if (!is_needless(s, linux_settings[k].name))
			printf("  -n '%s' -v %s \\\n", linux_settings[k].name,
			       linux_settings[k].value);
	printf("  -n node.session.queue_depth -v %u\n", s->target->limits.queue_depth);
	printf("iscsiadm -m node -T '%s' -p '%s' --login\n", s->target->name, s->place);
	printf("# its disks: /dev/disk/by-path/ip-%s-iscsi-%s-lun-N; in /etc/fstab with _netdev\n",
	       s->place, s->target->name);
}

static void linux_end(const struct client_page *page)
{
	printf("unset SECRET%s\n", page->entry->mutual[0] ? " MUTUAL" : "");
}

/* --- Windows ------------------------------------------------------------------------------ */

static void powershell_secret(const struct client_page *page, enum client_secret which,
			      const char *variable)
{
	const struct secret *s = page->secrets[which];

	if (!s) {
		printf("%s = Read-Host 'secret of %s'\n", variable,
		       which == CLIENT_SECRET ? page->entry->user : page->entry->mutual);
		return;
	}
	if (s->len < 12 || s->len > 16)
		printf("# the next secret has %u octets, and Windows takes 12 to 16 alone: "
		       "sallyport secret rotate\n",
		       s->len);
	printf("%s = ", variable);
	client_secret_write(page, which, '\'');
	printf("\n");
}

/* An iSCSI name, in quotes: its letters are of any script. */
struct quoted {
	char text[CLIENT_QUOTED(ISCSI_NAME_SIZE) + 1];
};

static struct quoted powershell_name(const char *name)
{
	struct quoted q;

	q.text[client_quote((const uint8_t *)name, strlen(name), '\'', q.text)] = '\0';
	return q;
}

static void windows_begin(const struct client_page *page)
{
	printf("# Windows, PowerShell, as administrator.\n"
	       "Set-Service MSiSCSI -StartupType Automatic; Start-Service MSiSCSI\n"
	       "if ((Get-InitiatorPort | Where-Object ConnectionType -eq 'iSCSI').NodeAddress -ne "
	       "%s) { Write-Warning ('first: iscsicli NodeName ' + %s) }\n"
	       "Set-ItemProperty 'HKLM:\\SYSTEM\\CurrentControlSet\\Services\\Disk' -Name "
	       "TimeOutValue -Type DWord -Value 120\n",
	       powershell_name(page->initiator).text, powershell_name(page->initiator).text);
	powershell_secret(page, CLIENT_SECRET, "$Secret");
	if (!page->entry->mutual[0])
		return;
	powershell_secret(page, CLIENT_MUTUAL, "$Mutual");
	printf("Set-IscsiChapSecret -ChapSecret $Mutual\n");
}

static void windows_section(const struct client_page *page, const struct client_section *s)
{
	const char *type = s->entry->mutual[0] ? "MUTUALCHAP" : "ONEWAYCHAP";

	(void)page;
	printf("New-IscsiTargetPortal -TargetPortalAddress '%s' -TargetPortalPortNumber %u "
	       "-AuthenticationType %s -ChapUsername '%s' -ChapSecret $Secret "
	       "-IsHeaderDigest $true -IsDataDigest $true\n",
	       s->address, s->at.port, type, s->entry->user);
	printf("Connect-IscsiTarget -NodeAddress %s -TargetPortalAddress '%s' "
	       "-TargetPortalPortNumber %u -AuthenticationType %s -ChapUsername '%s' "
	       "-ChapSecret $Secret -IsHeaderDigest $true -IsDataDigest $true "
	       "-IsPersistent $true\n",
	       powershell_name(s->target->name).text, s->address, s->at.port, type, s->entry->user);
}

static void windows_end(const struct client_page *page)
{
	(void)page;
	printf("Remove-Variable Secret, Mutual -ErrorAction SilentlyContinue\n");
}

/* --- ESXi --------------------------------------------------------------------------------- */

static void esxi_begin(const struct client_page *page)
{
	printf("# ESXi, in its shell. esxcli takes secrets as arguments only.\n"
	       "esxcli iscsi software set --enabled=true\n"
	       "ADAPTER=$(esxcli iscsi adapter list | awk '/iscsi_vmk/ { print $1; exit }')\n"
	       "esxcli iscsi adapter set --adapter=\"$ADAPTER\" --name='%s'\n",
	       page->initiator);
	shell_secrets(page);
}

static void esxi_target(const char *what, const struct client_section *s)
{
	printf("esxcli iscsi adapter %s --adapter=\"$ADAPTER\" --address='%s' --name='%s'", what,
	       s->place, s->target->name);
}

static void esxi_section(const struct client_page *page, const struct client_section *s)
{
	static const struct setting settings[] = {
		{"RecoveryTimeout", "120"},    {"LoginTimeout", "30"},
		{"NoopOutInterval", "15"},     {"NoopOutTimeout", "30"},
		{"HeaderDigest", "preferred"}, {"DataDigest", "preferred"},
	};

	(void)page;
	esxi_target("discovery statictarget add", s);
	printf("\n");
	esxi_target("target portal auth chap set", s);
	printf(" --direction=uni --level=required --authname='%s' --secret=\"$SECRET\"\n",
	       s->entry->user);
	if (s->entry->mutual[0]) {
		esxi_target("target portal auth chap set", s);
		printf(" --direction=mutual --level=required --authname='%s' "
		       "--secret=\"$MUTUAL\"\n",
		       s->entry->mutual);
	}
	for (size_t k = 0; k < ARRAY_LEN(settings); k++) {
		esxi_target("target portal param set", s);
		printf(" --key=%s --value=%s\n", settings[k].name, settings[k].value);
	}
}

static void esxi_end(const struct client_page *page)
{
	(void)page;
	printf("\nesxcli storage core adapter rescan --adapter=\"$ADAPTER\"\n");
}

/* --- libiscsi ----------------------------------------------------------------------------- */

static void libiscsi_begin(const struct client_page *page)
{
	printf("# libiscsi: its tools, and what is built with it. Secrets in the environment, "
	       "where "
	       "`ps` does not show them.\n");
	shell_secrets(page);
	printf("export LIBISCSI_CHAP_USERNAME='%s' LIBISCSI_CHAP_PASSWORD=\"$SECRET\"\n",
	       page->entry->user);
	if (page->entry->mutual[0])
		printf("export LIBISCSI_CHAP_TARGET_USERNAME='%s' "
		       "LIBISCSI_CHAP_TARGET_PASSWORD=\"$MUTUAL\"\n",
		       page->entry->mutual);
}

static void libiscsi_section(const struct client_page *page, const struct client_section *s)
{
	if (s->target->limits.digests_required)
		printf("# this target requires digests of data, which libiscsi 1.19 does not "
		       "know\n");
	for (size_t k = 0; k < s->entry->access_count; k++)
		printf("iscsi-inq -i '%s' 'iscsi://%s/%s/%u?header_digest=crc32c'\n",
		       page->initiator, s->place, s->target->name, s->entry->access[k].lun);
	printf("# QEMU: -iscsi initiator-name=%s, and the URL as file=\n", page->initiator);
}

/* --- all of them -------------------------------------------------------------------------- */

static const struct client_form forms[] = {
	{"linux", false, linux_begin, linux_section, linux_end, false},
	{"windows", true, windows_begin, windows_section, windows_end, false},
	{"esxi", true, esxi_begin, esxi_section, esxi_end, false},
	{"libiscsi", true, libiscsi_begin, libiscsi_section, nothing, false},
};

const struct client_form *client_form_find(const char *name)
{
	for (size_t k = 0; k < ARRAY_LEN(forms); k++)
		if (strcmp(forms[k].name, name) == 0)
			return &forms[k];
	return strcmp(client_stunnel.name, name) == 0 ? &client_stunnel : NULL;
}
