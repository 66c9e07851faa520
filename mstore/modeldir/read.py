"""Read a model directory from a disk as a tree: manifest, layouts, facts, weights ids.

A directory is read in batches of open files, each cut into blobs. The caller takes the
blobs of a batch (commit stores them, status and diff hash them) and gives their ids back to
the builder; nothing here knows what is done with a blob.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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
from mstore.modeldir.digests import ReadRange, weights_of
from mstore.objects import (
    MODEL_ROLES,
    BlobId,
    Layout,
    LayoutId,
    Manifest,
    ManifestFile,
    WeightsId,
    hasher_of_blob,
    pack_group,
)
from mstore.store.blob_source import BlobSource
from mstore.worktree.scan import DiskFolder, OpenFile, Scan, ScannedFile, scan

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.modeldir.delta_bases import DeltaBases
    from mstore.workspace.statcache import StatCache

LoadLayout = Callable[[LayoutId], Layout]

_FILES_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Tree:
    """The contents of a model directory.

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
        """Return the facts of the directory (left-out roles included: they lie on the disk)."""
        return describe(DiskFolder(self.found), self.layouts)

    def weights(self) -> dict[str, WeightsId]:
        """Compute the weights id of each folder that holds weights."""
        by_path = {f.path: f for f in self.found.files}

        @contextmanager
        def open_file(path: str) -> Iterator[ReadRange]:
            with OpenFile(by_path[path]) as source:
                yield source.read

        return weights_of(self.entries, self.layouts, open_file)


@dataclass(frozen=True)
class CutFile:
    """An open file of a model directory, cut into blobs.

    Args:
        file: the scanned file.
        source: the open file.
        cuts: where its blobs lie in it, in order.
        layout: its tensors and their places, or None.
        warnings: one sentence each.
    """

    file: ScannedFile
    source: OpenFile
    cuts: tuple[Cut, ...]
    layout: Layout | None
    warnings: tuple[str, ...]

    def blobs(self, bases: DeltaBases | None = None) -> Iterator[BlobSource]:
        """Give its blobs, in order, each with the delta base of the tensor that it is.

        Args:
            bases: delta bases by name, or None for none.
        """
        role = role_of(self.file.path)
        group = pack_group(role)
        tensors = {}
        if bases is not None and self.layout is not None:
            tensors = {(t.begin, t.size_bytes): t for t in self.layout.tensors}
        for made in self.cuts:
            tensor = tensors.get(made.pieces[0]) if len(made.pieces) == 1 else None
            base = bases.find(self.file.path, tensor) if bases is not None and tensor else None
            yield BlobSource(self.source, made.pieces, made.width, made.is_float, group, base)

    def entry(self, ids: Sequence[BlobId]) -> ManifestFile:
        """Make its manifest entry, now that its blobs have ids.

        Args:
            ids: of `blobs`, in order.

        Raises:
            InvalidInput: the file changed while it was read.
        """
        self.source.check_unchanged()
        size = self.source.size_bytes
        segments = segments_of(size, self.cuts, ids)
        layout = self.layout.id if self.layout is not None else None
        return ManifestFile(self.file.path, role_of(self.file.path), size, segments, layout)


def open_cut(
    files: Sequence[ScannedFile], *, strict: bool = False, allow_opaque: bool = False
) -> Iterator[list[CutFile]]:
    """Yield files, opened, parsed and cut, some at a time; a batch stays open until the next one.

    Args:
        files: what to read.
        strict: refuse fields that only newer writers could have meant.
        allow_opaque: keep a broken .safetensors as bytes.

    Raises:
        InvalidInput: a file breaks a rule.
    """
    for begin in range(0, len(files), _FILES_AT_ONCE):
        with ExitStack() as stack:
            batch = []
            for file in files[begin : begin + _FILES_AT_ONCE]:
                source = stack.enter_context(OpenFile(file))
                parsed = parse(source, strict=strict, allow_opaque=allow_opaque)
                cuts = cut(source.size_bytes, parsed.layout)
                batch.append(CutFile(file, source, cuts, parsed.layout, tuple(parsed.warnings)))
            yield batch


class TreeBuilder:
    """The tree of a model directory while its files are being read.

    Args:
        found: its files.
        cached: entries of files that need not be read (from the stat cache).
        without: roles to leave out.
        load_layout: gives the layout of a cached entry.
    """

    def __init__(
        self,
        found: Scan,
        *,
        cached: Mapping[str, ManifestFile],
        without: frozenset[str] = frozenset(),
        load_layout: LoadLayout | None = None,
    ) -> None:
        self._found = found
        self._entries: dict[str, ManifestFile] = {}
        self._layouts: dict[str, Layout] = {}
        self._warnings: list[str] = []
        self._fresh: list[str] = []
        unread = []
        for file in found.files:
            if role_of(file.path) in without:
                continue
            entry = cached.get(file.path)
            if entry is None:
                unread.append(file)
                continue
            self._entries[file.path] = entry
            if entry.layout is not None and load_layout is not None:
                self._layouts[file.path] = load_layout(entry.layout)
        self.unread: Final = tuple(unread)
        """The files that must be read."""

    def add(self, batch: Sequence[CutFile], ids: Sequence[BlobId]) -> None:
        """Take a batch that was read.

        Args:
            batch: its files.
            ids: ids of their blobs, in order.

        Raises:
            InvalidInput: a file changed while it was read.
        """
        given = iter(ids)
        for item in batch:
            path = item.file.path
            self._entries[path] = item.entry([next(given) for _ in item.cuts])
            if item.layout is not None:
                self._layouts[path] = item.layout
            self._warnings += item.warnings
            self._fresh.append(path)

    def tree(self) -> Tree:
        """Give the tree; every file that is not left out has been added."""
        ordered = {f.path: self._entries[f.path] for f in self._found.files if f.path in self._entries}
        return Tree(self._found, ordered, self._layouts, tuple(self._warnings), tuple(self._fresh))


def hash_blobs(sources: Sequence[BlobSource]) -> list[BlobId]:
    """Hash blobs, on all cores, storing nothing."""

    def hashed(source: BlobSource) -> BlobId:
        hasher = hasher_of_blob()
        for index in range(source.block_count):
            hasher.update(source.block(index))
        return BlobId(hasher.digest())

    if len(sources) < 2:
        return [hashed(s) for s in sources]
    with ThreadPoolExecutor(os.cpu_count() or 1, "mstore") as pool:
        return list(pool.map(hashed, sources))


def _hashed_tree(builder: TreeBuilder) -> Tree:
    for batch in open_cut(builder.unread, allow_opaque=True):
        builder.add(batch, hash_blobs([blob for item in batch for blob in item.blobs()]))
    return builder.tree()


def read_folder(
    folder: Path,
    *,
    cache: StatCache | None = None,
    load_layout: LoadLayout | None = None,
    exclude: tuple[Path, ...] = (),
    without: frozenset[str] = frozenset(),
) -> Tree:
    """Read a folder as a tree and store nothing; the stat cache is used and filled.

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
    builder = TreeBuilder(found, cached=usable, without=without, load_layout=load_layout)
    tree = _hashed_tree(builder)
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
    """Put the entries read of a tree into the stat cache."""
    by_path = {f.path: f for f in tree.found.files}
    cache.keep([(by_path[p], tree.entries[p]) for p in tree.fresh], read_at_ns=read_at_ns)


def folder_weights(folder: Path) -> dict[str, WeightsId]:
    """Compute the weights ids of a folder, without any store."""
    return _hashed_tree(TreeBuilder(scan(folder), cached={})).weights()


def index_warnings(found: Scan, *, allow_incomplete: bool) -> tuple[str, ...]:
    """Check the shard indexes of a folder. Raises BadFile."""
    return check_index(DiskFolder(found), allow_incomplete=allow_incomplete)
