"""The manifest: the files of a model directory, as segments of blobs.

Source: docs/format.md section 5.3.
"""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from mstore.errors import BadEncoding
from mstore.frozen import frozen
from mstore.objects.encoding import decode, encode
from mstore.objects.ids import BlobId, Kind, LayoutId, ManifestId, ObjectId, structured_id
from mstore.objects.keys import Keys, raw_id, size_of
from mstore.objects.paths import check_path

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL_ROLES: Final = ("weights", "adapter")
"""Roles of the files that hold trained weights; only they make up a weights id."""
TRAINING_STATE: Final = "training-state"
"""The role of the state that training resumes from: optimizer, scheduler, random states."""

ROLES: Final = ("weights", "adapter", "tokenizer", "config", TRAINING_STATE, "other")


def holds_tensors(role: str, path: str) -> bool:
    """Tell whether a file holds tensors of the model, by its role and its path's ending.

    The JSON files among weights and adapters (configurations, indexes of shards) do not.
    """
    return role in MODEL_ROLES and not path.endswith(".json")


@frozen(slots=True)
class Segment:
    """Bytes of a blob: `length` of them, from `offset`."""

    blob: BlobId
    offset: int
    length: int


@frozen
class ManifestFile:
    """One file of a model directory; the concatenation of `segments` is the file."""

    path: str
    role: str
    size_bytes: int
    segments: tuple[Segment, ...]
    layout: LayoutId | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def objects(self) -> frozenset[ObjectId]:
        """The objects that it takes to write the file: its blobs, and its layout."""
        blobs: frozenset[ObjectId] = frozenset(segment.blob for segment in self.segments)
        return blobs | {self.layout} if self.layout is not None else blobs

    @property
    def holds_tensors(self) -> bool:
        """Whether the file holds tensors of the model, by its role and ending."""
        return holds_tensors(self.role, self.path)

    def to_map(self) -> dict[str, Any]:
        """Return the map that a manifest holds."""
        made: dict[str, Any] = {
            **self.extra,
            "path": self.path,
            "role": self.role,
            "size": self.size_bytes,
            "segments": [[s.blob.raw, s.offset, s.length] for s in self.segments],
        }
        if self.layout is not None:
            made["layout"] = self.layout.raw
        return made

    @classmethod
    def from_map(cls, value: Any, what: str) -> ManifestFile:
        """Read a file's map. Raises BadEncoding, BadPath."""
        keys = Keys(value, what)
        path = keys.take("path", str)
        check_path(path)
        segments = []
        for item in keys.take("segments", list):
            if type(item) is not list or len(item) != 3:
                raise BadEncoding(what, f"{path}: a segment must have three fields")
            blob, offset, length = item
            segments.append(
                Segment(BlobId(raw_id(blob, what)), size_of(offset, what), size_of(length, what))
            )
        size = size_of(keys.take("size", int), what)
        if sum(s.length for s in segments) != size:
            raise BadEncoding(what, f"{path}: its segments do not add up to its size")
        layout = keys.take("layout", bytes, None)
        return cls(
            path,
            keys.take("role", str),
            size,
            tuple(segments),
            LayoutId(raw_id(layout, what)) if layout is not None else None,
            keys.rest(),
        )

    # The names of 0.2, for callers that have not moved to the new ones.


@frozen
class Manifest:
    """The files of a model directory, sorted by the bytes of their paths."""

    files: tuple[ManifestFile, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, files: list[ManifestFile]) -> Manifest:
        """Make a manifest of files in any order."""
        return cls(tuple(sorted(files, key=lambda f: f.path.encode())))

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode({**self.extra, "files": [f.to_map() for f in self.files]})

    @cached_property
    def id(self) -> ManifestId:
        """The id of the canonical bytes."""
        return cast("ManifestId", structured_id(Kind.MANIFEST, self.encoded))

    @property
    def size_bytes(self) -> int:
        """The bytes of all files."""
        return sum(f.size_bytes for f in self.files)

    @cached_property
    def by_path(self) -> Mapping[str, ManifestFile]:
        """The files, by path."""
        return {f.path: f for f in self.files}

    @classmethod
    def decode(cls, encoded: bytes, what: str = "manifest") -> Manifest:
        """Read a manifest. Raises BadEncoding, BadPath."""
        keys = Keys(decode(encoded, what), what)
        files = tuple(ManifestFile.from_map(f, what) for f in keys.take("files", list))
        paths = [f.path.encode() for f in files]
        if any(a >= b for a, b in pairwise(paths)):
            raise BadEncoding(what, "its paths must be sorted, and each occur once")
        return cls(files, keys.rest())


def pack_group(role: str) -> str:
    """Name the group of packs that files of a role go to.

    Training state lies in packs of its own, so that it can be forgotten without rewriting others.
    """
    return role if role == TRAINING_STATE else ""
