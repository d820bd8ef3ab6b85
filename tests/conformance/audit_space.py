#!/usr/bin/env python3
"""The disk of the trail fills: warned, then nobody new, then BUSY, and what has to be recorded still is; then all is well again."""
import ctypes, os, sys
from harness import *
from initiator import *

AREA = "audit"
BUSY = 0x08
MIB = 1 << 20
SENTENCE = "P4: too little room for the trail stops commands, and what has to be recorded is"

if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x20000) != 0 or run("mount", "--make-rprivate", "/").returncode != 0:
    skip(AREA, SENTENCE, "a small file system of its own needs root")
    finish()

KEPT = "audit: {space: {warn: 24MiB, refuse: 16MiB, stop: 8MiB, reserve: 4MiB}}"
gw = Gateway(more=KEPT)
folder = gw.state / "audit"
folder.mkdir(mode=0o700)
if run("mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", folder).returncode != 0:
    skip(AREA, SENTENCE, "no tmpfs can be mounted here")
    finish()
atexit.register(run, "umount", "-l", folder)
gw.start()
filler = folder / "filler"


def leave(octets):
    """Fills the file system until so many octets are left; 0: all of it."""
    st = os.statvfs(folder)
    has = filler.stat().st_blocks * 512 if filler.exists() else 0
    size = has + st.f_bavail * st.f_frsize - octets
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
    os.posix_fallocate(fd, 0, size)
    os.ftruncate(fd, size)
    os.close(fd)


def room(word):
    return wait_for(lambda: gw.status()["trail"]["room"] == word)


def login():
    """The status of a login: 0 when it enters."""
    try:
        with Initiator(gw.port) as i:
            i.login()
            i.logout()
        return 0
    except Refused as refused:
        return refused.status


def spaces():
    return [e["reason"] for e in gw.audit("--op", "space")]


wait_for(lambda: gw.status()["trail"]["free_octets"])
status = gw.status()
check(AREA, "with enough room all is well, and status says how much there is", status["well"] and status["trail"]["room"] == "enough" and
      40 * MIB < status["trail"]["free_octets"] < 64 * MIB and status["trail"]["octets"] > 0, status["trail"])
reserve = folder / "reserve"
check(AREA, "the reserve is there, of zeros, and really takes its room", wait_for(lambda: reserve.exists() and reserve.stat().st_blocks * 512 >= 4 * MIB) and
      not any(reserve.read_bytes()), list(folder.iterdir()))

with Initiator(gw.port).login() as i:
    assert i.write(0, b"A" * 512)[0] == 0
    leave(20 * MIB)
    check(AREA, "little room is warned of, and is no problem", room("little") and gw.is_well() and "WARNING" in gw.command("status").stdout, gw.status())
    check(AREA, "who comes then enters", login() == 0)
    leave(12 * MIB)
    check(AREA, "less room is a problem", room("refuse") and not gw.is_well() and "no new session" in gw.command("status").stdout, gw.status())
    check(AREA, "P4: who comes then is answered 0301h", login() == 0x0301, gw.log()[-2000:])
    check(AREA, "and who is there goes on", i.write(1, b"B" * 512)[0] == 0)
    leave(6 * MIB)
    check(AREA, "too little room is a problem", room("stop") and "BUSY" in gw.command("status").stdout, gw.status())
    check(AREA, "P4: commands are answered BUSY then", i.write(2, b"C" * 512)[0] == BUSY)
    done = gw.command("sessions", "kick", "999")
    check(AREA, "an operator's command is recorded all the same", wait_for(lambda: any("kick 999" in e["detail"] for e in gw.audit("--op", "operator"))), gw.audit("--op", "operator"))
    leave(0)
    # what is written next finds the disk full, and the reserve is for it
    for n in range(400):
        gw.command("sessions", "kick", str(1000 + n))
        if not reserve.exists():
            break
    check(AREA, "when the disk is full the reserve is given up", not reserve.exists(), gw.log()[-2000:])
    done = gw.command("sessions", "kick", "99999")
    check(AREA, "P4: and an operator's command is recorded still", wait_for(lambda: any("kick 99999" in e["detail"] for e in gw.audit("--op", "operator"))), gw.log()[-2000:])
    check(AREA, "while commands get BUSY", i.write(2, b"D" * 512)[0] == BUSY)
    filler.unlink()
    check(AREA, "with room again all is well", room("enough") and wait_for(gw.is_well), gw.status())
    check(AREA, "who was BUSY goes on, without another login", wait_for(lambda: i.write(2, b"E" * 512)[0] == 0))
    check(AREA, "and the reserve is there again", wait_for(lambda: reserve.exists() and reserve.stat().st_size == 4 * MIB))
    check(AREA, "who comes enters again", login() == 0)
    i.logout()
check(AREA, "each step is in the trail, in its order", [r for r in spaces() if r != "enough"][:3] == ["warn", "refuse", "stop"] and spaces()[-1] == "enough", spaces())
done = gw.reload(more=KEPT.replace("24MiB", "63MiB").replace("16MiB", "40MiB").replace("reserve: 4MiB", "reserve: 2MiB"))
check(AREA, "P7: a reload changes what is little, at once", done.returncode == 0 and room("little") and wait_for(lambda: reserve.stat().st_size == 2 * MIB), done.stderr)
gw.stop()
done = gw.command("audit", "show", "--json")
check(AREA, "the trail is whole: every octet of it can be read", done.returncode == 0 and not done.stderr, done.stderr)
finish()
