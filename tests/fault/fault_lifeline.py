#!/usr/bin/env python3
"""A session is killed while its write hangs in the kernel: the next login waits until that write is over, so it
never lands on newer data. The disk is a loop device whose backing file system is frozen."""
import contextlib, os, shutil, signal, subprocess, threading, time
from harness import *
from initiator import *

AREA = "fault"
SENTENCES = ["P4: a new login waits for the I/O of the session that it replaces",
             "P4: past 10 s it is answered 0301h",
             "P4: when the old write is over, the new login is granted",
             "P4: the old write never lands on the new one",
             "P4: a gateway that was killed with a write in flight does not serve again before the write is over",
             "P4: when it is over, it does"]


def have_tools():
    if os.geteuid() != 0:
        return "needs root"
    missing = [t for t in ("losetup", "mkfs.ext4", "fsfreeze", "mount") if shutil.which(t) is None]
    if missing:
        return "no " + ", ".join(missing)
    return None if os.path.exists("/dev/loop-control") else "no loop devices"


class StallingDevice:
    """/dev/loopN on a file in a file system that can be frozen."""

    def __init__(self, folder):
        self.mount, self.image = folder / "mnt", folder / "fs.img"
        self.mount.mkdir()
        self.loop, self.frozen = None, False
        run("truncate", "-s", "64M", self.image)
        assert run("mkfs.ext4", "-q", "-F", self.image).returncode == 0
        done = run("mount", "-o", "loop", self.image, self.mount)
        self.mounted = done.returncode == 0
        assert self.mounted, done.stderr
        # written, not sparse: an overwrite allocates nothing
        (self.mount / "disk").write_bytes(bytes(16 << 20))
        os.sync()
        done = run("losetup", "--find", "--show", "--direct-io=on", self.mount / "disk")
        assert done.returncode == 0, done.stderr
        self.loop = done.stdout.strip()

    def freeze(self, on):
        done = run("fsfreeze", "-f" if on else "-u", self.mount)
        assert done.returncode == 0, done.stderr
        self.frozen = on

    def is_asked(self):
        """Has a request come to the device that is not over?"""
        return any(map(int, pathlib.Path(f"/sys/block/{pathlib.Path(self.loop).name}/inflight").read_text().split()))

    def close(self):
        with contextlib.suppress(AssertionError):
            if self.frozen:
                self.freeze(False)
        if self.loop:
            run("losetup", "-d", self.loop)
        if self.mounted:
            wait_for(lambda: run("umount", self.mount).returncode == 0)


POLICY_DEVICE = POLICY.replace("{{file: {folder}/vault.img, size: {size}}}", "{{device: {device}}}")


def try_login(results, isid):
    start = time.monotonic()
    try:
        with Initiator(gw.port, isid=isid, timeout=120) as i:
            i.login()
            results.append((0, time.monotonic() - start))
            i.logout()
    except Refused as refused:
        results.append((refused.status, time.monotonic() - start))
    except (Gone, OSError) as error:
        results.append((repr(error), time.monotonic() - start))


why = have_tools()
folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeline-"))
device = None
try:
    if why is None:
        try:
            device = StallingDevice(folder)
        except AssertionError as error:
            why = f"no frozen loop device: {error}".strip()
    if why is not None:
        for sentence in SENTENCES:
            skip(AREA, sentence, why)
        finish()
    gw = Gateway(policy=POLICY_DEVICE, device=device.loop).start()
    isid = b"\x80\1\2\3\4\5"
    old, new = b"old." * 128, b"new." * 128
    i = Initiator(gw.port, isid=isid).login()
    assert i.write(0, b"base" * 128, fua=True)[0] == 0
    device.freeze(True)
    i.command(struct.pack(">BBQIBB", 0x8a, 8, 0, 1, 0, 0), write=old)
    assert wait_for(device.is_asked)  # it is on its way into the frozen file system
    pid = next(s["pid"] for s in gw.sessions() if s["state"] == "granted")
    os.kill(pid, signal.SIGKILL)
    i.close()
    results = []
    try_login(results, isid)
    check(AREA, SENTENCES[0], results[0][1] > 5, results)
    check(AREA, SENTENCES[1], results[0][0] == 0x0301 and results[0][1] > 8, results)
    waiting = threading.Thread(target=try_login, args=(results, isid))
    waiting.start()
    time.sleep(1)
    device.freeze(False)
    waiting.join()
    check(AREA, SENTENCES[2], results[1][0] == 0, results)
    with Initiator(gw.port, isid=isid).login() as i:
        assert i.write(0, new, fua=True)[0] == 0
        time.sleep(0.5)
        there = i.read(0, 1)
        i.logout()
    check(AREA, SENTENCES[3], there == (0, new) and (folder / "mnt" / "disk").read_bytes()[:512] == new, there)
    i = Initiator(gw.port, isid=isid).login()
    device.freeze(True)
    i.command(struct.pack(">BBQIBB", 0x8a, 8, 0, 1, 0, 0), write=old)
    assert wait_for(device.is_asked)
    gw.stop(signal.SIGKILL)
    i.close()
    gw.spawn()
    time.sleep(6.5)  # past the 5 s for which the old auditor holds the folder
    check(AREA, SENTENCES[4], gw.process.poll() is None and not gw.is_serving(), gw.log())
    device.freeze(False)
    check(AREA, SENTENCES[5], wait_for(gw.is_serving), gw.log())
    gw.stop()
finally:
    if device is not None:
        if "gw" in globals():
            gw.stop()
        device.close()
    shutil.rmtree(folder, ignore_errors=True)
finish()
