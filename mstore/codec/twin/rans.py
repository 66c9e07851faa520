"""The entropy coder: ranged symbols (docs/format.md section 6.7).

Source: J. Duda, arXiv:1311.2540; F. Giesen, arXiv:1402.3392.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mstore.codec.twin.tables import SCALE, SCALE_BITS

_MAX_LANES_LOG2: Final = 6
_STATE_LOW: Final = 1 << 16


def lanes_log2_for(n: int) -> int:
    """Choose how many coders `n` symbols are worth, as a power of two."""
    return 6 if n >= 16384 else 4 if n >= 2048 else 2 if n >= 128 else 0


def encode_segments(segments: list[tuple[Any, Any]], lanes_log2: int) -> bytes:
    """Code (symbols, frequencies) from the last step to the first: lanes, states and words."""
    lanes = 1 << lanes_log2
    x = np.full(lanes, _STATE_LOW, np.uint64)
    low, bits, sixteen = np.uint64(0xFFFF), np.uint64(SCALE_BITS), np.uint64(16)
    words: list[Any] = []
    for symbols, counts in reversed(segments):
        freq = counts.astype(np.uint64)
        f = freq[symbols]
        begin = (np.cumsum(freq) - freq)[symbols]
        limit = f << np.uint64(20)
        for at in range((len(symbols) - 1) // lanes * lanes, -1, -lanes):
            here = f[at : at + lanes]
            now = x[: len(here)]
            emit = now >= limit[at : at + lanes]
            if emit.any():
                words.append(now[emit] & low)
                now = np.where(emit, now >> sixteen, now)
            q, r = np.divmod(now, here)
            x[: len(here)] = (q << bits) + r + begin[at : at + lanes]
    words.reverse()
    coded = np.concatenate(words).astype("<u2").tobytes() if words else b""
    return bytes([lanes_log2]) + x.astype("<u4").tobytes() + coded


class CodedReader:
    """Decodes lanes, states and words; `valid` says whether the bytes can be any."""

    def __init__(self, stored: memoryview) -> None:
        self.valid = bool(len(stored)) and stored[0] <= _MAX_LANES_LOG2
        if not self.valid:
            return
        self._lanes = 1 << stored[0]
        states = 1 + 4 * self._lanes
        self.valid = len(stored) >= states and (len(stored) - states) % 2 == 0
        if self.valid:
            self._x = np.frombuffer(stored[1:states], "<u4").astype(np.uint64)
            self._words = np.frombuffer(stored[states:], "<u2").astype(np.uint64)
            self._at = 0

    def read(self, freq: Any, out: Any) -> bool:
        """Fill `out` with symbols of one table; False if the words end too soon."""
        symbol_of = np.repeat(np.arange(256, dtype=np.uint8), freq.astype(np.int64))
        f = freq[symbol_of]
        bias = np.arange(SCALE, dtype=np.uint64) - (np.cumsum(freq) - freq)[symbol_of]
        slots, bits, sixteen = np.uint64(SCALE - 1), np.uint64(SCALE_BITS), np.uint64(16)
        low = np.uint64(_STATE_LOW)
        for at in range(0, len(out), self._lanes):
            here = out[at : at + self._lanes]
            x = self._x[: len(here)]
            slot = x & slots
            here[:] = symbol_of[slot]
            x = f[slot] * (x >> bits) + bias[slot]
            need = x < low
            count = int(np.count_nonzero(need))
            if count:
                if self._at + count > len(self._words):
                    return False
                x[need] = (x[need] << sixteen) | self._words[self._at : self._at + count]
                self._at += count
            self._x[: len(here)] = x
        return True

    def ended_well(self) -> bool:
        """Tell whether all words were read and every lane is back where its encoder began."""
        return self._at == len(self._words) and bool((self._x == _STATE_LOW).all())
