#!/usr/bin/env python3
"""kill -9 of every process in turn, under load: nobody else is disturbed, no acknowledged write is lost."""
import collections, os, signal, threading, time
from harness import *
from initiator import *

AREA = "fault"
BUSY = 0x08
gw = Gateway().start()


class Load(threading.Thread):
    """Writes and reads back; logs in again when it is thrown out. Remembers what was acknowledged."""

    def __init__(self, number):
        super().__init__(daemon=True)
        self.number, self.written, self.wrong, self.logins, self.rounds = number, {}, [], 0, 0
        self.acknowledged = collections.Counter()  # writes, by block
        self.over, self.isid = threading.Event(), b"\x80\0\0\0\0" + bytes([number])
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                with Initiator(gw.port, isid=self.isid) as i:
                    i.login()
                    self.logins += 1
                    self.work(i)
            except (Gone, OSError, Refused):
                time.sleep(0.05)

    def work(self, i):
        for lba, data in self.written.items():
            status = BUSY
            while status == BUSY:
                status, got = i.read(lba, 1)
            if got != data:
                self.wrong.append(lba)
        k = 0
        while not self.over.is_set():
            k += 1
            lba, data = self.number * 32 + k % 32, os.urandom(512)
            self.written.pop(lba, None)  # in doubt until it is answered
            status = i.write(lba, data)[0]
            if status == 0:
                self.written[lba] = data
                self.acknowledged[lba] += 1
                self.rounds += 1
            elif status == BUSY:
                time.sleep(0.01)
            else:
                self.wrong.append(("status", status))


loads = [Load(n) for n in range(3)]


def moving():
    """Does every load make progress?"""
    start = [l.rounds for l in loads]
    return wait_for(lambda: all(l.rounds > s + 3 for l, s in zip(loads, start)))


def trail_is_whole(killed):
    """Verification proves it, and every write that was acknowledged is in it."""
    wanted = [dict(l.acknowledged) for l in loads]
    done = gw.command("audit", "verify")
    check("audit", f"P2: after kill -9 of {killed} the trail verifies", done.returncode in (0, 20), (done.returncode, done.stdout, gw.log()))
    have = collections.Counter(r.get("lba") for r in gw.audit("--op", "write") if r.get("verdict") == "admitted")
    lost = {lba: (n, have[lba]) for acknowledged in wanted for lba, n in acknowledged.items() if have[lba] < n}
    check("audit", f"P2: after kill -9 of {killed} every acknowledged write is in the trail", sum(have.values()) > 0 and not lost, lost)


check(AREA, "three initiators write and read", moving(), gw.log())

# --- one session: only its own connection goes ------------------------------------------------------------------
sessions = gw.sessions()
logins = [l.logins for l in loads]
os.kill(sessions[0]["pid"], signal.SIGKILL)
check(AREA, "P4: after kill -9 of a session all initiators go on", moving(), gw.log())
again = [l.logins - n for l, n in zip(loads, logins)]
check(AREA, "P4: a session that dies takes only its own connection along", sorted(again) == [0, 0, 1], again)
check("audit", "the death of a session is in the audit log", any(e.get("reason") == "killed-by-signal-9" for e in gw.audit("--op", "logout")), gw.audit("--op", "logout"))
trail_is_whole("a session")

# --- the helpers ----------------------------------------------------------------------------------------------------
for helper in ("authenticator", "auditor", "firewall", "arbiter"):
    logins = [l.logins for l in loads]
    pid = gw.helper_pid(helper)
    if pid == 0:
        skip(AREA, f"kill -9 of the {helper}", "it does not run here")
        continue
    os.kill(pid, signal.SIGKILL)
    check(AREA, f"P4: the {helper} is started again", wait_for(lambda: gw.helper_pid(helper) not in (0, pid)), gw.log())
    check(AREA, f"P4: after kill -9 of the {helper} all initiators go on", moving(), gw.log())
    check(AREA, f"P4: no session is disturbed by the death of the {helper}", logins == [l.logins for l in loads], (logins, [l.logins for l in loads]))
    check("audit", f"the death of the {helper} is in the audit log",
          wait_for(lambda: any(helper in e.get("detail", "") and e.get("reason") == "died" for e in gw.audit("--op", "helper"))), gw.audit("--op", "helper"))
    with Initiator(gw.port, isid=b"\x80\0\0\0\0\x77") as i:
        check(AREA, f"P4: a fresh login works after the {helper} came back", wait_for(gw.is_well) and i.login() is not None and i.nop() == b"ping")
        i.logout()
    trail_is_whole(f"the {helper}")

# --- the monitor: everything ends with it, and comes back ----------------------------------------------------------
pids = [s["pid"] for s in gw.sessions()] + [h["pid"] for h in gw.status()["helpers"] if h["pid"]]
gw.stop(signal.SIGKILL)


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


check(AREA, "P4: every process ends with the monitor", wait_for(lambda: not any(alive(p) for p in pids)), [p for p in pids if alive(p)])
gw.start()
check(AREA, "P4: after kill -9 of the monitor all initiators are back after its restart", moving(), gw.log())
for l in loads:
    l.over.set()
for l in loads:
    l.join(60)
check(AREA, "P4: no acknowledged write was lost, whatever process was killed", not any(l.wrong for l in loads), [l.wrong[:5] for l in loads])
trail_is_whole("the monitor")

# --- the trail has everything: no gap in a session's records ---------------------------------------------------------
records = gw.audit()
sequence = [r["seq"] for r in records]
check("audit", "P2: the sequence of the trail has neither gap nor repeat over all of this", sequence == list(range(sequence[0], sequence[0] + len(sequence))), len(sequence))
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
finish()
