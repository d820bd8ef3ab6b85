"""Lines of the test runner: one sentence a fact, and an exit status that says whether all hold."""
import sys

failed = False


def ok(sentence):
    print(f"ok firewall: {sentence}", flush=True)


def skip(sentence, why):
    print(f"skip firewall: {sentence} ({why})", flush=True)


def check(holds, sentence, *facts):
    """One fact; what was seen instead is printed below a failure."""
    global failed
    if holds:
        ok(sentence)
        return
    failed = True
    print(f"FAIL firewall: {sentence}", flush=True)
    for fact in facts:
        print("    " + str(fact).replace("\n", "\n    "), flush=True)


def finish():
    sys.exit(1 if failed else 0)
