#!/usr/bin/env python3
"""A client joins by a code: it gets a certificate and its secrets, and logs in with them; codes that are used, over,
another's or not proven get nothing, and the audit log says why."""
import json
import os
import pwd
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading

from harness import *
from initiator import *
from pki import CA
import processes

AREA = "ca"
JOIN = "sallyport-join/1"
REQUEST = 377
OTHER = "iqn.2026-11.net.example:another"
POLICY = """\
version: 1
portals:
  wan: {{listen: ["127.0.0.1:{port}"], transport: tls}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {other}:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
"""

gw = Gateway(POLICY, other=OTHER)
done = gw.command("ca", "init", str(gw.policy), "--name", "localhost")
check(AREA, "init takes the names of its TLS portals from a policy that can't run yet", done.returncode == 0 and "127.0.0.1" in done.stderr, done.stderr)
for name in ("bob", "gw-for-bob"):
    gw.secret(name, f"secret-of-{name}")
gw.start()


def listed():
    return json.loads(gw.command("ca", "list", "--json").stdout)


def states(initiator=CLIENT):
    return [i["state"] for i in listed()["invitations"] if i["initiator"] == initiator]


def invite(initiator=CLIENT, *words):
    done = gw.command("ca", "invite", initiator, "--to", f"127.0.0.1:{gw.port}", *words)
    return done, done.stdout.strip()


def join(code, *words, name=CLIENT):
    """the end of the command, and the folder that it was to write"""
    join.count += 1
    folder = gw.folder / f"client-{join.count}"
    return run(SALLYPORT, "join", code, "--to", folder, "--initiator", name, *words), folder


join.count = 0


def refused(reason):
    return wait_for(lambda: any(e.get("reason") == reason for e in gw.audit("--op", "refusal")), 10)


def left(folder):
    return sorted(os.listdir(folder)) if folder.exists() else []


def offered(port=None, protocol=JOIN):
    """a TLS connection without a certificate, which would join"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port or gw.port), 20))


def answer(octets, cut=False):
    with offered() as s:
        s.sendall(octets)
        if cut:
            s.unwrap()
        try:
            return s.recv(1)
        except OSError:
            return b""


# --- nobody is invited ------------------------------------------------------------------------------------------------------
try:
    with offered() as s:
        s.recv(1)
        taken = s.selected_alpn_protocol()
except OSError:
    taken = None
check(AREA, "P1: while no invitation is open, nobody is heard who wants to join", taken is None and refused("tls-alpn"), gw.audit("--op", "refusal"))

# --- inviting -----------------------------------------------------------------------------------------------------------------
done, _ = invite("iqn.2026-11.net.example:nobody")
check(AREA, "who is not in the policy can't be invited: status 1", done.returncode == 1 and "not in the policy" in done.stderr, done.stderr)
gw.command("secret", "remove", "bob")
done, _ = invite(OTHER)
check(AREA, "nor who has no secret, which is named", done.returncode == 1 and "secret generate bob" in done.stderr, done.stderr)
done = gw.command("ca", "invite", CLIENT, "--to", f"gw.example.net:{gw.port}")
check(AREA, "nor to a name that the portals' certificate has not", done.returncode == 3 and "ca renew --name gw.example.net" in done.stderr, done.stderr)
gw.secret("bob", "secret-of-bob")
done, code = invite()
check(AREA, "the code alone is on stdout: a place and 28 letters", done.returncode == 0 and re.fullmatch(rf"127\.0\.0\.1:{gw.port}/[0-9a-z]{{28}}", code), done.stdout + done.stderr)
stored = b"".join(p.read_bytes() for p in (gw.state / "ca" / "invitations").iterdir())
check(AREA, "P3: the code is nowhere in the state folder", code.split("/")[1].encode() not in stored)
check("audit", "P3: nor in the audit log, which says who invited whom",
      code.split("/")[1] not in str(gw.audit()) and any(e.get("detail", "").startswith(f"ca invite {CLIENT}, uid") for e in gw.audit("--op", "operator")), gw.audit("--op", "operator"))

# --- what gets nothing --------------------------------------------------------------------------------------------------------
wrong = code[:-4] + ("0" if code[-4] != "0" else "1") + code[-3:]
done, folder = join(wrong)
check(AREA, "a code with a slip is refused before anybody is asked: status 2", done.returncode == 2 and "slip" in done.stderr and not folder.exists(), done.stderr)
check(AREA, "a request that is cut short gets no answer", answer(b"SPJOIN01" + bytes(92), cut=True) == b"" and refused("malformed"), gw.audit("--op", "refusal"))
check(AREA, "nor does garbage of a request's size", answer(os.urandom(REQUEST)) == b"" and refused("broken"), gw.audit("--op", "refusal"))
check(AREA, "nor a code that nobody has", answer(b"SPJOIN01" + bytes(REQUEST - 8)) == b"" and refused("join-unknown-code"), gw.audit("--op", "refusal"))
done, folder = join(code, name=OTHER)
check(AREA, "nor who has another initiator name than the code is for", done.returncode == 3 and "refuses the code" in done.stderr and left(folder) == []
      and refused("join-code-is-for-another-name"), done.stderr)
check(AREA, "P4: none of these used the invitation up", states() == ["open"], listed())


# --- somebody in between --------------------------------------------------------------------------------------------------------
class Between:
    """Ends TLS with a certificate of its own, speaks TLS to the gateway, and passes octets on; or answers by itself."""

    certificate = CA().server()

    def __init__(self, reply=None, waits=False):
        self.asked, self.go = threading.Event(), threading.Event()
        if not waits:
            self.go.set()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.certificate)
        self.context.set_alpn_protocols([JOIN])
        self.reply, self.seen = reply, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.listener.settimeout(20)
        with self.listener, self.context.wrap_socket(self.listener.accept()[0], server_side=True) as near:
            near.settimeout(20)
            while len(self.seen) < REQUEST:
                self.seen += near.recv(REQUEST - len(self.seen))
            self.asked.set()
            self.go.wait(15)
            if self.reply is not None:
                try:
                    near.sendall(self.reply)
                except OSError:
                    pass
                return
            with offered() as far:
                far.sendall(self.seen)
                try:
                    near.sendall(far.recv(65536))
                except OSError:
                    pass


between = Between()
done, code = invite(CLIENT, "--to", f"127.0.0.1:{between.port}")
check(AREA, "a second invitation of the same client takes the place of the first", done.returncode == 0 and "earlier code" in done.stderr and states() == ["open"], done.stderr)
done, folder = join(code)
between.thread.join(20)
check(AREA, "who stands between and passes on what both say gets nothing: the proof is of another TLS connection",
      done.returncode == 3 and left(folder) == [] and len(between.seen) == REQUEST and refused("join-code-not-proven"), done.stderr + gw.log()[-1000:])
check(AREA, "and the invitation is not used up", states() == ["open"], listed())
between = Between(reply=(200).to_bytes(4, "big") + os.urandom(200))
done, code = invite(CLIENT, "--to", f"127.0.0.1:{between.port}")
done, folder = join(code)
between.thread.join(20)
check(AREA, "who answers in the gateway's place is not believed, and nothing is written", done.returncode == 3 and "stands between" in done.stderr and left(folder) == [], done.stderr)
check(AREA, "the code is not in what the client says", code.split("/")[1].encode() not in between.seen and listed()["issued"] == [])


def holds(pid, needle):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for area, rights in (line.split()[:2] for line in maps if "[v" not in line):
            start, end = (int(x, 16) for x in area.split("-"))
            try:
                memory.seek(start)
                if "r" in rights and needle in memory.read(end - start):
                    return True
            except (OSError, ValueError):
                continue
    return False


def check_process():
    between = Between(reply=(200).to_bytes(4, "big") + bytes(200), waits=True)
    code = invite(CLIENT, "--to", f"127.0.0.1:{between.port}")[1]
    folder = gw.folder / "client-held"
    command = subprocess.Popen([SALLYPORT, "join", code, "--to", folder, "--initiator", CLIENT], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        asked = between.asked.wait(15)
        inner = list(processes.children(command.pid))
        told = processes.status(inner[0]) if inner else {}
        if "address" in BUILD.name or "thread" in BUILD.name:
            skip(AREA, "P3: who joins speaks TLS in a sandbox", "a build with sanitizers has none")
        else:
            check(AREA, "P3: who joins speaks TLS in a process with a system-call filter that can gain no rights",
                  asked and told.get("Seccomp") == "2" and told["NoNewPrivs"] == "1" and int(told["CapEff"], 16) == int(told["CapPrm"], 16) == 0, [inner, told])
        if os.geteuid() == 0 and inner:
            check(AREA, "P3: root's does it as another user", told["Uid"].split() == [str(pwd.getpwnam("sallyport-net").pw_uid)] * 4, told)
            letters = code.split("/")[1].encode()
            check(AREA, "P3: that process never had the code", holds(command.pid, letters) and not holds(inner[0], letters))
        if inner:
            os.kill(inner[0], signal.SIGKILL)
        said = command.communicate(timeout=15)[1]
        check(AREA, "when it dies, the command says so and has written nothing", command.returncode == 3 and "ended before its time" in said and left(folder) == [], said)
    finally:
        between.go.set()
        command.kill()
        command.wait()
        between.thread.join(20)


check_process()

# --- joining ------------------------------------------------------------------------------------------------------------------
done, code = invite()
gw.stop()
gw.start()
check(AREA, "an invitation outlives a restart of the gateway", states() == ["open"], listed())
wait_for(lambda: states() == ["open"])
done, folder = join(code.upper())
check(AREA, "a client joins", done.returncode == 0 and "Joined as " + CLIENT in done.stderr, done.stderr + gw.log()[-2000:])
check(AREA, "it has a key, certificates, secrets and what connect reads", left(folder) == ["ca.pem", "chap.txt", "client.key", "client.pem", "connect.yaml"], left(folder))
check(AREA, "P3: key and secrets are its owner's alone", all(stat.S_IMODE((folder / n).stat().st_mode) == 0o600 for n in ("client.key", "chap.txt")))
chap = dict(line.split("=", 1) for line in (folder / "chap.txt").read_text().splitlines())
check(AREA, "open-iscsi is told to offer what the policy takes by itself", chap["node.session.auth.chap_algs"] == "SHA3-256,SHA256", list(chap))
check(AREA, "the secrets are the store's", chap.get("node.session.auth.password") == SECRET and chap.get("node.session.auth.password_in") == MUTUAL, chap)
check(AREA, "what to do next is told, for its target", f"-T {TARGET}" in done.stdout and f"--config {folder}/connect.yaml" in done.stdout, done.stdout)
text = run("openssl", "x509", "-in", folder / "client.pem", "-noout", "-ext", "subjectAltName,extendedKeyUsage").stdout
check(AREA, "its certificate is its initiator's, for clients", f"URI:iscsi:{CLIENT}" in text and "Client Authentication" in text and "Server" not in text, text)
verified = run("openssl", "verify", "-crl_check", "-purpose", "sslclient", "-CAfile", folder / "ca.pem", "-CRLfile", gw.state / "ca" / "crl.pem", folder / "client.pem")
check(AREA, "OpenSSL's own command verifies it", verified.returncode == 0, verified.stderr)
row = listed()["issued"]
check(AREA, "ca list has it, and the invitation is used", len(row) == 1 and row[0]["initiator"] == CLIENT and row[0]["state"] == "good" and states() == ["used"], listed())
check("audit", "that it joined is in the audit log, with its certificate", any(e.get("reason") == "client-joined" and row[0]["serial"] in e.get("detail", "") for e in gw.audit("--op", "operator")), gw.audit("--op", "operator"))
check("audit", "P3: no secret is", SECRET not in str(gw.audit()))


class Joined(Initiator):
    def __init__(self, folder, **options):
        super().__init__(gw.port, **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(folder / "ca.pem")
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
        context.set_alpn_protocols(["iscsi"])
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


with Joined(folder) as i:
    i.login(secret=chap["node.session.auth.password"], mutual=chap["node.session.auth.password_in"])
    check(AREA, "with what came it logs in", i.nop() == b"ping", gw.log()[-2000:])
    i.logout()
try:
    with Joined(folder, name=OTHER) as i:
        i.login(user="bob", secret="secret-of-bob", mutual="secret-of-gw-for-bob")
        status = None
except Refused as e:
    status = e.status
check(AREA, "another initiator's secrets don't go with it", status == 0x0201 and refused("certificate-is-of-another-name"), [status, gw.audit("--op", "refusal")[-2:]])

# --- through connect --------------------------------------------------------------------------------------------------------
tunnel = subprocess.Popen([SALLYPORT, "connect", "--config", folder / "connect.yaml"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
try:
    listens = any("listening" in line for line in iter(tunnel.stderr.readline, ""))
    with Initiator(3260) as i:
        i.login(secret=SECRET, mutual=MUTUAL)
        check(AREA, "what was written is what sallyport connect takes: an initiator without TLS logs in through it", listens and i.nop() == b"ping", gw.log()[-2000:])
        i.logout()
finally:
    tunnel.kill()
    tunnel.wait()

# --- codes that were good -------------------------------------------------------------------------------------------------------
before = {n: (folder / n).read_bytes() for n in left(folder)}
done = run(SALLYPORT, "join", code, "--to", folder, "--initiator", CLIENT)
check(AREA, "a folder of one who joined is not written over", done.returncode == 3 and "--force" in done.stderr and {n: (folder / n).read_bytes() for n in left(folder)} == before, done.stderr)
done, second = invite(OTHER)
done, nowhere = join(code)
check(AREA, "a code is good once", done.returncode == 3 and left(nowhere) == [] and refused("join-code-used"), done.stderr)
done, brief = invite(CLIENT, "--for", "1s")
check(AREA, "a code's time ends", done.returncode == 0 and wait_for(lambda: "expired" in states()), listed())
done, nowhere = join(brief)
check(AREA, "then it is good for nothing", done.returncode == 3 and left(nowhere) == [] and refused("join-code-expired"), done.stderr)
strong = gw.policy.read_text()
gw.policy.write_text(strong + "auth: {algorithms: [md5]}\n")
check(AREA, "a policy that knows nothing but md5 is taken up", gw.reload().returncode == 0, gw.log()[-1000:])
done, folder_2 = join(second, name=OTHER)
check(AREA, "another client's code is good all the while", done.returncode == 0 and len(listed()["issued"]) == 2, done.stderr)
check(AREA, "open-iscsi is told to offer what is weak where nothing else is taken", "node.session.auth.chap_algs=MD5\n" in (folder_2 / "chap.txt").read_text())
gw.policy.write_text(strong)
check(AREA, "and the policy from before is taken up again", gw.reload().returncode == 0, gw.log()[-1000:])
try:
    with offered() as s:
        s.recv(1)
        taken = s.selected_alpn_protocol()
except OSError:
    taken = None
check(AREA, "P1: when the last is used, nobody is heard any more", wait_for(lambda: len([e for e in gw.audit("--op", "refusal") if e.get("reason") == "tls-alpn"]) > 1) and taken is None)

# --- a gateway that hears of it late ------------------------------------------------------------------------------------------
os.kill(gw.process.pid, signal.SIGSTOP)
try:
    late = subprocess.Popen([SALLYPORT, "ca", "invite", CLIENT, gw.policy, "--to", f"127.0.0.1:{gw.port}", "--for", "1s", "--state", gw.state],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    over = wait_for(lambda: states() and "open" not in states() and states().count("expired") == 2)
finally:
    os.kill(gw.process.pid, signal.SIGCONT)
said = late.communicate(timeout=30)[1]
check(AREA, "an invitation that is over when the gateway hears of it is no reason to wait", over and late.returncode == 0 and "has taken it up" in said, [over, said])
done, code = invite()
check(AREA, "and the next is taken up", done.returncode == 0 and "has taken it up" in done.stderr, done.stderr)

# --- revoking -------------------------------------------------------------------------------------------------------------------
with Joined(folder) as i, Joined(folder_2, name=OTHER) as stays:
    i.login(secret=SECRET, mutual=MUTUAL)
    stays.login(user="bob", secret="secret-of-bob", mutual="secret-of-gw-for-bob")
    done = gw.command("ca", "revoke", CLIENT)
    check(AREA, "revoke tells the running gateway", done.returncode == 0 and "has taken it up" in done.stderr, done.stderr)
    check(AREA, "the session with that certificate ends", wait_for(lambda: CLIENT not in [s["initiator"] for s in gw.sessions()]), gw.sessions())
    check("audit", "because it was revoked: the audit log says so", wait_for(lambda: any(e.get("reason") == "tls-revoked" for e in gw.audit("--op", "logout"))), gw.audit("--op", "logout"))
    check(AREA, "P7: another client's goes on", stays.nop() == b"ping", gw.log()[-2000:])
    stays.logout()
try:
    with Joined(folder) as i:
        i.login(secret=SECRET, mutual=MUTUAL)
        status = "logged in"
except (OSError, Refused):
    status = "refused"
check(AREA, "and it does not come in again", status == "refused" and refused("tls-revoked"), gw.audit("--op", "refusal")[-2:])
done, again = invite()
check(AREA, "revoke withdraws what is open, too", "withdrawn: 1 invitation" in gw.command("ca", "revoke", CLIENT).stderr and "open" not in states(), listed())
crl = pathlib.Path(gw.state) / "ca" / "crl.pem"
crl.rename(crl.with_suffix(".away"))
done = gw.reload()
check(AREA, "P1: without the CA's list of what was revoked no policy is taken up", done.returncode != 0 and "crl.pem" in done.stderr, done.stderr)
crl.with_suffix(".away").rename(crl)
check(AREA, "with it it is", gw.reload().returncode == 0)
check(AREA, "P4: nothing of all this ended a helper", gw.helper_deaths() == 0, gw.log()[-2000:])
gw.close()
finish()
