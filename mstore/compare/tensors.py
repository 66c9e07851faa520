"""The differences between the tensors of two model directories.

Hides files and shards: a tensor is known by its folder and name, whatever file
holds it. Hashes decide whether bytes are equal, so that large tensors are not
read; only `measure` reads them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mstore.compare.stats import TensorStat, can_measure, measured
from mstore.modeldir.digests import tensor_digests
from mstore.objects import MODEL_ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.modeldir.digests import OpenRange, ReadRange
    from mstore.objects import BlobId, Layout, Manifest
    from mstore.progress import Progress


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """One side's copy of a tensor.

    Args:
        folder: the folder of its file, `""` for the root.
        name: as the file has it.
        path: the file.
        begin: first byte in the file.
        size_bytes: bytes that it takes there.
        digest: BLAKE3-256 of its bytes.
    """

    folder: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    begin: int
    size_bytes: int
    digest: BlobId

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {"dtype": self.dtype, "shape": list(self.shape), "size_bytes": self.size_bytes}

    def __str__(self) -> str:
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(frozen=True, slots=True)
class TensorPair:
    """A tensor on both sides; the names differ only where it was moved.

    Args:
        stat: by how much they differ, where that was asked for and can be computed.
    """

    a: TensorPlace
    b: TensorPlace
    stat: TensorStat | None = None

    def __str__(self) -> str:
        return str(self.b) if str(self.a) == str(self.b) else f"{self.a} → {self.b}"


@dataclass(frozen=True)
class TensorDiff:
    """The differences between tensors; each is in one place, by folder and name.

    Args:
        added: only in b.
        removed: only in a.
        reshaped: of another shape (and perhaps dtype).
        recast: of one shape and another dtype.
        changed: of one shape and dtype, with other bytes.
        moved: of one shape, dtype and bytes, under another name or in another folder.
        same: how many do not differ.
        total: the figures of `changed` and `recast` taken together, where asked.
        unmeasured: how many of these no figures could be had of, where asked.
    """

    added: tuple[TensorPlace, ...] = ()
    removed: tuple[TensorPlace, ...] = ()
    reshaped: tuple[TensorPair, ...] = ()
    recast: tuple[TensorPair, ...] = ()
    changed: tuple[TensorPair, ...] = ()
    moved: tuple[TensorPair, ...] = ()
    same: int = 0
    total: TensorStat | None = None
    unmeasured: int = 0

    def __bool__(self) -> bool:
        return any(count for _, count in self.counts())

    def counts(self) -> tuple[tuple[str, int], ...]:
        """Count each kind, `same` left out."""
        return tuple((name, len(getattr(self, name))) for name in KINDS)

    def __str__(self) -> str:
        parts = [f"{count} {name}" for name, count in self.counts() if count]
        return "tensors: " + ", ".join([*parts, f"{self.same} same"])

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""

        def named(place: TensorPlace) -> dict[str, Any]:
            return {"folder": place.folder, "name": place.name}

        def pair(found: TensorPair) -> dict[str, Any]:
            sides = {"a": found.a.to_dict(), "b": found.b.to_dict()}
            stat = {} if found.stat is None else {"stat": found.stat.to_dict()}
            return {**named(found.b), **sides, **stat}

        document: dict[str, Any] = {
            "added": [{**named(p), **p.to_dict()} for p in self.added],
            "removed": [{**named(p), **p.to_dict()} for p in self.removed],
            "reshaped": [pair(p) for p in self.reshaped],
            "recast": [pair(p) for p in self.recast],
            "changed": [pair(p) for p in self.changed],
            "moved": [{"from": named(p.a), "to": named(p.b), **p.b.to_dict()} for p in self.moved],
            "same_count": self.same,
        }
        if self.total is not None:
            document["stat"] = {**self.total.to_dict(), "unmeasured_count": self.unmeasured}
        return document


KINDS: Final = ("added", "removed", "reshaped", "recast", "changed", "moved")

_Key = tuple[str, str]


def tensors_in(
    manifest: Manifest, layouts: Mapping[str, Layout], open_file: OpenRange
) -> dict[_Key, TensorPlace]:
    """Give the tensors of weights and adapters, by folder and name.

    Where two files of a folder hold one name (the same weights in two formats,
    ranks that save slices), the later one's name is followed by its file's,
    unless the bytes are the same. A .safetensors comes first.

    Raises:
        MStoreError: a small tensor cannot be read.
    """
    found: dict[_Key, TensorPlace] = {}
    files = [f for f in manifest.files if f.role in MODEL_ROLES and f.path in layouts]
    for file in sorted(files, key=lambda f: not f.path.endswith(".safetensors")):
        folder, _, file_name = file.path.rpartition("/")
        layout = layouts[file.path]
        digests = tensor_digests(file, layout, open_file)
        for tensor, digest in zip(layout.tensors, digests, strict=True):
            name, before = tensor.name, found.get((folder, tensor.name))
            if before is not None:
                if (before.dtype, before.shape, before.digest) == (tensor.dtype, tensor.shape, digest):
                    continue
                name = f"{name} ({file_name})"
            found[folder, name] = TensorPlace(
                folder,
                name,
                tensor.dtype,
                tensor.shape,
                file.path,
                tensor.begin,
                tensor.size_bytes,
                digest,
            )
    return found


def compare_tensors(a: Mapping[_Key, TensorPlace], b: Mapping[_Key, TensorPlace]) -> TensorDiff:
    """Find which tensors differ, and how; nothing is read."""
    pairs: dict[str, list[TensorPair]] = defaultdict(list)
    same = 0
    for key in sorted(a.keys() & b.keys()):
        pair = TensorPair(a[key], b[key])
        if pair.a.shape != pair.b.shape:
            pairs["reshaped"].append(pair)
        elif pair.a.dtype != pair.b.dtype:
            pairs["recast"].append(pair)
        elif pair.a.digest != pair.b.digest:
            pairs["changed"].append(pair)
        else:
            same += 1
    moved, removed, added = _moved(
        [a[k] for k in sorted(a.keys() - b.keys())], [b[k] for k in sorted(b.keys() - a.keys())]
    )
    return TensorDiff(
        added=tuple(added),
        removed=tuple(removed),
        reshaped=tuple(pairs["reshaped"]),
        recast=tuple(pairs["recast"]),
        changed=tuple(pairs["changed"]),
        moved=tuple(moved),
        same=same,
    )


def _moved(
    removed: list[TensorPlace], added: list[TensorPlace]
) -> tuple[list[TensorPair], list[TensorPlace], list[TensorPlace]]:
    """Match removed with added tensors where nothing but the name differs; equal ones in order."""
    waiting: dict[Any, list[TensorPlace]] = defaultdict(list)
    for place in reversed(removed):
        # Empty tensors have equal bytes whatever they are; that says nothing.
        if place.size_bytes:
            waiting[place.dtype, place.shape, place.digest].append(place)
    moved: list[TensorPair] = []
    left = []
    for place in added:
        candidates = waiting.get((place.dtype, place.shape, place.digest))
        if candidates:
            moved.append(TensorPair(candidates.pop(), place))
        else:
            left.append(place)
    gone = {(p.a.folder, p.a.name) for p in moved}
    return moved, [p for p in removed if (p.folder, p.name) not in gone], left


# -- by how much


def measure(
    found: TensorDiff,
    open_a: OpenRange,
    open_b: OpenRange,
    *,
    progress: Progress | None = None,
) -> TensorDiff:
    """Measure all changed and recast tensors, and their total.

    Args:
        found: what `compare_tensors` gave.
        open_a: opens a file of side a by path.
        open_b: of side b.
        progress: called with ("comparing", bytes of a done, bytes of a in all).

    Raises:
        MStoreError: a file cannot be read.
    """
    pairs = [*found.changed, *found.recast]
    total = sum(p.a.size_bytes for p in pairs)
    done = 0
    stats: dict[int, TensorStat | None] = {}
    by_files: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        by_files[pair.a.path, pair.b.path].append(index)
    for (path_a, path_b), indexes in by_files.items():
        with open_a(path_a) as read_a, open_b(path_b) as read_b:
            for index in sorted(indexes, key=lambda i: pairs[i].a.begin):
                stats[index] = _stat(pairs[index], read_a, read_b)
                done += pairs[index].a.size_bytes
                if progress is not None:
                    progress("comparing", done, total)
    known = [s for s in stats.values() if s is not None]
    with_stat = tuple(replace(p, stat=stats[i]) for i, p in enumerate(pairs))
    count = len(found.changed)
    return replace(
        found,
        changed=with_stat[:count],
        recast=with_stat[count:],
        total=TensorStat.total(known),
        unmeasured=len(pairs) - len(known),
    )


def _stat(pair: TensorPair, read_a: ReadRange, read_b: ReadRange) -> TensorStat | None:
    a, b, count = pair.a, pair.b, math.prod(pair.a.shape)
    if not all(can_measure(t.dtype, count, t.size_bytes) for t in (a, b)):
        return None
    return measured(
        count,
        a.dtype,
        lambda offset, size: read_a(a.begin + offset, size),
        b.dtype,
        lambda offset, size: read_b(b.begin + offset, size),
    )


__all__ = [
    "KINDS",
    "TensorDiff",
    "TensorPair",
    "TensorPlace",
    "compare_tensors",
    "measure",
    "tensors_in",
]
