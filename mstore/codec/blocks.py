"""Blocks: raw bytes ↔ stored bytes, for every mode of docs/format.md section 6.

Pure functions, safe in any number of threads. They check what they are given: stored
bytes that would give more or fewer than `raw_size` bytes are damage, found before
anything large is allocated. They do not know ids, packs or files; `choose` decides which
mode is the smallest, `planes` how planes are coded, and the loops are the kernel's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_intdigest

from mstore.codec.casts import HALVES, base_size, check_cast, converted, lower_zeros
from mstore.codec.choose import Element, choose
from mstore.codec.header import BlockHeader
from mstore.codec.kernel import kernel, kernel_is_native
from mstore.codec.modes import OF_EQUAL_WIDTH, WITH_BASE, Mode
from mstore.codec.planes import decode_planes
from mstore.errors import Corrupt, Unsupported

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK_LOG2: Final = 20
WIDTHS: Final = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Block:
    """A coded block: its header and its stored bytes (in parts, to spare a copy)."""

    header: BlockHeader
    stored: Buffer


def encode_block(  # noqa: PLR0913, RUF100 - all but the first have names, and most calls pass three
    raw: Buffer,
    *,
    width: int,
    is_float: bool,
    base: Buffer | None = None,
    base_offset: int = 0,
    base_width: int | None = None,
    exponent_bits: int | None = None,
    v1_only: bool | None = None,
) -> Block:
    """Code one block in the smallest of the modes that fit.

    Args:
        raw: the block's bytes.
        width: bytes an element: 1, 2, 4 or 8.
        is_float: the elements are IEEE-like floats (sign bit on top).
        base: the bytes of the delta base at `base_offset`, for as many elements as `raw` has,
            or None.
        base_offset: written into the header; 0 without a base.
        base_width: bytes an element of the base, bf16 or fp32, where that is not `width`.
        exponent_bits: of a float; None takes bf16's, fp32's, fp64's or e4m3's by width. Only the
            size depends on it.
        v1_only: take only modes and codings that mstore 0.1 reads. None: only where the numpy
            twin runs, which reads the others but writes them at a few MB/s.
    """
    view = memoryview(raw).cast("B")
    mode, stored = choose(
        view,
        base,
        Element(width, is_float, exponent_bits),
        base_width=base_width or width,
        v1_only=not kernel_is_native() if v1_only is None else v1_only,
    )
    header = BlockHeader(
        stored_size=memoryview(stored).nbytes,
        mode=mode,
        base_offset=base_offset if mode in WITH_BASE else 0,
        stored_sum=xxh3_64_intdigest(stored),
        raw_sum=xxh3_64_intdigest(view),
    )
    return Block(header, stored)


def base_size_of(mode: int, stored: Buffer, raw_size: int) -> int:
    """Tell how many bytes of the delta base, from the header's offset on, a block's mode needs."""
    view = memoryview(stored)
    return base_size(view[0], raw_size) if mode == Mode.CAST and view else raw_size


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The block that must come out.

    Args:
        raw_size: its bytes.
        width: bytes an element.
        where: how to call it in an error.
        into: the buffer to fill, or None.
    """

    raw_size: int
    width: int
    where: str
    into: Buffer | None

    def room(self) -> Buffer:
        """Return the buffer to fill, a new one if none was given."""
        return kernel().allocate(self.raw_size) if self.into is None else self.into


def decode_block(  # noqa: PLR0913, RUF100 - the block, its base, and what must come out
    header: BlockHeader,
    stored: Buffer,
    *,
    raw_size: int,
    width: int,
    base: Buffer | None,
    where: str,
    into: Buffer | None = None,
) -> Buffer:
    """Decode a block, and check it against the sums of its header.

    Args:
        header: its header.
        stored: exactly `header.stored_size` bytes.
        raw_size: bytes that must come out.
        width: bytes an element.
        base: `base_size_of` bytes of the delta base, for the modes that need them.
        where: how to call the block in an error.
        into: writable, `raw_size` bytes, not overlapping `stored` or `base`: filled and given
            back. None: the bytes are put where it costs least. After an error it holds anything.

    Raises:
        Corrupt: a sum or a size is wrong.
        Unsupported: the mode is unknown.
    """
    view = memoryview(stored).cast("B")
    if len(view) != header.stored_size or xxh3_64_intdigest(view) != header.stored_sum:
        raise Corrupt(where, "its stored bytes do not match their checksum")
    if into is not None and memoryview(into).nbytes != raw_size:
        raise ValueError("the buffer to decode into does not have the block's size")
    raw = _decode(header.mode, view, base, _Wanted(raw_size, width, where, into))
    if memoryview(raw).nbytes != raw_size:
        raise Corrupt(where, f"it gives {memoryview(raw).nbytes} bytes, not {raw_size}")
    if xxh3_64_intdigest(raw) != header.raw_sum:
        raise Corrupt(where, "its raw bytes do not match their checksum")
    if into is not None and raw is not into:
        memoryview(into).cast("B")[:] = memoryview(raw).cast("B")
        raw = into
    return raw


def _decode(mode: int, stored: memoryview, base: Buffer | None, target: _Wanted) -> Buffer:
    where = target.where
    if mode == Mode.RAW:
        return stored
    if mode in WITH_BASE:
        if base is None or memoryview(base).nbytes != base_size_of(mode, stored, target.raw_size):
            raise Corrupt(where, "its delta base is too short")
        if mode == Mode.CAST:
            return _decode_cast(stored, base, target)
        return _decode_with_base(mode, stored, base, target)
    if mode in (Mode.PLANES, Mode.ROTATED):
        rotated = mode == Mode.ROTATED
        if rotated and target.width == 1:
            raise Corrupt(where, "elements of one byte cannot be rotated")
        return _decode_planes(stored, None, target, how=rotated)
    raise Unsupported(f"{where}: unknown block mode {mode}", hint="use a newer mstore")


def _decode_planes(stored: memoryview, base: Buffer | None, target: _Wanted, *, how: bool) -> Buffer:
    planes, rest = decode_planes(stored, target.raw_size, target.width, target.where)
    if target.width == 1 and base is None:
        return planes[0]
    room = target.room()
    out = memoryview(room).cast("B")
    kernel().join(planes, base, how, out)
    out[target.raw_size - len(rest) :] = rest
    return room


def _decode_cast(stored: memoryview, base: Buffer, target: _Wanted) -> Buffer:
    if len(stored) < 2 or stored[1] not in OF_EQUAL_WIDTH:
        raise Corrupt(target.where, "a cast lacks its kind or its inner mode")
    cast, inner = stored[0], stored[1]
    check_cast(cast, target.raw_size, target.width, target.where)
    near = converted(base, cast)
    if not cast & HALVES:
        return _decode_with_base(inner, stored[2:], near, target)
    narrow = replace(target, raw_size=target.raw_size // 2, width=2, into=None)
    return lower_zeros(_decode_with_base(inner, stored[2:], near, narrow), target.into)


def _decode_with_base(mode: int, stored: memoryview, base: Buffer, target: _Wanted) -> Buffer:
    """Decode a mode whose base has elements as wide as the block's."""
    if mode == Mode.SAME:
        if len(stored):
            raise Corrupt(target.where, "a block equal to its base must have no bytes of its own")
        return base
    if mode == Mode.DIFFERENCE:
        if not len(stored) or stored[0] > 1:
            raise Corrupt(target.where, "a difference lacks its ordered flag")
        return _decode_planes(stored[1:], base, target, how=bool(stored[0]))
    out = target.room()
    decode = kernel().decode_grouped if mode == Mode.GROUPED else kernel().decode_sparse
    if not decode(stored, base, target.width, out):
        raise Corrupt(target.where, f"a {Mode(mode).name.lower()} difference does not decode")
    return out
