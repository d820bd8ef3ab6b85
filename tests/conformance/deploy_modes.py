#!/usr/bin/env python3
"""Every file that the gateway and its commands write, and who may open it, whatever the umask was."""
import stat
from harness import *
from initiator import *

AREA = "deploy"
os.umask(0)
ROOT = os.geteuid() == 0
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFSOCK: "socket"}
WANTED = {  # below the gateway's own folder
    "state": ("folder", 0o710 if ROOT else 0o700),  # its group may reach the control socket, and list nothing
    "state/control": ("socket", 0o660),
    "state/lock": ("file", 0o600),
    "state/sessions.lock": ("file", 0o600),
    "state/secrets": ("file", 0o600),
    "state/identities.json": ("file", 0o600),
    "state/bans.json": ("file", 0o600),
    "state/writers.json": ("file", 0o600),
    "state/algorithms": ("file", 0o600),
    "state/seen.json": ("file", 0o600),
    "state/signer": ("file", 0o600),
    "state/signer.pub": ("file", 0o600),
    "state/audit": ("folder", 0o700),
    "state/arbiter": ("folder", 0o700),
    "state.key": ("file", 0o600),
    "vault.img": ("file", 0o600),
}
OURS = {"policy.yaml", "log"}  # the test's own


def wanted(name):
    return ("file", 0o600) if name.startswith(("state/audit/", "state/arbiter/")) else WANTED.get(name)


def seen(gw):
    """Every path of the gateway's folder: (kind, mode)."""
    found = {}
    for path in gw.folder.rglob("*"):
        mode = path.lstat().st_mode
        found[str(path.relative_to(gw.folder))] = (KINDS.get(stat.S_IFMT(mode), "?"), stat.S_IMODE(mode))
    return {name: what for name, what in found.items() if name not in OURS}


def look(gw, when, *names):
    found = seen(gw)
    wrong = {name: (kind, oct(mode)) for name, (kind, mode) in found.items() if (kind, mode) != wanted(name)}
    check(AREA, f"P3: every file has its mode {when}", not wrong, wrong)
    check(AREA, f"P3: others may open none of them {when}", not any(mode & 0o007 for _, mode in found.values()), found)
    missing = [name for name in names if name not in found]
    check(AREA, f"and what should be there is there {when}", not missing, (missing, sorted(found)))


gw = Gateway()
check(AREA, "P3: the first secret makes key, store and folder for their owner alone",
      {name: mode for name, (_, mode) in seen(gw).items()} == {"state": 0o700, "state/secrets": 0o600, "state.key": 0o600}, seen(gw))
gw.start()
with Initiator(gw.port).login() as i:
    i.write(0, b"m" * 512)
    gw.secret("another", "secret-of-another-0")
    look(gw, "while it serves", *set(WANTED) - {"state/bans.json", "state/seen.json"})
    check(AREA, "the audit log has a segment by then", any(name.startswith("state/audit/") for name in seen(gw)), seen(gw))
    i.logout()
gw.stop()
look(gw, "after a clean stop", "state/bans.json", "state/seen.json")
check(AREA, "a clean stop takes the control socket away", "state/control" not in seen(gw), seen(gw))
gw.start()
gw.stop(signal.SIGKILL)
run("flock", "-w", "10", gw.state / "lock", "true")
look(gw, "after kill -9")
gw.command("secret", "remove", "another")
look(gw, "after a secret was removed")
gw.close()
finish()
