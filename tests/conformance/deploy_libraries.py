#!/usr/bin/env python3
"""What the two programs load: a session, which is executed for each connection, no library that it does not need."""
import os, pathlib, re, subprocess, sys

BUILD = pathlib.Path(os.environ.get("SALLYPORT_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
SESSION = {"libssl", "libcrypto", "libsodium", "liburing", "libseccomp", "libisal", "libc", "ld-linux-x86-64", "libpthread"}


def libraries(program):
    said = subprocess.run(["readelf", "-d", BUILD / program], capture_output=True, text=True).stdout
    return {name.split(".so")[0] for name in re.findall(r"\(NEEDED\).*\[(.*)\]", said)}


session, monitor = libraries("sallyport-session"), libraries("sallyport")
extra = session - SESSION
fine = [session and not extra, "libidn" in monitor]
print(f"{'ok' if fine[0] else 'FAIL'} deploy: P3: a session's program is linked to what a session needs, and no more")
print(f"{'ok' if fine[1] else 'FAIL'} deploy: names are normalised by GNU libidn, in the monitor's program")
if not all(fine):
    print(f"    session: {sorted(session)}\n    monitor: {sorted(monitor)}")
sys.exit(not all(fine))
