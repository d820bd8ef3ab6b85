#!/usr/bin/env python3
"""The audit can't be written, or the auditor stands still: nothing runs, nobody is thrown out, nothing is lost."""
import atexit, os, signal, threading, time
from harness import *
from initiator import *

AREA = "audit"
BUSY = 0x08


def small_audit_folder():
    """A file system of 16 MiB under the audit folder; False where it can't be had."""
    (gw.state / "audit").mkdir(mode=0o700)
    if run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", gw.state / "audit").returncode != 0:
        return False
    atexit.register(run, "umount", "-l", gw.state / "audit")
    return True


def fill():
    """A full disk under the audit log."""
    with open(gw.state / "audit" / "filler", "wb", buffering=0) as f:
        try:
            while f.write(bytes(4096)):
                pass
        except OSError:
            pass


def busy_until_written(i, lba, data):
    """Writes until the gateway takes it; the BUSYs before."""
    busy = 0
    while (status := i.write(lba, data)[0]) == BUSY:
        busy += 1
        time.sleep(0.02)
    return status, busy


gw = Gateway()
can_fill = small_audit_folder()
gw.start()
disk = gw.folder / "vault.img"

# --- a log that can't be written ---------------------------------------------------------------------------------
if not can_fill:
    skip(AREA, "P4: while the log can't be written nothing runs", "mounting a small file system needs root")
else:
    with Initiator(gw.port).login() as i:
        assert i.write(0, b"A" * 512)[0] == 0
        fill()
        statuses = []
        wait_for(lambda: statuses.append(i.ready()[0]) or statuses[-1] == BUSY)
        check(AREA, "P4: commands are answered BUSY while the log can't be written", statuses[-1] == BUSY, statuses)
        before = disk.read_bytes()
        seen = [i.write(k, bytes([k]) * 512)[0] for k in range(50)]
        check(AREA, "P2: no octet of the disk changes while the log can't be written", disk.read_bytes() == before and set(seen) == {BUSY}, seen)
        check(AREA, "P4: NOPs are answered while the log can't be written", i.nop() == b"ping")
        check(AREA, "status says so, and exits with 1", gw.command("status").returncode == 1 and "audit" in gw.command("status").stdout)
        try:
            with Initiator(gw.port) as other:
                other.login()
            status = 0
        except Refused as refused:
            status = refused.status
        check(AREA, "P4: logins are answered 0301h while the log can't be written", status == 0x0301, hex(status))
        (gw.state / "audit" / "filler").unlink()
        status, _ = busy_until_written(i, 0, b"B" * 512)
        check(AREA, "P4: commands run again when the log can be written", status == 0)
        check(AREA, "the same session goes on", i.read(0, 1) == (0, b"B" * 512))
    check(AREA, "the gap is in the log", wait_for(lambda: any(e.get("event") == "gap" for e in gw.audit())), gw.audit()[-5:])

# --- an auditor that stands still -----------------------------------------------------------------------------------
SECONDS = 60 if SOAK else 6


def load(number, results, stop):
    """Mixed load: what it wrote last to each block, and that nothing but GOOD and BUSY came."""
    written, statuses, nops = {}, set(), 0
    try:
        with Initiator(gw.port).login() as i:
            k = 0
            while not stop.is_set():
                k += 1
                rounds[number] = k
                lba, data = number * 64 + k % 64, os.urandom(512)
                status = i.write(lba, data, fua=k % 7 == 0)[0]
                statuses.add(status)
                if status == 0:
                    written[lba] = data
                elif lba in written and status != BUSY:
                    written.pop(lba)
                statuses.add(i.read(lba, 1)[0])
                if k % 5 == 0:
                    nops += i.nop() == b"ping"
                if k % 11 == 0:
                    tag = i.command(bytes(6))
                    i.task(1, tag)
                if status == BUSY:
                    time.sleep(0.01)
            while i.ready()[0] == BUSY:
                time.sleep(0.02)
            lost = [lba for lba, data in written.items() if i.read(lba, 1) != (0, data)]
            results[number] = (statuses, nops, lost)
    except Exception as error:
        results[number] = error


results, rounds, stop = {}, [0, 0, 0], threading.Event()
threads = [threading.Thread(target=load, args=(n, results, stop)) for n in range(3)]
for t in threads:
    t.start()
wait_for(lambda: min(rounds) > 3)
auditor = gw.helper_pid("auditor")
os.kill(auditor, signal.SIGSTOP)
time.sleep(3)
before = disk.read_bytes()
time.sleep(SECONDS - 3)
check(AREA, "P4: with the auditor stopped, no octet of the disk changes after its patience is over", disk.read_bytes() == before)
os.kill(auditor, signal.SIGCONT)
time.sleep(0.3)
stop.set()
for t in threads:
    t.join()
fine = all(isinstance(r, tuple) for r in results.values()) and len(results) == 3
check(AREA, f"P4: no connection is lost while the auditor stands still for {SECONDS} s under mixed load", fine, results)
if fine:
    check(AREA, "P4: nothing but GOOD and BUSY is answered meanwhile", all(r[0] <= {0, BUSY} for r in results.values()) and any(BUSY in r[0] for r in results.values()), results)
    check(AREA, "P4: NOPs are answered meanwhile", all(r[1] > 5 for r in results.values()), results)
    check(AREA, "P4: every acknowledged write is there", not any(r[2] for r in results.values()), results)
check(AREA, "the gateway is well again", wait_for(gw.is_well), gw.command("status").stdout)


# --- a ring that is full, and the auditor behind ---------------------------------------------------------------------
def shut_window(i, tries=10):
    """Commands while the auditor stands still, until no more is allowed; False: its patience was over before that."""
    for _ in range(tries):
        status = 0
        os.kill(auditor, signal.SIGSTOP)
        while status == 0 and (allowed := (i.maxcmdsn - i.cmdsn + 1) & 0xffffffff):
            tags = [i.command(bytes(6)) for _ in range(allowed)]
            status = max(i.answer(tag)[0] for tag in tags)
        if status == 0:
            return True
        os.kill(auditor, signal.SIGCONT)
        wait_for(lambda: i.ready()[0] == 0)
    return False


with Initiator(gw.port).login() as i:
    if check(AREA, "a ring that is full shuts the window", shut_window(i)):
        os.kill(auditor, signal.SIGCONT)
        told = i.receive()
        check(AREA, "a window that the full ring had shut is announced open as soon as the auditor goes on",
              (told.opcode, told.itt, told.ttt) == (NOP_IN, 0xffffffff, 0xffffffff) and i.maxcmdsn - i.cmdsn + 1 > 0, (told.bhs, i.cmdsn))
        check(AREA, "and its commands run", i.ready()[0] == 0)
finish()
