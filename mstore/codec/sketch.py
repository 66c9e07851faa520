"""Sketch blobs: 32 bytes by which one is recognised as nearly equal to another.

Source: docs/format.md section 6.8. A sketch is sampled from the bytes while they are hashed.
Pure; knows no store. Only a measurement tells whether a candidate is worth a delta.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

_Key = TypeVar("_Key")

SKETCH_SIZE_BYTES: Final = 32
SKETCHED_FROM_BYTES: Final = 64 << 10
_MOST_REPEATS: Final = 8
_LEAST_EQUAL: Final = 20
_BAND_BYTES: Final = 4
# Bits below the seven that are kept: exponent's low bits, and the top one or two of the mantissa.
_DROPPED_BITS: Final = {2: 6, 4: 21, 8: 50}


class Sketcher:
    """Makes the sketch of a blob from its bytes; it is used like a hasher.

    Args:
        size_bytes: of the blob.
        width: bytes an element: 1, 2, 4 or 8.
        is_float: the elements are floats.
    """

    def __init__(self, size_bytes: int, *, width: int, is_float: bool) -> None:
        count = size_bytes // width
        self._width = width
        self._dropped = _DROPPED_BITS.get(width) if is_float else None
        self._offsets = (
            [(2 * i + 1) * count // (2 * SKETCH_SIZE_BYTES) * width for i in range(SKETCH_SIZE_BYTES)]
            if size_bytes >= SKETCHED_FROM_BYTES
            else []
        )
        self._begin = 0
        self._sketch = bytearray()

    def update(self, part: Buffer) -> None:
        """Take the next bytes; all parts but the last must hold whole elements."""
        taken = len(self._sketch)
        if taken == len(self._offsets):
            return
        view = memoryview(part).cast("B")
        end = self._begin + len(view)
        for offset in self._offsets[taken:]:
            if offset >= end:
                break
            at = offset - self._begin
            element = int.from_bytes(view[at : at + self._width], "little")
            if self._dropped is not None:
                sign = element >> (8 * self._width - 1)
                element = sign << 7 | (element >> self._dropped & 127)
            self._sketch.append(element & 255)
        self._begin = end

    def digest(self) -> bytes | None:
        """Return the sketch; None for a blob that is too small or too uniform."""
        if len(self._sketch) < SKETCH_SIZE_BYTES:
            return None
        if max(Counter(self._sketch).values()) > _MOST_REPEATS:
            return None
        return bytes(self._sketch)


def bands_of(sketch: bytes, size_bytes: int, width: int) -> tuple[bytes, ...]:
    """Make the keys by which candidates are looked up; similar sketches almost surely share one.

    Four of 32 bytes make a key, eight keys a sketch. With 25 bytes in agreement one key at
    least is shared; with 20, in three of four cases.
    """
    begin = size_bytes.to_bytes(8, "little") + bytes([width])
    return tuple(
        begin + bytes([i]) + sketch[i : i + _BAND_BYTES]
        for i in range(0, SKETCH_SIZE_BYTES, _BAND_BYTES)
    )


def most_alike(sketch: bytes, others: Mapping[_Key, bytes]) -> _Key | None:
    """Find the sketch that agrees in most bytes, if those are enough; the first of equals."""
    best: _Key | None = None
    most = _LEAST_EQUAL - 1
    for key, other in others.items():
        equal = sum(a == b for a, b in zip(sketch, other, strict=False))
        if equal > most:
            best, most = key, equal
    return best
