"""Counts of symbols, their cost, and the tables of frequencies that code them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from mstore.codec.twin.bits import BitReader, BitWriter

SCALE_BITS: Final = 12
SCALE: Final = 1 << SCALE_BITS


@cache
def _log_table() -> Any:
    """Compute 256 × log2(1 + i / 2048), rounded down, by repeated squaring."""
    table = []
    for i in range(2048):
        x, log = (2048 + i) << 20, 0
        for _ in range(8):
            x = (x * x) >> 31
            log <<= 1
            if x >> 32:
                log |= 1
                x >>= 1
        table.append(log)
    return np.array(table, np.int64)


def _weighed(counts: Any) -> int:
    """Add up count × 256 × log2 of the count, from its twelve leading bits."""
    counts = counts[counts > 0]
    if not len(counts):
        return 0
    e = np.frexp(counts.astype(np.float64))[1].astype(np.int64) - 1
    lead = np.where(e <= 11, counts << np.maximum(11 - e, 0), counts >> np.maximum(e - 11, 0))
    return int((counts * ((e << 8) + _log_table()[lead & 2047])).sum())


def entropy_bits(counts: Any, n: int) -> int:
    """Compute the order-0 entropy of `n` symbols, in bits."""
    return max(_weighed(np.array([n])) - _weighed(counts), 0) >> 8


def expected_bits(counts: Any, n: int) -> int:
    """Estimate the cost of symbols with their table, in bits; at most their raw cost."""
    if not n:
        return 0
    used = int(np.count_nonzero(counts))
    if used == 1:
        return 10
    return min(entropy_bits(counts, n) + 8 * used + 16, 8 * n)


def count_symbols(plane: Any) -> Any:
    """Count each of the 256 symbols."""
    return np.bincount(plane, minlength=256)


def normalised(counts: Any, n: int) -> Any:
    """Convert counts to frequencies of sum SCALE, at least one for a symbol that occurs."""
    freq = np.where(counts > 0, np.maximum((counts * SCALE + n // 2) // n, 1), 0)
    left = SCALE - int(freq.sum())
    while left:
        top = int(freq.argmax())
        change = left if left > 0 else -min((int(freq[top]) >> 4) + 1, -left)
        freq[top] += change
        left -= change
    return freq


def write_table(writer: BitWriter, freq: Any) -> None:
    """Append a table of frequencies."""
    values, s = freq.tolist(), 0
    while s < len(values):
        run = 0
        while s + run < len(values) and not values[s + run]:
            run += 1
        if run >= 3:
            writer.put(13, 4)
            writer.put(run - 1, 8)
            s += run
            continue
        size = values[s].bit_length()
        writer.put(size, 4)
        if size > 1:
            writer.put(values[s] - (1 << (size - 1)), size - 1)
        s += 1


def read_table(reader: BitReader) -> Any:
    """Read frequencies; None if they do not sum to 4096 over two symbols or more."""
    freq: list[int] = []
    while len(freq) < 256:
        size = reader.get(4)
        if size > 13:
            return None
        if size == 13:
            freq += [0] * (reader.get(8) + 1)
        else:
            freq.append(1 << (size - 1) | reader.get(size - 1) if size > 1 else size)
    if len(freq) > 256 or sum(freq) != SCALE or max(freq) == SCALE:
        return None
    return np.array(freq, np.uint64)
