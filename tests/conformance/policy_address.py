#!/usr/bin/env python3
"""A wrong address is refused without a firewall too: at accept where nobody has it, at login where another has."""
from harness import *
from initiator import *

AREA = "policy"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [127.8.0.9]
        chap: {{user: alice, mutual: gw-for-alice}}
      {client}-other:
        from: [127.8.1.0/24]
        chap: {{user: other, mutual: gw-for-other}}
firewall: {{manage: false}}
"""
gw = Gateway(policy=POLICY)
gw.secret("other", "secret-of-the-other")
gw.secret("gw-for-other", "secret-for-the-other")
gw.start()


def attempt(source):
    """What the initiator meets that comes from there: "in", a login status, or "closed"."""
    try:
        with Initiator(gw.port, source=source) as i:
            i.login()
            return "in"
    except Refused as refused:
        return refused.status
    except (Gone, OSError):
        return "closed"


got = attempt("127.8.0.9")
check(AREA, "the initiator's own address may enter", got == "in", (got, gw.log()))
for source, want, sentence in (
        ("127.8.0.10", "closed", "P1: an address that the policy gives to nobody gets no answer, and no process"),
        ("127.8.1.7", 0x0201, "P1: another initiator's address is refused at login, with the right secret")):
    got = attempt(source)
    check(AREA, sentence, got == want, (got, gw.log()))
    found = wait_for(lambda: [e for e in gw.audit("--denied") if e.get("peer_ip") == source])
    check("audit", f"the refusal of {source} is in the audit log with its reason",
          found and {e.get("reason") for e in found} == {"wrong-address"}, gw.audit())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
