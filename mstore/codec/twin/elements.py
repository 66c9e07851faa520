"""Elements of a block: byte planes, and differences to a base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Buffer


def allocate(size: int) -> bytearray:
    """Return a bytearray of that size."""
    return bytearray(size)


def equal(a: Buffer, b: Buffer) -> bool:
    """Tell whether two buffers hold the same bytes."""
    return np.array_equal(elements_of(a, 1), elements_of(b, 1))


def check_base(raw: Buffer, base: Buffer) -> None:
    """Raise ValueError if a base is shorter than its block."""
    if memoryview(base).nbytes < memoryview(raw).nbytes:
        raise ValueError("the buffers do not have the sizes that belong together")


def elements_of(raw: Buffer, width: int) -> Any:
    """Return a buffer as unsigned integers of `width` bytes; an incomplete last one is dropped."""
    if width not in (1, 2, 4, 8):
        raise ValueError("an element has 1, 2, 4 or 8 bytes")
    view = memoryview(raw).cast("B")
    return np.frombuffer(view, f"<u{width}", count=len(view) // width)


def _sign(elements: Any) -> Any:
    """Set all bits where the top bit is set."""
    kind, bits = elements.dtype.type, 8 * elements.dtype.itemsize
    return kind(0) - (elements >> kind(bits - 1))


def _ordered(elements: Any) -> Any:
    """Convert sign-magnitude bit patterns to unsigned integers in numeric order."""
    kind, bits = elements.dtype.type, 8 * elements.dtype.itemsize
    return elements ^ (_sign(elements) | kind(1 << (bits - 1)))


def _unordered(ordered: Any) -> Any:
    kind, bits = ordered.dtype.type, 8 * ordered.dtype.itemsize
    return ordered ^ (_sign(~ordered) | kind(1 << (bits - 1)))


def difference(own: Any, other: Any, *, ordered: bool, orient: bool) -> Any:
    """Zigzag the difference of elements, or of their numeric order.

    Args:
        own: the block's elements.
        other: the base's.
        ordered: map both to numeric order first.
        orient: negate the difference where the base is negative.
    """
    d = _ordered(own) - _ordered(other) if ordered else own - other
    if orient:
        turn = _sign(other)
        d = (d ^ turn) - turn
    return (d << d.dtype.type(1)) ^ _sign(d)


def undone(coded: Any, other: Any, *, ordered: bool, orient: bool) -> Any:
    """Give the block's elements back from what `difference` made of them."""
    kind = coded.dtype.type
    d = (coded >> kind(1)) ^ (kind(0) - (coded & kind(1)))
    if orient:
        turn = _sign(other)
        d = (d ^ turn) - turn
    return _unordered(_ordered(other) + d) if ordered else other + d


def rotated(elements: Any, *, left: bool) -> Any:
    """Rotate each element by one bit."""
    kind, bits = elements.dtype.type, 8 * elements.dtype.itemsize
    near, far = kind(1), kind(bits - 1)
    if left:
        return (elements << near) | (elements >> far)
    return (elements >> near) | (elements << far)


def planes_of(elements: Any) -> Any:
    """Split elements into byte planes, a row each, lowest byte first."""
    return np.ascontiguousarray(elements.view(np.uint8).reshape(-1, elements.dtype.itemsize).T)


def joined(planes: Any, width: int) -> Any:
    """Put the elements together of which `planes_of` made rows."""
    return np.ascontiguousarray(planes.T).view(f"<u{width}").reshape(-1)


def split(raw: Buffer, base: Buffer | None, width: int, how: bool, planes: Buffer) -> None:
    """Fill `planes` from the elements (rotated if `how`) or their differences (ordered if `how`)."""
    elements = elements_of(raw, width)
    out = elements_of(planes, 1)
    short = base is not None and memoryview(base).nbytes < memoryview(raw).nbytes
    if short or len(out) != len(elements) * width:
        raise ValueError("the buffers do not have the sizes that belong together")
    if base is not None:
        other = elements_of(base, width)[: len(elements)]
        elements = difference(elements, other, ordered=how, orient=False)
    elif how:
        elements = rotated(elements, left=True)
    out[:] = planes_of(elements).reshape(-1)


def join(planes: tuple[Buffer, ...], base: Buffer | None, how: bool, out: Buffer) -> None:
    """Undo a split; the bytes of `out` after its last whole element stay as they are."""
    width = len(planes)
    own = elements_of(out, width)
    short = base is not None and memoryview(base).nbytes < memoryview(out).nbytes
    if short or any(memoryview(plane).nbytes != len(own) for plane in planes):
        raise ValueError("the buffers do not have the sizes that belong together")
    elements = joined(np.stack([elements_of(plane, 1) for plane in planes]), width)
    if base is not None:
        elements = undone(elements, elements_of(base, width)[: len(own)], ordered=how, orient=False)
    elif how:
        elements = rotated(elements, left=False)
    own[:] = elements
