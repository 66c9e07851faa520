"""Compare the files of two model directories: which were added, removed, changed.

Hashes decide whether bytes are equal, and blobs where two files are cut alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.objects import ManifestFile, hasher_of_blob

if TYPE_CHECKING:
    from mstore.compare.sides import DiffSide

_CHUNK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs; sizes in bytes, None where a side has it not."""

    path: str
    role: str
    a_bytes: int | None
    b_bytes: int | None


@dataclass(frozen=True)
class FileDiff:
    """The differences between files, by path."""

    added: tuple[FileChange, ...] = ()
    removed: tuple[FileChange, ...] = ()
    changed: tuple[FileChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""

        def row(change: FileChange, **sizes: int | None) -> dict[str, Any]:
            return {"path": change.path, "role": change.role, **sizes}

        return {
            "added": [row(c, size_bytes=c.b_bytes) for c in self.added],
            "removed": [row(c, size_bytes=c.a_bytes) for c in self.removed],
            "changed": [
                {**row(c), "a": {"size_bytes": c.a_bytes}, "b": {"size_bytes": c.b_bytes}}
                for c in self.changed
            ],
        }


def compare_files(a: DiffSide, b: DiffSide) -> FileDiff:
    """Find the files of one side that the other lacks, or has with other bytes."""
    there, here = a.manifest.by_path, b.manifest.by_path
    return FileDiff(
        tuple(FileChange(p, f.role, None, f.size_bytes) for p, f in here.items() if p not in there),
        tuple(FileChange(p, f.role, f.size_bytes, None) for p, f in there.items() if p not in here),
        tuple(
            FileChange(p, f.role, there[p].size_bytes, f.size_bytes)
            for p, f in here.items()
            if p in there and not _equal_bytes(a, there[p], b, f)
        ),
    )


def _equal_bytes(a: DiffSide, one: ManifestFile, b: DiffSide, other: ManifestFile) -> bool:
    """Return whether two files have the same bytes.

    Segments nearly always tell. Only where the files were cut differently (by
    another version of mstore, or kept whole as a broken one) both are read.
    """
    if one.size_bytes != other.size_bytes:
        return False
    if one.segments == other.segments:
        return True
    if _surely_differ(one, other):
        return False
    return content_of(a, one) == content_of(b, other)


def _surely_differ(one: ManifestFile, other: ManifestFile) -> bool:
    """Return whether segments at one place are two different blobs as far as these files use them.

    Only where both are cut alike. It depends on a file using all bytes of its blobs,
    which 0.1 always writes.
    """
    if [(s.offset, s.length) for s in one.segments] != [(s.offset, s.length) for s in other.segments]:
        return False
    forth: dict[Any, Any] = {}
    back: dict[Any, Any] = {}
    for left, right in zip(one.segments, other.segments, strict=True):
        # Blobs that replace each other throughout are cut alike; so ids suffice.
        if forth.setdefault(left.blob, right.blob) != right.blob:
            return False
        if back.setdefault(right.blob, left.blob) != left.blob:
            return False
    return True


def content_of(side: DiffSide, file: ManifestFile) -> bytes:
    """Hash the whole content of a file of a side."""
    hasher = hasher_of_blob()
    with side.open_file(file.path) as read:
        for offset in range(0, file.size_bytes, _CHUNK_BYTES):
            hasher.update(read(offset, min(_CHUNK_BYTES, file.size_bytes - offset)))
    return hasher.digest()
