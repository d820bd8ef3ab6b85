#!/usr/bin/env python3
"""Handshakes without end from one address, and a gateway whose key is away or wrong: each has its bound and its reason."""
import base64, os, signal, subprocess, threading

from harness import *
from initiator import *
import pki, processes
from tls_initiator import TlsInitiator

AREA = "tls"
GATE, GOOD, FLOOD, SLOW, GUESS = "10.9.0.1", "10.9.0.7", "10.9.0.8", "10.9.0.9", "10.9.0.10"
POLICY = """\
version: 1
portals:
  wan: {{listen: ["{gate}:{port}"], transport: tls, certificate: gw.pem, key: gw.key, client_ca: clients.pem}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [10.9.0.0/24]
        chap: {{user: alice, mutual: gw-for-alice}}
gateway: {{login_timeout: {patience}}}
"""
if os.geteuid() or any(run("ip", "addr", "add", a + "/32", "dev", "lo").returncode for a in (GATE, GOOD, FLOOD, SLOW, GUESS)):
    skip(AREA, "a flood of handshakes from one address", "this user may not add addresses, and loopback's are never banned")
    finish()
    raise SystemExit
ca = pki.CA()
alice = ca.client(CLIENT, "alice")
gw = Gateway(policy=POLICY, gate=GATE, patience="10s")
for source, name in zip((*ca.server(), ca.pem), ("gw.pem", "gw.key", "clients.pem")):
    (gw.folder / name).write_bytes(source.read_bytes())
    (gw.folder / name).chmod(0o600)
gw.start()


def shake(source, identity=alice, timeout=20):
    """A whole handshake: the session's end of it is over when it answers, or closes."""
    return TlsInitiator(gw.port, ca, identity, host=GATE, source=(source, 0), timeout=timeout)


def enters(source=GOOD):
    with shake(source) as i:
        i.login()
        return i.read(0, 1)[0] == 0


def fails(source, identity=alice, timeout=20):
    """Whether it was kept from shaking hands at all; what the gateway makes of a certificate comes after."""
    try:
        with shake(source, identity, timeout) as i:
            i.socket.recv(1)
    except TimeoutError:
        return "no answer"
    except (Gone, OSError):
        return "refused"
    return "closed"


def told(reason, source=None):
    gw.command("audit", "flush")
    return [r for r in gw.audit() if r.get("reason") == reason and source in (None, r.get("peer_ip"))]


def banned(source):
    return any(b["source"] == source for b in json.loads(gw.command("bans", "--json").stdout)["bans"])


check(AREA, "the good one enters", enters())
# --- 1000 handshakes from one address -----------------------------------------------------------------------------------------------
def flood(source, ends, count=1000):
    """How many whole handshakes one address comes to, of so many, before it is kept out."""
    for done in range(count):
        try:
            with shake(source, timeout=2) as i:
                ends(i.socket)
        except (Gone, OSError):
            return done
    return count


cut = flood(FLOOD, lambda s: s.close())
check(AREA, "P6: of 1000 handshakes a minute that are left without a word, the address that makes them is banned", cut < 20 and wait_for(lambda: banned(FLOOD)), (cut, gw.log()))
check("audit", "… and each has its reason", 1 <= len(told("tls-truncated", FLOOD)) <= cut + 1, gw.audit("--denied"))
# Those that end in order are no guesses; from other machines, the firewall lets through as many as of all that connect.
in_order = flood(SLOW, lambda s: s.unwrap().close(), 50)
check(AREA, "those that end in order are no guesses, and leave nothing behind", in_order == 50 and wait_for(lambda: not processes.sessions(gw)), in_order)
check(AREA, "the good one enters meanwhile", enters())


# --- a signature that is wrong --------------------------------------------------------------------------------------------------------
def forged(identity, other):
    """The certificate with a key whose public half is its own, and whose private one is another's."""
    ours, theirs = (subprocess.run(["openssl", "ec", "-in", i[1], "-outform", "DER"], capture_output=True, check=True).stdout for i in (identity, other))
    assert ours[:7] == theirs[:7]  # SEQUENCE, version 1, an OCTET STRING of 32 octets: RFC 5915
    path = gw.folder / "forged.key"
    path.write_bytes(b"-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(ours[:7] + theirs[7:39] + ours[39:]) + b"-----END EC PRIVATE KEY-----\n")
    return identity[0], path


check(AREA, "P1: a certificate whose key the client does not have is refused", fails(GUESS, forged(alice, ca.client(CLIENT, "again"))) != "closed", gw.log())
check("audit", "… and is tls-bad-signature", wait_for(lambda: told("tls-bad-signature", GUESS)), gw.audit("--denied"))

# --- a key that is away ---------------------------------------------------------------------------------------------------------------
gw.reload(patience="2s")
for how in ("does not answer", "dies"):
    pid, before = gw.helper_pid("authenticator"), len(told("tls-key-away", GOOD))
    os.kill(pid, signal.SIGSTOP)
    try:
        got = []
        one = threading.Thread(target=lambda: got.append(fails(GOOD)))
        one.start()
        if how == "dies":
            wait_for(lambda: processes.sessions(gw))
            os.kill(pid, signal.SIGKILL)
        one.join(30)
    finally:
        if how != "dies":
            os.kill(pid, signal.SIGCONT)
    check(AREA, f"P4: an authenticator that {how} in the midst of a handshake ends that one", got == ["refused"], (got, gw.log()))
    check("audit", "… as tls-key-away", wait_for(lambda: len(told("tls-key-away", GOOD)) > before), gw.audit("--denied"))
    check(AREA, "… which costs the client nothing", wait_for(gw.is_well) and not banned(GOOD) and wait_for(enters), gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
