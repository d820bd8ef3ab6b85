"""A gateway whose firewall rules somebody else changes: `status`, its exit status, the log, the audit, bans."""
import os

from firewall.lib import hosts, report
from firewall.lib.report import check
from harness import Gateway, wait_for
from initiator import Gone, Initiator, Refused

POLICY = """\
version: 1
portals:
  wan: {{listen: ["0.0.0.0:{port}"], transport: plain, accept_risk: true}}
disks:
  vault: {{memory: 16MiB}}
targets:
  {target}:
    portals: [wan]
    luns: {{0: vault}}
    initiators:
      {client}:
        from: [10.77.1.2]
        chap: {{user: alice, mutual: gw-for-alice}}
{more}
"""


def nft(net, script):
    net.gateway.run("nft", "-f", "-", input=script + "\n")


def rules(net):
    return net.gateway.run("nft", "-s", "-t", "list", "ruleset").stdout


def status(gw):
    done = gw.command("status")
    return done.returncode, done.stdout


def audit(gw, reason):
    return [e for e in gw.audit() if e.get("event") == "firewall" and e.get("reason") == reason]


def script_in_force(pid):
    """The script that the firewall process would load again: the memfd that it keeps."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:firewall"):
            with open(f"/proc/{pid}/fd/{fd}", "rb") as f:
                return os.pread(f.fileno(), 1 << 20, 0).decode()
    return None


def banned(net):
    return "10.77.1.2" in net.gateway.run("nft", "list", "set", "inet", "sallyport-bans", "v4", check=False).stdout


def guess(net, gw):
    try:
        with net.client.inside():
            i = Initiator(gw.port, host=hosts.GATEWAY4)
        i.login(secret="not-the-right-one-1")
    except (Refused, Gone, OSError):
        pass


def test_restored(net, gw):
    code, text = status(gw)
    check(code == 0 and "drift" not in text, "a gateway that nobody disturbed says nothing of drift", text, gw.log())
    check(script_in_force(gw.helper_pid("firewall")) == gw.command("plan", "--firewall", gw.policy).stdout,
          "P5: the script that is loaded is, octet by octet, what plan prints")
    with net.client.inside():
        live = Initiator(gw.port, host=hosts.GATEWAY4)
    live.login()
    before = rules(net)
    nft(net, "flush ruleset")
    check(wait_for(lambda: (gw.status()["drift"] or {}).get("state") == "mended"), "P5: a flushed rule set is put back", gw.log())
    check(rules(net) == before and not net.stranger.reaches(gw.port), "P1: strangers are kept out again", rules(net))
    check(any(live.ready()[0] == 0 for _ in range(3)), "P7: the session did not notice")
    live.close()
    code, text = status(gw)
    check(code == 0 and "drift    firewall rules were changed 20" in text and "table sallyport is gone; table sallyport-bans is gone" in text
          and "NOT WELL" not in text, "`status` has the drift that was mended, with its time and what was changed, and exits 0", text)
    drift = gw.status()["drift"]
    check(drift["changed"] == "table sallyport is gone; table sallyport-bans is gone" and drift["times"] == 1 and drift["by"].startswith("nft (pid "),
          "so does --json", drift)
    check(gw.is_well() and "firewall drift: nft (pid" in gw.log() and "rules are put back" in gw.log(), "the log has it", gw.log())
    check(wait_for(lambda: len(audit(gw, "drift")) == 1 and len(audit(gw, "drift-restored")) == 1) and
          "table sallyport is gone" in audit(gw, "drift")[0]["detail"] and "nft (pid" in audit(gw, "drift")[0]["detail"],
          "the audit has it: what, by whom, and that it was mended", gw.audit())


def test_bans(net, gw):
    for _ in range(5):
        guess(net, gw)
    check(wait_for(lambda: banned(net)), "P6: an address is banned", gw.log())
    nft(net, "flush ruleset")
    check(wait_for(lambda: banned(net)) and gw.status()["drift"]["times"] == 2, "P6: what is put back has the bans, too", gw.log())


def test_helper(net, gw):
    """Rules that are flushed while no firewall process is there are back with the next one."""
    before = rules(net)
    pid = gw.helper_pid("firewall")
    os.kill(pid, 9)
    nft(net, "delete table inet sallyport")
    check(wait_for(lambda: gw.helper_pid("firewall") not in (0, pid) and gw.is_serving() and rules(net) == before),
          "P4: the next firewall process loads what is missing", gw.log())


def test_reported(net, gw):
    before = rules(net)
    nft(net, "add rule inet sallyport input accept")
    check(wait_for(lambda: not gw.is_well()), "P5: on_drift: report: drift that stands is not well", gw.log())
    code, text = status(gw)
    check(code == 1 and text.startswith("NOT WELL firewall: drift since 20") and "rule 2 was added to chain input of sallyport: [ immediate reg 0 accept ]" in text
          and "as on_drift says" in text, "`status` says so on its first line, and exits 1", text)
    check(rules(net) != before and gw.status()["drift"]["state"] == "standing", "nothing is put back")
    nft(net, gw.command("plan", "--firewall", gw.policy).stdout)
    check(wait_for(gw.is_well) and rules(net) == before, "when somebody puts it back, all is well", gw.log())
    code, text = status(gw)
    check(code == 0 and "drift    firewall rules were changed" in text, "and it is told of", text)
    check(wait_for(lambda: [len(audit(gw, r)) for r in ("drift", "drift-over", "drift-restored")] == [1, 1, 0]), "the audit has both", gw.audit())


def test_stop(gw):
    check(gw.stop() == 0, "a clean stop", gw.log())
    check(len(audit(gw, "drift")) == 1, "P7: the stop itself is no drift", gw.audit())


def run(net):
    wrapper = ("ip", "netns", "exec", net.gateway.name)
    gw = Gateway(policy=POLICY)
    try:
        gw.start(wrapper=wrapper)
        test_restored(net, gw)
        test_bans(net, gw)
        test_helper(net, gw)
    finally:
        gw.close()
    gw = Gateway(policy=POLICY, more="firewall: {on_drift: report}")
    try:
        gw.start(wrapper=wrapper)
        test_reported(net, gw)
        test_stop(gw)
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("a gateway whose rules somebody changes", why)
        return
    with hosts.Network("client", "stranger") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
