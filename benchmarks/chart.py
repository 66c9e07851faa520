"""A bar chart as SVG, by hand: panels of horizontal bars, mstore's in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from measure import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measure import Bar

_WIDTH, _LABELS, _VALUES = 760, 210, 70
_ROW, _TITLE, _GAP = 22, 30, 18


def chart(bars: Sequence[Bar]) -> str:
    """The bars, panel by panel, each panel by its own scale; readable on light and dark pages."""
    panels: dict[str, list[Bar]] = {}
    for bar in bars:
        panels.setdefault(bar.panel, []).append(bar)
    y, drawn = _GAP, []
    for title, rows in panels.items():
        drawn.append(f'<text x="12" y="{y + 14}" class="title">{escape(title)}</text>')
        y += _TITLE
        longest = max(bar.value for bar in rows) or 1.0
        for bar in rows:
            length = max(1.0, bar.value / longest * (_WIDTH - _LABELS - _VALUES))
            kind = "own" if bar.own else "other"
            drawn += [
                f'<text x="{_LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(bar.label)}</text>',
                f'<rect class="{kind}" x="{_LABELS}" y="{y + 3}"'
                f' width="{length:.1f}" height="{_ROW - 6}"/>',
                f'<text x="{_LABELS + length + 6:.1f}" y="{y + 14}">{shown(bar.value)}</text>',
            ]
            y += _ROW
        y += _GAP
    style = (
        "text{font:12px sans-serif;fill:#24292f}.title{font-weight:bold}"
        ".own{fill:#1f77b4}.other{fill:#9aa4ae}.page{fill:#ffffff}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}"'
            f' width="{_WIDTH}" height="{y}">',
            f"<style>{style}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{y}"/>',
            *drawn,
            "</svg>",
            "",
        ]
    )
