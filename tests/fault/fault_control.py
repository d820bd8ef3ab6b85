#!/usr/bin/env python3
"""The control socket: clients that say nothing keep nobody out; a kicked session ends, whatever it does."""
import os, signal, socket, time
from harness import *
from initiator import *

AREA = "fault"
gw = Gateway().start()
os.chdir(gw.state)  # which is reached from here alone, by whoever the test becomes


def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect("control")
    s.settimeout(60)
    return s


silent = [connect() for _ in range(40)]
done = gw.command("status", "--json")
check(AREA, "P6: 40 silent clients of the control socket keep nobody out", done.returncode in (0, 1) and "version" in done.stdout, done.stderr + gw.log())
try:
    ended = silent[-1].recv(1) == b""
except (OSError, TimeoutError):
    ended = False
check(AREA, "P6: a client that says nothing is let go", ended)

authenticator = gw.helper_pid("authenticator")
os.kill(authenticator, signal.SIGSTOP)
asks = connect()
asks.sendall(b"secrets after a test\n")
silent = [connect() for _ in range(40)]
try:
    ended = silent[0].recv(1) == b""  # all of them have been accepted
    os.kill(authenticator, signal.SIGCONT)
    answer = asks.recv(4096)
except (OSError, TimeoutError) as e:
    answer = repr(e).encode()
check(AREA, "P6: 40 silent clients do not end an operator's request that waits for its answer", ended and b"users_without" in answer, answer)


def reader_asks(times):
    """In the name of somebody of the socket's group, who may read."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(os.stat(gw.state / "control").st_gid)
        os.setuid(65534)
        said = set()
        for _ in range(times):
            with connect() as s:
                s.sendall(b"kick 1\n")
                said.add(b"only root" in s.recv(4096))
        os._exit(said != {True})
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if os.geteuid() == 0:
    check(AREA, "who may only read the control socket changes nothing", reader_asks(200) == 0)
    gw.command("sessions", "kick", "4000000000")  # the log is in order: this comes after them
    told = lambda: [e.get("reason") for e in gw.audit("--op", "operator") if "kick" in e.get("detail", "")]
    last = wait_for(lambda: "kick" in told())
    check(AREA, "P6: and what he tries is listed 20 times a minute, so that the log has room", last and told().count("not-allowed") == 20, told()[-30:])
else:
    skip(AREA, "who may only read the control socket changes nothing", "needs root")

with Initiator(gw.port).login() as i:
    session = gw.sessions()[0]
    os.kill(session["pid"], signal.SIGSTOP)
    done = gw.command("sessions", "kick", str(session["session"]))
    check(AREA, "a session that does not heed a kick is ended", done.returncode == 0 and wait_for(lambda: not gw.sessions()), gw.sessions())
check("audit", "the log says that it was kicked", wait_for(lambda: any(e.get("reason") == "kicked-by-an-operator" for e in gw.audit("--op", "logout"))), gw.audit()[-3:])

gw.stop()
finish()
