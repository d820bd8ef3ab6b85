#!/usr/bin/env python3
"""How data travels, as the Linux kernel asks for it: immediate and unsolicited data, R2T, digests, segments, under fio."""
import itertools, pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from capture import Capture

# header and data digest, ImmediateData, InitialR2T, what the initiator receives, MaxBurstLength, FirstBurstLength
ALL = list(itertools.product(("None", "CRC32C"), ("None", "CRC32C"), ("Yes", "No"), ("Yes", "No"),
                             (512, 8192, 262144), ((262144, 65536), (8192, 4096))))
SOME = [
    ("None", "None", "Yes", "No", 262144, (262144, 65536)),
    ("CRC32C", "CRC32C", "No", "Yes", 8192, (8192, 4096)),
    ("CRC32C", "None", "Yes", "Yes", 512, (262144, 65536)),
    ("None", "CRC32C", "No", "No", 8192, (262144, 65536)),
    ("CRC32C", "CRC32C", "Yes", "No", 512, (8192, 4096)),
    ("None", "None", "No", "Yes", 262144, (262144, 65536)),
]
FIO = ("fio --name=v --filename=/dev/sda --rw=randwrite --bsrange=512-128k --bs_unaligned=0 --blockalign=512 --size=3m "
       "--verify=sha256 --verify_fatal=1 --do_verify=1 --direct=1 --ioengine=libaio --iodepth=16 --minimal")

files = image_or_skip("fio verifies what it wrote with every way that data may travel")
gw = Gateway(size="64MiB").start()
guest = Guest(files)


def negotiated(out):
    return dict(re.findall(r"^\s*(\w+): (\w+)$", out, flags=re.M))


def one(header, data, immediate, initial, receives, bursts):
    name = (f"ImmediateData={immediate} InitialR2T={initial} digests {header}/{data}, segments of {receives}, "
            f"bursts of {bursts[0]}")
    keys = {"iscsi.ImmediateData": immediate, "iscsi.InitialR2T": initial, "iscsi.MaxBurstLength": bursts[0],
            "iscsi.FirstBurstLength": bursts[1]}
    settings = {f"node.session.{k}": v for k, v in keys.items()}
    settings.update({"node.session.auth.chap_algs": "MD5", "node.conn[0].iscsi.HeaderDigest": header,
                     "node.conn[0].iscsi.DataDigest": data, "node.conn[0].iscsi.MaxRecvDataSegmentLength": receives,
                     "node.conn[0].iscsi.MaxXmitDataSegmentLength": receives})
    guest.node(gw.port, settings)
    code, out = guest.login(gw.port)
    if code == 0:
        got = negotiated(guest.run("iscsiadm -m session -P 2")[1])
        want = {"HeaderDigest": header, "DataDigest": data, "ImmediateData": immediate, "InitialR2T": initial,
                "MaxRecvDataSegmentLength": str(receives), "MaxBurstLength": str(bursts[0])}
        out = "".join(f"{k} is {got.get(k)}, not {v}\n" for k, v in want.items() if got.get(k) != v)
        code, said = guest.run(FIO, 120) if not out else (1, "")
        out += said + guest.run("dmesg | tail -5")[1]
    guest.logout(gw.port)
    check(AREA, f"fio verifies its writes with {name}", code == 0, out + gw.log()[-1500:])


if SOAK:
    for row in ALL:
        one(*row)
else:
    with Capture(gw.port) as wire:
        for row in SOME:
            one(*row)
    wire.check(AREA, "fio's writes and reads")
check(AREA, "no session ended by an error", "error" not in gw.log().replace("error recovery", ""), gw.log())
finish()
