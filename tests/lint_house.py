#!/usr/bin/env python3
"""The house's own rules for C files: sizes, who may include whom, calls that are not used here."""
import pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_LINES, FILE_LINES, PARAMETERS = 90, 600, 5
# A message is its type, body, size, and descriptors with their number; the others are libssl's to call.
WIDE = ("channel_send", "on_alpn", "on_message", "signature_make")
FORBIDDEN = re.compile(r"(?<![\w.>])(strto(?:u?ll?|d|f|ld)|ato(?:i|l|ll|f)|v?sprintf|strcpy|strcat|gets|alloca|"
                       r"s?rand|s?random|rand_r|strtok|system|popen)\s*\(")
PATHS = re.compile(r"/(?:home|root|Users)/")
TOP = {"gateway", "auth", "policy", "backends", "tests", "deploy", "Makefile", "README.md", "LICENSE", ".ci",
       ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore"}

# Who may include what: a folder, or one header of it.
NAMES = "gateway/scsi/command_names.h"
SETS = "gateway/scsi/command_set.h"
RULES = "gateway/scsi/command_rules.h"
LIMITS = "gateway/scsi/limits.h"
MAY = {
    "gateway/base": [],
    "gateway/iscsi": ["gateway/base"],
    "gateway/scsi": ["gateway/base", "backends/backend.h", "gateway/audit/ring.h", "gateway/audit/record.h",
                     "gateway/arbiter/page.h", "gateway/arbiter/order.h"],
    "gateway/audit": ["gateway/base", NAMES],
    "gateway/arbiter": ["gateway/base"],
    "gateway/files": ["gateway/base"],
    "gateway/tls": ["gateway/base", "auth/auth.h"],
    "gateway/connect": ["gateway/base", "gateway/tls/tls.h", "auth/auth.h", "auth/identities.h", "policy/yaml_tree.h",
                        "policy/nearest.h"],
    "gateway/session": ["gateway/base", "gateway/iscsi", "gateway/scsi", "gateway/audit", "gateway/arbiter",
                        "gateway/tls/tls.h", "backends", "auth/auth.h"],
    "gateway/monitor": ["gateway/base", "gateway/audit", "gateway/arbiter", "gateway/session/messages.h",
                        "gateway/tls", "gateway/cli", "auth", "policy", "backends", NAMES],
    "gateway/cli": ["gateway", "auth", "policy", "backends"],
    "auth": ["gateway/base"],
    "policy": ["gateway/base", "gateway/tls/certificates.h", NAMES, SETS, RULES, LIMITS],
    "backends": ["gateway/base"],
}


def without_comments(text):
    """Comments and strings are blanked, lines stay."""
    blank = lambda m: re.sub(r"[^\n]", " ", m[0])
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def functions(lines):
    """(name, first line, lines, parameters) of every function: its body opens and ends in column 0."""
    for at, line in enumerate(lines):
        if line != "{":
            continue
        first = at
        while first > 0 and lines[first - 1].strip() and lines[first - 1][0] not in "}#":
            first -= 1
        end = lines.index("}", at)
        head = re.sub(r"\bPRINTF_LIKE\([^)]*\)", "", " ".join(lines[first:at]))
        match = re.search(r"(\w+)\((.*)\)\s*$", head)
        depth, parameters = 0, 1
        for c in match[2] if match else "":
            depth += (c == "(") - (c == ")")
            parameters += c == "," and depth == 0
        parameters -= "..." in head
        yield (match[1] if match else head), first + 1, end - first + 1, parameters


def folder_of(path):
    parts = path.parts
    return "/".join(parts[:2]) if parts[0] == "gateway" else parts[0]


def includes(text):
    return re.findall(r'^#include "([^"]+)"', text, flags=re.M)


def check_includes(path, text):
    folder = folder_of(path)
    for name in includes(text):
        if not (ROOT / name).exists():
            yield f"{path}: includes \"{name}\", which is no path from the top"
        elif folder in MAY and folder_of(pathlib.Path(name)) != folder and not any(
                name == may or name.startswith(may + "/") for may in MAY[folder]):
            yield f"{path}: {folder}/ may not include {name}"


def cycles(graph):
    done, stack = set(), []

    def visit(name):
        if name in stack:
            yield "includes go in a circle: " + " -> ".join(stack[stack.index(name):] + [name])
        elif name not in done:
            stack.append(name)
            for other in graph.get(name, []):
                yield from visit(other)
            done.add(stack.pop())

    for name in sorted(graph):
        yield from visit(name)


def check_file(path, text, sizes):
    code = without_comments(text)
    lines = code.split("\n")
    if not text.startswith("/*"):
        yield f"{path}:1: opens without a comment that says its job, its process and what it trusts"
    if path.suffix == ".h" and "#pragma once" not in text:
        yield f"{path}: has no #pragma once"
    if text.count("\n") > FILE_LINES:
        yield f"{path}: {text.count(chr(10))} lines, at most {FILE_LINES}: part it"
    for number, line in enumerate(lines, 1):
        for match in FORBIDDEN.finditer(line) if path.parts[0] != "tests" else ():
            yield f"{path}:{number}: {match[1]}() is not used here"
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield f"{path}:{number}: work to do belongs into the tracker"
        if path.parts[0] != "tests" and PATHS.search(line):
            yield f"{path}:{number}: a path of one machine"
    for name, number, length, parameters in functions(lines):
        sizes.append(length)
        if length > FUNCTION_LINES:
            yield f"{path}:{number}: {name}() has {length} lines, at most {FUNCTION_LINES}"
        if parameters > PARAMETERS and name not in WIDE:
            yield f"{path}:{number}: {name}() has {parameters} parameters, at most {PARAMETERS}"
    yield from check_includes(path, text)


def check_top():
    """What git holds at the top level: what a test left behind is easily committed."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
    for name in sorted({line.split("/")[0] for line in listed.stdout.splitlines()} - TOP):
        yield f"{name}: does not belong at the top level"


def main():
    found, sizes, graph = list(check_top()), [], {}
    for top in ("gateway", "auth", "policy", "backends", "tests"):
        for file in sorted((ROOT / top).rglob("*.[ch]")):
            path, text = file.relative_to(ROOT), file.read_text()
            graph[str(path)] = includes(text)
            found += check_file(path, text, sizes)
    found += cycles(graph)
    sizes.sort()
    at = lambda share: sizes[min(len(sizes) - 1, int(len(sizes) * share))]
    if at(.5) > 16 or at(.9) > 50:
        found.append("functions are too long as a whole")
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(graph)} files, {len(sizes)} functions: median {at(.5)}, p90 {at(.9)}, p99 {at(.99)}, "
          f"longest {sizes[-1]} lines (wanted: 16, 50, 90, 90)")
    return 1 if found else 0


sys.exit(main())
