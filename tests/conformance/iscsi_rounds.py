#!/usr/bin/env python3
"""On a long line round trips are what I/O costs: they are counted, as each initiator negotiates by itself; and its sockets."""
from harness import *
from rounds import *

AREA = "iscsi"
KIB, MIB = 1 << 10, 1 << 20
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 32MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators: {{{client}: {{chap: {{user: alice, mutual: gw-for-alice, algorithms: [md5]}}}}}}
gateway: {{ping: {{every: 10m, misses: 3}}}}
"""
gw = Gateway(policy=POLICY).start()


def told(rounds):
    return "one round trip" if rounds == 1 else f"{rounds} round trips"


def size(octets):
    return f"{octets // MIB} MiB" if octets % MIB == 0 else f"{octets // KIB} KiB"


SIZES = (4 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB)  # of writes and reads
for name, keys, wanted in (
        ("what open-iscsi offers", OPEN_ISCSI, (1, 1, 1, 2, 2)),
        ("many small bursts", MANY_BURSTS, (1, 1, 1, 2, 2)),
        ("what libiscsi offers", LIBISCSI, (1, 1, 1, 4, 16)),  # it has MaxBurstLength=262144 and MaxOutstandingR2T=1
        ("the standard's defaults", DEFAULTS, (1, 1, 2, 5, 17))):
    with Rounds(gw.port).login(more=keys) as i:
        for octets, rounds in zip(SIZES, wanted):
            data = os.urandom(octets)
            itt = i.begin(write16(0, octets // 512), write=data)
            took, tasks = i.finish()
            check(AREA, f"a write of {size(octets)} with {name} costs {told(rounds)}", took == rounds and tasks[itt].status == 0,
                  (took, tasks[itt].r2ts, i.keys))
            itt = i.begin(read16(0, octets // 512), read=octets)
            took, tasks = i.finish()
            check(AREA, f"a read of {size(octets)} with {name} costs one round trip", took == 1 and tasks[itt].got == data, took)

# --- many at once: a long line is filled ------------------------------------------------------------------------------
with Rounds(gw.port).login(more=OPEN_ISCSI) as i:
    data = [os.urandom(MIB) for _ in range(16)]
    for n, one in enumerate(data):
        i.begin(write16(n * 2048, 2048), write=one)
    took, tasks = i.finish()
    check(AREA, "16 writes of 1 MiB at once cost two round trips, all together",
          took == 2 and all(t.status == 0 for t in tasks.values()), took)
    itts = [i.begin(read16(n * 2048, 2048), read=MIB) for n in range(16)]
    took, tasks = i.finish()
    check(AREA, "16 reads of 1 MiB at once cost one round trip, all together",
          took == 1 and [tasks[itt].got for itt in itts] == data, took)
    small = [os.urandom(256 * KIB) for _ in range(63)]
    for n, one in enumerate(small):
        i.begin(write16(n * 512, 512), write=one)
    took, tasks = i.finish()
    check(AREA, "63 writes of 256 KiB, all that one session may have at once, cost one round trip",
          took == 1 and all(t.status == 0 for t in tasks.values()), took)


# --- its sockets ----------------------------------------------------------------------------------------------------------
def session_socket(pid):
    """A copy of the session's connection, which it was given as descriptor 4; None: only root may."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(434, pid, 0)
    fd = libc.syscall(438, pidfd, 4, 0)
    os.close(pidfd)
    return socket.socket(fileno=fd) if fd >= 0 else None


SO_BUF_LOCK = 72  # which of a socket's buffers have been set to a size, so that the kernel tunes them no more
with Rounds(gw.port).login(more=OPEN_ISCSI) as i:
    connection = session_socket(next(s["pid"] for s in gw.sessions() if s["pid"]))
    if connection is None:
        skip(AREA, "the kernel tunes the buffers of a session's socket", "only root may look at another process's sockets")
    else:
        with connection as s:
            check(AREA, "small answers leave at once: TCP_NODELAY", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1)
            try:
                locked = s.getsockopt(socket.SOL_SOCKET, SO_BUF_LOCK)
                check(AREA, "the kernel tunes the buffers of a session's socket: nobody has set their size", locked == 0, locked)
            except OSError as error:
                skip(AREA, "the kernel tunes the buffers of a session's socket", error)
finish()
