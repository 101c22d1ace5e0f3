"""A bar for each line of a table, made of several columns, as a small SVG file that is readable on light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.results import Table, number

WIDTH, LEFT, RIGHT, TOP = 760, 170, 70, 58  # pixels
BAR, STEP = 18, 28
COLOURS = ("#4c78a8", "#f58518", "#54a24b")
STYLE = "text{font:13px system-ui,sans-serif;fill:#333}@media(prefers-color-scheme:dark){text{fill:#ddd}}"


def bars(table: Table, parts: Sequence[str], title: str) -> str:
    """The SVG. `parts` are the columns that a bar is made of, from left to right; their unit is the same."""
    values = {line.label: {part: line.value(part) or 0.0 for part in parts} for line in table.lines if line.samples}
    longest = max((sum(one.values()) for one in values.values()), default=1.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = TOP + STEP * len(values) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text x="0" y="16" font-weight="bold">{escape(title)}</text>',
        *_legend(parts),
    ]
    for place, (label, one) in enumerate(values.items()):
        lines += _bar(label, one, TOP + STEP * place, scale)
    return "\n".join([*lines, "</svg>", ""])


def _legend(parts: Sequence[str]) -> list[str]:
    return [
        f'<rect x="{LEFT + 120 * place}" y="28" width="12" height="12" fill="{colour}"/>'
        f'<text x="{LEFT + 18 + 120 * place}" y="39">{escape(part)}</text>'
        for place, (part, colour) in enumerate(zip(parts, COLOURS, strict=False))
    ]


def _bar(label: str, values: Mapping[str, float], top: int, scale: float) -> list[str]:
    lines = [f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>']
    at = float(LEFT)
    for value, colour in zip(values.values(), COLOURS, strict=False):
        lines.append(f'<rect x="{at:.1f}" y="{top}" width="{value * scale:.1f}" height="{BAR}" fill="{colour}"/>')
        at += value * scale
    return [*lines, f'<text x="{at + 6:.1f}" y="{top + 14}">{number(sum(values.values()))}</text>']
