#!/usr/bin/env python3
"""Machines that boot from an exported disk: QEMU's own initiator under SeaBIOS, then iPXE, whose disk Linux takes over."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from capture import Capture

QEMU = CLIENT + "-qemu"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB, writers: cluster}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}
      {client}-qemu:
        chap: {{user: bob, mutual: none, algorithms: [md5]}}
"""
BOB = "bob-secret-0123456789"
IPXE = f"""\
#!ipxe
set initiator-iqn {CLIENT}
set username alice
set password {SECRET}
set reverse-username gw-for-alice
set reverse-password {MUTUAL}
sanboot iscsi:{GATEWAY}::%d:0:{TARGET} || poweroff
"""

files = image_or_skip("a guest boots from an iSCSI disk")
gw = Gateway(policy=POLICY)
gw.secret("bob", BOB)
shutil.copy(files.disk, gw.folder / "vault.img")
gw.start()


def boot(*devices):
    """What the machine said on its console until it switched itself off."""
    console = pathlib.Path("console")
    console.unlink(missing_ok=True)
    done = run("timeout", "-k", "5", "500", "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-m", "256",
               "-nodefaults", "-nographic", "-no-reboot", "-serial", f"file:{console}", *devices, timeout=520)
    said = console.read_text(errors="replace") if console.exists() else ""
    return re.findall(r"BOOT: (.*?)\r?\n", said), said[-3000:] + done.stderr + f"\nended with {done.returncode}\n" + gw.log()[-1500:]


with Capture(gw.port) as wire:
    drive = (f"driver=iscsi,node-name=d,transport=tcp,portal=127.0.0.1:{gw.port},target={TARGET},lun=0,user=bob,"
             f"password-secret=s,initiator-name={QEMU}")
    lines, said = boot("-object", f"secret,id=s,data={BOB}", "-blockdev", drive, "-device", "virtio-blk-pci,drive=d,bootindex=0")
    check(AREA, "SeaBIOS and GRUB start Linux from a disk of QEMU's own initiator", "root is /dev/vda1" in lines, said)
    check(AREA, "every file on that machine's root is whole", "every file of the disk is whole" in lines, said)
    check(AREA, "that machine wrote to its root and synced it", "wrote and synced" in lines, said)
    pathlib.Path("tftp").mkdir()
    pathlib.Path("tftp/boot.ipxe").write_text(IPXE % gw.port)
    lines, said = boot("-netdev", "user,id=n,tftp=tftp,bootfile=boot.ipxe", "-device",
                       "virtio-net-pci,netdev=n,bootindex=0")
    check(AREA, "iPXE logs in with mutual CHAP and starts Linux from the disk", lines != [], said)
    check(AREA, "Linux logs in to the target that iPXE booted from", "the firmware's target is logged in to" in lines
          and "root is /dev/sda1" in lines, said)
    check(AREA, "what the machine before wrote is there", "what the boot before wrote is there" in lines
          and "every file of the disk is whole" in lines, said)
    check(AREA, "a machine without a disk of its own writes to its root", "wrote and synced" in lines, said)
wire.check(AREA, "the boots of QEMU's initiator, iPXE and Linux")
finish()
