#!/usr/bin/env python3
"""TLS portals from outside: `openssl s_client` in every suite and version, an initiator over Python's ssl, everything
that may be wrong with a client, and what becomes of live sessions when certificates change."""
import json, os, pathlib, re, socket, ssl, struct, time
import processes
from harness import *
from initiator import *
from pki import CA, fingerprint, openssl

AREA = "tls"
BOB = CLIENT + "-bob"
source = "127.0.1.1"
ca, stranger = CA(), CA("stranger")
SERVER = ca.server()
ALICE = ca.client(CLIENT, "alice")
POLICY_TLS = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: tls, certificate: {cert}, key: {key}, client_ca: {ca}{crl}{old}}}
  plain: {{listen: ["127.0.0.1:{port2}"], transport: plain}}
disks:
  vault: {{memory: 64MiB}}
targets:
  {target}:
    portals: [here, plain]
    luns: {{0: vault}}
    initiators:
      {client}: {{chap: {{user: alice, mutual: gw-for-alice}}{pin}}}
      {client}-bob: {{chap: {{user: bob, mutual: gw-for-bob}}}}
gateway: {{login_timeout: 2s}}
"""


def context(certificate=ALICE, version=ssl.TLSVersion.TLSv1_3, alpn=("iscsi",), ciphers=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(ca.pem)
    c.minimum_version = ssl.TLSVersion.TLSv1
    c.maximum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        c.set_ciphers("ALL:@SECLEVEL=0")
    if certificate:
        c.load_cert_chain(*certificate)
    if alpn:
        c.set_alpn_protocols(list(alpn))
    return c


class Over(Initiator):
    """An initiator whose socket is TLS."""

    def __init__(self, how=None, **more):
        super().__init__(gw.port, **{"source": source, **more})
        self.socket = (how or context()).wrap_socket(self.socket, server_hostname="localhost", suppress_ragged_eofs=False)

    def exactly(self, n):
        try:
            return super().exactly(n)
        except ssl.SSLError as error:
            raise Gone from error


def s_client(*words, port=None, certificate=ALICE, seconds=20):
    """What `openssl s_client` says; its end of input is its end."""
    with_it = ("-cert", certificate[0], "-key", certificate[1]) if certificate else ()
    done = run("timeout", seconds, "openssl", "s_client", "-connect", f"127.0.0.1:{port or gw.port}", "-CAfile", ca.pem,
               "-bind", f"{source}:0", "-verify_return_error", "-servername", "localhost", *with_it, *words, stdin="")
    return done.stdout + done.stderr


def reasons():
    return [m for r in gw.audit() for m in re.findall(r'"(tls-[a-z-]+|certificate-is-[a-z-]+)"', json.dumps(r))]


def attempt(certificate=ALICE, **more):
    """A login that should not come to anything; the alert or the end of it."""
    try:
        with Over(context(certificate, **more)) as i:
            i.socket.settimeout(20)
            i.login()
            return "logged in"
    except ssl.SSLError as error:
        return error.reason or str(error)
    except Gone as error:
        return getattr(error.__cause__, "reason", None) or "gone"
    except Refused as error:
        return f"{error.status:#06x}"
    except OSError as error:
        return type(error).__name__


def refused(sentence, reason, *does, **more):
    """One more record of just this reason, and what the peer saw. Each from an address of its own: refusals of one are
    counted, from the twenty-first in a minute on."""
    global source
    source = f"127.0.1.{int(source.split('.')[3]) + 1}"
    before = reasons().count(reason)
    seen = does[0]() if does else attempt(**more)
    fine = wait_for(lambda: reasons().count(reason) == before + 1, 10)
    check(AREA, f"{sentence}: {reason}", fine and seen != "logged in", (seen, reasons()[-5:], gw.log()[-2000:]))
    return seen


def raw(octets, ends=False):
    """Sends octets, and perhaps the end; waits until the gateway closes."""
    with socket.create_connection(("127.0.0.1", gw.port), 20, (source, 0)) as s:
        s.sendall(octets)
        if ends:  # once a process has it: before, it costs nothing, and nothing is told
            wait_for(lambda: processes.sessions(gw))
            s.shutdown(socket.SHUT_WR)
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
    return "closed"


def unread(s):
    """Octets that this connection's other end has not read."""
    here, there = (f"{a[1]:04X}" for a in (s.getpeername(), s.getsockname()))
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return [int(r[4].split(":")[1], 16) for r in rows[1:] if r[1].endswith(":" + here) and r[2].endswith(":" + there)]


def one_by_one(octets, port):
    with socket.create_connection(("127.0.0.1", port), 20, (source, 0)) as s:
        s.sendall(octets[:1])
        wait_for(lambda: processes.sessions(gw) and unread(s) == [0])
        s.sendall(octets[1:])
        try:
            return s.recv(1) or "closed"
        except ConnectionResetError:
            return "closed"


def memory(pid):
    """All that a process may write, or has read into memory of its own."""
    out = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights, _, _, _, *name = line.split()
            if "r" in rights and name != ["[vvar]"] and name != ["[vsyscall]"]:
                first, last = (int(n, 16) for n in span.split("-"))
                try:
                    mem.seek(first)
                    out.append(mem.read(last - first))
                except (OSError, OverflowError, ValueError):
                    pass
    return b"".join(out)


def halves(key):
    """The private and the public half of a P-256 key, as octets."""
    told = re.findall(r"(?:priv|pub):\n((?:    [0-9a-f:]+\n)+)", openssl("pkey", "-in", key, "-noout", "-text"))
    private, public = (bytes.fromhex(re.sub(r"[^0-9a-f]", "", part)) for part in told)
    return private[-32:], public


def alice_is_in():
    with Over() as i:
        return i.login().ready()[0] == 0


gw = Gateway(policy=POLICY_TLS, port2=free_port(), cert=SERVER[0], key=SERVER[1], ca=ca.pem, crl="", old="", pin="")
gw.secret("bob", "secret-of-bob-01234")
gw.secret("gw-for-bob", "secret-for-bob-01234")
gw.start()

# --- versions, suites, groups -----------------------------------------------------------------------------------------
for suite in ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"):
    out = s_client("-tls1_3", "-ciphersuites", suite, "-alpn", "iscsi")
    check(AREA, f"openssl s_client: TLS 1.3 with {suite}", f"Cipher is {suite}" in out and "ALPN protocol: iscsi" in out
          and "Verify return code: 0" in out, out)
for group, word in (("X25519", "X25519"), ("P-256", "ECDH, prime256v1"), ("P-384", "ECDH, secp384r1")):
    out = s_client("-tls1_3", "-groups", group)
    check(AREA, f"openssl s_client: group {group}", f"Server Temp Key: {word}" in out and "Verify return code: 0" in out, out)
out = s_client("-tls1_3")
check(AREA, "no ticket is given", "New Session Ticket" not in out, out)
for version in ("tls1", "tls1_1", "tls1_2"):
    out = refused(f"openssl s_client: {version} is refused", "tls-version",
                  lambda: s_client(f"-{version}", "-cipher", "ALL:@SECLEVEL=0"))
    check(AREA, f"… and is told so ({version})", "alert protocol version" in out, out)
refused("a suite with a short tag", "tls-no-common-cipher", lambda: s_client("-ciphersuites", "TLS_AES_128_CCM_8_SHA256"))
refused("no group of ours", "tls-no-common-group", lambda: s_client("-groups", "P-521"))

# --- an initiator -----------------------------------------------------------------------------------------------------
data = os.urandom(4 << 20)
with Over() as i:
    i.login()
    written = [i.write(at * 2048, data[at << 20:(at + 1) << 20])[0] for at in range(4)]
    check(AREA, "an initiator logs in over TLS and writes 4 MiB", written == [0] * 4, written)
    check(AREA, "… and reads them back", b"".join(i.read(at * 2048, 2048)[1] for at in range(4)) == data)
    tags = [i.command(read16(k * 8, 8), read=4096) for k in range(32)]
    got = {}
    while len(got) < 32:
        pdu = i.receive()
        if pdu.opcode == DATA_IN:
            got[pdu.itt] = pdu.data
    check(AREA, "32 reads at once", [got[t] for t in tags] == [data[k << 12:(k + 1) << 12] for k in range(32)])
    for k in range(48):  # a command that comes octet by octet, a record each
        head = i.frame(COMMAND, 0xc1, lun=0, itt=9000, fields=struct.pack(">III", 512, i.cmdsn, i.expstatsn) + read16(0, 1))
        i.raw(head[k:k + 1])
    i.cmdsn += 1
    check(AREA, "a command in 48 records of an octet", i.answer(9000)[1] == data[:512])
    pid = processes.sessions(gw)[0]
    sentence = "P3: in the memory of a session there is its certificate, and neither its key nor a CHAP secret"
    if os.geteuid() == 0:
        private, public = halves(SERVER[1])
        dump = memory(pid)
        hidden = [private, private[::-1], SECRET.encode(), MUTUAL.encode()]
        check(AREA, sentence, public in dump and not [h for h in hidden if h in dump], [h in dump for h in [public, *hidden]])
        words = processes.octets(pid, "VmRSS") >> 10, processes.own_octets(pid) >> 10
        evidence(f"a session with TLS: {words[0]} KiB resident, {words[1]} KiB of its own")
    else:
        skip(AREA, sentence, "root alone may look")
    told = json.dumps(gw.sessions())
    check(AREA, "`sessions --json` has what the connection is protected by, and by whom",
          "TLS_AES_256_GCM_SHA384" in told and fingerprint(ALICE[0])[7:] in told, told)

# --- who is refused ---------------------------------------------------------------------------------------------------
answers = {}
for sentence, reason, certificate in (
        ("of another CA", "tls-unknown-ca", stranger.client(CLIENT, "strange")),
        ("expired", "tls-expired", ca.client(CLIENT, "old", begins="20200101000000Z", ends="20210101000000Z")),
        ("not yet valid", "tls-not-yet-valid", ca.client(CLIENT, "young", begins="20400101000000Z", ends="20410101000000Z")),
        ("for servers", "tls-wrong-purpose", ca.issue("wrong", f"URI:iscsi:{CLIENT}", usage="serverAuth"))):
    answers[sentence] = refused(f"a certificate that is {sentence}", reason, certificate=certificate)
check(AREA, "a bad certificate has one answer on the wire, whatever is wrong with it", len(set(answers.values())) == 1, answers)
refused("no certificate", "tls-no-certificate", certificate=None)
refused("bob's certificate with alice's name and secret", "certificate-is-of-another-name", certificate=ca.client(BOB, "bob"))
refused("a certificate of nobody", "certificate-is-of-another-name", certificate=ca.issue("nobody", "DNS:x", usage="clientAuth"))
refused("other protocols", "tls-alpn", alpn=("h2", "http/1.1"))
refused("joining, while no invitation is open", "tls-alpn", alpn=("sallyport-join/1",))
check(AREA, "no ALPN is taken", attempt(alpn=()) == "logged in")

# --- what is no TLS ---------------------------------------------------------------------------------------------------
refused("a plain login", "tls-plain-on-a-tls-port", lambda: raw(b"\x43\x87" + bytes(46)))
refused("HTTP", "tls-plain-on-a-tls-port", lambda: raw(b"GET / HTTP/1.1\r\n\r\n"))
refused("garbage", "tls-garbage", lambda: raw(b"\xff" * 100))
refused("a broken hello", "tls-garbage", lambda: raw(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"))
refused("half a hello and the end", "tls-truncated", lambda: raw(b"\x16\x03\x01\x00\x40\x01", ends=True))
refused("half a hello and nothing more, within the login's time", "tls-timeout", lambda: raw(b"\x16\x03\x01\x00\x40\x01"))
refused("TLS on a plain port", "tls-on-a-plain-port", lambda: s_client(port=gw.values["port2"]))
refused("… whose first octets come one by one", "tls-on-a-plain-port", lambda: one_by_one(b"\x16\x03\x01", gw.values["port2"]))


def alert():
    """A client that trusts another CA says so."""
    c = context()
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(stranger.pem)
    try:
        with Over(c):
            return "logged in"
    except ssl.SSLError as error:
        return error.reason


refused("a client that does not take our certificate", "tls-alert", alert)


def cut():
    i = Over()
    i.challenged()
    with open("/dev/null") as nothing:
        os.dup2(nothing.fileno(), i.socket.fileno())  # closed below the TLS layer
    i.socket.detach()
    return "cut"


refused("a login that is cut without close_notify", "tls-truncated", cut)
check(AREA, "alice still gets in after all this", alice_is_in())

# --- more at once than there is room for ------------------------------------------------------------------------------
begun = []
for k in range(100):
    begun.append(socket.create_connection(("127.0.0.1", gw.port), 20, (f"127.0.2.{k + 1}", 0)))
    begun[-1].sendall(b"\x16\x03\x01\x00\x40\x01")
counts = []
over = wait_for(lambda: counts.append(len(processes.sessions(gw))) or max(counts) and not counts[-1])
check(AREA, "P6: half handshakes take the slots of logins, 64, and no more", over and max(counts) <= 64, counts)
check(AREA, "P6: when their time is over, there is room again", wait_for(lambda: attempt() == "logged in"), gw.log()[-2000:])
for one in begun:
    one.close()

# --- live sessions and certificates that change -----------------------------------------------------------------------
with Over() as one:
    one.login()
    new = ca.server(name="newer", algorithm="P-384")
    done = gw.reload(cert=new[0], key=new[1])
    check(AREA, "P7: another certificate of ours is taken up, and nobody's session ends",
          done.returncode == 0 and one.ready()[0] == 0, done.stderr)
    with Over() as two:
        check(AREA, "… and who comes next is shown it", b"newer" in two.socket.getpeercert(True) and two.login().ready()[0] == 0)
    bob = ca.client(BOB, "bob2")
    ca.revoke(bob[0])
    done = gw.reload(crl=f", crl: [{ca.crl()}]")
    check(AREA, "P7: a CRL that has not alice's certificate leaves her session", done.returncode == 0 and one.ready()[0] == 0,
          done.stderr)
    refused("a revoked certificate", "tls-revoked", certificate=bob)
    ca.revoke(ALICE[0])
    ca.crl()
    before = reasons().count("tls-revoked")
    done = gw.reload()
    check(AREA, "a certificate that is revoked ends its live session", done.returncode == 0 and one.ended() and
          wait_for(lambda: reasons().count("tls-revoked") > before), (done.stderr, reasons(), gw.log()[-2000:]))
ALICE = ca.client(CLIENT, "alice2")
with Over(context(ALICE)) as one:
    one.login()
    done = gw.reload(pin=f", certificate: {fingerprint(ALICE[0])}")
    check(AREA, "P7: a pin that fits leaves the session", done.returncode == 0 and one.ready()[0] == 0, done.stderr)
    refused("a certificate of alice's that is not the pinned one", "certificate-is-not-the-pinned-one",
            certificate=ca.client(CLIENT, "alice3"))
    done = gw.reload(pin=f", certificate: {fingerprint(ca.client(CLIENT, 'alice4')[0])}")
    check(AREA, "a pin that does not fit any more ends the session", done.returncode == 0 and one.ended(), done.stderr)
gw.reload(pin="")
ends = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 6))
short = ca.client(CLIENT, "short", ends=ends)
with Over(context(short)) as one:
    one.login()
    one.socket.settimeout(60)
    check(AREA, "a session ends when its certificate does", one.ready()[0] == 0 and one.ended() and
          wait_for(lambda: "tls-expired" in reasons()[-3:]), reasons()[-5:])

# --- TLS 1.2 for old tunnels ------------------------------------------------------------------------------------------
done = gw.reload(old=", allow_tls12: true")
check(AREA, "allow_tls12 is taken up", done.returncode == 0, done.stderr)
for suite in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
    out = s_client("-tls1_2", "-cipher", suite, certificate=ALICE)
    check(AREA, f"openssl s_client: TLS 1.2 with {suite}", f"Cipher is {suite}" in out and "Verify return code: 0" in out, out)
for suite in ("ECDHE-ECDSA-AES256-SHA384", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-CCM"):
    refused(f"TLS 1.2 with {suite}", "tls-no-common-cipher", lambda: s_client("-tls1_2", "-cipher", suite, certificate=ALICE))
refused("TLS 1.1 beside it", "tls-version", lambda: s_client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0", certificate=ALICE))
refused("a client that was made to fall back", "tls-version", lambda: s_client("-tls1_2", "-fallback_scsv", certificate=ALICE))
with Over(context(ALICE, version=ssl.TLSVersion.TLSv1_2)) as i:
    check(AREA, "an initiator over TLS 1.2", i.login().write(0, data[:1 << 20])[0] == 0 and i.read(0, 2048)[1] == data[:1 << 20]
          and i.socket.version() == "TLSv1.2")

check(AREA, "no process was ended by its sandbox", gw.helper_deaths() == 0 and "signal" not in gw.log(), gw.log()[-3000:])
check(AREA, "the gateway stops cleanly", gw.stop() == 0)
finish()
