"""1000 guesses at a secret from one address: five are heard, the kernel drops the others; nobody else notices."""
from firewall.lib import guesses, hosts, report
from firewall.lib.guests import reasons
from firewall.lib.report import check


def run(net):
    gw = guesses.gateway()
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
        guesser, logins = guesses.Guesser(net, gw), 0
        while guesser.works() or logins < 5:
            guesses.login_time(net, gw, logins)
            logins += 1
        answered, connected = guesser.result()
        check(answered == 5 and connected == 0, "P6: of 1000 guesses five are answered, and then no connection comes up", answered, connected)
        dropped = guesses.drops(net)
        check(dropped >= guesses.GUESSES - 5, "P6: the kernel dropped the others", dropped)
        refused = len(reasons(gw, "refusal", lambda r: len(r) == 5))
        check(refused == 5 and not gw.audit("--op", "connection"), "the gateway heard of five", refused)
        check(logins >= 5, "P6: another address got in all the while", logins)
        check(gw.is_well(), "and all is well", gw.log())
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("1000 guesses from one address", why)
        return
    with hosts.Network("client", "other") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
