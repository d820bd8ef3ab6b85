#!/usr/bin/env python3
"""A secret that is changed while a reload waits for the audit log: the authenticator keeps the users of the policy that comes."""
import os, select, signal, socket, subprocess
from harness import *
from initiator import *

AREA = "reload"
BOB = CLIENT + "-bob"
POLICY = """\
version: 1
firewall: {{manage: false}}
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}: {{chap: {{user: alice, mutual: gw-for-alice}}}}
      {more}
"""

gw = Gateway(policy=POLICY)
gw.secret("bob", "bob-secret-0123456789")
gw.start()
auditor = gw.helper_pid("auditor")
os.kill(auditor, signal.SIGSTOP)
gw.values |= {"more": f"{BOB}: {{chap: {{user: bob, mutual: gw-for-alice}}}}"}
gw.policy.write_text(gw.template.format(**gw.values))
asked = socket.socket(socket.AF_UNIX)
asked.connect(str(gw.state / "control"))
asked.sendall(b"reload\n")
waits = gw.status()["sessions"] == 0 and not select.select([asked], [], [], 0.1)[0]
changes = subprocess.Popen([SALLYPORT, "secret", "set", "alice", "--state", gw.state], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
changes.stdin.write(b"alice-secret-of-today-1")
changes.stdin.close()
try:
    changes.wait(2)
except subprocess.TimeoutExpired:
    pass  # it waits for its record, too, and is carried out behind the reload: which waits for the audit once more
os.kill(auditor, signal.SIGCONT)
answer = b""
while part := asked.recv(65536):
    answer += part
check(AREA, "a reload waits for the audit log", waits and "error" not in json.loads(answer), (waits, answer, gw.log()))
check(AREA, "a secret that is changed meanwhile is taken up", changes.wait(30) == 0, gw.log())
try:
    with Initiator(gw.port, name=BOB).login(user="bob", secret="bob-secret-0123456789") as i:
        entered = i.ready(0)[0] in (0, 2)
except Refused as refused:
    entered = refused
check(AREA, "P1: who is let in are the users of the policy in force", entered is True, (entered, gw.log()))
with Initiator(gw.port).login(secret="alice-secret-of-today-1") as i:
    check(AREA, "… by the secrets of now", i.ready(0)[0] in (0, 2))
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
