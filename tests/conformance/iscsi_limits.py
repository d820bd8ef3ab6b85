#!/usr/bin/env python3
"""What a target's policy says of negotiation, digests and redirection is what an initiator meets; silence has its end."""
import signal, time
from harness import *
from initiator import *

AREA = "iscsi"
GW = "iqn.2026-11.net.example.gw:"
ALICE = "initiators: {{{client}: {{chap: {{user: alice, mutual: gw-for-alice, algorithms: [sha256, md5]}}}}}}"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}", "[::1]:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB, writers: cluster}}
  second: {{memory: 16MiB, writers: cluster}}
targets:
  {target}: {{portals: [here], luns: {{0: vault}}, ALICE}}
  GW:tight:
    portals: [here]
    luns: {{0: vault}}
    first_burst: 1KiB
    max_burst: 4KiB
    max_r2t: 2
    immediate_data: false
    initial_r2t: true
    queue_depth: 5
    max_connections: 3
    error_recovery: 1
    ALICE
  GW:checked: {{portals: [here], luns: {{0: vault}}, digests: required, ALICE}}
  GW:moved: {{portals: [here], luns: {{0: vault}}, redirect: "[2001:db8::7]:3261", digests: required, ALICE}}
  GW:of-bob:
    portals: [here]
    luns: {{0: second}}
    initiators: {{{client}-bob: {{chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}}}}}
gateway: {{ping: {{every: 1s, misses: 2}}, grace: 1s}}
""".replace("ALICE", ALICE).replace("GW:", GW)
gw = Gateway(policy=POLICY)
gw.secret("bob", "secret-of-bob-01234")
gw.secret("gw-for-bob", "secret-for-bob-01234")
notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
notified.bind(str(gw.folder / "notify"))
os.environ["NOTIFY_SOCKET"] = str(gw.folder / "notify")
gw.start()

# --- negotiation ------------------------------------------------------------------------------------------------------
LARGE = dict(InitialR2T="No", ImmediateData="Yes", MaxBurstLength="16776192", FirstBurstLength="16776192",
             MaxOutstandingR2T="65535", MaxConnections="65535", ErrorRecoveryLevel="2")
KEYS = ("FirstBurstLength", "MaxBurstLength", "MaxOutstandingR2T", "InitialR2T", "ImmediateData", "MaxConnections",
        "ErrorRecoveryLevel")


def negotiated(target):
    with Initiator(gw.port) as i:
        i.login(target=target, more=LARGE)
        nop = i.nop() and i.maxcmdsn - i.cmdsn + 1
        data = os.urandom(65536)
        task = i.command(write16(8, 128), write=data, immediate_data=i.keys["ImmediateData"] == "Yes")
        fine = i.answer(task, data) == (0, b"") and i.read(8, 128) == (0, data)
        return [i.keys[key] for key in KEYS], nop, fine


got = negotiated(TARGET)
check(AREA, "13 a target without keys offers the defaults of the policy", got == (
    ["262144", "4194304", "16", "No", "Yes", "1", "0"], 64, True), got)
got = negotiated(GW + "tight")
check(AREA, "13 a target's keys bound every negotiated value, and its queue depth the window", got[:2] == (
    ["Irrelevant", "4096", "1", "Yes", "No", "3", "1"], 5), got)  # 13.14; 13.19
check(AREA, "13 writes and reads keep to bursts of 4096 octets", got[2], got)



def version(more):
    """Standard INQUIRY's version descriptor of iSCSI: 0960h and the level."""
    with Initiator(gw.port) as i:
        i.login(more=more)
        status, data = i.run(bytes([0x12, 0, 0, 0, 96, 0]), read=96)
        return status, int.from_bytes(data[60:62], "big")


got = [version(more) for more in ({}, {"iSCSIProtocolLevel": "1"}, {"iSCSIProtocolLevel": "2"})]
check(AREA, "RFC 7144 4.2 INQUIRY tells the protocol level of the session", got == [(0, 0x961), (0, 0x961), (0, 0x962)], got)

# --- digests ------------------------------------------------------------------------------------------------------------
CRC, NONE = dict(HeaderDigest="CRC32C", DataDigest="CRC32C"), dict(HeaderDigest="None", DataDigest="None")


def status(login):
    with Initiator(gw.port) as i:
        try:
            return login(i)
        except Refused as refused:
            return refused.status
        except Gone:
            return "closed"


def both_ways(i):
    data = os.urandom(8192)
    return i.header_digest and i.data_digest and i.write(0, data) == (0, b"") and i.read(0, 16) == (0, data)


def unasked(i):
    """No word of digests: the gateway asks for them."""
    i.prove(i.challenged(GW + "checked"))
    asked = i.step({"MaxRecvDataSegmentLength": "65536"}, csg=1, nsg=3, transit=True)
    agreed = i.step(CRC, csg=1, nsg=3, transit=True)
    i.header_digest = i.data_digest = True
    i.hear()
    return {k: asked.get(k) for k in CRC} == CRC and not set(CRC) & set(agreed) and both_ways(i)


check(AREA, "13.1 required digests: CRC32C over both is agreed to and used",
      status(lambda i: both_ways(i.login(target=GW + "checked", more=CRC))) is True, gw.log())
check(AREA, "13.1 required digests: None first in the list, CRC32C is taken",
      status(lambda i: both_ways(i.login(target=GW + "checked", more=dict.fromkeys(CRC, "None,CRC32C")))) is True, gw.log())
check(AREA, "13.1 required digests: they are offered to an initiator that does not", status(unasked) is True, gw.log())
for more in (NONE, {**CRC, "DataDigest": "None"}, {**CRC, "HeaderDigest": "None"}):
    got = status(lambda i: i.login(target=GW + "checked", more=more))
    check(AREA, f"13.1 required digests: {' and '.join(more.values())} is refused with 0200h", got == 0x0200, (got, gw.log()))
check(AREA, "13.1 digests that are offered only: None is agreed to", status(lambda i: i.login(more=NONE).ready()[0]) == 0, gw.log())
check(AREA, "13.1 a discovery session needs none", status(lambda i: i.login(target=None).nop()) == b"ping", gw.log())

# --- redirection ----------------------------------------------------------------------------------------------------------
AWAY = b"TargetAddress=[2001:db8::7]:3261\0"


def answer(login, **options):
    with Initiator(gw.port, **options) as i:
        try:
            login(i)
        except Refused as refused:
            return refused.status, refused.octets[48:]
        except Gone:
            return "closed", b""
        return 0, b""


def proven_first(i):
    """prove() has checked the gateway's own proof, before a word of another address."""
    i.prove(i.challenged(GW + "moved"))
    assert "TargetAddress" not in i.keys
    i.operate(GW + "moved")


got = answer(proven_first)
check(AREA, "11.13.5 a moved target: 0101h and TargetAddress, after both have proved who they are", got == (0x0101, AWAY), (got, gw.log()))


def straight(i):
    """From the security stage into full feature, without an operational one."""
    challenge = i.challenged(GW + "moved")
    i.step = lambda pairs, transit: Initiator.step(i, pairs, nsg=3, transit=transit)
    i.prove(challenge)


got = answer(straight)
check(AREA, "11.13.5 the same for one that skips the operational stage", got == (0x0101, AWAY), (got, gw.log()))
for sentence, want, login, name in (
        ("a wrong secret", 0x0201, lambda i: i.login(secret="wrong-secret-012345", target=GW + "moved"), CLIENT),
        ("somebody whom it does not name", 0x0203, lambda i: i.login("bob", "secret-of-bob-01234", "secret-for-bob-01234",
                                                                    GW + "moved", "5"), CLIENT + "-bob"),
        ("no CHAP", 0x0201, lambda i: i.step({**i.names(GW + "moved"), "AuthMethod": "None"}), CLIENT)):
    got = answer(login, name=name)
    check(AREA, f"P1: a moved target tells {sentence} nothing of where to", got == (want, b""), (got, gw.log()))
found = wait_for(lambda: [e for e in gw.audit("--denied") if e.get("reason") == "redirected"])
check("audit", "a redirection is in the trail", found, gw.audit()[-5:])
entered = [e for e in gw.audit("--op", "login") if e.get("target") == GW + "moved"]
check(AREA, "nobody has entered the moved target", not entered and len(gw.audit("--op", "login")) > 3, entered)

# --- silence ----------------------------------------------------------------------------------------------------------------
with Initiator(gw.port) as i:
    i.login()
    start = time.monotonic()
    pdu = i.expect(NOP_IN)
    first, asked = time.monotonic() - start, 1
    check(AREA, "a silent initiator is asked with a NOP-In after ping.every", first > 0.7 and pdu.ttt != 0xffffffff, first)
    try:
        while i.expect(NOP_IN):
            asked += 1
    except (Gone, TimeoutError) as end:
        ended = isinstance(end, Gone)
    took = time.monotonic() - start
    check(AREA, "ping.misses without an answer end the session", ended and asked == 2 and took > 2.5, (ended, asked, took))
found = wait_for(lambda: [e for e in gw.audit("--op", "logout") if e.get("reason") == "silent"])
check("audit", "the trail says that it was silent", found, gw.audit()[-3:])


def socket_options(pid):
    """(idle, interval, count, user timeout) of the session's connection, which it was given as descriptor 4."""
    libc, options = ctypes.CDLL(None, use_errno=True), (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, 18)
    pidfd = libc.syscall(434, pid, 0)
    fd = libc.syscall(438, pidfd, 4, 0)
    os.close(pidfd)
    if fd < 0:
        return None
    with socket.socket(fileno=fd) as s:
        return s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *(s.getsockopt(socket.IPPROTO_TCP, o) for o in options)


with Initiator(gw.port) as i:
    i.login()
    got = socket_options(next(s["pid"] for s in gw.sessions() if s["pid"]))
    sentence = "TCP finds a vanished peer in the time of the pings"
    if got is None:
        skip(AREA, sentence, "only root may look at another process's sockets")
    else:
        check(AREA, sentence, got == (1, 1, 1, 2, 3000), got)

# --- grace --------------------------------------------------------------------------------------------------------------------
def notices():
    """What the service manager was told since the last call."""
    while True:
        try:
            yield notified.recv(4096)
        except BlockingIOError:
            return


with Initiator(gw.port) as i:
    i.login()
    list(notices())
    start = time.monotonic()
    gw.process.send_signal(signal.SIGTERM)
    pdu = i.expect(ASYNC)
    last = i.expect(ASYNC)
    code = gw.stop()
    took = time.monotonic() - start
    check(AREA, "11.9 at the stop an initiator is asked to log out within gateway.grace",
          pdu.bhs[36] == 1 and int.from_bytes(pdu.bhs[42:44], "big") == 1, pdu.bhs)
    check(AREA, "11.9 who does not heed it is told that the session is dropped", last.bhs[36] == 3 and i.ended())
    check(AREA, "who does not heed it is ended then", code == 0 and took > 0.9, (code, took, gw.log()))
told = list(notices())
check("deploy", "the service manager is told that the stop may take the grace and 5 s",
      any(b"STOPPING=1" in t and b"EXTEND_TIMEOUT_USEC=6000000" in t for t in told), told)
finish()
