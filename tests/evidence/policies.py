"""What a policy of 10 000 initiators takes: to be checked, to become the firewall's script, and for nft to take that up."""
import pathlib
import shutil
import tempfile
import time

import large_policy
from harness import SALLYPORT, run

COUNT, ROUNDS = 10000, 5
NFT = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")


def seconds(*command):
    """The best of a few."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        done = run(*command)
        took.append(time.perf_counter() - began)
        assert done.returncode == 0, done.stderr
    return min(took), done.stdout


def show():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path, script = folder / "large.yaml", folder / "script.nft"
        for targets in (1, 4096):
            path.write_text(large_policy.policy(targets, COUNT))
            checked, _ = seconds(SALLYPORT, "check", path)
            made, text = seconds(SALLYPORT, "plan", "--firewall", path)
            script.write_text(text)
            taken = f"nft takes it up in {seconds(NFT, '-f', script)[0]:.2f} s" if NFT else "no nft here"
            print(f"{COUNT} initiators of {targets:4} targets, {path.stat().st_size / 2**20:.1f} MiB: "
                  f"checked in {checked:.2f} s, the firewall's script made in {made:.2f} s, {taken}")
