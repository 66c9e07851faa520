"""The layout: the tensors of a file and their places. Source: docs/format.md section 5.2."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from mstore.errors import BadEncoding
from mstore.frozen import frozen
from mstore.objects.encoding import decode, encode
from mstore.objects.ids import Kind, LayoutId, structured_id
from mstore.objects.keys import Keys, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen(slots=True)
class Slice:
    """The part of a larger tensor that a tensor is, where ranks save their own."""

    global_shape: tuple[int, ...]
    global_offset: tuple[int, ...]


@frozen(slots=True)
class TensorEntry:
    """The place of one tensor in its file.

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
        """The bytes that the tensor takes in the file."""
        return self.end - self.begin

    def to_row(self) -> list[Any]:
        """Return the array that a layout holds."""
        row: list[Any] = [self.name, self.dtype, list(self.shape), self.begin, self.end]
        more = dict(self.extra)
        if self.slice is not None:
            more["global_shape"] = list(self.slice.global_shape)
            more["global_offset"] = list(self.slice.global_offset)
        if more:
            row.append(more)
        return row

    @classmethod
    def from_row(cls, value: Any, what: str) -> TensorEntry:
        """Read a tensor's array. Raises BadEncoding."""
        if type(value) is not list or len(value) < 5:
            raise BadEncoding(what, "has a tensor of fewer than five fields")
        name, dtype, shape, begin, end = value[:5]
        if type(name) is not str or type(dtype) is not str or type(shape) is not list:
            raise BadEncoding(what, "has a tensor with a field of the wrong type")
        part: Slice | None = None
        extra: dict[str, Any] = {}
        if len(value) > 5:
            keys = Keys(value[5], what)
            whole = keys.take("global_shape", list, None)
            offset = keys.take("global_offset", list, None)
            if (whole is None) != (offset is None):
                raise BadEncoding(what, f"tensor {name!r} lacks global_shape or global_offset")
            if whole is not None and offset is not None:
                part = Slice(
                    tuple(size_of(n, what) for n in whole), tuple(size_of(n, what) for n in offset)
                )
            extra = keys.rest()
        if not size_of(begin, what) <= size_of(end, what):
            raise BadEncoding(what, f"tensor {name!r} ends before it begins")
        return cls(name, dtype, tuple(size_of(n, what) for n in shape), begin, end, part, extra)


@frozen
class Layout:
    """The tensors of a file and their places; without content, so that equal layouts are one object."""

    format: str
    tensors: tuple[TensorEntry, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode(
            {**self.extra, "format": self.format, "tensors": [t.to_row() for t in self.tensors]}
        )

    @cached_property
    def id(self) -> LayoutId:
        """The id of the canonical bytes."""
        return cast("LayoutId", structured_id(Kind.LAYOUT, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "layout") -> Layout:
        """Read a layout. Raises BadEncoding."""
        keys = Keys(decode(encoded, what), what)
        fmt, tensors = keys.take("format", str), keys.take("tensors", list)
        return cls(fmt, tuple(TensorEntry.from_row(t, what) for t in tensors), keys.rest())
