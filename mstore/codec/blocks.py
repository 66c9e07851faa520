"""Blocks: raw bytes ↔ stored bytes, for every mode of docs/format.md section 6.

Pure functions, safe in any number of threads (zstd contexts are kept a thread).
They check what they are told: stored bytes that would give more or fewer than
`raw_size` bytes are damage, found before anything large is allocated. They do
not know ids, packs or files.

zstandard is imported at the first block, numpy at the first one with elements of
more than one byte: listing history needs neither.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from xxhash import xxh3_64_intdigest

from mstore.errors import Corrupt, Unsupported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

BLOCK_LOG2: Final = 20
WIDTHS: Final = (1, 2, 4, 8)


class Codec(IntEnum):
    """How the blocks of a frame are to be read."""

    RAW = 0
    PLANES = 1
    DELTA = 2


class Mode(IntEnum):
    """How one block is stored."""

    RAW = 0
    PLANES = 1
    ROTATED = 2
    SAME = 16
    DIFFERENCE = 17


MODES_OF: Final = {
    Codec.RAW: frozenset({Mode.RAW}),
    Codec.PLANES: frozenset({Mode.RAW, Mode.PLANES, Mode.ROTATED}),
    Codec.DELTA: frozenset(Mode),
}

_HEADER: Final = struct.Struct("<IB3xQQQ")
BLOCK_HEADER_SIZE: Final = _HEADER.size


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What precedes a block's stored bytes.

    Args:
        stored_size: bytes that follow.
        mode: number of a `Mode`.
        base_offset: where the block's counterpart begins in the delta base, in bytes.
        stored_sum: XXH3-64 of the stored bytes.
        raw_sum: XXH3-64 of the raw bytes.
    """

    stored_size: int
    mode: int
    base_offset: int
    stored_sum: int
    raw_sum: int

    def packed(self) -> bytes:
        """The 32 bytes of the format."""
        return _HEADER.pack(
            self.stored_size, self.mode, self.base_offset, self.stored_sum, self.raw_sum
        )

    @classmethod
    def unpack_all(cls, packed: bytes) -> tuple[BlockHeader, ...]:
        """Headers from their concatenation.

        Raises:
            Corrupt: the length is no multiple of a header's, or padding is not zero.
        """
        if len(packed) % BLOCK_HEADER_SIZE:
            raise Corrupt("block table", "is cut short")
        headers = tuple(cls(*fields) for fields in _HEADER.iter_unpack(packed))
        if any(packed[i + 5 : i + 8] != b"\0\0\0" for i in range(0, len(packed), BLOCK_HEADER_SIZE)):
            raise Corrupt("block table", "has padding that is not zero")
        return headers


@dataclass(frozen=True, slots=True)
class Block:
    """A coded block: its header and its stored bytes (in parts, to spare a copy)."""

    header: BlockHeader
    stored: Buffer


# ---------------------------------------------------------------- zstd

_RAW, _ZSTD, _REPEATED = 0, 1, 2
_PLANE: Final = struct.Struct("<BI")
_PROBE_BYTES: Final = 16 << 10

_ENTROPY_ONLY: Final = {
    "window_log": 20,
    "hash_log": 6,
    "chain_log": 6,
    "search_log": 1,
    "min_match": 7,
    "target_length": 0,
}


class _Contexts(threading.local):
    """One compressor of each sort, and one decompressor, for each thread."""

    def __init__(self) -> None:
        import zstandard

        self.entropy = zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(
                strategy=zstandard.STRATEGY_FAST, **_ENTROPY_ONLY
            )
        )
        self.text = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


@cache
def _contexts() -> _Contexts:
    return _Contexts()


def _code_plane(plane: Any, size: int, *, text: bool) -> tuple[int, Any]:
    """The smallest of the codings of one plane, as (coding, bytes)."""
    compressor = _contexts().text if text else _contexts().entropy
    if not text and size >= 4 * _PROBE_BYTES:
        # Mantissa planes are noise: a sample says so at a sixty-fourth of the price.
        middle = size // 2
        sample = plane[middle : middle + _PROBE_BYTES]
        if len(compressor.compress(sample)) > 0.98 * _PROBE_BYTES:
            return _RAW, plane
    coded = compressor.compress(plane)
    if len(coded) < 64:
        first = bytes(plane[:1])
        if bytes(plane) == first * size:
            return _REPEATED, first
    return (_ZSTD, coded) if len(coded) < size else (_RAW, plane)


def _decode_plane(coding: int, stored: memoryview, size: int, where: str) -> Any:
    if coding == _RAW:
        if len(stored) != size:
            raise Corrupt(where, f"a raw plane has {len(stored)} bytes, must have {size}")
        return stored
    if coding == _REPEATED:
        if len(stored) != 1:
            raise Corrupt(where, "a repeated plane has not one byte")
        return bytes(stored) * size
    if coding != _ZSTD:
        raise Unsupported(f"{where}: unknown plane coding {coding}")
    import zstandard

    try:
        if zstandard.frame_content_size(stored) != size:
            raise Corrupt(where, f"a zstd frame does not declare {size} bytes")
        plane = _contexts().decompressor.decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(where, f"zstd: {error}") from error
    if len(plane) != size:
        raise Corrupt(where, f"a zstd frame gave {len(plane)} bytes, not {size}")
    return plane


# ---------------------------------------------------------------- planes


def _join(planes: list[tuple[int, Any]], rest: Any) -> bytes:
    heads = b"".join(_PLANE.pack(coding, len(coded)) for coding, coded in planes)
    return b"".join([heads, *(coded for _, coded in planes), rest])


def _elements(raw: Buffer, width: int) -> NDArray[np.unsignedinteger[Any]]:
    import numpy as np

    view = memoryview(raw).cast("B")
    elements: NDArray[np.unsignedinteger[Any]] = np.frombuffer(
        view, dtype=f"<u{width}", count=len(view) // width
    )
    return elements


def _split(elements: NDArray[np.unsignedinteger[Any]], width: int) -> list[memoryview]:
    import numpy as np

    if width == 2:
        low, high = elements.astype(np.uint8), (elements >> np.uint16(8)).astype(np.uint8)
        return [low.data, high.data]
    lanes = elements.view(np.uint8).reshape(-1, width)
    return [np.ascontiguousarray(lanes[:, j]).data for j in range(width)]


def _code_planes(elements: Any, width: int, rest: Any) -> bytes:
    size = len(elements)
    return _join([_code_plane(p, size, text=False) for p in _split(elements, width)], rest)


def _rotate_left(elements: Any, width: int) -> Any:
    kind = elements.dtype.type
    return (elements << kind(1)) | (elements >> kind(8 * width - 1))


def _rotate_right(elements: Any, width: int) -> Any:
    kind = elements.dtype.type
    return (elements >> kind(1)) | (elements << kind(8 * width - 1))


def _decode_planes(stored: memoryview, raw_size: int, width: int, where: str) -> tuple[Any, memoryview]:
    """Elements (or, for width 1, bytes) and the rest of a block stored as planes."""
    count, rest_size = divmod(raw_size, width)
    table_size = _PLANE.size * width
    if len(stored) < table_size:
        raise Corrupt(where, "the plane table is cut short")
    table = list(_PLANE.iter_unpack(stored[:table_size]))
    if table_size + sum(size for _, size in table) + rest_size != len(stored):
        raise Corrupt(where, "the planes do not add up to the stored size")
    position, planes = table_size, []
    for coding, size in table:
        planes.append(_decode_plane(coding, stored[position : position + size], count, where))
        position += size
    rest = stored[position:]
    if width == 1:
        return planes[0], rest
    import numpy as np

    if width == 2:
        low, high = (np.frombuffer(p, np.uint8).astype(np.uint16) for p in planes)
        high <<= np.uint16(8)
        high |= low
        return high, rest
    lanes = np.empty((count, width), np.uint8)
    for j, plane in enumerate(planes):
        lanes[:, j] = np.frombuffer(plane, np.uint8)
    return lanes.view(f"<u{width}").reshape(-1), rest


# ---------------------------------------------------------------- difference


def _ordered(elements: Any, width: int) -> Any:
    """Map sign-magnitude bit patterns to unsigned integers in numeric order."""
    import numpy as np

    bits = 8 * width
    signed = elements.view(f"<i{width}")
    # Negative: all bits flipped; positive: the top bit set.
    mask = (signed >> signed.dtype.type(bits - 1)).view(elements.dtype) | elements.dtype.type(
        1 << (bits - 1)
    )
    return np.bitwise_xor(elements, mask)


def _unordered(ordered: Any, width: int) -> Any:
    import numpy as np

    bits = 8 * width
    signed = (~ordered).view(f"<i{width}")
    mask = (signed >> signed.dtype.type(bits - 1)).view(ordered.dtype) | ordered.dtype.type(
        1 << (bits - 1)
    )
    return np.bitwise_xor(ordered, mask)


def _zigzag(difference: Any, width: int) -> Any:
    signed = difference.view(f"<i{width}")
    kind = signed.dtype.type
    return ((signed << kind(1)) ^ (signed >> kind(8 * width - 1))).view(difference.dtype)


def _unzigzag(coded: Any) -> Any:
    kind = coded.dtype.type
    return (coded >> kind(1)) ^ (kind(0) - (coded & kind(1)))


def _code_difference(raw: Buffer, base: Buffer, width: int, *, is_float: bool) -> bytes:
    own, other = _elements(raw, width), _elements(base, width)
    ordered = is_float and width > 1
    if ordered:
        own, other = _ordered(own, width), _ordered(other, width)
    coded = _zigzag(own - other, width)
    rest = memoryview(raw).cast("B")[len(own) * width :]
    if width == 1:
        planes = _join([_code_plane(memoryview(coded), len(coded), text=False)], rest)
    else:
        planes = _code_planes(coded, width, rest)
    return bytes([ordered]) + planes


def _decode_difference(
    stored: memoryview, raw_size: int, width: int, base: Buffer, where: str
) -> bytes:
    import numpy as np

    if not len(stored) or stored[0] > 1:
        raise Corrupt(where, "a difference does not say whether it is ordered")
    coded, rest = _decode_planes(stored[1:], raw_size, width, where)
    if width == 1:
        coded = np.frombuffer(coded, np.uint8)
    other = _elements(base, width)
    own = _unzigzag(coded)
    own = _unordered(own + _ordered(other, width), width) if stored[0] else own + other
    return bytes(own.data) + bytes(rest)


# ---------------------------------------------------------------- blocks


def encode_block(
    raw: Buffer, *, width: int, is_float: bool, base: Buffer | None = None, base_offset: int = 0
) -> Block:
    """Code one block in the smallest of the modes that fit.

    Args:
        raw: the block's bytes.
        width: bytes an element: 1, 2, 4 or 8.
        is_float: the elements are IEEE-like floats (sign bit on top).
        base: the bytes of the delta base at `base_offset`, as many as `raw` has, or None.
        base_offset: stands in the header; 0 without a base.
    """
    view = memoryview(raw).cast("B")
    mode: Mode
    stored: Buffer
    raw_sum = xxh3_64_intdigest(view)
    if base is not None and memoryview(base).cast("B") == view:
        mode, stored = Mode.SAME, b""
    else:
        if width == 1:
            mode = Mode.PLANES
            stored = _join([_code_plane(view, len(view), text=not is_float)], b"")
        else:
            elements = _elements(view, width)
            rest = view[len(elements) * width :]
            mode = Mode.ROTATED if is_float else Mode.PLANES
            rotated = _rotate_left(elements, width) if is_float else elements
            stored = _code_planes(rotated, width, rest)
        if base is not None:
            difference = _code_difference(view, base, width, is_float=is_float)
            if len(difference) < len(stored):
                mode, stored = Mode.DIFFERENCE, difference
        if len(stored) >= len(view):
            mode, stored = Mode.RAW, view
    offset = base_offset if mode in (Mode.SAME, Mode.DIFFERENCE) else 0
    header = BlockHeader(memoryview(stored).nbytes, mode, offset, xxh3_64_intdigest(stored), raw_sum)
    return Block(header, stored)


def check_mode(codec: int, mode: int, where: str) -> None:
    """Refuse a codec or mode that this version does not know.

    Raises:
        Unsupported: the number is unknown.
        Corrupt: the mode does not belong to the codec.
    """
    if codec not in Codec.__members__.values():
        raise Unsupported(f"{where}: unknown codec {codec}", hint="use a newer mstore")
    if mode not in Mode.__members__.values():
        raise Unsupported(f"{where}: unknown block mode {mode}", hint="use a newer mstore")
    if Mode(mode) not in MODES_OF[Codec(codec)]:
        raise Corrupt(where, f"block mode {mode} does not belong to codec {codec}")


def decode_block(
    header: BlockHeader,
    stored: Buffer,
    *,
    raw_size: int,
    width: int,
    base: Buffer | None,
    where: str,
) -> Buffer:
    """Raw bytes of a block, checked against the sums of its header.

    Args:
        header: its header.
        stored: exactly `header.stored_size` bytes.
        raw_size: bytes that must come out.
        width: bytes an element.
        base: `raw_size` bytes of the delta base, for the modes that need them.
        where: how to call the block in an error.

    Raises:
        Corrupt: a sum or a size is wrong.
        Unsupported: the mode is unknown.
    """
    view = memoryview(stored).cast("B")
    if len(view) != header.stored_size or xxh3_64_intdigest(view) != header.stored_sum:
        raise Corrupt(where, "its stored bytes do not have their checksum")
    raw: Buffer
    if header.mode == Mode.RAW:
        raw = view
    elif header.mode in (Mode.SAME, Mode.DIFFERENCE):
        if base is None or memoryview(base).nbytes != raw_size:
            raise Corrupt(where, "its delta base is too short")
        if header.mode == Mode.SAME:
            if len(view):
                raise Corrupt(where, "a block equal to its base has bytes of its own")
            raw = base
        else:
            raw = _decode_difference(view, raw_size, width, base, where)
    elif header.mode in (Mode.PLANES, Mode.ROTATED):
        if header.mode == Mode.ROTATED and width == 1:
            raise Corrupt(where, "elements of one byte cannot be rotated")
        elements, rest = _decode_planes(view, raw_size, width, where)
        if header.mode == Mode.ROTATED:
            elements = _rotate_right(elements, width)
        # An array is handed on as it is: nothing is copied on the way to the file.
        raw = memoryview(elements).cast("B") if not len(rest) else bytes(elements) + bytes(rest)
    else:
        raise Unsupported(f"{where}: unknown block mode {header.mode}", hint="use a newer mstore")
    if memoryview(raw).nbytes != raw_size:
        raise Corrupt(where, f"it gives {memoryview(raw).nbytes} bytes, not {raw_size}")
    if xxh3_64_intdigest(raw) != header.raw_sum:
        raise Corrupt(where, "its raw bytes do not have their checksum")
    return raw
