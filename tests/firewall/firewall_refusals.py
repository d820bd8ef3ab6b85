"""Identity is a tuple, joined by AND: each element alone, wrong, refuses; the wire does not say which, the audit does."""
from firewall.lib import hosts, refusals, report
from firewall.lib.report import check


def run(net):
    gw = refusals.gateway()
    try:
        gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
        check(refusals.attempt(net, gw, {})[0] == "in", "who is right in everything gets in", gw.log())
        answers = {}
        rows = list(refusals.matrix(net, gw))
        for (element, how, _, want, reason), (_, _, status, octets, said) in zip(refusals.ROWS, rows):
            check((status, said) == (want, reason), f"P1: {element} {how}, all else right: {want}, audited as {reason or 'nothing'}",
                  status, said, gw.log())
            if element != "algorithm":  # which is known one step before
                answers.setdefault(want, set()).add(octets)
        check(len(answers["0x201"]) == 1, "P1: the answers to all that is wrong with an identity are the same, octet by octet",
              *answers["0x201"])
        check(len(answers["0x203"]) == 1, "nor does the answer tell a target that is not there from one that is another's",
              *answers["0x203"])
        first = {}  # of the rows of an element, where the firewall lets it through
        for element, _, _, want, reason in refusals.ROWS:
            if want != "dropped" and " and " not in element:
                first.setdefault(element, reason)
        check(len(first) == 7 == len(set(first.values())), "the audit has a reason of its own for each element", first)
        check(refusals.attempt(net, gw, {})[0] == "in", "and who is right still gets in")
    finally:
        gw.close()


def main():
    why = hosts.unavailable()
    if why:
        report.skip("each element of an identity, alone, wrong", why)
        return
    with hosts.Network("client", "other", "stranger") as net:
        run(net)
    report.finish()


if __name__ == "__main__":
    main()
