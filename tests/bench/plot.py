"""The plot of `make bench`: rates as parts of the echo's, a bar for each side of each row, with what half of the rounds are between."""
from html import escape

from bench.sides import middle, ratio

COLOURS = ("#1f5fa8", "#7fb0de", "#444444", "#c8553d", "#e8a87c", "#8a6bb1", "#5c9e6f")
LEFT, BAR, GAP, WIDTH, MOST = 230, 9, 10, 620, 2.0


def bar(y, colour, name, row, these, those):
    mid, low, high = ratio(these, those)
    x0, x1, x2, x3 = (LEFT + WIDTH * min(v, MOST) / MOST for v in (0, mid, low, high))
    told = f"{name}, {row}: {mid:.2f} ({low:.2f} … {high:.2f}), {middle(these, 'rate'):.0f} a second"
    return (f'<g><title>{escape(told)}</title><rect x="{x0:.0f}" y="{y}" width="{x1 - x0:.1f}" height="{BAR - 1}" fill="{colour}"/>'
            f'<path d="M{x2:.1f} {y + BAR / 2 - 0.5}H{x3:.1f}" stroke="#000" stroke-width="1.5"/>'
            f'<text x="{max(x1, x3) + 4:.1f}" y="{y + BAR - 1.5}" font-size="8">{mid:.2f}</text></g>')


def table(y, title, got, sides, other):
    """Its elements, and where it ends."""
    bare = next(side for side in sides if side.name == other)
    out = [f'<text x="10" y="{y}" font-size="13" font-weight="bold">{escape(title)}</text>']
    for n, side in enumerate(sides):
        x = LEFT + n * 118
        out.append(f'<rect x="{x}" y="{y + 8}" width="9" height="9" fill="{COLOURS[n % len(COLOURS)]}"/>'
                   f'<text x="{x + 13}" y="{y + 16}" font-size="10">{escape(side.name)}</text>')
    top = y = y + 28
    for row in dict.fromkeys(row for row, _ in got):
        out.append(f'<text x="{LEFT - 8}" y="{y + 10}" font-size="10" text-anchor="end">{escape(row.name)}</text>')
        for n, side in enumerate(sides):
            if (row, side) in got and (row, bare) in got:
                out.append(bar(y, COLOURS[n % len(COLOURS)], side.name, row.name, got[row, side], got[row, bare]))
                y += BAR
        y += GAP
    for part in (0.5, 1, 1.5):
        x = LEFT + WIDTH * part / MOST
        out.append(f'<path d="M{x:.0f} {top - 4}V{y - GAP}" stroke="#999" stroke-dasharray="2 3"/>'
                   f'<text x="{x:.0f}" y="{y + 2}" font-size="9" text-anchor="middle">{part:g}</text>')
    return out, y + 40


def page(tables, other):
    y, out = 24, []
    for title, got, sides in tables:
        more, y = table(y, f"commands a second, as parts of the {other}'s; {title}", got, sides, other)
        out += more
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{y}" font-family="sans-serif">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(out)}</svg>\n')
