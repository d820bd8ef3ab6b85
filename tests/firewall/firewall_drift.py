"""Rules of ours that somebody else changes: the firewall process sees it, tells it, and puts them back."""
import os
import signal
import subprocess

from firewall.lib import hosts, peer, policy, report
from firewall.lib.report import check

OURS = ("sallyport", "sallyport-bans")
SERVICE = "flush ruleset\ntable inet filter {\nchain input {\ntype filter hook input priority 0; policy accept;\n}\n}\n"

# What somebody does; a part of what is said of it; how many things differ (0: not looked at).
CHANGES = (
    ("a chain that is flushed by hand", "flush chain inet sallyport input", "chain input of sallyport is empty: 5 rules are gone", 1),
    ("a flushed rule set", "flush ruleset", "table sallyport is gone; table sallyport-bans is gone", 2),
    ("another service's reload", SERVICE, "table sallyport is gone; table sallyport-bans is gone", 2),
    ("a table that is deleted", "delete table inet sallyport", "table sallyport is gone", 1),
    ("the bans' table that is deleted", "delete table inet sallyport-bans", "table sallyport-bans is gone", 1),
    ("a table that is deleted and made again, empty", "delete table inet sallyport\nadd table inet sallyport",
     "chain input of sallyport is gone", 0),
    ("a table that sleeps", "add table inet sallyport { flags dormant; }", "table sallyport is changed: flags 1 instead of flags 0", 1),
    ("a rule that is added", "add rule inet sallyport input tcp dport 3260 accept", "rule 6 was added to chain input of sallyport: ", 1),
    ("a rule before ours", "insert rule inet sallyport input accept",
     "rule 1 was added to chain input of sallyport: [ immediate reg 0 accept ]", 1),
    ("a rule before the bans", "insert rule inet sallyport-bans input accept", "rule 1 was added to chain input of sallyport-bans", 1),
    ("an address that is let in", "add element inet sallyport from_wan_4 { 10.77.2.2 }",
     "10.77.2.2 was added to set from_wan_4 of sallyport", 1),
    ("a network that is let in", "add element inet sallyport from_wan_4 { 10.77.2.0/24 }",
     "10.77.2.0-10.77.2.255 was added to set from_wan_4 of sallyport", 1),
    ("an address that is shut out", "delete element inet sallyport from_wan_4 { 10.77.1.2 }",
     "10.77.1.2 is gone from set from_wan_4 of sallyport", 1),
    ("a port without bans", "delete element inet sallyport-bans ports { 3260 }", "3260 is gone from set ports of sallyport-bans", 1),
    ("a chain's policy", "chain inet sallyport input { policy drop; }", "policy drop instead of filter hook input priority -5 policy accept", 1),
    ("a chain that is added", "add chain inet sallyport-bans x { type filter hook input priority -30; }",
     "chain x of sallyport-bans was added", 1),
    ("a set of another kind", "delete table inet sallyport-bans\nadd table inet sallyport-bans\n"
     "add set inet sallyport-bans v4 { type ether_addr; flags timeout; }", "set v4 of sallyport-bans is changed", 0),
    ("a smaller set", "delete table inet sallyport-bans\nadd table inet sallyport-bans\n"
     "add set inet sallyport-bans v4 { type ipv4_addr; flags timeout; size 1; }", "set v4 of sallyport-bans is changed", 0),
    ("a chain elsewhere", "delete table inet sallyport-bans\nadd table inet sallyport-bans\n"
     "add chain inet sallyport-bans input { type filter hook output priority 0; }", "chain input of sallyport-bans is changed", 0),
    ("a counter that is added", "add counter inet sallyport x", "object x of sallyport was added", 1),
    ("a hostile comment", 'add rule inet sallyport input counter comment "\x1b[2Jevil"', r"(\x1b[2Jevil)", 1),
    ("many at once", "\n".join(f"add element inet sallyport from_wan_4 {{ 198.51.100.{2 * n} }}" for n in range(100)),
     "more", 100),
)


def nft(host, script):
    host.run("nft", "-f", "-", input=script + "\n")


def rules(host):
    """Our tables without what changes by itself; sets stand in any order."""
    return [sorted(host.run("nft", *words, check=False).stdout.splitlines()) for words in (
        *(("-s", "-t", "list", "table", "inet", name) for name in OURS),
        *(("list", "set", "inet", *name) for name in (("sallyport", "from_wan_4"), ("sallyport-bans", "ports"))))]


def delete_first_rule(host):
    listed = host.run("nft", "-a", "list", "chain", "inet", "sallyport", "input").stdout
    handle = next(line.split("# handle ")[1] for line in listed.splitlines() if "policy line" in line)
    nft(host, f"delete rule inet sallyport input handle {handle}")


def test_restored(net, firewall, script):
    for what, change, said, count in CHANGES:
        firewall.load(script)
        before = rules(net.gateway)
        nft(net.gateway, change)
        found, mended = firewall.drift(), firewall.drift()
        fine = (found and mended and found.state == peer.FOUND and mended.state == peer.RESTORED and said in found.changed and
                count in (0, found.changes) and found.by.startswith("nft (pid ") and "\x1b" not in found.changed)
        check(fine and rules(net.gateway) == before, f"P5: drift is seen, told and mended: {what}", found, mended, rules(net.gateway), before)
    firewall.load(script)
    delete_first_rule(net.gateway)
    found, mended = firewall.drift(), firewall.drift()
    check(found.changed == "rule 1 is gone from chain input of sallyport: policy line 3" and mended.state == peer.RESTORED,
          "P5: a rule that is deleted is told by its line of the policy", found, mended)
    check(net.client.reaches(3260) and not net.stranger.reaches(3260), "P1: after all of it, the rules do what they say")


def test_no_drift(net, firewall, script):
    """What is no drift is followed by what is one: the first that is told is the latter, alone."""
    for what, change in (
            ("somebody else's tables", "add table ip sallyport\nadd chain ip sallyport input\nadd table inet other\nadd chain inet other input\n"
             "add rule inet other input counter\ndelete table inet other\ndelete table ip sallyport"),
            ("bans by hand", "add element inet sallyport-bans v4 { 192.0.2.9 timeout 1h }\nflush set inet sallyport-bans v4"),
            ("what limits count", "add element inet sallyport rate_4 { 192.0.2.9 }\nadd element inet sallyport count_4 { 192.0.2.9 }"),
            ("our rules, loaded by hand once more", script)):
        firewall.load(script, look_ms=5)
        nft(net.gateway, change)
        firewall.ban("192.0.2.77")
        net.client.reaches(3260)
        net.stranger.reaches(3260, wait=0.05)
        firewall.lift("192.0.2.77")
        nft(net.gateway, "insert rule inet sallyport limit_4 drop")
        found, mended = firewall.drift(), firewall.drift()
        check(found.changed == "rule 1 was added to chain limit_4 of sallyport: [ immediate reg 0 drop ]" and
              mended.state == peer.RESTORED, f"P7: this, bans and traffic are no drift: {what}", found, mended)


def test_loads(net, firewall, script):
    other = script.replace("priority filter - 5", "priority filter - 6")
    check(firewall.load(script)[0] and firewall.load(other)[0], "P5: a second script is loaded", firewall.said())
    before = rules(net.gateway)
    check(not firewall.load(script + "garbage\n")[0] and rules(net.gateway) == before, "P4: one that fails leaves the rules")
    nft(net.gateway, "flush ruleset")
    found, mended = firewall.drift(), firewall.drift()
    check(found.changes == 2 and mended.state == peer.RESTORED and rules(net.gateway) == before,
          "P5: what is put back is what was loaded last", found, mended)


def test_report(net, firewall, script):
    firewall.load(script, restore=False)
    before = rules(net.gateway)
    nft(net.gateway, "flush chain inet sallyport input")
    found = firewall.drift()
    check(found.state == peer.FOUND and found.wait == 0, "P5: on_drift: report: drift is told", found)
    check(firewall.ban("192.0.2.1")[0] and not firewall.drifts and rules(net.gateway) != before, "and nothing is put back")
    nft(net.gateway, "add table inet x")
    nft(net.gateway, script)
    over = firewall.drift()
    check(over.state == peer.OVER and rules(net.gateway) == before, "when somebody puts it back, that is told, too", over)


def test_rival(net, firewall, script):
    firewall.load(script)
    before, waits = rules(net.gateway), []
    for again in range(1, 4):
        nft(net.gateway, "flush ruleset")
        found, mended = firewall.drift(), firewall.drift()
        fine = found.state == peer.FOUND and mended.state == peer.RESTORED and mended.restored == again
        waits.append((found.wait, fine))
    check(all(fine for _, fine in waits) and waits[0][0] == 0 and waits[2][0] in (1, 2) and rules(net.gateway) == before,
          "P6: who flushes again and again is answered ever more slowly", waits, firewall.said()[-2000:])
    check("the policy is the place" in firewall.said() and "left a moment" in firewall.said(), "and the log says so")


def test_rival_at_load(net, firewall, script):
    """Somebody flushes all the while we load: what he left never becomes what the rules are to be."""
    with net.gateway.inside():
        rival = subprocess.Popen(["sh", "-c", "while :; do nft flush ruleset; done"], start_new_session=True)
    loads = [firewall.load(script, restore=False, look_ms=100) for _ in range(5)]
    os.killpg(rival.pid, signal.SIGKILL)
    rival.wait()
    check(all(fine or "somebody else (nft (pid " in why for fine, why in loads), "P5: a load that is interfered with says so", loads)
    nft(net.gateway, script + "\ninsert rule inet sallyport limit_4 drop")
    told = [firewall.drift()]
    while told[-1] and told[-1].changed != "rule 1 was added to chain limit_4 of sallyport: [ immediate reg 0 drop ]":
        told.append(firewall.drift())
    check(told[-1], "P5: and takes nothing else than the script for what the rules are to be", loads, told, firewall.said()[-2000:])
    firewall.load(script)
    firewall.drifts.clear()


def test_lost_news(net, firewall, script):
    """More news than the socket holds: all is looked at."""
    firewall.load(script)
    firewall.process.send_signal(signal.SIGSTOP)
    many = ", ".join(f"172.{16 + n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(0, 131072, 2))
    nft(net.gateway, "table ip other {\nset many { type ipv4_addr; flags interval; }\n}\n")
    for _ in range(3):
        nft(net.gateway, f"add element ip other many {{ {many} }}\n")
        nft(net.gateway, "flush set ip other many\n")
    nft(net.gateway, "delete table inet sallyport")
    firewall.process.send_signal(signal.SIGCONT)
    found = firewall.drift(wait=20)
    mended = found and firewall.drift()
    check(found and found.state == peer.FOUND and found.by == "" and mended.state == peer.RESTORED,
          "P5: when news is lost, the rules are looked at", found, mended, firewall.said()[-2000:])
    nft(net.gateway, "delete table ip other")


def test_silent_monitor(net, firewall, script):
    """The monitor reads nothing: what is told waits, and is told in the end."""
    firewall.load(script)
    firewall.channel.setblocking(False)
    sent = 0
    try:
        while sent < 4000:
            firewall.channel.send(peer.change_packet(peer.BAN, f"198.18.{sent // 256}.{sent % 256}", 600))
            sent += 1
    except BlockingIOError:
        pass
    nft(net.gateway, "delete table inet sallyport")
    firewall.channel.settimeout(60)
    answers = sum(firewall.answer(peer.BANNED)[0] for _ in range(sent))
    found, mended = firewall.drift(), firewall.drift()
    check(answers == sent and found.state == peer.FOUND and mended.state == peer.RESTORED,
          "P4: answers and drift all arrive at a monitor that was slow", answers, found, mended)


def test_stop(net, firewall):
    check(firewall.unload()[0] and firewall.process.wait(30) == 0 and not firewall.drifts,
          "P7: our own stop is no drift", firewall.drifts, firewall.said()[-2000:])


def test_netlink_refused(net):
    """Where the kernel refuses netlink, the process says so and goes on."""
    script = ("import ctypes, os, struct, sys\n"
              "libc = ctypes.CDLL(None)\n"
              "# socket(AF_NETLINK, …, NETLINK_NETFILTER) is EPERM; all else is allowed\n"
              "f = b''.join(struct.pack('HBBI', *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 3, 41), (0x20, 0, 0, 16), (0x15, 0, 1, 16),\n"
              "    (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)))\n"
              "b = ctypes.create_string_buffer(f)\n"
              "p = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 6, ctypes.addressof(b)))\n"
              "libc.prctl(38, 1, 0, 0, 0)\n"
              "assert libc.prctl(22, 2, p, 0, 0) == 0\n"
              "os.execve(sys.argv[1], sys.argv[1:], {})\n")
    with peer.Firewall(net.gateway, "/usr/bin/python3", "-S", "-c", script) as firewall:
        fine, why, _ = firewall.answer(peer.READY)
        check(not fine and "refuses netlink" in why, "P4: netlink that is refused is told in clear words", why, firewall.said())
        check(not firewall.load(policy.plan()[0])[0] and not firewall.ban("192.0.2.1")[0], "and at every request")


def run(net):
    script = policy.plan()[0]
    listeners = net.gateway.listen(3260)
    with peer.Firewall(net.gateway) as firewall:
        firewall.answer(peer.READY)
        for test in (test_restored, test_no_drift, test_loads, test_report, test_rival, test_rival_at_load, test_lost_news, test_silent_monitor):
            test(net, firewall, script)
        test_stop(net, firewall)
    test_netlink_refused(net)
    for s in listeners.values():
        s.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("drift of the firewall", why)
        return
    with hosts.Network("client", "stranger") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
