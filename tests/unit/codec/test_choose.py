"""Which mode a block gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mstore.codec import Mode
from mstore.codec.choose import Element, choose
from mstore.codec.kernel import kernel_is_native

RNG = np.random.default_rng(4)
WEIGHTS: Any = RNG.standard_normal(1 << 16).astype("<f4") * np.float32(0.02)
FP32 = Element(4, True)
needs_native = pytest.mark.skipif(not kernel_is_native(), reason="the twin takes minutes")


def _mode(
    raw: bytes, base: bytes | None, element: Element = FP32, *, base_width: int = 4, v1: bool = False
) -> Mode:
    return choose(memoryview(raw), base, element, base_width=base_width, v1_only=v1)[0]


def _near(scale: float) -> bytes:
    moved = WEIGHTS + RNG.standard_normal(len(WEIGHTS)).astype("<f4") * np.float32(scale)
    return bytes(moved.astype("<f4").tobytes())


@needs_native
def test_the_relation_to_the_base_decides() -> None:
    raw = WEIGHTS.tobytes()
    few = WEIGHTS.copy()
    few[::5000] += 1
    assert _mode(raw, None) is Mode.ROTATED
    assert _mode(raw, raw) is Mode.SAME
    assert _mode(raw, few.tobytes()) is Mode.SPARSE
    assert _mode(raw, _near(1e-7)) is Mode.GROUPED
    assert _mode(raw, RNG.bytes(len(raw))) is Mode.ROTATED  # a base of no use
    assert _mode(RNG.bytes(1000), None, Element(1, False)) is Mode.RAW


def test_what_0_1_reads() -> None:
    raw = WEIGHTS.tobytes()
    assert _mode(raw, None, v1=True) is Mode.ROTATED
    assert _mode(raw, raw, v1=True) is Mode.SAME
    assert _mode(raw, _near(1e-7), v1=True) is Mode.DIFFERENCE
    halves = (WEIGHTS.view("<u4") >> 16).astype("<u2").tobytes()
    assert _mode(raw, halves, base_width=2, v1=True) is Mode.ROTATED  # a cast is not for 0.1


@needs_native
def test_a_base_in_another_dtype_is_cast() -> None:
    halves = (WEIGHTS.view("<u4") >> 16).astype("<u2")
    widened = halves.astype("<u4") << 16
    mode, stored = choose(
        memoryview(widened.tobytes()), halves.tobytes(), FP32, base_width=2, v1_only=False
    )
    assert (mode, bytes(stored)) == (Mode.CAST, bytes([5, Mode.SAME]))
    assert _mode(WEIGHTS.tobytes(), halves.tobytes(), base_width=2) is Mode.CAST


@pytest.mark.parametrize(
    ("element", "shift"),
    [
        (Element(2, True), 8),
        (Element(2, True, 5), 11),  # fp16
        (Element(4, True), 24),
        (Element(8, True), 53),
        (Element(1, True), 4),
        (Element(1, True, 99), 1),
        (Element(4, False), 24),
        (Element(2, False, 5), 8),
    ],
)
def test_the_key_of_an_element_is_its_exponent_or_top_byte(element: Element, shift: int) -> None:
    assert element.key_shift == shift
