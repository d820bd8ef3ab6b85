#!/usr/bin/env python3
"""Names at login are compared in their normal form (RFC 3722), whatever form the initiator sends."""
from harness import *
from initiator import *

AREA = "iscsi"
COMPOSED, DECOMPOSED = "iqn.1994-05.com.redhat:caf\u00e9", "iqn.1994-05.com.redhat:cafe\u0301"
FULL_WIDTH = "iqn.2026-11.net.example.gw\uff1a\uff36\uff41ult"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {composed}:
        chap: {{user: alice, mutual: gw-for-alice}}
"""
gw = Gateway(policy=POLICY, composed=COMPOSED).start()


def attempt(name, target=TARGET):
    """A login's outcome: the disk's first answers, or a status."""
    try:
        with Initiator(gw.port, name=name) as i:
            i.login(target=target)
            return any(i.ready()[0] == 0 for _ in range(3))
    except Refused as refused:
        return refused.status


def attempt_octets(name):
    """The same with a name that is no text."""
    try:
        with Initiator(gw.port) as i:
            i.login_pdu(0, 1, b"InitiatorName=" + name + b"\0" + text(SessionType="Normal", TargetName=TARGET, AuthMethod="CHAP"),
                        transit=False)
            i.login_answer()
            answer = i.step({"CHAP_A": "7"})
            i.prove((int(answer["CHAP_A"]), int(answer["CHAP_I"]), unbinary(answer["CHAP_C"])))
            return True
    except Refused as refused:
        return refused.status


for sentence, name, target, want in (
        ("an initiator's name in its normal form is taken", COMPOSED, TARGET, True),
        ("… decomposed", DECOMPOSED, TARGET, True),
        ("… in capitals", COMPOSED.upper(), TARGET, True),
        ("… with characters that show nothing", COMPOSED.replace("caf", "c\u00adaf"), TARGET, True),
        ("a target's name in full-width letters is taken", COMPOSED, FULL_WIDTH, True),
        ("P1: a name that only looks the same is another's", COMPOSED.replace("a", "\u0430"), TARGET, 0x201),
        ("P1: a name with a space is none", COMPOSED + "\u00a0", TARGET, 0x201),
        ("P1: a target's name in two directions is none", COMPOSED, TARGET + "\u05d0", 0x203)):
    got = attempt(name, target)
    check(AREA, sentence, got == want, (got, gw.log()))
for sentence, name in (("P1: a name that is no UTF-8 is none", b"iqn.1994-05.com.redhat:caf\xe9"),
                       ("P1: a name of 223 octets that would become more is none", b"iqn.1994-05.com.redhat:" + b"\xe3\x8c\x96" * 66 + b"aa")):
    got = attempt_octets(name)
    check(AREA, sentence, got == 0x201, (got, gw.log()))
found = gw.audit()
check(AREA, "the audit has the names as they are compared, and why a name is none",
      any(e.get("initiator") == COMPOSED for e in found) and any(e.get("reason") == "bad-initiator-name" for e in found), found)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
