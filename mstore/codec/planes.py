"""Byte planes ↔ stored bytes: docs/format.md section 6.2.

Hides which coding a plane takes, and zstd. It knows neither modes nor checksums. zstandard is
imported at the first plane that needs it.
"""

from __future__ import annotations

import struct
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mstore.codec.kernel import kernel
from mstore.errors import Corrupt, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

_RAW, _ZSTD, _REPEATED, _RANGED = 0, 1, 2, 3
_HEAD: Final = struct.Struct("<BI")
_PROBE_BYTES: Final = 16 << 10

_ENTROPY_ONLY: Final = {
    "window_log": 20,
    "hash_log": 6,
    "chain_log": 6,
    "search_log": 1,
    "min_match": 7,
    "target_length": 0,
}


class _Contexts(threading.local):
    """The compressors and the decompressor of one thread."""

    def __init__(self) -> None:
        import zstandard

        self.entropy = zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(
                strategy=zstandard.STRATEGY_FAST, **_ENTROPY_ONLY
            )
        )
        self.text = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


@cache
def _contexts() -> _Contexts:
    return _Contexts()


def _by_zstd(plane: memoryview, *, text: bool) -> tuple[int, Buffer]:
    compressor = _contexts().text if text else _contexts().entropy
    size = len(plane)
    if not text and size >= 4 * _PROBE_BYTES:
        # Mantissa planes are noise: a sample says so at a sixty-fourth of the price.
        middle = size // 2
        sample = plane[middle : middle + _PROBE_BYTES]
        if len(compressor.compress(sample)) > 0.98 * _PROBE_BYTES:
            return _RAW, plane
    coded = compressor.compress(plane)
    if len(coded) < 64:
        first = bytes(plane[:1])
        if bytes(plane) == first * size:
            return _REPEATED, first
    return (_ZSTD, coded) if len(coded) < size else (_RAW, plane)


def _by_frequency(plane: memoryview) -> tuple[int, Buffer]:
    coded = kernel().encode_plane(plane)
    if coded is None:
        return _RAW, plane
    return (_REPEATED if len(coded) == 1 else _RANGED), coded


def _smallest(plane: memoryview) -> tuple[int, Buffer]:
    """Code by symbol frequencies, unless a sample finds the repeats that only zstd can use."""
    size = len(plane)
    if size < 4 * _PROBE_BYTES:
        coding, coded = _by_frequency(plane)
        if coding == _REPEATED:
            return coding, coded
        return min((coding, coded), _by_zstd(plane, text=False), key=lambda c: memoryview(c[1]).nbytes)
    sample = plane[size // 2 : size // 2 + _PROBE_BYTES]
    _, probe = _by_frequency(sample)
    if len(_contexts().entropy.compress(sample)) < 0.9 * memoryview(probe).nbytes:
        return _by_zstd(plane, text=False)
    if memoryview(probe).nbytes == _PROBE_BYTES:
        return _RAW, plane
    return _by_frequency(plane)


def encode_planes(planes: Sequence[memoryview], rest: Buffer, *, text: bool, v1_only: bool) -> bytes:
    """Encode the plane table, the planes in the smallest of their codings, and the rest.

    Args:
        planes: as many bytes each.
        rest: bytes after the last whole element.
        text: the plane is text rather than part of numbers: matches are worth finding.
        v1_only: take only codings that mstore 0.1 reads.
    """
    coded = [_by_zstd(plane, text=text) if v1_only or text else _smallest(plane) for plane in planes]
    heads = b"".join(_HEAD.pack(coding, memoryview(stored).nbytes) for coding, stored in coded)
    return b"".join([heads, *(stored for _, stored in coded), rest])


def _decode_plane(coding: int, stored: memoryview, size: int, where: str) -> Buffer:
    if coding == _RAW:
        if len(stored) != size:
            raise Corrupt(where, f"a raw plane has {len(stored)} bytes, must have {size}")
        return stored
    if coding == _REPEATED:
        if len(stored) != 1:
            raise Corrupt(where, "a repeated plane must have one byte")
        return bytes(stored) * size
    if coding == _RANGED:
        out = kernel().allocate(size)
        if not kernel().decode_plane(stored, out):
            raise Corrupt(where, "a plane of ranged symbols does not decode")
        return out
    if coding == _ZSTD:
        return _decode_zstd(stored, size, where)
    raise Unsupported(f"{where}: unknown plane coding {coding}", hint="use a newer mstore")


def _decode_zstd(stored: memoryview, size: int, where: str) -> bytes:
    import zstandard

    try:
        if zstandard.frame_content_size(stored) != size:
            raise Corrupt(where, f"a zstd frame does not declare {size} bytes")
        plane: Any = _contexts().decompressor.decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(where, f"zstd: {error}") from error
    if len(plane) != size:
        raise Corrupt(where, f"a zstd frame gave {len(plane)} bytes, not {size}")
    return bytes(plane)


def decode_planes(
    stored: memoryview, raw_size: int, width: int, where: str
) -> tuple[tuple[Buffer, ...], memoryview]:
    """Decode the planes, and take the rest, of a block stored by `encode_planes`.

    Raises:
        Corrupt: the bytes do not give exactly as many as the block has.
        Unsupported: a coding is unknown.
    """
    count, rest_size = divmod(raw_size, width)
    table_size = _HEAD.size * width
    if len(stored) < table_size:
        raise Corrupt(where, "the plane table is cut short")
    table = list(_HEAD.iter_unpack(stored[:table_size]))
    if table_size + sum(size for _, size in table) + rest_size != len(stored):
        raise Corrupt(where, "the planes do not add up to the stored size")
    position, planes = table_size, []
    for coding, size in table:
        planes.append(_decode_plane(coding, stored[position : position + size], count, where))
        position += size
    return tuple(planes), stored[position:]
