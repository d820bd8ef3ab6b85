#!/usr/bin/env python3
"""Who sees what: several portals and initiators of one target, LUNs that are not granted, sessions that replace others."""
import os
from harness import *
from initiator import *

AREA = "iscsi"
GOOD, CHECK = 0, 2
READER, GUEST = CLIENT + "-reader", CLIENT + "-guest"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"{v6}], transport: plain}}
  there: {{listen: ["127.0.0.1:{port2}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB}}
  second: {{memory: 16MiB, writers: cluster}}
targets:
  {target}:
    portals: [here, there]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {client}-reader:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
        luns: {{0: read-only, 1: read-write}}
      {client}-guest:
        chap: {{user: carol, mutual: gw-for-carol, algorithms: [md5]}}
        luns: {{1: read-only}}
"""
BOB = dict(user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")
CAROL = dict(user="carol", secret="carol-secret-0123456", mutual="gateway-for-carol-12")


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


port2 = free_port()
gw = Gateway(policy=POLICY, port2=port2, v6=f', "[::1]:{free_port()}"' if have_ipv6() else "")
port6 = int(gw.values["v6"].rsplit(":", 1)[1][:-1]) if have_ipv6() else 0
for user, words in (("bob", BOB), ("carol", CAROL)):
    gw.secret(user, words["secret"])
    gw.secret(f"gw-for-{user}", words["mutual"])
gw.start()


def sense(answer):
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else answer


def settled(i, *luns):
    """Past the unit attentions of a new nexus."""
    for lun in luns or (0, 1):
        i.ready(lun)
    return i


def report_luns(i):
    status, data = i.run(struct.pack(">BBBBBBIBB", 0xa0, 0, 0, 0, 0, 0, 256, 0, 0), read=256)
    assert status == GOOD
    return [data[at + 1] for at in range(8, 8 + int.from_bytes(data[:4], "big"), 8)]


def discovered(port, host):
    with Initiator(port, host=host).login(target=None) as i:
        i.itt += 1
        i.send(TEXT, 0x80, b"SendTargets=All\0", fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
        return i.expect(TEXT_RESPONSE, i.itt).data.decode()


# --- portals -------------------------------------------------------------------------------------------------------------
data = os.urandom(4096)
with Initiator(gw.port).login() as i:
    settled(i)
    check(AREA, "a write by the first portal is acknowledged", i.write(100, data)[0] == GOOD)
    i.logout()
portals = [("a second portal", "127.0.0.1", port2)]
if port6:
    portals.append(("the portal of IPv6", "::1", port6))
else:
    skip(AREA, "the portal of IPv6 serves the same disk", "no IPv6 here")
for what, host, port in portals:
    with Initiator(port, host=host).login() as i:
        check(AREA, f"{what} serves the same disk", settled(i).read(100, 8) == (GOOD, data), gw.log())
        i.logout()
    shown = discovered(port, host)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    check(AREA, f"discovery at {what} tells of that portal's address", f"TargetAddress={address}," in shown, shown)
    check("audit", f"the login at {what} is in the audit log with its address",
          wait_for(lambda: any(e.get("event") == "login" and e["peer_ip"] == host for e in gw.audit())))

# --- one disk, several initiators ---------------------------------------------------------------------------------------
with Initiator(gw.port).login() as i, Initiator(gw.port, name=READER).login(**BOB) as reader, Initiator(gw.port, name=GUEST).login(**CAROL) as guest:
    settled(i), settled(reader), settled(guest, 1)
    fresh = os.urandom(512)
    check(AREA, "what one initiator writes another reads", i.write(200, fresh)[0] == GOOD and reader.read(200, 1) == (GOOD, fresh))
    check(AREA, "P1: a read-only LUN answers a write with DATA PROTECT, 27h/00h", sense(reader.write(200, bytes(512))) == (7, 0x27, 0), gw.log())
    check(AREA, "P1: and the block is as it was", i.read(200, 1) == (GOOD, fresh))
    status, mode = reader.run(bytes([0x1a, 0, 0x3f, 0, 192, 0]), read=192)
    check(AREA, "a read-only LUN says so in its mode parameters", status == GOOD and mode[2] & 0x80, (status, mode))
    check(AREA, "its other LUN may be written", reader.write(0, fresh, lun=1)[0] == GOOD)
    check(AREA, "REPORT LUNS lists what is granted, and nothing else", (report_luns(i), report_luns(reader), report_luns(guest)) == ([0, 1], [0, 1], [1]))
    for lun in (0, 2, 255, 300):
        answers = [sense(guest.read(0, 1, lun=lun)), sense(guest.write(0, bytes(512), lun=lun)), sense(guest.ready(lun))]
        check(AREA, f"P1: LUN {lun}, which is not granted, is not there", set(answers) == {(5, 0x25, 0)}, answers)
    status, inquiry = guest.run(bytes([0x12, 0, 0, 0, 96, 0]), read=96)
    check(AREA, "INQUIRY of a LUN that is not granted says 7Fh: nothing can be there", status == GOOD and inquiry[0] == 0x7f, inquiry)
    check(AREA, "P1: nor does a LUN reset reach it", guest.task(5, 0xffffffff, lun=0) == 2)
    lines = gw.policy.read_text().splitlines()
    denied = wait_for(lambda: [r for r in gw.audit("--denied") if r.get("verdict") == "denied"])
    check("audit", "a denied write is in the audit log with the policy's line", any(
        r["command"].startswith("WRITE") and r["initiator"] == READER and "read-only" in lines[r.get("rule_line", 0) - 1] for r in denied or []), denied)

    for one in (i, reader, guest):
        one.logout()

# --- session reinstatement, RFC 7143 section 6.3.5 -----------------------------------------------------------------------
isid = b"\x80\0\0\0\0\x42"
with Initiator(gw.port, isid=isid).login() as old, Initiator(gw.port, isid=b"\x80\0\0\0\0\x43").login() as other:
    settled(old), settled(other)
    mark = os.urandom(512)
    check(AREA, "the first session writes", old.write(300, mark)[0] == GOOD)
    with Initiator(gw.port, isid=isid) as wrong:
        try:
            wrong.login(secret="wrong-secret-0000")
        except Refused:
            pass
    check(AREA, "P6: who has not the secret replaces no session", old.nop() == b"ping")
    with Initiator(port2, isid=isid).login() as elsewhere:
        check(AREA, "the same ISID at another portal group is another session", settled(elsewhere).nop() == b"ping" and old.nop() == b"ping")
        elsewhere.logout()
    for k in range(8):
        old.command(write16(300, 1), write=bytes(512), immediate_data=False)
    with Initiator(gw.port, isid=isid).login() as new:
        check(AREA, "a login with the same ISID ends the session before it", old.ended(), gw.log())
        check(AREA, "and works, on the same data", settled(new).read(300, 1) == (GOOD, mark) and new.write(300, mark)[0] == GOOD)
        check(AREA, "the session of another ISID goes on", other.read(300, 1) == (GOOD, mark))
        check("audit", "the replaced session's end is in the audit log", wait_for(
            lambda: any(e.get("reason") == "replaced-by-a-new-login" for e in gw.audit("--op", "logout"))), gw.audit("--op", "logout"))
        for _ in range(10):
            before, new = new, Initiator(gw.port, isid=isid).login()
            before.close()
        check(AREA, "ten logins of one ISID in a row leave one session of it", wait_for(
            lambda: [s["initiator"] for s in gw.sessions()] == [CLIENT] * 2) and new.nop() == b"ping", gw.sessions())
        new.logout()
    other.logout()
check(AREA, "no session was ended by a signal, and the gateway is well", "was ended by signal" not in gw.log() and wait_for(gw.is_well), gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
