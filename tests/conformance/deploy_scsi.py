#!/usr/bin/env python3
"""The README's table of SCSI commands against a gateway that runs: what it lists, and nothing else, is offered.

The table of libiscsi's tests that are left out is held against the lists that the suite's own test goes by.
"""
import ast, pathlib, re
from harness import *
from initiator import *

AREA = "deploy"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
# Offered soon; whoever offers one takes it out and adds it to the README's table.
COMING = {"READ BUFFER", "WRITE BUFFER"}


def table(heading, columns):
    """Rows of the first table behind these words."""
    lines = README.split(heading, 1)[-1].split("\n| --- |", 1)[-1].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")][:columns])
    return rows


def names():
    """(opcode, service action) to name, of the table in command_names.c; "PERSISTENT RESERVE IN/READ KEYS" is its command's."""
    source = (ROOT / "gateway/scsi/command_names.c").read_text()
    return {(int(op, 16), None if action == "NO_ACTION" else int(action, 16)): name.split("/")[0] for op, action, name in
            re.findall(r'\{(0x[0-9a-f]{2}), (NO_ACTION|0x[0-9a-f]+), "([^"]+)"', source)}


def offered():
    gw = Gateway(more="        allow: [sanitize, set-target-port-groups]").start()
    known, found = names(), set()
    with Initiator(gw.port) as i:
        i.login()
        while i.ready()[0]:
            pass
        status, data = i.run(bytes([0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0]), read=16384)
        for at in range(4, 4 + int.from_bytes(data[:4], "big"), 8):
            action = int.from_bytes(data[at + 2:at + 4], "big") if data[at + 5] & 1 else None
            found.add(known.get((data[at], action), f"opcode {data[at]:02X}h {action}"))
    return found


def assigned(name):
    """A literal of iscsi_suite.py's."""
    tree = ast.parse((ROOT / "tests/conformance/iscsi_suite.py").read_text())
    return next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", None) == name)


rows = table("## SCSI, command by command", 3)
told = {name for row in rows for name in row[0].split(", ")}
there = offered()
stem = lambda name: re.sub(r" (IN|OUT)$|( STATUS| DATA| OPERATING PARAMETERS| FAILURE DETAILS)?\(.*\)$|( OPERATING PARAMETERS)$", "", name)
coming = {name for name in there - told if stem(name) in COMING}
check(AREA, "the README's table has rows of SCSI commands", len(rows) > 10, rows)
check(AREA, "every SCSI command in the README is offered", told <= there, sorted(told - there))
check(AREA, "every SCSI command that is offered is in the README", there - told <= coming, sorted(there - told - coming))
for name in sorted(coming):
    skip(AREA, f"{name} is in the README's table", "not yet")
check(AREA, "what is in the README is not called coming", not {stem(n) for n in told} & COMING, told)
check(AREA, "each row of it names a test that is there", all(
    any((ROOT / "tests" / d / name).exists() for d in ("unit", "conformance", "kernel")) for row in rows
    for name in re.findall(r"`([^`]+)`", row[2])) and all("`" in row[2] for row in rows), rows)
check(AREA, "the README names what libiscsi's suite leaves out, and nothing else",
      {row[0] for row in table("libiscsi's `iscsi-test-cu`:", 2)} == {*assigned("LEFT_OUT"), *assigned("BY_MISTAKE")},
      table("libiscsi's `iscsi-test-cu`:", 2))
finish()
