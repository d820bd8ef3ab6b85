#!/usr/bin/env python3
"""The manual and the completion say what the program says: commands, options, keys of the policy."""
import os, pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("SALLYPORT_BUILD", ROOT / "build")) / "sallyport"
failed = False


def tell(sentence, problems):
    global failed
    print(f"FAIL deploy: {sentence}\n    {'; '.join(problems)}" if problems else f"ok deploy: {sentence}", flush=True)
    failed = failed or bool(problems)


def text_of(*arguments):
    done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def commands():
    return re.findall(r"^  (?:sallyport )?([a-z]+)\s", text_of("--help"), flags=re.M)


def verbs(name):
    """Of a command that has verbs with options of their own."""
    text = text_of(name, "--help")
    return re.findall(r"^  ([a-z-]+)\s{2,}", text, flags=re.M) if "VERB --help tells more" in text else []


def check_commands(manual, completion):
    names = commands()
    tell("the program has commands, and each is in the manual and the completion",
         ([] if len(names) > 3 else [f"--help names {names}"]) +
         [f"no '.Ss {n}' in sallyport.8" for n in names if not re.search(rf"^\.Ss {n}\b", manual, flags=re.M)] +
         [f"no {n} in sallyport.bash" for n in names if not re.search(rf"^\t{n}(?: \||\))|[ |] {n}\)|^\t{n} ",
                                                                    completion, flags=re.M)])
    problems = []
    for words in [w for name in names for w in [[name]] + [[name, verb] for verb in verbs(name)]]:
        name = " ".join(words)
        if len(words) > 1 and not re.search(rf"^\.(Ss|It).*\b{words[1]}\b", manual, flags=re.M):
            problems.append(f"{name} is not in sallyport.8")
        if len(words) > 1 and not re.search(rf"[ ']{words[1]}[ ']", completion):
            problems.append(f"{name} is not in sallyport.bash")
        for label in re.findall(r"^  (-\S.*?)(?:  |$)", text_of(*words, "--help"), flags=re.M):
            for option in re.findall(r"--([a-z-]+)", label):
                if not re.search(rf"\bFl -{option}\b", manual):
                    problems.append(f"{name} --{option} is not in sallyport.8")
                if f"--{option}" not in completion:
                    problems.append(f"{name} --{option} is not in sallyport.bash")
    tell("each verb and each option is in the manual and the completion", problems)


def check_keys(manual):
    table = (ROOT / "policy/schema_keys.c").read_text()
    keys = set(re.findall(r'\{SECTION_\w+, "([a-z_]+)", TYPE_', table))
    told = set(re.findall(r"^\.It Ic ([a-z_]+)$", manual, flags=re.M))
    tell("the manual has the keys that a policy may have, and no others",
         [f"{key} is not in policy.yaml.5" for key in sorted(keys - told)] +
         [f"{key} is no key" for key in sorted(told - keys)] + ([] if keys else ["no keys found"]))


man = ROOT / "deploy/man"
if PROGRAM.exists():
    check_commands((man / "sallyport.8").read_text(), (ROOT / "deploy/sallyport.bash").read_text())
else:
    print("skip deploy: the manual has every command (the program is not built)")
if (ROOT / "policy/schema_keys.c").exists():
    check_keys((man / "policy.yaml.5").read_text())
else:
    print("skip deploy: the manual has every key (there is no table of keys)")
sys.exit(failed)
