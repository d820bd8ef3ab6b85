#!/usr/bin/env python3
"""Processes that are stopped, killed between two steps, or asked for much at once; and that nothing leaks of it."""
import collections, os, signal, threading
from harness import *
from initiator import *

AREA = "fault"
GOOD = 0
gw = Gateway(more="gateway: {ping: {every: 10m}}\n").start()


def session(isid=None, **options):
    i = Initiator(gw.port, isid=isid, **options).login()
    i.ready(0), i.ready(1)
    return i


def attempt(source=None):
    """A login and what becomes of it: "in", a status, or "closed"."""
    try:
        with session(timeout=60, source=source) as i:
            fine = i.read(0, 1)[0] == GOOD
            i.logout()
            return "in" if fine else "no read"
    except Refused as refused:
        return f"{refused.status:04x}h"
    except (Gone, OSError) as error:
        return "closed" if isinstance(error, (Gone, ConnectionError)) else repr(error)


def at_once(count, meanwhile=lambda: None, source=None):
    """How many logins at once ended how."""
    ends = []
    crowd = [threading.Thread(target=lambda: ends.append(attempt(source)), daemon=True) for _ in range(count)]
    for one in crowd:
        one.start()
    meanwhile()
    for one in crowd:
        one.join(120)
    return collections.Counter(ends)


# --- nothing leaks ---------------------------------------------------------------------------------------------------------
def children(pid):
    return sorted(p for t in os.listdir(f"/proc/{pid}/task") for p in open(f"/proc/{pid}/task/{t}/children").read().split())


def holdings():
    """Descriptors of the processes that stay, children, sessions; what is left is compared with it."""
    pids = {"monitor": gw.process.pid, **{name: gw.helper_pid(name) for name in ("authenticator", "auditor", "firewall")}}
    try:  # not dumpable: an ordinary user may not look, not even at his own
        held = {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items() if pid}
    except PermissionError:
        held = {}
    return {**held, "children": len(children(gw.process.pid)), "sessions": len(gw.sessions())}


attempt()
wait_for(lambda: not gw.sessions())
before = wait_for(lambda: (h := holdings())["sessions"] == 0 and h)
ends = collections.Counter(attempt() for _ in range(100))
check(AREA, "a hundred logins and logouts in a row succeed", ends == {"in": 100}, ends)
check(AREA, f"P6: and nothing is left of them ({before})", wait_for(lambda: holdings() == before), (before, holdings()))
ends = at_once(40)
check(AREA, "forty logins at once succeed", ends == {"in": 40}, f"{gw.log()}\n{ends}")
for k in range(40):
    i = Initiator(gw.port)
    if k % 2:
        i.challenged() if k % 4 == 1 else i.login()
    i.close()
check(AREA, f"P6: nor of forty at once, and forty that left without a word", wait_for(lambda: holdings() == before), (before, holdings()))

# --- SIGHUP, SIGSTOP -------------------------------------------------------------------------------------------------------
other = session()
gw.process.send_signal(signal.SIGHUP)
time.sleep(0.2)
check(AREA, "SIGHUP does not end the gateway, nor a session, nor the next login",
      gw.process.poll() is None and other.nop() == b"ping" and attempt() == "in", gw.log())

stopped = session(isid=b"\x80\0\0\0\0\x51")
peer = "%s:%d" % stopped.socket.getsockname()
pid = next(s["pid"] for s in gw.sessions() if s["peer"] == peer)
os.kill(pid, signal.SIGSTOP)
data = os.urandom(65536)
tag = stopped.command(write16(0, 128), write=data)
fine, end = True, time.monotonic() + 3
while time.monotonic() < end:
    fine = fine and other.read(512, 8)[0] == GOOD and other.nop() == b"ping"
    time.sleep(0.05)
fine = fine and attempt() == "in"
os.kill(pid, signal.SIGCONT)
check(AREA, "P4: a session that stands still for 3 s stops nobody else", fine, gw.log())
check(AREA, "P4: and then goes on with what it was sent", stopped.answer(tag)[0] == GOOD and stopped.read(0, 128) == (GOOD, data), gw.log())
stopped.logout()

pid = gw.helper_pid("authenticator")
os.kill(pid, signal.SIGSTOP)
start = time.monotonic()
ends = at_once(5, source="127.0.0.9")  # of its own: the audit log lists 20 refusals of a source in a minute
took = time.monotonic() - start
check(AREA, f"P4: while the authenticator stands still, logins end with the login timer ({took:.1f} s)", set(ends) <= {"0301h", "closed"} and took > 8, ends)
check(AREA, "P4: and who is in goes on", other.nop() == b"ping" and other.write(600, data)[0] == GOOD)
check("audit", "such a login is in the audit log as unavailable: it is our failure, not the initiator's",
      wait_for(lambda: any(e["reason"] == "unavailable" and e["peer_ip"] == "127.0.0.9" for e in gw.audit("--op", "refusal"))), gw.audit("--op", "refusal")[-5:])
os.kill(pid, signal.SIGCONT)
check(AREA, "P4: when it goes on, logins succeed", wait_for(lambda: attempt() == "in"), gw.log())

# --- killed between two steps ----------------------------------------------------------------------------------------------
def until_in():
    """Tries until a login succeeds; how the others ended."""
    ends = set()
    while (end := attempt()) != "in":
        ends.add(end)
        time.sleep(0.02)
    return ends


for name, wanted in (("challenged", "0301h"), ("proven", "in")):
    with Initiator(gw.port) as i:
        challenge = i.challenged()
        if name == "proven":
            i.prove(challenge)
        os.kill(gw.helper_pid("authenticator"), signal.SIGKILL)
        try:
            if name == "challenged":
                i.prove(challenge)
            i.operate()
            end = "in"
        except Refused as refused:
            end = f"{refused.status:04x}h"
        except Gone:
            end = "closed"
    check(AREA, f"P4: a login that is {name} when the authenticator is killed ends with {wanted}", end == wanted, f"{gw.log()}\n{end}")
    ends = until_in()
    check(AREA, "P4: until the authenticator is back logins are told 0301h, then they succeed", ends <= {"0301h"}, f"{gw.log()}\n{ends}")


def kill_some():
    for _ in range(3):
        time.sleep(0.03)
        pid = gw.helper_pid("authenticator")
        if pid:
            os.kill(pid, signal.SIGKILL)


ends = at_once(40, kill_some)
check(AREA, f"P4: of forty logins while the authenticator is killed each is in, or told 0301h ({dict(ends)})", set(ends) <= {"in", "0301h"}, gw.log())
ends = until_in()
check(AREA, "P4: and a second try succeeds", ends <= {"0301h"}, f"{gw.log()}\n{ends}")
check(AREA, "P4: no session was disturbed by all this", other.nop() == b"ping" and other.read(600, 128) == (GOOD, data))
other.logout()
other.close()
check(AREA, "P6: nothing is left of all this", wait_for(lambda: holdings() == before), (before, holdings()))
check(AREA, "no session was ended by a signal, and the gateway is well", "was ended by signal" not in gw.log() and wait_for(gw.is_well), gw.log())
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
finish()
