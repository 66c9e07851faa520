"""gc: give back the bytes that no name needs any more.

A plan first (what goes, whose it was, how much that frees), then its execution.
Packs of which nothing is needed go first, so that it works on a full disk;
then those mostly dead are written anew, and small ones merged, each new pack
read back before an old one goes. What goes lies in the trash for a day, unless
it is all stored elsewhere. Killed at any point, it leaves a store that is whole.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mstore.backend import LocalBackend
from mstore.errors import Corrupt, MStoreError, NotFound
from mstore.objects import BlobId, CommitId, ObjectId
from mstore.ops.reach import Reach, Root, reach_of, roots
from mstore.ops.removal import Frames, check_pack, footers, put_away, removing
from mstore.store.transaction import Transaction, again

if TYPE_CHECKING:
    from mstore.ops.place import Place
    from mstore.store import Store
    from mstore.store.pack import Frame

Progress = Callable[[str, int, int], None]
REFLOG_DAYS: Final = 30
TRASH_DAYS: Final = 1
_DAY_S: Final = 86_400
_SMALL_BYTES: Final = 64 << 20
_MERGED_AT_LEAST: Final = 8
_UNFINISHED: Final = "(of no commit)"


@dataclass(frozen=True, kw_only=True)
class DeadCommit:
    """A version that no name reaches.

    Args:
        id: the commit.
        message: its first line.
        time_ns: when it was made.
        branch: the branch that once had it, as its reflog says, or None.
        freed_bytes: stored bytes that only it and later dead ones need.
    """

    id: CommitId
    message: str
    time_ns: int
    branch: str | None
    freed_bytes: int


@dataclass(frozen=True, kw_only=True)
class GcPlan:
    """What gc would do.

    Args:
        commits: versions that go, the oldest first.
        unfinished_bytes: stored bytes of objects that belong to no commit.
        dead_packs: packs of which nothing is needed.
        rewritten_packs: packs that are written anew without what is dead in them.
        merged_packs: small packs that become one.
        freed_bytes: stored bytes that nothing needs.
        trash_bytes: bytes in the trash that have had their time.
        kept_trash_bytes: bytes in the trash that have not.
        store_bytes: bytes of all packs.
        now: what reflogs remember is not kept, and the trash is emptied.
    """

    commits: tuple[DeadCommit, ...] = ()
    unfinished_bytes: int = 0
    dead_packs: tuple[bytes, ...] = ()
    rewritten_packs: tuple[bytes, ...] = ()
    merged_packs: tuple[bytes, ...] = ()
    freed_bytes: int = 0
    trash_bytes: int = 0
    kept_trash_bytes: int = 0
    store_bytes: int = 0
    now: bool = False
    _layout: _Layout | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.dead_packs or self.rewritten_packs or self.merged_packs or self.trash_bytes)

    def branches(self) -> Mapping[str, int]:
        """Bytes freed by branch that once had them."""
        found: dict[str, int] = {}
        for commit in self.commits:
            name = commit.branch or _UNFINISHED
            found[name] = found.get(name, 0) + commit.freed_bytes
        if self.unfinished_bytes:
            found[_UNFINISHED] = found.get(_UNFINISHED, 0) + self.unfinished_bytes
        return found


@dataclass(frozen=True, kw_only=True)
class GcResult:
    """What gc did.

    Args:
        freed_bytes: bytes that the disk has back.
        trash_bytes: bytes that lie in the trash and go once they have been there for a day.
        removed, written: packs.
        came_back: packs that a running command leant on.
    """

    freed_bytes: int = 0
    trash_bytes: int = 0
    removed: int = 0
    written: int = 0
    came_back: int = 0


@dataclass(frozen=True)
class _Layout:
    """Which frames of which packs stay.

    Args:
        frames: all packs.
        kept: (pack, frame) of the copies that are needed.
        recoded: blobs to be stored without their delta base, which nothing else needs.
        training_state: blobs that are nothing but training state.
    """

    frames: Frames
    kept: set[tuple[bytes, int]]
    recoded: dict[BlobId, tuple[bytes, int]]
    training_state: set[BlobId]


def plan_gc(place: Place, *, now: bool = False) -> GcPlan:
    """Find what no name needs; changes nothing.

    Args:
        place: where.
        now: moves in reflogs keep nothing, and the trash has had its time.

    Raises:
        Corrupt, NotFound: the store is damaged, so that nobody can say what is needed.
    """
    store = place.store
    store.refresh()
    reach = reach_of(place, logged_since_ns=_logged_since(now))
    missing = store.lacks((id, 255) for id in reach.objects)
    if missing:
        raise Corrupt(
            f"{missing[0].kind.name.lower()} {missing[0].short}",
            "is in no readable pack, and is needed",
            hint="`mstore fsck` says by what; gc leaves a damaged store as it is",
        )
    layout = _keep(store, reach, footers(store))
    dead, rewritten, merged = _sorted_packs(layout)
    dead_sizes = _dead_sizes(layout)
    commits, unfinished = _dead_commits(place, reach, dead_sizes)
    edge = time.time() - TRASH_DAYS * _DAY_S
    trash = store.trash().values()
    due = sum(t.size_bytes for t in trash if now or t.since_s <= edge)
    return GcPlan(
        commits=commits,
        unfinished_bytes=unfinished,
        dead_packs=dead,
        rewritten_packs=rewritten,
        merged_packs=merged,
        freed_bytes=sum(_pack_bytes(layout.frames[n]) for n in dead)
        + sum(
            f.stored_size
            for n in rewritten
            for i, f in enumerate(layout.frames[n])
            if (n, i) not in layout.kept
        ),
        trash_bytes=due,
        kept_trash_bytes=sum(t.size_bytes for t in trash) - due,
        store_bytes=store.stored_bytes(),
        now=now,
        _layout=layout,
    )


def run_gc(place: Place, plan: GcPlan, *, progress: Progress | None = None) -> GcResult:
    """Do what was planned; what became needed since is left.

    Args:
        place: where.
        plan: from `plan_gc`.
        progress: told of bytes written and checked.

    Raises:
        Conflict: another gc or repack is at work.
        Corrupt: what was written does not read back; nothing was removed for it.
        StorageFailed: the store is read-only, or the system failed.
    """
    store, layout = place.store, plan._layout
    if layout is None:
        raise ValueError("the plan is not from plan_gc")
    reach = Reach(store)

    def needed() -> Callable[[ObjectId], bool]:
        for root in roots(place, logged_since_ns=_logged_since(plan.now)):
            reach.add(root)
        return reach.objects.__contains__

    with removing(store):
        before = _disk_bytes(store)
        if isinstance(store.backend, LocalBackend):
            store.backend.sweep()
        dead = {name: layout.frames[name] for name in plan.dead_packs}
        going, came_back = _remove(store, dead, needed, plan.now)
        old = {name: layout.frames[name] for name in (*plan.rewritten_packs, *plan.merged_packs)}
        new = _written(store, layout, old, progress) if old else ()
        if old:
            more, back = _remove(store, old, needed, plan.now)
            going, came_back = going + more, came_back + back
        _empty_trash(store, needed, plan.now)
        _drop_notes(place, plan)
        after = _disk_bytes(store)
        return GcResult(
            freed_bytes=max(0, before - after),
            trash_bytes=sum(t.size_bytes for t in store.trash().values()),
            removed=going,
            written=len(new),
            came_back=came_back,
        )


def _logged_since(now: bool) -> int | None:
    return None if now else time.time_ns() - REFLOG_DAYS * _DAY_S * 1_000_000_000


# -- the plan


def _keep(store: Store, reach: Reach, frames: Frames) -> _Layout:
    """Choose a copy of each needed object, and of each delta base that those lean on."""
    copies: dict[ObjectId, list[tuple[int, int, bytes, int]]] = {}
    for name, held in frames.items():
        size = _pack_bytes(held)
        for index, frame in enumerate(held):
            # The shallowest copy, and of those the one in the largest pack.
            copies.setdefault(frame.head.id, []).append((frame.head.depth, -size, name, index))
    kept: set[tuple[bytes, int]] = set()
    leaning: dict[ObjectId, list[ObjectId]] = {}
    waiting: list[ObjectId] = list(reach.objects)
    seen: set[ObjectId] = set()
    while waiting:
        id = waiting.pop()
        if id in seen:
            continue
        seen.add(id)
        if id not in copies:
            raise Corrupt(f"{id.kind.name.lower()} {id.short}", "is in no readable pack, and is needed")
        _, _, name, index = min(copies[id])
        kept.add((name, index))
        base = frames[name][index].head.base
        if base is not None:
            leaning.setdefault(base, []).append(id)
            waiting.append(base)
    recoded: dict[BlobId, tuple[bytes, int]] = {}
    for base, leant in leaning.items():
        # A base that only one delta needs costs more than storing that one whole.
        if base in reach.objects or len(leant) > 1 or not isinstance(leant[0], BlobId):
            continue
        _, _, name, index = min(copies[base])
        if frames[name][index].head.base is None:
            kept.discard((name, index))
            recoded[leant[0]] = min(copies[leant[0]])[2:]
    return _Layout(frames, kept, recoded, reach.training_state)


def _sorted_packs(
    layout: _Layout,
) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """Packs that are dead, to be rewritten, and to be merged."""
    frames = layout.frames
    recoded = set(layout.recoded.values())
    alive = {n: [i for i in range(len(f)) if (n, i) in layout.kept] for n, f in frames.items()}
    dead = [n for n, kept in alive.items() if not kept]
    rewritten = []
    for name, kept in alive.items():
        if not kept or (len(kept) == len(frames[name]) and not any((name, i) in recoded for i in kept)):
            continue
        live_bytes = sum(frames[name][i].stored_size for i in kept)
        # A dead commit must not outlive its blobs, nor a dead delta its base.
        broken = any(
            isinstance(f.head.id, CommitId) or f.head.base is not None
            for i, f in enumerate(frames[name])
            if i not in set(kept)
        )
        if (
            broken
            or 2 * live_bytes < _pack_bytes(frames[name])
            or any((name, i) in recoded for i in kept)
        ):
            rewritten.append(name)
    whole = [n for n, kept in alive.items() if kept and n not in set(rewritten)]
    return tuple(dead), tuple(rewritten), tuple(_to_merge({n: _pack_bytes(frames[n]) for n in whole}))


def _to_merge(sizes: Mapping[bytes, int]) -> list[bytes]:
    """Small packs to be made one, so that each that is left is twice as large as all smaller ones.

    Each byte is then rewritten a logarithmic number of times. (The geometric
    progression of git's `repack --geometric`.)
    """
    small = sorted((size, name) for name, size in sizes.items() if size < _SMALL_BYTES)
    total, split = 0, 0
    for index, (size, _) in enumerate(small):
        if size < 2 * total:
            split = index + 1
        total += size
    return [name for _, name in small[:split]] if split >= _MERGED_AT_LEAST else []


def _pack_bytes(frames: tuple[Frame, ...]) -> int:
    return sum(frame.stored_size for frame in frames)


def _dead_sizes(layout: _Layout) -> dict[ObjectId, int]:
    """Stored bytes of objects of which no copy stays."""
    kept = {layout.frames[n][i].head.id for n, i in layout.kept}
    sizes: dict[ObjectId, int] = {}
    for frames in layout.frames.values():
        for frame in frames:
            if frame.head.id not in kept:
                sizes[frame.head.id] = sizes.get(frame.head.id, 0) + frame.stored_size
    return sizes


def _dead_commits(
    place: Place, reach: Reach, sizes: dict[ObjectId, int]
) -> tuple[tuple[DeadCommit, ...], int]:
    """Versions that no name reaches, each with the bytes that the ones before it do not need."""
    store = place.store
    commits = {}
    for id in sizes:
        if isinstance(id, CommitId):
            try:
                commits[id] = store.commit(id)
            except MStoreError:
                continue
    branch_of: dict[CommitId, str] = {}
    for name, target in _logged(place):
        waiting = [target]
        while waiting:
            id = waiting.pop()
            if id in commits and id not in branch_of:
                branch_of[id] = name
                waiting.extend(commits[id].parents)
    left = dict(sizes)
    found = []
    for id, commit in sorted(commits.items(), key=lambda item: (item[1].time.ns, item[0].raw)):
        needs = Reach(store)
        freed = left.pop(id, 0)
        # Where parts of it went before, what is left is counted with the rest.
        with contextlib.suppress(NotFound, Corrupt):
            needs.add(Root(commit.manifest, "", firm=True))
        freed += sum(left.pop(object, 0) for object in needs.objects)
        found.append(
            DeadCommit(
                id=id,
                message=commit.message.partition("\n")[0],
                time_ns=commit.time.ns,
                branch=branch_of.get(id),
                freed_bytes=freed,
            )
        )
    return tuple(found), sum(left.values())


def _logged(place: Place) -> Iterable[tuple[str, CommitId]]:
    refs = place.store.refs
    for namespace in ("heads", "refused"):
        for name in refs.logged(namespace):
            try:
                records = refs.log_even_unfinished(f"{namespace}/{name}")
            except Corrupt:
                continue
            for record in records:
                for target in (record.new, record.old):
                    if isinstance(target, CommitId):
                        yield name.removeprefix("heads/"), target


# -- its execution


def _remove(
    store: Store, going: Frames, needed: Callable[[], Callable[[ObjectId], bool]], now: bool
) -> tuple[int, int]:
    """Put packs away, and delete those that nobody can miss: how many went, how many came back."""
    if not going:
        return 0, 0
    removed = put_away(store, going, needed)
    elsewhere: set[ObjectId] = set()
    if not now:
        elsewhere = {f.head.id for frames in footers(store).values() for f in frames}
    gone = [n for n in removed.away if now or all(f.head.id in elsewhere for f in going[n])]
    trash = store.trash()
    store.backend.delete(*(trash[name].key for name in gone if name in trash))
    return len(removed.away), len(removed.back)


def _written(
    store: Store, layout: _Layout, old: Frames, progress: Progress | None
) -> tuple[bytes, ...]:
    """What is needed of some packs, in new ones, read back."""
    total = sum(layout.frames[n][i].head.raw_size for n, i in layout.kept if n in old)
    done = 0
    with Transaction(store, again=True) as transaction:
        for name, frames in old.items():
            for index, frame in enumerate(frames):
                if (name, index) not in layout.kept:
                    continue
                id = frame.head.id
                if not isinstance(id, BlobId):
                    transaction.put_encoded(id, store.get(id))
                elif layout.recoded.get(id) == (name, index):
                    transaction.store_blobs([again(store, frame.head, _group(layout, id))])
                else:
                    transaction.copy(store.reader_of(name, frames, index), _group(layout, id))
                done += frame.head.raw_size
                if progress is not None:
                    progress("writing", done, total)
        new = transaction.publish()
        for index, name in enumerate(new):
            check_pack(store, name)
            if progress is not None:
                progress("checking", index + 1, len(new))
    return new


def _group(layout: _Layout, id: BlobId) -> str:
    return "training-state" if id in layout.training_state else ""


def _empty_trash(store: Store, needed: Callable[[], Callable[[ObjectId], bool]], now: bool) -> None:
    """Delete what has been in the trash for long enough, unless something needs it after all."""
    from mstore.store.pack import read_footer

    edge = time.time() - TRASH_DAYS * _DAY_S
    due: Frames = {}
    for name, trashed in store.trash().items():
        if now or trashed.since_s <= edge:
            try:
                _, due[name] = read_footer(store.backend, name, key=trashed.key)
            except (KeyError, MStoreError):
                continue
    if not due:
        return
    away = put_away(store, due, needed).away
    trash = store.trash()
    store.backend.delete(*(trash[name].key for name in away if name in trash))


def _drop_notes(place: Place, plan: GcPlan) -> None:
    """Take away the names of notes on versions that are gone."""
    store = place.store
    store.refresh()
    noted = set(store.refs.names("notes"))
    for commit in plan.commits:
        if commit.id.hex in noted and not store.has(commit.id):
            move = place.move("gc", f"{commit.id.short} is gone")
            store.refs.move(f"notes/{commit.id.hex}", None, move, whatever=True)


def _disk_bytes(store: Store) -> int:
    return store.stored_bytes() + sum(
        e.size_bytes for folder in ("trash", "tmp") for e in store.backend.list(folder)
    )


__all__ = ["DeadCommit", "GcPlan", "GcResult", "plan_gc", "run_gc"]
