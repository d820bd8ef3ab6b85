#!/usr/bin/env python3
"""What records wait for: `audit.durability`, each disk's own, taken up by a reload; and second records of what ended well."""
import os, signal
from harness import *
from initiator import *

AREA = "audit"
BUSY = 0x08
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB{vault}}}
  second: {{memory: 16MiB{second}}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
audit: {{{audit}}}
"""


def order_of_answers(i):
    """With an auditor that stands still: a read of LUN 0, a later one of LUN 1; the LUNs in the order of their answers, and
    the first answer's status. The auditor goes on as soon as there is one."""
    auditor = gw.helper_pid("auditor")
    os.kill(auditor, signal.SIGSTOP)
    try:
        tags = {i.command(read16(0, 1), lun, read=512): lun for lun in (0, 1)}
        first = i.receive()
    finally:
        os.kill(auditor, signal.SIGCONT)
    return [tags[first.itt], tags[i.receive().itt]], first.status


def on_record(lun, lba):
    """The kinds of the records of a read of this block, in their order."""
    return [(r["kind"], r["verdict"]) for r in gw.audit("--lun", str(lun)) if r.get("lba") == lba and "kind" in r]


gw = Gateway(POLICY, audit="durability: handed-over", vault="", second="").start()
with Initiator(gw.port).login() as i:
    got = order_of_answers(i)
    check(AREA, "handed over: reads are answered while the auditor stands still, in order", got == ([0, 1], 0), got)

    def taken(sentence, **changes):
        done = gw.reload("--json", **changes)
        told = json.loads(done.stdout) if done.returncode == 0 else {}
        check(AREA, sentence, (told.get("changed"), told.get("asked_to_log_out")) == (1, 0), (done.stdout, done.stderr))

    for level in "written", "synced":
        taken(f"P7: a reload that demands \"{level}\" of one disk ends no session", vault=f", durability: {level}")
        got = order_of_answers(i)
        check(AREA, f"P2: with \"{level}\" a read of that disk waits for the auditor, and no other does", got == ([1, 0], 0), got)
    taken("P7: nor does one that demands it of all but one", vault=", durability: handed-over", audit="durability: written")
    got = order_of_answers(i)
    check(AREA, "a disk's own word goes before that of all", got == ([0, 1], 0), got)

    taken("P7: nor one that wants records of all that ended well", vault="", audit="durability: written, outcomes: all")
    check(AREA, "what is written goes on when nobody holds it up", i.read(77, 1)[0] == 0 and i.write(78, bytes(512))[0] == 0)
    check(AREA, "outcomes: all has two records of each command", wait_for(lambda: on_record(0, 77) == [("command", "admitted"), ("outcome", "done")]),
          on_record(0, 77))
    took = [r.get("latency_us") for r in gw.audit("--lun", "0") if r.get("verdict") == "done"]
    check(AREA, "… with its time in microseconds", took and all(isinstance(t, int) and 0 < t < 60_000_000 for t in took), took)

    # Task management has its record, and what resets waits until that is on the disk.
    tag = i.command(read16(5, 1), 0, read=512)
    check(AREA, "P2: an abort is on record, even if its task is over", i.task(1, tag) in (0, 1))
    check(AREA, "P2: a reset is answered when it is on record", i.task(5, 0xffffffff) == 0 and i.task(5, 0xffffffff, lun=9) == 2)
    managed = [(r["command"], r["verdict"], r.get("lun")) for r in gw.audit("--op", "task")]
    check(AREA, "task management is in the trail, refused or not", [m[0] for m in managed] == ["abort-task", "lun-reset", "lun-reset"]
          and managed[1:] == [("lun-reset", "admitted", 0), ("lun-reset", "refused", 9)], managed)
    while attention(i.ready(0)) is not None:
        pass
    auditor = gw.helper_pid("auditor")
    os.kill(auditor, signal.SIGSTOP)
    try:
        answer = i.task(5, 0xffffffff)
    finally:
        os.kill(auditor, signal.SIGCONT)
    check(AREA, "P4: a reset that can't be recorded is rejected", answer == 255, answer)
    check(AREA, "P2: and not carried out", wait_for(lambda: i.ready(0)[0] != BUSY) and attention(i.ready(0)) is None)

    # All of the gateway dies at once, as soon as the read is answered.
    pids = [gw.process.pid, gw.helper_pid("auditor")]
    i.read(99, 1)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)
gw.process.wait()
gw.process = None
run("flock", "-w", "60", gw.state / "lock", "true")
check(AREA, "P2: with \"written\" the record of a read is in the file when the read is answered, whoever dies then",
      ("command", "admitted") in on_record(0, 99), on_record(0, 99))
finish()
