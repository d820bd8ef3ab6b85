#!/usr/bin/env python3
"""What `sallyport client --for linux` prints is run on a Linux machine, exactly as printed, and it has its disks."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *

POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain, advertise: ["{gateway}:{port}"]}}
disks:
  vault: {{memory: 16MiB}}
  second: {{memory: 32MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault, 1: second}}
    digests: required
    queue_depth: 48
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
  {target}-two:
    portals: [here]
    luns: {{0: second}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
        luns: {{0: read-only}}
"""

files = image_or_skip("the commands of client --for linux, as printed")
gw = Gateway(policy=POLICY, gateway=GATEWAY)
gw.secret("alice", "it's-al1ce$`\\\"0123")  # a shell would take each of these for something
gw.start()
done = gw.command("client", CLIENT, "--for", "linux", "--with-secrets")
check(AREA, "client prints the commands of the policy in force", done.returncode == 0 and done.stdout.count("--login") == 2, done.stdout + done.stderr)
guest = Guest(files)
start = len(gw.log())
code, out = guest.run(done.stdout)
log = gw.log()[start:]
check(AREA, "P1: the commands, exactly as printed, log a Linux machine in to both targets", code == 0 and log.count("login: ") == 2 and "(sha3-256)" in log, out + log)
code, out = guest.run("cat /sys/class/iscsi_session/*/state; cat /proc/partitions | grep -c sd")
check(AREA, "it has its disks", wait_for(lambda: guest.run("grep -c ' sd' /proc/partitions")[1].strip().endswith("3")), out)
code, out = guest.run(f"iscsiadm -m node -T {TARGET} -p {GATEWAY}:{gw.port}")
want = ("node.startup = automatic", "node.session.timeo.replacement_timeout = 600", "node.conn[0].timeo.noop_out_interval = 10",
        "node.conn[0].timeo.noop_out_timeout = 30", "node.session.queue_depth = 48", "node.conn[0].iscsi.HeaderDigest = CRC32C",
        "node.session.auth.chap_algs = SHA3-256,SHA256", "node.session.auth.username_in = gw-for-alice")
check(AREA, "its record has the timeouts of a long line, the algorithms and the digests", code == 0 and all(line in out for line in want), out)
code, out = guest.run("cat /sys/class/iscsi_connection/*/header_digest /sys/class/iscsi_session/*/recovery_tmo")
check(AREA, "and so has the kernel's session", code == 0 and "600" in out, out)
code, out = guest.run(f"iscsiadm -m node -T {TARGET} --logout; iscsiadm -m node -T {TARGET}-two --logout")
check(AREA, "it logs out again", code == 0, out)
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
