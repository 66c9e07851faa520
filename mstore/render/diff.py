"""A diff as lines of text for people: LoRA first, then all else, empty sections left out.

Hides folding: names that differ only in their numbers become one line with `*`
where nothing else distinguishes them. Prints nothing; every name is escaped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mstore.compare.diff import MISSING
from mstore.render.diff_adapters import adapter_sections
from mstore.render.diff_tensors import effect_lines, tensor_heading, tensor_lines
from mstore.render.page import (
    CHANGED,
    HEADING,
    MOST_LINES,
    NEW,
    OLD,
    QUIET,
    Page,
    folded_lines,
    grouped,
    value_line,
)
from mstore.render.style import plain
from mstore.text import counted, escaped, number, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mstore.compare.diff import DiffResult
    from mstore.compare.files import FileChange
    from mstore.render.style import Style

_LEAST_WIDTH: Final = 40


def diff_lines(result: DiffResult, *, width: int, style: Style = plain) -> Iterator[str]:
    """Give the lines of a diff, without line ends.

    Args:
        result: the diff; its warnings are not among the lines.
        width: columns; long names and values are cut to fit.
        style: how to show colours.
    """
    page = Page(max(width, _LEAST_WIDTH), style)
    if not result:
        yield "no differences"
        return
    sections = [
        *adapter_sections(page, result),
        ("Configuration", _values(page, result.config)),
        ("Metadata", _values(page, result.metadata)),
        ("Metrics", _metrics(page, result.metrics)),
        ("What the adapters do, ΔW = s·B·A", effect_lines(page, result)),
        (tensor_heading(result), tensor_lines(page, result)),
        ("Files", _files(page, result)),
    ]
    first = True
    for heading, lines in sections:
        if not lines:
            continue
        if not first:
            yield ""
        first = False
        yield page.style(heading, HEADING)
        yield from lines


def _values(page: Page, values: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Format values, one line a key."""
    names = {key: page.cut(escaped(key), page.width // 2) for key in values}
    room = min(max(map(len, names.values()), default=0), page.width // 2)
    left = page.width - room - 6
    lines = []
    for key, (a, b) in values.items():
        name = names[key].ljust(room)
        if a is MISSING:
            lines.append(f"{page.style('+', NEW)} {name}  {page.cut(value_line(b), left)}")
        elif b is MISSING:
            lines.append(f"{page.style('-', OLD)} {name}  {page.cut(value_line(a), left)}")
        else:
            one, other = (page.cut(value_line(v), left // 2 - 2) for v in (a, b))
            if one == other:  # they differ in what was cut, or in how numbers are spelled
                other += " (differs further on)"
            lines.append(f"  {name}  {page.style(one, OLD)} → {page.style(other, NEW)}")
    return page.few(lines, "keys")


def _metrics(page: Page, metrics: Mapping[str, tuple[float | None, float | None]]) -> list[str]:
    """Format metrics with the signed change, one line a metric."""
    names = {key: page.cut(escaped(key), page.width // 2) for key in metrics}
    room = max(map(len, names.values()), default=0)
    lines = []
    for key, (a, b) in metrics.items():
        name = names[key].ljust(room)
        if a is None:
            lines.append(f"{page.style('+', NEW)} {name}  {number(b)}")
        elif b is None:
            lines.append(f"{page.style('-', OLD)} {name}  {number(a)}")
        else:
            one, other = number(a), number(b)
            if one == other:
                one, other = repr(a), repr(b)
            change = page.style(f"  ({b - a:+.3g})", QUIET) if math.isfinite(b - a) else ""
            lines.append(f"  {name}  {page.style(one, OLD)} → {page.style(other, NEW)}{change}")
    return page.few(lines, "metrics")


def _files(page: Page, result: DiffResult) -> list[str]:
    """Format files, one line a file."""
    found = result.files
    rows: list[tuple[FileChange, tuple[str, str]]] = [
        *((c, ("M", CHANGED)) for c in found.changed),
        *((c, ("+", NEW)) for c in found.added),
        *((c, ("-", OLD)) for c in found.removed),
    ]
    if len(rows) <= MOST_LINES:
        lines = [(*mark, escaped(c.path), _sizes(c)) for c, mark in rows]
    else:
        lines = [
            (
                *mark,
                escaped(folded_lines(names)),
                counted(len(names), "file") if len(names) > 1 else "",
            )
            for names, mark in grouped([(c.path, mark) for c, mark in rows])
        ]
    room = min(max((len(name) for _, _, name, _ in lines), default=0), max(12, page.width - 24))
    return page.few(
        [
            f"{page.style(mark, colour)} {page.cut(name, room).ljust(room)}  {text}".rstrip()
            for mark, colour, name, text in lines
        ],
        "files",
    )


def _sizes(change: FileChange) -> str:
    counts = [s for s in (change.a_bytes, change.b_bytes) if s is not None]
    sizes = [size(s) for s in counts]
    if len(sizes) == 1 or counts[0] == counts[1]:
        return sizes[0]
    return " → ".join(sizes if sizes[0] != sizes[1] else [f"{c} B" for c in counts])


__all__ = ["diff_lines"]
