#!/usr/bin/env python3
"""A portal whose certificate, key or CRL is not good at the gateway's start stays closed, alone and loudly, until a reload finds it
mended."""
import time

from harness import *
from initiator import *
import pki
from tls_initiator import TlsInitiator

AREA = "tls"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
  wan: {{listen: ["127.0.0.1:{wan}"], transport: tls, certificate: gw.pem, key: gw.key, client_ca: clients.pem, crl: [clients.crl]}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here, wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice}}
"""
ca = pki.CA()
alice = ca.client(CLIENT, "alice")


def at(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


good, crl = ca.server("good"), ca.crl().read_bytes()
over, to_come = ca.server("over", begins=at(-9), ends=at(-1)), ca.server("to-come", begins=at(1), ends=at(9))
pem, key = (f.read_bytes() for f in good)
RIGHT = {"gw.pem": (pem, 0o644), "gw.key": (key, 0o600), "clients.pem": (ca.pem.read_bytes(), 0o644), "clients.crl": (crl, 0o644)}
WRONG = (
    ("its certificate is over", "is over since", {"gw.pem": (over[0].read_bytes(), 0o644), "gw.key": (over[1].read_bytes(), 0o600)}),
    ("its certificate is of tomorrow", "is not valid yet", {"gw.pem": (to_come[0].read_bytes(), 0o644), "gw.key": (to_come[1].read_bytes(), 0o600)}),
    ("its certificate is damaged", "damaged", {"gw.pem": (pem.replace(b"M", b"!", 9), 0o644)}),
    ("its certificate is not there", "is not there", {"gw.pem": None}),
    ("everybody may read its key", "everybody on this machine may read", {"gw.key": (key, 0o644)}),
    ("its CRL is not there", "is not there", {"clients.crl": None}),
)


def place(gw, changes):
    for name, content in (RIGHT | changes).items():
        (gw.folder / name).unlink(missing_ok=True)
        if content:
            (gw.folder / name).write_bytes(content[0])
            (gw.folder / name).chmod(content[1])


def by_tls(gw):
    try:
        with TlsInitiator(gw.values["wan"], ca, alice) as i:
            i.login(user="alice", secret=SECRET, mutual=MUTUAL)
            return i.read(0, 1)[0] == 0
    except (Gone, OSError):
        return False


for why, words, changes in WRONG:
    gw = Gateway(policy=POLICY, wan=free_port())
    place(gw, changes)
    gw.start()
    with Initiator(gw.port) as i:
        i.login()
        check(AREA, f"{why}: the gateway starts, and its other portals serve", i.read(0, 1)[0] == 0)
        check(AREA, "… nobody comes in there", not by_tls(gw))
        status = gw.status()
        check(AREA, "… status says so, and why", any("portal wan: it stays closed" in p and words in p for p in status["problems"]), status["problems"])
        check(AREA, "… and the log", "THE PORTAL wan STAYS CLOSED" in gw.log(), gw.log())
        gw.command("audit", "flush")
        event = next((r for r in gw.audit() if r.get("reason") == "portal-closed"), {})
        check(AREA, "P5: … and the audit", "portal wan" in event.get("detail", "") and words in event["detail"], event)
        done = gw.reload()
        check(AREA, "P7: a reload with the same mistake is refused, whole", done.returncode != 0 and i.read(0, 1)[0] == 0, done.stdout + done.stderr)
        place(gw, {})
        done = gw.reload()
        check(AREA, "P7: mended, a reload opens it, and nobody else notices", done.returncode == 0 and by_tls(gw) and i.read(0, 1)[0] == 0, done.stdout + done.stderr + gw.log())
        check(AREA, "… and the gateway is well", gw.status()["problems"] == [], gw.status()["problems"])
    check(AREA, "it stops cleanly", gw.stop() == 0, gw.log())
finish()
