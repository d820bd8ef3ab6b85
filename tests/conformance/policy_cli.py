"""check, plan --firewall and explain as a person types them: exit statuses, and what is on which stream."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("SALLYPORT_BUILD", ROOT / "build")) / "sallyport"
FIRST, TWO = (str(ROOT / "deploy/examples" / name) for name in ("first.yaml", "two-hosts.yaml"))
BROKEN = str(ROOT / "tests/policy/broken/size-without-a-unit.yaml")
REPORT = ("--initiator", "iqn.1994-05.com.redhat:report", "--target", "iqn.2026-11.net.example.gw:database")
ASK = ("explain", TWO, "--state", "/no/such", "--from", "10.8.0.21", *REPORT)

# why, arguments, exit status, on stdout, on stderr (None: nothing at all)
CASES = [
    ("a safe policy is said to be SAFE", ["check", FIRST], 0, "SAFE", None),
    ("P5: check names the policy's hash", ["check", FIRST], 0, "; policy ", None),
    ("warnings are told and counted, and do not fail", ["check", TWO], 0, "1 warning", "accept_risk"),
    ("a broken policy is refused, with the place", ["check", BROKEN], 1, None, "yaml:5:19: error:"),
    ("a policy that can't be read is another status", ["check", "/no/such.yaml"], 3, None, "can't be read"),
    ("check needs a policy", ["check"], 2, None, "POLICY"),
    ("check tells of a broken policy as JSON", ["check", "--json", BROKEN], 1, '"valid": false', None),
    ("plan --firewall prints the script alone", ["plan", "--firewall", FIRST], 0, "table inet sallyport {", None),
    ("plan without a gateway says that all is new", ["plan", FIRST, "--state", "/no/such"], 10, "no gateway answers: all is new", None),
    ("plan of a broken policy is refused", ["plan", BROKEN, "--state", "/no/such"], 1, None, "yaml:5:19: error:"),
    ("plan --firewall of a broken policy prints no script", ["plan", "--firewall", BROKEN], 1, None, "error:"),
    ("P1: explain allows what the policy allows", [*ASK, "--lun", "1", "--command", "read-10"], 0, "allowed", None),
    ("P1: explain refuses a write to a read-only LUN", [*ASK, "--lun", "1", "--command", "write-10"], 1, "refused: command", None),
    ("a command that can't be denied is allowed", [*ASK, "--lun", "1", "--command", "inquiry"], 0, "allowed", None),
    ("P1: explain refuses a LUN that is not granted", [*ASK, "--lun", "0"], 1, "refused: lun", None),
    ("explain names the line that decides", [*ASK, "--lun", "0"], 1, "two-hosts.yaml:21)", None),
    ("P1: explain refuses another's address", ["explain", TWO, "--from", "10.8.0.11", *REPORT], 1, "refused: address", None),
    ("P1: explain refuses a stranger at the firewall", ["explain", TWO, "--from", "192.0.2.1", *REPORT], 1, "refused: firewall", None),
    ("explain shows the line itself", [*ASK, "--lun", "0"], 1, "\n                iqn.1994-05.com.redhat:report:", None),
    ("P1: explain knows the floor of CHAP algorithms", [*ASK, "--algorithm", "md5"], 1, "refused: chap", None),
    ("explain takes an algorithm that is allowed", [*ASK, "--algorithm", "sha3-256"], 0, "allowed", None),
    ("explain knows four algorithms", [*ASK, "--algorithm", "sha512"], 2, None, "sha3-256"),
    ("P1: explain refuses another user", [*ASK, "--user", "mallory"], 1, "refused: chap", None),
    ("P3: explain refuses a reservation to who may only read", [*ASK, "--lun", "1", "--command", "persistent-reserve-out-reserve"], 1, "refused: command", None),
    ("explain takes blocks", [*ASK, "--lun", "1", "--command", "read-16", "--blocks", "8-15"], 0, "allowed", None),
    ("explain takes blocks in order", [*ASK, "--lun", "1", "--command", "read-16", "--blocks", "8-7"], 2, None, "0-2047"),
    ("blocks need a command", [*ASK, "--lun", "1", "--blocks", "8"], 2, None, "--command"),
    ("explain of a broken policy is no answer", ["explain", BROKEN, *ASK[2:]], 3, None, "can't be asked"),
    ("explain needs an address", ["explain", TWO, *REPORT], 2, None, "--from"),
    ("explain knows the commands' names", [*ASK, "--lun", "1", "--command", "wriet"], 2, None, "no command"),
    ("explain knows the portals", [*ASK, "--portal", "nowhere"], 2, None, "no portal"),
]


def holds(why, arguments, status, out, err):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    quiet = TWO in arguments and arguments[0] == "explain"  # its warning is told each time
    right = (done.returncode == status and (out in done.stdout if out else not done.stdout)
             and (err in done.stderr if err else quiet or not done.stderr) and "\033" not in done.stderr)
    print(f"{'ok' if right else 'FAIL'} policy: {why}", flush=True)
    if not right:
        print(f"    {arguments} ended with {done.returncode}\n    {done.stdout}\n    {done.stderr}")
    return right


def as_json():
    done = subprocess.run([PROGRAM, *ASK, "--lun", "1", "--json"], capture_output=True, text=True)
    answer = json.loads(done.stdout)
    right = answer["allowed"] and [layer["layer"] for layer in answer["layers"]] == [
        "firewall", "portal", "initiator", "address", "chap", "target", "lun"]
    print(f"{'ok' if right else 'FAIL'} policy: explain answers as JSON, layer by layer")
    return right


def main():
    if not os.access(PROGRAM, os.X_OK):
        print(f"skip policy: check, plan and explain ({PROGRAM} is not built)")
        return
    results = [holds(*case) for case in CASES] + [as_json()]
    sys.exit(0 if all(results) else 1)


main()
