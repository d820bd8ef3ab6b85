#!/usr/bin/env python3
"""Strangers at the door: silence, garbage, floods. Bounded, forgotten, and a fresh login works after each."""
import os, socket, struct, time
from harness import *
from initiator import *

AREA = "flood"
began = time.monotonic()
gw = Gateway(more="gateway: {login_timeout: 5s}\n").start()


def fresh_login_works(sentence):
    try:
        with Initiator(gw.port).login() as i:
            fine = i.read(0, 1)[0] == 0
            i.logout()
    except (Gone, Refused, OSError) as error:
        fine, sentence = False, f"{sentence} ({error!r})"
    check(AREA, f"{sentence}: a fresh login works", fine, gw.log())


def processes():
    return sum(1 for s in gw.sessions() if s["pid"])


# --- silence -------------------------------------------------------------------------------------------------------------
count = 10000
try:
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, max(count + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
except (ValueError, OSError):
    count = 900
silent = []
for k in range(count):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", gw.port))
    silent.append(s)
check(AREA, f"P6: {count} silent connections cost no process", processes() == 0, gw.sessions()[:3])
rss = int(run("ps", "-o", "rss=", "-p", gw.process.pid).stdout)
check(AREA, f"P6: nor more than 64 MiB of the monitor's memory ({rss >> 10} MiB)", rss < 64 << 10)
fresh_login_works(f"P6: among {count} silent connections")
for s in silent:
    s.close()

# --- first bytes that are no login -------------------------------------------------------------------------------------
first = [
    ("a web browser", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 60),
    ("a TLS client", bytes.fromhex("16030100c8010000c40303") + os.urandom(64)),
    ("a SCSI command before the login", struct.pack(">BBHIQI", 0x01, 0x80, 0, 0, 0, 1).ljust(48, b"\0")),
    ("a Text request before the login", struct.pack(">BBHIQI", 0x04, 0x80, 0, 0, 0, 1).ljust(48, b"\0")),
    ("a NOP-Out before the login", struct.pack(">BBHIQI", 0x40, 0x80, 0, 0, 0, 1).ljust(48, b"\0")),
    ("a login of 16 MiB and AHS of 1 KiB", bytes([0x43, 0x87, 0, 0, 255, 255, 255, 255]).ljust(48, b"\0") + b"A=1\0" * 256),
    ("48 octets of 0xff", b"\xff" * 48),
    ("random octets", os.urandom(4096)),
]
for what, octets in first:
    with socket.create_connection(("127.0.0.1", gw.port), 30) as s:
        try:
            s.sendall(octets)
            answer = s.recv(4096)
        except ConnectionResetError:
            answer = b""
    check(AREA, f"{what} is closed without an answer", answer == b"", answer[:64])
fresh_login_works("after all of these")

# --- half of something --------------------------------------------------------------------------------------------------
start = time.monotonic()
with socket.create_connection(("127.0.0.1", gw.port), 60) as s:
    s.sendall(b"\x43\x87\0\0")
    try:
        ended = s.recv(1) == b""
    except ConnectionResetError:
        ended = True
    except TimeoutError:
        ended = False
took = time.monotonic() - start
check(AREA, f"a login that stands still is closed by the login timer ({took:.1f} s)", ended and took > 4)

half = []
for k in range(200):
    s = socket.create_connection(("127.0.0.1", gw.port), 30)
    s.sendall(b"\x43\x87\0\0")
    half.append(s)
most = wait_for(processes)
for _ in range(20):
    most = max(most, processes())
    time.sleep(0.01)
check(AREA, f"P6: 200 half logins get at most 64 processes at once ({most})", 0 < most <= 64)
for s in half:
    s.close()
fresh_login_works("after 200 half logins")

# --- guesses -----------------------------------------------------------------------------------------------------------------
for k in range(30):
    with Initiator(gw.port) as i:
        try:
            i.login(secret=f"wrong-secret-{k:04}")
        except Refused as refused:
            assert refused.status == 0x0201, hex(refused.status)
listed = wait_for(lambda: len(gw.audit("--op", "refusal")))
check("audit", f"P6: of some 240 refusals of one source in a minute at most 20 are listed one by one ({listed})",
      0 < listed <= 20 * (1 + (time.monotonic() - began) // 60))
fresh_login_works("P6: after 30 wrong guesses from a loopback address")

# --- identical answers ---------------------------------------------------------------------------------------------------------
def answer_to(**login):
    with Initiator(gw.port, name=login.pop("name", CLIENT)) as i:
        try:
            i.login(**login)
        except Refused as refused:
            return refused.status
        return 0


for what, login in [("a wrong secret", dict(secret="wrong-secret-0000")), ("an unknown user", dict(user="nobody")),
                    ("a wrong name", dict(name=CLIENT + "x")), ("no mutual CHAP", dict(mutual=None)),
                    ("an unknown name and target", dict(name="iqn.2001-01.org.x:y", user="nobody", target="iqn.2001-01.org.x:z"))]:
    status = answer_to(**login)
    check(AREA, f"P1: {what} is answered 0201h", status == 0x0201, hex(status))
status = answer_to(target=TARGET + "x")
check(AREA, "P1: a target that is not there is 0203h, after CHAP alone", status == 0x0203, hex(status))
with Initiator(gw.port).login(target=None) as i:
    i.itt += 1
    i.send(TEXT, 0x80, b"SendTargets=All\0", immediate=False, fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
    pdu = i.receive()
    check(AREA, "P1: discovery lists what this initiator may enter, at the address that it reached",
          pdu.data == f"TargetName={TARGET}\0TargetAddress=127.0.0.1:{gw.port},1\0".encode(), pdu.data)
check(AREA, "the gateway is well after all of it", wait_for(gw.is_well), gw.log())
finish()
