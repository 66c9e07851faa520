"""repack: code again what was stored in haste, and merge small packs.

All history is walked from its beginning, so that each tensor meets its delta
base before itself. New packs are written beside the old, read back and checked
against every id; only then do old ones go, and only those that nothing leans
on. Killed at any point, it leaves a store that is whole, if larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.errors import MStoreError
from mstore.formats.dtypes import codec_element
from mstore.history.walk import all_tips, walk
from mstore.maintain.pack_removal import check_pack, gc_lock, soft_delete
from mstore.modeldir.delta_bases import DeltaBases
from mstore.modeldir.read import tensor_blobs
from mstore.objects import BlobId, Manifest, ObjectId
from mstore.store.blob_source import BlobSource, StoredBlob
from mstore.store.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from mstore.context import Context
    from mstore.objects import CommitId, Layout, LayoutId
    from mstore.progress import Progress
    from mstore.store import Store

_WORTH: Final = 0.995  # a gain of less than half a percent is not worth the writing


@dataclass(frozen=True, kw_only=True)
class RepackResult:
    """What repack did.

    Args:
        before_bytes, after_bytes: bytes of all packs.
        removed, written: packs.
        kept: old packs that something still leans on.
        worth: False where nothing would have been gained, and nothing was changed.
    """

    before_bytes: int
    after_bytes: int
    removed: int = 0
    written: int = 0
    kept: int = 0
    worth: bool = True


def repack(context: Context, *, progress: Progress | None = None) -> RepackResult:
    """Code all objects again and remove the packs that are no longer needed.

    Args:
        context: the store, and the workspace if there is one.
        progress: told of raw bytes done.

    Raises:
        Conflict: a gc or another repack is at work.
        Corrupt: something in the store is damaged; nothing was changed. `fsck` names it.
        StorageFailed: the store is read-only, or the system failed.
    """
    with gc_lock(context.store):
        return _repack(context, progress)


def _repack(context: Context, progress: Progress | None) -> RepackResult:
    store = context.store
    store.refresh()
    old = store.pack_names()
    if store.damaged:
        raise next(iter(store.damaged.values()))
    before = store.stored_bytes()
    heads = {f.head.id: f.head.raw_size for name in old for f in store.footer(name)}
    total, done = sum(heads.values()), 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress("coding", min(done, total), total)

    with Transaction(store, rewrite=True) as transaction:
        _code(context, transaction, heads, advance)
        written_bytes = transaction.size_bytes
        structured = [id for id in heads if not isinstance(id, BlobId)]
        for id in structured:
            transaction.put_encoded(id, store.get(id))
        small = len(old) > 2 * max(1, before >> 29) + 2
        if written_bytes > _WORTH * before and not small:
            return RepackResult(before_bytes=before, after_bytes=before, worth=False)
        new = transaction.publish()
        for index, name in enumerate(new):
            check_pack(store, name)
            if progress is not None:
                progress("checking", index + 1, len(new))
        candidates = {name: store.footer(name) for name in old if name not in new}
        removed = soft_delete(store, candidates, lambda: lambda id: True)
        trash = store.trash()
        store.backend.delete(*(trash[name].key for name in removed.trashed if name in trash))
    return RepackResult(
        before_bytes=before,
        after_bytes=store.stored_bytes(),
        removed=len(removed.trashed),
        written=len(new),
        kept=len(removed.restored),
    )


def _code(
    context: Context,
    transaction: Transaction,
    heads: dict[ObjectId, int],
    advance: Callable[[int], None],
) -> None:
    """Code all blobs, the oldest versions first, each against its delta base."""
    store = context.store
    history = list(walk(store, all_tips(context)))
    layouts: dict[LayoutId, Layout] = {}
    seen: set[BlobId] = set()
    for _, commit in reversed(history):
        manifest = store.manifest(commit.manifest)
        near = [store.manifest(store.commit(p).manifest) for p in commit.parents[:1]]
        if commit.base is not None and commit.base.commit is not None:
            near += _manifest_if_there(store, commit.base.commit)
        bases = DeltaBases(store, near)
        sources = []
        for file in manifest.files:
            tensors = {}
            if file.layout is not None:
                layout = layouts.get(file.layout)
                if layout is None:
                    layout = layouts[file.layout] = store.layout(file.layout)
                tensors = {b: layout.tensors[i] for i, b in tensor_blobs(file, layout).items()}
            group = "training-state" if file.role == "training-state" else ""
            for blob in dict.fromkeys(s.blob for s in file.segments):
                if blob in seen or blob not in heads:
                    continue  # Forgotten, where it is not there.
                seen.add(blob)
                tensor = tensors.get(blob)
                width, is_float = codec_element(tensor.dtype) if tensor is not None else (1, False)
                base = bases.find(file.path, tensor) if tensor is not None else None
                if base is None:
                    before = store.link_of(blob)[1]  # found by its sketch, and still the nearest
                    base = before if isinstance(before, BlobId) else None
                pieces = ((0, heads[blob]),) if heads.get(blob) else ()
                sources.append(
                    BlobSource(StoredBlob(store, blob), pieces, width, is_float, group, base)
                )
        transaction.store_blobs(sources, progress=advance)
    # What no name reaches is kept as it is; forgetting is gc's.
    rest = [id for id in heads if isinstance(id, BlobId) and id not in seen]
    transaction.store_blobs(
        [BlobSource(StoredBlob(store, id), ((0, heads[id]),) if heads[id] else ()) for id in rest],
        progress=advance,
    )


def _manifest_if_there(store: Store, id: CommitId) -> list[Manifest]:
    try:
        return [store.manifest(store.commit(id).manifest)]
    except MStoreError:
        return []
