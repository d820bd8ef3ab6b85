"""A login's time with 1, 100 and 10 000 initiators in the policy, each with its user and secret."""
import random
import subprocess
import time

from evidence.figures import spread
from harness import BUILD, MUTUAL, Gateway
from initiator import Initiator

COUNTS = (1, 100, 10000)
LOGINS = 300
HEAD = """\
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
"""


def name_of(k):
    return f"iqn.2026-11.net.example:i{k}"


def gateway(count):
    rows = "".join(f"      {name_of(k)}: {{{{chap: {{{{user: u{k}, mutual: gw}}}}}}}}\n" for k in range(count))
    gw = Gateway(policy=HEAD + rows)
    for name in ("alice", "gw-for-alice"):
        assert gw.command("secret", "remove", name).returncode == 0
    gw.secret("gw", MUTUAL)
    subprocess.run([BUILD / "tests/evidence/store_fill", gw.state, str(count)], check=True)
    return gw


def login_time(gw, k):
    start = time.perf_counter()
    i = Initiator(gw.port, name=name_of(k))
    i.hears = False
    with i.login(user=f"u{k}", secret=f"secret-of-user-{k}"):
        return time.perf_counter() - start


def show():
    choose = random.Random(7)
    for count in COUNTS:
        gw = gateway(count)
        try:
            start = time.perf_counter()
            gw.start()
            began = time.perf_counter() - start
            login_time(gw, 0)
            times = [login_time(gw, choose.randrange(count)) for _ in range(LOGINS)]
            print(f"{count:6} initiators: {spread(times)}   (the gateway was up in {began:.1f} s)")
        finally:
            gw.close()
