"""log: versions, the latest first, with their names and notes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mstore.errors import UsageError
from mstore.frozen import frozen
from mstore.history.entry import BUILT_IN, LogEntry, decorations, entry_of
from mstore.history.walk import all_tips, walk
from mstore.text import near_hint, near_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mstore.context import Context
    from mstore.objects import CommitId


@frozen
class Log:
    """Versions, and where the walk over them began.

    Args:
        entries: the latest first; taken one at a time.
        tips: where the walk began.
        unborn: the branch of HEAD that has no commit, or None.
    """

    entries: Iterator[LogEntry]
    tips: tuple[CommitId, ...]
    unborn: str | None = None


def log(context: Context, tip: CommitId | None = None, *, everything: bool = False) -> Log:
    """Yield the versions reachable from one.

    Args:
        context: the store, and the workspace if there is one.
        tip: None: HEAD; all branches where HEAD is unborn or there is no workspace.
        everything: all branches and tags.

    Raises:
        NotFound, Corrupt.
    """
    store = context.store
    unborn: str | None = None
    tips: list[CommitId] = []
    if tip is not None and not everything:
        tips = [tip]
    elif not everything:
        at = context.head_commit()
        if at is not None:
            tips = [at]
        elif context.head is not None:
            unborn = context.head.branch
    if not tips:
        tips = all_tips(context)
        if tip is not None:
            tips.append(tip)
    marks = decorations(context)

    def entries() -> Iterator[LogEntry]:
        for id, commit in walk(store, tips):
            yield entry_of(context, id, commit, marks.get(id, ()))

    return Log(entries(), tuple(tips), unborn)


def filter_and_sort(
    entries: Iterable[LogEntry], where: str | None = None, sort: str | None = None
) -> Iterator[LogEntry]:
    """Select versions for which a condition holds, in an order.

    Args:
        entries: versions.
        where: a condition in the language of `mstore.history.query.where`, over the names of
            `LogEntry.column`; None: all.
        sort: such a name, with `-` before it for the largest first; versions that have no
            value for it come last, after those with NaN. None: as they come.

    Raises:
        UsageError: the condition cannot be read, or asks for a name that no version has.
    """
    if where is not None:
        from mstore.history.query.where import parse

        condition = parse(where)
        entries = list(entries)
        _check_names(condition.names(), entries)
        entries = [entry for entry in entries if condition.holds(entry.column)]
    if sort is None:
        yield from entries
        return
    name, down = sort.removeprefix("-"), sort.startswith("-")
    held = [(entry, entry.column(name)) for entry in entries]
    _check_names([name], [entry for entry, _ in held])
    numbers = [(e, v) for e, v in held if isinstance(v, (int, float)) and not math.isnan(v)]
    texts = [(e, v) for e, v in held if isinstance(v, str)]
    yield from (e for e, _ in sorted(numbers, key=lambda item: item[1], reverse=down))
    yield from (e for e, _ in sorted(texts, key=lambda item: item[1], reverse=down))
    yield from (e for e, v in held if isinstance(v, float) and math.isnan(v))
    yield from (e for e, v in held if v is None or not isinstance(v, (int, float, str)))


def _check_names(names: Iterable[str], entries: Sequence[LogEntry]) -> None:
    """Refuse a name that no version has a value for: it is a slip more often than not."""
    for name in names:
        # A built-in column is no slip where these versions have no value in it.
        if not entries or name in BUILT_IN or any(e.column(name) is not None for e in entries):
            continue
        known = sorted({k for e in entries for k in (*e.metrics, *e.metadata)} | set(BUILT_IN))
        hint = near_hint(near_names(name, known))
        hint = hint or "metrics, metadata keys, or: " + ", ".join(BUILT_IN)
        raise UsageError(f"no version here has {name!r}", hint=hint)


def elsewhere(context: Context, tips: tuple[CommitId, ...]) -> int:
    """Count the commits that branches and tags reach and these tips do not."""
    everything = all_tips(context)
    if set(everything) <= set(tips):
        return 0
    catalog = context.store.catalog
    return catalog.reachable([*everything, *tips]) - catalog.reachable(tips)
