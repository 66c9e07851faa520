"""Read gguf, llama.cpp's format: where its tensors lie.

Only the header is read, in bounded steps; metadata values are skipped, not kept.
A file that breaks the format is kept as one blob, since where to cut is policy
and mstore does not promise that a gguf is valid.

Source: docs/gguf.md of the ggml project (versions 2 and 3, little-endian), and
the block sizes of its types in the `gguf` Python package.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mstore.objects import Layout, TensorEntry

if TYPE_CHECKING:
    from mstore.formats.source import ByteSource

GGUF_MAGIC: Final = b"GGUF"
_MAX_HEADER_BYTES: Final = 256 << 20
_MAX_TENSORS: Final = 1 << 20
_MAX_ENTRIES: Final = 1 << 20
_MAX_NESTING: Final = 4
_CHUNK_BYTES: Final = 1 << 20

# Number → (name, elements in a block, bytes of a block).
_TYPES: Final = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}
_SCALAR_BYTES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY, _UINT32 = 8, 9, 4


class BrokenGguf(ValueError):
    """The file breaks a rule of the format."""


class _Cursor:
    """Reads forward through a header, a chunk at a time."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._end = min(source.size_bytes, _MAX_HEADER_BYTES)
        self._chunk = b""
        self._chunk_begin = 0
        self.position = 0

    def skip(self, size: int) -> None:
        if size < 0 or self.position + size > self._end:
            raise BrokenGguf("its header does not end within the file, or within 256 MiB")
        self.position += size

    def take(self, size: int) -> bytes:
        begin = self.position
        self.skip(size)
        if begin < self._chunk_begin or begin + size > self._chunk_begin + len(self._chunk):
            self._chunk = self._source.read(begin, min(max(size, _CHUNK_BYTES), self._end - begin))
            self._chunk_begin = begin
        offset = begin - self._chunk_begin
        return self._chunk[offset : offset + size]

    def number(self, form: str) -> int:
        packed = struct.Struct(form)
        (value,) = packed.unpack(self.take(packed.size))
        return int(value)

    def text(self) -> str:
        size = self.number("<Q")
        if size > 1 << 16:
            raise BrokenGguf("a name is longer than 64 KiB")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise BrokenGguf("a name is not UTF-8") from None


def _skip_value(cursor: _Cursor, kind: int, depth: int = 0) -> None:
    if kind in _SCALAR_BYTES:
        cursor.skip(_SCALAR_BYTES[kind])
    elif kind == _STRING:
        cursor.skip(cursor.number("<Q"))
    elif kind == _ARRAY and depth < _MAX_NESTING:
        inner, count = cursor.number("<I"), cursor.number("<Q")
        if inner in _SCALAR_BYTES:
            cursor.skip(_SCALAR_BYTES[inner] * count)
        else:
            if count > 1 << 24:
                raise BrokenGguf("an array of its metadata is too long")
            for _ in range(count):
                _skip_value(cursor, inner, depth + 1)
    else:
        raise BrokenGguf(f"a value of its metadata has the unknown type {kind}")


def _alignment(cursor: _Cursor, entries: int) -> int:
    """Skip the metadata, and return the alignment that it sets (default 32)."""
    alignment = 32
    for _ in range(entries):
        name, kind = cursor.text(), cursor.number("<I")
        if name == "general.alignment" and kind == _UINT32:
            alignment = cursor.number("<I")
        else:
            _skip_value(cursor, kind)
    if alignment == 0 or alignment % 8:
        raise BrokenGguf(f"its alignment of {alignment} is not a multiple of 8")
    return alignment


def parse_gguf(source: ByteSource) -> Layout:
    """Read the layout of a gguf file; quantized types keep ggml's names as dtypes.

    Raises:
        BrokenGguf: the file breaks a rule of the format.
        MStoreError: it cannot be read.
    """
    cursor = _Cursor(source)
    if cursor.take(4) != GGUF_MAGIC:
        raise BrokenGguf("does not begin with GGUF")
    version = cursor.number("<I")
    if version not in (2, 3):
        raise BrokenGguf(f"version {version} is unknown")
    tensors, entries = cursor.number("<Q"), cursor.number("<Q")
    if tensors > _MAX_TENSORS or entries > _MAX_ENTRIES:
        raise BrokenGguf("claims more tensors or metadata entries than are allowed")
    alignment = _alignment(cursor, entries)
    described = []
    for _ in range(tensors):
        name, dimensions = cursor.text(), cursor.number("<I")
        if dimensions > 8:
            raise BrokenGguf(f"tensor {name!r} has {dimensions} dimensions")
        # The first dimension is the one that varies fastest: the reverse of the other formats.
        shape = tuple(reversed([cursor.number("<Q") for _ in range(dimensions)]))
        described.append((name, cursor.number("<I"), shape, cursor.number("<Q")))
    begin = -(-cursor.position // alignment) * alignment
    return Layout("gguf", tuple(_entries(described, begin, source.size_bytes)))


def _entries(
    described: list[tuple[str, int, tuple[int, ...], int]], begin: int, size_bytes: int
) -> list[TensorEntry]:
    described.sort(key=lambda t: t[3])
    made = []
    for index, (name, kind, shape, offset) in enumerate(described):
        following = described[index + 1][3] if index + 1 < len(described) else size_bytes - begin
        if kind in _TYPES:
            dtype, in_block, block_bytes = _TYPES[kind]
            elements = 1
            for dimension in shape:
                elements *= dimension
            if elements % in_block:
                raise BrokenGguf(f"tensor {name!r} is not a whole number of {dtype} blocks")
            size = elements // in_block * block_bytes
        else:
            dtype, size = f"ggml-{kind}", following - offset
        if size < 0 or offset + size > following or begin + offset + size > size_bytes:
            raise BrokenGguf(f"tensor {name!r} does not fit at its stated offset")
        made.append(TensorEntry(name, dtype, shape, begin + offset, begin + offset + size))
    return made
