#!/usr/bin/env python3
"""Random data through both I/O engines, on a file, around the page cache, in memory and on a block device, against a model.

Four sessions at once, one of them with 64 commands in flight; then large transfers, looked at PDU by PDU.
"""
import ctypes, errno, os, pathlib, random, resource, shutil, threading
import processes
from harness import *
from initiator import *

AREA = "iscsi"
GOOD = 0
AREA_BLOCKS = 8192  # 4 MiB for each session on each disk
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB}}
  second: {{memory: 64MiB}}
{more_disks}
targets:
  {target}:
    portals: [here]
    luns: {luns}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
gateway: {{io: {io}}}
"""


class LoopDevice:
    """/dev/loopN on a file; .path is None where there can't be one, .why says so."""

    def __init__(self):
        self.path, self.why = None, "needs root and losetup"
        self.folder = tempfile.mkdtemp(prefix="loop-")
        atexit.register(self.close)
        if os.geteuid() != 0 or shutil.which("losetup") is None:
            return
        run("truncate", "-s", "64M", self.folder + "/disk")
        done = run("losetup", "--find", "--show", self.folder + "/disk")
        self.path, self.why = (done.stdout.strip() or None), done.stderr.strip()

    def close(self):
        if self.path:
            run("losetup", "-d", self.path)
        shutil.rmtree(self.folder, ignore_errors=True)


class Pump:
    """Many commands in flight on one session; each answer is checked against the model."""

    def __init__(self, session, lun, first, chance):
        self.session, self.lun, self.first, self.chance = session, lun, first, chance
        self.model = bytearray(AREA_BLOCKS * 512)
        self.flying, self.expmax, self.most = {}, 0, 0

    def busy(self, lba, blocks):
        return any(lba < at + n and at < lba + blocks for at, n, *_ in self.flying.values())

    def send(self, largest):
        """One random command that touches nothing that is in flight; None: try again."""
        blocks = min(self.chance.choice((1, 2, 7, 8, 64, 127, 128, 129, 512, 2048)), largest)
        lba = self.chance.randrange(AREA_BLOCKS - blocks + 1)
        if self.busy(lba, blocks):
            return
        if self.chance.random() < 0.5:
            data = self.chance.randbytes(blocks * 512)
            tag = self.session.command(write16(self.first + lba, blocks, self.chance.random() < 0.1), lun=self.lun, write=data,
                                       immediate_data=self.chance.random() < 0.5)
            self.flying[tag] = (lba, blocks, "write", data)
        else:
            tag = self.session.command(read16(self.first + lba, blocks), lun=self.lun, read=blocks * 512)
            self.flying[tag] = (lba, blocks, "read", bytearray())
        self.most = max(self.most, len(self.flying))

    def take(self):
        """One PDU."""
        pdu = self.session.receive()
        self.watch_window(pdu)
        if pdu.itt not in self.flying:
            return
        lba, blocks, kind, data = self.flying[pdu.itt]
        if pdu.opcode == R2T:
            at, length = pdu.u32(40), pdu.u32(44)
            self.session.data_out(pdu.itt, pdu.ttt, at, data[at:at + length])
            return
        if pdu.opcode == DATA_IN:
            assert pdu.u32(40) == len(data), "Data-In is out of order"
            data += pdu.data
            if not pdu.flags & 1:
                return
        assert pdu.opcode in (DATA_IN, RESPONSE) and pdu.status == GOOD, (pdu.opcode, pdu.status, pdu.data)
        place = slice(lba * 512, (lba + blocks) * 512)
        if kind == "write":
            self.model[place] = data
        else:
            assert self.model[place] == data, f"wrong data at block {lba}, {blocks} blocks"
        del self.flying[pdu.itt]

    def watch_window(self, pdu):
        """RFC 7143 section 4.2.2.1: MaxCmdSN never goes back; and we have room for 128."""
        assert pdu.u32(32) >= self.expmax and pdu.u32(32) - pdu.u32(28) < 128, "the window"
        self.expmax = pdu.u32(32)

    def run(self, count, depth, largest):
        while count > 0 or self.flying:
            room = self.session.maxcmdsn - self.session.cmdsn + 1
            if count > 0 and len(self.flying) < depth and room > 0:
                before = len(self.flying)
                self.send(largest)
                count -= len(self.flying) > before
                if len(self.flying) > before or before == 0:
                    continue
            self.take()
        for lba in range(0, AREA_BLOCKS, 2048):
            assert self.session.read(self.first + lba, 2048, self.lun) == (GOOD, bytes(self.model[lba * 512:(lba + 2048) * 512]))


def worker(gw, number, luns, errors, seed):
    try:
        with Initiator(gw.port).login(more={"MaxOutstandingR2T": str(1 + number), "MaxRecvDataSegmentLength": "65536"}) as i:
            for lun in luns:
                pump = Pump(i, lun, number * AREA_BLOCKS, random.Random(seed + number))
                pump.session.write(pump.first, bytes(1 << 20), lun)
                for lba in range(2048, AREA_BLOCKS, 2048):
                    i.write(pump.first + lba, bytes(1 << 20), lun)
                if number == 0:
                    pump.run(200, 64, 128)
                    assert pump.most > 40, pump.most
                else:
                    pump.run(40, 4, 2048)
                assert i.run(bytes([0x35]).ljust(10, b"\0"), lun)[0] == GOOD, "SYNCHRONIZE CACHE(10)"
                assert i.run(bytes([0x91]).ljust(16, b"\0"), lun)[0] == GOOD, "SYNCHRONIZE CACHE(16)"
                assert i.write(pump.first, b"fua!" * 128, lun, fua=True)[0] == GOOD
                assert i.read(pump.first, 1, lun) == (GOOD, b"fua!" * 128)
            i.logout()
    except Exception as error:
        errors.append((number, repr(error)))


def random_data(gw, io, luns):
    seed, errors = int.from_bytes(os.urandom(4), "big"), []
    crowd = [threading.Thread(target=worker, args=(gw, n, luns, errors, seed), daemon=True) for n in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(600)
    check(AREA, f"io: {io}: four sessions read what they wrote, on {len(luns)} kinds of disk (seed {seed})", not errors, f"{errors}\n{gw.log()}")


# --- large transfers, PDU by PDU ---------------------------------------------------------------------------------------
def write_in_bursts(i, lun, data, outstanding):
    """True: each R2T is next, within MaxBurstLength, and no more are open than was agreed on."""
    tag = i.command(write16(0, len(data) // 512), lun=lun, write=data, immediate_data=False)
    expected, number, open_bursts = 0, 0, []
    while True:
        i.socket.settimeout(0.05 if open_bursts else 30)
        try:
            pdu = i.receive()
        except TimeoutError:  # nothing more is asked: answer the oldest, in PDUs of 128 KiB
            ttt, at, length = open_bursts.pop(0)
            i.socket.settimeout(30)
            for k in range(0, length, 131072):
                end = min(k + 131072, length)
                i.data_out(tag, ttt, at + k, data[at + k:at + end], k // 131072, end == length)
            continue
        if pdu.opcode == RESPONSE:
            return pdu.status == GOOD and expected == len(data) and not open_bursts
        if pdu.opcode != R2T or pdu.u32(36) != number or pdu.u32(40) != expected or not 0 < pdu.u32(44) <= 262144:
            return False
        open_bursts.append((pdu.ttt, pdu.u32(40), pdu.u32(44)))
        expected, number = expected + pdu.u32(44), number + 1
        if len(open_bursts) > outstanding:
            return False


def read_in_bursts(i, lun, data):
    """True: DataSN and offset are next, each burst ends within MaxBurstLength, the status comes once."""
    tag = i.command(read16(0, len(data) // 512), lun=lun, read=len(data))
    got, number, burst = bytearray(), 0, 0
    while True:
        pdu = i.receive()
        if pdu.opcode == RESPONSE:
            return pdu.status == GOOD and got == data
        if pdu.itt != tag or pdu.opcode != DATA_IN or pdu.u32(36) != number or pdu.u32(40) != len(got) or len(pdu.data) > 65536:
            return False
        got, number, burst = got + pdu.data, number + 1, burst + len(pdu.data)
        if burst > 262144 or (pdu.flags & 1 and not pdu.flags & 0x80):
            return False
        if pdu.flags & 0x80:
            burst = 0
        if pdu.flags & 1:
            return pdu.status == GOOD and got == data


def large(gw, io):
    for outstanding in (1, 4):
        with Initiator(gw.port).login(more={"MaxOutstandingR2T": str(outstanding), "MaxRecvDataSegmentLength": "65536"}) as i:
            for size in (1 << 20, 4 << 20):
                data = os.urandom(size)
                sentence = f"io: {io}: {size >> 20} MiB are asked for in bursts, {outstanding} at once, and come back in bursts"
                check(AREA, sentence, write_in_bursts(i, 0, data, outstanding) and read_in_bursts(i, 0, data), gw.log())
            i.logout()
    with Initiator(gw.port).login() as i:
        status, sense = i.read(0, 8193)
        check(AREA, f"io: {io}: more than 4 MiB in one command is an invalid field", status == 2 and (sense[4] & 15, sense[14]) == (5, 0x24), sense)
        i.logout()


def read_many(i, count):
    """So many reads of 4 MiB at once: the seconds until the last one is over."""
    start = time.monotonic()
    tags = {i.command(read16(k % 16 * 8192, 8192), read=4 << 20) for k in range(count)}
    while tags:
        pdu = i.receive()
        if pdu.opcode == RESPONSE or (pdu.opcode == DATA_IN and pdu.flags & 1):
            assert pdu.status == GOOD, pdu.data
            tags.discard(pdu.itt)
    return time.monotonic() - start


def queued(gw, io):
    with Initiator(gw.port).login() as i:
        # one after the other none waits; a wait for the next tick would be a second longer, the more data the same
        took = [(sum(read_many(i, 1) for _ in range(8)), read_many(i, 8)) for _ in range(3)]
        check(AREA, f"io: {io}: commands that waited for buffers start as soon as these are free", any(together < 2 * alone + 0.5 for alone, together in took), took)
        pid = gw.sessions()[-1]["pid"]
        most = processes.octets(pid, "RssAnon")
        check(AREA, f"io: {io}: a session that rests gives the memory of its buffers back",
              most > 16 << 20 and wait_for(lambda: processes.octets(pid, "RssAnon") < 2 << 20), (most, processes.octets(pid, "RssAnon")))
        check(AREA, f"io: {io}: … and goes on", i.read(0, 8192)[0] == GOOD)
        i.logout()


def uring_missing():
    """Asks the kernel: io_uring_setup without arguments is wrong, or not there, or not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(425, 0, None)
    return ctypes.get_errno() in (errno.ENOSYS, errno.EPERM)


def has_ring(session):
    return "[io_uring]" in pathlib.Path(f"/proc/{session['pid']}/maps").read_text()


def warned(gw):
    return [w for w in gw.status()["warnings"] if "io_uring" in w]


def without_memory(gw):
    """Sessions that begin under another limit of locked memory, which some kernels hold against rings."""
    why = "P4: a session without memory for a ring does its I/O by threads"
    before = resource.prlimit(gw.process.pid, resource.RLIMIT_MEMLOCK)
    resource.prlimit(gw.process.pid, resource.RLIMIT_MEMLOCK, (0, before[1]))
    wait_for(lambda: not gw.sessions())
    with Initiator(gw.port).login() as i:
        if os.geteuid() != 0 or has_ring(gw.sessions()[0]):
            skip(AREA, why, "this user may not look, or this kernel does not count a ring as locked memory")
        else:
            check(AREA, why, i.read(0, 1)[0] == 0 and len(warned(gw)) == 1, gw.status()["warnings"])
            check(AREA, "… and the log says what to raise", "raise the limit of locked memory" in gw.log(), gw.log())
            resource.prlimit(gw.process.pid, resource.RLIMIT_MEMLOCK, before)
            with Initiator(gw.port, isid=b"\x80ring\x01").login() as j:
                check(AREA, "… and the next one has a ring", j.read(0, 1)[0] == 0 and sum(map(has_ring, gw.sessions())) == 1, gw.sessions())
    check(AREA, "… nothing is said of who is gone", wait_for(lambda: not warned(gw)), gw.status()["warnings"])


loop = LoopDevice()
if loop.path is None:
    skip(AREA, "random data on a block device", loop.why)
cached = no_direct_io()
if cached:
    skip(AREA, "random data around the page cache", cached)
for io in ("uring", "threads"):
    if io == "uring" and uring_missing():
        skip(AREA, "random data through io_uring", "this kernel has none, or forbids it")
        continue
    gw = Gateway(policy=POLICY, io=io, luns="{}", more_disks="")
    disks = {"device": f"{{device: {loop.path}}}" if loop.path else None,
             "cold": None if cached else f"{{file: {gw.folder}/cold.img, size: 64MiB, cache: none}}"}
    there = ["vault", "second", *(name for name in disks if disks[name])]
    gw.values |= {"luns": "{" + ", ".join(f"{k}: {name}" for k, name in enumerate(there)) + "}",
                  "more_disks": "\n".join(f"  {name}: {disks[name]}" for name in there[2:])}
    gw.policy.write_text(POLICY.format(**gw.values))
    gw.start()
    random_data(gw, io, list(range(len(there))))
    large(gw, io)
    queued(gw, io)
    if io == "uring":
        without_memory(gw)
    check(AREA, f"io: {io}: the gateway is well, and stops cleanly", "was ended by signal" not in gw.log() and gw.is_well() and gw.stop() == 0, gw.log())
finish()
