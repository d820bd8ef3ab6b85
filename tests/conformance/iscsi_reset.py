#!/usr/bin/env python3
"""Resets that other sessions see: two initiators on one disk, under different LUNs, and the arbiter between them."""
import os, signal, threading, time
from harness import *
from initiator import *

AREA = "iscsi"
GOOD, CHECK, BUSY = 0, 2, 8
LUN_RESET, WARM_RESET, ABORT_TASK_SET, CLEAR_TASK_SET = 5, 6, 2, 4
OTHER, TARGET2 = CLIENT + "-other", TARGET + "2"
RESET = (6, 0x29, 0x03)
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
  second: {{memory: 16MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
  {target}2:
    portals: [here]
    luns: {{0: second, 5: vault, 6: vault}}
    initiators:
      {client}-other:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
"""
gw = Gateway(policy=POLICY)
gw.secret("bob", "bob-secret-0123456789")
gw.secret("gw-for-bob", "gateway-for-bob-1234")
gw.start()


def alice(**more):
    return Initiator(gw.port, **more).login()


def bob():
    """The same disks: vault is LUN 5, second LUN 0."""
    return Initiator(gw.port, name=OTHER).login(target=TARGET2, user="bob", secret="bob-secret-0123456789", mutual="gateway-for-bob-1234")


def sense(answer):
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else answer


def waiting_write(i, lba, data, lun):
    """A WRITE whose Data-Out is asked for and does not come: its tag, the R2T's tag."""
    tag = i.command(write16(lba, len(data) // 512), lun, write=data, immediate_data=False)
    return tag, i.expect(R2T, tag).ttt


def silent(i):
    """Is everything answered? A NOP comes back, and nothing before it."""
    i.itt += 1
    i.send(NOP_OUT, 0x80, b"ping", immediate=True, fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
    pdu = i.receive()
    return pdu.opcode == NOP_IN and pdu.itt == i.itt


def not_busy(i, lun):
    """TEST UNIT READY until it is not BUSY."""
    answer = (BUSY, b"")
    end = time.monotonic() + 60
    while answer[0] == BUSY and time.monotonic() < end:
        answer = i.ready(lun)
    return answer


OLD, NEW = b"old data" * 64, b"NEW DATA" * 64

# --- a LUN reset ends the tasks of others -------------------------------------------------------------------------------
with alice() as a, bob() as b:
    assert a.write(7, OLD)[0] == GOOD
    tag, ttt = waiting_write(b, 7, NEW, 5)
    kept, kept_ttt = waiting_write(b, 9, NEW, 0)
    check(AREA, "LUN RESET is answered when the other session's WRITE has ended", a.task(LUN_RESET, 0xffffffff, 0) == 0, gw.log())
    check(AREA, "its WRITE gets no response", silent(b))
    b.data_out(tag, ttt, 0, NEW)
    check(AREA, "P4: data that comes after the reset is never written", silent(b) and a.run(bytes(6))[0] == CHECK and a.read(7, 1) == (GOOD, OLD))
    check(AREA, "SAM-5: the other nexus gets 29h/03h, on its own LUN of that disk", sense(b.ready(5)) == RESET and b.ready(5)[0] == GOOD)
    b.data_out(kept, kept_ttt, 0, NEW)
    check(AREA, "its WRITE to another disk goes on", b.answer(kept, NEW)[0] == GOOD and b.ready(0)[0] == GOOD and b.read(9, 1) == (GOOD, NEW))
    check(AREA, "the other session reads and writes the disk again", b.write(7, NEW, lun=5)[0] == GOOD and a.read(7, 1) == (GOOD, NEW))
    check(AREA, "a LUN reset of an idle disk is answered at once", a.task(LUN_RESET, 0xffffffff, 1) == 0)
    check(AREA, "SAM-5: the nexus that reset gets 29h/03h, too", sense(a.ready(1)) == RESET and a.ready(1)[0] == GOOD)
    status, data = b.run(struct.pack(">BBBBBB", 0x12, 0, 0, 0, 96, 0), read=96)
    check(AREA, "INQUIRY goes before the unit attention", status == GOOD and data[0] == 0)
    status, data = b.run(struct.pack(">BBBBBB", 3, 0, 0, 0, 18, 0), read=18)
    check(AREA, "REQUEST SENSE tells it as data, once", status == GOOD and (data[2], data[12], data[13]) == RESET and b.ready(0)[0] == GOOD)

with bob() as b:
    tag, ttt = waiting_write(b, 11, NEW, 6)
    check(AREA, "a reset of a disk that is two LUNs of one session ends the tasks of both", b.task(LUN_RESET, 0xffffffff, 5) == 0 and silent(b)
          and [sense(b.ready(lun)) for lun in (5, 6)] == [RESET] * 2 and b.write(11, NEW, lun=6)[0] == GOOD)

# --- what stays within the nexus -----------------------------------------------------------------------------------------
with alice() as a, bob() as b:
    tag, ttt = waiting_write(b, 20, NEW, 5)
    for function, name in ((ABORT_TASK_SET, "ABORT TASK SET"), (CLEAR_TASK_SET, "CLEAR TASK SET")):
        check(AREA, f"TST=001b: {name} ends nobody else's tasks", a.task(function, 0xffffffff, 0) == 0 and a.ready()[0] == GOOD)
    b.data_out(tag, ttt, 0, NEW)
    check(AREA, "the WRITE of the other nexus goes on", b.answer(tag, NEW)[0] == GOOD)
    waiting_write(b, 21, NEW, 5)
    check(AREA, "a target warm reset is of every LUN", a.task(WARM_RESET, 0xffffffff) == 0 and silent(b)
          and [sense(b.ready(lun)) for lun in (0, 5)] == [RESET] * 2 and [sense(a.ready(lun)) for lun in (0, 1)] == [RESET] * 2)

# --- resets from both sides, under load ----------------------------------------------------------------------------------
def storm(make, lun, results):
    try:
        with make() as i:
            for _ in range(40):
                answer = i.ready(lun)  # over at once: the other's resets can't take its answer
                assert answer[0] in (GOOD, BUSY) or sense(answer) == RESET, sense(answer)
                assert i.task(LUN_RESET, 0xffffffff, lun) == 0
            results.append(GOOD in [not_busy(i, lun)[0] for _ in range(99)])
    except Exception as error:
        results.append(repr(error))


def quiet_writes(results):
    """Never resets: a WRITE that was aborted has no response, so it looks at what the next command says."""
    with alice() as i:
        i.socket.settimeout(0.3)
        for k in range(100):
            try:
                results.append(i.write(5000 + k, os.urandom(512), lun=0)[0])
            except TimeoutError:
                results.append("none")
        results.append(not_busy(i, 0)[0])


results, quiet = [], []
threads = [threading.Thread(target=storm, args=(alice, 0, results)), threading.Thread(target=storm, args=(bob, 5, results)),
           threading.Thread(target=quiet_writes, args=(quiet,))]
for t in threads:
    t.start()
for t in threads:
    t.join()
check(AREA, "40 resets from each of two sessions: each is answered, and both go on", results == [True, True], results)
check(AREA, "a third session gets GOOD, 29h/03h, BUSY or no answer, and goes on", set(quiet) <= {GOOD, CHECK, BUSY, "none"} and quiet.count(GOOD) > 0, quiet)

# --- who stands still -----------------------------------------------------------------------------------------------------
with alice() as a, bob() as b:
    tag, ttt = waiting_write(b, 30, NEW, 5)
    session = next(s for s in gw.sessions() if s["initiator"] == OTHER and s["state"] == "granted")
    os.kill(session["pid"], signal.SIGSTOP)
    check(AREA, "a session that stands still, with nothing at the disk, keeps no reset waiting", a.task(LUN_RESET, 0xffffffff, 0) == 0)
    check(AREA, "the first command after the reset tells it", sense(a.ready()) == RESET)
    check(AREA, "a write after the reset is done", a.write(30, OLD)[0] == GOOD)
    b.data_out(tag, ttt, 0, NEW)
    os.kill(session["pid"], signal.SIGCONT)
    check(AREA, "P4: what it had admitted before the reset never reaches the disk", silent(b) and sense(b.ready(5)) == RESET and a.read(30, 1)[1] == OLD)

# --- the arbiter dies ------------------------------------------------------------------------------------------------------
with alice() as a, bob() as b:
    assert a.write(40, OLD)[0] == GOOD
    tag, ttt = waiting_write(b, 40, NEW, 5)
    arbiter = wait_for(lambda: gw.helper_pid("arbiter"))
    os.kill(arbiter, signal.SIGSTOP)
    os.kill(arbiter, signal.SIGKILL)
    seen = set()
    wait_for(lambda: seen.add(a.ready()[0]) or (len(seen) > 1 and a.ready()[0] == GOOD))
    check(AREA, "P4: commands get BUSY while the arbiter is away, then GOOD", seen == {GOOD, BUSY} or seen == {BUSY, GOOD}, seen)
    check(AREA, "P4: the arbiter is started again", wait_for(lambda: gw.helper_pid("arbiter") not in (0, arbiter)), gw.log())
    check("audit", "its death is in the audit log", wait_for(lambda: any("arbiter" in e.get("detail", "") and e.get("reason") == "died" for e in gw.audit("--op", "helper"))))
    b.data_out(tag, ttt, 0, NEW)
    answer = b.answer(tag, NEW)[0]
    check(AREA, "P4: a WRITE that waited over it is answered GOOD and done, or BUSY and not", (answer, a.read(40, 1)[1]) in ((GOOD, NEW), (BUSY, OLD)), answer)
    tag, ttt = waiting_write(b, 41, NEW, 5)
    check(AREA, "P4: the new arbiter knows the old sessions: a reset ends their tasks", a.task(LUN_RESET, 0xffffffff, 0) == 0 and silent(b) and sense(b.ready(5)) == RESET)
    check(AREA, "the gateway is well", wait_for(gw.is_well), gw.command("status").stdout)

# --- … again and again: a login meanwhile gets in, or 0301h --------------------------------------------------------------------
statuses = set()
for _ in range(6):
    pid = gw.helper_pid("arbiter")
    if pid:
        os.kill(pid, signal.SIGKILL)
    for _ in range(8):
        try:
            with alice() as i:
                statuses.add(i.ready()[0])
        except Refused as refused:
            statuses.add(refused.status)
check(AREA, "P4: logins while the arbiter is away are answered 0301h", statuses <= {GOOD, BUSY, 0x0301} and 0x0301 in statuses, [hex(s) for s in statuses])
with wait_for(gw.is_well) and alice() as i:
    check(AREA, "afterwards all is well", i.task(LUN_RESET, 0xffffffff, 0) == 0 and sense(i.ready()) == RESET and i.ready()[0] == GOOD)
check(AREA, "no session was ended by a signal of its own", "was ended by signal" not in gw.log(), gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
