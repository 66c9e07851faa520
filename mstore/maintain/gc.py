"""gc: give back the bytes that no name needs any more.

A plan first (what is removed, whose it was, how much that frees), then `gc_run` runs it.
Unneeded packs are removed first, so that it works on a full disk;
then those mostly unneeded are rewritten, and small ones merged, each new pack
read back before an old one is removed. A removed pack stays in the trash for a day, unless
all of it is stored elsewhere. Killed at any point, it leaves a store that is complete.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.errors import Corrupt, MStoreError, NotFound
from mstore.history.reachability import Reachability, Root, reachability_of
from mstore.maintain.gc_plan import GcPlan, PackLayout, Recoded, UnreachableCommit
from mstore.maintain.pack_removal import Frames, footers
from mstore.objects import BlobId, CommitId, ObjectId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mstore.context import Context
    from mstore.store import Store
    from mstore.store.frame import Frame

REFLOG_DAYS: Final = 30
TRASH_DAYS: Final = 1
DAY_S: Final = 86_400
_SMALL_BYTES: Final = 64 << 20
_MERGED_AT_LEAST: Final = 8


@dataclass
class _Kept:
    """The frames of packs that stay, while a plan is made.

    Args:
        frames: all packs.
        kept, postponed, training_state: as in `PackLayout`.
        recoded: blobs to re-encode because their delta bases are removed: where each lies,
            and its new base among them.
    """

    frames: Frames
    kept: set[tuple[bytes, int]]
    recoded: dict[BlobId, tuple[tuple[bytes, int], BlobId | None]]
    postponed: set[bytes]
    training_state: set[BlobId]

    def layout(self, rewritten: Iterable[bytes]) -> PackLayout:
        """Return what running the plan needs of it, as a value."""
        concerned = {*rewritten, *self.postponed}
        kept = frozenset(at for at in self.kept if at[0] in concerned)
        stored = {self.frames[name][index].head.id for name, index in kept} | self.recoded.keys()
        return PackLayout(
            frozenset(self.frames),
            kept,
            tuple(Recoded(id, *at, base) for id, (at, base) in self.recoded.items()),
            frozenset(self.postponed),
            frozenset(blob for blob in self.training_state if blob in stored),
        )


def plan_gc(
    context: Context,
    *,
    now: bool = False,
    forgetting: Mapping[CommitId, frozenset[str]] | None = None,
) -> GcPlan:
    """Plan what to remove: all that no name needs; changes nothing.

    Args:
        context: the store, and the workspace if there is one.
        now: moves in reflogs keep nothing, and the trash is emptied.
        forgetting: roles of versions that are about to be dropped: what only they need is
            purged, and nothing else is removed.

    Raises:
        Corrupt, NotFound: the store is damaged, so the needed objects are unknown.
    """
    store = context.store
    store.refresh()
    since = logged_since(now)
    reachable = reachability_of(context, logged_since_ns=since, forgetting=forgetting)
    purged: frozenset[ObjectId] = frozenset()
    if forgetting is not None:
        purged = frozenset(reachability_of(context, logged_since_ns=since).objects - reachable.objects)
    missing = store.lacks((id, 255) for id in reachable.objects)
    if missing:
        raise Corrupt(
            missing[0].label,
            "is in no readable pack, and is needed",
            hint="`mstore fsck` shows what needs it; gc changes nothing in a damaged store",
        )
    layout = _keep(reachable, footers(store), purged)
    dead, rewritten, merged = _sorted_packs(layout, purged)
    if forgetting is not None:
        # What else is unreachable stays for its time in the reflogs and in the trash.
        concerned = {n for n, held in layout.frames.items() if any(f.head.id in purged for f in held)}
        concerned |= layout.postponed
        dead, rewritten = (tuple(n for n in ns if n in concerned) for ns in (dead, rewritten))
        merged = ()
    dead_sizes = _dead_sizes(layout)
    commits, unfinished = _dead_commits(context, reachable, dead_sizes)
    edge = time.time() - TRASH_DAYS * DAY_S
    trash = store.trash().values()
    expired = sum(t.size_bytes for t in trash if now or t.since_s <= edge) if forgetting is None else 0
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
        trash_bytes=expired,
        kept_trash_bytes=sum(t.size_bytes for t in trash) - expired,
        store_bytes=store.stored_bytes(),
        now=now,
        purged=purged,
        layout=layout.layout((*rewritten, *merged)),
    )


def logged_since(now: bool) -> int | None:
    """Return the ns since when moves in reflogs keep what they name; None: they keep nothing."""
    return None if now else time.time_ns() - REFLOG_DAYS * DAY_S * 1_000_000_000


# -- the plan


class _BestCopies:
    """The copy of each object that a plan would keep.

    It is the shallowest one, and of those the one in the largest pack.

    Args:
        frames: all packs.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        found: dict[ObjectId, list[tuple[int, int, bytes, int]]] = {}
        for name, held in frames.items():
            size = _pack_bytes(held)
            for index, frame in enumerate(held):
                found.setdefault(frame.head.id, []).append((frame.head.depth, -size, name, index))
        self.at = {id: min(copies)[2:] for id, copies in found.items()}

    def base_of(self, id: ObjectId) -> ObjectId | None:
        """Return the delta base of an object's copy. Raises Corrupt: there is no copy."""
        if id not in self.at:
            raise Corrupt(id.label, "is in no readable pack, and is needed")
        name, index = self.at[id]
        return self._frames[name][index].head.base


def _keep(reachable: Reachability, frames: Frames, purged: frozenset[ObjectId]) -> _Kept:
    """Choose a copy of each needed object, and of each delta base that those need."""
    copies = _BestCopies(frames)
    recoded, released = _to_recode(reachable, copies, purged)
    return _Kept(
        frames=frames,
        kept=_with_bases(reachable, copies, recoded.keys()),
        recoded={id: (copies.at[id], base) for id, base in recoded.items()},
        postponed={copies.at[id][0] for id in released | recoded.keys()},
        training_state=reachable.training_state,
    )


def _to_recode(
    reachable: Reachability, copies: _BestCopies, purged: frozenset[ObjectId]
) -> tuple[dict[BlobId, BlobId | None], set[ObjectId]]:
    """Find the deltas to re-encode, since nothing else needs their bases.

    Returns:
        Each delta with its new base, or None for none, and the bases that are then needed no more.
    """
    uses = _base_uses(reachable, copies)
    recoded: dict[BlobId, BlobId | None] = {}
    released: set[ObjectId] = set()
    first: dict[ObjectId, BlobId] = {}
    for id in sorted(reachable.objects & copies.at.keys(), key=lambda i: (copies.at[i], i.raw)):
        chain, base = [], copies.base_of(id)
        while base is not None and base not in reachable.objects:
            chain.append(base)
            base = copies.base_of(base)
        # Unreachable bases that only one delta needs cost more than storing that one whole.
        alone = all(uses[link] == 1 for link in chain)
        if isinstance(id, BlobId) and chain and (alone or not purged.isdisjoint(chain)):
            recoded[id] = first.get(chain[-1])
            first.setdefault(chain[-1], id)
            released.update(chain)
    return recoded, released


def _base_uses(reachable: Reachability, copies: _BestCopies) -> dict[ObjectId, int]:
    """Count the deltas that need each base, reachable or not."""
    uses: dict[ObjectId, int] = {}
    waiting, seen = list(reachable.objects), set(reachable.objects)
    while waiting:
        base = copies.base_of(waiting.pop())
        if base is not None:
            uses[base] = uses.get(base, 0) + 1
            if base not in seen:
                seen.add(base)
                waiting.append(base)
    return uses


def _with_bases(
    reachable: Reachability, copies: _BestCopies, recoded: Collection[ObjectId]
) -> set[tuple[bytes, int]]:
    """Return the frames of all reachable objects but `recoded`, and of the bases that they need."""
    kept: set[tuple[bytes, int]] = set()
    waiting = [id for id in reachable.objects if id not in recoded]
    seen = set(waiting)
    while waiting:
        id = waiting.pop()
        base = copies.base_of(id)
        kept.add(copies.at[id])
        if base is not None and base not in seen and base not in recoded:
            seen.add(base)
            waiting.append(base)
    return kept


def _sorted_packs(
    layout: _Kept, purged: frozenset[ObjectId]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """Sort out the packs that are dead, that are to be rewritten, and that are to be merged."""
    dead, rewritten, whole = [], [], {}
    for name, frames in layout.frames.items():
        gone = [f for i, f in enumerate(frames) if (name, i) not in layout.kept]
        if len(gone) == len(frames):
            dead.append(name)
        # A dead commit must not outlive its blobs, nor a dead delta its base.
        elif any(
            isinstance(f.head.id, CommitId) or f.head.base is not None or f.head.id in purged
            for f in gone
        ) or 2 * sum(f.stored_size for f in gone) > _pack_bytes(frames):
            rewritten.append(name)
        else:
            whole[name] = _pack_bytes(frames)
    return tuple(dead), tuple(rewritten), tuple(_to_merge(whole))


def _to_merge(sizes: Mapping[bytes, int]) -> list[bytes]:
    """Choose small packs to merge: each pack is then at least twice as large as all smaller ones.

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


def _dead_sizes(layout: _Kept) -> dict[ObjectId, int]:
    """Return the stored bytes of each object of which no copy stays."""
    kept = {layout.frames[n][i].head.id for n, i in layout.kept} | layout.recoded.keys()
    sizes: dict[ObjectId, int] = {}
    for frames in layout.frames.values():
        for frame in frames:
            if frame.head.id not in kept:
                sizes[frame.head.id] = sizes.get(frame.head.id, 0) + frame.stored_size
    return sizes


def _dead_commits(
    context: Context, reachable: Reachability, sizes: dict[ObjectId, int]
) -> tuple[tuple[UnreachableCommit, ...], int]:
    """Find the versions that no name reaches, each with the bytes that earlier ones do not need."""
    store = context.store
    commits = {}
    for id in sizes:
        if isinstance(id, CommitId):
            try:
                commits[id] = store.commit(id)
            except MStoreError:
                continue
    branch_of: dict[CommitId, str] = {}
    for name, target in _logged(context):
        waiting = [target]
        while waiting:
            id = waiting.pop()
            if id in commits and id not in branch_of:
                branch_of[id] = name
                waiting.extend(commits[id].parents)
    left = dict(sizes)
    found = []
    for id, commit in sorted(commits.items(), key=lambda item: (item[1].time.ns, item[0].raw)):
        needs = Reachability(store)
        freed = left.pop(id, 0)
        # Where parts of it went before, what is left is counted with the rest.
        with contextlib.suppress(NotFound, Corrupt):
            needs.add(Root(commit.manifest, "", required=True))
        freed += sum(left.pop(object, 0) for object in needs.objects)
        found.append(
            UnreachableCommit(
                id=id,
                message=commit.message.partition("\n")[0],
                time_ns=commit.time.ns,
                branch=branch_of.get(id),
                freed_bytes=freed,
            )
        )
    return tuple(found), sum(left.values())


def _logged(context: Context) -> Iterable[tuple[str, CommitId]]:
    refs = context.store.refs
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


def disk_bytes(store: Store) -> int:
    """Return the bytes of packs, trash and temporary files on the disk."""
    return store.stored_bytes() + sum(
        e.size_bytes for folder in ("trash", "tmp") for e in store.backend.list(folder)
    )


__all__ = [
    "GcPlan",
    "UnreachableCommit",
    "plan_gc",
]
