"""Bits, from the lowest of each byte up; a number's lowest bit comes first."""

from __future__ import annotations


class BitWriter:
    """Collects bits."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, value: int, count: int) -> None:
        """Append the lowest `count` bits of a value that has no others."""
        if count:
            self._bits.append(f"{value:0{count}b}"[::-1])

    def taken(self) -> bytes:
        """Return all bits, with zeros up to the end of the last byte."""
        bits = "".join(self._bits)
        return int(bits[::-1] or "0", 2).to_bytes((len(bits) + 7) // 8, "little")


class OutOfBits(Exception):
    """A read went past the last bit."""


class BitReader:
    """Reads bits; past the end it raises `OutOfBits`."""

    def __init__(self, stored: memoryview) -> None:
        self._stored = stored
        self._at = 0
        self._held = 0
        self._bits = 0

    def get(self, count: int) -> int:
        """Read the next bits."""
        while self._held < count:
            if self._at == len(self._stored):
                raise OutOfBits
            self._bits |= self._stored[self._at] << self._held
            self._at += 1
            self._held += 8
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        self._held -= count
        return value

    def rest(self) -> memoryview | None:
        """Return what follows the byte that was begun; None if that byte has further bits set."""
        return None if self._bits else self._stored[self._at :]
