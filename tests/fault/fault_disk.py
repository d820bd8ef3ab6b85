#!/usr/bin/env python3
"""A disk that shrinks or vanishes, a full file system: a clear error for people, the right sense for initiators."""
import atexit, json, os, signal, subprocess
from harness import *
from initiator import *

AREA = "disk"


def sense(data):
    """Key and additional sense code of a CHECK CONDITION's data segment."""
    return (data[4] & 0xf, data[14], data[15]) if len(data) >= 16 else data


def is_check(answer):
    return answer[0] == 2


def well(i, lun=0):
    """Past what it has to be told, which is returned."""
    told = []
    while is_check(answer := i.ready(lun)) and sense(answer[1])[0] == 6:
        told.append(sense(answer[1]))
    return told


gw = Gateway().start()
disk = gw.folder / "vault.img"
with Initiator(gw.port).login() as i, Initiator(gw.port).login() as other:
    assert i.write(8, b"x" * 512)[0] == 0
    os.truncate(disk, 1 << 20)
    size = disk.stat().st_size
    answer = wait_for(lambda: (a := i.ready()) and is_check(a) and a)
    check(AREA, "a disk that shrank answers TEST UNIT READY with an error", answer, answer)
    answer = i.read(60 << 11, 1)
    check(AREA, "reading beyond its end is an error, not zeroes", is_check(answer), answer)
    answer = i.write(60 << 11, b"y" * 512)
    check(AREA, "writing beyond its end is an error", is_check(answer), answer)
    check(AREA, "the file is not grown by a session", disk.stat().st_size == size, disk.stat().st_size)
    check(AREA, "the other LUN goes on", other.read(0, 1, lun=1)[0] == 0 and other.write(0, b"z" * 512, lun=1)[0] == 0)
    check(AREA, "status names the disk and exits with 1", wait_for(lambda: gw.command("status").returncode == 1) and "vault" in gw.command("status").stdout.splitlines()[0], gw.command("status").stdout)
    check(AREA, "the log says what happened and what to do", "disk vault is smaller" in gw.log(), gw.log())
    check("audit", "it is in the audit log", any(e.get("reason") == "shrank" for e in gw.audit("--op", "disk")), gw.audit("--op", "disk"))
gw.stop()

gw = Gateway().start()
with Initiator(gw.port).login() as i:
    assert i.write(8, b"x" * 512)[0] == 0
    os.unlink(gw.folder / "vault.img")
    answer = wait_for(lambda: (a := i.ready()) and is_check(a) and a)
    check(AREA, "a disk that was deleted answers TEST UNIT READY with NOT READY", answer and sense(answer[1])[0] == 2, answer)
    answer = i.write(8, b"y" * 512)
    check(AREA, "P4: a write to a deleted disk is not acknowledged", is_check(answer), answer)
    check(AREA, "status names the deleted disk", wait_for(lambda: gw.command("status").returncode == 1), gw.command("status").stdout)
gw.stop()

# --- a second gateway, and disks that are somebody else's --------------------------------------------------------------
gw = Gateway().start()
second = Gateway()
second.policy.write_text(gw.policy.read_text().replace(str(gw.port), str(second.port)) +
                         f"gateway: {{disk_roots: [{gw.folder}]}}\n")
done = second.command("run", second.policy)
check(AREA, "P1: a disk that another gateway serves is refused", done.returncode == 3 and "vault" in done.stderr, done.stderr)
text = gw.policy.read_text()
second.policy.write_text(text.replace("vault.img", "elsewhere.img").replace(str(gw.folder), "/etc"))
done = second.command("run", second.policy)
check(AREA, "P1: a disk outside of disk_roots is refused", done.returncode in (1, 3) and "disk_roots" in done.stderr, done.stderr)
done = run(SALLYPORT, "run", gw.policy, "--state", gw.state)
check(AREA, "a second gateway on the same state folder is refused", done.returncode == 3 and "another gateway" in done.stderr, done.stderr)
check(AREA, "the first is not disturbed by any of this", gw.status()["well"])

# --- a sync that fails: lost is lost --------------------------------------------------------------------------------
SYNC = bytes([0x35]).ljust(10, b"\0")
LOST = (3, 0x0c, 0)


def small_device(folder):
    """A loop device of 64 MiB over 2 MiB of room: the page cache takes what the sync can't write."""
    if run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder).returncode != 0:
        return None
    atexit.register(run, "umount", "-l", folder)
    run("truncate", "-s", "64M", folder / "disk")
    device = run("losetup", "--find", "--show", folder / "disk").stdout.strip()
    if device:
        atexit.register(run, "losetup", "-d", device)
    return device or None


gw = Gateway()
(gw.folder / "small").mkdir()
device = small_device(gw.folder / "small")
if device is None:
    skip(AREA, "a failed sync is never made good by a new login", "needs root, a mount and a loop device")
else:
    gw.policy.write_text(gw.policy.read_text().replace(f"{{file: {gw.folder}/vault.img, size: 64MiB}}", f"{{device: {device}}}"))
    gw.start()
    other = Initiator(gw.port, isid=b"\x80\0\0\0\0\x57").login()
    well(other)
    with Initiator(gw.port).login() as i:
        well(i)
        for k in range(8):
            i.write(k * 2048, b"x" * (1 << 20))
        answer = i.run(SYNC)
        check(AREA, "a sync that fails is a write error", is_check(answer) and sense(answer[1]) == LOST, answer)
        answers = i.run(SYNC), i.ready(), i.read(0, 1)
        check(AREA, "the disk stays failed for this session", all(is_check(a) and sense(a[1]) == LOST for a in answers), answers)
        wait_for(lambda: is_check(other.ready()))
        answers = other.ready(), other.read(0, 1)
        check(AREA, "P4: it failed for every other session, too", all(is_check(a) and sense(a[1]) == LOST for a in answers), answers)
        well(i, lun=1)
        check(AREA, "the other disk goes on", i.write(0, b"y" * 512, lun=1, fua=True)[0] == 0)
    with Initiator(gw.port, isid=b"\x80\0\0\0\0\x56").login() as i:
        answers = i.run(SYNC), i.ready(), i.read(0, 1)
        check(AREA, "P4: a failed sync is never made good by a new login", all(is_check(a) and sense(a[1]) == LOST for a in answers), answers)
    gw.stop(signal.SIGKILL)
    gw.start()
    with Initiator(gw.port).login() as i:
        answers = i.ready(), i.read(0, 1)
        check(AREA, "P4: a failed sync is never made good by kill -9 of the gateway and a restart", all(is_check(a) and sense(a[1]) == LOST for a in answers), answers)
        row = next(d for d in json.loads(gw.command("disk", "--json").stdout) if d["disk"] == "vault")
        check("cli", "disk says since when it has failed", row["failed"] and row["failed_since"].endswith("Z"), row)
        done = gw.command("disk", "clear", "vault")
        check("cli", "an operator clears it", done.returncode == 0 and gw.command("disk").returncode == 0, done.stderr)
        told = well(i)
        check(AREA, "its session goes on, told that the medium may have changed", (6, 0x28, 0) in told and i.read(0, 1)[0] == 0, told)
    check(AREA, "the log says what to do about it", "disk vault failed" in gw.log() and "sallyport disk clear vault" in gw.log(), gw.log())
    gw.stop()
finish()
