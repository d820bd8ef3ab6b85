#!/usr/bin/env python3
"""The README's tables say nothing that no test backs: files that it names are there, sections have their sentences."""
import pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
failed = False


def tell(sentence, problems):
    global failed
    print(f"FAIL deploy: {sentence}\n    {'; '.join(problems)}" if problems else f"ok deploy: {sentence}", flush=True)
    failed = failed or bool(problems)


def rows():
    """(sections, files) of the table of RFC 7143: its first and its last column."""
    table = README.split("## iSCSI, section by section", 1)[-1].split("\n## ", 1)[0]
    for line in table.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) >= 3 and re.match(r"(RFC 7144 )?\d", cells[0]):
            yield cells[0].split(", "), re.findall(r"`([^`]+)`", cells[-1])


def files(name):
    return sorted(p for folder in ("protocol", "conformance", "fault", "kernel", "unit", "firewall", "fuzz")
                  for p in (ROOT / "tests" / folder).glob(name))


def sentences(name):
    """The string literals that begin with a section's number, in the files of that name."""
    return [s for path in files(name) for s in re.findall(r'"((?:RFC 7144 )?\d+(?:\.\d+)+[ :][^"]*)"', path.read_text())]


def begins(sentence, section):
    return re.match(re.escape(section) + r"(?!\d)", sentence) is not None


table = list(rows())
tell("the README has a table of RFC 7143's sections", [] if len(table) > 20 else [f"{len(table)} rows"])
tell("each test that it names is there", [f"no {n}" for _, names in table for n in names if not files(n)])
tell("each section in it has a test's sentence in a file that its row names",
     [f"{section} in {', '.join(names)}" for sections, names in table for section in sections
      if not any(begins(s, section) for n in names for s in sentences(n))])
tell("each other test that the README names is there",
     [f"no {n}" for n in re.findall(r"`(tests/[^`]+)`", README) if not list(ROOT.glob(n))])
sys.exit(failed)
