#!/usr/bin/env python3
"""The verification key of the trail: shown once, to who may see it, recorded, and then nowhere; and the signer."""
import base64, grp, pathlib, re, sys
from harness import *
from initiator import *

AREA = "audit"
KEY = re.compile(r"sallyport-audit-key-1 ([0-9a-f]{32}) (\d+) (\d+) (\d+) (\S{44}) (\S{44}) ([0-9a-f]{8})\n")


def show(gw, *words):
    done = gw.command("audit", "key", *words)
    return done, KEY.fullmatch(done.stdout)


def mentions(haystack, key):
    """Is the epoch's key in these octets, as it is or as text?"""
    return any(form in haystack for form in (base64.b64decode(key), key.encode(), key[:24].encode()))


def memory(pid):
    """All that a process has, but what it can't read itself."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in open(f"/proc/{pid}/maps"):
            span, rights = line.split()[:2]
            begin, end = (int(x, 16) for x in span.split("-"))
            if "r" in rights and end - begin < 256 << 20 and not line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                try:
                    mem.seek(begin)
                    found += mem.read(end - begin)
                except OSError:
                    pass
    return found


def files(folder):
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


gw = Gateway()
done, _ = show(gw)
check(AREA, "without a gateway there is no key, and it exits with 3", done.returncode == 3 and not done.stdout and "no gateway answers" in done.stderr, done.stderr)
done = gw.command("audit", "key", "--public")
check(AREA, "nor public ones before the first start", done.returncode == 3 and "signer.pub" in done.stderr, done.stderr)
gw.start()
status = gw.status()
check(AREA, "status hints that nobody has a key, and that is no problem", status["well"] and not status["trail"]["key_shown"] and
      "audit key" in gw.command("status").stdout, status)

# --- it is shown ----------------------------------------------------------------------------------------------------
before = status["trail"]["epoch"]
done, first = show(gw)
check(AREA, "audit key prints the one line of the key, and on stderr what it is", done.returncode == 0 and first and "Keep it where nobody" in done.stderr,
      done.stderr)
if not first:
    finish()
check(AREA, "it is of a new epoch", int(first[2]) == before + 1 and gw.status()["trail"]["epoch"] == before + 1, first[0])
check(AREA, "the hint is gone", gw.status()["trail"]["key_shown"] and "hint" not in gw.command("status").stdout, gw.status()["trail"])
rows = wait_for(lambda: [e for e in gw.audit("--op", "operator") if e["reason"] == "audit-key-shown"]) and gw.audit("--op", "operator")
asked = [e["reason"] for e in rows if e["reason"].startswith("audit-key")]
check(AREA, "P2: who asked is recorded, then that it was shown, from which blocks on", asked == ["audit-key", "audit-key-shown"] and
      f"epoch {first[2]}, from block {first[3]} of commands and {first[4]} of events, uid {os.geteuid()}," in rows[-1]["detail"], rows)
done, second = show(gw)
check(AREA, "asked again, it is another key of another epoch", second and second[6] != first[6] and int(second[2]) == int(first[2]) + 1, done.stderr)

# --- and nowhere ----------------------------------------------------------------------------------------------------
with Initiator(gw.port).login() as i:
    i.logout()
found = [name for name, octets in files(gw.folder).items() for key in (first[6], second[6]) if mentions(octets, key)]
check(AREA, "P3: the key is in no file of the gateway's, and in no log", not found, found)
if os.geteuid() == 0:
    for who, pid in [("monitor", gw.process.pid), ("auditor", gw.helper_pid("auditor"))]:
        octets = memory(pid)
        check(AREA, f"P3: nor in the memory of the {who}", len(octets) > 1 << 20 and not mentions(octets, first[6]) and not mentions(octets, second[6]), len(octets))
else:
    skip(AREA, "P3: nor in the memory of its processes", "only root may look")

# --- who may not ----------------------------------------------------------------------------------------------------
if os.geteuid() == 0:
    group = str(grp.getgrnam("sallyport").gr_gid)
    run("chmod", "755", gw.folder)
    done = run("setpriv", "--reuid", "65534", "--regid", group, "--clear-groups", SALLYPORT, "audit", "key", "--state", gw.state)
    check(AREA, "P3: who is no operator gets no key", done.returncode == 3 and not done.stdout and "only root and the operators" in done.stderr, done.stdout + done.stderr)
    done = run("setpriv", "--reuid", "65534", "--regid", group, "--clear-groups", SALLYPORT, "audit", "key", "--public", "--state", gw.state)
    check(AREA, "but the public ones", done.returncode == 0 and len(done.stdout.splitlines()) == 2, done.stderr)
else:
    skip(AREA, "P3: who is no operator gets no key", "only root can be somebody else")
check(AREA, "and the epoch is the same", gw.status()["trail"]["epoch"] == int(second[2]), gw.status()["trail"])

# --- an auditor, a gateway that is started again ---------------------------------------------------------------------
pid = gw.helper_pid("auditor")
os.kill(pid, signal.SIGKILL)
check(AREA, "P4: an auditor that is started again goes on in the epoch, whose key is good still",
      wait_for(lambda: gw.is_well() and gw.helper_pid("auditor") not in (0, pid)) and gw.status()["trail"]["epoch"] == int(second[2]) and gw.status()["trail"]["key_shown"],
      gw.status())
public = gw.command("audit", "key", "--public").stdout
check(AREA, "the public keys are two, of both logs of this trail, in the form of signed notes",
      re.fullmatch("".join(rf"sallyport-audit/{first[1]}/{log}\+[0-9a-f]{{8}}\+\S{{44}}\n" for log in ("commands", "events")), public), public)
gw.stop()
check(AREA, "they are beside the sealed one for when no gateway runs", gw.command("audit", "key", "--public").stdout == public, gw.command("audit", "key", "--public"))
gw.start()
status = gw.status()["trail"]
check(AREA, "a gateway that starts begins an epoch of its own, and nobody has its key", status["epoch"] == int(second[2]) + 1 and not status["key_shown"], status)
check(AREA, "its signer is the same", gw.command("audit", "key", "--public").stdout == public)
gw.stop()

# --- the signer -----------------------------------------------------------------------------------------------------
signer = gw.state / "signer"
octets = bytearray(signer.read_bytes())
octets[20] ^= 1
signer.write_bytes(octets)
gw.spawn()
check(AREA, "a signer that somebody changed: no gateway starts, and says what to do", gw.process.wait(60) == 3 and "signer" in gw.log() and "put a copy back" in gw.log(), gw.log())
signer.unlink()
gw.start()
check(AREA, "one that was removed: another one signs, and the trail says so", gw.command("audit", "key", "--public").stdout not in ("", public) and
      any(e["reason"] == "signer-made" for e in gw.audit("--op", "start")[-1:]), gw.audit("--op", "start"))
finish()
