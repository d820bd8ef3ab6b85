#!/usr/bin/env python3
"""libiscsi's own test suite, family by family, each in a process of its own (state carries over between them)."""
import re
from harness import *

FAMILIES = ["Read6", "Read10", "Read12", "Read16", "Write10", "Write12", "Write16", "Inquiry", "TestUnitReady", "ReadCapacity10",
            "ReadCapacity16", "ModeSense6", "Verify10", "Verify16", "Mandatory", "iSCSIcmdsn", "iSCSIdatasn", "iSCSIResiduals"]

gw = Gateway(size="256MiB").start()
listed = run("iscsi-test-cu", "--list").stdout
for family in FAMILIES:
    scope = next((line.split(".")[0].strip() for line in listed.splitlines() if f".{family}." in line), "ALL")
    done = run("iscsi-test-cu", "-i", CLIENT, "--dataloss", "-n", "-t", f"{scope}.{family}", gw.url(), env=gw.mutual(), timeout=120)
    out = done.stdout + done.stderr
    # CUnit's summary: "tests    12     12     12      0        0" is total, ran, passed, failed, inactive
    match = re.search(r"^\s*tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", out, re.M)
    ran, bad = (int(match[2]), int(match[4])) if match else (0, -1)
    check("iscsi", f"iscsi-test-cu {scope}.{family} has no failure ({ran} tests)", ran > 0 and bad == 0, out[-4000:])
check("iscsi", "the gateway is well after the suite", gw.is_well(), gw.log())
finish()
