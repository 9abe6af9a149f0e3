"""Draws recall against queries per second as one SVG file that needs no other file and suits light and dark pages.

Across: recall, stretched towards 1 (as log(1 - recall)), because that is where engines part. Upwards: queries per second, log.
"""
from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from contest import Point
from report import frontier, title

WIDTH, HEIGHT = 900, 420  # HEIGHT: at least; more where many engines are listed
LEFT, RIGHT, TOP, BOTTOM = 70, 290, 44, 48
ROW = 19  # height of a line of the list of engines
RECALLS = (0.80, 0.90, 0.95, 0.98, 0.99, 0.995)
LOWEST = 0.80
OURS = ("#d62728", "#ff7f7f", "#9c1010", "#ff5a1f")
PEERS = ("#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#5b7f95", "#a05195")
STYLE = """svg{font:13px system-ui,sans-serif}.f{fill:#fff}.t,.n{fill:#222}.n{font-size:12px}.g{stroke:#ddd}.y{stroke:#777}
.l{fill:none;stroke-width:1.8}.k{stroke-width:3.2}
@media (prefers-color-scheme:dark){.f{fill:#0d1117}.t,.n{fill:#ddd}.g{stroke:#30363d}.y{stroke:#aaa}}"""


def across(recall: float) -> float:
    low, high = -math.log10(1 - LOWEST), -math.log10(1 - RECALLS[-1])
    at = (-math.log10(max(1 - recall, 1 - RECALLS[-1])) - low) / (high - low)
    return LEFT + at * (WIDTH - LEFT - RIGHT)


def ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for value in (10**power, 2 * 10**power, 5 * 10**power) if low <= value <= high]


def curves(found: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Frontiers, cut to what is drawn, the fastest at 0.95 first."""
    out = {}
    names = sorted(found["engines"], key=lambda name: -(found["engines"][name]["qps_at"]["0.95"] or 0))
    for name in names:
        points = {param: Point(**point) for param, point in found["engines"][name]["points"].items()}
        line = [(recall, qps) for recall, qps, _ in frontier(points, found["clock"]) if recall >= LOWEST]
        if line:
            out[name] = line
    return out


def axes(found: dict[str, Any], height: int, low: float, high: float, up: Callable[[float], float]) -> list[str]:
    """Title, grid and labels."""
    name, middle, foot = escape(title(found)), (LEFT + WIDTH - RIGHT) / 2, height - BOTTOM
    out = [f'<rect class="f" width="{WIDTH}" height="{height}"/><text class="t" x="{LEFT}" y="24">{name}</text>']
    for recall in RECALLS:
        x = across(recall)
        out.append(f'<path class="g" d="M{x:.1f} {TOP}V{foot}"/>'
                   f'<text class="n" x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{recall:g}</text>')
    for qps in ticks(low, high):
        y = up(qps)
        out.append(f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
                   f'<text class="n" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{qps:,.0f}</text>')
    out.append(f'<text class="n" x="{middle}" y="{height - 10}" text-anchor="middle">recall@{found["k"]}</text>'
               f'<text class="n" x="{LEFT}" y="{TOP - 6}" text-anchor="end">queries/s</text>')
    return out


def draw(found: dict[str, Any]) -> str:
    lines = curves(found)
    height = max(HEIGHT, TOP + ROW * (len(lines) + 1))
    speeds = [qps for line in lines.values() for _, qps in line] or [1.0, 10.0]
    low, high = min(speeds) / 1.1, max(speeds) * 1.1

    def up(qps: float) -> float:
        return height - BOTTOM - math.log(qps / low) / math.log(high / low) * (height - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-label="{escape(title(found))}"><style>{STYLE}</style>', *axes(found, height, low, high, up)]
    ours, peers = itertools.cycle(OURS), itertools.cycle(PEERS)
    drawn = []
    for place, (name, line) in enumerate(lines.items()):
        mine, yard = name.startswith("kith"), name == found["yardstick"]
        kind = "l k" if mine else "l y" if yard else "l"
        colour = "" if yard else f' stroke="{next(ours if mine else peers)}"'
        look = f'class="{kind}"{colour}' + (' stroke-dasharray="6 3"' if place % 2 and not mine and not yard else "")
        path = "L".join(f"{across(recall):.1f} {up(qps):.1f}" for recall, qps in line)
        if len(line) == 1:
            path += "h6"  # a single point is seen, too
        y = TOP + 10 + ROW * place
        drawn.append((mine, f'<path {look} d="M{path}"/><path {look} d="M{WIDTH - RIGHT + 16} {y}h26"/>'
                            f'<text class="n" x="{WIDTH - RIGHT + 50}" y="{y + 4}">{escape(name)}</text>'))
    out += [text for _, text in sorted(drawn, key=lambda item: item[0])]  # kith's lines over the others
    return "\n".join(out) + "</svg>\n"


def main() -> None:
    """plot.py RESULT.json...: draws the files of an earlier run anew."""
    import sys

    for name in sys.argv[1:]:
        Path(name).with_suffix(".svg").write_text(draw(json.loads(Path(name).read_text())))


if __name__ == "__main__":
    main()
