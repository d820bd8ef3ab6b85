#!/usr/bin/env python3
"""Whoever reads the trail's files asks the running gateway to flush first: it answers, many at once, over the auditor's death, or is not waited for."""
import json, os, signal, socket
from harness import *
from initiator import *

AREA = "audit"
gw = Gateway().start()


def ask():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    folder = os.open(gw.state, os.O_PATH)
    s.connect(f"/proc/self/fd/{folder}/control")
    os.close(folder)
    s.sendall(b"flush-audit\n")
    return s


def answer(s):
    text = b""
    while piece := s.recv(65536):
        text += piece
    s.close()
    return json.loads(text)


with Initiator(gw.port).login() as i:
    for k in range(500):
        i.read(k, 1)
    said = answer(ask())
    check(AREA, "a flush is answered with the newest record that is durable", said.get("flushed") is True and said["sequence"] >= 500, said)
    records = gw.audit()
    check(AREA, "all that was done before the review is in it", sum(r.get("command") == "READ(16)" for r in records) == 500, len(records))
    check(AREA, "a flush writes no record of its own, however many ask", not any("flush" in json.dumps(r) for r in records), records[-3:])

    auditor = gw.helper_pid("auditor")
    os.kill(auditor, signal.SIGSTOP)
    done = gw.command("audit", "show", "--json")
    check(AREA, "a review does not wait for a flush that does not come, and says nothing of it", done.returncode == 0 and done.stdout and not done.stderr, done.stderr)
    clients = [ask() for _ in range(9)]
    refused = [answer(s) for s in clients[4:]]
    check(AREA, "P6: while one flush is under way a few wait, and more are sent away", all("again" in r.get("error", "") for r in refused), refused)
    os.kill(auditor, signal.SIGCONT)
    said = [answer(s) for s in clients[:4]]
    check(AREA, "those that waited are answered", all(r.get("flushed") is True for r in said), said)

    os.kill(auditor, signal.SIGSTOP)
    waiting = ask()
    os.kill(auditor, signal.SIGKILL)
    said = answer(waiting)
    check(AREA, "P4: a flush that the auditor died of is done by the next one", said.get("flushed") is True, said)
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
done = gw.command("audit", "show", "--json")
check(AREA, "without a gateway the review reads the files", done.returncode == 0 and '"event":"stop"' in done.stdout, done.stderr)
finish()
