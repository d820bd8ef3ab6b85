#!/usr/bin/env python3
"""SIGTERM in every situation: over soon after the grace, whoever is dead, stopped or silent at that moment."""
import os, signal, time
from harness import *
from initiator import *

AREA = "fault"
LONGEST = 30  # seconds; by itself it is over in 3 at most


def stop_takes(gw, meanwhile=lambda: None):
    """Seconds from SIGTERM to the end, and the exit status; when it had to be killed, too many."""
    start = time.monotonic()
    gw.process.send_signal(signal.SIGTERM)
    meanwhile()
    try:
        code = gw.process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        return LONGEST, gw.stop(signal.SIGKILL)
    took = time.monotonic() - start
    gw.process = None
    return took, code


def check_stop(sentence, gw, status=0, **how):
    took, code = stop_takes(gw, **how)
    check(AREA, f"{sentence}: stopped all the same ({took:.1f} s)", took < LONGEST and code == status, f"{code}\n{gw.log()}")


# --- an initiator that does not log out ---------------------------------------------------------------------------
gw = Gateway(more="gateway: {grace: 1s}\n").start()
with Initiator(gw.port).login() as i:
    assert i.write(0, b"x" * 512)[0] == 0
    check_stop("an initiator that does not log out", gw)
ends = [e.get("event") for e in gw.audit()[-2:]]
check("audit", "the trail ends with the stop", ends == ["stop", "end"], ends)

# --- a second signal ------------------------------------------------------------------------------------------------
gw.start()
with Initiator(gw.port).login() as i:
    check_stop("SIGHUP before, and SIGTERM twice", gw,
               meanwhile=lambda: (gw.process.send_signal(signal.SIGHUP), time.sleep(0.2), gw.process.send_signal(signal.SIGTERM)))

# --- a session that stands still ------------------------------------------------------------------------------------
gw.start()
with Initiator(gw.port).login() as i:
    os.kill(gw.sessions()[0]["pid"], signal.SIGSTOP)
    check_stop("a session that stands still", gw)

# --- helpers ----------------------------------------------------------------------------------------------------------
gw.start()
with Initiator(gw.port).login() as i:
    auditor = gw.helper_pid("auditor")
    os.kill(auditor, signal.SIGSTOP)
    check_stop("an auditor that stands still", gw, status=3)

gw.start()
with Initiator(gw.port).login() as i:
    assert i.write(8, b"y" * 512)[0] == 0
    check_stop("an auditor that dies while sessions end", gw, meanwhile=lambda: os.kill(gw.helper_pid("auditor"), signal.SIGKILL))
check("audit", "P2: what the session did is in the trail, which ends with the stop",
      any(r.get("lba") == 8 for r in gw.audit()) and [e.get("event") for e in gw.audit()[-2:]] == ["stop", "end"], gw.audit()[-5:])

for helper in ("authenticator", "firewall"):
    gw.start()
    pid = gw.helper_pid(helper)
    if pid:
        os.kill(pid, signal.SIGSTOP)
        check_stop(f"the {helper} stands still", gw, status=3)
    gw.stop()
finish()
