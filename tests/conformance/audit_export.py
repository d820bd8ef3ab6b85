#!/usr/bin/env python3
"""`audit export` to files: every format is read by another program's parser, and an export that is killed goes on."""
import csv, io, re, sqlite3
from harness import *
from initiator import *

AREA = "audit"
NAUGHTY = "=cmd|' /C calc'!A0\"\n\\,]|=\x1b[2J<b>\u202e'); DROP TABLE records; --"


def refused(gw, name):
    with Initiator(gw.port, name=name) as i:
        try:
            i.login()
        except (Refused, Gone):
            pass


def some_records(gw, commands):
    refused(gw, "iqn.1994-05.com.redhat:" + NAUGHTY)
    refused(gw, NAUGHTY)
    with Initiator(gw.port) as i:
        i.login()
        for n in range(commands):
            i.write(n % 1000, bytes(512))
        i.run(bytes([0xc1, 0, 0, 0, 0, 0]))
        i.logout()


def export(gw, *words):
    return gw.command("audit", "export", *words)


def lines(gw, *words):
    done = export(gw, *words)
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


gw = Gateway().start()
some_records(gw, 4000)
check(AREA, "a running gateway's trail is exported as it is now",
      any(r.get("event") == "logout" for r in lines(gw, "--op", "logout")))
gw.stop()
first_half = gw.folder / "first-half"
shutil.copytree(gw.state / "audit", first_half)
gw.start()
some_records(gw, 4000)
gw.stop()

# --- formats -------------------------------------------------------------------------------------------------

records = [json.loads(line) for line in gw.command("audit", "show", "--json", "--utc").stdout.splitlines()]
hostile = [r for r in records if "calc" in r.get("initiator", "") + r.get("detail", "")]
check(AREA, "the trail of this test has names that mean harm", hostile)
check(AREA, "jsonl is what `audit show --json --utc` prints", lines(gw) == records)

rows = list(csv.DictReader(io.StringIO(export(gw, "--format", "csv").stdout, newline="")))
as_text = [{name: str(value) for name, value in r.items()} for r in records]
check(AREA, "csv has the same fields", [{k: v[v[:1] == "'":] for k, v in row.items() if v} for row in rows] == as_text)
check(AREA, "csv: no field begins as a formula", not any(v[:1] and v[0] in "=+-@|%\t\r" for row in rows for v in row.values()))

ecs = lines(gw, "--format", "ecs")
check(AREA, "ecs: each record, in turn", [r["event"]["sequence"] for r in ecs] == [r["seq"] for r in records])
check(AREA, "ecs: kind, category, type and outcome are there",
      all({"kind", "category", "type", "outcome"} <= r["event"].keys() for r in ecs))
login = next(r for r in ecs if r["event"].get("action") == "login")
check(AREA, "ecs: a login is an authentication that succeeded",
      (login["event"]["category"], login["event"]["type"], login["event"]["outcome"], login["user"]["name"]) ==
      (["authentication", "session"], ["start"], "success", CLIENT), login)

ocsf = lines(gw, "--format", "ocsf")
check(AREA, "ocsf: each record, in turn", [r["metadata"]["sequence"] for r in ocsf] == [r["seq"] for r in records])
check(AREA, "ocsf: type_uid is of class and activity",
      all(r["type_uid"] == r["class_uid"] * 100 + r["activity_id"] and r["category_uid"] == r["class_uid"] // 1000 for r in ocsf))
check(AREA, "ocsf: time is milliseconds", all(o["time"] == r["time_ns"] // 1000000 for o, r in zip(ocsf, records)))
check(AREA, "ocsf: a refused login failed, as an authentication",
      any(r["type_uid"] == 300201 and r["status_id"] == 2 and "calc" in r["actor"]["user"]["name"] for r in ocsf) or
      not any(r.get("event") == "refusal" and "calc" in r.get("initiator", "") for r in records))

cef = export(gw, "--format", "cef").stdout.splitlines()
check(AREA, "cef: a line a record", len(cef) == len(records) and all(line.startswith("CEF:0|Sallyport|sallyport|") for line in cef))

# --- SQLite --------------------------------------------------------------------------------------------------


def rows_of(path, query="SELECT * FROM log ORDER BY seq"):
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        return [{k: row[k] for k in row.keys() if row[k] is not None} for row in db.execute(query)]


base = gw.folder / "trail.db"
done = export(gw, "--format", "sqlite", "--output", base, "--since-checkpoint", "one")
check(AREA, "sqlite: the database is written", done.returncode == 0, done.stderr)
check(AREA, "sqlite: the view `log` has the same fields", rows_of(base) == records)
check(AREA, "sqlite: a session stands once, with the initiator's name",
      [s["initiator"] for s in rows_of(base, "SELECT * FROM sessions")] == [CLIENT] * 2)
check(AREA, "sqlite: the database is sound", rows_of(base, "PRAGMA integrity_check") == [{"integrity_check": "ok"}])
done = export(gw, "--format", "sqlite", "--output", base, "--since-checkpoint", "one")
check(AREA, "sqlite: from its checkpoint, nothing is there twice", done.returncode == 0 and rows_of(base) == records, done.stderr)
done = export(gw, "--format", "sqlite", "--output", base)
check(AREA, "sqlite: without it, it is told that the records are there", done.returncode == 3 and "already" in done.stderr, done.stderr)
foreign = gw.folder / "foreign.db"
with sqlite3.connect(foreign) as db:
    db.execute("CREATE TABLE mine (x)")
done = export(gw, "--format", "sqlite", "--output", foreign)
check(AREA, "sqlite: another program's database is left alone", done.returncode == 3 and "another file" in done.stderr, done.stderr)

# --- kill -9, and going on -----------------------------------------------------------------------------------

whole = export(gw).stdout


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def killed_at(path, size, *words):
    """Kills an export once its output is so long; True when it was still running."""
    process = subprocess.Popen([SALLYPORT, "audit", "export", "--state", gw.state, "--output", path, *words],
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and size_of(path) < size:
        pass
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


kills = 0
for n in range(4):
    out, name = gw.folder / f"killed-{n}.json", f"killed-{n}"
    for part in range(1, 6):
        kills += killed_at(out, len(whole) * part // 7, "--since-checkpoint", name)
    done = export(gw, "--output", out, "--since-checkpoint", name)
    if not (done.returncode == 0 and out.read_text() == whole):
        check(AREA, f"an export that was killed {n} goes on", False, done.stderr)
check(AREA, f"P4: exports that were killed go on, without a gap or a repetition", kills > 0, kills)
for n in range(3):
    out = gw.folder / f"killed-{n}.db"
    for part in range(1, 6):
        kills += killed_at(out, 400000 * part, "--format", "sqlite", "--since-checkpoint", "one")
    done = export(gw, "--format", "sqlite", "--output", out, "--since-checkpoint", "one")
    if not (done.returncode == 0 and rows_of(out) == records):
        check(AREA, f"sqlite: an export that was killed {n} goes on", False, done.stderr)

# --- checkpoints ---------------------------------------------------------------------------------------------

out = gw.folder / "days.json"
check(AREA, "an export with a checkpoint", export(gw, "--output", out, "--since-checkpoint", "days").returncode == 0)
out.write_text(whole + "half a rec")
done = export(gw, "--output", gw.folder / "next.json", "--since-checkpoint", "days")
check(AREA, "a file that was cut off in the middle is told, when another is named",
      done.returncode == 3 and "cut off" in done.stderr, done.stderr)
done = export(gw, "--output", out, "--since-checkpoint", "days")
check(AREA, "and is cut back, when it is named again", done.returncode == 0 and out.read_text() == whole, done.stderr)
out.write_text(whole[:1000])
done = export(gw, "--output", out, "--since-checkpoint", "days")
check(AREA, "one that has become shorter is told", done.returncode == 3 and "shorter" in done.stderr, done.stderr)
out.write_text(whole)
check(AREA, "the next one has nothing new", export(gw, "--since-checkpoint", "days").stdout == "")
check(AREA, "files are private", out.stat().st_mode & 0o777 == 0o600 and base.stat().st_mode & 0o777 == 0o600)
done = export(gw, "--output", out)
check(AREA, "a file is never written over", done.returncode == 3 and out.read_text() == whole, done.stderr)
done = export(gw, "--output", out, "--since-checkpoint", "another")
check(AREA, "nor because a checkpoint is new", done.returncode == 3 and out.read_text() == whole, done.stderr)
done = export(gw, "--since-checkpoint", "../days")
check(AREA, "a checkpoint's name is no path", done.returncode == 2, done.stderr)
(gw.state / "exports" / "odd").write_text("sallyport-export-checkpoint 1\nnext x\n")
done = export(gw, "--since-checkpoint", "odd")
check(AREA, "a checkpoint that can't be read is told", done.returncode == 3 and "no checkpoint" in done.stderr, done.stderr)

newest = gw.state / "audit"
aside = gw.folder / "aside"
newest.rename(aside)
shutil.copytree(first_half, newest)
done = export(gw, "--since-checkpoint", "days")
check(AREA, "a trail that was set back is told, and nothing exported",
      done.returncode == 3 and "does not go on" in done.stderr and not done.stdout, done.stderr)
shutil.rmtree(newest)
shutil.copytree(aside, newest)
checkpoint = gw.state / "exports" / "days"
text = checkpoint.read_text()
checkpoint.write_text(text.replace("next " + str(records[-1]["seq"] + 1), "next 100"))
done = export(gw, "--since-checkpoint", "days")
check(AREA, "another record in the checkpoint's place is told", done.returncode == 3 and "another record" in done.stderr, done.stderr)


def checkpoint_at(record):
    return (text.replace("next " + str(records[-1]["seq"] + 1), f"next {record['seq'] + 1}")
            .replace(f"time_ns {records[-1]['time_ns']}", f"time_ns {record['time_ns']}")
            .replace(f"run {int(records[-1]['run'], 16)}", f"run {int(record['run'], 16)}"))


checkpoint.write_text(checkpoint_at(records[50]))
got = lines(gw, "--since-checkpoint", "days", "--op", "logout")
check(AREA, "a filter is about records, the checkpoint about the trail",
      got == [r for r in records[51:] if r.get("event") == "logout"] and lines(gw, "--since-checkpoint", "days") == [], got)

trail = text.splitlines()[1]
check(AREA, "a checkpoint names its trail", re.fullmatch("trail [0-9a-f]{32}", trail), trail)
checkpoint.write_text(checkpoint_at(records[50]).replace(trail, "trail " + "5a" * 16))
done = export(gw, "--since-checkpoint", "days")
check(AREA, "another trail than the checkpoint's is told, and nothing exported",
      done.returncode == 3 and "another trail" in done.stderr and not done.stdout, done.stderr)
checkpoint.write_text(checkpoint_at(records[50]).replace(trail, "trail 5a"))
done = export(gw, "--since-checkpoint", "days")
check(AREA, "a trail's name of another length is none", done.returncode == 3 and "no checkpoint" in done.stderr, done.stderr)
checkpoint.write_text(checkpoint_at(records[50]).replace(trail + "\n", "").replace("checkpoint 2", "checkpoint 1"))
check(AREA, "a checkpoint of before it named the trail is read", lines(gw, "--since-checkpoint", "days") == records[51:])
check(AREA, "and names it from then on", trail in checkpoint.read_text().splitlines())

with sqlite3.connect(base) as db:
    db.execute("UPDATE checkpoint SET trail = ?", ("5a" * 16,))
done = export(gw, "--format", "sqlite", "--output", base, "--since-checkpoint", "one")
check(AREA, "sqlite: nor does a database take another trail", done.returncode == 3 and "another trail" in done.stderr, done.stderr)
with sqlite3.connect(base) as db:
    db.execute("ALTER TABLE checkpoint DROP COLUMN trail")
    db.execute("UPDATE checkpoint SET next_seq = ?, time_ns = ?", (records[-2]["seq"] + 1, records[-2]["time_ns"]))
    db.execute("DELETE FROM records WHERE seq = ?", (records[-1]["seq"],))
    db.execute("PRAGMA user_version = 1")
done = export(gw, "--format", "sqlite", "--output", base, "--since-checkpoint", "one")
check(AREA, "sqlite: a database of before it named the trail goes on, and names it",
      done.returncode == 0 and rows_of(base) == records and "trail " + rows_of(base, "SELECT trail FROM checkpoint")[0]["trail"] == trail,
      done.stderr)

checkpoint.write_text(checkpoint_at(records[50]))
for segment in newest.glob("*-000001.*"):
    segment.unlink()
done = export(gw, "--since-checkpoint", "days")
check(AREA, "records that were deleted before they were exported are told",
      done.returncode == 3 and "no longer there" in done.stderr and not done.stdout, done.stderr)

# --- usage ---------------------------------------------------------------------------------------------------

for words, said in ((("--format", "xml"), "--format xml"), (("--format", "sqlite"), "needs --output"),
                    (("--to", "tcp:x"), "syslog:tcp:HOST:PORT"), (("--to", "syslog:tcp:nowhere"), "syslog:tcp:HOST:PORT"),
                    (("--to", "journal:relative"), "whole path"), (("--to", "journal", "--format", "csv"), "not csv"),
                    (("--to", "journal", "--output", "x"), "not both")):
    done = export(gw, *words)
    check(AREA, f"{' '.join(words)} is wrong usage", done.returncode == 2 and said in done.stderr, done.stderr)
finish()
