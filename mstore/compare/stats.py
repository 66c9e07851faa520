"""By how much the elements of two tensors differ, with numpy, in chunks of bounded size.

Hides dtypes: every element is taken as its float64 value (integers
past 2^53 are rounded, F64 past 1e154 overflows the squares). Bits are compared as
they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.compat import renamed_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_CHUNK_ELEMENTS: Final = 1 << 20  # some 50 MB of raw bytes, float64 and masks at a time


@dataclass(frozen=True, slots=True)
class TensorStat:
    """By how much the elements of two tensors differ; norms are Frobenius, in float64.

    Args:
        elements: in each of the two.
        differing: pairs whose bits differ; where the dtypes differ, whose values do.
        not_finite: pairs in which one is NaN or infinite; the norms leave them out.
        norm_change: ‖b − a‖.
        norm_a: ‖a‖.
        norm_b: ‖b‖.
        dot: ⟨a, b⟩.
    """

    elements: int
    differing: int
    not_finite: int
    norm_change: float
    norm_a: float
    norm_b: float
    dot: float

    left_out = renamed_field("left_out", "not_finite")

    @property
    def share(self) -> float:
        """Share of the elements that differ, 0 to 1."""
        return self.differing / self.elements if self.elements else 0.0

    @property
    def relative(self) -> float:
        """‖b − a‖ / ‖a‖; infinite where a is 0 and b is not."""
        if self.norm_a:
            return self.norm_change / self.norm_a
        return 0.0 if self.norm_change == 0 else math.nan if math.isnan(self.norm_change) else math.inf

    @property
    def cosine(self) -> float | None:
        """Cosine of the angle between a and b as vectors; None where one of them is 0."""
        if not self.norm_a or not self.norm_b:
            return None
        return max(-1.0, min(1.0, self.dot / self.norm_a / self.norm_b))

    @classmethod
    def total(cls, stats: list[TensorStat]) -> TensorStat:
        """Combine figures of tensors, as if they were one long vector."""

        def norm(name: str) -> float:
            return math.hypot(*(getattr(s, name) for s in stats))

        return cls(
            sum(s.elements for s in stats),
            sum(s.differing for s in stats),
            sum(s.not_finite for s in stats),
            norm("norm_change"),
            norm("norm_a"),
            norm("norm_b"),
            math.fsum(s.dot for s in stats) if all(math.isfinite(s.dot) for s in stats) else math.nan,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {
            "element_count": self.elements,
            "differing_count": self.differing,
            "not_finite_count": self.not_finite,
            "share": self.share,
            "relative": self.relative,
            "cosine": self.cosine,
            "norm_change": self.norm_change,
            "norm_a": self.norm_a,
            "norm_b": self.norm_b,
        }

    def __str__(self) -> str:
        cosine = "–" if self.cosine is None else f"{self.cosine:.6f}"
        return f"{self.share:.1%} differ, change {self.relative:.3g} of the norm, cosine {cosine}"


ReadAt = Callable[[int, int], bytes]
"""Reads (offset, size) of a tensor's bytes."""


def can_measure(dtype: str, count: int, size_bytes: int) -> bool:
    """Return whether numbers can be computed from bytes.

    They cannot for dtypes of less than a byte and complex ones, nor for a torch
    tensor whose elements do not lie one behind the other.
    """
    return dtype in _WIDTHS and count * _WIDTHS[dtype] == size_bytes


def measured(count: int, dtype_a: str, read_a: ReadAt, dtype_b: str, read_b: ReadAt) -> TensorStat:
    """Measure two tensors of `count` elements each, for which `can_measure` holds.

    Raises:
        MStoreError: a tensor cannot be read.
    """
    import numpy as np

    width_a, width_b = _WIDTHS[dtype_a], _WIDTHS[dtype_b]
    differing = not_finite = 0
    change = square_a = square_b = dot = 0.0
    for begin, size in _chunks(count):
        raw_a = read_a(begin * width_a, size * width_a)
        raw_b = read_b(begin * width_b, size * width_b)
        # Signalling NaNs and F64 past 1e154 would warn; both show in the figures.
        with np.errstate(all="ignore"):
            x, y = values_of(raw_a, dtype_a), values_of(raw_b, dtype_b)
            if dtype_a == dtype_b:
                bits = f"<u{width_a}"
                unlike = np.frombuffer(raw_a, bits) != np.frombuffer(raw_b, bits)
            else:
                unlike = (x != y) & ~(np.isnan(x) & np.isnan(y))
            differing += int(np.count_nonzero(unlike))
            finite = np.isfinite(x) & np.isfinite(y)
            outside = size - int(np.count_nonzero(finite))
            if outside:
                not_finite += outside
                x, y = x[finite], y[finite]
            square_a += float(np.dot(x, x))
            square_b += float(np.dot(y, y))
            dot += float(np.dot(x, y))
            y -= x
            change += float(np.dot(y, y))
    norms = math.sqrt(change), math.sqrt(square_a), math.sqrt(square_b)
    return TensorStat(count, differing, not_finite, *norms, dot)


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, count, _CHUNK_ELEMENTS):
        yield begin, min(_CHUNK_ELEMENTS, count - begin)


# dtype → numpy's, where it has it; the others are decoded from unsigned integers.
_NUMPY: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "u1",
}
# Exponent bits, mantissa bits, bias, and what the topmost codes mean.
# Source: OCP 8-bit floating point 1.0 (E4M3 has no infinity and one NaN a sign);
# FNUZ: arXiv 2206.02915 (one NaN where −0 would be, no infinity).
_SMALL_FLOATS: Final = {
    "F8_E4M3": (4, 3, 7, "one nan"),
    "F8_E5M2": (5, 2, 15, "ieee"),
    "F8_E4M3FNUZ": (4, 3, 8, "fnuz"),
    "F8_E5M2FNUZ": (5, 2, 16, "fnuz"),
}
_WIDTHS: Final = {
    **{name: int(code[-1]) for name, code in _NUMPY.items()},
    **dict.fromkeys(_SMALL_FLOATS, 1),
    "BF16": 2,
}


def values_of(raw: bytes, dtype: str) -> NDArray[np.float64]:
    """Decode elements as float64, in an array of its own."""
    import numpy as np

    if dtype == "BF16":
        # The upper half of a float32.
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    if dtype in _SMALL_FLOATS:
        return np.take(_table(*_SMALL_FLOATS[dtype]), np.frombuffer(raw, "u1"))
    return np.frombuffer(raw, _NUMPY[dtype]).astype(np.float64)


def _table(exponent_bits: int, mantissa_bits: int, bias: int, top: str) -> NDArray[np.float64]:
    """Give the values of all 256 codes of an 8-bit float."""
    import numpy as np

    values = np.empty(256, np.float64)
    highest, steps = (1 << exponent_bits) - 1, 1 << mantissa_bits
    for code in range(256):
        exponent, mantissa = (code >> mantissa_bits) & highest, code & (steps - 1)
        if exponent:
            value = math.ldexp(1 + mantissa / steps, exponent - bias)
        else:
            value = math.ldexp(mantissa / steps, 1 - bias)
        if top == "ieee" and exponent == highest:
            value = math.nan if mantissa else math.inf
        elif (top == "one nan" and code & 0x7F == 0x7F) or (top == "fnuz" and code == 0x80):
            value = math.nan
        values[code] = -value if code & 0x80 else value
    return values


__all__ = ["TensorStat", "can_measure", "measured", "values_of"]
