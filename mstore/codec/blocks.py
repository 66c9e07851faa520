"""Blocks: raw bytes ↔ stored bytes, for every mode of docs/format.md section 6.

Pure functions, safe in any number of threads. They check what they are told: stored
bytes that would give more or fewer than `raw_size` bytes are damage, found before
anything large is allocated. They do not know ids, packs or files; which mode is the
smallest is decided here, how planes are coded in `planes`, the loops are the kernel's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_intdigest

from mstore.codec.casts import (
    HALVES,
    base_size,
    cast_for,
    check_cast,
    converted,
    lower_zeros,
    upper_halves,
)
from mstore.codec.kernel import kernel, kernel_is_native
from mstore.codec.planes import decode_planes, encode_planes
from mstore.errors import Corrupt, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    GROUPED = 18
    SPARSE = 19
    CAST = 20


MODES_OF: Final = {
    Codec.RAW: frozenset({Mode.RAW}),
    Codec.PLANES: frozenset({Mode.RAW, Mode.PLANES, Mode.ROTATED}),
    Codec.DELTA: frozenset(Mode),
}

_OF_EQUAL_WIDTH: Final = frozenset({Mode.SAME, Mode.DIFFERENCE, Mode.GROUPED, Mode.SPARSE})
_WITH_BASE: Final = _OF_EQUAL_WIDTH | {Mode.CAST}
_SMALL_BYTES: Final = 64 << 10

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


# ---------------------------------------------------------------- modes


def _split(raw: memoryview, base: Buffer | None, width: int, *, how: bool) -> list[memoryview]:
    count = len(raw) // width
    planes = memoryview(kernel().allocate(count * width))
    kernel().split(raw, base, width, how, planes)
    return [planes[j * count : (j + 1) * count] for j in range(width)]


def _by_itself(view: memoryview, width: int, *, is_float: bool, plain: bool) -> tuple[Mode, bytes]:
    """The block as planes, without a look at any base."""
    rotated = is_float and width > 1
    planes = [view] if width == 1 else _split(view, None, width, how=rotated)
    rest = view[len(view) // width * width :]
    text = width == 1 and not is_float
    mode = Mode.ROTATED if rotated else Mode.PLANES
    return mode, encode_planes(planes, rest, text=text, plain=plain)


def _by_difference(view: memoryview, base: Buffer, width: int, *, is_float: bool) -> tuple[Mode, bytes]:
    """The difference as mstore 0.1 reads it."""
    ordered = is_float and width > 1
    planes = _split(view, base, width, how=ordered)
    rest = view[len(view) // width * width :]
    return Mode.DIFFERENCE, bytes([ordered]) + encode_planes(planes, rest, text=False, plain=True)


def _shift_of(width: int, *, is_float: bool, exponent_bits: int | None) -> int:
    """The shift that makes a key of a base's element: its exponent, or the top byte of an integer."""
    if not is_float:
        return 8 * width - 8
    return 8 * width - min(exponent_bits or {1: 4, 2: 8, 4: 8, 8: 11}[width], 8 * width - 1)


def _candidates(
    view: memoryview,
    base: Buffer | None,
    width: int,
    *,
    is_float: bool,
    exponent_bits: int | None,
    plain: bool,
) -> Iterator[tuple[Mode, Buffer]]:
    """The modes worth trying, each with what it stores."""
    if base is None:
        yield _by_itself(view, width, is_float=is_float, plain=plain)
    elif plain:
        yield _by_itself(view, width, is_float=is_float, plain=True)
        yield _by_difference(view, base, width, is_float=is_float)
    elif (sparse := kernel().encode_sparse(view, base, width)) is not None:
        yield Mode.SPARSE, sparse
        if len(view) < _SMALL_BYTES:
            yield _by_itself(view, width, is_float=is_float, plain=False)
    else:
        # A sample decides on large blocks, so that a base of no use costs no time.
        own, difference = kernel().estimate(view, base, width, is_float)
        if len(view) < _SMALL_BYTES or difference >= own:
            yield _by_itself(view, width, is_float=is_float, plain=False)
        if len(view) < _SMALL_BYTES or difference < own:
            shift = _shift_of(width, is_float=is_float, exponent_bits=exponent_bits)
            grouped = kernel().encode_grouped(view, base, width, is_float, shift)
            if grouped is not None:
                yield Mode.GROUPED, grouped


def _smallest(
    view: memoryview,
    base: Buffer | None,
    width: int,
    *,
    is_float: bool,
    exponent_bits: int | None,
    plain: bool,
) -> tuple[Mode, Buffer]:
    """The mode that takes least, and what it stores."""
    if base is not None and kernel().equal(base, view):
        return Mode.SAME, b""
    mode: Mode = Mode.RAW
    stored: Buffer = view
    for candidate, coded in _candidates(
        view, base, width, is_float=is_float, exponent_bits=exponent_bits, plain=plain
    ):
        if memoryview(coded).nbytes < memoryview(stored).nbytes:
            mode, stored = candidate, coded
    return mode, stored


def _by_cast(
    view: memoryview, base: Buffer, cast: int, width: int, *, exponent_bits: int | None
) -> tuple[Mode, Buffer]:
    """The block against its base in another dtype, or both as what they really are."""
    near = converted(base, cast)
    inner, stored = _smallest(
        memoryview(upper_halves(view)) if cast & HALVES else view,
        near,
        2 if cast & HALVES else width,
        is_float=True,
        exponent_bits=exponent_bits,
        plain=False,
    )
    if inner in _OF_EQUAL_WIDTH:
        return Mode.CAST, b"".join((bytes([cast, inner]), stored))
    return _smallest(view, None, width, is_float=True, exponent_bits=exponent_bits, plain=False)


# ---------------------------------------------------------------- blocks


def encode_block(
    raw: Buffer,
    *,
    width: int,
    is_float: bool,
    base: Buffer | None = None,
    base_offset: int = 0,
    base_width: int | None = None,
    exponent_bits: int | None = None,
    plain: bool | None = None,
) -> Block:
    """Code one block in the smallest of the modes that fit.

    Args:
        raw: the block's bytes.
        width: bytes an element: 1, 2, 4 or 8.
        is_float: the elements are IEEE-like floats (sign bit on top).
        base: the bytes of the delta base at `base_offset`, for as many elements as `raw` has,
            or None.
        base_offset: stands in the header; 0 without a base.
        base_width: bytes an element of the base, bf16 or fp32, where that is not `width`.
        exponent_bits: of a float; None takes bf16's, fp32's, fp64's or e4m3's by width. Only the
            size depends on it.
        plain: only modes and codings that mstore 0.1 reads. None: only where the numpy twin
            runs, which reads the others but writes them at a few MB/s.
    """
    view = memoryview(raw).cast("B")
    plain = not kernel_is_native() if plain is None else plain
    raw_sum = xxh3_64_intdigest(view)
    cast: int | None = 0
    if base is not None and is_float:
        cast = cast_for(view, base, width, base_width or width)
    if plain and base_width not in (None, width):
        cast = None
    if base is not None and cast and not plain:
        mode, stored = _by_cast(view, base, cast, width, exponent_bits=exponent_bits)
    else:
        mode, stored = _smallest(
            view,
            None if cast is None else base,
            width,
            is_float=is_float,
            exponent_bits=exponent_bits,
            plain=plain,
        )
    offset = base_offset if mode in _WITH_BASE else 0
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


def base_size_of(mode: int, stored: Buffer, raw_size: int) -> int:
    """Bytes of the delta base, from the header's offset on, that a block's mode asks for."""
    view = memoryview(stored)
    return base_size(view[0], raw_size) if mode == Mode.CAST and view else raw_size


def decode_block(
    header: BlockHeader,
    stored: Buffer,
    *,
    raw_size: int,
    width: int,
    base: Buffer | None,
    where: str,
    into: Buffer | None = None,
) -> Buffer:
    """Raw bytes of a block, checked against the sums of its header.

    Args:
        header: its header.
        stored: exactly `header.stored_size` bytes.
        raw_size: bytes that must come out.
        width: bytes an element.
        base: `base_size_of` bytes of the delta base, for the modes that need them.
        where: how to call the block in an error.
        into: writable, `raw_size` bytes, not overlapping `stored` or `base`: filled and given
            back. None: the bytes stand where it costs least. After an error it holds anything.

    Raises:
        Corrupt: a sum or a size is wrong.
        Unsupported: the mode is unknown.
    """
    view = memoryview(stored).cast("B")
    if len(view) != header.stored_size or xxh3_64_intdigest(view) != header.stored_sum:
        raise Corrupt(where, "its stored bytes do not have their checksum")
    if into is not None and memoryview(into).nbytes != raw_size:
        raise ValueError("the buffer to decode into has not the block's size")
    raw: Buffer
    if header.mode == Mode.RAW:
        raw = view
    elif header.mode in _WITH_BASE:
        if base is None or memoryview(base).nbytes != base_size_of(header.mode, view, raw_size):
            raise Corrupt(where, "its delta base is too short")
        raw = _decode_with_base(header.mode, view, raw_size, width, base, where, into)
    elif header.mode in (Mode.PLANES, Mode.ROTATED):
        rotated = header.mode == Mode.ROTATED
        if rotated and width == 1:
            raise Corrupt(where, "elements of one byte cannot be rotated")
        raw = _decode_planes(view, raw_size, width, None, where, into, how=rotated)
    else:
        raise Unsupported(f"{where}: unknown block mode {header.mode}", hint="use a newer mstore")
    if memoryview(raw).nbytes != raw_size:
        raise Corrupt(where, f"it gives {memoryview(raw).nbytes} bytes, not {raw_size}")
    if xxh3_64_intdigest(raw) != header.raw_sum:
        raise Corrupt(where, "its raw bytes do not have their checksum")
    if into is not None and raw is not into:
        memoryview(into).cast("B")[:] = memoryview(raw).cast("B")
        raw = into
    return raw


def _decode_planes(
    stored: memoryview,
    raw_size: int,
    width: int,
    base: Buffer | None,
    where: str,
    into: Buffer | None,
    *,
    how: bool,
) -> Buffer:
    planes, rest = decode_planes(stored, raw_size, width, where)
    if width == 1 and base is None:
        return planes[0]
    out = memoryview(kernel().allocate(raw_size) if into is None else into).cast("B")
    kernel().join(planes, base, how, out)
    out[raw_size - len(rest) :] = rest
    return out if into is None else into


def _decode_with_base(
    mode: int,
    stored: memoryview,
    raw_size: int,
    width: int,
    base: Buffer,
    where: str,
    into: Buffer | None,
) -> Buffer:
    if mode == Mode.CAST:
        if len(stored) < 2 or stored[1] not in _OF_EQUAL_WIDTH:
            raise Corrupt(where, "a cast does not say what it is and what follows")
        cast, inner = stored[0], stored[1]
        check_cast(cast, raw_size, width, where)
        near = converted(base, cast)
        if not cast & HALVES:
            return _decode_with_base(inner, stored[2:], raw_size, width, near, where, into)
        halves = _decode_with_base(inner, stored[2:], raw_size // 2, 2, near, where, None)
        return lower_zeros(halves, into)
    if mode == Mode.SAME:
        if len(stored):
            raise Corrupt(where, "a block equal to its base has bytes of its own")
        return base
    if mode == Mode.DIFFERENCE:
        if not len(stored) or stored[0] > 1:
            raise Corrupt(where, "a difference does not say whether it is ordered")
        ordered = bool(stored[0])
        return _decode_planes(stored[1:], raw_size, width, base, where, into, how=ordered)
    out = kernel().allocate(raw_size) if into is None else into
    decode = kernel().decode_grouped if mode == Mode.GROUPED else kernel().decode_sparse
    if not decode(stored, base, width, out):
        raise Corrupt(where, f"a {Mode(mode).name.lower()} difference does not decode")
    return out
