#!/usr/bin/env python3
"""A portal behind proxies: whom their header names counts as if he had come himself, and nobody else may name one."""
import contextlib, ipaddress
from harness import *
from initiator import *

AREA = "policy"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
POLICY = """\
version: 1
portals:
  balanced: {{listen: ["127.0.0.1:{port}"], transport: plain, proxy_from: [{proxies}]}}
  direct: {{listen: ["127.0.0.1:{other}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [balanced, direct]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [192.0.2.7, "2001:db8:7::/64", 127.0.0.1]
        chap: {{user: alice, mutual: gw-for-alice}}
      {client}-other:
        from: [203.0.113.0/24, 198.51.100.0/24]
        chap: {{user: other, mutual: gw-for-other}}
gateway: {{login_timeout: 2s, grace: 1s, logins_at_once: {slots}}}
"""
gw = Gateway(policy=POLICY, other=free_port(), proxies="127.0.0.1", slots=64)
gw.secret("other", "secret-of-the-other")
gw.secret("gw-for-other", "secret-for-the-other")
gw.start()
DIRECT = gw.values["other"]


def header(source="192.0.2.7", port=40000, to="192.0.2.1", command=0x21, family=None, extra=b""):
    ips = [ipaddress.ip_address(a) for a in (source, to)]
    body = b"".join(i.packed for i in ips) + struct.pack(">HH", port, 3260) + extra
    family = family or (0x11 if ips[0].version == 4 else 0x21)
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def checked(octets):
    """With a CRC32C in its place."""
    octets = octets[:14] + struct.pack(">H", len(octets) - 16 + 7) + octets[16:] + b"\3\0\4"
    return octets + crc32c(octets + bytes(4))[::-1]


class Behind(Initiator):
    """Comes through a proxy, which says so."""

    def __init__(self, first=b"", step=None, port=None, **how):
        super().__init__(port or gw.port, **how)
        for at in range(0, len(first), step or len(first) or 1):
            self.raw(first[at:at + (step or len(first))])


def attempt(first=b"", secret=SECRET, **how):
    """What the initiator meets: "in", a login status, or "closed", and whether any octet came."""
    try:
        with Behind(first, **how) as i:
            i.login(secret=secret)
            return "in"
    except Refused as refused:
        return refused.status
    except (Gone, OSError):
        return "closed"


def told(**want):
    """An event with these fields, once it is there."""
    return wait_for(lambda: [e for e in gw.audit() if all(str(e.get(k, "")).find(v) >= 0 for k, v in want.items())])


# --- who is named -------------------------------------------------------------------------------------------------------------
with Behind(header()) as i:
    i.login()
    rows = [s for s in gw.sessions() if s["state"] == "granted"]
    check(AREA, "behind a proxy, the session is of the address that the header names, and names the proxy",
          len(rows) == 1 and rows[0]["peer"] == "192.0.2.7:40000" and rows[0]["proxy"].startswith("127.0.0.1:"), rows)
    i.read(0, 1)
check("audit", "the audit has both addresses, that of the initiator and that of its proxy",
      told(peer_ip="192.0.2.7", reason="granted", detail="through the proxy 127.0.0.1:"), gw.audit())
for sentence, first, step, want in (
        ("IPv6", header("2001:db8:7::9", to="2001:db8::1"), None, "in"),
        ("a checksum that is right", checked(header()), None, "in"),
        ("fields that nobody knows", header(extra=b"\xe0\0\3abc\4\0\0"), None, "in"),
        ("a header octet by octet", header(), 1, "in"),
        ("the proxy's own connection, judged as the proxy's address", SIGNATURE + b"\x20\0\0\0", None, "in"),
        ("P1: an address that the policy gives to nobody gets no answer", header("192.0.2.8"), None, "closed"),
        ("P1: another initiator's address is refused at login, with the right secret", header("203.0.113.9"), None, 0x0201)):
    got = attempt(first, step=step)
    check(AREA, f"behind a proxy: {sentence}", got == want, (got, gw.log()))
for source in ("192.0.2.8", "203.0.113.9"):
    check("audit", f"the refusal of {source} is of its own address, and names the proxy",
          told(peer_ip=source, reason="wrong-address", detail="through the proxy 127.0.0.1:"), gw.audit())

with Behind() as i:
    real, parts = i.raw, []
    i.raw = parts.append
    i.login_pdu(0, 1, text(**i.names()), transit=False)
    i.raw = real
    i.raw(header() + b"".join(parts))
    i.login_answer()
    check(AREA, "a header and the first Login request in one segment", True)
with Behind(header(to="198.18.0.5")) as i:
    i.login(target=None)
    i.send(TEXT, 0x80, text(SendTargets="All"), fields=struct.pack(">III", 0xffffffff, i.cmdsn, i.expstatsn))
    got = i.expect(TEXT_RESPONSE).data
    check(AREA, "discovery names the address of the proxy that the initiator reached", b"TargetAddress=198.18.0.5:3260," in got, got)

# --- who may not name anybody ---------------------------------------------------------------------------------------------------
for sentence, first, reason in (
        ("no header: a Login request at once", b"\x43\x87" + bytes(46), "proxy-header-missing"),
        ("no header: TLS", b"\x16\x03\x01\x02\x00" + bytes(40), "proxy-header-missing"),
        ("version 1", b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 3260\r\n", "proxy-header-malformed"),
        ("version 3", header(command=0x31), "proxy-header-malformed"),
        ("UDP", header(family=0x12), "proxy-header-malformed"),
        ("more than 536 octets", header(extra=b"\xe0\2\0" + bytes(512)), "proxy-header-malformed"),
        ("a wrong checksum", checked(header())[:-1] + b"?", "proxy-header-malformed"),
        ("a group as its source", header("224.0.0.1"), "proxy-header-malformed")):
    before = len(gw.audit("--denied"))
    got = attempt(first)
    found = wait_for(lambda: [e for e in gw.audit("--denied")[before:] if e.get("reason") == reason])
    check(AREA, f"P6: {sentence} is {reason}, and counts against the proxy", got == "closed" and found and
          found[0]["peer_ip"] == "127.0.0.1", (got, gw.audit("--denied")[before:]))
before = len(gw.audit("--denied"))
with Behind(header()[:20]) as i:
    wait_for(lambda: any(r["state"] == "login" for r in gw.sessions()))  # who leaves before costs no process, and no word
    i.socket.shutdown(socket.SHUT_WR)
    check(AREA, "a header that ends too soon is closed", i.ended())
check("audit", "… and is proxy-header-malformed", wait_for(lambda: any(
    e.get("reason") == "proxy-header-malformed" for e in gw.audit("--denied")[before:])), gw.audit("--denied"))
with Behind(header()[:20]) as i:
    check(AREA, "P6: a slow header has the time of a login, and no more", i.ended(), gw.log())
check("audit", "… and is refused as other logins that take too long, at the proxy's address", wait_for(
    lambda: any(e.get("reason") in ("login-timeout", "expired") and e["peer_ip"] == "127.0.0.1" for e in gw.audit("--denied"))), gw.log())
for step in (None, 1):
    before = len(gw.audit("--denied"))
    got = attempt(header(), port=DIRECT, step=step)
    found = wait_for(lambda: [e for e in gw.audit("--denied")[before:] if e.get("reason") == "proxy-header-from-a-stranger"])
    check(AREA, f"P1: a header where no proxy is names nobody{', octet by octet' if step else ''}",
          got == "closed" and found and found[0]["peer_ip"] == "127.0.0.1", (got, gw.audit("--denied")[before:]))
check(AREA, "P1: without a header the other portal is as ever", attempt(port=DIRECT) == "in", gw.log())
got = attempt(header(), source="127.8.0.9", timeout=1)  # dropped by the firewall, or closed at accept
check(AREA, "P1: who is no proxy does not reach their portal", got == "closed" and
      not any(s["state"] == "granted" for s in gw.sessions()), got)

# --- what it costs --------------------------------------------------------------------------------------------------------------
WRONG = header("203.0.113.66")


def guess():
    try:
        with Behind(WRONG, name=CLIENT + "-other") as i:
            i.login(user="other", secret="a guess that is wrong")
    except (Refused, Gone, OSError):
        pass
    return any(b["source"] == "203.0.113.66" for b in json.loads(gw.command("bans", "--json").stdout)["bans"])


guesses = next((n for n in range(1, 20) if guess()), None)
check(AREA, "P6: five guesses ban the address that the header names, although the proxy is a loopback address", guesses == 5, (guesses, gw.log()))
check(AREA, "P6: a banned address behind a proxy gets no answer", attempt(WRONG) == "closed")
check("audit", "… and its refusal says banned", told(peer_ip="203.0.113.66", reason="banned"), gw.audit())
check(AREA, "a ban binds nobody else behind the proxy", attempt(header()) == "in", gw.log())
listed = gw.command("bans").stdout
check(AREA, "bans list says whom bans bind where packets carry a proxy's address",
      "203.0.113.66" in listed and "Portal balanced: packets carry its proxies' addresses" in listed, listed)


def explain(source, *more):
    return gw.command("explain", gw.policy, "--from", source, "--initiator", CLIENT, "--target", TARGET, "--portal", "balanced", *more)


done = explain("192.0.2.7")
check(AREA, "explain: the firewall sees the proxy, and the login the initiator", done.returncode == 0 and
      "carry its proxies' addresses: 192.0.2.7 is judged at its login" in done.stdout, done.stdout + done.stderr)
done = explain("192.0.2.7", "--proxy", "192.0.2.80")
check(AREA, "explain: behind somebody who is no proxy it is refused", done.returncode == 1 and
      "192.0.2.80 is no proxy of the portal balanced" in done.stdout, done.stdout + done.stderr)
done = explain("203.0.113.66")
check(AREA, "explain: who is banned, and where", done.returncode == 1 and "is banned until" in done.stdout and
      "who is behind it at its login" in done.stdout, done.stdout + done.stderr)
for often in range(400):
    try:
        with Behind(header("198.51.100.5"), name=CLIENT + "-other") as i:
            i.login("other", "secret-of-the-other", "secret-for-the-other", target=None)
            i.logout()
    except (Gone, OSError):
        break
check("audit", "P6: who comes too often behind a proxy is kept out, as by the firewall", told(peer_ip="198.51.100.5", reason="too-many-a-minute"),
      gw.log())
check(AREA, "… and nobody else is", attempt(header()) == "in", gw.log())

# --- what is full ---------------------------------------------------------------------------------------------------------------
# Four logins at once, two of them for those whom the policy does not name, as who is not known yet.
gw.reload(slots=4)
whole = header()
with contextlib.ExitStack() as all:
    late = all.enter_context(Behind(whole[:20]))
    wait_for(lambda: len([s for s in gw.sessions() if s["state"] == "login"]) == 1)
    for n in range(1, 4):
        all.enter_context(Initiator(DIRECT)).raw(b"\x43")
        wait_for(lambda: len([s for s in gw.sessions() if s["state"] == "login"]) == 1 + n)
    late.raw(whole[20:])
    try:
        late.login()
        got = "in"
    except (Refused, Gone, OSError) as e:
        got = e
    check(AREA, "P6: behind a proxy, who the policy names has the slots that are kept for such", got == "in", (got, gw.audit("--denied")[-2:]))
gw.reload(slots=64)

# --- another policy -------------------------------------------------------------------------------------------------------------
with Behind(header()) as i:
    i.login()
    gw.policy.write_text(gw.template.format(**(gw.values | {"proxies": "127.0.0.3"})))
    done = gw.command("plan", gw.policy)
    check(AREA, "plan: a session whose proxy is trusted no more ends", done.returncode == 10 and "proxy_from" in done.stdout and
          "no proxy of the portal balanced" in done.stdout, done.stdout + done.stderr)
    gw.reload(proxies="127.0.0.3")
    i.expect(ASYNC)
    check(AREA, "reload: it is asked to log out, and ends", i.ended(), gw.log())
for octets, what in ((1, "its first octet"), (20, "half of its header"), (len(header()), "its whole header")):
    gw.reload(proxies="127.0.0.1")
    before = len(gw.audit("--denied"))
    with Behind(header()[:octets]) as i:
        wait_for(lambda: [s for s in gw.sessions() if s["state"] == "login" and (octets < len(header()) or s["proxy"])])
        gw.reload(proxies="127.0.0.3")
        i.raw(header()[octets:])
        try:
            i.login()
            got = "in"
        except (Refused, Gone, OSError):
            got = "refused"
    found = wait_for(lambda: [e for e in gw.audit("--denied")[before:] if e.get("reason") == "wrong-address"])
    check(AREA, f"P1: who was trusted when {what} had come, and is not any more, names nobody", got == "refused" and found, (got, gw.audit("--denied")[before:]))
check(AREA, "the gateway stops cleanly", gw.stop() == 0, gw.log())
finish()
