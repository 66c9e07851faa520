"""The part of a diff that shows tensors: those added, changed, moved, and by how much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mstore.compare.tensors import TensorPlace
from mstore.render.page import (
    CHANGED,
    MOST_LINES,
    NEW,
    OLD,
    QUIET,
    Page,
    folded_lines,
    grouped,
    natural_key,
    shape_text,
)
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.compare.diff import DiffResult
    from mstore.compare.lora_delta import ModuleDelta
    from mstore.compare.stats import TensorStat
    from mstore.compare.tensors import TensorPair


def tensor_lines(page: Page, result: DiffResult) -> list[str]:
    """Format tensors kind by kind, folded; with figures each changed tensor by itself."""
    found = result.tensors
    if not found:
        return []
    lines = []
    for kind in ("reshaped", "moved", "added", "removed"):
        lines += _folded_tensors(page, kind, getattr(found, kind))
    for kind in ("recast", "changed"):
        pairs = getattr(found, kind)
        if found.total is None:
            lines += _folded_tensors(page, kind, pairs)
        else:
            lines += _measured(page, kind, pairs)
    if found.total is not None and found.changed + found.recast:
        unmeasured = ""
        if found.unmeasured:
            unmeasured = f" · {counted(found.unmeasured, 'tensor')} without figures"
        lines.append(f"  in all    {_figures(found.total)}{unmeasured}")
    return lines


def _folded_tensors(page: Page, kind: str, tensors: Sequence[TensorPair | TensorPlace]) -> list[str]:
    rows = [(str(t), _what(t, kind)) for t in tensors]
    colour = {"added": NEW, "removed": OLD}.get(kind, CHANGED)
    groups = [
        (f"{len(names)} × " if len(names) > 1 else "", escaped(folded_lines(names)), what)
        for names, what in grouped(rows)
    ]
    room = min((page.width - 14 - len(start) - len(what) for start, _, what in groups), default=0)
    names = page.telling([name for _, name, _ in groups], room)
    mark = page.style(kind.ljust(8), colour)
    lines = [
        f"  {mark}  {start}{name}  {what}" for name, (start, _, what) in zip(names, groups, strict=True)
    ]
    return page.few(lines, f"kinds of {kind} tensors")


def effect_lines(page: Page, result: DiffResult) -> list[str]:
    """Format a line a module, those that differ most in direction first; and what is meant."""

    def unlike(effect: ModuleDelta) -> tuple[float, list[tuple[str, int]]]:
        return (2.0 if effect.cosine is None else effect.cosine, natural_key(effect.module))

    shown = sorted(result.effects, key=unlike)[:MOST_LINES]
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
        rest = counted(len(result.effects) - len(shown), "module")
        lines.append(page.style(f"  … and {rest} more alike", QUIET))
    return lines


def _measured(page: Page, kind: str, pairs: Sequence[TensorPair]) -> list[str]:
    """Format tensors with figures: in order of name if they are few, else those that changed most."""
    shown = list(pairs)
    if len(shown) > MOST_LINES:

        def by_change(pair: TensorPair) -> float:
            relative = pair.stat.relative if pair.stat is not None else 0.0
            return -relative if not math.isnan(relative) else -math.inf

        shown = sorted(shown, key=by_change)[:MOST_LINES]
    else:
        shown.sort(key=lambda pair: natural_key(str(pair.b)))
    texts = [
        (_figures(p.stat) if p.stat is not None else "no figures for this dtype")
        + (f"  {_what(p, kind)}" if kind == "recast" else "")
        for p in shown
    ]
    used = max(map(len, texts), default=0)
    names = page.telling([escaped(str(pair.b)) for pair in shown], page.width - used - 14)
    room = max(map(len, names), default=0)
    lines = [
        f"  {page.style(kind.ljust(8), CHANGED)}  {name.ljust(room)}  {text}"
        for name, text in zip(names, texts, strict=True)
    ]
    if len(shown) < len(pairs):
        rest = counted(len(pairs) - len(shown), f"{kind} tensor")
        lines.append(page.style(f"  … and {rest} that changed less", QUIET))
    return lines


def tensor_heading(result: DiffResult) -> str:
    """Give the heading of the tensors: how many of each kind."""
    counts = [f"{count} {kind}" for kind, count in result.tensors.counts() if count]
    return "Tensors  " + ", ".join([*counts, f"{result.tensors.same} same"])


def _what(tensor: TensorPair | TensorPlace, kind: str) -> str:
    """Format dtype, shape and size, with an arrow where they differ."""
    a, b = (tensor, tensor) if isinstance(tensor, TensorPlace) else (tensor.a, tensor.b)
    dtype = escaped(a.dtype if a.dtype == b.dtype else f"{a.dtype} → {b.dtype}")
    shape = (
        shape_text(a.shape) if a.shape == b.shape else f"{shape_text(a.shape)} → {shape_text(b.shape)}"
    )
    text = f"{dtype} {shape}"
    return text if kind in ("reshaped", "recast") else f"{text} {size(b.size_bytes)}"


def _figures(stat: TensorStat) -> str:
    cosine = "–" if stat.cosine is None else f"{stat.cosine:.6f}"
    text = f"{stat.share:>6.1%} differ  change {stat.relative:.3g} of norm  cosine {cosine}"
    return f"{text}  {stat.not_finite} not finite" if stat.not_finite else text
