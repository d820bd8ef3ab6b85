"""Identity is a tuple: the answer and the audit, when one element is wrong."""
from firewall.lib import hosts, refusals


def show():
    with hosts.Network("client", "other", "stranger") as net:
        gw = refusals.gateway()
        try:
            gw.start(wrapper=("ip", "netns", "exec", net.gateway.name))
            rows = list(refusals.matrix(net, gw))
            print(refusals.table(rows))
            same = {octets for element, _, status, octets, _ in rows if status == "0x201" and element != "algorithm"}
            print(f"answers 0x201 after the proof: {len(same)} different, octet by octet")
        finally:
            gw.close()
