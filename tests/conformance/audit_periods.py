#!/usr/bin/env python3
"""`audit first-seen` and `compare`: who came for the first time, who only tried, what two periods differ in; beside a running gateway."""
import csv, io, json
from harness import *
from initiator import *

AREA = "audit"
HOSTILE = "iqn.2026-11.evil:=cmd\x1b[2J\u202e<b>"
gw = Gateway().start()


def lines(*words):
    return [json.loads(line) for line in gw.command("audit", *words, "--json").stdout.splitlines()]


def tried(name):
    try:
        Initiator(gw.port, name=name).login()
    except Exception:
        pass


Initiator(gw.port).login().close()
for name in (HOSTILE, "iqn.2026-11.net.example:stranger", "iqn.2026-11.net.example:stranger"):
    tried(name)
wait_for(lambda: len(gw.audit("--op", "refusal")) >= 3)
seen = lines("first-seen")
check(AREA, "who was let in, and who only tried, each once with when and how", [(r["initiator"], r["new"], r["event"], r["count"]) for r in seen] == [
    (CLIENT, "initiator+address", "login", 1), (HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\xe2\\x80\\xae"), "initiator", "refusal", 1),
    ("iqn.2026-11.net.example:stranger", "initiator", "refusal", 2)], seen)
records = {r["seq"]: r for r in gw.audit()}
check(AREA, "its record is the one that it names", all(records[r["seq"]]["time_ns"] == r["first_time_ns"] for r in seen), seen)
check(AREA, "before a time there was nobody", lines("first-seen", "--until", "-1h") == [] and lines("first-seen", "--initiator", "nobody") == [])
check(AREA, "nobody is new since now", gw.command("audit", "first-seen", "--since", "now", "--json").stdout == "")
rows = list(csv.reader(io.StringIO(gw.command("audit", "first-seen", "--csv").stdout)))
check(AREA, "CSV has the names, and rows as wide", rows[0][0] == "seq" and len(rows) == 4 and len({len(r) for r in rows}) == 1, rows)
table = gw.command("audit", "first-seen").stdout
check(AREA, "no control character reaches the table", table.startswith("FIRST SEEN") and not any(ord(c) < 32 and c != "\n" or c == "\u202e" for c in table), table)
# --- two periods --------------------------------------------------------------------------------------------
border = gw.audit()[-1]["time"]
with Initiator(gw.port).login() as i:
    i.write(0, bytes(65536))
    i.run(bytes([0xc1]) + bytes(15))
wait_for(lambda: len(gw.audit("--op", "logout")) >= 2)
periods = (f"-1h..{border}", f"{border}..now")
done = gw.command("audit", "compare", *periods, "--json")
rows = {(r["what"], r.get("name"), r["measure"]): (r["before"], r["after"], r["change"]) for r in map(json.loads, done.stdout.splitlines())}
check(AREA, "compare exits with 10 and tells what was written, by whom, where", done.returncode == 10 and rows.get(("initiator", CLIENT, "written_bytes")) == (0, 65536, "new") and
      rows.get(("access", f"{CLIENT} to {TARGET} LUN 0", "written_bytes")) == (0, 65536, "new"), (done.returncode, done.stderr, rows))
check(AREA, "… and the refusals that are gone", rows.get(("refusal", "bad-initiator-name", "times"), (0, 0, 0))[2] == "gone", rows)
done = gw.command("audit", "compare", "2020-01-01", "2020-01-02")
check(AREA, "two days without records don't differ: exit 0", done.returncode == 0 and "CHANGE" in done.stdout, done.stdout + done.stderr)
table = gw.command("audit", "compare", *periods, "--all")
check(AREA, "the table has both periods, and volumes with units", table.stdout.startswith("before ") and "64 KiB" in table.stdout.replace("64.0", "64"), table.stdout)
rows = list(csv.reader(io.StringIO(gw.command("audit", "compare", *periods, "--csv", "--all").stdout)))
check(AREA, "its CSV has the names, and rows as wide", rows[0] == ["what", "name", "measure", "before", "after", "change"] and len(rows) > 3 and len({len(r) for r in rows}) == 1, rows)
for words, said in ((("yesterday",), "BEFORE AFTER"), (("noon", "today"), "no period"), (("today..yesterday", "today"), "ends before"), (("today", "today", "--since", "-1h"), "no --since")):
    done = gw.command("audit", "compare", *words)
    check(AREA, "audit compare " + " ".join(words) + " is refused, and says what it needs", done.returncode == 2 and said in done.stderr, done.stderr)
check(AREA, "the gateway stops cleanly after all this", gw.stop() == 0, gw.log())
finish()
