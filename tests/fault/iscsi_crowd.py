#!/usr/bin/env python3
"""Five hundred sessions at once: each works, memory is bounded per session, and nothing is left of them."""
import concurrent.futures, os
import processes
from harness import *
from initiator import *

AREA = "iscsi"
COUNT = 500
# Octets of a session's own memory: logged in (a third is relocations of libcrypto and libssl); and after 256 KiB in and out
EACH_IDLE, EACH_BUSY = 5 << 18, 3 << 20
gw = Gateway(more="gateway: {connections: 1024, logins_at_once: 600, ping: {every: 10m}}\n").start()


def of_helpers():
    """Without the rings, which are the sessions' memory that the auditor sees."""
    sessions = set(processes.sessions(gw))
    return sum(processes.octets(pid, "RssAnon") for pid in processes.tree(gw.process.pid) if pid not in sessions)


helpers_before = of_helpers()


def enter(_):
    return Initiator(gw.port, timeout=60).login()


def works(i):
    data = os.urandom(4096)
    where = 8 * (i.number % 1000)
    return i.write(where, data)[0] == 0 and i.read(where, 8) == (0, data)


def big(i):
    return i.read(0, 512)[0] == 0


def everybody(pool, what):
    return sum(pool.map(what, crowd))


def own_of_sessions():
    return sum(processes.own_octets(pid) for pid in processes.sessions(gw))


with concurrent.futures.ThreadPoolExecutor(8) as pool:
    try:
        crowd = list(pool.map(enter, range(COUNT)))
    except (Gone, Refused, OSError) as error:
        check(AREA, f"P6: {COUNT} sessions of one initiator are there at once", False, f"{error!r}\n{gw.log()}")
        finish()
    for number, one in enumerate(crowd):
        one.number = number
    there = len(processes.sessions(gw))
    check(AREA, f"P6: {COUNT} sessions are there at once, each a process ({there})", there == COUNT, gw.log())
    idle = own_of_sessions()
    check(AREA, f"P6: an idle session has less than {EACH_IDLE >> 10} KiB of its own ({idle // COUNT >> 10} KiB)", idle < COUNT * EACH_IDLE)
    fine = everybody(pool, works)
    check(AREA, f"each of {COUNT} sessions writes, and reads what it wrote ({fine})", fine == COUNT, gw.log())
    fine = everybody(pool, big)
    check(AREA, f"each of them reads 256 KiB at once ({fine})", fine == COUNT, gw.log())
    busy = own_of_sessions()
    check(AREA, f"P6: a session that has worked has less than {EACH_BUSY >> 10} KiB of its own ({busy // COUNT >> 10} KiB)", busy < COUNT * EACH_BUSY)
    grown = of_helpers() - helpers_before
    check(AREA, f"P6: the other processes grew by less than 64 KiB a session ({grown // COUNT >> 10} KiB)", grown < COUNT << 16)
    with Initiator(gw.port, timeout=60).login() as late:
        check(AREA, "a fresh login works among them", late.read(0, 1)[0] == 0 and late.logout() == 0)
    check(AREA, "the gateway is well with all of them", gw.is_well(), gw.log())

    def leave(i):
        if i.number % 3 == 0:
            return i.logout() == 0
        i.reset() if i.number % 3 == 1 else i.close()
        return True
    everybody(pool, leave)
    for one in crowd:
        one.close()

check(AREA, "logged out, cut or reset: no session process is left", wait_for(lambda: not processes.sessions(gw), 120) is True, gw.log())
check(AREA, "and no session is listed", wait_for(lambda: gw.sessions() == []), gw.sessions()[:3])
left = of_helpers() - helpers_before
check(AREA, f"P6: the other processes have less than 24 MiB more than before ({left >> 10} KiB)", left < 24 << 20)
with Initiator(gw.port).login() as i:
    check(AREA, "a fresh login works after them", i.read(0, 1)[0] == 0 and i.logout() == 0)
check(AREA, "no session was ended by a signal", "was ended by signal" not in gw.log(), gw.log())
check(AREA, "the gateway is well after them", wait_for(gw.is_well), gw.log())
check(AREA, "it stops cleanly", gw.stop() == 0, gw.log())
finish()
