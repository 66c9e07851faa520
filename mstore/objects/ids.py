"""Ids: their types, how they are computed, how they are spelled.

Source: docs/format.md section 3; BLAKE3's `hash` and `derive_key` modes.
An id is a value of its own type, so that a blob's id can never be passed, or
compare equal, where a commit's is expected.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from blake3 import blake3

from mstore.errors import BadEncoding
from mstore.frozen import frozen

if TYPE_CHECKING:
    from typing_extensions import Buffer

ID_SIZE_BYTES: Final = 32
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class Kind(enum.IntEnum):
    """The kinds of objects; packs and notes hold the numbers."""

    BLOB = 1
    LAYOUT = 2
    MANIFEST = 3
    COMMIT = 4
    NOTE = 5
    TAG = 6


_T = TypeVar("_T", bound="ObjectId")


@frozen(slots=True, order=True, repr=False)
class ObjectId:
    """32 bytes that name an object.

    Args:
        raw: exactly 32 bytes.

    Raises:
        BadEncoding: `raw` has another length.
    """

    raw: bytes
    kind: ClassVar[Kind]

    def __post_init__(self) -> None:
        if len(self.raw) != ID_SIZE_BYTES:
            raise BadEncoding("id", f"has {len(self.raw)} bytes, must have {ID_SIZE_BYTES}")

    @classmethod
    def parse(cls: type[_T], text: str) -> _T:
        """Read 64 lower-case hex digits.

        Raises:
            BadEncoding: `text` is anything else.
        """
        if not _HEX.fullmatch(text):
            raise BadEncoding(f"id {text!r}", "must be 64 lower-case hex digits")
        return cls(bytes.fromhex(text))

    @property
    def hex(self) -> str:
        """The id as 64 lower-case hex digits."""
        return self.raw.hex()

    @property
    def short(self) -> str:
        """The first seven digits, for people."""
        return self.raw.hex()[:7]

    @property
    def kind_name(self) -> str:
        """The kind of object as a word: 'commit'."""
        return self.kind.name.lower()

    @property
    def label(self) -> str:
        """The object as people read it in messages: 'commit 1a2b3c4'."""
        return f"{self.kind_name} {self.short}"

    def __str__(self) -> str:
        return self.raw.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.raw.hex()})"


class BlobId(ObjectId):
    """BLAKE3-256 of a blob's raw bytes."""

    __slots__ = ()
    kind = Kind.BLOB


class LayoutId(ObjectId):
    """Id of a layout."""

    __slots__ = ()
    kind = Kind.LAYOUT


class ManifestId(ObjectId):
    """Id of a manifest."""

    __slots__ = ()
    kind = Kind.MANIFEST


class CommitId(ObjectId):
    """Id of a commit."""

    __slots__ = ()
    kind = Kind.COMMIT


class NoteId(ObjectId):
    """Id of a note."""

    __slots__ = ()
    kind = Kind.NOTE


class TagId(ObjectId):
    """Id of a tag."""

    __slots__ = ()
    kind = Kind.TAG


ID_TYPES: Final[dict[Kind, type[ObjectId]]] = {
    t.kind: t for t in (BlobId, LayoutId, ManifestId, CommitId, NoteId, TagId)
}

_CONTEXTS: Final[dict[Kind, str]] = {
    kind: f"mstore 2026-11 {kind.name.lower()}" for kind in Kind if kind is not Kind.BLOB
}


@frozen(slots=True, order=True, repr=False)
class WeightsId:
    """The identity of a model, whatever its sharding or file format (docs/format.md 5.7)."""

    raw: bytes

    @property
    def hex(self) -> str:
        """The id as 64 lower-case hex digits."""
        return self.raw.hex()

    def __str__(self) -> str:
        return self.raw.hex()

    def __repr__(self) -> str:
        return f"WeightsId({self.raw.hex()})"


def blob_id(content: Buffer) -> BlobId:
    """Compute a blob's id from its raw bytes."""
    return BlobId(blake3(content).digest())


def hasher_of_blob() -> blake3:
    """Return a hasher whose digest, after all bytes of a blob, is the blob's id."""
    return blake3()


def structured_id(kind: Kind, encoded: bytes) -> ObjectId:
    """Compute a structured object's id from its canonical encoding."""
    return ID_TYPES[kind](blake3(encoded, derive_key_context=_CONTEXTS[kind]).digest())


def object_id(kind: Kind, content: bytes) -> ObjectId:
    """Compute any object's id from its raw bytes."""
    return blob_id(content) if kind is Kind.BLOB else structured_id(kind, content)


def pack_name(footer: bytes) -> bytes:
    """Compute a pack's name (32 bytes) from its encoded footer."""
    return blake3(footer, derive_key_context="mstore 2026-11 pack").digest()


def weights_digest(encoded: bytes) -> WeightsId:
    """Compute the weights id of an encoded tensor list."""
    return WeightsId(blake3(encoded, derive_key_context="mstore 2026-11 weights").digest())
