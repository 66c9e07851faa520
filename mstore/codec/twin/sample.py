"""A quick estimate of the cost of a block, from a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mstore.codec.twin.elements import (
    check_base,
    difference,
    elements_of,
    planes_of,
    rotated,
)
from mstore.codec.twin.tables import count_symbols, entropy_bits

if TYPE_CHECKING:
    from typing_extensions import Buffer

# A sample is WINDOWS runs of WINDOW elements, spread evenly.
WINDOWS: Final = 8
WINDOW: Final = 512


def estimate(raw: Buffer, base: Buffer, width: int, is_float: bool) -> tuple[int, int]:
    """Estimate the bits of a few windows for an order-0 coder: as they are, and as a difference."""
    check_base(raw, base)
    own = elements_of(raw, width)
    other = elements_of(base, width)[: len(own)]
    if len(own) > WINDOWS * WINDOW:
        step = (len(own) - WINDOW) // (WINDOWS - 1)
        own, other = (
            np.concatenate([e[i * step : i * step + WINDOW] for i in range(WINDOWS)])
            for e in (own, other)
        )
    itself = rotated(own, left=True) if is_float and width > 1 else own
    return _bits(itself), _bits(difference(own, other, ordered=is_float, orient=is_float))


def _bits(elements: Any) -> int:
    count = len(elements)
    return sum(entropy_bits(count_symbols(plane), count) for plane in planes_of(elements))
