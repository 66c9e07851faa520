"""Repair: what is damaged is put aside, what is whole is kept, what is lost is fetched.

Everything that replaces something is on disk and read back before the old is
moved to `quarantine/`, where it stays. What cannot be repaired stays damaged,
and fsck goes on saying so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.errors import Corrupt, MStoreError, NotFound
from mstore.maintain.fsck import Findings, FsckResult, check, check_pack_file, result_of
from mstore.maintain.pack_removal import gc_lock
from mstore.objects import BlobId, Commit, CommitId, Manifest, ManifestId
from mstore.store.blob_source import BlobSource, recode_source
from mstore.store.frame_reader import FrameReader
from mstore.store.pack import PackWriter, read_footer, scan_frames
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.objects import ObjectId
    from mstore.progress import Progress
    from mstore.store import Store
    from mstore.store.frame import Frame

_ROUNDS = 64  # A fetched commit may need a parent that is lost too.


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """What repair did.

    Args:
        done: one sentence each.
        found: what fsck says now.
    """

    done: tuple[str, ...]
    found: FsckResult


def repair(
    context: Context, *, source: Store | None = None, progress: Progress | None = None
) -> RepairResult:
    """Put right what can be put right.

    Args:
        context: the store, and the workspace if there is one.
        source: another store, from which lost objects are taken.
        progress: told of bytes checked.

    Raises:
        Conflict: a gc or repack is at work.
        StorageFailed: the store is read-only, or the system failed.
    """
    store = context.store
    done: list[str] = []
    with gc_lock(store):
        store.sweep()
        findings = check(context, quick=False, progress=progress)
        before = len(done)
        for ref in sorted(findings.logs):
            kept, cut = store.refs.repair_reflog(ref)
            done.append(f"logs/{ref}: {cut} damaged records put aside, {kept} kept")
        for ref in sorted(findings.refs):
            done += _repair_ref(context, ref)
        for name in sorted(findings.packs):
            done += _mend_pack(store, name)
        if len(done) > before:
            store.rebuild()
            findings = check(context, quick=False, progress=progress)
        for _ in range(_ROUNDS if source is not None else 0):
            assert source is not None
            fetched = _fetch(store, source, findings.lost)
            if not fetched:
                break
            done.append(f"{fetched} objects were taken from {source.location}")
            store.rebuild()
            findings = check(context, quick=False, progress=progress)
    return RepairResult(done=tuple(done), found=result_of(findings))


def _repair_ref(context: Context, ref: str) -> list[str]:
    """Give a damaged ref the value that its reflog has."""
    refs = context.store.refs
    try:
        last = refs.log_even_unfinished(ref)[0].new
    except (Corrupt, NotFound, IndexError):
        return []
    if last is None:
        return []
    refs.move(ref, last, context.move("fsck", "as the reflog has it"), force=True)
    return [f"refs/{ref}: points to {last.short} again, as its reflog has it"]


def _mend_pack(store: Store, name: bytes) -> list[str]:
    """Store the whole frames of a damaged pack in a new one, and put the old one aside."""
    backend = store.backend
    frames = _frames(store, name)
    whole = [frame for frame in frames if _is_whole(FrameReader(backend, name, frame))]
    if len(whole) == len(frames) and _is_sound(store, name):
        return []  # What is wrong is a delta base in another pack.
    if whole:
        with backend.put_new() as upload:
            writer = PackWriter(upload, replaces=name)
            for frame in whole:
                reader = FrameReader(backend, name, frame)
                blocks = (reader.stored_block(i) for i in range(len(frame.blocks)))
                writer.add(frame.head, blocks, frame.sketch)
            new = writer.seal()
            upload.publish(pack_key(new))
        read_footer(backend, new)
    backend.rename({pack_key(name): f"quarantine/{name.hex()}.pack"})
    short = name.hex()[:12]
    return [
        f"pack {short}: {len(whole)} of {len(frames)} objects are whole and are kept in a new pack;"
        f" the damaged one is quarantine/{name.hex()}.pack"
    ]


def _is_sound(store: Store, name: bytes) -> bool:
    """Whether all of a pack but the blocks of its frames is as it must be."""
    findings = Findings(quick=True)
    check_pack_file(store, name, findings)
    return not findings.problems


def _frames(store: Store, name: bytes) -> tuple[Frame, ...]:
    try:
        return read_footer(store.backend, name)[1]
    except (MStoreError, KeyError):
        return tuple(scan_frames(store.backend, name))


def _is_whole(reader: FrameReader) -> bool:
    """Whether all stored bytes of a frame have their sums, and what needs no base its id."""
    try:
        if reader.frame.head.base is None:
            reader.check_id()
        else:
            for index in range(len(reader.frame.blocks)):
                reader.stored_block(index)
    except (MStoreError, KeyError):
        return False
    return True


def _fetch(store: Store, source: Store, lost: set[ObjectId]) -> int:
    """Store what another store has of some objects, and of what they need in turn."""
    source.refresh()
    wanted, seen = list(lost), set(lost)
    blobs: list[BlobSource] = []
    fetched = 0
    with Transaction(store, rewrite=True) as transaction:
        while wanted:
            id = wanted.pop()
            if isinstance(id, BlobId):
                copy = next(source.copies(id), None)
                if copy is not None:
                    blobs.append(recode_source(source, copy.frame.head))
                continue
            try:
                encoded = source.get(id)
            except (MStoreError, KeyError):
                continue
            transaction.put_encoded(id, encoded)
            fetched += 1
            more = [n for n in _needs(id, encoded) if n not in seen and not store.has(n)]
            seen.update(more)
            wanted += more
        for blob in blobs:
            try:
                transaction.store_blobs([blob])
            except (Corrupt, NotFound):
                continue
            fetched += 1
        transaction.publish()
    return fetched


def _needs(id: ObjectId, encoded: bytes) -> list[ObjectId]:
    if isinstance(id, CommitId):
        commit = Commit.decode(encoded)
        return [commit.manifest, *commit.parents]
    if isinstance(id, ManifestId):
        return [object for file in Manifest.decode(encoded).files for object in file.objects]
    return []
