#!/usr/bin/env python3
"""What our programs load: a session, which is executed for each connection, no library that it does not need."""
import os, pathlib, re, subprocess, sys

BUILD = pathlib.Path(os.environ.get("SALLYPORT_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
SESSION = {"liburing", "libseccomp", "libisal", "libc", "ld-linux-x86-64", "libpthread"}
TLS = {"libssl", "libcrypto", "libsodium"}


def libraries(program):
    said = subprocess.run(["readelf", "-d", BUILD / program], capture_output=True, text=True).stdout
    return {name.split(".so")[0] for name in re.findall(r"\(NEEDED\).*\[(.*)\]", said)}


session, session_tls, monitor = map(libraries, ("sallyport-session", "sallyport-session-tls", "sallyport"))
fine = {
    "P3: the program of a plain portal's sessions is linked to what these need, and no more: no TLS": session and session <= SESSION,
    "P3: that of a portal with TLS is linked to TLS besides, and no more": session_tls and session_tls <= SESSION | TLS,
    "names are normalised by GNU libidn, in the monitor's program": "libidn" in monitor,
}
for sentence, holds in fine.items():
    print(f"{'ok' if holds else 'FAIL'} deploy: {sentence}")
if not all(fine.values()):
    print(f"    sessions: {sorted(session)}, {sorted(session_tls)}\n    monitor: {sorted(monitor)}")
sys.exit(not all(fine.values()))
