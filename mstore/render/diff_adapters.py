"""The part of a diff that shows LoRA adapters: ranks, scaling, targets, shapes of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.page import (
    NEW,
    OLD,
    QUIET,
    Page,
    folded_lines,
    grouped,
    list_text,
    or_dash,
    shape_text,
    value_line,
)
from mstore.text import counted, escaped, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.compare.diff import AdapterDiff, AdapterSide, DiffResult


def adapter_sections(page: Page, result: DiffResult) -> list[tuple[str, list[str]]]:
    """Format one section for each adapter, that of `lora` first."""
    main = result.lora_folder
    folders = sorted(result.adapters, key=lambda f: (f != main, f))
    sections = []
    for folder in folders:
        pair = result.adapters[folder]
        kinds = {s.kind for s in (pair.a, pair.b) if s is not None}
        kind = kinds.pop() if len(kinds) == 1 else None
        title = "LoRA" if kind in (None, "LORA") else escaped(str(kind))
        if folder:
            title += f"  {escaped(folder)}/"
        for side, other, label in ((pair.a, pair.b, result.a), (pair.b, pair.a, result.b)):
            if other is None and side is not None:
                title += f"  only in {page.cut(escaped(label), page.width // 2)}"
        if not pair:
            title += "  same"
        sections.append((title, _adapter(page, pair)))
    return sections


def _adapter(page: Page, pair: AdapterDiff) -> list[str]:
    sides = [s for s in (pair.a, pair.b) if s is not None]
    a, b = sides[0], sides[-1]
    rows = [
        ("rank", "r " + page.arrow(_rank(a), _rank(b))),
        ("alpha", page.arrow(or_dash(a.alpha), or_dash(b.alpha))),
        ("scaling", page.arrow(_scaling(a), _scaling(b))),
        ("targets", _long_arrow(page, _targets(a), _targets(b))),
    ]
    rows += [
        (title, _long_arrow(page, one, other))
        for (title, one), (_, other) in zip(_details(a), _details(b), strict=True)
        if one != other
    ]
    room = max(len(title) for title, _ in rows)
    return [f"  {title.ljust(room)}  {text}" for title, text in rows] + _modules(page, pair)


def _long_arrow(page: Page, a: str, b: str) -> str:
    room = (page.width - 20) // (1 if a == b else 2)
    return page.arrow(page.cut(a, room), page.cut(b, room)) if a != b else page.cut(a, room)


def _modules(page: Page, pair: AdapterDiff) -> list[str]:
    there = pair.a.modules if pair.a is not None else {}
    here = pair.b.modules if pair.b is not None else {}
    rows = [
        (name, (_parts(there.get(name, {})), _parts(here.get(name, {}))))
        for name in sorted(there.keys() | here.keys())
    ]
    both = pair.a is not None and pair.b is not None
    differ = [row for row in rows if not both or row[1][0] != row[1][1]]
    lines = [_module_line(page, names, a, b, both) for names, (a, b) in grouped(differ)]
    same = [row for row in rows if both and row[1][0] == row[1][1]]
    folded_same = grouped(same)
    if lines or len(folded_same) > 3:
        if same:
            text = f"  {counted(len(same), 'module')} of the same shapes"
            lines.append(page.style(text, QUIET))
    else:
        lines = [_module_line(page, names, a, b, both) for names, (a, b) in folded_same]
    return [part for line in page.few(lines, "kinds of modules") for part in line.split("\n")]


def _module_line(
    page: Page,
    names: list[str],
    a: tuple[tuple[str, str], ...],
    b: tuple[tuple[str, str], ...],
    both: bool,
) -> str:
    before, after = dict(a), dict(b)
    shapes = []
    for part in sorted(before.keys() | after.keys()):
        one, other = before.get(part, "–"), after.get(part, "–")
        if not before or not after:
            one = other = after.get(part) or before[part]
        shapes.append((f"{part} {page.arrow(one, other)}", f"{part} {one} → {other}"))
    mark = "  "
    if both and not (before and after):
        mark = page.style("+ ", NEW) if after else page.style("- ", OLD)
    start = f"{counted(len(names), 'module')}  "
    # Colours take no columns, so the room is counted without them.
    taken = len(start) + sum(len(plain) + 3 for _, plain in shapes) + 4
    name = escaped(folded_lines(names))
    # A name that does not fit has a line of its own.
    gap = "  " if taken + len(name) <= page.width else "\n      "
    name = page.cut(name, page.width - 8)
    return f"{mark}{start}{'   '.join(shown for shown, _ in shapes)}{gap}({name})"


def _parts(parts: Mapping[str, tuple[int, ...]]) -> tuple[tuple[str, str], ...]:
    return tuple((part, shape_text(shape)) for part, shape in sorted(parts.items()))


def _rank(side: AdapterSide) -> str:
    rank = "–" if side.rank is None else str(side.rank)
    if side.ranks and side.ranks != (side.rank,):
        rank += f" (in shapes {', '.join(map(str, side.ranks))})"
    return rank


def _details(side: AdapterSide) -> list[tuple[str, str]]:
    """Format the fields that are shown only where they differ."""
    return [
        ("kind", escaped(side.kind or "–")),
        ("rsLoRA", _yes(side.use_rslora)),
        ("DoRA", _yes(side.use_dora)),
        ("rank pattern", value_line(dict(side.rank_pattern))),
        ("alpha pattern", value_line(dict(side.alpha_pattern))),
        ("parameters", list_text(side.target_parameters)),
        ("saved whole", list_text(side.modules_to_save)),
    ]


def _scaling(side: AdapterSide) -> str:
    scaling = or_dash(side.scaling)
    if side.scalings and side.scalings != (side.scaling,):
        scaling += f" (of modules {', '.join(map(number, side.scalings))})"
    return scaling


def _targets(side: AdapterSide) -> str:
    if isinstance(side.targets, str):
        return f"/{escaped(side.targets)}/" if side.targets != "all-linear" else side.targets
    groups = grouped([(target, None) for target in side.targets or ()])
    return list_text(
        [
            names[0] if len(names) == 1 else f"{len(names)} × {folded_lines(names)}"
            for names, _ in groups
        ]
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
