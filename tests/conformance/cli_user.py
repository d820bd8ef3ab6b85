#!/usr/bin/env python3
"""An ordinary user serves a disk: no firewall, and told so; everything else as for root."""
import encodings.idna, os, shutil  # what is loaded late must be loaded while it can be read
from harness import *
from initiator import *

AREA = "cli"
SENTENCE = "an ordinary user serves a disk with every process in its sandbox"
if os.geteuid() != 0:
    skip(AREA, SENTENCE, "the other tests run as an ordinary user already")
    finish()
user = 65533
os.environ["TMPDIR"] = "/tmp"  # a folder that the user can reach
folder = tempfile.mkdtemp(prefix="sallyport-user-", dir="/tmp")
tempfile.tempdir = folder
# the build may lie where only root can look
for name in ("sallyport", "sallyport-session", "sallyport-session-tls"):
    shutil.copy(BUILD / name, folder)
os.chown(folder, user, user)
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
import harness
harness.SALLYPORT = SALLYPORT = folder + "/sallyport"
gw = Gateway()
gw.start()
with Initiator(gw.port).login() as i:
    check(AREA, SENTENCE, i.write(0, b"u" * 512)[0] == 0 and i.read(0, 1) == (0, b"u" * 512), gw.log())
    i.logout()
check(AREA, "it is told in one line that there is no firewall", gw.log().count("NO FIREWALL") == 1, gw.log())
status = gw.command("status")
check(AREA, "status says so too, and is well all the same: every portal is on loopback", status.returncode == 0 and "CAP_NET_ADMIN" in status.stdout, status.stdout)
with Initiator(gw.port) as i:
    try:
        i.login(secret="wrong-secret-0000")
        refused = False
    except Refused as r:
        refused = r.status == 0x0201
check(AREA, "P1: a wrong secret is refused without a firewall as well", refused)
gw.close()
shutil.rmtree(folder, ignore_errors=True)
finish()
