"""Codings of planes: which is taken, and what is damage."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import zstandard

from mstore.codec.planes import decode_planes, encode_planes
from mstore.errors import Corrupt, Unsupported

RNG = np.random.default_rng(6)
NOISE = RNG.bytes(70_000)
SKEWED = np.minimum(RNG.geometric(0.4, 70_000), 255).astype(np.uint8).tobytes()
REPEATS = bytes(range(256)) * 280


def _codings(stored: bytes, width: int) -> list[int]:
    return [coding for coding, _ in struct.iter_unpack("<BI", stored[: 5 * width])]


def _encoded(*planes: bytes, v1_only: bool = False, text: bool = False, rest: bytes = b"") -> bytes:
    return encode_planes([memoryview(p) for p in planes], rest, text=text, v1_only=v1_only)


@pytest.mark.parametrize(
    ("plane", "coding", "coding_of_v1"),
    [(NOISE, 0, 0), (b"\7" * 70_000, 2, 2), (SKEWED, 3, 1), (REPEATS, 1, 1)],
)
def test_the_smallest_coding_is_taken(plane: bytes, coding: int, coding_of_v1: int) -> None:
    for v1_only, expected in ((False, coding), (True, coding_of_v1)):
        stored = _encoded(plane, v1_only=v1_only)
        assert _codings(stored, 1) == [expected]
        (back,), rest = decode_planes(memoryview(stored), len(plane), 1, "block")
        assert bytes(back) == plane
        assert not len(rest)


def test_planes_and_rest_come_back() -> None:
    stored = _encoded(NOISE, SKEWED, rest=b"\1")
    assert _codings(stored, 2) == [0, 3]
    planes, rest = decode_planes(memoryview(stored), 140_001, 2, "block")
    assert [bytes(p) for p in planes] == [NOISE, SKEWED]
    assert bytes(rest) == b"\1"


def _plane(coding: int, stored: bytes) -> bytes:
    return struct.pack("<BI", coding, len(stored)) + stored


ZSTD = zstandard.ZstdCompressor().compress(b"a" * 100)
SHORT = zstandard.ZstdCompressor().compress(b"a")


@pytest.mark.parametrize(
    ("stored", "rule"),
    [
        (b"\0\0", "the plane table is cut short"),
        (_plane(0, b"a" * 100) + b"x", "the planes do not add up to the stored size"),
        (_plane(0, b"a" * 99), "a raw plane has 99 bytes, must have 100"),
        (_plane(2, b"aa"), "a repeated plane must have one byte"),
        (_plane(2, b""), "a repeated plane must have one byte"),
        (_plane(3, b"aa"), "a plane of ranged symbols does not decode"),
        (
            _plane(1, SHORT),
            "a zstd frame does not declare 100 bytes",
        ),
        (_plane(1, ZSTD[:-1]), "zstd"),
    ],
)
def test_damage(stored: bytes, rule: str) -> None:
    with pytest.raises(Corrupt) as caught:
        decode_planes(memoryview(stored), 100, 1, "block 1")
    assert caught.value.where == "block 1"
    assert rule in caught.value.rule


def test_an_unknown_coding() -> None:
    with pytest.raises(Unsupported, match="block 1: unknown plane coding 4"):
        decode_planes(memoryview(_plane(4, b"")), 0, 1, "block 1")
