"""Pictures of ratios, as SVG: a bar for each peer, and a line where tonic is."""

import html

from programs import ALL_PEERS, BAREWIRE, H2_BEST, TONIC
from scenarios import GROUPS, SCENARIOS

COLOURS = ["#1f5fbf", "#9a9a9a", "#2e8b57", "#8fc9a8", "#d98c2b", "#b65fa8", "#c0504d"]
MEASURES = {"instructions": "instructions", "cpu_us": "CPU time"}

LABELS, BARS, BAR, GAP, TOP = 270, 560, 11, 10, 56
# Ratios beyond it are cut, and told in figures.
LIMIT = 2.5


def write(run, folder):
    """Draws a picture for each group and measure: (group, title) → path."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    paths = {}
    for group in GROUPS:
        for measure, what in MEASURES.items():
            rows = rows_of(group, measure, run)
            if rows:
                title = f"{GROUPS[group]}: {what} ÷ tonic's"
                path = folder / f"{group}-{measure.removesuffix('_us')}.svg"
                # h2's client has one way.
                legends = {H2_BEST.name: "h2"} if group == "client" else {}
                path.write_text(draw(title, rows, legends))
                paths[group, title] = path
    return paths


def rows_of(group, measure, run):
    """Scenario → peer → ratio."""
    rows = {}
    for scenario in SCENARIOS:
        found = run["results"].get(scenario.name, {})
        tonic = found.get(TONIC.name, {}).get(measure)
        if scenario.group == group and tonic:
            ratios = {name: figures[measure] / tonic for name, figures in found.items() if measure in figures}
            rows[scenario.name] = {name: ratio for name, ratio in ratios.items() if name != TONIC.name}
    return rows


def draw(title, rows, legends):
    names = [peer.name for peer in ALL_PEERS if any(peer.name in ratios for ratios in rows.values())]
    colours = {peer.name: colour for peer, colour in zip(ALL_PEERS, COLOURS)}
    scale = BARS / LIMIT
    parts, y = [], TOP
    for row, ratios in rows.items():
        middle = y + len(ratios) * BAR / 2
        parts.append(text(LABELS - 8, middle, row, anchor="end"))
        for name, ratio in ratios.items():
            width = min(ratio, LIMIT) * scale
            parts.append(f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colours[name]}"/>')
            weight = "bold" if name == BAREWIRE.name else "normal"
            parts.append(text(LABELS + width + 4, y + BAR / 2, f"{ratio:.2f}", size=9, weight=weight))
            y += BAR
        y += GAP
    tonic = LABELS + scale
    line = f'<line x1="{tonic:.1f}" y1="{TOP - 6}" x2="{tonic:.1f}" y2="{y}" stroke="#444" stroke-dasharray="3 3"/>'
    legend, x = [], LABELS
    for name in names:
        legend.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colours[name]}"/>')
        legend.append(text(x + 14, 39, legends.get(name, name)))
        x += 26 + 7 * len(name)
    width, height = LABELS + BARS + 60, y + 14
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    heading = text(12, 16, title, size=14, weight="bold")
    return "\n".join([head, ground, heading, *legend, line, text(tonic, y + 6, "tonic", size=9, anchor="middle"), *parts, "</svg>", ""])


def text(x, y, words, size=11, anchor="start", weight="normal"):
    style = f'font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y + size * 0.35:.1f}" {style}>{html.escape(words)}</text>'
