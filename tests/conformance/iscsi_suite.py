#!/usr/bin/env python3
"""libiscsi's own test suite over mutual CHAP, family by family, each in a process of its own (state carries over).

What the suite leaves out is printed as skipped, with its own words or ours; what it says without being right
about it is in BY_MISTAKE, with the one line that it may say.
"""
import re
from capture import Capture
from harness import *

AREA = "iscsi"
gw = Gateway(size="256MiB").start()
TEST = re.compile(r"^  Test: (\S+) \.\.\.(.*?)(?=^  Test: |^\s*$|\Z)", re.M | re.S)

# A command that is not there yet, or a disk of another kind: the suite's own words, and ours.
REASONS = [
    (r"PROUT Not Supported|PERSISTENT RESERVE", "persistent reservations are not offered yet"),
    (r"(\w+) is not implemented", "the command {} is not offered yet"),
    (r"does not support 0-blocks", "no blocks at all is a bad field (WSNZ=1)"),
    (r"fully provisioned", "the disk is not thin"),
    (r"not removable|Media is not", "the disk's medium can't be taken out"),
    (r"not write-protected", "the disk may be written"),
    (r"allow-sanitize", "SANITIZE is not offered yet"),
]
# The function is answered, and rightly: the suite looks for the answer before it has sent the request.
# Where a physical block has several logical ones the suite asks from one LBA and wants an answer from another.
BY_MISTAKE = {"iSCSITMF.LUNResetSimpleAsync": ("LU RESET completed", "reconnect_succeeded,1", 1),
              "GetLBAStatus.UnmapSingle": ("unmap_single.c:135", "lba offset in first descriptor does not", 0)}
# What other sessions must see of a reset.
NOT_YET = {"MultipathIO.CompareAndWriteAsync": "the command COMPAREANDWRITE is not offered yet"}


def families():
    names = [line.split(".") for line in run("iscsi-test-cu", "--list").stdout.split()]
    known = {}
    for scope, family, test in (name for name in names if len(name) == 3):
        if scope == "iSCSI" or (scope == "ALL" and not family.startswith("iSCSI")):
            known.setdefault((scope, family), []).append(test)
    return known


def suite(scope, family):
    """Each test's name, and what was printed between its name and the next."""
    urls = [gw.url()] * (2 if family == "MultipathIO" else 1)
    done = run("iscsi-test-cu", "-i", CLIENT, "-I", CLIENT, "--dataloss", "-v", "-t", f"{scope}.{family}", *urls, env=gw.mutual(),
               timeout=600)
    return dict(TEST.findall(done.stdout + done.stderr)), done.stdout + done.stderr


def why_skipped(said):
    """From the suite's words before its verdict: what comes behind that is about other things."""
    for words in re.findall(r"\[SKIPPED\] (.*)", said.split("passed")[0]):
        for pattern, ours in REASONS:
            match = re.search(pattern, words)
            if match:
                return ours.format(*match.groups())
    return ""


def verdict(family, name, said):
    """'' when the test passed; else why it did not run, or None: it failed."""
    mistake = BY_MISTAKE.get(f"{family}.{name}")
    if "FAILED\n" in said:
        if mistake and mistake[0] in said and mistake[1] in said and said.count("CU_ASSERT") == mistake[2]:
            return ""
        return NOT_YET.get(f"{family}.{name}")
    return why_skipped(said)


def judge(scope, family, tests):
    known = f"iscsi-test-cu {scope}.{family}"
    said, out = suite(scope, family)
    verdicts = {name: verdict(family, name, said.get(name, "FAILED\n")) for name in tests}
    if scope == "iSCSI" or family == "MultipathIO":
        for name, why in verdicts.items():
            if why:
                skip(AREA, f"{known}.{name}", why)
            else:
                but = " but for a mistake of its own" if f"{family}.{name}" in BY_MISTAKE else ""
                check(AREA, f"{known}.{name} passes{but}", why == "", out[-4000:])
        return
    bad = [name for name, why in verdicts.items() if why is None]
    left_out = {why for why in verdicts.values() if why}
    ran = sum(1 for why in verdicts.values() if why == "")
    if ran or bad:
        check(AREA, f"{known} has no failure ({ran} tests)", not bad, f"{bad}\n{out[-4000:]}")
    for why in sorted(left_out):
        skip(AREA, f"{known}: {', '.join(name for name, w in verdicts.items() if w == why)}", why)


known = families()
check(AREA, "every iSCSI family of iscsi-test-cu is known to this test", {f for s, f in known if s == "iSCSI"} >=
      {"iSCSIcmdsn", "iSCSIdatasn", "iSCSIResiduals", "iSCSITMF"}, known)
# tshark reads what the families of iSCSI say; all the data of the others would keep it busy for minutes.
for (scope, family), tests in known.items():
    if scope != "iSCSI":
        judge(scope, family, tests)
with Capture(gw.port) as wire:
    for (scope, family), tests in known.items():
        if scope == "iSCSI":
            judge(scope, family, tests)
wire.check(AREA, "the iSCSI families of iscsi-test-cu")
check(AREA, "the gateway is well after the suite", gw.is_well(), gw.log())
finish()
