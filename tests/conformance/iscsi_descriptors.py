#!/usr/bin/env python3
"""A gateway that has no descriptor left waits for one: it neither spins nor fills the log, and goes on by itself."""
import contextlib, os, resource, subprocess
from harness import *
from initiator import *
import processes

AREA = "iscsi"
WORDS = "no connection can be accepted"
gw = Gateway().start()
PID = gw.process.pid


def slept():
    """How often it has waited for something; one that spins never does."""
    return int(processes.status(PID)["voluntary_ctxt_switches"])


def first_free():
    """No number from here on is given: none at all, although higher ones are in use."""
    used = set(map(int, os.listdir(f"/proc/{PID}/fd")))
    return next(n for n in range(4096) if n not in used)


def attempt(gw):
    try:
        with Initiator(gw.port, isid=b"\x80next\x01") as j:
            j.login()
            return j.read(0, 1)[0] == 0
    except (Gone, Refused, OSError):
        return False


with Initiator(gw.port) as i, contextlib.ExitStack() as all:
    i.login()
    most = resource.prlimit(PID, resource.RLIMIT_NOFILE)
    resource.prlimit(PID, resource.RLIMIT_NOFILE, (first_free(), most[1]))
    late = [all.enter_context(Initiator(gw.port)) for _ in range(4)]
    for j in late:
        j.raw(b"\x43")
    check(AREA, "without a descriptor for it, a connection waits, and the log says so", wait_for(lambda: WORDS in gw.log()), gw.log())
    asked = subprocess.Popen([SALLYPORT, "status", "--state", gw.state], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    before = slept()
    check(AREA, "P6: the gateway sleeps meanwhile, and tries again from time to time", wait_for(lambda: slept() > before + 20), slept() - before)
    check(AREA, "P4: sessions go on", i.read(0, 1)[0] == 0)
    resource.prlimit(PID, resource.RLIMIT_NOFILE, most)
    all.close()
    check(AREA, "the next one comes in when there are some again", wait_for(lambda: attempt(gw)), gw.log())
    check(AREA, "… and whoever asked for the status has it", asked.wait(30) in (0, 1), asked)
    check(AREA, "it was said once", gw.log().count(WORDS) == 1, gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
