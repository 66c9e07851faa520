"""The structured objects as frozen values: layout, manifest, commit, note, tag.

Source: docs/format.md section 5. No I/O. Each value has `encoded()`, `id`, and a
class method `decode(encoded, what)` that refuses whatever does not follow the
format. Unknown optional keys are kept in `extra` and encoded again.
"""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from mstore.errors import BadEncoding
from mstore.objects.encoding import decode, encode, metric
from mstore.objects.ids import (
    ID_TYPES,
    BlobId,
    CommitId,
    Kind,
    LayoutId,
    ManifestId,
    NoteId,
    ObjectId,
    TagId,
    WeightsId,
    structured_id,
    weights_digest,
)
from mstore.objects.paths import check_path
from mstore.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

_V = TypeVar("_V")
_MISSING: Final = object()
MAX_INTEGER: Final = 2**63 - 1


class _Keys:
    """Takes known keys out of a decoded map; what is left is `extra`."""

    def __init__(self, value: Any, what: str) -> None:
        if type(value) is not dict:
            raise BadEncoding(what, "is not a map")
        self._left: dict[str, Any] = dict(value)
        self._what = what

    def take(self, key: str, kind: type[_V], default: Any = _MISSING) -> _V:
        value = self._left.pop(key, default)
        if value is _MISSING:
            raise BadEncoding(self._what, f"lacks {key!r}")
        if value is not default and type(value) is not kind:
            raise BadEncoding(self._what, f"has a {key!r} that is not {kind.__name__}")
        return cast("_V", value)

    def rest(self) -> dict[str, Any]:
        for key in self._left:
            if key[:1].isupper():
                raise BadEncoding(self._what, f"has the critical key {key!r}, unknown to this version")
        return self._left


def _size(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise BadEncoding(what, f"has {value!r} where a size is due")
    return value


def _raw_id(value: Any, what: str) -> bytes:
    if type(value) is not bytes or len(value) != 32:
        raise BadEncoding(what, "has something else where an id of 32 bytes is due")
    return value


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a larger tensor a tensor is, when ranks save their own."""

    global_shape: tuple[int, ...]
    global_offset: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor lies in its file.

    Args:
        name: as the file has it; never used as a path.
        dtype: safetensors' spelling, an open string.
        shape: elements by dimension, `()` for a scalar.
        begin: first byte in the file.
        end: first byte after it.
        slice: its place in a larger tensor, or None.
        extra: optional keys of a later version.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int
    slice: Slice | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes that the tensor takes in the file."""
        return self.end - self.begin

    def _plain(self) -> list[Any]:
        plain: list[Any] = [self.name, self.dtype, list(self.shape), self.begin, self.end]
        more = dict(self.extra)
        if self.slice is not None:
            more["global_shape"] = list(self.slice.global_shape)
            more["global_offset"] = list(self.slice.global_offset)
        if more:
            plain.append(more)
        return plain

    @classmethod
    def _from_plain(cls, value: Any, what: str) -> TensorEntry:
        if type(value) is not list or len(value) < 5:
            raise BadEncoding(what, "has a tensor of fewer than five fields")
        name, dtype, shape, begin, end = value[:5]
        if type(name) is not str or type(dtype) is not str or type(shape) is not list:
            raise BadEncoding(what, "has a tensor with a field of the wrong type")
        part: Slice | None = None
        extra: dict[str, Any] = {}
        if len(value) > 5:
            keys = _Keys(value[5], what)
            whole = keys.take("global_shape", list, None)
            offset = keys.take("global_offset", list, None)
            if (whole is None) != (offset is None):
                raise BadEncoding(what, f"tensor {name!r} has half of a slice")
            if whole is not None and offset is not None:
                part = Slice(
                    tuple(_size(n, what) for n in whole), tuple(_size(n, what) for n in offset)
                )
            extra = keys.rest()
        if not _size(begin, what) <= _size(end, what):
            raise BadEncoding(what, f"tensor {name!r} ends before it begins")
        return cls(name, dtype, tuple(_size(n, what) for n in shape), begin, end, part, extra)


@dataclass(frozen=True)
class Layout:
    """What lies where in a file. It holds no content, so that equal layouts are one object."""

    format: str
    tensors: tuple[TensorEntry, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        return encode(
            {**self.extra, "format": self.format, "tensors": [t._plain() for t in self.tensors]}
        )

    @cached_property
    def id(self) -> LayoutId:
        """Its id."""
        return cast("LayoutId", structured_id(Kind.LAYOUT, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "layout") -> Layout:
        """Read a layout. Raises BadEncoding."""
        keys = _Keys(decode(encoded, what), what)
        fmt, tensors = keys.take("format", str), keys.take("tensors", list)
        return cls(fmt, tuple(TensorEntry._from_plain(t, what) for t in tensors), keys.rest())


# Roles of the files that hold what was trained; only they make up a weights id.
MODEL_ROLES: Final = ("weights", "adapter")
ROLES: Final = ("weights", "adapter", "tokenizer", "config", "training-state", "other")


@dataclass(frozen=True, slots=True)
class Segment:
    """`length` bytes of a blob, from `offset`."""

    blob: BlobId
    offset: int
    length: int


@dataclass(frozen=True)
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
        """What it takes to write the file: its blobs, and its layout."""
        blobs: frozenset[ObjectId] = frozenset(segment.blob for segment in self.segments)
        return blobs | {self.layout} if self.layout is not None else blobs

    def plain(self) -> dict[str, Any]:
        """The map that stands in a manifest."""
        plain: dict[str, Any] = {
            **self.extra,
            "path": self.path,
            "role": self.role,
            "size": self.size_bytes,
            "segments": [[s.blob.raw, s.offset, s.length] for s in self.segments],
        }
        if self.layout is not None:
            plain["layout"] = self.layout.raw
        return plain

    @classmethod
    def from_plain(cls, value: Any, what: str) -> ManifestFile:
        """Read a file's map. Raises BadEncoding, BadPath."""
        keys = _Keys(value, what)
        path = keys.take("path", str)
        check_path(path)
        segments = []
        for item in keys.take("segments", list):
            if type(item) is not list or len(item) != 3:
                raise BadEncoding(what, f"{path}: a segment has not three fields")
            blob, offset, length = item
            segments.append(
                Segment(BlobId(_raw_id(blob, what)), _size(offset, what), _size(length, what))
            )
        size = _size(keys.take("size", int), what)
        if sum(s.length for s in segments) != size:
            raise BadEncoding(what, f"{path}: its segments do not add up to its size")
        layout = keys.take("layout", bytes, None)
        return cls(
            path,
            keys.take("role", str),
            size,
            tuple(segments),
            LayoutId(_raw_id(layout, what)) if layout is not None else None,
            keys.rest(),
        )


@dataclass(frozen=True)
class Manifest:
    """The files of a model directory, sorted by the bytes of their paths."""

    files: tuple[ManifestFile, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, files: list[ManifestFile]) -> Manifest:
        """A manifest of files in any order."""
        return cls(tuple(sorted(files, key=lambda f: f.path.encode())))

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        return encode({**self.extra, "files": [f.plain() for f in self.files]})

    @cached_property
    def id(self) -> ManifestId:
        """Its id."""
        return cast("ManifestId", structured_id(Kind.MANIFEST, self.encoded))

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(f.size_bytes for f in self.files)

    @cached_property
    def by_path(self) -> Mapping[str, ManifestFile]:
        """Files by path."""
        return {f.path: f for f in self.files}

    @classmethod
    def decode(cls, encoded: bytes, what: str = "manifest") -> Manifest:
        """Read a manifest. Raises BadEncoding, BadPath."""
        keys = _Keys(decode(encoded, what), what)
        files = tuple(ManifestFile.from_plain(f, what) for f in keys.take("files", list))
        paths = [f.path.encode() for f in files]
        if any(a >= b for a, b in pairwise(paths)):
            raise BadEncoding(what, "its paths are not sorted, or stand twice")
        return cls(files, keys.rest())


@dataclass(frozen=True)
class Base:
    """The model that an adapter or fine-tune starts from; whatever of it is known."""

    weights: WeightsId | None = None
    commit: CommitId | None = None
    name: str | None = None
    revision: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The map that stands in a commit."""
        plain: dict[str, Any] = dict(self.extra)
        if self.weights is not None:
            plain["weights"] = self.weights.raw
        if self.commit is not None:
            plain["commit"] = self.commit.raw
        if self.name is not None:
            plain["name"] = self.name
        if self.revision is not None:
            plain["revision"] = self.revision
        return plain

    @classmethod
    def from_plain(cls, value: Any, what: str) -> Base:
        """Read a base's map. Raises BadEncoding."""
        keys = _Keys(value, what)
        weights, commit = keys.take("weights", bytes, None), keys.take("commit", bytes, None)
        return cls(
            WeightsId(_raw_id(weights, what)) if weights is not None else None,
            CommitId(_raw_id(commit, what)) if commit is not None else None,
            keys.take("name", str, None),
            keys.take("revision", str, None),
            keys.rest(),
        )


@dataclass(frozen=True, slots=True, order=True)
class Time:
    """A moment: nanoseconds since 1970 UTC, and the zone in minutes east of UTC."""

    ns: int
    zone_minutes: int

    @classmethod
    def now(cls) -> Time:
        """The present moment in the local zone."""
        import time

        ns = time.time_ns()
        return cls(ns, time.localtime(ns // 10**9).tm_gmtoff // 60)

    def iso(self) -> str:
        """RFC 3339, to the second, in its own zone."""
        import time

        try:
            local = time.gmtime(self.ns // 10**9 + self.zone_minutes * 60)
        except (OverflowError, ValueError, OSError):
            return f"@{self.ns}"
        hours, minutes = divmod(abs(self.zone_minutes), 60)
        sign = "-" if self.zone_minutes < 0 else "+"
        return time.strftime("%Y-%m-%dT%H:%M:%S", local) + f"{sign}{hours:02d}:{minutes:02d}"

    def plain(self) -> list[int]:
        """`[ns, zone]`."""
        return [self.ns, self.zone_minutes]

    @classmethod
    def from_plain(cls, value: Any, what: str) -> Time:
        """Read `[ns, zone]`. Raises BadEncoding."""
        if type(value) is not list or len(value) != 2 or any(type(n) is not int for n in value):
            raise BadEncoding(what, "has a time that is not [nanoseconds, zone]")
        if abs(value[0]) > MAX_INTEGER or abs(value[1]) > 24 * 60:
            raise BadEncoding(what, "has a time out of range")
        return cls(value[0], value[1])


def _metrics(value: Any, what: str) -> dict[str, float]:
    if type(value) is not dict or any(type(v) is not float for v in value.values()):
        raise BadEncoding(what, "has metrics that are not floats")
    return value


@dataclass(frozen=True)
class Commit:
    """A version of a model directory, with what is known of how it came about."""

    parents: tuple[CommitId, ...]
    manifest: ManifestId
    author: str
    time: Time
    message: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, WeightsId] = field(default_factory=dict)
    base: Base | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        plain: dict[str, Any] = {
            **self.extra,
            "parents": [p.raw for p in self.parents],
            "manifest": self.manifest.raw,
            "author": self.author,
            "time": self.time.plain(),
            "message": self.message,
            "metadata": dict(self.metadata),
            "metrics": {k: metric(v) for k, v in self.metrics.items()},
            "weights": {k: v.raw for k, v in self.weights.items()},
        }
        if self.base is not None:
            plain["base"] = self.base.plain()
        return encode(plain)

    @cached_property
    def id(self) -> CommitId:
        """Its id."""
        return cast("CommitId", structured_id(Kind.COMMIT, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "commit") -> Commit:
        """Read a commit. Raises BadEncoding."""
        keys = _Keys(decode(encoded, what), what)
        base = keys.take("base", dict, None)
        weights = keys.take("weights", dict)
        return cls(
            tuple(CommitId(_raw_id(p, what)) for p in keys.take("parents", list)),
            ManifestId(_raw_id(keys.take("manifest", bytes), what)),
            keys.take("author", str),
            Time.from_plain(keys.take("time", list), what),
            keys.take("message", str),
            keys.take("metadata", dict),
            _metrics(keys.take("metrics", dict), what),
            {k: WeightsId(_raw_id(v, what)) for k, v in weights.items()},
            Base.from_plain(base, what) if base is not None else None,
            keys.rest(),
        )


def _subject(keys: _Keys, id_key: str, kind_key: str, what: str) -> ObjectId:
    number = keys.take(kind_key, int)
    if number not in ID_TYPES:
        raise BadEncoding(what, f"is about an object of the unknown kind {number}")
    return ID_TYPES[Kind(number)](_raw_id(keys.take(id_key, bytes), what))


@dataclass(frozen=True)
class Note:
    """What became known of an object after it was stored."""

    subject: ObjectId
    note_kind: str
    payload: Mapping[str, Any]
    author: str
    time: Time
    previous: NoteId | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        plain: dict[str, Any] = {
            **self.extra,
            "subject": self.subject.raw,
            "subject_kind": int(self.subject.kind),
            "kind": self.note_kind,
            "payload": dict(self.payload),
            "author": self.author,
            "time": self.time.plain(),
        }
        if self.previous is not None:
            plain["previous"] = self.previous.raw
        return encode(plain)

    @cached_property
    def id(self) -> NoteId:
        """Its id."""
        return cast("NoteId", structured_id(Kind.NOTE, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "note") -> Note:
        """Read a note. Raises BadEncoding."""
        keys = _Keys(decode(encoded, what), what)
        previous = keys.take("previous", bytes, None)
        return cls(
            _subject(keys, "subject", "subject_kind", what),
            keys.take("kind", str),
            keys.take("payload", dict),
            keys.take("author", str),
            Time.from_plain(keys.take("time", list), what),
            NoteId(_raw_id(previous, what)) if previous is not None else None,
            keys.rest(),
        )


@dataclass(frozen=True)
class Tag:
    """A named, dated pointer with a message."""

    target: ObjectId
    name: str
    message: str
    author: str
    time: Time
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        return encode(
            {
                **self.extra,
                "target": self.target.raw,
                "target_kind": int(self.target.kind),
                "name": self.name,
                "message": self.message,
                "author": self.author,
                "time": self.time.plain(),
            }
        )

    @cached_property
    def id(self) -> TagId:
        """Its id."""
        return cast("TagId", structured_id(Kind.TAG, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "tag") -> Tag:
        """Read a tag. Raises BadEncoding."""
        keys = _Keys(decode(encoded, what), what)
        return cls(
            _subject(keys, "target", "target_kind", what),
            keys.take("name", str),
            keys.take("message", str),
            keys.take("author", str),
            Time.from_plain(keys.take("time", list), what),
            keys.rest(),
        )


def weights_id_of(tensors: list[tuple[str, str, tuple[int, ...], BlobId]]) -> WeightsId:
    """Weights id of a model (docs/format.md 5.7).

    Args:
        tensors: name, dtype, shape and BLAKE3-256 of the bytes, of every tensor.
    """
    rows = sorted(tensors, key=lambda t: (t[0].encode(), t[1], t[2], t[3].raw))
    return weights_digest(encode([[n, d, list(s), b.raw] for n, d, s, b in rows]))
