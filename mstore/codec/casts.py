"""Cast exactly, or by prediction, between bf16 and fp32, so that a delta may cross them.

Source: docs/format.md section 6.9. Integer arithmetic only, any bit pattern. A cast is one
number: how the base's elements are converted, and whether only upper halves are coded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.errors import Corrupt

if TYPE_CHECKING:
    from typing_extensions import Buffer

WIDEN: Final = 1  # bf16 → fp32: sixteen zero bits below
ROUND: Final = 2  # fp32 → bf16: to nearest, ties to even
HALVES: Final = 4  # fp32 whose lower halves are zero: coded as its upper halves
_WIDTH_OF: Final = {WIDEN: 4, ROUND: 2, HALVES: 4, HALVES | WIDEN: 4}
_PROBED_BYTES: Final = 256


def check_cast(cast: int, raw_size: int, width: int, where: str) -> None:
    """Refuse a cast that does not exist or does not fit the block. Raises Corrupt."""
    if _WIDTH_OF.get(cast) != width or raw_size % width:
        raise Corrupt(where, f"cast {cast} does not fit its elements")


def base_size(cast: int, raw_size: int) -> int:
    """Tell how many bytes of the base a block of `raw_size` bytes is coded against."""
    return raw_size // 2 if cast & WIDEN else raw_size * 2 if cast & ROUND else raw_size


def cast_for(raw: memoryview, base: Buffer, width: int, base_width: int) -> int | None:
    """Find the cast from a base to a block of floats; 0: none is needed; None: there is none."""
    if len(raw) % width or not raw:
        return 0 if width == base_width else None
    if (width, base_width) == (2, 4):
        return ROUND
    if (width, base_width) == (4, 2):
        return HALVES | WIDEN if _has_halves(raw) else WIDEN
    if width != base_width:
        return None
    base = memoryview(base).cast("B")
    if width != 4 or not _has_halves(raw) or not _has_halves(base):
        return 0
    return 0 if raw == base else HALVES  # Equal bytes are coded as such, and cost nothing.


def _has_halves(raw: memoryview) -> bool:
    """Tell whether every element of four bytes has a lower half of zeros."""
    import numpy as np

    raw = raw.cast("B")
    return not any(
        np.frombuffer(part, "<u2")[::2].any() for part in (raw[:_PROBED_BYTES], raw[_PROBED_BYTES:])
    )


def converted(base: Buffer, cast: int) -> Buffer:
    """Convert a base as the block's coding needs it, and reduce it to upper halves."""
    import numpy as np

    if cast == HALVES:
        return upper_halves(base)
    if cast == WIDEN:
        return lower_zeros(base)
    if cast == ROUND:
        bits = np.frombuffer(memoryview(base), "<u4").astype(np.uint64)
        return memoryview(((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").data).cast("B")
    return base


def upper_halves(raw: Buffer) -> Buffer:
    """Take the upper two bytes of each element of four."""
    import numpy as np

    return memoryview(np.ascontiguousarray(np.frombuffer(memoryview(raw), "<u2")[1::2]).data).cast("B")


def lower_zeros(halves: Buffer, out: Buffer | None = None) -> Buffer:
    """Make elements of four bytes out of their upper two, in `out` if given."""
    import numpy as np

    upper = np.frombuffer(memoryview(halves), "<u2")
    whole = np.empty(2 * len(upper), "<u2") if out is None else np.frombuffer(memoryview(out), "<u2")
    whole[::2] = 0
    whole[1::2] = upper
    return memoryview(whole.data).cast("B") if out is None else out
