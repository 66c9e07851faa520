"""The sparse difference: mode 19 (docs/format.md section 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mstore.codec.twin.elements import check_base, elements_of
from mstore.codec.twin.sample import WINDOW, WINDOWS

if TYPE_CHECKING:
    from typing_extensions import Buffer


def encode_sparse(raw: Buffer, base: Buffer, width: int) -> bytes | None:
    """Code gap and value of each element that differs; None if too many do."""
    check_base(raw, base)
    own = elements_of(raw, width)
    differing = own != elements_of(base, width)[: len(own)]
    if len(own) > 4 * WINDOWS * WINDOW:
        step = (len(own) - WINDOW) // (WINDOWS - 1)
        sample = sum(np.count_nonzero(differing[i * step :][:WINDOW]) for i in range(WINDOWS))
        if sample > WINDOWS * WINDOW // 32:
            return None
    positions = np.flatnonzero(differing).tolist()
    if len(positions) > (len(own) >> 7) + 4:
        return None
    view, coded, following = memoryview(raw).cast("B"), bytearray(), 0
    for position in positions:
        gap, following = position - following, position + 1
        while gap >= 128:
            coded.append(gap & 127 | 128)
            gap >>= 7
        coded.append(gap)
        coded += view[position * width : (position + 1) * width]
    if len(coded) >= len(own) * width:
        return None
    return bytes(coded + view[len(own) * width :])


def decode_sparse(stored: Buffer, base: Buffer, width: int, out: Buffer) -> bool:
    """Undo a sparse difference into `out`; False if the bytes are none."""
    check_base(out, base)
    m = len(elements_of(out, width))
    view, target = memoryview(stored).cast("B"), memoryview(out).cast("B")
    end = len(view) - (len(target) - m * width)
    if end < 0:
        return False
    target[: m * width] = memoryview(base).cast("B")[: m * width]
    target[m * width :] = view[end:]
    at = position = 0
    while at < end:
        gap = shift = 0
        while True:
            if at == end or shift > 28:
                return False
            byte = view[at]
            gap |= (byte & 127) << shift
            at += 1
            shift += 7
            if byte < 128:
                break
        if gap >= m - position or end - at < width:
            return False
        position += gap
        target[position * width : (position + 1) * width] = view[at : at + width]
        at += width
        position += 1
    return True
