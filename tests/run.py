#!/usr/bin/env python3
"""Runs every test in parallel: C programs (cmocka, TAP) and Python files, each in a folder of its own.

Prints one line a test, `ok|FAIL|skip AREA: sentence`, then `N passed, N failed, N skipped`.
A C test's area is its file name up to the first underscore; a Python test prints its own lines.
"""
import argparse, concurrent.futures, contextlib, os, pathlib, re, signal, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("conformance", "firewall", "fault")
TAP = re.compile(r"^(not ok|ok) \d+ (?:- |(# SKIP ))(.*)$")  # cmocka says "not ok 1 # SKIP name"
LINE = re.compile(r"^(ok|FAIL|skip) [\w-]+: ")
# A protocol test's sentence begins with the section that it is about: "11.5.1 …", "RFC 7144 6.3 …".
SECTION = re.compile(r"^\w+ [\w-]+: (P\d: )?(RFC \d+ )?(\d{1,2}(\.\d+)*|Appendix [A-E]) ")


def jobs(args):
    for kind in ("unit", "protocol"):
        for source in sorted((ROOT / "tests" / kind).glob("*.c")):
            area = source.stem.split("_")[0]
            if not args.kernel:
                yield area, [str(ROOT / args.build / "tests" / kind / source.stem)], 300
    if args.sanitized:
        return
    kernel = ("kernel",) if args.kernel or args.soak else ()
    for kind in kernel if args.kernel else FOLDERS + kernel:
        for source in sorted((ROOT / "tests" / kind).glob("*.py")):
            area = source.stem.split("_")[0]
            yield area, [sys.executable, "-B", str(source)], 3600 if args.soak else 1200 if args.kernel else 900


def translate(area, output):
    """TAP from cmocka to our lines; what stands before a failure is its explanation."""
    lines, notes = [], []
    for line in output.splitlines():
        match = TAP.match(line)
        if match:
            word = "skip" if match[2] else "ok" if match[1] == "ok" else "FAIL"
            reason = f" ({notes[-1].strip()})" if word == "skip" and notes else ""
            lines.append(f"{word} {area}: {match[3]}{reason}")
            if word == "FAIL":
                lines += notes
            notes = []
        elif LINE.match(line):
            lines.append(line)
        elif not re.match(r"^(1\.\.\d+|TAP version.*|# .*)$", line) or "error" in line.lower():
            notes.append("    " + line)
    return lines, notes


def run(job):
    area, command, limit = job
    name = pathlib.Path(command[-1]).name
    if not os.path.exists(command[-1]):
        return [f"FAIL {area}: {name} is not built"]
    with tempfile.TemporaryDirectory(prefix="sallyport-test-") as folder:
        os.chmod(folder, 0o711)  # programs that run as other users pass through it
        said = open(pathlib.Path(folder) / ".output", "w+b")  # a file: what outlives the test holds nobody up
        env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", TMPDIR=folder, PYTHONPATH=str(ROOT / "tests"))
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=said,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = f"still running after {limit} s"
        with contextlib.suppress(ProcessLookupError):  # the group outlives its leader
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with said:
            said.seek(0)
            output = said.read().decode(errors="replace")
    lines, notes = translate(area, output)
    if code != 0 and not any(line.startswith("FAIL") for line in lines):
        lines.append(f"FAIL {area}: {name} ended with {code}")
        lines += notes[-60:]
    elif any(line.startswith("FAIL") for line in lines):
        lines += notes[-60:]
    if not lines:
        lines.append(f"FAIL {area}: {name} ran no test")
    if pathlib.Path(command[-1]).parent.name == "protocol":
        lines += [f"FAIL {area}: names no section of a standard: {line.split(': ', 1)[1]}"
                  for line in lines if line.startswith("ok ") and not SECTION.match(line)]
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only")
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--kernel", action="store_true", help="the tests with guests in QEMU alone")
    parser.add_argument("--sanitized", action="store_true", help="unit and protocol tests alone")
    args = parser.parse_args()
    os.environ["SALLYPORT_BUILD"] = str(ROOT / args.build)
    os.environ["SALLYPORT_SOAK"] = "1" if args.soak else ""
    work = [job for job in jobs(args) if not args.only or job[0] == args.only]
    count = {"ok": 0, "FAIL": 0, "skip": 0}
    start = time.monotonic()
    workers = (1 if args.kernel else 2) * (os.cpu_count() or 1)  # a guest keeps a core busy
    with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
        for lines in pool.map(run, work):
            for line in lines:
                print(line, flush=True)
                word = line.split(" ", 1)[0]
                if word in count:
                    count[word] += 1
    print(f"in {time.monotonic() - start:.0f} s", file=sys.stderr)
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return 1 if count["FAIL"] or not count["ok"] else 0


sys.exit(main())
