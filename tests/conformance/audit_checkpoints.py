#!/usr/bin/env python3
"""Checkpoints of the trail go elsewhere: to a file, a program and a syslog at once, signed by the gateway's key."""
import base64, os, pathlib, re, socket, tempfile
from harness import *
from initiator import *

AREA = "audit"
NOTE = re.compile("sallyport-audit/([0-9a-f]{32})/(commands|events)\n(\\d+)\n(\\S{44})\n\n\u2014 sallyport-audit/\\1/\\2 (\\S+)\n")

elsewhere = pathlib.Path(tempfile.mkdtemp(prefix="elsewhere-"))
elsewhere.chmod(0o777)
atexit.register(shutil.rmtree, elsewhere, True)
syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
syslog.bind(str(elsewhere / "log"))
os.chmod(elsewhere / "log", 0o666)
syslog.settimeout(30)


def destinations(name):
    return (f"audit: {{checkpoints: {{file: {elsewhere}/{name}, command: [/bin/sh, -c, 'exec /bin/cat >>{elsewhere}/from-{name}'], "
            f"syslog: 'unix:{elsewhere}/log'}}}}")


def notes(name):
    path = elsewhere / name
    return list(NOTE.finditer(path.read_text())) if path.exists() else []


gw = Gateway(more=destinations("first"))
gw.start()
with Initiator(gw.port).login() as i:
    assert i.write(0, b"A" * 512)[0] == 0
    i.logout()
both = {"commands", "events"}
check(AREA, "the file gets checkpoints of both logs", wait_for(lambda: {n[2] for n in notes("first")} == both), notes("first"))
check(AREA, "so does the program", wait_for(lambda: {n[2] for n in notes("from-first")} == both), notes("from-first"))
line = syslog.recv(4096).decode()
check(AREA, "so does the syslog, a line each", line.startswith("<85>sallyport-audit: sallyport-audit/") and
      NOTE.fullmatch(line.removeprefix("<85>sallyport-audit: ").replace("\\n", "\n")), line)
status = gw.status()
check(AREA, "status names the three, and all is well", wait_for(gw.is_well) and [d["to"] for d in status["trail"]["checkpoints"]] == ["file", "command", "syslog"] and
      wait_for(lambda: not any(d["behind"] for d in gw.status()["trail"]["checkpoints"])), gw.status())
check(AREA, "P3: the file is its owner's alone", (elsewhere / "first").stat().st_mode & 0o777 == 0o600)
public = dict(re.match(r"sallyport-audit/\w+/(\w+)\+(\w+)\+", line).groups() for line in gw.command("audit", "key", "--public").stdout.splitlines())
check(AREA, "each has the key hash of the gateway's own public key", all(base64.b64decode(n[5])[:4].hex() == public[n[2]] for n in notes("first")), public)
ours = "".join(p.read_text() for p in sorted((gw.state / "audit").glob("*.note"))) if os.access(gw.state / "audit", os.R_OK) else ""
check(AREA, "and stands beside its segment, too", ours == "" or all(n[0] in ours for n in notes("first")), ours)

done = gw.reload(more=destinations("second"))
with Initiator(gw.port).login() as i:
    i.logout()
check(AREA, "P7: after a reload they go to the new file and program", done.returncode == 0 and wait_for(lambda: notes("second") and notes("from-second")), done.stderr)
count = len(notes("first"))
sizes = {n[2]: int(n[3]) for n in notes("second")}
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log()[-2000:])
last = {n[2]: int(n[3]) for n in notes("second")}
check(AREA, "the checkpoints of the clean end came through, and what was given up got none", both == set(last) and last["events"] > sizes.get("events", 0) and
      len(notes("first")) == count, (sizes, last))

gw.values["more"] = f"audit: {{checkpoints: {{file: {gw.state}/inside, command: [/bin/false], syslog: 'unix:{elsewhere}/nobody'}}}}"
gw.policy.write_text(gw.template.format(**gw.values))
gw.start()
check(AREA, "a file beside the trail is warned of", "below the state folder" in gw.log(), gw.log()[-2000:])
with Initiator(gw.port).login() as i:
    check(AREA, "P4: destinations that take nothing keep nobody from working", i.write(0, b"B" * 512)[0] == 0)
    i.logout()
check(AREA, "status tells why, and it is no problem before five minutes", wait_for(lambda: all(d["note"] for d in gw.status()["trail"]["checkpoints"][1:])) and gw.is_well(), gw.status())
check(AREA, "and the gateway stops cleanly", gw.stop() == 0, gw.log()[-2000:])
finish()
