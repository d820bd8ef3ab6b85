#!/usr/bin/env python3
"""An initiator that has used a strong algorithm is refused with a weaker one, whatever was killed meanwhile, until an operator accepts it."""
from harness import *
from initiator import *

AREA = "chap"
POLICY_TWO = POLICY.replace("{more}", """\
      {client}-two:
        chap: {{user: bob, mutual: gw-for-bob, algorithms: [md5]}}
""")
gw = Gateway(policy=POLICY_TWO)
gw.secret("bob", "bob-secret-0123456")
gw.secret("gw-for-bob", "gateway-for-bob-01")
gw.start()
sources = (f"127.8.{a}.{b}" for a in range(1, 250) for b in range(1, 250))
algorithms = gw.state / "algorithms"


def login(offer, source=None, **options):
    """True, or (status, its octets)"""
    with Initiator(gw.port, source=source or next(sources), isid=b"\x80same!") as i:
        try:
            i.login(algorithms=offer, **options)
            i.logout()
            return True
        except Refused as refused:
            return refused.status, refused.octets


def remembered():
    return dict(line.split() for line in algorithms.read_text().splitlines())


check(AREA, "the weakest that the policy allows is taken as long as nothing is known", login("5") is True and remembered() == {"alice": "md5"}, gw.log())
check(AREA, "a stronger one is taken, and remembered", login("7") is True and remembered() == {"alice": "sha256"}, algorithms.read_text())
source = next(sources)
wrong = login("5", secret="wrong-secret-000")
refused = login("5", source=source)
check(AREA, "P1: less than before is refused, with the octets that a wrong secret gets", refused != True and refused == wrong and refused[0] == 0x0201, (refused, wrong))
check("audit", "it is in the audit log as weaker-than-before, with both and what to do",
      wait_for(lambda: any(e.get("peer_ip") == source and e.get("reason") == "weaker-than-before" and "md5, after sha256" in e.get("detail", "") and "accept-weaker alice" in e.get("detail", "")
                           for e in gw.audit("--op", "refusal"))), gw.audit("--op", "refusal"))
check(AREA, "the same is taken", login("7") is True)
check(AREA, "P6: a stranger who knows the name alone raises nothing", login("8", secret="wrong-secret-000") != True and remembered()["alice"] == "sha256", algorithms.read_text())
with Initiator(gw.port, source=next(sources)) as i:
    i.prove(i.challenged(algorithms="8"))
check(AREA, "nor does a login that ends before it is granted", remembered()["alice"] == "sha256", algorithms.read_text())
check(AREA, "an initiator that offers more gets the first of its list, and is measured by that", login("5,7,8")[0] == 0x0201 and login("8,7,5") is True and remembered()["alice"] == "sha3-256", algorithms.read_text())

# --- challenges -----------------------------------------------------------------------------------------------------------
def challenges(count):
    for _ in range(count):
        with Initiator(gw.port, source=next(sources)) as i:
            yield i.challenged(algorithms="8")[2]


seen = list(challenges(100))
pid = gw.helper_pid("authenticator")
os.kill(pid, signal.SIGKILL)
wait_for(lambda: gw.helper_pid("authenticator") not in (0, pid) and gw.is_well())
seen += challenges(100)
gw.stop()
gw.start()
seen += challenges(100)
check(AREA, "of 300 challenges over two restarts none comes twice", len(set(seen)) == 300)
check(AREA, "and no two begin alike", len({octets[:6] for octets in seen}) == 300)

# --- what survives ------------------------------------------------------------------------------------------------------
gw.stop(signal.SIGKILL)
gw.start()
check("fault", "after kill -9 of the monitor the strongest is still known", login("7")[0] == 0x0201 and login("8") is True, gw.log())
pid = gw.helper_pid("authenticator")
os.kill(pid, signal.SIGKILL)
wait_for(lambda: gw.helper_pid("authenticator") not in (0, pid) and gw.is_well())
check("fault", "after kill -9 of the authenticator, too", login("7")[0] == 0x0201 and login("8") is True, gw.log())
gw.stop()
with open(algorithms, "a") as f:
    f.write("alice no")  # a power cut in the midst of the next line
gw.start()
check("fault", "a line that a power cut tore was never in force", login("7")[0] == 0x0201 and login("8") is True and remembered() == {"alice": "sha3-256"}, gw.log())
gw.stop()
good = algorithms.read_bytes()
algorithms.write_bytes(good.replace(b"sha3", b"sha4"))
done = gw.command("run", gw.policy)
check("fault", "P4: a damaged file is no reason to forget: the gateway does not start, and says what to do", done.returncode == 3 and "algorithms" in done.stderr and "damaged" in done.stderr, done.stderr)
algorithms.write_bytes(good)
done = gw.command("secret", "accept-weaker", "alice")
check(AREA, "accept-weaker needs a running gateway, and says so", done.returncode == 3 and "no gateway answers" in done.stderr, done.stderr)
gw.start()

# --- accept-weaker --------------------------------------------------------------------------------------------------------
done = gw.command("secret", "accept-weaker", "bob")
check(AREA, "accept-weaker of who has not logged in changes nothing", done.returncode == 3 and "nothing is remembered" in done.stderr and "alice" in remembered(), done.stderr)
done = gw.command("secret", "accept-weaker", "alice")
check(AREA, "accept-weaker says what is forgotten", done.returncode == 0 and "sha3-256" in done.stderr, done.stderr)
check("audit", "who accepted it is in the audit log", wait_for(lambda: any(e.get("detail", "").startswith("accept-weaker alice, uid ") for e in gw.audit("--op", "operator"))), gw.audit("--op", "operator"))
gw.stop(signal.SIGKILL)
gw.start()
check(AREA, "then a weaker one is taken, also after a crash, and is the least from then on", login("7") is True and login("5")[0] == 0x0201, gw.log())
done = gw.command("secret", "accept-weaker", "alice")
check(AREA, "another login may use the weakest again", done.returncode == 0 and login("5") is True, done.stderr)
done = gw.command("secret", "accept-weaker")
check("cli", "secret accept-weaker without a name is wrong usage", done.returncode == 2, done.stderr)

check(AREA, "status has no warnings where all is new", gw.status()["warnings"] == [], gw.status()["warnings"])
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
seen = json.loads((gw.state / "seen.json").read_text())
check(AREA, "when initiators of the policy were here is kept over a stop", set(seen) == {CLIENT, CLIENT + "-two"}, seen)
(gw.state / "seen.json").write_text(json.dumps({**seen, CLIENT + "-two": seen[CLIENT] - 100 * 86400, CLIENT: seen[CLIENT] - 100 * 86400, "iqn.2026-11.net.example:gone": 5}))
gw.start()
check(AREA, "an initiator that was not seen for 90 days is a warning of status, which is well nevertheless",
      gw.is_well() and sum("was not seen for 100 days" in w for w in gw.status()["warnings"]) == 2 and "WARNING" in gw.command("status").stdout, gw.status()["warnings"])
check(AREA, "when it is back there is none", login("5") is True and not any(f"{CLIENT} was" in w for w in gw.status()["warnings"]), gw.status()["warnings"])
gw.stop()
check(AREA, "who is not in the policy is not kept", "iqn.2026-11.net.example:gone" not in (gw.state / "seen.json").read_text())
(gw.state / "seen.json").write_text("[")
check(AREA, "a damaged list of who was here is no reason not to start", gw.start() and gw.is_well() and "can't be read" in gw.log(), gw.log())
gw.stop()
finish()
