"""Policies as large as a site's can be: each initiator with its user and an address, none of which lies beside another's, so that
they share no line of the firewall."""

HEAD = "version: 1\nportals:\n  wan: {listen: ['10.0.0.1:3260'], transport: plain, accept_risk: true}\n"
TARGET = "iqn.2026-11.net.example.gw:d"


def name_of(k):
    return f"iqn.2026-11.net.example:i{k}"


def address_of(k):
    at = 3 * k
    return f"10.{100 + at // 65536}.{at // 256 % 256}.{at % 256}"


def policy(targets, initiators):
    """Targets with a disk each; the initiators in turn."""
    lines = [HEAD, "disks:\n", *(f"  d{n}: {{memory: 1MiB, writers: cluster}}\n" for n in range(targets)), "targets:\n"]
    for n in range(targets):
        lines.append(f"  {TARGET}{n}:\n    portals: [wan]\n    luns: {{0: d{n}}}\n    initiators:\n")
        lines += (f"      {name_of(k)}: {{chap: {{user: u{k}, mutual: gw}}, from: [{address_of(k)}]}}\n" for k in range(n, initiators, targets))
    return "".join(lines)
