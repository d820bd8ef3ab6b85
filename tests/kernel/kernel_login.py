#!/usr/bin/env python3
"""The Linux kernel's initiator finds its target and logs in, with each CHAP algorithm, one-way and mutual."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from guest import *
from capture import Capture

ONE_WAY = CLIENT + "-one-way"
POLICY = """\
version: 1
portals:
  here: {{listen: ["127.0.0.1:{port}"], transport: plain}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [here]
    luns: {{0: vault}}
    initiators:
      {client}:
        chap: {{user: alice, mutual: gw-for-alice, algorithms: [sha3-256, sha256, md5]}}
      {client}-one-way:
        chap: {{user: bob, mutual: none, algorithms: [sha3-256, sha256, md5]}}
      {client}-default:
        chap: {{user: carol, mutual: gw-for-carol}}
"""
BOB, CAROL = "bob-secret-0123456789", "carol-secret-0123456"
NOBODY = {"node.session.auth.username_in": None, "node.session.auth.password_in": None}

files = image_or_skip("discovery and login with every CHAP algorithm")
gw = Gateway(policy=POLICY)
for name, value in (("bob", BOB), ("carol", CAROL), ("gw-for-carol", "gateway-for-carol-12")):
    gw.secret(name, value)
gw.start()
guest = Guest(files)


def face(name, initiator):
    """An interface of open-iscsi's that has another initiator name."""
    guest.run(f"iscsiadm -m iface -I {name} -o new; iscsiadm -m iface -I {name} -o update -n iface.initiatorname -v {initiator}")


def logged_in(settings, name="default"):
    """(did it get in, what was said); it is out again afterwards."""
    words = f"-m node -T {TARGET} -p {GATEWAY}:{gw.port} -I {name}"
    values = {k: v for k, v in {**LOGIN, **settings}.items() if v is not None}
    update = " ".join(f"-n '{k}' -v '{v}'" for k, v in values.items())
    return guest.run(f"iscsiadm {words} -o new && iscsiadm {words} -o update {update} && iscsiadm {words} --login; got=$?; "
                     f"cat /sys/class/iscsi_session/*/state; iscsiadm {words} --logout; iscsiadm {words} -o delete; exit $got"
                     .replace("exit $got", "[ $got = 0 ]"))


def seen(since):
    return gw.log()[since:]


def discover(name, user, secret, mutual=None):
    """SendTargets behind CHAP, always in MD5; what discovery proves itself with is in iscsid's file."""
    words = {"authmethod": "CHAP", "username": user, "password": secret}
    words.update({"username_in": "gw-for-alice", "password_in": mutual} if mutual else {})
    lines = "\n".join(f"discovery.sendtargets.auth.{k} = {v}" for k, v in words.items())
    return guest.run(f"cat >/etc/iscsi/iscsid.conf <<'END'\n{lines}\nEND\n"
                     f"iscsiadm -m discovery -t sendtargets -I {name} -p {GATEWAY}:{gw.port} -o nonpersistent")


face("one-way", ONE_WAY)
face("default-algorithms", CLIENT + "-default")
with Capture(gw.port) as wire:
    code, out = discover("default", "alice", SECRET, MUTUAL)
    check(AREA, "open-iscsi discovers its target with mutual CHAP", code == 0 and TARGET in out, out + gw.log())
    code, out = discover("one-way", "bob", BOB)
    check(AREA, "open-iscsi discovers its target with one-way CHAP", code == 0 and TARGET in out, out + gw.log())
    for algorithm in ("MD5", "SHA256", "SHA3-256"):  # less than before would be refused
        for how, name, settings in (("mutual", "default", {}),
                                    ("one-way", "one-way", {"node.session.auth.username": "bob",
                                                            "node.session.auth.password": BOB, **NOBODY})):
            start = len(gw.log())
            code, out = logged_in({"node.session.auth.chap_algs": algorithm, **settings}, name)
            used = f"({algorithm.lower()})"
            check(AREA, f"the kernel logs in with {how} CHAP in {algorithm}",
                  code == 0 and "LOGGED_IN" in out and used in seen(start), out + seen(start))
    start = len(gw.log())
    code, out = discover("default", "alice", SECRET, MUTUAL)
    check(AREA, "P1: once it has logged in with more, its discovery in MD5 is refused, and told",
          code != 0 and TARGET not in out and "weaker-than-before: md5, after sha3-256" in seen(start), out + seen(start))
    carol = {"node.session.auth.username": "carol", "node.session.auth.password": CAROL,
             "node.session.auth.username_in": "gw-for-carol", "node.session.auth.password_in": "gateway-for-carol-12"}
    refused = (
        ("a wrong secret", {"node.session.auth.password": "not-the-secret-01"}, "default"),
        ("one-way CHAP where the policy wants mutual", NOBODY, "default"),
        ("no CHAP", {**dict.fromkeys((k for k in LOGIN if ".auth." in k)), "node.session.auth.authmethod": "None"},
         "default"),
        ("MD5 where the policy does not name it", {"node.session.auth.chap_algs": "MD5", **carol}, "default-algorithms"),
    )
    for what, settings, name in refused:
        code, out = logged_in({"node.session.initial_login_retry_max": "1", **settings}, name)
        check(AREA, f"P1: {what} keeps the kernel out", code != 0 and "LOGGED_IN" not in out, out)
    code, out = logged_in({"node.session.auth.password_in": "not-the-gateway-1"})
    check(AREA, "the kernel leaves a gateway that proves itself with a wrong secret", code != 0, out)
    code, out = logged_in(carol, "default-algorithms")
    check(AREA, "after every refusal, a right login succeeds", code == 0, out + gw.log())
wire.check(AREA, "the kernel's discoveries and logins")
finish()
