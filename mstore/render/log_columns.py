"""The cells of a listing of versions, for a terminal and a notebook alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.text import age, escaped, number, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.history.entry import LogEntry

DEFAULT_COLUMNS: Final = (
    "id",
    "refs",
    "age",
    "message",
    "r/alpha",
    "epoch",
    "loss",
    "eval_loss",
    "added",
)


def cell(entry: LogEntry, column: str) -> str:
    """Format one cell of a listing, escaped."""
    if column == "refs":
        return names_text(entry)
    if column == "age":
        return age(entry.commit.time.ns)
    if column == "message":
        return health_mark(entry) + escaped(entry.subject)
    if column == "r/alpha":
        return rank_text(entry)
    if column == "epoch":
        if entry.epoch is not None:
            return f"e {entry.epoch:g}" if entry.step is None else f"e {entry.epoch:.3g}·{entry.step}"
        return f"step {entry.step}" if entry.step is not None else ""
    value = entry.column(column)
    if value is None:
        return ""
    if column in ("added", "size"):
        return size(value)
    return number(value)


def names_text(entry: LogEntry) -> str:
    """Format the names that point to a version: `HEAD → main, best, tag: v1`."""
    refs = list(entry.refs)
    if entry.current is not None and refs[1:2] == [entry.current]:
        refs[:2] = [f"HEAD → {entry.current}"]
    return ", ".join(escaped(r) for r in refs)


def health_mark(entry: LogEntry) -> str:
    """Format the health problems that a version's notes name: `!` and why; empty without any."""
    health = entry.metadata.get("health")
    if not isinstance(health, dict) or not health:
        return ""
    words = {"not_finite": "NaN", "untrained": "untrained", "frozen_changed": "frozen moved"}
    return "! " + ", ".join(words.get(key, escaped(key)) for key in health) + " · "


def rank_text(entry: LogEntry) -> str:
    """Format rank and alpha of its adapter: `8/16`; empty where it has none."""
    adapter = entry.adapter
    if adapter is None:
        return ""
    rank, alpha = adapter.get("rank"), adapter.get("alpha")
    if rank is None and alpha is None:
        return ""
    shown = number(rank) if rank is not None else "?"
    return shown + (f"/{number(alpha)}" if alpha is not None else "")


def used(entries: Sequence[LogEntry], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Select the columns with something in them."""
    always = ("id", "age", "time", "message")
    return tuple(c for c in columns if c in always or any(cell(e, c) for e in entries))
