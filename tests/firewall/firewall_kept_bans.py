#!/usr/bin/env python3
"""More bans kept from before than the firewall process's channel has room for: all of them get in."""
import json, os, re, shutil
from harness import *

AREA, COUNT = "firewall", 1500
SENTENCE = f"P6: {COUNT} bans kept over a stop are all in the firewall again"


def in_firewall():
    rules = run("nsenter", "-t", gw.process.pid, "-n", "nft", "list", "table", "inet", "sallyport-bans").stdout
    return len(set(re.findall(r"\b10\.\d+\.\d+\.9\b", rules)))


if os.geteuid() != 0 or not all(map(shutil.which, ("nft", "unshare", "nsenter"))) or run("unshare", "-n", "true").returncode:
    skip(AREA, SENTENCE, "needs root, nft and a network namespace")
    finish()
gw = Gateway()
until = int(time.time()) + 500
(gw.state / "bans.json").write_text(json.dumps([{"source": f"10.{k >> 8}.{k & 255}.9", "until": until, "reason": "x"} for k in range(COUNT)]))
gw.start(wrapper=("unshare", "-n"))
check(AREA, SENTENCE, wait_for(lambda: in_firewall() == COUNT), f"{in_firewall()}\n{gw.log()}")
check(AREA, "and status counts them", gw.status()["bans"] == COUNT, gw.status()["bans"])
gw.stop()
kept = json.loads((gw.state / "bans.json").read_text())
check(AREA, "a clean stop keeps them, with the time that they have left", len(kept) == COUNT and all(abs(b["until"] - until) <= 2 for b in kept), kept[:2])
finish()
