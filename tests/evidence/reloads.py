"""Sessions kept over random reloads under load: the test of it prints its figures."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def show():
    tests = sorted(ROOT.glob("*/reload_random*.py"))
    if not tests:
        print("not here: there is no such test")
    for test in tests:
        done = subprocess.run([sys.executable, "-B", test], text=True, capture_output=True,
                              env={**os.environ, "SALLYPORT_EVIDENCE": "1", "PYTHONPATH": str(ROOT)})
        print("".join(line + "\n" for line in done.stdout.splitlines() if not line.startswith("ok ")).strip())
