"""`make evidence`: what can be measured and shown of access control, printed. Nothing here judges a time."""
import sys
import traceback

import harness  # noqa: F401  (a network of its own, before anything else)
from evidence import drops, guessing, logins, policies, refusals, reloads
from firewall.lib import hosts

SECTIONS = (
    ("refusals", refusals, "each element of an identity, alone, wrong", True),
    ("drops", drops, "from a wrong secret to the kernel's drop", True),
    ("guessing", guessing, "1000 guesses from one address", True),
    ("logins", logins, "a login's time, by initiators in the policy", False),
    ("policies", policies, "a policy of 10 000 initiators", False),
    ("reloads", reloads, "sessions kept over random reloads under load", False),
)


def main():
    why, bad = hosts.unavailable(), 0
    for name, section, title, namespaces in SECTIONS:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        print(f"\n{title}\n", flush=True)
        if namespaces and why:
            print(f"not here: {why}")
            continue
        try:
            section.show()
        except (Exception, SystemExit):
            traceback.print_exc()
            bad = 1
    return bad


sys.exit(main())
