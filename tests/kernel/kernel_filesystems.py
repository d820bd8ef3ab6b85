#!/usr/bin/env python3
"""File systems of the Linux kernel on an exported disk: made, filled, unmounted, and found whole after a new login."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from capture import Capture

SYSTEMS = (
    ("ext4", "/sbin/mke2fs -q -t ext4 -F /dev/sda", "e2fsck -fn /dev/sda"),
    ("xfs", "mkfs.xfs -q -f /dev/sda", "xfs_repair -n /dev/sda"),
)
FILL = ("for d in 1 2 3; do mkdir -p /mnt/$d; for f in $(seq 20); do "
        "dd if=/dev/urandom of=/mnt/$d/$f bs=$((f * 3001)) count=$d 2>/dev/null; done; done; "
        "dd if=/dev/urandom of=/mnt/big bs=1M count=12 2>/dev/null; rm /mnt/2/1*; "
        "(cd /mnt && find . -type f | sort | xargs sha256sum) >/tmp/sums")

files = image_or_skip("file systems are made, filled and found again")
gw = Gateway(size="512MiB").start()
guest = Guest(files)
guest.run("modprobe -a ext4 xfs")
md5 = {"node.session.auth.chap_algs": "MD5", "node.conn[0].iscsi.HeaderDigest": "CRC32C",
       "node.conn[0].iscsi.DataDigest": "CRC32C"}
code, out = guest.node(gw.port, md5)
with Capture(gw.port) as wire:
    for name, make, look in SYSTEMS:
        code, out = guest.login(gw.port)
        check(AREA, f"the kernel logs in to make {name}", code == 0, out + gw.log())
        code, out = guest.run(f"{make} && mount -t {name} /dev/sda /mnt && {{ {FILL}; }} && umount /mnt", 120)
        check(AREA, f"{name} is made, filled with files and unmounted", code == 0, out + guest.log())
        code, out = guest.logout(gw.port)
        check(AREA, f"the kernel logs out of {name}", code == 0, out)
        code, out = guest.login(gw.port)
        check(AREA, f"{name} is checked after a new login and is whole", code == 0 and guest.run(look, 120)[0] == 0,
              guest.run(look)[1])
        code, out = guest.run(f"mount -t {name} /dev/sda /mnt && (cd /mnt && sha256sum -c /tmp/sums | grep -v OK$; "
                              "[ $(sha256sum -c /tmp/sums | grep -c OK$) -gt 40 ]) && umount /mnt", 60)
        check(AREA, f"every file on {name} has the contents that were written", code == 0 and "FAILED" not in out, out)
        guest.logout(gw.port)
wire.check(AREA, "file systems with digests")
check(AREA, "the disk's commands are in the audit trail", len(gw.audit()) > 100)
finish()
