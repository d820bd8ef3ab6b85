#!/usr/bin/env python3
"""10 000 initiators: of one target, and of as many targets as there may be."""
import re

import large_policy
from harness import *

AREA, COUNT = "policy", 10000


def test_large(folder, targets):
    path, what = folder / "large.yaml", f"{COUNT} initiators of {targets} targets"
    path.write_text(large_policy.policy(targets, COUNT))
    done = run(SALLYPORT, "check", path)
    check(AREA, f"{what} are taken", done.returncode == 0 and f" {COUNT} initiators" in done.stdout, done.stdout + done.stderr)
    script = run(SALLYPORT, "plan", "--firewall", path).stdout
    addresses = re.findall(r"\b10\.1\d\d\.\d+\.\d+\b(?![-/])", script)
    check(AREA, f"{what} have their addresses in the firewall, each once",
          sorted(addresses) == sorted(large_policy.address_of(k) for k in range(COUNT)), len(addresses))
    asked = ["explain", path, "--state", folder, "--initiator", large_policy.name_of(COUNT - 1), "--target"]
    own, whose = large_policy.TARGET + str((COUNT - 1) % targets), large_policy.address_of(COUNT - 1)
    allowed = run(SALLYPORT, *asked, own, "--lun", "0", "--from", whose)
    check(AREA, f"P1: {what}: the last is allowed", allowed.returncode == 0, allowed.stdout + allowed.stderr)
    refused = run(SALLYPORT, *asked, own, "--lun", "0", "--from", large_policy.address_of(COUNT - 2))
    check(AREA, f"P1: {what}: … and not from the address of another", refused.returncode == 1 and "refused: address" in refused.stdout,
          refused.stdout + refused.stderr)


def test_too_large(folder):
    path = folder / "larger.yaml"
    path.write_text(large_policy.policy(2, COUNT + 1))
    done = run(SALLYPORT, "check", path)
    check(AREA, "one initiator more is refused, before the authenticator has to", done.returncode == 1 and
          f"the policy has {COUNT + 1} initiators; it can have {COUNT}" in done.stderr, done.stderr)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for targets in (1, 4096):
            test_large(pathlib.Path(folder), targets)
        test_too_large(pathlib.Path(folder))
    finish()


main()
