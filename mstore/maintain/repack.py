"""repack: re-encode objects with better delta bases, and merge small packs.

All history is walked from its beginning, so that each tensor meets its delta
base before itself. New packs are written beside the old, read back and checked
against every id; only then are old ones removed, and only those that nothing needs.
Killed at any point, it leaves a store that is complete, if larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import MStoreError
from mstore.formats.dtypes import codec_element
from mstore.history.walk import all_tips, walk
from mstore.maintain.gc_plan import no_longer_holds
from mstore.maintain.pack_removal import check_pack, gc_lock, purge, soft_delete
from mstore.modeldir.delta_bases import DeltaBases
from mstore.objects import BlobId, Manifest, ObjectId, pack_group, tensor_blobs
from mstore.plan import Plan
from mstore.store.blob_source import BlobSource, StoredBlob
from mstore.store.transaction import Transaction
from mstore.text import counted, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mstore.context import Context
    from mstore.objects import CommitId, Layout, LayoutId
    from mstore.progress import Progress
    from mstore.store import Store

_WORTH: Final = 0.995  # a gain of less than half a percent is not worth the writing


@dataclass(frozen=True, kw_only=True)
class RepackResult:
    """The result of a repack.

    Args:
        before_bytes, after_bytes: bytes of all packs.
        removed, written: packs.
        kept: old packs that something still needs.
        worth: False where nothing would have been gained, and nothing was changed.
    """

    before_bytes: int
    after_bytes: int
    removed: int = 0
    written: int = 0
    kept: int = 0
    worth: bool = True


@dataclass(frozen=True, kw_only=True)
class RepackPlan(Plan):
    """The plan of a repack.

    How much smaller the store becomes is known only when all of it is encoded; where that is
    less than half a percent, and there is nothing to merge, running the plan changes nothing.

    Args:
        packs: packs that are read, and replaced by new ones.
        objects: how many objects they hold.
        raw_bytes: bytes of those objects before encoding.
        store_bytes: bytes of the packs.
        merges: there are many small packs, which are merged in any case.
    """

    packs: tuple[bytes, ...] = ()
    objects: int = 0
    raw_bytes: int = 0
    store_bytes: int = 0
    merges: bool = False

    def __bool__(self) -> bool:
        return bool(self.packs)

    def __str__(self) -> str:
        if not self:
            return "would re-encode nothing: the store is empty"
        lines = [
            f"would re-encode {counted(self.objects, 'object')} of {size(self.raw_bytes)}"
            f" in {counted(len(self.packs), 'pack')} of {size(self.store_bytes)}"
        ]
        if self.merges:
            lines.append("would merge small packs")
        else:
            lines.append("would change nothing if that gains less than half a percent")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md); packs are counted, not named."""
        return {
            "pack_count": len(self.packs),
            "object_count": self.objects,
            "raw_bytes": self.raw_bytes,
            "pack_bytes": self.store_bytes,
            "merges": self.merges,
        }


def repack(context: Context, *, progress: Progress | None = None) -> RepackResult:
    """Re-encode all objects and remove the packs that are no longer needed.

    Args:
        context: the store, and the workspace if there is one.
        progress: is called with the raw bytes done so far.

    Raises:
        Conflict: a gc or another repack is running.
        Corrupt: something in the store is damaged; nothing was changed. `fsck` names it.
        StorageFailed: the store is read-only, or the system failed.
    """
    with gc_lock(context.store):
        return run_repack(context, plan_repack(context), progress=progress)


def plan_repack(context: Context) -> RepackPlan:
    """Plan what to re-encode; changes nothing.

    Raises:
        Corrupt, Unsupported: something in the store is damaged. `fsck` names it.
    """
    store = context.store
    store.refresh()
    if store.damaged:
        raise next(iter(store.damaged.values()))
    packs = store.pack_names()
    heads = _heads(store, packs)
    store_bytes = store.stored_bytes()
    return RepackPlan(
        packs=tuple(packs),
        objects=len(heads),
        raw_bytes=sum(heads.values()),
        store_bytes=store_bytes,
        merges=len(packs) > 2 * max(1, store_bytes >> 29) + 2,
    )


def run_repack(context: Context, plan: RepackPlan, *, progress: Progress | None = None) -> RepackResult:
    """Run a plan; packs that were written since then stay as they are.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_repack`.
        progress: is called with the raw bytes done so far.

    Raises:
        Conflict: a gc or another repack is running, or ran since the plan was made.
        Corrupt: something in the store is damaged; nothing was changed. `fsck` names it.
        StorageFailed: the store is read-only, or the system failed.
    """
    with gc_lock(context.store):
        return _repack(context, plan, progress)


def _heads(store: Store, packs: Iterable[bytes]) -> dict[ObjectId, int]:
    """Read the objects of some packs with their raw sizes."""
    return {f.head.id: f.head.raw_size for name in packs for f in store.footer(name)}


def _repack(context: Context, plan: RepackPlan, progress: Progress | None) -> RepackResult:
    store = context.store
    store.refresh()
    if store.damaged:
        raise next(iter(store.damaged.values()))
    if not set(plan.packs) <= set(store.pack_names()):
        raise no_longer_holds("a gc or another repack removed packs")
    before = store.stored_bytes()
    heads = _heads(store, plan.packs)
    total, done = sum(heads.values()), 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress("coding", min(done, total), total)

    with Transaction(store, rewrite=True) as transaction:
        _code(context, transaction, heads, advance)
        written_bytes = transaction.size_bytes
        for id in (id for id in heads if not isinstance(id, BlobId)):
            transaction.put_encoded(id, store.get(id))
        if written_bytes > _WORTH * plan.store_bytes and not plan.merges:
            return RepackResult(before_bytes=before, after_bytes=before, worth=False)
        new = transaction.publish()
        candidates = {name: store.footer(name) for name in plan.packs if name not in new}
        if not candidates:  # Encoded as well as can be, they are the same packs.
            return RepackResult(before_bytes=before, after_bytes=before, worth=False)
        for index, name in enumerate(new):
            check_pack(store, name)
            if progress is not None:
                progress("checking", index + 1, len(new))
        removed = soft_delete(store, candidates, lambda: lambda id: True)
        purge(store, removed.trashed)
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
    """Encode all blobs, the oldest versions first, each against its delta base."""
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
            group = pack_group(file.role)
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
