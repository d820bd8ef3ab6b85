#!/usr/bin/env python3
"""Two portals, two sessions, one disk under dm-multipath: a path is cut while the Linux kernel writes, and I/O goes on."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from capture import Capture
from relay import Relay

POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
  there: {{listen: ["127.0.0.1:{port2}"], transport: plain}}
disks:
  vault: {{file: {folder}/vault.img, size: 64MiB}}
targets:
  {target}:
    portals: [here, there]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice}}
"""
SECONDS = 60 if SOAK else 10
LOAD = (f"fio --name=v --filename=/dev/mapper/both --rw=randwrite --bs=4k --size=32m --runtime={SECONDS} --time_based "
        "--verify=crc32c --verify_backlog=512 --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=8 --minimal")

files = image_or_skip("I/O goes on over the other path of dm-multipath")
gw = Gateway(policy=POLICY, port2=free_port()).start()
one, two = Relay(gw.port), Relay(gw.values["port2"])
guest = Guest(files)
quick = {"node.session.timeo.replacement_timeout": 2, "node.conn[0].timeo.noop_out_interval": 1,
         "node.conn[0].timeo.noop_out_timeout": 15}
for relay, disk in ((one, "sda"), (two, "sdb")):
    guest.node(relay.port, quick)
    code, out = guest.login(relay.port, disk=disk)
    check(AREA, f"the kernel logs in through its {'first' if relay is one else 'second'} portal", code == 0, out + gw.log())
ids = [guest.run(f"od -An -tx1 /sys/block/{disk}/device/vpd_pg83 | tr -d ' \\n'")[1] for disk in ("sda", "sdb")]


def designators(page):
    """Those of the logical unit (association 0), without those of ports."""
    octets, found, at = bytes.fromhex(page.strip()), set(), 4
    while at + 4 <= len(octets):
        size = octets[at + 3]
        if octets[at + 1] & 0x30 == 0:
            found.add((octets[at + 1] & 0xf, octets[at + 4:at + 4 + size]))
        at += 4 + size
    return found


check(AREA, "both paths name one logical unit", designators(ids[0]) and designators(ids[0]) == designators(ids[1]), ids)
check(AREA, "each path has its own target port", ids[0] != ids[1], ids)
for disk in ("sda", "sdb"):
    at = f"/sys/block/{disk}/device"
    code, out = guest.run(f"modprobe scsi_dh_alua; echo alua > {at}/dh_state; n=0; until grep -q active/optimized {at}/access_state || "
                          f"[ $n = 30 ]; do n=$((n + 1)); sleep 1; done; cat {at}/dh_state {at}/access_state")
    check(AREA, f"the kernel's ALUA handler takes {disk}: its group is active/optimized", out.split() == ["alua", "active/optimized"],
          out + guest.log())
code, out = guest.run("sg_rtpg -d /dev/sda; sg_rtpg -d /dev/sdb")
check(AREA, "either path tells of both target port groups, all active/optimized",
      out.count("target port group id") == 4 and out.count("active/optimized)") == 4, out)
code, out = guest.run(
    "modprobe -a dm-multipath dm-service-time; size=$(cat /sys/block/sda/size); dmsetup mknodes; dmsetup create both --table "
    "\"0 $size multipath 1 queue_if_no_path 0 1 1 service-time 0 2 1 8:0 1 8:16 1\" && dmsetup mknodes && "
    "ls -l /dev/mapper && dmsetup status both")
check(AREA, "dm-multipath takes both paths", code == 0, out + guest.log())


def paths():
    """(path's number, A or F)"""
    return dict(re.findall(r"(8:\d+) ([AF])", guest.run("dmsetup status both")[1]))


check(AREA, "both paths are active before the load", paths() == {"8:0": "A", "8:16": "A"}, paths())
with Capture(gw.port, gw.values["port2"]) as wire:
    for relay, number, other in ((one, "8:0", two), (two, "8:16", one)):
        guest.begin(LOAD)
        used = relay.flows() and other.flows()
        check(AREA, f"the load uses both paths before {number} is cut", used)
        relay.cut()
        check(AREA, f"I/O goes on over the other path while {number} is cut", other.flows(octets=1 << 20))
        code, out = guest.end(SECONDS + 300)
        check(AREA, f"fio's writes verify though {number} was cut", code == 0, out[-400:] + guest.run("dmesg | tail -20")[1])
        states = paths()
        check(AREA, f"dm-multipath saw {number} fail", states.get(number) == "F", states)
        logins = gw.log().count("login: ")
        relay.mend()
        check(AREA, f"the session behind {number} comes back", wait_for(lambda: gw.log().count("login: ") > logins, 300), gw.log())
        up = ("for i in $(seq 200); do grep -q running /sys/block/{0}/device/state && break; usleep 50000; done; "
              "dmsetup message both 0 'reinstate_path {1}'").format("sda" if number == "8:0" else "sdb", number)
        code, out = guest.run(up)
        check(AREA, f"{number} is a path again", code == 0 and paths().get(number) == "A", out)
    guest.run("dmsetup remove both")
    for relay in (one, two):
        code, out = guest.logout(relay.port)
        check(AREA, "the kernel logs out of a path", code == 0, out)
wire.check(AREA, "two paths, each of them cut")
finish()
