#!/usr/bin/env python3
"""Disks around the page cache (cache: none), with both engines: what is read and written is right, also by two initiators
within one page, and leaves no page of the file in memory; iscsi-test-cu; a file that ends too soon; a reload that changes it."""
import errno, mmap, random, threading
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
SECOND = CLIENT + "-second"
BOB = dict(user="bob", secret="bob-secret-0123456789")
COLD, KEPT, WIDE = range(3)
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  cold: {{file: {folder}/cold.img, size: 64MiB, cache: none, physical_block_size: 512, writers: cluster}}
  kept: {{file: {where}/kept.img, size: 16MiB, cache: {kept}, writers: cluster}}
  wide: {{file: {folder}/wide.img, size: 64MiB, cache: none, block_size: 4096, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: cold, 1: kept, 2: wide}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
        allow: [sanitize]
      {client}-second:
        chap: {{user: bob, mutual: gw-for-alice, algorithms: [md5]}}
gateway: {{io: {io}}}
"""
# Those whose data does not lie as a disk around the page cache wants it, and those that change ranges.
FAMILIES = {("uring", COLD): ["CompareAndWrite", "OrWrite", "WriteSame16", "WriteAtomic16", "Verify16", "WriteVerify16", "Read16",
                              "Write16", "Unmap", "GetLBAStatus", "ExtendedCopy", "Sanitize.Overwrite"],
            ("uring", WIDE): ["WriteSame10", "WriteAtomic16"],
            ("threads", COLD): ["CompareAndWrite", "WriteSame10", "WriteAtomic16"]}
libc = ctypes.CDLL(None, use_errno=True)


def uring_missing():
    libc.syscall(425, 0, None)
    return ctypes.get_errno() in (errno.ENOSYS, errno.EPERM)


def pages(path):
    """How many pages of a file are in memory."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, f.fileno(), 0)
        there = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        assert libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(size), there) == 0
        libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(size))
        return sum(octet & 1 for octet in there)


def on_disk(name, at, length):
    """What the file holds, in as few pages as that takes."""
    with open(gw.folder / name, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        return os.pread(f.fileno(), length, at)


def live():
    """Sessions that have a process still."""
    return [s for s in gw.sessions() if s["pid"] > 0]


def first():
    i = Initiator(gw.port).login()
    i.hear()
    return i


def second():
    i = Initiator(gw.port, name=SECOND).login(**BOB)
    i.hear()
    return i


def cdb16(opcode, lba, blocks, flags=0):
    return struct.pack(">BBQIxx", opcode, flags, lba, blocks)


# --- nothing stays in memory -------------------------------------------------------------------------------------------
def leaves_nothing(io):
    data = os.urandom(4 << 20)
    with first() as i:
        for lun in (COLD, KEPT):
            assert i.write(0, data, lun)[0] == GOOD and i.read(0, len(data) // 512, lun) == (GOOD, data)
        assert i.write(1 << 14, data[:512], COLD, fua=True)[0] == GOOD and i.run(cdb16(0x91, 0, 0), COLD)[0] == GOOD
        cold, kept = pages(gw.folder / "cold.img"), pages(gw.folder / "kept.img")
        check(AREA, f"io: {io}: 4 MiB written and read leave no page of the file in memory", cold == 0, cold)
        check(AREA, "… where another disk's, with cache: page, stay there", kept == 1024, kept)
        # in the page cache, and written back nowhere
        with open(gw.folder / "cold.img", "r+b", 0) as f:
            f.seek(4096)
            f.write(b"from elsewhere".ljust(512, b"."))
        check(AREA, "what the page cache has that the disk has not is read", i.read(8, 1, COLD)[1][:14] == b"from elsewhere")
        i.logout()


# --- data that does not lie as it should -----------------------------------------------------------------------------------
def lies_anyhow(io):
    block, other = os.urandom(512), os.urandom(512)
    with first() as i:
        fine = i.run(cdb16(0x93, 3, 1001), COLD, write=block)[0] == GOOD and i.read(3, 1001, COLD) == (GOOD, block * 1001)
        check(AREA, f"io: {io}: WRITE SAME of one block", fine)
        fine = i.run(struct.pack(">BBQ3xBxx", 0x89, 0, 5, 1), COLD, write=block + other)[0] == GOOD
        fine = fine and i.run(struct.pack(">BBQ3xBxx", 0x89, 0, 5, 1), COLD, write=block + other)[1][14] == 0x1d
        fine = fine and i.read(4, 3, COLD) == (GOOD, block + other + block)
        check(AREA, f"io: {io}: COMPARE AND WRITE of one block, and its miscompare", fine)
        fine = i.run(cdb16(0x8b, 5, 1), COLD, write=block)[0] == GOOD
        fine = fine and i.read(5, 1, COLD)[1] == bytes(a | b for a, b in zip(block, other))
        check(AREA, f"io: {io}: ORWRITE of one block", fine)
        fine = i.run(cdb16(0x93, 7, 9, 8), COLD, write=bytes(512))[0] == GOOD
        fine = fine and i.read(6, 11, COLD) == (GOOD, block + bytes(9 * 512) + block)
        check(AREA, f"io: {io}: blocks within a page are given back, their neighbours stay", fine)
        i.logout()


def page_is_shared(io):
    """Each initiator has every second block; a page that went back as a whole would take the other's along."""
    seed, errors = int.from_bytes(os.urandom(4), "big"), []

    def writes(who, odd):
        try:
            chance, model = random.Random(seed + odd), {}
            for _ in range(40):
                flying = {}
                for lba in chance.sample(range(odd, 256, 2), 16):
                    model[lba] = chance.randbytes(512)
                    flying[who.command(write16(lba, 1), COLD, write=model[lba])] = lba
                while flying:
                    pdu = who.receive()
                    if pdu.itt in flying:
                        assert pdu.opcode == RESPONSE and pdu.status == GOOD, pdu.data
                        del flying[pdu.itt]
            for lba, data in model.items():
                assert who.read(lba, 1, COLD) == (GOOD, data), f"block {lba}"
        except Exception as error:
            errors.append((odd, repr(error)))
    with first() as one, second() as two:
        crowd = [threading.Thread(target=writes, args=(who, odd), daemon=True) for odd, who in enumerate((one, two))]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join(60)
        check(AREA, f"io: {io}: two initiators write every second block, and lose none (seed {seed})", not errors, errors)
        one.logout(), two.logout()


def suite(io):
    gw.accept_weaker()
    for lun in (COLD, WIDE):
        for family in FAMILIES.get((io, lun), []):
            done = run("iscsi-test-cu", "-i", CLIENT, "-I", CLIENT, "--dataloss", "--allow-sanitize", "-t", f"ALL.{family}", gw.url(lun),
                       env=gw.mutual(), timeout=120)
            said = done.stdout + done.stderr
            summary = [line.split() for line in said.splitlines() if line.split()[:1] == ["tests"]]
            check(AREA, f"io: {io}: iscsi-test-cu {family} passes on {'cold' if lun == COLD else 'wide'}",
                  bool(summary) and int(summary[0][3]) > 0 and summary[0][4] == "0", said)


# --- ends and changes ----------------------------------------------------------------------------------------------------------
def flags(pid):
    """Of the descriptors of a process that are disks: is each opened with O_DIRECT?"""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = os.path.basename(os.readlink(f"/proc/{pid}/fd/{fd}"))
        if path.endswith(".img"):
            words = open(f"/proc/{pid}/fdinfo/{fd}").read().split()
            found[path] = bool(int(words[words.index("flags:") + 1], 8) & os.O_DIRECT)
    return found


def granted():
    if os.geteuid() != 0:
        skip(AREA, "P3: the descriptor that a session is given has O_DIRECT", "needs root: sessions are closed to others")
        return
    with first() as i:
        found = flags(live()[0]["pid"])
        check(AREA, "P3: the descriptor that a session is given has O_DIRECT", found == {"cold.img": True, "kept.img": False, "wide.img": True}, found)
        i.logout()


def reloads():
    with first() as i:
        gw.policy.write_text(gw.template.format(**(gw.values | {"kept": "none"})))
        plan = gw.command("plan", gw.policy).stdout
        check(AREA, "plan: another cache ends the sessions that have the disk", "kept" in plan and "another cache" in plan, plan)
        done = gw.reload(kept="none")
        check(AREA, "a reload takes another cache up", done.returncode == 0, done.stdout + done.stderr)
        check(AREA, "… and who has the disk is asked to log out", wait_for(lambda: asked_out(i)))
        beside = []
        other = threading.Thread(target=lambda: beside.append(names_after_login()), daemon=True)
        other.start()
        wait_for(lambda: beside or any(s["initiator"] == SECOND for s in live()))
        early = [s for _ in range(20) for s in live() if s["initiator"] == SECOND and s["state"] == "granted"]
        i.logout()
        other.join(60)
        check(AREA, "… and nobody goes around the page cache beside who still goes through it", not early and beside == [{SECOND}], (early, beside))
    wait_for(lambda: not live())
    with first() as i:
        assert i.write(0, bytes(1 << 20), KEPT)[0] == GOOD
        os.system(f"sync {gw.folder}/kept.img")
        before = pages(gw.folder / "kept.img")
        assert i.read(2048, 8192, KEPT)[0] == GOOD
        check(AREA, "… then what is read stays in memory no more", pages(gw.folder / "kept.img") <= before, before)
        i.logout()


def names_after_login():
    """Who has a session when the second initiator has its own."""
    with second() as i:
        names = {s["initiator"] for s in live()}
        i.logout()
        return names


def asked_out(i):
    """Asynchronous message 1: a logout is wanted."""
    pdu = i.receive()
    return pdu.opcode == ASYNC and pdu.bhs[36] == 1


def refused():
    done = run("stat", "--file-system", "--format", "%T", "/dev/shm").stdout.strip()
    if done != "tmpfs":
        return skip(AREA, "a file on a tmpfs is refused", "no tmpfs at /dev/shm")
    folder = tempfile.mkdtemp(prefix="uncached-", dir="/dev/shm")
    atexit.register(shutil.rmtree, folder, True)
    done = gw.reload(where=folder, kept="none")
    said = done.stdout + done.stderr + gw.log()
    check(AREA, "a file on a tmpfs is refused, with what to do", done.returncode != 0 and "nothing but page cache: move it, or write cache: page" in said, said)
    check(AREA, "… and the policy before stays in force", gw.reload(where=gw.folder, kept="page").returncode == 0)


def ends_too_soon():
    with first() as i:
        last = (64 << 11) - 1
        assert i.write(last - 63, os.urandom(32768), COLD)[0] == GOOD
        os.truncate(gw.folder / "cold.img", (64 << 20) - 5000)  # within a block
        status, data = i.read(last - 63, 64, COLD)
        check(AREA, "a file that ends within a block that is read: an error, and no data", status == CHECK and data[2 if data[0] & 0xf0 else 4] & 0xf in (2, 3), (status, data))
        check(AREA, "… and its disk is closed", i.read(0, 1, COLD)[0] == CHECK and i.ready(KEPT)[0] == GOOD)
        i.logout()


reason = no_direct_io()
if reason:
    skip(AREA, "disks around the page cache", reason)
    finish()
for io in ("uring", "threads"):
    if io == "uring" and uring_missing():
        skip(AREA, "disks around the page cache through io_uring", "this kernel has none, or forbids it")
        continue
    gw = Gateway(policy=POLICY, io=io, kept="page", where="{folder}")
    gw.values["where"] = gw.folder
    gw.policy.write_text(POLICY.format(**gw.values))
    gw.secret("bob", BOB["secret"])
    gw.start()
    leaves_nothing(io)
    lies_anyhow(io)
    page_is_shared(io)
    granted()
    suite(io)
    if io == "threads":
        refused()
        reloads()
        ends_too_soon()
    check(AREA, f"io: {io}: the gateway stops cleanly", "was ended by signal" not in gw.log() and gw.stop() == 0, gw.log())
finish()
