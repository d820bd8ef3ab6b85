#!/usr/bin/env python3
"""`make bench` runs, as short as can be: the gateway beside the bare echo, few rounds of few commands. Its figures are nobody's."""
import os, pathlib, re, subprocess, sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SALLYPORT_BUILD", "build")).resolve()
ROWS = ("4 KiB random reads, 1", "4 KiB random reads, 4 x 32", "4 KiB random writes, 32", "4 KiB random, 70 % reads, 32",
        "4 KiB reads, 32, digests", "4 KiB writes, 32, digests")
failed = False


def check(sentence, fine, note=""):
    global failed
    print(f"{'ok' if fine else 'FAIL'} bench: {sentence}", flush=True)
    if not fine and not failed:  # told once
        print("    " + "\n    ".join(note.splitlines()[-30:]), flush=True)
    failed = failed or not fine


if len(os.sched_getaffinity(0)) < 2:
    print("skip bench: it runs (needs two cores)")
    sys.exit(0)
plot = pathlib.Path("bench.svg").resolve()
small = dict(ROUNDS="1", MS="5", MIB="2", ROWS="4 KiB", SIDES="uring", IDLE="3", LOGINS="50", FOLDER=os.getcwd(), PLOT=str(plot), TARGET="")
process = subprocess.Popen([sys.executable, "-B", "-m", "bench"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, **small, "SALLYPORT_BUILD": str(BUILD), "PYTHONPATH": str(ROOT / "tests")})
try:
    out, errors = process.communicate(timeout=240)
except subprocess.TimeoutExpired:
    process.terminate()  # it ends what it started
    out, errors = process.communicate()
told = out + errors
check("it runs to its end", process.returncode == 0, told)
tables = out.split("beside their goals")
for row in ROWS:
    pattern = rf"{re.escape(row)} +sallyport, uring +\d+ +\d+ +\d+\.\d\d \(.* … .*\)[^\n]*\n +bare echo +\d+"
    check(f"it has a row of {row}, ours as a part of the echo's", re.search(pattern, tables[0]) is not None, told)
check("it has ratios beside their goals", len(tables) == 2 and re.search(r"of the echo's rate +\d+\.\d\d +goal >= 0\.85", tables[1]) is not None, told)
check("it says what idle sessions and logins take from a busy one", re.search(r"3 idle sessions \d.*\n +\d+ logins a second \d", out) is not None, told)
check("it says what an idle session's process has for itself", re.search(r"process has \d+ KiB", out) is not None or os.geteuid() != 0, told)
check("it counts the session's instructions",
      re.search(r"instructions of the session .*: \d+\n  .*gateway/scsi \d+.*\n  its system calls: .*readv \d", out) is not None or "not counted, that needs root" in out, told)
check("it says what a login costs, by process", re.search(r"for a login with CHAP.*\n  its session \d.*monitor \d.*authenticator \d", out) is not None, told)
try:
    bars = [e for e in xml.fromstring(plot.read_text()).iter() if e.tag.endswith("title")]
    check("its plot is XML with a bar for each side of each row", len(bars) == 2 * 7, f"{len(bars)} bars")
except (OSError, xml.ParseError) as error:
    check("its plot is XML with a bar for each side of each row", False, str(error))
sys.exit(1 if failed else 0)
