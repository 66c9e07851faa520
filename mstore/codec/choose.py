"""Choose the mode of a block: the smallest of those that are worth trying.

It hides which modes are tried, and when a sample decides. It knows neither headers nor
checksums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.codec.casts import HALVES, cast_for, converted, upper_halves
from mstore.codec.kernel import kernel
from mstore.codec.modes import OF_EQUAL_WIDTH, Mode
from mstore.codec.planes import encode_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

_SMALL_BYTES: Final = 64 << 10
_EXPONENT_BITS: Final = {1: 4, 2: 8, 4: 8, 8: 11}


@dataclass(frozen=True, slots=True)
class Element:
    """The elements that a block consists of.

    Args:
        width: bytes: 1, 2, 4 or 8.
        is_float: they are IEEE-like floats (sign bit on top).
        exponent_bits: of a float; None takes bf16's, fp32's, fp64's or e4m3's by width. Only
            the size depends on it.
    """

    width: int
    is_float: bool
    exponent_bits: int | None = None

    @property
    def is_rotated(self) -> bool:
        """Whether a rotation separates sign and exponent: floats of more than a byte."""
        return self.is_float and self.width > 1

    @property
    def key_shift(self) -> int:
        """The shift that makes a key of a base's element: its exponent, or an integer's top byte."""
        bits = 8 * self.width
        if not self.is_float:
            return bits - 8
        return bits - min(self.exponent_bits or _EXPONENT_BITS[self.width], bits - 1)


def choose(
    view: memoryview, base: Buffer | None, element: Element, *, base_width: int, v1_only: bool
) -> tuple[Mode, Buffer]:
    """Encode a block in the smallest of the modes that fit.

    Args:
        view: the block.
        base: the delta base's bytes for as many elements, or None.
        element: the elements of the block.
        base_width: bytes an element of the base.
        v1_only: take only modes and codings that mstore 0.1 reads.

    Returns:
        The mode, and the bytes to store.
    """
    if base is None:
        return _smallest(view, None, element, v1_only=v1_only)
    cast = 0 if not element.is_float else cast_for(view, base, element.width, base_width)
    if cast is None or (v1_only and base_width != element.width):
        return _smallest(view, None, element, v1_only=v1_only)
    if cast and not v1_only:
        return _by_cast(view, base, cast, element)
    return _smallest(view, base, element, v1_only=v1_only)


def _smallest(
    view: memoryview, base: Buffer | None, element: Element, *, v1_only: bool
) -> tuple[Mode, Buffer]:
    """Encode in the mode that takes least, without a cast."""
    if base is not None and kernel().equal(base, view):
        return Mode.SAME, b""
    mode: Mode = Mode.RAW
    stored: Buffer = view
    for candidate, coded in _candidates(view, base, element, v1_only=v1_only):
        if memoryview(coded).nbytes < memoryview(stored).nbytes:
            mode, stored = candidate, coded
    return mode, stored


def _candidates(
    view: memoryview, base: Buffer | None, element: Element, *, v1_only: bool
) -> Iterator[tuple[Mode, Buffer]]:
    """Yield the modes worth trying, each with the bytes that it stores."""
    if base is None:
        yield _by_itself(view, element, v1_only=v1_only)
    elif v1_only:
        yield _by_itself(view, element, v1_only=True)
        yield _by_difference(view, base, element)
    elif (sparse := kernel().encode_sparse(view, base, element.width)) is not None:
        yield Mode.SPARSE, sparse
        if len(view) < _SMALL_BYTES:
            yield _by_itself(view, element, v1_only=False)
    else:
        # A sample decides on large blocks, so that a base of no use costs no time.
        own, difference = kernel().estimate(view, base, element.width, element.is_float)
        if len(view) < _SMALL_BYTES or difference >= own:
            yield _by_itself(view, element, v1_only=False)
        if len(view) < _SMALL_BYTES or difference < own:
            grouped = kernel().encode_grouped(
                view, base, element.width, element.is_float, element.key_shift
            )
            if grouped is not None:
                yield Mode.GROUPED, grouped


def _by_itself(view: memoryview, element: Element, *, v1_only: bool) -> tuple[Mode, bytes]:
    """Encode as planes, without a look at any base."""
    width, rotated = element.width, element.is_rotated
    planes = [view] if width == 1 else _split(view, None, width, how=rotated)
    rest = view[len(view) // width * width :]
    text = width == 1 and not element.is_float
    mode = Mode.ROTATED if rotated else Mode.PLANES
    return mode, encode_planes(planes, rest, text=text, v1_only=v1_only)


def _by_difference(view: memoryview, base: Buffer, element: Element) -> tuple[Mode, bytes]:
    """Encode the difference as mstore 0.1 reads it."""
    width, ordered = element.width, element.is_rotated
    planes = _split(view, base, width, how=ordered)
    rest = view[len(view) // width * width :]
    coded = encode_planes(planes, rest, text=False, v1_only=True)
    return Mode.DIFFERENCE, bytes([ordered]) + coded


def _by_cast(view: memoryview, base: Buffer, cast: int, element: Element) -> tuple[Mode, Buffer]:
    """Encode against a base in another dtype, or both as the narrower dtype that they hold."""
    halves = bool(cast & HALVES)
    inner, stored = _smallest(
        memoryview(upper_halves(view)) if halves else view,
        converted(base, cast),
        Element(2 if halves else element.width, True, element.exponent_bits),
        v1_only=False,
    )
    if inner in OF_EQUAL_WIDTH:
        return Mode.CAST, b"".join((bytes([cast, inner]), stored))
    return _smallest(view, None, element, v1_only=False)


def _split(raw: memoryview, base: Buffer | None, width: int, *, how: bool) -> list[memoryview]:
    count = len(raw) // width
    planes = memoryview(kernel().allocate(count * width))
    kernel().split(raw, base, width, how, planes)
    return [planes[j * count : (j + 1) * count] for j in range(width)]
