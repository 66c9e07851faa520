"""Removing packs while other commands run, without removing anything that they use.

A writer registers temporary roots, and then checks that the objects exist; a remover
moves packs to the trash, and then reads the temporary roots. In any order of these four
steps, one of the two sees the other: the pack is undeleted, or the writer stores the
object once more. (Dekker's exclusion; no process waits for a lock.)
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.errors import Conflict, StorageFailed
from mstore.store import temporary_roots_of
from mstore.store.frame import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mstore.objects import ObjectId
    from mstore.store import Store
    from mstore.store.frame import Frame

Frames = dict[bytes, tuple["Frame", ...]]


@dataclass(frozen=True, slots=True)
class Removed:
    """Packs that are in the trash now, and those undeleted because something needs them."""

    trashed: frozenset[bytes]
    restored: frozenset[bytes]


@contextlib.contextmanager
def gc_lock(store: Store) -> Iterator[None]:
    """Hold the lock for removing packs of a store.

    Raises:
        Conflict: another gc or repack is running.
        StorageFailed: the store is read-only.
    """
    if store.read_only:
        raise StorageFailed(f"{store.location} is read-only: nothing can be removed")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(store.backend.lock("gc", wait=False))
        except Conflict as error:
            what = "another gc or repack is running in this store"
            raise Conflict(what, hint="wait until it ends, then run the command again") from error
        store.require("leans-1")
        yield


def footers(store: Store) -> Frames:
    """Read the frames of all packs that are not in the trash.

    Raises:
        Corrupt, Unsupported: one cannot be read; what it needs is unknown.
    """
    found: Frames = {}
    for name in store.pack_names():
        with contextlib.suppress(KeyError):
            found[name] = store.footer(name)
    return found


def check_pack(store: Store, name: bytes) -> None:
    """Read a pack that was just written back: every object must hash to its id. Raises Corrupt."""
    for frame in store.footer(name):
        store.reader_of(name, frame).check_id()


def soft_delete(
    store: Store,
    candidates: Frames,
    needed: Callable[[], Callable[[ObjectId], bool]],
) -> Removed:
    """Move packs to the trash, and undelete those that something needs after all.

    Args:
        store: where.
        candidates: the packs, and their objects; some may be in the trash already.
        needed: is called once they are in the trash; returns a function that says whether
            an object must stay.

    Returns:
        The packs in the trash now.
    """
    store.soft_delete([name for name in candidates if name not in store.trash()])
    must_stay = needed()
    temporary_roots = list(temporary_roots_of(store.backend))
    remaining = footers(store)
    restored: set[bytes] = set()
    trashed = {name: frames for name, frames in candidates.items() if name not in remaining}
    while trashed:
        returning = _wanted(trashed, remaining, must_stay, temporary_roots)
        if not returning:
            break
        restored |= returning
        for name in returning:
            remaining[name] = trashed.pop(name)
    if restored:
        store.undelete_packs(restored)
    return Removed(frozenset(trashed), frozenset(restored | (candidates.keys() & remaining.keys())))


def purge(store: Store, names: Iterable[bytes]) -> None:
    """Delete packs from the trash for good, if they are there."""
    trash = store.trash()
    store.backend.delete(*(trash[name].key for name in names if name in trash))


def _wanted(
    trashed: Frames,
    remaining: Frames,
    must_stay: Callable[[ObjectId], bool],
    temporary_roots: list[tuple[ObjectId, int]],
) -> set[bytes]:
    """Choose the trashed packs that hold needed objects which the remaining packs lack."""
    depths: dict[ObjectId, int] = {}
    most: dict[ObjectId, int] = {}
    for id, most_depth in temporary_roots:
        most[id] = min(most.get(id, most_depth), most_depth)
    for frames in remaining.values():
        for frame in frames:
            head = frame.head
            depths[head.id] = min(depths.get(head.id, head.depth), head.depth)
            if head.base is not None:
                most[head.base] = min(most.get(head.base, MAX_DEPTH), head.depth - 1)
    best: dict[ObjectId, tuple[int, bytes]] = {}
    for name, frames in trashed.items():
        for frame in frames:
            id, depth = frame.head.id, frame.head.depth
            allowed = most.get(id, MAX_DEPTH if must_stay(id) else None)
            if allowed is None or depths.get(id, MAX_DEPTH + 1) <= allowed:
                continue
            if depth <= allowed:
                best[id] = min(best.get(id, (depth, name)), (depth, name))
    return {name for _, name in best.values()}
