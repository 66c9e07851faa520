"""Repair: quarantine damaged parts, keep whole ones, fetch lost ones.

A plan first (what becomes of each damaged reflog, ref and pack, and which lost objects another
store has), then its execution. Everything that replaces something is on disk and read back
before the old is moved to `quarantine/`, where it stays. What cannot be repaired stays damaged,
and fsck keeps reporting it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.errors import Corrupt, MStoreError, NotFound, StorageFailed, UsageError
from mstore.maintain.check_packs import check_pack_file
from mstore.maintain.check_refs import last_logged
from mstore.maintain.findings import Findings, FsckResult, result_of
from mstore.maintain.fsck import check
from mstore.maintain.gc_plan import no_longer_holds
from mstore.maintain.pack_removal import gc_lock
from mstore.maintain.repair_plan import PackRepair, ReflogRepair, RefRepair, RepairPlan
from mstore.objects import BlobId, Commit, CommitId, Layout, LayoutId, Manifest, ManifestId
from mstore.store.blob_source import BlobSource, recode_source
from mstore.store.frame_reader import FrameReader
from mstore.store.pack import PackWriter, read_footer, scan_frames
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from mstore.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mstore.context import Context
    from mstore.objects import ObjectId
    from mstore.progress import Progress
    from mstore.store import Store
    from mstore.store.frame import Frame, FrameHead

_ROUNDS = 64  # A fetched commit may need a parent that is lost too.


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """The result of a repair.

    Args:
        done: one sentence each.
        found: what fsck says now.
    """

    done: tuple[str, ...]
    found: FsckResult


def repair(
    context: Context, *, source: Store | None = None, progress: Progress | None = None
) -> RepairResult:
    """Repair what can be repaired.

    Args:
        context: the store, and the workspace if there is one.
        source: another store, from which lost objects are taken.
        progress: is called with the bytes checked so far.

    Raises:
        Conflict: a gc or repack is running.
        StorageFailed: the store is read-only, or the system failed.
    """
    with gc_lock(context.store):
        plan = plan_repair(context, source=source, progress=progress)
        return run_repair(context, plan, source=source, progress=progress)


def plan_repair(
    context: Context, *, source: Store | None = None, progress: Progress | None = None
) -> RepairPlan:
    """Check every byte and plan what can be repaired; changes nothing.

    Args:
        context: the store, and the workspace if there is one.
        source: another store, which may have the lost objects.
        progress: is called with the bytes checked so far.

    Raises:
        StorageFailed: the system failed.
    """
    store = context.store
    findings = check(context, quick=False, progress=progress)
    refs = [_ref_repair(store, ref) for ref in sorted(findings.refs)]
    packs: list[PackRepair] = []
    kept: set[ObjectId] = set()
    for name in sorted(findings.packs):
        repair, ids = _pack_repair(store, name)
        if repair is not None:
            packs.append(repair)
            kept |= ids
    lost = findings.lost - kept
    fetched = [id for id, _ in _in_source(store, source, lost)] if source is not None else []
    return RepairPlan(
        reflogs=tuple(_reflog_repair(store, ref) for ref in sorted(findings.logs)),
        refs=tuple(ref for ref in refs if ref is not None),
        packs=tuple(packs),
        source=source.location if source is not None else None,
        fetched=tuple(sorted(fetched, key=_order)),
        lost=tuple(sorted(lost.difference(fetched), key=_order)),
        found=result_of(findings),
    )


def run_repair(
    context: Context,
    plan: RepairPlan,
    *,
    source: Store | None = None,
    progress: Progress | None = None,
) -> RepairResult:
    """Run a plan.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_repair`.
        source: the store that the plan was made with, from which lost objects are taken.
        progress: is called with the bytes checked so far.

    Raises:
        UsageError: the plan is about another source.
        Conflict: a gc or repack is running, or the store is no longer as it was planned for.
        StorageFailed: the store is read-only, or the system failed.
    """
    if (source.location if source is not None else None) != plan.source:
        raise UsageError(
            f"the plan fetches from {plan.source or 'no other store'}; run it with that source"
        )
    store = context.store
    done: list[str] = []
    with gc_lock(store):
        store.sweep()
        if not plan:
            return RepairResult(done=(), found=plan.found)
        _check_it_holds(store, plan)
        done += [_repair_reflog(store, log) for log in plan.reflogs]
        done += [_repair_ref(context, ref) for ref in plan.refs]
        done += [_repair_pack(store, pack) for pack in plan.packs]
        if source is not None and (fetched := _fetch(store, source, (*plan.fetched, *plan.lost))):
            done.append(f"took {counted(fetched, 'object')} from {source.location}")
        store.rebuild()
        findings = check(context, quick=False, progress=progress)
        for _ in range(_ROUNDS if source is not None and findings.lost else 0):
            assert source is not None
            fetched = _fetch(store, source, findings.lost)
            if not fetched:
                break
            done.append(f"took {counted(fetched, 'object')} from {source.location}")
            store.rebuild()
            findings = check(context, quick=False, progress=progress)
    return RepairResult(done=tuple(done), found=result_of(findings))


def _order(id: ObjectId) -> tuple[int, bytes]:
    return int(id.kind), id.raw


def _check_it_holds(store: Store, plan: RepairPlan) -> None:
    """Check that the store is still as it was planned for. Raises Conflict."""
    for log in plan.reflogs:
        if _reflog_repair(store, log.ref) != log:
            raise no_longer_holds(f"logs/{log.ref} changed")
    for ref in plan.refs:
        if _ref_repair(store, ref.ref) != ref:
            raise no_longer_holds(f"refs/{ref.ref} or its reflog changed")
    for pack in plan.packs:
        if store.backend.size(pack_key(pack.pack)) != pack.size_bytes:
            raise no_longer_holds(f"pack {pack.pack.hex()[:12]} was removed or changed")


def _reflog_repair(store: Store, ref: str) -> ReflogRepair:
    """Count the records of a reflog that stay, and those that go."""
    records, cut = store.refs.log_readable(ref)
    return ReflogRepair(ref, len(records), cut)


def _repair_reflog(store: Store, log: ReflogRepair) -> str:
    kept, cut = store.refs.repair_reflog(log.ref)
    return f"logs/{log.ref}: moved {counted(cut, 'damaged record')} to quarantine, kept {kept}"


def _ref_repair(store: Store, ref: str) -> RefRepair | None:
    """Find the value that a damaged ref's reflog has; None: the ref is sound, or it has none."""
    try:
        store.refs.read(ref)
        return None
    except (Corrupt, StorageFailed):
        pass
    try:
        last = last_logged(store, ref)
    except (Corrupt, NotFound):
        return None
    return RefRepair(ref, last) if last is not None else None


def _repair_ref(context: Context, ref: RefRepair) -> str:
    """Give a damaged ref the value that its reflog has."""
    move = context.move("fsck", "as the reflog has it")
    context.store.refs.move(ref.ref, ref.target, move, force=True)
    return f"refs/{ref.ref}: points to {ref.target.short} again, the last value in its reflog"


def _pack_repair(store: Store, name: bytes) -> tuple[PackRepair | None, set[ObjectId]]:
    """Find the whole frames of a damaged pack, and their objects; None: nothing in it is damaged."""
    frames = _frames(store, name)
    whole = tuple(
        index
        for index, frame in enumerate(frames)
        if _is_whole(FrameReader(store.backend, name, frame))
    )
    if len(whole) == len(frames) and _is_sound(store, name):
        return None, set()  # What is wrong is a delta base in another pack.
    size = store.backend.size(pack_key(name)) or 0
    return PackRepair(name, size, len(frames), whole), {frames[index].head.id for index in whole}


def _repair_pack(store: Store, pack: PackRepair) -> str:
    """Store the whole frames of a damaged pack in a new one, and put the old one into quarantine."""
    backend, frames = store.backend, _frames(store, pack.pack)
    readers = [FrameReader(backend, pack.pack, frames[index]) for index in pack.whole]
    if len(frames) != pack.objects or not all(map(_is_whole, readers)):
        raise no_longer_holds(f"pack {pack.pack.hex()[:12]} changed")
    if readers:
        with backend.put_new() as upload:
            writer = PackWriter(upload, replaces=pack.pack)
            for reader in readers:
                frame = reader.frame
                blocks = (reader.stored_block(i) for i in range(len(frame.blocks)))
                writer.add(frame.head, blocks, frame.sketch)
            new = writer.seal()
            upload.publish(pack_key(new))
        read_footer(backend, new)
    backend.rename({pack_key(pack.pack): pack.quarantine})
    return (
        f"pack {pack.pack.hex()[:12]}: kept {len(pack.whole)} of {counted(pack.objects, 'object')} in"
        f" a new pack, moved the damaged one to {pack.quarantine}"
    )


def _is_sound(store: Store, name: bytes) -> bool:
    """Return whether a pack is sound, the blocks of its frames aside."""
    findings = Findings(quick=True)
    check_pack_file(store, name, findings)
    return not findings.problems


def _frames(store: Store, name: bytes) -> tuple[Frame, ...]:
    try:
        return read_footer(store.backend, name)[1]
    except (MStoreError, KeyError):
        return tuple(scan_frames(store.backend, name))


def _is_whole(reader: FrameReader) -> bool:
    """Return whether all blocks of a frame have their checksums, and what needs no base its id."""
    try:
        if reader.frame.head.base is None:
            reader.check_id()
        else:
            for index in range(len(reader.frame.blocks)):
                reader.stored_block(index)
    except (MStoreError, KeyError):
        return False
    return True


def _in_source(
    store: Store, source: Store, lost: Iterable[ObjectId]
) -> Iterator[tuple[ObjectId, FrameHead | bytes]]:
    """Walk the objects that another store has of some, and of those that they need and this one lacks.

    Yields:
        Each object, with the head of a blob's frame or the bytes of another object.
    """
    source.refresh()
    wanted = list(lost)
    seen = set(wanted)
    while wanted:
        id = wanted.pop()
        try:
            if isinstance(id, BlobId):
                copy = next(source.copies(id), None)
                if copy is not None:
                    yield id, copy.frame.head
                continue
            encoded = source.get(id)
            needs = _needs(id, encoded)
        except (MStoreError, KeyError):
            continue
        yield id, encoded
        more = [n for n in needs if n not in seen and not store.has(n)]
        seen.update(more)
        wanted += more


def _fetch(store: Store, source: Store, lost: Iterable[ObjectId]) -> int:
    """Store the objects that another store has of some, and of those that they need in turn."""
    blobs: list[BlobSource] = []
    fetched = 0
    with Transaction(store, rewrite=True) as transaction:
        for id, found in _in_source(store, source, lost):
            if isinstance(found, bytes):
                transaction.put_encoded(id, found)
                fetched += 1
            else:
                blobs.append(recode_source(source, found))
        for blob in blobs:
            try:
                transaction.store_blobs([blob])
            except (Corrupt, NotFound):
                continue
            fetched += 1
        transaction.publish()
    return fetched


def _needs(id: ObjectId, encoded: bytes) -> list[ObjectId]:
    """Return what an object needs in turn. Raises BadEncoding: it is none of its kind."""
    if isinstance(id, CommitId):
        commit = Commit.decode(encoded)
        return [commit.manifest, *commit.parents]
    if isinstance(id, ManifestId):
        return [object for file in Manifest.decode(encoded).files for object in file.objects]
    if isinstance(id, LayoutId):
        Layout.decode(encoded)
    return []


__all__ = ["RepairPlan", "RepairResult", "plan_repair", "repair", "run_repair"]
