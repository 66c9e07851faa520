"""One plane of ranged symbols (docs/format.md section 6.2, coding 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.codec.twin.bits import BitReader, BitWriter, OutOfBits
from mstore.codec.twin.elements import elements_of
from mstore.codec.twin.rans import CodedReader, encode_segments, lanes_log2_for
from mstore.codec.twin.tables import (
    count_symbols,
    expected_bits,
    normalised,
    read_table,
    write_table,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer


def encode_plane(plane: Buffer) -> bytes | None:
    """Code a plane; its one byte if all are equal; None if it is to stay raw."""
    symbols = elements_of(plane, 1)
    n = len(symbols)
    counts = count_symbols(symbols)
    if n and counts[symbols[0]] == n:
        return bytes(symbols[:1])
    if expected_bits(counts, n) >= 8 * n - (n >> 3):
        return None
    writer, freq = BitWriter(), normalised(counts, n)
    write_table(writer, freq)
    coded = writer.taken() + encode_segments([(symbols, freq)], lanes_log2_for(n))
    return coded if len(coded) < n else None


def decode_plane(stored: Buffer, out: Buffer) -> bool:
    """Decode a plane into `out`; False if the bytes are no coded plane of that size."""
    reader = BitReader(memoryview(stored).cast("B"))
    try:
        freq = read_table(reader)
    except OutOfBits:
        return False
    rest = reader.rest()
    if freq is None or rest is None:
        return False
    coded = CodedReader(rest)
    return coded.valid and coded.read(freq, elements_of(out, 1)) and coded.ended_well()
