#!/usr/bin/env python3
"""Certificates change under live sessions: who is still allowed does not notice, who is not ends; and what each login by TLS is
refused for, with one answer for all."""
import json, os, signal, ssl, time

from harness import *
from initiator import *
import pki
from tls_initiator import TlsInitiator

AREA = "tls"
POLICY = """\
version: 1
portals:
  wan: {{listen: ["127.0.0.1:{port}"], transport: tls, certificate: gw.pem, key: gw.key, client_ca: clients.pem, crl: [clients.crl]{old}}}
disks:
  vault: {{memory: 16MiB}}
  second: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice}}
{pin}
  {target}2:
    portals: [wan]
    luns: {{0: second}}
    initiators:
      {bob}:
        from: [127.0.0.1]
        chap: {{user: bob, mutual: gw-for-bob}}
gateway: {{grace: 1s}}
"""
BOB = CLIENT + ".bob"
ca, stranger = pki.CA(), pki.CA("stranger")
alice, bob = ca.client(CLIENT, "alice"), ca.client(BOB, "bob")
gw = Gateway(policy=POLICY, pin="", old="", bob=BOB)
gw.secret("bob", SECRET[::-1])
gw.secret("gw-for-bob", MUTUAL[::-1])


def place(server, clients=ca, crl_s=None):
    """The gateway's files, each put in the place of the one before."""
    for source, name in ((server[0], "gw.pem"), (server[1], "gw.key"), (clients.pem, "clients.pem"), (clients.crl(crl_s), "clients.crl")):
        (gw.folder / "new").write_bytes(source.read_bytes())
        (gw.folder / "new").chmod(0o600)
        (gw.folder / "new").rename(gw.folder / name)


def enter(identity, name=CLIENT, user="alice", secret=SECRET, mutual=MUTUAL, target=TARGET, version=None):
    i = TlsInitiator(gw.port, ca, identity, name=name, version=version)
    return i.login(user=user, secret=secret, mutual=mutual, target=target)


def enter_bob():
    return enter(bob, BOB, "bob", SECRET[::-1], MUTUAL[::-1], TARGET + "2")


def lives(i):
    return i.read(0, 1)[0] == 0


def refused(identity, **more):
    """The login status, or why there was none."""
    try:
        enter(identity, **more).close()
        return "entered"
    except Refused as error:
        return hex(error.status)
    except (Gone, OSError):
        return "no handshake"


def reasons():
    gw.command("audit", "flush")
    return [r.get("reason", "") for r in gw.audit()]


def told(reason):
    return wait_for(lambda: reason in reasons())


old = ca.server("old", algorithm="P-384", ends=time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 20 * 86400)))
place(old)
gw.start()

# --- who comes in ---------------------------------------------------------------------------------------------------------------
with enter(alice) as i, enter_bob() as j:
    check(AREA, "certificate and CHAP together let in", lives(i) and lives(j))
    row = next(s for s in gw.sessions() if s["initiator"] == CLIENT)
    check(AREA, "sessions tells of cipher, group, kernel and certificate", row["tls"]["version"] == "TLS 1.3" and row["tls"]["certificate"] == pki.fingerprint(alice[0]) and row["tls"]["names"] == [CLIENT], row["tls"])
    portal = gw.status()["portals"][0]
    check(AREA, "status tells of the portal's certificate and its days", portal["transport"] == "tls" and portal["tls"]["certificate"] == pki.fingerprint(old[0]) and 18 <= portal["tls"]["days_left"] <= 20 and any("ends in" in w for w in gw.status()["warnings"]), gw.status())
    kernel = {way: sum(s["tls"][f"kernel_{way}"] for s in gw.sessions()) for way in ("sends", "receives")}
    words = f"the kernel encrypts for {kernel['sends']} of its sessions, decrypts for {kernel['receives']}"
    check(AREA, "status tells of how many sessions the kernel encrypts, each way", portal["tls"]["kernel"] == kernel and words in gw.command("status").stdout, (portal, kernel))
    login = next(r for r in gw.audit() if r.get("reason") == "granted" and r.get("initiator") == CLIENT)
    check(AREA, "the login's record has the certificate and what was negotiated", f"certificate {pki.fingerprint(alice[0])[:23]}" in login["detail"] and "TLS 1.3" in login["detail"], login)

    # --- who does not, with one answer ---
    check(AREA, "P1: another one's certificate with one's own secret is refused", refused(bob) == "0x201" and told("certificate-is-of-another-name"))
    check(AREA, "P1: one's own certificate with another's secret is refused", refused(alice, user="bob", secret=SECRET[::-1], mutual=MUTUAL[::-1]) == "0x201")
    check(AREA, "P1: no CHAP by TLS either without the secret", refused(alice, secret="not the secret at all") == "0x201")
    check(AREA, "P1: no certificate: no handshake", refused(None) == "no handshake" and told("tls-no-certificate"))
    check(AREA, "P1: a certificate of an unknown CA: no handshake", refused(stranger.client(CLIENT)) == "no handshake" and told("tls-unknown-ca"))
    check(AREA, "P1: a certificate that is for servers: no handshake", refused(ca.server("wrong")) == "no handshake" and told("tls-wrong-purpose"))

    # --- another certificate for the gateway ---
    new = ca.server("new", algorithm="Ed25519")
    place(new)
    done = gw.command("plan", gw.policy)
    check(AREA, "plan says that the file under its name is another", done.returncode == 10 and "certificate" in done.stdout, done.stdout + done.stderr)
    pids = {s["pid"] for s in gw.sessions()}
    done = gw.reload()
    check(AREA, "P7: another certificate of the gateway: nobody notices", done.returncode == 0 and lives(i) and lives(j) and {s["pid"] for s in gw.sessions()} == pids, done.stdout + done.stderr)
    with enter(alice) as k:
        check(AREA, "… and who comes now sees the new one", k.server_fingerprint() == pki.fingerprint(new[0]) and lives(k))
    change = next((r for r in gw.audit() if r.get("reason") == "certificates"), {})
    check(AREA, "P5: the audit has which certificate is in force", f"certificate {pki.fingerprint(new[0])} of new" in change.get("detail", ""), change)
    with enter(alice) as i:
        # --- a key that is not the certificate's ---
        place((new[0], old[1]))
        done = gw.reload()
        check(AREA, "P7: a key that does not fit changes nothing", done.returncode != 0 and "not the key of the certificate" in done.stdout + done.stderr and lives(i), done.stdout + done.stderr)
        with enter_bob() as k:
            check(AREA, "… and logins go on with what was in force", k.server_fingerprint() == pki.fingerprint(new[0]) and lives(k))
    place(new)

# --- the authenticator dies --------------------------------------------------------------------------------------------------------
with enter(alice) as i:
    pid = gw.helper_pid("authenticator")
    os.kill(pid, signal.SIGKILL)
    check(AREA, "P4: a new authenticator has the keys again, and sessions did not notice", wait_for(lambda: gw.helper_pid("authenticator") not in (0, pid) and gw.is_well()) and lives(i), gw.status())
    with enter_bob() as j:
        check(AREA, "… and signs", lives(j))

# --- a policy that goes back --------------------------------------------------------------------------------------------------------
before = gw.status()["policy_sha256"]
with enter(alice) as i:
    gw.values["pin"] = "        sessions: 3"
    gw.policy.write_text(POLICY.format(**gw.values))
    done = gw.command("reload", "--confirm-within", "1s")
    for name in ("gw.pem", "gw.key", "clients.pem"):
        (gw.folder / name).rename(gw.folder / (name + ".away"))
    check(AREA, "P7: a policy goes back though its files went meanwhile", done.returncode == 0 and wait_for(lambda: gw.status()["policy_sha256"] == before) and lives(i), done.stdout + done.stderr + gw.log())
    with enter_bob() as j:
        check(AREA, "… and serves with what it has", lives(j) and j.server_fingerprint() == pki.fingerprint(new[0]))
    place(new)
    gw.values["pin"] = ""

# --- taken back -----------------------------------------------------------------------------------------------------------------
with enter(alice) as i, enter_bob() as j:
    place(new)
    done = gw.command("plan", gw.policy)
    check(AREA, "plan: a CRL that takes nobody back ends nobody", done.returncode == 10 and "crl" in done.stdout and "! session" not in done.stdout, done.stdout + done.stderr)
    ca.revoke(alice[0])
    place(new)
    done = gw.command("plan", gw.policy)
    check(AREA, "P5: plan names the session that a CRL will end, and no other", done.stdout.count("! session") == 1 and f"of {CLIENT} from" in done.stdout and "is taken back by a CRL on the portal wan" in done.stdout, done.stdout + done.stderr)
    told_plan = json.loads(gw.command("plan", "--json", gw.policy).stdout)
    check(AREA, "… as JSON, too", sorted((s["initiator"], s["effect"], s["reason"]) for s in told_plan["sessions"]) == sorted([(CLIENT, "ends", "tls-revoked"), (BOB, "unchanged", "unchanged")]), told_plan["sessions"])
    done = gw.reload()
    check(AREA, "P7: what the CA took back ends its session, and no other", done.returncode == 0 and "1 asked to log out" in done.stdout and i.ended() and lives(j), done.stdout + done.stderr + gw.log())
    check(AREA, "… with its own reason", told("tls-revoked"), reasons())
    check(AREA, "… and it does not come in again", refused(alice) == "no handshake")
    before = gw.status()["policy_sha256"]
    gw.values["pin"] = "        sessions: 2"
    gw.policy.write_text(POLICY.format(**gw.values))
    done = gw.command("reload", "--confirm-within", "1s")
    (gw.folder / "clients.crl").rename(gw.folder / "clients.crl.away")
    back = gw.status()["policy_sha256"] != before and wait_for(lambda: gw.status()["policy_sha256"] == before)
    check(AREA, "P1: nor when a policy goes back whose CRL went meanwhile", "goes back" in done.stdout and back and refused(alice) == "no handshake",
          done.stdout + done.stderr + gw.log())
    check(AREA, "P7: … and that ends nobody else", lives(j))
    place(new)
    gw.reload(pin="")

# --- pinned ---------------------------------------------------------------------------------------------------------------------
alice, second = ca.client(CLIENT, "alice2"), ca.client(CLIENT, "alice3")
pin = "        certificate: "
with enter(alice) as i, enter_bob() as j:
    gw.values["pin"] = pin + pki.fingerprint(second[0])
    gw.policy.write_text(POLICY.format(**gw.values))
    done = gw.command("plan", gw.policy)
    check(AREA, "plan says whom a pin puts out", "pinned" in done.stdout and "! session" in done.stdout, done.stdout + done.stderr)
    done = gw.reload()
    check(AREA, "P7: a pin ends the session whose certificate is another, and no other", done.returncode == 0 and i.ended() and lives(j), done.stdout + done.stderr)
check(AREA, "P1: a certificate that is not the pinned one is refused", refused(alice) == "0x201" and told("certificate-is-not-the-pinned-one"))
with enter(second) as i:
    gw.reload(pin=pin + pki.fingerprint(second[0]).upper().replace("SHA256", "sha256"))
    check(AREA, "the pinned one comes in, however its digits are written", lives(i))
    done = gw.command("explain", gw.policy, "--from", "127.0.0.1", "--initiator", CLIENT, "--target", TARGET)
    check(AREA, "explain has a layer for the certificate, with its line", "certificate it has to show the certificate that is pinned" in done.stdout, done.stdout + done.stderr)

# --- a CRL whose next update is overdue -----------------------------------------------------------------------------------------
with enter(second) as i, enter_bob() as j:
    place(new, crl_s=8)
    done = gw.reload()
    check(AREA, "P7: a CRL that will soon be out of date ends nobody", done.returncode == 0 and lives(i) and lives(j), done.stdout + done.stderr)
    check(AREA, "… and status warns of it", any("the CRL of the portal wan" in w for w in gw.status()["warnings"]), gw.status())
    check(AREA, "P1: when it is, sessions end as logins do", i.ended() and j.ended() and told("tls-crl"), reasons())
    check(AREA, "… and nobody comes in", refused(second) == "no handshake")
    check(AREA, "… which status says", any("its CRL (Test ca) is out of date" in p for p in gw.status()["problems"]), gw.status())
place(new)
done = gw.reload()
with enter(second) as i:
    check(AREA, "… until there is a new one", done.returncode == 0 and lives(i), done.stdout + done.stderr)

# --- TLS 1.2 is taken no more -----------------------------------------------------------------------------------------------------
done = gw.reload(old=", allow_tls12: true")
with enter(second, version=ssl.TLSVersion.TLSv1_2) as i, enter_bob() as j:
    check(AREA, "allow_tls12 is taken up", done.returncode == 0 and lives(i) and lives(j), done.stdout + done.stderr)
    gw.values["old"] = ""
    gw.policy.write_text(POLICY.format(**gw.values))
    done = gw.command("plan", gw.policy)
    check(AREA, "plan says whom the end of TLS 1.2 puts out", done.stdout.count("! session") == 1 and "it came by TLS 1.2" in done.stdout, done.stdout + done.stderr)
    done = gw.reload()
    check(AREA, "P7: … it ends that session, after the policy's grace, and no other", "1 asked to log out" in done.stdout and i.ended() and lives(j) and told("policy-tls-version"), done.stdout + done.stderr)

# --- another CA -----------------------------------------------------------------------------------------------------------------
with enter(second) as i:
    place(new, stranger)
    gw.policy.write_text(POLICY.format(**dict(gw.values, pin="")))
    done = gw.command("plan", gw.policy)
    check(AREA, "P5: plan names the session that another CA will end", done.stdout.count("! session") == 1 and "is of a CA that is not taken on the portal wan" in done.stdout, done.stdout + done.stderr)
    done = gw.reload(pin="")
    check(AREA, "another CA ends whom the old one had signed", done.returncode == 0 and i.ended() and told("tls-unknown-ca"), done.stdout + done.stderr)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
