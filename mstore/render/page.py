"""Lay out lines of text: cut names to a width, fold names that differ in numbers, colour.

Knows nothing of the lines' meaning.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from mstore.text import escaped, jsonable, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.render.style import Style

# The meaning of the terminal's colours here.
HEADING: Final = "cyan"
OLD: Final = "red"
NEW: Final = "green"
CHANGED: Final = "yellow"
QUIET: Final = "bright_black"
MOST_LINES: Final = 20
_NUMBER: Final = re.compile(r"\d+")


class Page:
    """The width and the colours of one page of text."""

    def __init__(self, width: int, style: Style) -> None:
        self.width = width
        self.style = style

    def cut(self, text: str, room: int) -> str:
        """Cut a text to at most `room` columns; of a long one the beginning and the end stay."""
        if len(text) <= max(room, 12):
            return text
        room = max(room, 12) - 1
        tail = room // 2
        return f"{text[: room - tail]}…{text[-tail:]}"

    def telling(self, names: list[str], room: int) -> list[str]:
        """Shorten names to fit, by parts that they all begin with as far as these go."""
        if len(names) > 1 and max(map(len, names)) > max(room, 12):
            # What the first and the last in order share, all share.
            first, last = min(names), max(names)
            shared = 0
            while shared < len(first) and first[shared] == last[shared]:
                shared += 1
            ends = [i + 1 for i in range(1, shared) if first[i] == "."]
            longest = max(map(len, names))
            begin = next((end for end in ends if longest - end < room), ends[-1] if ends else 0)
            if begin:
                names = ["…" + name[begin:] for name in names]
        return [self.cut(name, room) for name in names]

    def few(self, lines: list[str], noun: str) -> list[str]:
        """Give the first lines of a long list; `noun` is in the plural, as two are left at least."""
        if len(lines) <= MOST_LINES + 1:
            return lines
        rest = f"  … and {len(lines) - MOST_LINES} more {noun}"
        return [*lines[:MOST_LINES], self.style(rest, QUIET)]

    def arrow(self, a: str, b: str) -> str:
        """Give `a → b`, or the one text where both are equal."""
        return a if a == b else f"{self.style(a, OLD)} → {self.style(b, NEW)}"


def shape_text(shape: Sequence[int]) -> str:
    """Give a shape as text: `[2, 3]`."""
    return "[" + ", ".join(map(str, shape)) + "]"


def value_line(value: Any) -> str:
    """Format a value of JSON: strings bare where nothing else could be meant."""
    if isinstance(value, str) and value and value == value.strip() and not _reads_as_json(value):
        return escaped(value)
    if isinstance(value, float):
        # Metrics are rounded; a configuration is shown as it is.
        return repr(value) if math.isfinite(value) else str(value)
    return escaped(json.dumps(jsonable(value), ensure_ascii=False))


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def folded_lines(names: Sequence[str]) -> str:
    """Join names that differ only in numbers into one: `*` where the numbers differ."""
    columns = [set(column) for column in zip(*map(_NUMBER.findall, names), strict=True)]
    found = iter(columns)
    return _NUMBER.sub(lambda match: match[0] if len(next(found)) == 1 else "*", names[0])


def natural_key(name: str) -> list[tuple[str, int]]:
    """Give a key that puts layer 2 before layer 10."""
    texts, numbers = _NUMBER.split(name), [int(n[:18]) for n in _NUMBER.findall(name)]
    return list(zip(texts, [*numbers, -1], strict=True))


def grouped(rows: Sequence[tuple[str, Any]]) -> list[tuple[list[str], Any]]:
    """Group rows whose names differ only in numbers and whose second parts are equal, in order."""
    grouped: dict[Any, list[str]] = defaultdict(list)
    for name, what in rows:
        grouped[_NUMBER.sub("*", name), what].append(name)
    return [(names, what) for (_, what), names in grouped.items()]


def list_text(names: Sequence[str]) -> str:
    """Give names escaped, with commas between them, or a dash."""
    return ", ".join(map(escaped, names)) or "–"


def or_dash(value: float | None) -> str:
    """Give a number as text, or a dash."""
    return "–" if value is None else number(value)
