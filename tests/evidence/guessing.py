"""A login's time at one address while another guesses: before, and meanwhile."""
from evidence.figures import median, spread
from firewall.lib import guesses, hosts

LOGINS = 200


def show():
    with hosts.Network("client", "other") as net:
        gw = guesses.gateway()
        try:
            gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
            before = [guesses.login_time(net, gw, k) for k in range(LOGINS)]
            guesser, meanwhile = guesses.Guesser(net, gw), []
            while guesser.works():
                meanwhile.append(guesses.login_time(net, gw, len(meanwhile)))
            answered, connected = guesser.result()
            after = [guesses.login_time(net, gw, k) for k in range(LOGINS)]
            print(f"{guesses.GUESSES} guesses: {answered} answered, {connected} connected after these, "
                  f"{guesses.drops(net)} packets dropped by the kernel")
            print(f"a login elsewhere, before:     {spread(before)}")
            print(f"a login elsewhere, meanwhile:  {spread(meanwhile)}")
            print(f"a login elsewhere, afterwards: {spread(after)}")
            print(f"the medians differ by {100 * (median(meanwhile) / median(before) - 1):+.1f} %")
        finally:
            gw.close()
