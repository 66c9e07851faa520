"""Running a plan of gc: packs move to the trash, and their needed objects into new packs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.compat import renamed_field
from mstore.errors import MStoreError
from mstore.history.reachability import Reachability, roots
from mstore.maintain.gc import DAY_S, TRASH_DAYS, disk_bytes, logged_since
from mstore.maintain.gc_plan import GcPlan, PackLayout, no_longer_holds
from mstore.maintain.pack_removal import Frames, check_pack, footers, gc_lock, purge, soft_delete
from mstore.objects import TRAINING_STATE, BlobId, ObjectId, pack_group
from mstore.store.blob_source import recode_source
from mstore.store.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from mstore.context import Context
    from mstore.progress import Progress
    from mstore.store import Store
    from mstore.store.frame import Frame


@dataclass(frozen=True, kw_only=True)
class GcResult:
    """The result of a gc.

    Args:
        freed_bytes: bytes that the disk gained.
        trash_bytes: bytes in the trash, which are purged once they have been there for a day.
        removed, written: packs.
        undeleted: packs that a running command needed.
    """

    freed_bytes: int = 0
    trash_bytes: int = 0
    removed: int = 0
    written: int = 0
    undeleted: int = 0

    came_back = renamed_field("came_back", "undeleted")


def run_gc(context: Context, plan: GcPlan, *, progress: Progress | None = None) -> GcResult:
    """Run a plan; what became needed since then stays.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_gc`.
        progress: is called with the bytes written and checked so far.

    Raises:
        Conflict: another gc or repack is running.
        Corrupt: a new pack does not read back; nothing was removed for it.
        StorageFailed: the store is read-only, or the system failed.
    """
    store, layout = context.store, plan.layout
    if layout is None:
        raise ValueError("the plan is not from plan_gc")
    reachable = Reachability(store)

    def needed() -> Callable[[ObjectId], bool]:
        for root in roots(context, logged_since_ns=logged_since(plan.now)):
            reachable.add(root)
        return reachable.objects.__contains__

    with gc_lock(store):
        frames = _frames_of(store, plan, layout)
        before = disk_bytes(store)
        store.sweep()
        dead = {n: frames[n] for n in plan.dead_packs if n not in layout.postponed}
        candidates, undeleted = _remove(store, dead, needed, plan)
        later = dict.fromkeys(
            n for n in (*plan.rewritten_packs, *plan.merged_packs, *plan.dead_packs) if n not in dead
        )
        new: tuple[bytes, ...] = ()
        if later:
            old = {name: frames[name] for name in later}
            new = _written(store, layout, old, progress)
            more, restored = _remove(store, old, needed, plan)
            candidates, undeleted = candidates + more, undeleted + restored
        if not plan.purged:
            _empty_trash(store, needed, plan.now)
            _drop_notes(context, plan)
        after = disk_bytes(store)
        return GcResult(
            freed_bytes=max(0, before - after),
            trash_bytes=sum(t.size_bytes for t in store.trash().values()),
            removed=candidates,
            written=len(new),
            undeleted=undeleted,
        )


def _frames_of(store: Store, plan: GcPlan, layout: PackLayout) -> Frames:
    """Read the frames of the packs that a plan removes. Raises Conflict: one is gone already."""
    names = {*plan.dead_packs, *plan.rewritten_packs, *plan.merged_packs, *layout.postponed}
    if not layout.packs <= set(store.pack_names()):
        raise no_longer_holds("another gc or repack removed packs")
    try:
        return {name: store.footer(name) for name in names}
    except KeyError as error:
        raise no_longer_holds("another gc or repack removed packs") from error


def _remove(
    store: Store, candidates: Frames, needed: Callable[[], Callable[[ObjectId], bool]], plan: GcPlan
) -> tuple[int, int]:
    """Soft-delete packs, purge those that nothing can need, and count removed and undeleted ones."""
    if not candidates:
        return 0, 0
    removed = soft_delete(store, candidates, needed)
    missed: set[ObjectId] = set()
    if not plan.now:
        missed = {f.head.id for name in removed.trashed for f in candidates[name]} - plan.purged
        missed -= {f.head.id for frames in footers(store).values() for f in frames}
    gone = [n for n in removed.trashed if missed.isdisjoint(f.head.id for f in candidates[n])]
    purge(store, gone)
    return len(removed.trashed), len(removed.restored)


def _written(
    store: Store, layout: PackLayout, old: Frames, progress: Progress | None
) -> tuple[bytes, ...]:
    """Write the needed objects of some packs into new ones, and read those back."""
    kept = [(n, i) for n, frames in old.items() for i in range(len(frames)) if (n, i) in layout.kept]
    recoded = [blob for blob in layout.recoded if blob.pack in old]
    places = (*kept, *((blob.pack, blob.frame) for blob in recoded))
    total = sum(old[name][index].head.raw_size for name, index in places)
    done = 0

    def advance(frame: Frame) -> None:
        nonlocal done
        done += frame.head.raw_size
        if progress is not None:
            progress("writing", done, total)

    with Transaction(store, rewrite=True) as transaction:
        for name, index in kept:
            frame = old[name][index]
            id = frame.head.id
            if isinstance(id, BlobId):
                reader = store.reader_of(name, frame)
                transaction.copy(reader, _group(layout, id))
            else:
                transaction.put_encoded(id, store.get(id))
            advance(frame)
        for blob in recoded:
            frame = old[blob.pack][blob.frame]
            source = recode_source(store, frame.head, _group(layout, blob.id), base=blob.base)
            transaction.store_blobs([source])
            advance(frame)
        new = transaction.publish()
        for number, name in enumerate(new):
            check_pack(store, name)
            if progress is not None:
                progress("checking", number + 1, len(new))
    return new


def _group(layout: PackLayout, id: BlobId) -> str:
    return pack_group(TRAINING_STATE) if id in layout.training_state else ""


def _empty_trash(store: Store, needed: Callable[[], Callable[[ObjectId], bool]], now: bool) -> None:
    """Purge packs that have been in the trash for long enough, unless something needs it after all."""
    from mstore.store.pack import read_footer

    edge = time.time() - TRASH_DAYS * DAY_S
    to_purge: Frames = {}
    for name, trashed in store.trash().items():
        if now or trashed.since_s <= edge:
            try:
                _, to_purge[name] = read_footer(store.backend, name, key=trashed.key)
            except (KeyError, MStoreError):
                continue
    if not to_purge:
        return
    purge(store, soft_delete(store, to_purge, needed).trashed)


def _drop_notes(context: Context, plan: GcPlan) -> None:
    """Remove the refs of notes on versions that are gone."""
    store = context.store
    store.refresh()
    noted = set(store.refs.names("notes"))
    for commit in plan.commits:
        if commit.id.hex in noted and not store.has(commit.id):
            move = context.move("gc", f"{commit.id.short} is gone")
            store.refs.move(f"notes/{commit.id.hex}", None, move, force=True)
