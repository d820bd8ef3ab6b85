#!/usr/bin/env python3
"""The unit attentions that a session begins with, over the wire: SAM-5, unit attention conditions."""
import os, signal
from harness import *
from initiator import *

AREA = "scsi"
GOOD, CHECK = 0, 2
LUN_RESET, NEXUS_RESET = 5, 11
REQUEST_SENSE, INQUIRY = bytes([3, 0, 0, 0, 252, 0]), bytes([0x12, 0, 0, 0, 96, 0])
REPORT_LUNS = bytes([0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
LEVEL_7144 = dict(iSCSIProtocolLevel="2")
POWER_ON, BUS_DEVICE_RESET, NEXUS_LOSS = 0x2901, 0x2903, 0x2907
gw = Gateway().start()
isids = iter(range(1, 1000))


def isid():
    return b"\x80\0\0" + next(isids).to_bytes(3, "big")


def session(port, **more):
    i = Initiator(gw.port, isid=port)
    i.hears = False
    return i.login(more=more)


def told(i, lun=0):
    return attention(i.ready(lun))


def over(port):
    """Waits until the session of this port is over for the gateway, too."""
    assert wait_for(lambda: len(gw.sessions()) == 0), gw.sessions()
    return port


def first_of_the_run():
    with session(isid()) as i:
        return told(i) == POWER_ON and i.ready()[0] == GOOD


def each_unit():
    with session(isid()) as i:
        return told(i, 0) == POWER_ON and i.ready(0)[0] == GOOD and told(i, 1) == POWER_ON and i.ready(1)[0] == GOOD


def any_command():
    with session(isid()) as i:
        return attention(i.read(0, 1)) == POWER_ON and i.read(0, 1) == (GOOD, bytes(512))


def not_carried_out():
    with session(isid()) as i:
        return attention(i.write(5, b"x" * 512)) == POWER_ON and i.read(5, 1) == (GOOD, bytes(512))


def identification():
    with session(isid()) as i:
        fine = i.run(INQUIRY, read=96)[0] == GOOD and i.run(REPORT_LUNS, read=256)[0] == GOOD
        return fine and told(i) == POWER_ON


def asked_for():
    with session(isid()) as i:
        status, data = i.run(REQUEST_SENSE, read=252)
        return (status, data[2], data[12] << 8 | data[13]) == (GOOD, 6, POWER_ON) and i.ready()[0] == GOOD


def after_a_logout():
    port = isid()
    with session(port) as i:
        i.logout()
    with session(over(port)) as i:
        return told(i) == NEXUS_LOSS and i.ready()[0] == GOOD


def after_a_loss():
    port = isid()
    with session(port) as i:
        i.reset()
    with session(over(port)) as i:
        return told(i) == NEXUS_LOSS


def after_a_reinstatement():
    port = isid()
    with session(port) as i, session(port) as again:
        return i.ended() and told(again) == NEXUS_LOSS


def another_port():
    with session(isid()) as i:
        i.logout()
    with session(isid()) as i:
        return told(i) == POWER_ON


def nexus_reset():
    port = isid()
    with session(port, **LEVEL_7144) as i:
        told(i)
        assert i.task(NEXUS_RESET, 0xffffffff) == 0 and i.ended()
    with session(over(port)) as i:
        return told(i) == NEXUS_LOSS and told(i, 1) == NEXUS_LOSS


def reset_is_newer():
    with session(isid()) as i, session(isid()) as other:
        other.ready()
        assert other.task(LUN_RESET, 0xffffffff) == 0
        return told(i) == BUS_DEVICE_RESET and i.ready()[0] == GOOD


def new_arbiter():
    port = isid()
    with session(port) as i:
        told(i)
        os.kill(gw.helper_pid("arbiter"), signal.SIGKILL)
        assert wait_for(gw.is_well)
        return wait_for(lambda: i.ready()[0] == GOOD) and i.read(0, 1)[0] == GOOD


def new_run():
    port = isid()
    with session(port) as i:
        i.logout()
    gw.stop()
    gw.start()
    with session(port) as i:
        return told(i) == POWER_ON


CASES = (
    ("the first command of the first session is told of the power on, the next is carried out", first_of_the_run),
    ("each logical unit tells it", each_unit),
    ("any command is told it, which is not carried out", any_command),
    ("so a write does not change the disk", not_carried_out),
    ("INQUIRY and REPORT LUNS go before it, and leave it", identification),
    ("REQUEST SENSE tells it as data, and takes it", asked_for),
    ("after a logout, the next session of the nexus is told of an I_T nexus loss", after_a_logout),
    ("after a connection that was lost, too", after_a_loss),
    ("after a session reinstatement, too", after_a_reinstatement),
    ("another initiator port is another nexus", another_port),
    ("I_T NEXUS RESET: the next session is told of the loss, at each unit", nexus_reset),
    ("a reset that comes before the first command stands for the power on", reset_is_newer),
    ("a new arbiter is no power on: nothing is told", new_arbiter),
    ("a gateway that was started again is one", new_run),
)
for sentence, attempt in CASES:
    try:
        fine = attempt()
    except (Gone, Refused, OSError, AssertionError) as error:
        fine = False
        print(repr(error))
    check(AREA, sentence, fine, gw.log())
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
