"""The C kernel and its numpy twin: the same bytes out of the same bytes, and the same refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstore.codec import BlockHeader, Mode, decode_block, encode_block, kernel, twin
from mstore.errors import MStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

native: Any = kernel.native
needs_native = pytest.mark.skipif(native is None, reason="the C kernel is not compiled here")

_KINDS = ["noise", "few", "narrow", "weights", "special"]


def _block(rng: np.random.Generator, kind: str, width: int, count: int) -> bytes:
    size = count * width
    if kind == "noise":
        return rng.bytes(size)
    if kind == "few":
        block = np.zeros(size, np.uint8)
        if size:
            block[rng.integers(0, size, 5)] = rng.integers(0, 256, 5)
        return block.tobytes()
    if kind == "narrow":
        return rng.integers(0, rng.integers(1, 256), size).astype(np.uint8).tobytes()
    if kind == "special":
        patterns = np.array([0, 1 << (8 * width - 1), (1 << 8 * width) - 1, 1, 127], dtype=f"<u{width}")
        return rng.choice(patterns, count).tobytes()
    dtype = {1: np.int8, 2: np.float16, 4: np.float32, 8: np.float64}[width]
    scale = 20.0 if width == 1 else 0.02
    return (rng.standard_normal(count) * scale).astype(dtype).tobytes()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes, int, bool, int]:
    """A block, a base of equal length, width, whether ordered, and a shift."""
    width = draw(st.sampled_from([1, 2, 4, 8]))
    count = draw(st.sampled_from([0, 1, 3, 127, 128, 2047, 2048, 4097, 16384, 20_001]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rest = rng.bytes(draw(st.integers(0, width - 1)))
    raw = _block(rng, draw(st.sampled_from(_KINDS)), width, count)
    relation = draw(st.sampled_from(["near", "few", "unrelated", "equal"]))
    base = raw
    if relation == "unrelated":
        base = _block(rng, draw(st.sampled_from(_KINDS)), width, count)
    elif relation != "equal" and count:
        elements = np.frombuffer(raw, f"<u{width}").copy()
        steps = (rng.standard_normal(count) * rng.choice([0.3, 3, 40, 5000])).astype(np.int64)
        if relation == "few":
            steps[rng.random(count) < 0.995] = 0
        elements += steps.astype(f"<u{width}")
        base = elements.tobytes()
    shift = draw(st.integers(0, 8 * width - 1))
    return raw + rest, base + rest[::-1], width, draw(st.booleans()), shift


@needs_native
@given(pairs(), st.booleans())
def test_planes_are_the_same_and_come_back(
    pair: tuple[bytes, bytes, int, bool, int], with_base: bool
) -> None:
    raw, other, width, how, _ = pair
    base = other if with_base else None
    count = len(raw) // width
    planes, twins = bytearray(count * width), bytearray(count * width)
    native.split(raw, base, width, how, planes)
    twin.split(raw, base, width, how, twins)
    assert planes == twins
    parts = tuple(bytes(planes[j * count : (j + 1) * count]) for j in range(width))
    rest = raw[count * width :]
    for module in (native, twin):
        out = bytearray(count * width) + rest
        module.join(parts, base, how, out)
        assert out == raw


@needs_native
@given(pairs())
@settings(max_examples=60, deadline=None)
def test_coded_bytes_are_the_same_and_come_back(pair: tuple[bytes, bytes, int, bool, int]) -> None:
    raw, base, width, ordered, shift = pair
    assert native.estimate(raw, base, width, ordered) == twin.estimate(raw, base, width, ordered)
    plane = native.encode_plane(raw)
    assert plane == twin.encode_plane(raw)
    grouped = native.encode_grouped(raw, base, width, ordered, shift)
    assert grouped == twin.encode_grouped(raw, base, width, ordered, shift)
    sparse = native.encode_sparse(raw, base, width)
    assert sparse == twin.encode_sparse(raw, base, width)
    for module in (native, twin):
        out = bytearray(len(raw))
        if plane is not None and len(plane) > 1:
            assert module.decode_plane(plane, out)
            assert out == raw
        for decode, coded in ((module.decode_grouped, grouped), (module.decode_sparse, sparse)):
            if coded is not None:
                out = bytearray(len(raw))
                assert decode(coded, base, width, out)
                assert out == raw


@needs_native
def test_every_vector_width_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(2)
    base = _block(rng, "weights", 2, 100_001)
    raw = (np.frombuffer(base, "<u2") + rng.integers(0, 40, 100_001).astype("<u2")).tobytes()
    seen = set()
    try:
        for most in (0, 1, 2):
            native.vectors(most)
            plane, grouped = (
                native.encode_plane(raw[1::2]),
                native.encode_grouped(raw, base, 2, True, 8),
            )
            seen.add((plane, grouped))
            out = bytearray(100_001)
            assert native.decode_plane(plane, out)
            assert out == raw[1::2]
            out = bytearray(len(raw))
            assert native.decode_grouped(grouped, base, 2, out)
            assert out == raw
            assert not native.decode_grouped(grouped[:-200], base, 2, out)
    finally:
        native.vectors(2)
    assert len(seen) == 1


@needs_native
@given(pairs(), st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_refused_alike(
    pair: tuple[bytes, bytes, int, bool, int], data: st.DataObject
) -> None:
    raw, base, width, ordered, shift = pair
    coded = [
        native.encode_plane(raw),
        native.encode_grouped(raw, base, width, ordered, shift),
        native.encode_sparse(raw, base, width),
    ]
    for which, stored in enumerate(coded):
        if not stored:
            continue
        damaged = bytearray(stored)
        at = data.draw(st.integers(0, min(len(stored) - 1, 400)))
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        if data.draw(st.booleans()):
            del damaged[data.draw(st.integers(0, len(stored))) :]
        results = []
        for module in (native, twin):
            out = bytearray(len(raw))
            if which == 0:
                good = module.decode_plane(damaged, out)
            else:
                decode = module.decode_grouped if which == 1 else module.decode_sparse
                good = decode(damaged, base, width, out)
            results.append((good, bytes(out) if good else b""))
        assert results[0] == results[1]


@pytest.fixture(params=["C", "numpy"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "native", None)
    elif native is None:
        pytest.skip("the C kernel is not compiled here")
    yield request.param


def test_a_store_of_one_kernel_is_read_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    raw = _block(rng, "weights", 4, 30_000)
    base = (np.frombuffer(raw, "<u4") + rng.integers(0, 9, 30_000).astype("<u4")).tobytes()
    written = [encode_block(raw, width=4, is_float=True, base=b, v1_only=False) for b in (None, base)]
    monkeypatch.setattr(kernel, "native", None)
    for block, other in zip(written, (None, base), strict=True):
        again = encode_block(raw, width=4, is_float=True, base=other, v1_only=False)
        assert encode_block(raw, width=4, is_float=True, base=other).header.mode in (2, 17)
        assert (again.header, bytes(again.stored)) == (block.header, bytes(block.stored))
        back = decode_block(
            block.header, block.stored, raw_size=len(raw), width=4, base=other, where="block"
        )
        assert bytes(back) == raw


def test_buffers_that_do_not_belong_together_are_refused(either: str) -> None:
    functions = kernel.kernel()
    with pytest.raises(ValueError):
        functions.split(bytes(8), None, 2, True, bytearray(9))
    with pytest.raises(ValueError):
        functions.split(bytes(8), bytes(7), 2, True, bytearray(8))
    with pytest.raises(ValueError):
        functions.split(bytes(9), None, 3, True, bytearray(9))
    with pytest.raises(ValueError):
        functions.join((bytes(4), bytes(3)), None, True, bytearray(8))
    with pytest.raises(ValueError):
        functions.encode_grouped(bytes(8), bytes(7), 2, True, 8)
    with pytest.raises(ValueError):
        functions.encode_grouped(bytes(8), bytes(8), 2, True, 16)
    with pytest.raises(ValueError):
        functions.decode_grouped(bytes(8), bytes(7), 2, bytearray(8))
    with pytest.raises(ValueError):
        functions.decode_sparse(bytes(8), bytes(7), 2, bytearray(8))
    assert functions.encode_plane(b"") is None
    assert functions.encode_plane(b"aaaa") == b"a"


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x00" * 200,  # 256 frequencies of 0: no sum
        b"\xdd" * 40,  # runs past the last symbol
        b"\xee" * 40,  # no such length of a frequency
        bytes([0x0D | 0xF0, 0xFF]),  # one run over all symbols
    ],
)
def test_a_table_that_is_none_is_refused(either: str, stored: bytes) -> None:
    assert not kernel.kernel().decode_plane(stored, bytearray(100))


def test_a_grouped_difference_that_lies_is_damage(either: str) -> None:
    """Codings, groups, shifts and lanes that no writer gives, with sums that are right."""
    from xxhash import xxh3_64_intdigest

    rng = np.random.default_rng(1)
    base = rng.bytes(4096)
    raw = (np.frombuffer(base, "<u2") + rng.integers(0, 3, 2048).astype("<u2")).tobytes()
    good = kernel.kernel().encode_grouped(raw, base, 2, True, 8)
    assert good is not None
    lies = [
        b"",
        good[:2],
        b"\x02" + good[1:],
        good[:1] + b"\x10" + good[2:],
        good[:2] + b"\x40" + good[3:],
        good[:2] + b"\x02\x09\x09" + good[3:],
        good + b"\0",
        good[:-1],
    ]
    for lie in lies:
        header = BlockHeader(len(lie), Mode.GROUPED, 0, xxh3_64_intdigest(lie), xxh3_64_intdigest(raw))
        with pytest.raises(MStoreError):
            decode_block(header, lie, raw_size=len(raw), width=2, base=base, where="block")
