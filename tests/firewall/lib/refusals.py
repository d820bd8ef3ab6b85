"""Who somebody is, element by element: one of them wrong, and what the wire and the audit say of it."""
from firewall.lib import hosts
from harness import CLIENT, SECRET, TARGET, Gateway, wait_for
from initiator import Gone, Initiator, Refused

BOB, BOB_SECRET = "iqn.1994-05.com.redhat:bob", "bobs-secret-01234567"
SITE = 3261  # in a namespace of its own, and none that free_port() gives
POLICY = """\
version: 1
portals:
  wan: {{listen: ["10.77.0.1:{port}"], transport: plain, accept_risk: true}}
  site: {{listen: ["10.77.0.1:{site}"], transport: plain, accept_risk: true}}
disks:
  vault: {{memory: 16MiB}}
  spare: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [10.77.1.2]
        chap: {{user: alice, mutual: gw-for-alice}}
  {target}-2:
    portals: [wan, site]
    luns: {{0: spare}}
    initiators:
      {bob}:
        from: [10.77.1.2, 10.77.2.2]
        chap: {{user: bob, mutual: gw-for-alice}}
auth: {{bans: {{exempt: [10.77.0.0/16]}}}}
"""
RIGHT = dict(host="client", portal="port", name=CLIENT, user="alice", secret=SECRET, target=TARGET, algorithms="8,7,6,5")
# What is wrong, alone; how; the answer's status ("dropped": no connection at all); the reason in the audit.
IDENTITY, NOT_FOUND = "0x201", "0x203"
ROWS = (
    ("initiator name", "nobody's", dict(name=BOB + "x"), IDENTITY, "unknown-initiator"),
    ("initiator name", "another's", dict(name=BOB), IDENTITY, "wrong-initiator"),
    ("CHAP user", "nobody's", dict(user="carol"), IDENTITY, "unknown-user"),
    ("CHAP user", "another's, proved", dict(user="bob", secret=BOB_SECRET), IDENTITY, "wrong-initiator"),
    ("CHAP user", "another's, not proved", dict(user="bob"), IDENTITY, "wrong-secret"),
    ("secret", "wrong", dict(secret=SECRET + "x"), IDENTITY, "wrong-secret"),
    ("secret", "another's", dict(secret=BOB_SECRET), IDENTITY, "wrong-secret"),
    ("algorithm", "below the floor", dict(algorithms="5"), IDENTITY, "no-algorithm"),
    ("source network", "another's", dict(host="other"), IDENTITY, "wrong-address"),
    ("source network", "nobody's", dict(host="stranger"), "dropped", ""),
    ("portal", "another's", dict(portal="site"), IDENTITY, "wrong-portal"),
    ("target", "nobody's", dict(target=TARGET + "-3"), NOT_FOUND, "unknown-target"),
    ("target", "another's", dict(target=TARGET + "-2"), NOT_FOUND, "not-for-initiator"),
    ("secret and target", "both wrong", dict(secret=SECRET + "x", target=TARGET + "-3"), IDENTITY, "wrong-secret"),
)


def gateway():
    gw = Gateway(policy=POLICY, site=SITE, bob=BOB)
    gw.secret("bob", BOB_SECRET)
    return gw


def attempt(net, gw, wrong):
    """One login: "in", its status or "dropped"; and all octets of the answer."""
    how = {**RIGHT, **wrong}
    host, port = getattr(net, how.pop("host")), gw.values[how.pop("portal")]
    if not host.reaches(port):
        return "dropped", b""
    with host.inside():
        i = Initiator(port, host=hosts.GATEWAY4, name=how.pop("name"), isid=b"\x80alone")
    with i:
        try:
            i.login(**how)
            return "in", b""
        except Refused as refused:
            return hex(refused.status), refused.octets
        except Gone:
            return "closed", b""


def refusals(gw):
    return gw.audit("--op", "refusal")


def matrix(net, gw):
    """For each row: what the answer was, its octets, and the audit's reason."""
    for element, how, wrong, _, _ in ROWS:
        before = len(refusals(gw))
        status, octets = attempt(net, gw, wrong)
        wait_for(lambda: status == "dropped" or len(refusals(gw)) > before)
        said = [e["reason"] for e in refusals(gw)[before:]]
        yield element, how, status, octets, ", ".join(said)


def table(rows):
    lines = [f"{'element':<20}{'is':<24}{'answer':<10}audit"]
    return "\n".join(lines + [f"{e:<20}{h:<24}{s:<10}{r or '-'}" for e, h, s, _, r in rows])
