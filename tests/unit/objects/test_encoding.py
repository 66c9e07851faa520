"""Deterministic CBOR: what has an encoding, and the one that it has."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mstore.errors import BadEncoding
from mstore.objects import decode, encode
from mstore.objects.encoding import MAX_DEPTH, metric


def test_keys_are_sorted_and_numbers_are_short() -> None:
    assert encode({"b": 1, "a": [None, True, b"\0"], "aa": 1.5}).hex() == (
        "a3616183f6f54100616201626161f93e00"
    )


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({1: 2}, "has a map key that is not text: 1"),
        ({"a": {1, 2}}, "holds a set, which cannot be encoded"),
        (2**64, f"holds the integer {2**64}, too large for 64 bits"),
        (-(2**64) - 1, f"holds the integer {-(2**64) - 1}, too large for 64 bits"),
    ],
)
def test_values_without_an_encoding(value: Any, rule: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        encode(value)
    assert caught.value.rule == rule


def test_depth_is_bounded_both_ways() -> None:
    value: Any = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value), "x") == value
    with pytest.raises(BadEncoding, match="nested deeper"):
        encode([value])
    with pytest.raises(BadEncoding):
        decode(b"\x81" + encode(value), "x")


def test_metrics_are_floats_with_one_nan() -> None:
    assert (metric(1), type(metric(1))) == (1.0, float)
    assert metric(math.inf) == math.inf
    assert encode(metric(-math.nan)) == encode(math.nan) == bytes.fromhex("f97e00")
