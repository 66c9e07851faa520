"""A model directory as a tree: manifest, layouts, facts, weights ids.

The same walk serves commit (blobs go into a transaction), and status and diff
(blobs are only hashed): what differs is the sink.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mstore.formats import (
    Cut,
    Facts,
    check_index,
    cut,
    describe,
    parse,
    role_of,
    segments_of,
)
from mstore.objects import (
    MODEL_ROLES,
    BlobId,
    Layout,
    LayoutId,
    Manifest,
    ManifestFile,
    TensorEntry,
    WeightsId,
    blob_id,
    hasher_of_blob,
    holds_tensors,
    weights_id_of,
)
from mstore.store.blob_source import BlobSource
from mstore.worktree.scan import DiskFolder, OpenFile, Scan, ScannedFile, scan

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.workspace.statcache import StatCache

Sink = Callable[[Sequence[BlobSource]], list[BlobId]]
"""Takes blobs and gives their ids, in order."""

ReadRange = Callable[[int, int], bytes]
"""Reads (offset, size) of a file."""

OpenRange = Callable[[str], AbstractContextManager[ReadRange]]
"""Opens a file by path."""

LoadLayout = Callable[[LayoutId], Layout]

FindBase = Callable[[str, TensorEntry], BlobId | None]
"""The delta base of a tensor of a file, or None."""

_FILES_AT_ONCE: Final = 64
_HASH_CHUNK_BYTES: Final = 4 << 20


def hash_only(sources: Sequence[BlobSource]) -> list[BlobId]:
    """A sink that stores nothing."""

    def hashed(source: BlobSource) -> BlobId:
        hasher = hasher_of_blob()
        for index in range(source.block_count):
            hasher.update(source.block(index))
        return BlobId(hasher.digest())

    if len(sources) < 2:
        return [hashed(s) for s in sources]
    with ThreadPoolExecutor(os.cpu_count() or 1, "mstore") as pool:
        return list(pool.map(hashed, sources))


@dataclass(frozen=True)
class Tree:
    """What a model directory holds.

    Args:
        found: the files on disk.
        entries: manifest entries by path, ignored files and left-out roles excluded.
        layouts: layouts by path.
        warnings: one sentence each.
    """

    found: Scan
    entries: Mapping[str, ManifestFile]
    layouts: Mapping[str, Layout]
    warnings: tuple[str, ...] = ()
    fresh: tuple[str, ...] = field(default=(), repr=False)

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        return Manifest.of(list(self.entries.values()))

    @property
    def tensor_count(self) -> int:
        """Tensors in weights and adapters."""
        return sum(
            len(self.layouts[p].tensors)
            for p, e in self.entries.items()
            if e.role in MODEL_ROLES and p in self.layouts
        )

    def facts(self) -> Facts:
        """What the directory says of itself (left-out roles included: they lie on the disk)."""
        return describe(DiskFolder(self.found), self.layouts)

    def weights(self) -> dict[str, WeightsId]:
        """Weights id of each folder that holds weights."""
        by_path = {f.path: f for f in self.found.files}

        @contextmanager
        def open_file(path: str) -> Iterator[ReadRange]:
            with OpenFile(by_path[path]) as source:
                yield source.read

        return weights_of(self.entries, self.layouts, open_file)


def tensor_blobs(entry: ManifestFile, layout: Layout) -> dict[int, BlobId]:
    """Index in the layout → blob, for the tensors that are a whole blob by themselves."""
    starts: dict[int, tuple[int, BlobId]] = {}
    position = 0
    counts: dict[BlobId, int] = {}
    for segment in entry.segments:
        counts[segment.blob] = max(counts.get(segment.blob, 0), segment.offset + segment.length)
        if segment.offset == 0:
            starts[position] = (segment.length, segment.blob)
        position += segment.length
    found = {}
    for index, tensor in enumerate(layout.tensors):
        length, blob = starts.get(tensor.begin, (-1, None))
        if blob is not None and length == tensor.size_bytes == counts[blob]:
            found[index] = blob
    return found


def tensor_digests(entry: ManifestFile, layout: Layout, open_file: OpenRange) -> list[BlobId]:
    """BLAKE3-256 of each tensor's bytes, in the layout's order; only small tensors are read."""
    blobs = tensor_blobs(entry, layout)
    # A mixed blob that consists of one tensor alone would be found too, and rightly.
    if len(blobs) == len(layout.tensors):
        return [blobs[i] for i in range(len(layout.tensors))]
    with open_file(entry.path) as read:
        return [blobs.get(i) or _digest(t, read) for i, t in enumerate(layout.tensors)]


def _digest(tensor: TensorEntry, read: ReadRange) -> BlobId:
    if tensor.size_bytes <= _HASH_CHUNK_BYTES:
        return blob_id(read(tensor.begin, tensor.size_bytes))
    hasher = hasher_of_blob()
    for begin in range(tensor.begin, tensor.end, _HASH_CHUNK_BYTES):
        hasher.update(read(begin, min(_HASH_CHUNK_BYTES, tensor.end - begin)))
    return BlobId(hasher.digest())


def weights_of(
    entries: Mapping[str, ManifestFile], layouts: Mapping[str, Layout], open_file: OpenRange
) -> dict[str, WeightsId]:
    """Weights id of each folder (docs/format.md 5.7)."""
    rows: dict[str, list[tuple[str, str, tuple[int, ...], BlobId]]] = {}
    for path, entry in entries.items():
        if not holds_tensors(entry.role, path):
            continue
        folder, _, name = path.rpartition("/")
        layout = layouts.get(path)
        if layout is not None:
            digests = tensor_digests(entry, layout, open_file)
            rows.setdefault(folder, []).extend(
                (t.name, t.dtype, t.shape, d) for t, d in zip(layout.tensors, digests, strict=True)
            )
        elif entry.size_bytes:
            # Weights of a form that is not read: the file is one tensor of bytes.
            digest = entry.segments[0].blob
            rows.setdefault(folder, []).append((name, "opaque", (entry.size_bytes,), digest))
    return {folder: weights_id_of(tensors) for folder, tensors in rows.items()}


def read_tree(
    found: Scan,
    sink: Sink,
    *,
    known: Mapping[str, ManifestFile] | None = None,
    without: frozenset[str] = frozenset(),
    strict: bool = False,
    allow_opaque: bool = False,
    load_layout: LoadLayout | None = None,
    bases: FindBase | None = None,
) -> Tree:
    """Read a model directory.

    Args:
        found: its files.
        sink: where blobs go.
        known: entries of files that need not be read (from the stat cache).
        without: roles to leave out.
        strict: refuse what only newer writers could have meant.
        allow_opaque: keep a broken .safetensors as bytes.
        load_layout: gives the layout of a known entry.
        bases: gives the delta base of a tensor.

    Raises:
        InvalidInput: a file breaks a rule, or changed while it was read.
    """
    entries: dict[str, ManifestFile] = {}
    layouts: dict[str, Layout] = {}
    warnings: list[str] = []
    fresh: list[str] = []
    to_read: list[ScannedFile] = []
    for file in found.files:
        if role_of(file.path) in without:
            continue
        entry = (known or {}).get(file.path)
        if entry is None:
            to_read.append(file)
            continue
        entries[file.path] = entry
        if entry.layout is not None and load_layout is not None:
            layouts[file.path] = load_layout(entry.layout)
    for begin in range(0, len(to_read), _FILES_AT_ONCE):
        with ExitStack() as stack:
            batch = to_read[begin : begin + _FILES_AT_ONCE]
            opened = [stack.enter_context(OpenFile(f)) for f in batch]
            cuts: list[tuple[Cut, ...]] = []
            for file, source in zip(batch, opened, strict=True):
                parsed = parse(source, strict=strict, allow_opaque=allow_opaque)
                warnings += parsed.warnings
                if parsed.layout is not None:
                    layouts[file.path] = parsed.layout
                cuts.append(cut(source.size_bytes, parsed.layout))
            sources = [
                BlobSource(s, c.pieces, c.width, c.is_float, _group(f.path), base)
                for f, s, cs in zip(batch, opened, cuts, strict=True)
                for c, base in _with_bases(f.path, cs, layouts.get(f.path), bases)
            ]
            ids = iter(sink(sources))
            for file, source, own in zip(batch, opened, cuts, strict=True):
                source.check_unchanged()
                segments = segments_of(source.size_bytes, own, [next(ids) for _ in own])
                layout = layouts.get(file.path)
                entries[file.path] = ManifestFile(
                    file.path,
                    role_of(file.path),
                    source.size_bytes,
                    segments,
                    layout.id if layout is not None else None,
                )
                fresh.append(file.path)
    ordered = {f.path: entries[f.path] for f in found.files if f.path in entries}
    return Tree(found, ordered, layouts, tuple(warnings), tuple(fresh))


def _with_bases(
    path: str, cuts: Sequence[Cut], layout: Layout | None, bases: FindBase | None
) -> Iterator[tuple[Cut, BlobId | None]]:
    """Cuts, each with the delta base of the tensor that it is."""
    if bases is None or layout is None:
        yield from ((cut, None) for cut in cuts)
        return
    by_range = {(t.begin, t.size_bytes): t for t in layout.tensors}
    for made in cuts:
        tensor = by_range.get(made.pieces[0]) if len(made.pieces) == 1 else None
        yield made, bases(path, tensor) if tensor is not None else None


def _group(path: str) -> str:
    # Training state lies in packs of its own: forgetting it is then deletion.
    return "training-state" if role_of(path) == "training-state" else ""


def read_folder(
    folder: Path,
    *,
    cache: StatCache | None = None,
    load_layout: LoadLayout | None = None,
    exclude: tuple[Path, ...] = (),
    without: frozenset[str] = frozenset(),
) -> Tree:
    """A folder as a tree, nothing being stored; the stat cache is used and filled.

    Broken weights are no obstacle: they are shown as bytes.
    """
    import time

    found = scan(folder, exclude=exclude)
    read_at_ns = time.time_ns()
    known = cache.find(found.files) if cache is not None and load_layout is not None else {}
    usable = {
        path: entry
        for path, entry in known.items()
        if entry.layout is None or (load_layout is not None and _loads(load_layout, entry.layout))
    }
    tree = read_tree(
        found, hash_only, known=usable, allow_opaque=True, load_layout=load_layout, without=without
    )
    if cache is not None:
        remember(cache, tree, read_at_ns)
    return tree


def _loads(load_layout: LoadLayout, id: LayoutId) -> bool:
    from mstore.errors import MStoreError

    try:
        load_layout(id)
    except MStoreError:
        return False
    return True


def remember(cache: StatCache, tree: Tree, read_at_ns: int) -> None:
    """Put what was read of a tree into the stat cache."""
    by_path = {f.path: f for f in tree.found.files}
    cache.keep([(by_path[p], tree.entries[p]) for p in tree.fresh], read_at_ns=read_at_ns)


def folder_weights(folder: Path) -> dict[str, WeightsId]:
    """Weights ids of a folder, without any store."""
    found = scan(folder)
    return read_tree(found, hash_only, allow_opaque=True).weights()


def index_warnings(found: Scan, *, allow_incomplete: bool) -> tuple[str, ...]:
    """Check the shard indexes of a folder. Raises BadFile."""
    return check_index(DiskFolder(found), allow_incomplete=allow_incomplete)
