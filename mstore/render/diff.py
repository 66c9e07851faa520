"""A diff as lines of text for people: LoRA first, then all else, empty sections left out.

Hides folding: names that differ only in their numbers become one line with `*`
where nothing else distinguishes them. Prints nothing; every name is escaped.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from mstore.compare.diff import MISSING
from mstore.compare.tensors import TensorPlace
from mstore.text import escaped, jsonable, number, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mstore.compare.diff import AdapterDiff, AdapterSide, DiffResult, FileChange
    from mstore.compare.lora_delta import ModuleDelta
    from mstore.compare.stats import TensorStat
    from mstore.compare.tensors import TensorPair

    Style = Callable[[str, str], str]

# What the colours of the terminal stand for here.
_HEADING: Final = "cyan"
_OLD: Final = "red"
_NEW: Final = "green"
_CHANGED: Final = "yellow"
_QUIET: Final = "bright_black"
_MOST_LINES: Final = 20
_LEAST_WIDTH: Final = 40
_NUMBER: Final = re.compile(r"\d+")


def _plain(text: str, colour: str) -> str:
    return text


def diff_lines(
    result: DiffResult, *, width: int, style: Callable[[str, str], str] | None = None
) -> Iterator[str]:
    """The lines of a diff, without line ends.

    Args:
        result: the diff; its warnings are not among the lines.
        width: columns; long names and values are cut to fit.
        style: given a text and the name of one of a terminal's colours ('bright_black'),
            gives the text as it is to be shown; default: as it is.
    """
    page = _Page(max(width, _LEAST_WIDTH), style or _plain)
    if not result:
        yield "no differences"
        return
    sections = [
        *page.adapters(result),
        ("Configuration", page.values(result.config)),
        ("Metadata", page.values(result.metadata)),
        ("Metrics", page.metrics(result.metrics)),
        ("What the adapters do, ΔW = s·B·A", page.effects(result)),
        (_tensor_heading(result), page.tensors(result)),
        ("Files", page.files(result)),
    ]
    first = True
    for heading, lines in sections:
        if not lines:
            continue
        if not first:
            yield ""
        first = False
        yield page.style(heading, _HEADING)
        yield from lines


# -- words


def _shape(shape: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _parts(parts: Mapping[str, tuple[int, ...]]) -> tuple[tuple[str, str], ...]:
    return tuple((part, _shape(shape)) for part, shape in sorted(parts.items()))


def _value(value: Any) -> str:
    """A value of JSON as text: strings bare where nothing else could be meant."""
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


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def folded_lines(names: Sequence[str]) -> str:
    """Names that differ only in numbers, as one: `*` where the numbers differ."""
    columns = [set(column) for column in zip(*map(_NUMBER.findall, names), strict=True)]
    found = iter(columns)
    return _NUMBER.sub(lambda match: match[0] if len(next(found)) == 1 else "*", names[0])


def _naturally(name: str) -> list[tuple[str, int]]:
    """A key that puts layer 2 before layer 10."""
    texts, numbers = _NUMBER.split(name), [int(n[:18]) for n in _NUMBER.findall(name)]
    return list(zip(texts, [*numbers, -1], strict=True))


def _groups(rows: Sequence[tuple[str, Any]]) -> list[tuple[list[str], Any]]:
    """Rows whose names differ only in numbers and whose second parts are equal, in order."""
    grouped: dict[Any, list[str]] = defaultdict(list)
    for name, what in rows:
        grouped[_NUMBER.sub("*", name), what].append(name)
    return [(names, what) for (_, what), names in grouped.items()]


def _tensor_heading(result: DiffResult) -> str:
    counts = [f"{count} {kind}" for kind, count in result.tensors.counts() if count]
    return "Tensors  " + ", ".join([*counts, f"{result.tensors.same} same"])


# -- sections


class _Page:
    """The width and colours of one diff, and its sections as lists of lines."""

    def __init__(self, width: int, style: Style) -> None:
        self.width = width
        self.style = style

    def _cut(self, text: str, room: int) -> str:
        """Text of at most `room` columns; of a long one the beginning and the end."""
        if len(text) <= max(room, 12):
            return text
        room = max(room, 12) - 1
        tail = room // 2
        return f"{text[: room - tail]}…{text[-tail:]}"

    def _telling(self, names: list[str], room: int) -> list[str]:
        """Names cut to fit, by parts that they all begin with as far as these go."""
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
        return [self._cut(name, room) for name in names]

    def _few(self, lines: list[str], noun: str) -> list[str]:
        """The first lines of a long list; `noun` is in the plural, as two are left at least."""
        if len(lines) <= _MOST_LINES + 1:
            return lines
        rest = f"  … and {len(lines) - _MOST_LINES} more {noun}"
        return [*lines[:_MOST_LINES], self.style(rest, _QUIET)]

    def _arrow(self, a: str, b: str) -> str:
        """`a → b`, or the one text where both are equal."""
        return a if a == b else f"{self.style(a, _OLD)} → {self.style(b, _NEW)}"

    # LoRA

    def adapters(self, result: DiffResult) -> list[tuple[str, list[str]]]:
        """One section for each adapter, that of `lora` first."""
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
                    title += f"  only in {self._cut(escaped(label), self.width // 2)}"
            if not pair:
                title += "  same"
            sections.append((title, self._adapter(pair)))
        return sections

    def _adapter(self, pair: AdapterDiff) -> list[str]:
        sides = [s for s in (pair.a, pair.b) if s is not None]
        a, b = sides[0], sides[-1]
        rows = [
            ("rank", "r " + self._arrow(_rank(a), _rank(b))),
            ("alpha", self._arrow(_or_dash(a.alpha), _or_dash(b.alpha))),
            ("scaling", self._arrow(_scaling(a), _scaling(b))),
            ("targets", self._long_arrow(_targets(a), _targets(b))),
        ]
        rows += [
            (title, self._long_arrow(one, other))
            for (title, one), (_, other) in zip(_details(a), _details(b), strict=True)
            if one != other
        ]
        room = max(len(title) for title, _ in rows)
        return [f"  {title.ljust(room)}  {text}" for title, text in rows] + self._modules(pair)

    def _long_arrow(self, a: str, b: str) -> str:
        room = (self.width - 20) // (1 if a == b else 2)
        return self._arrow(self._cut(a, room), self._cut(b, room)) if a != b else self._cut(a, room)

    def _modules(self, pair: AdapterDiff) -> list[str]:
        there = pair.a.modules if pair.a is not None else {}
        here = pair.b.modules if pair.b is not None else {}
        rows = [
            (name, (_parts(there.get(name, {})), _parts(here.get(name, {}))))
            for name in sorted(there.keys() | here.keys())
        ]
        both = pair.a is not None and pair.b is not None
        differ = [row for row in rows if not both or row[1][0] != row[1][1]]
        lines = [self._module_line(names, a, b, both) for names, (a, b) in _groups(differ)]
        same = [row for row in rows if both and row[1][0] == row[1][1]]
        folded_same = _groups(same)
        if lines or len(folded_same) > 3:
            if same:
                text = f"  {_count(len(same), 'module')} of the same shapes"
                lines.append(self.style(text, _QUIET))
        else:
            lines = [self._module_line(names, a, b, both) for names, (a, b) in folded_same]
        return [part for line in self._few(lines, "kinds of modules") for part in line.split("\n")]

    def _module_line(
        self,
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
            shapes.append((f"{part} {self._arrow(one, other)}", f"{part} {one} → {other}"))
        mark = "  "
        if both and not (before and after):
            mark = self.style("+ ", _NEW) if after else self.style("- ", _OLD)
        start = f"{_count(len(names), 'module')}  "
        # Colours take no columns, so the room is counted without them.
        taken = len(start) + sum(len(plain) + 3 for _, plain in shapes) + 4
        name = escaped(folded_lines(names))
        # A name that does not fit stands on a line of its own.
        gap = "  " if taken + len(name) <= self.width else "\n      "
        name = self._cut(name, self.width - 8)
        return f"{mark}{start}{'   '.join(shown for shown, _ in shapes)}{gap}({name})"

    # values

    def values(self, values: Mapping[str, tuple[Any, Any]]) -> list[str]:
        """One line a key."""
        names = {key: self._cut(escaped(key), self.width // 2) for key in values}
        room = min(max(map(len, names.values()), default=0), self.width // 2)
        left = self.width - room - 6
        lines = []
        for key, (a, b) in values.items():
            name = names[key].ljust(room)
            if a is MISSING:
                lines.append(f"{self.style('+', _NEW)} {name}  {self._cut(_value(b), left)}")
            elif b is MISSING:
                lines.append(f"{self.style('-', _OLD)} {name}  {self._cut(_value(a), left)}")
            else:
                one, other = (self._cut(_value(v), left // 2 - 2) for v in (a, b))
                if one == other:  # they differ in what was cut, or in how numbers are spelled
                    other += " (differs further on)"
                lines.append(f"  {name}  {self.style(one, _OLD)} → {self.style(other, _NEW)}")
        return self._few(lines, "keys")

    def metrics(self, metrics: Mapping[str, tuple[float | None, float | None]]) -> list[str]:
        """One line a metric, with the signed change."""
        names = {key: self._cut(escaped(key), self.width // 2) for key in metrics}
        room = max(map(len, names.values()), default=0)
        lines = []
        for key, (a, b) in metrics.items():
            name = names[key].ljust(room)
            if a is None:
                lines.append(f"{self.style('+', _NEW)} {name}  {number(b)}")
            elif b is None:
                lines.append(f"{self.style('-', _OLD)} {name}  {number(a)}")
            else:
                one, other = number(a), number(b)
                if one == other:
                    one, other = repr(a), repr(b)
                change = self.style(f"  ({b - a:+.3g})", _QUIET) if math.isfinite(b - a) else ""
                lines.append(f"  {name}  {self.style(one, _OLD)} → {self.style(other, _NEW)}{change}")
        return self._few(lines, "metrics")

    # tensors

    def tensors(self, result: DiffResult) -> list[str]:
        """Kind by kind, folded; with figures each changed tensor by itself."""
        found = result.tensors
        if not found:
            return []
        lines = []
        for kind in ("reshaped", "moved", "added", "removed"):
            lines += self._folded_tensors(kind, getattr(found, kind))
        for kind in ("recast", "changed"):
            pairs = getattr(found, kind)
            if found.total is None:
                lines += self._folded_tensors(kind, pairs)
            else:
                lines += self._measured(kind, pairs)
        if found.total is not None and found.changed + found.recast:
            unmeasured = ""
            if found.unmeasured:
                unmeasured = f" · {_count(found.unmeasured, 'tensor')} without figures"
            lines.append(f"  in all    {_figures(found.total)}{unmeasured}")
        return lines

    def _folded_tensors(self, kind: str, tensors: Sequence[TensorPair | TensorPlace]) -> list[str]:
        rows = [(str(t), _what(t, kind)) for t in tensors]
        colour = {"added": _NEW, "removed": _OLD}.get(kind, _CHANGED)
        groups = [
            (f"{len(names)} × " if len(names) > 1 else "", escaped(folded_lines(names)), what)
            for names, what in _groups(rows)
        ]
        room = min((self.width - 14 - len(start) - len(what) for start, _, what in groups), default=0)
        names = self._telling([name for _, name, _ in groups], room)
        mark = self.style(kind.ljust(8), colour)
        lines = [
            f"  {mark}  {start}{name}  {what}"
            for name, (start, _, what) in zip(names, groups, strict=True)
        ]
        return self._few(lines, f"kinds of {kind} tensors")

    def effects(self, result: DiffResult) -> list[str]:
        """A line a module, those that differ most in direction first; and what is meant."""

        def unlike(effect: ModuleDelta) -> tuple[float, list[tuple[str, int]]]:
            return (2.0 if effect.cosine is None else effect.cosine, _naturally(effect.module))

        shown = sorted(result.effects, key=unlike)[:_MOST_LINES]
        names = [escaped(e.module.removeprefix("base_model.model.")) for e in shown]
        room = max(map(len, names), default=0)
        lines = []
        for name, e in zip(names, shown, strict=True):
            cosine = "–" if e.cosine is None else f"{e.cosine:.4f}"
            shared = "–" if e.shared is None else f"{e.shared:.1%}"
            rank = f"{e.effective_a:.1f} of {e.rank_a} → {e.effective_b:.1f} of {e.rank_b}"
            magnitude = f"  magnitudes {e.magnitude:.3g}" if e.magnitude is not None else ""
            norms = f"norm {e.norm_a:.3g} → {e.norm_b:.3g}  change {e.norm_change:.3g}"
            lines.append(
                f"  {name.ljust(room)}  {norms}"
                f"  cosine {cosine}  effective rank {rank}  shared {shared}{magnitude}"
            )
        if len(shown) < len(result.effects):
            rest = _count(len(result.effects) - len(shown), "module")
            lines.append(self.style(f"  … and {rest} more alike", _QUIET))
        return lines

    def _measured(self, kind: str, pairs: Sequence[TensorPair]) -> list[str]:
        """With figures: in order of name if they are few, else those that changed most."""
        shown = list(pairs)
        if len(shown) > _MOST_LINES:

            def by_change(pair: TensorPair) -> float:
                relative = pair.stat.relative if pair.stat is not None else 0.0
                return -relative if not math.isnan(relative) else -math.inf

            shown = sorted(shown, key=by_change)[:_MOST_LINES]
        else:
            shown.sort(key=lambda pair: _naturally(str(pair.b)))
        texts = [
            (_figures(p.stat) if p.stat is not None else "no figures for this dtype")
            + (f"  {_what(p, kind)}" if kind == "recast" else "")
            for p in shown
        ]
        used = max(map(len, texts), default=0)
        names = self._telling([escaped(str(pair.b)) for pair in shown], self.width - used - 14)
        room = max(map(len, names), default=0)
        lines = [
            f"  {self.style(kind.ljust(8), _CHANGED)}  {name.ljust(room)}  {text}"
            for name, text in zip(names, texts, strict=True)
        ]
        if len(shown) < len(pairs):
            rest = _count(len(pairs) - len(shown), f"{kind} tensor")
            lines.append(self.style(f"  … and {rest} that changed less", _QUIET))
        return lines

    # files

    def files(self, result: DiffResult) -> list[str]:
        """One line a file."""
        found = result.files
        rows: list[tuple[FileChange, tuple[str, str]]] = [
            *((c, ("M", _CHANGED)) for c in found.changed),
            *((c, ("+", _NEW)) for c in found.added),
            *((c, ("-", _OLD)) for c in found.removed),
        ]
        if len(rows) <= _MOST_LINES:
            lines = [(*mark, escaped(c.path), _sizes(c)) for c, mark in rows]
        else:
            lines = [
                (
                    *mark,
                    escaped(folded_lines(names)),
                    _count(len(names), "file") if len(names) > 1 else "",
                )
                for names, mark in _groups([(c.path, mark) for c, mark in rows])
            ]
        room = min(max((len(name) for _, _, name, _ in lines), default=0), max(12, self.width - 24))
        return self._few(
            [
                f"{self.style(mark, colour)} {self._cut(name, room).ljust(room)}  {text}".rstrip()
                for mark, colour, name, text in lines
            ],
            "files",
        )


def _rank(side: AdapterSide) -> str:
    rank = "–" if side.rank is None else str(side.rank)
    if side.ranks and side.ranks != (side.rank,):
        rank += f" (in shapes {', '.join(map(str, side.ranks))})"
    return rank


def _details(side: AdapterSide) -> list[tuple[str, str]]:
    """What is shown only where it differs."""
    return [
        ("kind", escaped(side.kind or "–")),
        ("rsLoRA", _yes(side.use_rslora)),
        ("DoRA", _yes(side.use_dora)),
        ("rank pattern", _value(dict(side.rank_pattern))),
        ("alpha pattern", _value(dict(side.alpha_pattern))),
        ("parameters", _list(side.target_parameters)),
        ("saved whole", _list(side.modules_to_save)),
    ]


def _scaling(side: AdapterSide) -> str:
    scaling = _or_dash(side.scaling)
    if side.scalings and side.scalings != (side.scaling,):
        scaling += f" (of modules {', '.join(map(number, side.scalings))})"
    return scaling


def _targets(side: AdapterSide) -> str:
    if isinstance(side.targets, str):
        return f"/{escaped(side.targets)}/" if side.targets != "all-linear" else side.targets
    groups = _groups([(target, None) for target in side.targets or ()])
    return _list(
        [
            names[0] if len(names) == 1 else f"{len(names)} × {folded_lines(names)}"
            for names, _ in groups
        ]
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(escaped, names)) or "–"


def _or_dash(value: float | None) -> str:
    return "–" if value is None else number(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _what(tensor: TensorPair | TensorPlace, kind: str) -> str:
    """Dtype, shape and size, with an arrow where they differ."""
    a, b = (tensor, tensor) if isinstance(tensor, TensorPlace) else (tensor.a, tensor.b)
    dtype = escaped(a.dtype if a.dtype == b.dtype else f"{a.dtype} → {b.dtype}")
    shape = _shape(a.shape) if a.shape == b.shape else f"{_shape(a.shape)} → {_shape(b.shape)}"
    text = f"{dtype} {shape}"
    return text if kind in ("reshaped", "recast") else f"{text} {size(b.size_bytes)}"


def _figures(stat: TensorStat) -> str:
    cosine = "–" if stat.cosine is None else f"{stat.cosine:.6f}"
    text = f"{stat.share:>6.1%} differ  change {stat.relative:.3g} of norm  cosine {cosine}"
    return f"{text}  {stat.not_finite} not finite" if stat.not_finite else text


def _sizes(change: FileChange) -> str:
    counts = [s for s in (change.a_bytes, change.b_bytes) if s is not None]
    sizes = [size(s) for s in counts]
    if len(sizes) == 1 or counts[0] == counts[1]:
        return sizes[0]
    return " → ".join(sizes if sizes[0] != sizes[1] else [f"{c} B" for c in counts])


__all__ = ["diff_lines", "folded_lines"]
