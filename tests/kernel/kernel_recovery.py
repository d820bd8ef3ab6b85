#!/usr/bin/env python3
"""Connections cut, and the gateway ended and started again, while the Linux kernel writes: no write is lost or fails."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from capture import Capture
from relay import Relay

SECONDS = 60 if SOAK else 8
LOAD = (f"fio --name=v --filename=/dev/sda --rw=randwrite --bs=4k --size=32m --io_size=8g --runtime={SECONDS} --time_based "
        "--verify=crc32c --verify_backlog=512 --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=8 --minimal")

files = image_or_skip("I/O goes on after a cut connection and a gateway started again")
gw = Gateway(size="64MiB").start()
relay = Relay(gw.port)
guest = Guest(files)
settings = {"node.session.auth.chap_algs": "MD5"}


def restart(how):
    gw.stop(how)
    gw.start()


def blink():
    relay.cut(stay=False)


def long_cut():
    relay.cut()
    time.sleep(3)
    relay.mend()


def load(what, happens, times):
    """fio, and something that happens to it; it has to go on by itself."""
    guest.run("dmesg -c >/dev/null")
    guest.begin(LOAD)
    back = 0
    for _ in range(times):
        logins = gw.log().count("login: ")
        relay.flows(1 << 20)  # well after the login: the kernel's initiator may hang when it is cut within it
        happens()
        back += bool(wait_for(lambda: gw.log().count("login: ") > logins, 120))
    code, out = guest.end(SECONDS + 120)
    kernel = guest.run("dmesg -c")[1]
    lost = re.search(r"I/O error|Buffer I/O|offlined|blk_update_request", kernel)
    check(AREA, f"fio's writes go on and verify when {what}", code == 0 and not lost, out[-400:] + kernel + gw.log()[-1500:])
    check(AREA, f"the kernel came back when {what}", back == times, f"{back} times\n{gw.log()[-1500:]}")


with Capture(gw.port) as wire:
    guest.node(relay.port, settings)
    code, out = guest.login(relay.port)
    check(AREA, "the kernel logs in through a wire that can be cut", code == 0, out + gw.log())
    load("its connection is cut", blink, 5 if SOAK else 2)
    load("the wire is away for three seconds", long_cut, 2 if SOAK else 1)
    load("the gateway is stopped and started", lambda: restart(signal.SIGTERM), 3 if SOAK else 1)
    load("the gateway is killed and started", lambda: restart(signal.SIGKILL), 3 if SOAK else 1)
    code, out = guest.logout(relay.port)
    check(AREA, "after all of it the kernel logs out", code == 0, out)
wire.check(AREA, "cut connections and new gateways")
finish()
