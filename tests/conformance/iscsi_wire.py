#!/usr/bin/env python3
"""What stands on the wire, read by tshark: our own initiator's conversations, qemu-img and qemu-io."""
import glob, os, pathlib, shutil
from capture import Capture
from harness import *
from initiator import *

AREA = "iscsi"
gw = Gateway(size="16MiB").start()
DIGESTS = dict(HeaderDigest="CRC32C,None", DataDigest="CRC32C,None")


def discover():
    with Initiator(gw.port).login(target=None) as i:
        i.itt += 1
        i.send(TEXT, 0x80, b"SendTargets=All\0", fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
        return TARGET.encode() in i.expect(TEXT_RESPONSE, i.itt).data


def put(i, lba, data, immediate, fua=False):
    return i.answer(i.command(write16(lba, len(data) // 512, fua), write=data, immediate_data=immediate), data)[0] == 0


def talk(immediate=True, **more):
    """Everything of the full-feature phase that an initiator uses, and what ends it."""
    with Initiator(gw.port).login(more=more) as i:
        data = os.urandom(400 * 512)
        fine = i.nop() == b"ping" and put(i, 0, data, immediate) and i.read(0, 400) == (0, data)
        fine = fine and put(i, 8, data[:4096], immediate, fua=True) and i.ready()[0] == 0
        fine = fine and i.read(1 << 40, 1)[0] == 2  # CHECK CONDITION, with sense data
        for cdb, length in ((bytes((0x12, 0, 0, 0, 96, 0)), 96), (bytes((0x12, 1, 0x83, 1, 0, 0)), 256),
                            (bytes((0x9e, 0x10)) + bytes(11) + bytes((32, 0, 0)), 32), (bytes((0x1a, 0, 0x3f, 0, 255, 0)), 255),
                            (bytes((0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)), 256)):
            fine = i.run(cdb, read=length)[0] == 0 and fine
        fine = fine and i.task(1, 0x4711) == 1 and i.task(5, 0xffffffff) == 0
        i.data_out(0x7777, 0xffffffff, 0, data[:512])
        fine = fine and i.expect(REJECT).bhs[2] == 9 and i.nop(immediate=False) == b"ping"
        return fine and i.logout() == 0


def refused(**login):
    try:
        with Initiator(gw.port) as i:
            i.login(**login)
    except Refused:
        return True
    return False


with Capture(gw.port) as wire:
    check(AREA, "our own initiator discovers the target", discover())
    check(AREA, "our own initiator says everything that it can", talk())
    check(AREA, "so it does with digests", talk(**DIGESTS))
    check(AREA, "and with small segments and R2Ts for everything",
          talk(immediate=False, InitialR2T="Yes", ImmediateData="No", MaxRecvDataSegmentLength="512", MaxBurstLength="4096", FirstBurstLength="512"))
    check(AREA, "a wrong secret and a wrong target are refused", refused(secret="not-the-secret-01") and refused(target=TARGET + "x"))
wire.check(AREA, "the conversations of our own initiator")


# --- qemu ----------------------------------------------------------------------------------------------------------------
def shim():
    """qemu does mutual CHAP only when told from below: see mutual_chap_preload.c."""
    library = pathlib.Path("mutual_chap.so").resolve()
    source = pathlib.Path(__file__).with_name("mutual_chap_preload.c")
    found = glob.glob("/usr/lib/*/libiscsi.so.*[0-9]")
    built = found and run("cc", "-shared", "-fPIC", f'-DLIBISCSI="{min(found, key=len)}"', "-o", library, source, "-ldl").returncode == 0
    return library if built else None


library = shim()
options = (f"driver=iscsi,transport=tcp,portal=127.0.0.1:{gw.port},target={TARGET},lun=0,user=alice,password={SECRET},"
           f"initiator-name={CLIENT}")
if library is None or not shutil.which("qemu-io"):
    skip(AREA, "qemu-io writes and reads patterns", "no qemu-io or no compiler")
else:
    gw.accept_weaker()
    env = {**gw.mutual(), "LD_PRELOAD": str(library)}
    with Capture(gw.port) as wire:
        done = run("qemu-io", "--image-opts", options, "-c", "write -P 0x5a 0 1M", "-c", "read -P 0x5a 0 1M", "-c", "writev -P 7 2M 64k 4k 512",
                   "-c", "read -P 7 2M 68k", "-c", "aio_write -P 9 4M 256k", "-c", "aio_flush", "-c", "flush", "-c", "read -P 9 4M 256k", env=env)
        fine = done.returncode == 0 and "error" not in done.stdout + done.stderr and "verification failed" not in done.stdout
        check(AREA, "qemu-io writes and reads patterns", fine, done.stdout + done.stderr)
        pathlib.Path("in.raw").write_bytes(os.urandom(4 << 20) + bytes(12 << 20))
        there = run("qemu-img", "convert", "-n", "-f", "raw", "in.raw", "--target-image-opts", options, env=env)
        back = run("qemu-img", "convert", "--image-opts", options, "-O", "raw", "out.raw", env=env)
        same = run("cmp", "in.raw", "out.raw").returncode == 0
        check(AREA, "qemu-img writes an image and reads it back", (there.returncode, back.returncode, same) == (0, 0, True),
              there.stderr + back.stderr)
    wire.check(AREA, "qemu-io and qemu-img")
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
