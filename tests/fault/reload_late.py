#!/usr/bin/env python3
"""A firewall process that answers after a reload has given up waiting: the rules in force are the policy's that is."""
import os, shutil, signal, time
from harness import *

AREA = "reload"
SENTENCE = "P5: rules that are loaded too late make room for those of the policy in force"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"{listens}], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
"""


def script():
    return run("nft", "list", "table", "inet", "sallyport").stdout


def loads():
    return sum(e.get("reason") == "loaded" for e in gw.audit())


gw = Gateway(policy=POLICY, listens="").start()
if os.geteuid() != 0 or not shutil.which("nft") or "NO FIREWALL" in gw.log():
    skip(AREA, SENTENCE, "needs root, nft and a firewall")
    finish()
served = time.monotonic()
wait_for(lambda: time.monotonic() > served + 2.5)  # its first look at the rules after its start is over
rules, loaded, other_port = script(), loads(), free_port()
firewall = gw.helper_pid("firewall")
os.kill(firewall, signal.SIGSTOP)
done = gw.reload(listens=f', "127.0.0.1:{other_port}"')
check(AREA, "a firewall process that does not answer refuses a reload", done.returncode == 3 and "did not answer" in done.stderr, done.stderr)
os.kill(firewall, signal.SIGCONT)
check(AREA, "… and loads the rules, when it goes on", wait_for(lambda: loads() > loaded), gw.log()[-2000:])
check(AREA, SENTENCE, rules and wait_for(lambda: script() == rules), (rules, script(), gw.log()[-2000:]))
check(AREA, "… and all is well: the next reload is taken", wait_for(lambda: gw.reload(listens=f', "127.0.0.1:{other_port}"').returncode == 0) and script() != rules, gw.log()[-2000:])
finish()
