#!/usr/bin/env python3
"""`sallyport audit report --html`: the page of a busy day, in a headless Chromium: it loads nothing, says nothing on the
console, sorts, filters, is there for keyboards and screen readers, in light, in dark and on paper."""
import re
from audit_story import HOSTILE, Story
from chromium import PROGRAM, Browser
from harness import *

AREA = "audit"
SENTENCE = "the report's page in a browser"
story = Story(8)
gw = story.play()
page = pathlib.Path("report.html")

done = gw.command("audit", "report")
check(AREA, "a report says where to, or is wrong usage", done.returncode == 2 and "--html" in done.stderr, done.stderr)
done = gw.command("audit", "report", "all", "--html", page)
check(AREA, "a report is written, for its maker alone", done.returncode == 0 and not done.stdout and page.stat().st_mode & 0o777 == 0o600, done.stderr)
source = page.read_text()
again = gw.command("audit", "report", "all", "--html", "-")
check(AREA, "--html - is stdout", again.returncode == 0 and again.stdout.startswith("<!DOCTYPE html>"), again.stderr)


def facts_of(html):
    return json.loads(re.search(r'<script type="application/json" id="facts">(.*?)</script>', html, flags=re.S)[1])


facts = facts_of(source)
check(AREA, "what peers wrote is in the page as text alone", "onerror" in source and "<img" not in source and "</script><" not in source.replace("</script>\n", "") and
      "\x1b" not in source, "")
check(AREA, "without scripts the page tells the summary", "ATTENTION" in re.search(r"<noscript>(.*?)</noscript>", source, flags=re.S)[1], "")
check(AREA, "the verdict of the verification is in the page", facts["proof"]["state"] == "ok" and 'class="proof ok"' in source, facts["proof"])
done = gw.command("audit", "report", "all", "--no-verify", "--html", "unverified.html")
check(AREA, "a page that was not verified says so plainly", done.returncode == 0 and "Not verified" in pathlib.Path("unverified.html").read_text(), done.stderr)
key = pathlib.Path("keys").resolve()
key.write_text(gw.command("audit", "key").stdout)
gw.stop()  # with a block in the key's epoch
notes = pathlib.Path("notes").resolve()
notes.write_text("\n".join(f.read_text() for f in sorted((gw.state / "audit").glob("*.note"))))
done = gw.command("audit", "report", "all", "--key", key, "--checkpoint", notes, "--html", "-")
proof = facts_of(done.stdout)["proof"]
check(AREA, "the verification takes keys and checkpoints that were kept elsewhere, and the page says what they proved", done.returncode == 0 and
      "The seals of " in proof["text"] and "Checkpoints from outside bind it" in proof["text"] and "Its signer is the one" in proof["text"] and
      f"--key {key} --checkpoint {notes}" in done.stdout, proof["text"] if done.stdout else done.stderr)
done = gw.command("audit", "report", "all", "--key", notes, "--html", "bad.html")
check(AREA, "what is no key is refused, with its line", done.returncode == 3 and "line 1" in done.stderr, done.stderr)
done = gw.command("audit", "report", "all", "--no-verify", "--key", key, "--html", "bad.html")
check(AREA, "a key for no verification is wrong usage", done.returncode == 2 and "--no-verify" in done.stderr, done.stderr)
copy = pathlib.Path("damaged")
shutil.copytree(gw.state / "audit", copy / "audit")
copy.chmod(gw.state.stat().st_mode)
if os.geteuid() == 0:
    for path in (copy, copy / "audit", *(copy / "audit").iterdir()):
        os.chown(path, (gw.state / "audit").stat().st_uid, (gw.state / "audit").stat().st_gid)
damaged = copy / "audit" / "commands-000001.log"
octets = bytearray(damaged.read_bytes())
octets[len(octets) // 2] ^= 1
damaged.write_bytes(octets)
done = run(SALLYPORT, "audit", "report", "all", "--html", "-", "--state", copy)
check(AREA, "of a trail with one bit turned the page says what is damaged, and where", done.returncode == 21 and 'class="proof bad"' in done.stdout and
      "commands-000001.log, octet" in done.stdout, done.stdout[:3000] + done.stderr)
check(AREA, "the command for the same again is at the end", re.search(r"<footer>.*sallyport audit report \S+\.\.\S+ --html", source, flags=re.S), "")
check(AREA, "nothing in the page names another place", not re.search(r'(?:src|href|action)="(?!#|data:,)', source) and "@import" not in source and "url(" not in source, "")

# What text stands on which ground; what is drawn on which.
TEXTS = [("ink", "ground"), ("ink", "card"), ("soft", "ground"), ("soft", "card"), ("soft", "zebra"), ("ink", "zebra"), ("accent", "card"), ("accent", "ground"),
         ("card", "accent"), ("refuse", "card"), ("ink", "good-ground"), ("ink", "bad-ground"), ("ink", "doubt-ground"), ("card", "good"), ("card", "bad"), ("card", "doubt")]
DRAWN = [(c, g) for c in ("read", "write", "both", "discard") for g in ("card", "empty")] + [("refuse", "card"), ("doubt", "card"), ("soft", "card")]


def luminance(colour):
    parts = [int(colour[k:k + 2], 16) / 255 for k in (1, 3, 5)]
    return sum(w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for w, c in zip((0.2126, 0.7152, 0.0722), parts))


def contrast(a, b):
    x, y = sorted((luminance(a), luminance(b)))
    return (y + 0.05) / (x + 0.05)


def bad_contrasts(b):
    colours = b.ask("Object.fromEntries([...document.styleSheets].flatMap(s => [...s.cssRules]).filter(r => r.selectorText === ':root')"
                    ".flatMap(r => [...r.style]).filter(n => /^--/.test(n)).map(n => [n.slice(2), colour(n.slice(2))]))")
    return [(a, g, round(contrast(colours[a], colours[g]), 2)) for pairs, least in ((TEXTS, 4.5), (DRAWN, 3)) for a, g in pairs
            if contrast(colours[a], colours[g]) < least]


# What automatic checks of accessibility ask for: names, heads, order, languages.
NAMELESS = """[...document.querySelectorAll("button, input, select, a, summary, [tabindex='0'], canvas, table, section")].filter(e => {
	const by = (e.getAttribute("aria-labelledby") || "").split(" ").map(id => document.getElementById(id)?.textContent || "").join("");
	const name = by + (e.getAttribute("aria-label") || "") + [...(e.labels || [])].map(l => l.textContent).join("") + (e.caption?.textContent || "") + (e.matches("button, a, summary") ? e.textContent : "");
	return !e.hidden && !e.closest("[aria-hidden=true]") && !name.trim();
}).map(e => e.outerHTML.slice(0, 90))"""
HEADINGS = "[...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility()).map(e => +e.tagName[1])"
TWICE = "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, at, all) => all.indexOf(id) !== at)"
COLUMN = "[...document.querySelectorAll('[aria-labelledby={}] tbody tr')].map(r => r.cells[{}].textContent)"


def look(b):
    b.open(page)
    check(AREA, "the page says nothing on the console, and asks for nothing but itself", not b.said and b.asked_for == [page.resolve().as_uri()], f"{b.said} {b.asked_for}")
    b.key("Tab")
    check(AREA, "the first Tab leads past the head", b.ask("document.activeElement.className") == "skip", b.ask("document.activeElement.outerHTML"))
    check(AREA, "charts and the map are drawn", b.ask("document.querySelectorAll('.uplot canvas').length") >= 4 and b.ask(
        "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v))(document.querySelector('.cells canvas'))"), "")
    check(AREA, "no name of a peer became an element", b.ask("document.images.length") == 0 and "onerror=alert(1)" in b.ask("document.body.innerText"), "")
    check(AREA, "the verdict comes first", b.ask("document.querySelector('main').firstElementChild.className").startswith("proof "), "")
    rows = b.ask(COLUMN.format("t-access-by-initiator-and-lun", 0))
    check(AREA, "the table of who reached what has who did", sorted(rows) == ["backup-1", "db-1", "desk-7", "web-1"], rows)

    head = "[aria-labelledby=t-sources] th:nth-child(2)"
    b.click(head + " button")
    falling = [int(n) for n in b.ask(COLUMN.format("t-sources", 1))]
    state = b.ask(f"document.querySelector('{head}').getAttribute('aria-sort')")
    b.click(head + " button")
    rising = [int(n) for n in b.ask(COLUMN.format("t-sources", 1))]
    check(AREA, "a head sorts its table, falling and then rising, and says so", falling == sorted(falling, reverse=True) and rising == sorted(rising) and
          len(set(rising)) > 1 and state == "descending", f"{falling} {rising} {state}")
    b.ask("document.getElementById('filter').focus()")
    b.type("WEB-1")
    told, shown = b.ask("document.getElementById('filter-told').textContent"), b.ask(COLUMN.format("t-access-by-initiator-and-lun", 0))
    hidden = b.ask("[...document.querySelectorAll('.table')].filter(t => t.hidden).length")
    check(AREA, "the filter leaves rows that have the text, hides other tables, and tells how many", shown == ["web-1"] and hidden > 0 and re.match(r"\d+ rows? match", told), f"{told} {shown} {hidden}")
    b.ask("(f => { f.value = ''; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))")

    b.ask("document.querySelector('.cells').focus()")
    b.key("ArrowDown")
    first = b.ask("document.querySelector('output').textContent")
    b.key("ArrowRight", shift=True)
    second = b.ask("document.querySelector('output').textContent")
    check(AREA, "arrow keys move over the map, which tells what is there", re.search(r"blocks [\d\u202f]+ to ", first) and first != second, f"{first} / {second}")
    for view in ("read", "written", "discarded"):
        b.ask(f"[...document.querySelectorAll('.choice label')].find(l => l.textContent.toLowerCase() === '{view}').click()")
    check(AREA, "the map shows one deed alone, too, by name", b.ask("document.querySelector('#map .legend').textContent") == "discarded", "")
    b.ask("document.querySelectorAll('main details').forEach(d => d.open = true)")
    b.settle()
    check(AREA, "each chart has its numbers in a table behind it", b.ask("[...document.querySelectorAll('main details')].every(d => d.querySelectorAll('tbody tr').length > 0)") and
          b.ask("document.querySelectorAll('main details').length") == 3, "")
    b.ask("document.querySelectorAll('main details').forEach(d => d.open = false)")

    check(AREA, "whatever can be used has a name", b.ask(NAMELESS) == [], b.ask(NAMELESS))
    headings = b.ask(HEADINGS)
    check(AREA, "headings go down one level at a time, and there is one first", headings.count(1) == 1 and all(y - x <= 1 for x, y in zip(headings, headings[1:])), headings)
    check(AREA, "no two elements have one id", b.ask(TWICE) == [], b.ask(TWICE))
    check(AREA, "the page has a language and a title, heads a scope, and no order of its own for Tab", b.ask("document.documentElement.lang") == "en" and b.ask("document.title").startswith("Audit report") and
          b.ask("[...document.querySelectorAll('th')].every(t => t.scope) && [...document.querySelectorAll('[tabindex]')].every(t => t.tabIndex <= 0)"), "")
    ground = {}
    for scheme in ("light", "dark"):
        b.scheme(scheme)
        ground[scheme] = b.ask("getComputedStyle(document.body).backgroundColor")
        check(AREA, f"texts and drawings stand out in {scheme}", bad_contrasts(b) == [], bad_contrasts(b))
    check(AREA, "light and dark follow the reader's wish", ground["light"] != ground["dark"], ground)
    b.scheme("dark", media="print")
    b.ask("dispatchEvent(new Event('beforeprint'))")
    check(AREA, "paper is light, whatever the screen is, without what can only be clicked", luminance(b.ask("colour('ground')")) > 0.8 and
          not b.ask("document.getElementById('filter').checkVisibility()"), "")
    b.ask("dispatchEvent(new Event('afterprint'))")
    b.scheme("light")
    b.paper("report.pdf")
    check(AREA, "it prints", pathlib.Path("report.pdf").read_bytes().startswith(b"%PDF"), "")
    b.size(400, 800)
    b.settle()
    check(AREA, "a narrow screen does not scroll sideways", b.ask("document.documentElement.scrollWidth") <= 400, b.ask("document.documentElement.scrollWidth"))
    check(AREA, "after all of this the console is silent still", not b.said, b.said)
    b.ask("(s => { s.textContent = 'window.ran = 1'; document.body.append(s); })(document.createElement('script'))")
    b.ask("(i => { i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i); })(document.createElement('img'))")
    b.settle()
    check(AREA, "the page's policy runs no other script and loads nothing", b.ask("window.ran") is None and any("Content Security Policy" in s for s in b.said), b.said)


if PROGRAM is None:
    skip(AREA, SENTENCE, "chromium is not installed")
else:
    with Browser() as browser:
        look(browser)
finish()
