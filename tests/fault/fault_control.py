#!/usr/bin/env python3
"""The control socket: clients that say nothing keep nobody out; a kicked session ends, whatever it does."""
import os, signal, socket, time
from harness import *
from initiator import *

AREA = "fault"
gw = Gateway().start()


def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(gw.state / "control"))
    s.settimeout(60)
    return s


silent = [connect() for _ in range(40)]
done = gw.command("status", "--json")
check(AREA, "P6: 40 silent clients of the control socket keep nobody out", done.returncode in (0, 1) and "version" in done.stdout, done.stderr + gw.log())
try:
    ended = silent[-1].recv(1) == b""
except (OSError, TimeoutError):
    ended = False
check(AREA, "P6: a client that says nothing is let go", ended)

with Initiator(gw.port).login() as i:
    session = gw.sessions()[0]
    os.kill(session["pid"], signal.SIGSTOP)
    done = gw.command("sessions", "kick", str(session["session"]))
    check(AREA, "a session that does not heed a kick is ended", done.returncode == 0 and wait_for(lambda: not gw.sessions()), gw.sessions())
check("audit", "the log says that it was kicked", wait_for(lambda: any(e.get("reason") == "kicked-by-an-operator" for e in gw.audit("--op", "logout"))), gw.audit()[-3:])

gw.stop()
finish()
