#!/usr/bin/env python3
"""A policy taken up while connections wait for a login slot: each goes on at the portal where it came in."""
import os, shutil, socket, threading
from harness import *
from initiator import *

AREA = "reload"
POLICY = """\
version: 1
gateway: {{logins_at_once: {logins}}}
portals: {{{portals}}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [{served}]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
"""
REMOTE = "192.0.2.7"
FIRST, SECOND, THIRD = free_port(), free_port(), free_port()
first = f'first: {{listen: ["127.0.0.1:{FIRST}"], transport: plain}}'
second = f'second: {{listen: ["127.0.0.1:{SECOND}"], transport: plain}}'
third = f'third: {{listen: ["{REMOTE}:{THIRD}"], transport: ipsec}}'


def waits(port):
    """It has said something, and hears nothing."""
    s = socket.create_connection(("127.0.0.1", port), 30)
    s.sendall(b"\x43")
    return s


def login():
    try:
        with Initiator(SECOND).login() as i:
            entered.append(i.ready(0))
    except (Refused, Gone, OSError) as e:
        entered.append(e)


if os.geteuid() != 0 or not shutil.which("ip") or run("ip", "address", "add", REMOTE, "dev", "lo").returncode != 0:
    skip(AREA, "connections that wait while a policy is taken up", "needs root and a network of its own")
    finish()
gw = Gateway(policy=POLICY, portals=f"{first}, {second}", served="first, second", logins=2).start()
entered = []
with waits(SECOND), waits(SECOND):
    assert wait_for(lambda: [s["state"] for s in gw.sessions()] == ["login", "login"]), gw.sessions()
    with waits(FIRST) as other:
        assert wait_for(lambda: len(gw.sessions()) == 3), gw.sessions()
        thread = threading.Thread(target=login)
        thread.start()
        assert wait_for(lambda: len(gw.sessions()) == 4), gw.sessions()
        done = gw.reload(portals=f"{second}, {third}", served="second", logins=8)
        check(AREA, "a policy with another portal is taken up while connections wait for a login slot", done.returncode == 0, done.stderr)
        thread.join(60)
        check(AREA, "P1: one that waited is judged by its own portal, wherever that is in the policy now",
              entered and not isinstance(entered[0], Exception), (entered, gw.log()))
        other.settimeout(30)
        try:
            left = other.recv(1) == b""
        except ConnectionResetError:
            left = True
        check(AREA, "… and one whose portal is no more is closed", left)
check(AREA, "the gateway is well after that, and stops cleanly", wait_for(gw.is_well) and gw.stop() == 0, gw.log())
finish()
