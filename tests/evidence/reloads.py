"""Sessions kept over random reloads under load: the tests of reloads print their figures with harness.evidence()."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARK = "evidence: "


def show():
    told, failed = 0, []
    for test in sorted(ROOT.glob("*/reload_*.py")):
        if "evidence(" not in test.read_text():
            continue
        done = subprocess.run([sys.executable, "-B", test], text=True, capture_output=True,
                              env={**os.environ, "SALLYPORT_EVIDENCE": "1", "PYTHONPATH": str(ROOT)})
        for line in done.stdout.splitlines():
            if line.startswith((MARK, "FAIL")):
                print(line.removeprefix(MARK))
                told += line.startswith(MARK)
        if done.returncode:
            failed.append(test.name)
    if failed:
        raise SystemExit("what was measured is not right: " + ", ".join(failed) + " failed")
    if not told:
        print("not here: no test of reloads tells figures")
