#!/usr/bin/env python3
"""Task attributes over the wire, SAM-5 section 8: a WRITE whose Data-Out does not come is the slow disk."""
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET = 1, 2, 4, 5
READY, INQUIRY, REQUEST_SENSE = bytes(6), bytes([0x12, 0, 0, 0, 36, 0]), bytes([3, 0, 0, 0, 18, 0])
OLD, NEW, OTHER = b"old data" * 64, b"NEW DATA" * 64, b"other!!\n" * 64
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 16MiB}}
  second: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    max_connections: 2
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
"""
gw = Gateway(policy=POLICY).start()


def session(**more):
    return Initiator(gw.port).login(more=more)


def joined(first):
    """A second connection of its session."""
    i = Initiator(gw.port, isid=first.isid)
    i.tsih, i.cid, i.cmdsn = first.tsih, 1, first.cmdsn
    i.prove(i.challenged())
    return i.operate(target=None)


def held(i, lba, attribute=SIMPLE, lun=0):
    """A WRITE of one block that waits for its data: its tag, the R2T's tag."""
    tag = i.command(write16(lba, 1), lun, write=NEW, immediate_data=False, attribute=attribute)
    return tag, i.expect(R2T, tag).ttt


def write(i, lba, data, attribute, lun=0):
    return i.command(write16(lba, len(data) // 512), lun, write=data, attribute=attribute)


def read(i, lba, attribute=SIMPLE):
    return i.command(read16(lba, 1), read=512, attribute=attribute)


def next_answer(i):
    """The next command's end: its tag, status, and data or sense."""
    pdu = i.receive()
    assert pdu.opcode in (RESPONSE, DATA_IN), pdu.opcode
    return pdu.itt, pdu.status, pdu.data


def silent(i):
    """Is nothing answered? A NOP comes back, and nothing before it."""
    i.itt += 1
    i.send(NOP_OUT, 0x80, b"ping", immediate=True, fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
    pdu = i.receive()
    return pdu.opcode == NOP_IN and pdu.itt == i.itt


def sense(answer):
    status, data = answer
    return (data[4] & 0xf, data[14], data[15]) if status == CHECK else answer


with session() as a:
    first, ttt = held(a, 7)
    ordered, last = write(a, 7, OTHER, ORDERED), read(a, 7)
    check(AREA, "SAM-5 8: ORDERED waits for the WRITE before it, and what is behind waits for it", silent(a), gw.log())
    check(AREA, "HEAD OF QUEUE is answered at once", a.answer(a.command(READY, attribute=HEAD_OF_QUEUE))[0] == GOOD)
    check(AREA, "INQUIRY is head of queue implicitly", a.run(INQUIRY, read=36)[0] == GOOD)
    check(AREA, "another LUN is not held up", a.answer(write(a, 7, OLD, ORDERED, lun=1))[0] == GOOD and a.ready(1)[0] == GOOD)
    sensed = a.command(REQUEST_SENSE, read=18)
    check(AREA, "REQUEST SENSE waits like any other", silent(a))
    a.data_out(first, ttt, 0, NEW)
    answers = [next_answer(a) for _ in range(4)]
    check(AREA, "each is answered in its turn, and the READ sees what the ORDERED WRITE wrote",
          [n[0] for n in answers[:2]] == [first, ordered] and {n[0] for n in answers[2:]} == {last, sensed}
          and all(n[1] == GOOD for n in answers) and dict((n[0], n[2]) for n in answers)[last] == OTHER, gw.log())

    first, ttt = held(a, 7, attribute=HEAD_OF_QUEUE)
    untagged = read(a, 7, attribute=UNTAGGED)
    check(AREA, "untagged, as SIMPLE, waits for HEAD OF QUEUE", silent(a))
    a.data_out(first, ttt, 0, NEW)
    check(AREA, "and sees what it wrote", next_answer(a)[:2] == (first, GOOD) and next_answer(a) == (untagged, GOOD, NEW))

    # data that comes while its task is dormant
    first, ttt = held(a, 7)
    big = bytes(range(256)) * 512
    waits = a.command(write16(100, len(big) // 512), write=big, attribute=ORDERED, immediate_data=False)
    part = write(a, 50, big[:65536], SIMPLE)
    check(AREA, "no R2T for a task that is dormant", silent(a))
    a.data_out(first, ttt, 0, OLD)
    check(AREA, "a dormant WRITE asks for its data in its turn", a.answer(first)[0] == GOOD and a.answer(waits, big)[0] == GOOD)
    check(AREA, "immediate data is kept until its task's turn", a.answer(part)[0] == GOOD
          and a.read(50, 128) == (GOOD, big[:65536]) and a.read(100, 256) == (GOOD, big))

    # chains
    tags, wanted = [], {}
    for n in range(20):
        block = bytes([n + 1]) * 512
        tags += [write(a, 7, block, ORDERED), read(a, 7), read(a, 7, ORDERED)]
        wanted |= {tags[-1]: block, tags[-2]: block}
    got = {tag: (status, data) for tag, status, data in (next_answer(a) for _ in tags)}
    check(AREA, "60 commands, each READ between ORDERED ones: each sees its own WRITE",
          all(got[t] == (GOOD, wanted.get(t, b"")) for t in tags), str([t for t in tags if got[t] != (GOOD, wanted.get(t, b""))]))

# --- aborts ---------------------------------------------------------------------------------------------------------------
with session() as a:
    first, ttt = held(a, 7)
    ordered, last = write(a, 7, OTHER, ORDERED), read(a, 7)
    a.write(7, OLD, lun=1)
    check(AREA, "ABORT TASK of a dormant task", a.task(ABORT_TASK, ordered) == 0)
    a.data_out(first, ttt, 0, OLD)
    answers = {n[0]: n[1:] for n in (next_answer(a), next_answer(a))}
    check(AREA, "what was behind it goes on, and it is never carried out", set(answers) == {first, last} and a.read(7, 1) == (GOOD, OLD))

    first, ttt = held(a, 7)
    ordered, last = write(a, 7, OTHER, ORDERED), read(a, 7)
    check(AREA, "ABORT TASK of the one before ORDERED lets it start", a.task(ABORT_TASK, first) == 0
          and a.answer(ordered)[0] == GOOD and a.answer(last) == (GOOD, OTHER))

    for function, name in ((ABORT_TASK_SET, "ABORT TASK SET"), (CLEAR_TASK_SET, "CLEAR TASK SET"), (LUN_RESET, "LUN RESET")):
        held(a, 7, ORDERED)
        for n in range(10):
            write(a, 7, NEW, ORDERED if n % 2 else SIMPLE)
        check(AREA, f"P4: none that {name} ends is answered, or started by the end of another", a.task(function, 0xffffffff) == 0
              and silent(a) and (function != LUN_RESET or sense(a.ready()) == (6, 0x29, 3)) and a.read(7, 1) == (GOOD, OTHER))

# --- lost connections -----------------------------------------------------------------------------------------------------
with session(MaxConnections="2") as a:
    b = joined(a)
    first, ttt = held(b, 7)
    a.cmdsn, a.itt = b.cmdsn, b.itt
    ordered, last = write(a, 7, NEW, ORDERED), read(a, 7)
    check(AREA, "ORDERED waits for a task of another connection", silent(a))
    b.reset()
    check(AREA, "it starts when that connection is lost", a.answer(ordered)[0] == GOOD and a.answer(last) == (GOOD, NEW))

a = session()
held(a, 7, ORDERED)
for n in range(20):
    write(a, 7, OTHER, ORDERED)
a.reset()
with session() as b:
    check(AREA, "tasks that are dormant when the session is lost are never carried out", b.read(7, 1) == (GOOD, NEW))

# --- what is not there ----------------------------------------------------------------------------------------------------
with session() as a:
    check(AREA, "ACA: 49h/00h, there are no ACA conditions", sense(a.answer(a.command(READY, attribute=ACA))) == (5, 0x49, 0))
    for n in (5, 6, 7):
        a.command(READY, attribute=n, immediate=True)
        check(AREA, f"attribute {n}, which is reserved, is rejected as an invalid field", a.expect(REJECT).bhs[2] == 9)
    status, data = a.run(bytes([0, 0, 0, 0, 0, 4]))
    check(AREA, "NACA=1: 24h/00h, which points at CONTROL", sense((status, data)) == (5, 0x24, 0) and data[2 + 15:2 + 18] == b"\xca\0\5")
check(AREA, "the gateway is well", gw.is_well(), gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0)
