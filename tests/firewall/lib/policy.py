"""A policy with two portals on the network, one on loopback, and hosts as lib/hosts.py makes them."""
import functools
import pathlib
import subprocess
import tempfile

from firewall.lib.peer import PROGRAM

POLICY = """\
version: 1
portals:
  wan: {listen: ["0.0.0.0:3260", "[::]:3260"], transport: plain, accept_risk: true}
  site: {listen: ["10.77.0.1:3261", "[fd77::1]:3261"], transport: plain, accept_risk: true}
  here: {listen: ["127.0.0.1:3262"], transport: plain}
disks:
  one: {memory: 16MiB}
  two: {memory: 16MiB}
  three: {memory: 16MiB}
targets:
  iqn.2026-11.net.example.gw:one:
    portals: [wan]
    luns: {0: one}
    initiators:
      iqn.1994-05.com.redhat:one:
        from: [10.77.1.2, "fd77:1::/64", 10.99.1.64/27, 10.99.1.96/27, "fd99:1:0:5::/64"]
        chap: {user: alice, mutual: gw-for-alice}
      iqn.1994-05.com.redhat:overlapping:
        from: [10.99.1.64/26]
        chap: {user: bob, mutual: gw-for-bob}
  iqn.2026-11.net.example.gw:two:
    portals: [site]
    luns: {0: two}
    initiators:
      iqn.1994-05.com.redhat:two:
        from: [10.77.2.2]
        chap: {user: carol, mutual: gw-for-carol}
  iqn.2026-11.net.example.gw:three:
    portals: [here]
    luns: {0: three}
    initiators:
      iqn.1994-05.com.redhat:three:
        chap: {user: dave, mutual: gw-for-dave}
"""
SECRETS = ("alice", "bob", "carol", "dave", "gw-for-alice", "gw-for-bob", "gw-for-carol", "gw-for-dave")


@functools.cache
def plan():
    """The script for POLICY, or None; and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        policy, state = pathlib.Path(folder, "policy.yaml"), pathlib.Path(folder, "state")
        policy.write_text(POLICY)
        for name in SECRETS:
            subprocess.run([PROGRAM, "secret", "set", name, "--state", state], check=True, capture_output=True,
                           input=f"secret of {name}, long enough".encode())
        done = subprocess.run([PROGRAM, "plan", "--firewall", policy, "--state", state], capture_output=True,
                              text=True)
        return done.stdout if done.returncode == 0 else None, done.stderr


def bans_part(script):
    """What opens every script: the ban table, with no ports yet."""
    return script[script.index("# Bans:"):script.index("add element inet sallyport-bans ports")]
