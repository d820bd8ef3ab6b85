#!/usr/bin/env python3
"""Initiators that we did not write, against the real binary on loopback: libiscsi's tools and qemu-img."""
import glob, os, pathlib, re, shutil
from harness import *

AREA = "iscsi"
gw = Gateway(size="1GiB").start()
who = ("-i", CLIENT)
env = gw.mutual()


def tool(*command, env=env, timeout=300):
    done = run(*command, env=env, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


# --- who may enter finds the disk ---------------------------------------------------------------------------
code, out = tool("iscsi-ls", *who, gw.portal())  # its -s forgets the target's secret for the second login
check(AREA, "iscsi-ls lists the target over mutual CHAP", code == 0 and TARGET in out, out)
code, out = tool("iscsi-inq", *who, gw.url())
check(AREA, "iscsi-inq reads the standard INQUIRY data", code == 0 and "DIRECT_ACCESS" in out.upper(), out)
for page in (0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2):
    code, out = tool("iscsi-inq", *who, "-e", "1", "-c", str(page), gw.url())
    check(AREA, f"iscsi-inq reads VPD page {page:02X}h", code == 0, out)
code, out = tool("iscsi-readcapacity16", *who, gw.url())
check(AREA, "iscsi-readcapacity16 tells 1 GiB", code == 0 and re.search(r"1073741824|2097151", out), out)


# --- a 1 GiB image in and out, compared -----------------------------------------------------------------------
def shim():
    """qemu-img does mutual CHAP only when told from below: see mutual_chap_preload.c."""
    library = pathlib.Path("mutual_chap.so").resolve()
    source = pathlib.Path(__file__).with_name("mutual_chap_preload.c")
    found = glob.glob("/usr/lib/*/libiscsi.so.*[0-9]")
    if not found or run("cc", "-shared", "-fPIC", f'-DLIBISCSI="{min(found, key=len)}"', "-o", library, source, "-ldl").returncode:
        return None
    return library


def make_image(path, size):
    """Sparse, with noise in every 8 MiB: real data to compare, quick to make."""
    with open(path, "wb") as f:
        f.truncate(size)
        for at in range(0, size, 8 << 20):
            f.seek(at)
            f.write(os.urandom(256 << 10))


library = shim()
if library is None or shutil.which("qemu-img") is None:
    skip(AREA, "qemu-img converts a 1 GiB image in and out", "no qemu-img or no compiler")
else:
    make_image("in.raw", 1 << 30)
    qemu = {**env, "LD_PRELOAD": str(library)}
    opts = (f"driver=iscsi,transport=tcp,portal=127.0.0.1:{gw.port},target={TARGET},lun=0,user=alice,"
            f"password={SECRET},initiator-name={CLIENT}")
    code, out = tool("qemu-img", "convert", "-n", "-f", "raw", "in.raw", "--target-image-opts", opts, env=qemu, timeout=600)
    check(AREA, "qemu-img convert writes a 1 GiB image through mutual CHAP", code == 0, out)
    code, out = tool("qemu-img", "convert", "--image-opts", opts, "-O", "raw", "out.raw", env=qemu, timeout=600)
    check(AREA, "qemu-img convert reads it back", code == 0, out)
    check(AREA, "what qemu-img read is what it wrote, to the last octet", run("cmp", "in.raw", "out.raw").returncode == 0)
    check(AREA, "the disk's file holds the image itself", run("cmp", "in.raw", gw.folder / "vault.img").returncode == 0)
    code, out = tool("qemu-img", "info", "--image-opts", opts, env={})
    check(AREA, "P1: one-way CHAP is refused where the policy wants mutual CHAP", code != 0, out)

# --- who may not gets nothing, and is in the audit log ----------------------------------------------------------
refused = [
    ("a wrong secret", "wrong-secret", who, gw.url(secret="not-the-secret-01"), env),
    ("a wrong mutual secret", "our-mutual-proof-was-not-accepted", who, gw.url(), gw.mutual(secret="not-the-secret-02")),
    ("an unknown user", "unknown-user", who, gw.url(user="mallory"), env),
    ("a user whose name goes on", "unknown-user", who, gw.url(user="alicex"), env),
    ("another initiator's name", "unknown-initiator", ("-i", CLIENT + "2"), gw.url(), env),
    ("a target that is not there", "", who, gw.url(target=TARGET + "2"), env),
    ("no CHAP at all", "", who, f"iscsi://127.0.0.1:{gw.port}/{TARGET}/0", {}),
]
for what, reason, name, url, environment in refused:
    code, out = tool("iscsi-inq", *name, url, env=environment)
    check(AREA, f"P1: {what} is refused", code != 0, out)


def reasons():
    return [e.get("reason") for e in gw.audit("--op", "refusal")]


wait_for(lambda: len(reasons()) >= len(refused))
for what, reason, *_ in refused:
    if reason:
        check("audit", f"{what} is in the audit log as {reason}", reason in reasons(), reasons())

# --- every command that was sent is in the audit log ----------------------------------------------------------
records = gw.audit()
names = {r.get("command") for r in records}
check("audit", "audit show lists the commands that the initiators sent", {"INQUIRY", "READ CAPACITY(16)", "READ(10)", "WRITE(10)"} <= names, names)
logins = [r for r in records if r.get("event") == "login"]
check("audit", "a login's record has name, address, user and algorithm", logins and all(
    r["initiator"] == CLIENT and r["peer_ip"] == "127.0.0.1" and r["user"] == "alice" and r["algorithm"] == "md5" for r in logins), logins[:2])
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
