#!/usr/bin/env python3
"""The command line as a person meets it: help, exit statuses, status, sessions, a clean stop, an ordinary user."""
import os, pwd, re, shutil, signal, socket, time
from harness import *
from initiator import *

AREA = "cli"
COMMANDS = ["run", "check", "plan", "explain", "reload", "status", "sessions", "disk", "secret", "client", "audit"]

VERBS = re.findall(r"^  ([a-z-]+)\s{2,}", run(SALLYPORT, "audit", "--help").stdout, flags=re.M)
check(AREA, "audit --help lists its verbs", {"show", "tail"} <= set(VERBS), VERBS)
for verb in VERBS:
    done = run(SALLYPORT, "audit", verb, "--help")
    lines = done.stdout.splitlines()
    check(AREA, f"audit {verb} --help shows two examples first, in at most 24 lines", done.returncode == 0 and len(lines) <= 24 and
          all(line.startswith("  sallyport audit " + verb) for line in lines[:2]) and not done.stderr, done.stdout + done.stderr)
    done = run(SALLYPORT, "audit", verb, "--no-such-option")
    check(AREA, f"audit {verb} with an unknown option exits with 2, and says how to get help", done.returncode == 2 and f"audit {verb} --help" in done.stderr and not done.stdout, done.stderr)
done = run(SALLYPORT, "audit", "shwo")
check(AREA, "an unknown verb exits with 2 and names the nearest", done.returncode == 2 and "did you mean show?" in done.stderr, done.stderr)
done = run(SALLYPORT, "audit")
check(AREA, "audit without a verb exits with 2 and lists them", done.returncode == 2 and "show" in done.stderr and not done.stdout, done.stderr)
done = run(SALLYPORT, "audit", "--initiator", "tail", "--state", "/nowhere", "show")
check(AREA, "an option and its value may stand before the verb", done.returncode == 3 and done.stderr.startswith("sallyport audit show:"), done.stderr)

for name in COMMANDS:
    done = run(SALLYPORT, name, "--help")
    check(AREA, f"{name} --help shows examples first, and exits with 0", done.returncode == 0 and done.stdout.startswith("  sallyport " + name) and not done.stderr, done.stdout + done.stderr)
    done = run(SALLYPORT, name, "--no-such-option")
    check(AREA, f"{name} with an unknown option exits with 2, and says how to get help", done.returncode == 2 and "--help" in done.stderr and not done.stdout, done.stderr)
done = run(SALLYPORT, "statsu")
check(AREA, "an unknown command exits with 2 and names the nearest", done.returncode == 2 and "did you mean status?" in done.stderr, done.stderr)
done = run(SALLYPORT, "status", "--jsno")
check(AREA, "an unknown option is answered with the nearest", done.returncode == 2 and "did you mean --json?" in done.stderr, done.stderr)

gw = Gateway()
for words, what in [((), "bare sallyport"), (("status",), "status"), (("sessions",), "sessions")]:
    done = run(SALLYPORT, "--state", gw.state, *words) if not words else gw.command(*words)
    check(AREA, f"{what} exits with 3 when no gateway answers", done.returncode == 3 and "no gateway answers" in done.stderr, done.stderr)
start = time.monotonic()
done = gw.command("status", "--wait", "1")
check(AREA, "status --wait gives up with 3 after its seconds", done.returncode == 3 and 0.9 < time.monotonic() - start < 30, done.stderr)

gw.spawn()
done = gw.command("status", "--wait", "60")
check(AREA, "status --wait returns 0 as soon as the gateway is ready", done.returncode == 0, done.stdout + done.stderr + gw.log())
done = run(SALLYPORT, "--state", gw.state)
check(AREA, "bare sallyport is status", done.returncode == 0 and done.stdout.startswith("gateway"), done.stdout)
with Initiator(gw.port).login() as i:
    rows = gw.sessions()
    check(AREA, "sessions tells who is here, from where, on which target", len(rows) == 1 and rows[0]["initiator"] == CLIENT and rows[0]["peer"].startswith("127.0.0.1:") and rows[0]["target"] == TARGET, rows)
    done = gw.command("sessions", "kick", "999")
    check(AREA, "kicking a session that is not there exits with 3 and says so", done.returncode == 3 and "no such session" in done.stderr, done.stderr)
    done = gw.command("sessions", "kick", rows[0]["session"])
    pdu = i.receive()
    check(AREA, "kick asks the initiator to log out (async message 1)", done.returncode == 0 and pdu.opcode == ASYNC and pdu.bhs[36] == 1, pdu.bhs)
    i.logout()
check("audit", "an operator's command is in the audit log with its uid", wait_for(lambda: any("uid" in e.get("detail", "") for e in gw.audit("--op", "operator"))), gw.audit()[-3:])

# --- a clean stop -----------------------------------------------------------------------------------------------------
with Initiator(gw.port).login() as i, Initiator(gw.port).login() as deaf:
    gw.process.send_signal(signal.SIGTERM)
    pdu = i.receive()
    check(AREA, "SIGTERM asks every initiator to log out", pdu.opcode == ASYNC and pdu.bhs[36] == 1, pdu.bhs)
    i.logout()
    code = gw.stop()
    check(AREA, "P4: it stops, though one initiator does not log out", code == 0, gw.log())
records = gw.audit()
check("audit", "the audit log ends with the stop, and has both logouts", [r.get("event") for r in records[-2:]] == ["stop", "end"] and sum(r.get("event") == "logout" for r in records) >= 2, records[-4:])

# --- what was there is there again ------------------------------------------------------------------------------------
gw.start()
serial = gw.status()["disks"][0]["serial"]
with Initiator(gw.port).login() as i:
    assert i.write(5, b"kept" * 128)[0] == 0
    i.logout()
gw.stop()
gw.start()
with Initiator(gw.port).login() as i:
    check(AREA, "after a restart the data is there, and the disk has the same serial", i.read(5, 1) == (0, b"kept" * 128) and gw.status()["disks"][0]["serial"] == serial)
    i.logout()
gw.stop()

# --- mistakes at start --------------------------------------------------------------------------------------------------
text = gw.policy.read_text()
gw.policy.write_text(text.replace("portals: [here]", "portals: [her]"))
done = gw.command("run", gw.policy)
check(AREA, "run with a broken policy exits with 1 and names line and column", done.returncode == 1 and re.search(r"policy\.yaml:\d+:\d+: error:", done.stderr), done.stderr)
gw.policy.write_text(text.replace("gw-for-alice", "gw-for-nobody"))
done = gw.command("check", gw.policy)
check(AREA, "check finds a secret that the store does not have", done.returncode == 1 and "gw-for-nobody" in done.stderr, done.stderr)
gw.policy.write_text(text)
with socket.socket() as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", gw.port))
    s.listen()
    done = gw.command("run", gw.policy)
    check(AREA, "run with a port in use exits with 3 and names the portal", done.returncode == 3 and "portal here can't listen" in done.stderr, done.stderr)
gw.state.chmod(0o777)
done = gw.command("run", gw.policy)
check(AREA, "P1: a state folder that others can write is refused", done.returncode == 3 and "state" in done.stderr, done.stderr)
gw.state.chmod(0o700)
done = gw.command("plan", "--firewall", gw.policy)
check(AREA, "plan --firewall prints the script alone and exits with 0", done.returncode == 0 and "table inet sallyport" in done.stdout, done.stdout + done.stderr)
finish()
