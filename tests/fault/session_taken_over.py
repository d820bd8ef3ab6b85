#!/usr/bin/env python3
"""P3: a session process that is taken over before anybody authenticated gets nothing, and disturbs nobody.

The gateway runs with a hostile program in the place of sallyport-session; it does what the peer's first line names.
"""
import pathlib, re, shutil, signal, socket
import harness
from harness import *

AREA = "session"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ATTACKS = {
    "enter": "asks for the grant without a word", "claim-enter": "claims a name and asks for the grant",
    "claim-twice": "claims twice", "claim-short": "sends a claim that is too short", "claim-fd": "passes a descriptor",
    "unknown": "sends a message that is not in the table", "huge": "sends a message type of 32 bits", "empty": "sends an empty packet",
    "grant": "sends itself the grant", "disk": "says that a disk failed", "flood": "reports 100 000 times",
    "lifeline": "writes into its lifeline and closes it", "offer-twice": "offers algorithms twice",
    "proof-first": "proves before it was challenged", "guess": "guesses twice and asks for the grant",
    "lengths": "lies about every length", "as-monitor": "speaks to the authenticator as the monitor", "nothing": "does nothing at all",
}
messages = (ROOT / "gateway/session/messages.h").read_text()
order = re.findall(r"^\t(SESSION_[A-Z_]+),", messages.split("enum session_message {")[1].split("};")[0], re.M)
GIVES = {order.index(name) for name in ("SESSION_TARGETS", "SESSION_LUN", "SESSION_AUDIT", "SESSION_ARBITER", "SESSION_GRANT")}

folder = pathlib.Path("bin").resolve()
folder.mkdir()
shutil.copy(SALLYPORT, folder)
shutil.copy(BUILD / "sallyport-session-tls", folder)
done = run("cc", "-std=gnu11", "-D_GNU_SOURCE", "-I", ROOT, "-o", folder / "sallyport-session", ROOT / "tests/fault/hostile_session.c")
assert done.returncode == 0, done.stderr
harness.SALLYPORT = str(folder / "sallyport")
gw = Gateway(more="gateway: {login_timeout: 1s}\n").start()
before = (gw.folder / "vault.img").read_bytes()

for name, what in ATTACKS.items():
    with socket.create_connection(("127.0.0.1", gw.port), 30) as s:
        s.sendall(name.encode() + b"\n")
        said = b""
        try:
            while part := s.recv(4096):
                said += part
        except (ConnectionResetError, TimeoutError):
            pass
    came = {int(word) for word in said.split()}
    gone = wait_for(lambda: not [x for x in gw.sessions() if x["pid"]])
    check(AREA, f"P3: a session that {what} is given nothing, and is gone", not came & GIVES and gone, (came, gw.sessions(), gw.log()))

check(AREA, "P3: no octet of the disk has changed", (gw.folder / "vault.img").read_bytes() == before)
status = gw.status()
check(AREA, "P4: the gateway is well, and no helper died of it", gw.is_well() and not any(h["deaths"] for h in status["helpers"]), status)
check(AREA, "P6: what it wrote is escaped in the log", "\033" not in gw.log(), gw.log())
check(AREA, "P6: the log is bounded", len(gw.log()) < 64 << 10, len(gw.log()))
events = gw.audit()
check("audit", "P1: none of it is a login in the audit log", not any(e.get("event") in ("login", "discovery") for e in events), events[-5:])
check("audit", "each is in the audit log as a refusal", sum(e.get("event") == "refusal" for e in events) >= min(len(ATTACKS), 15), len(events))
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
