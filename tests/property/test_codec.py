"""Every mode of every codec gives back every bit pattern, and damage is met as an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstore.codec import BlockHeader, Codec, Mode, check_mode, decode_block, encode_block
from mstore.errors import Corrupt, MStoreError, Unsupported

_PATTERNS = {
    1: [0x00, 0x7F, 0x80, 0xFF],
    2: [0x0000, 0x8000, 0x7F80, 0xFF80, 0x7FC1, 0x0001, 0x8001, 0x7C00, 0xFFFF, 0x3F80],
    4: [0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00001, 0x7F800001, 1, 0x80000001, 0xFFFFFFFF],
    8: [0, 1 << 63, 0x7FF0000000000000, 0xFFF8000000000001, 1, (1 << 64) - 1],
}


@st.composite
def raw_blocks(draw: st.DrawFn, width: int) -> bytes:
    """Noise, constants, floats with special patterns, and a rest that is no whole element."""
    kind = draw(st.sampled_from(["noise", "constant", "special", "floats"]))
    if kind == "noise":
        return draw(st.binary(max_size=300))
    count = draw(st.integers(0, 40_000))
    rest = draw(st.binary(max_size=width - 1)) if width > 1 else b""
    if kind == "constant":
        return draw(st.binary(min_size=width, max_size=width)) * count + rest
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "special":
        return rng.choice(np.array(_PATTERNS[width], dtype=f"<u{width}"), count).tobytes() + rest
    values = rng.standard_normal(count).astype(np.float32)
    return values.tobytes()[: count * width] + rest


@st.composite
def cases(draw: st.DrawFn) -> tuple[bytes, int, bool, bytes | None]:
    width = draw(st.sampled_from([1, 2, 4, 8]))
    raw = draw(raw_blocks(width))
    is_float = draw(st.booleans()) and width > 1
    relation = draw(st.sampled_from(["none", "equal", "near", "unrelated"]))
    base: bytes | None = None
    if relation == "equal":
        base = raw
    elif relation == "near":
        changed = bytearray(raw)
        for i in draw(st.lists(st.integers(0, max(0, len(raw) - 1)), max_size=20)):
            if raw:
                changed[i] ^= draw(st.integers(1, 255))
        base = bytes(changed)
    elif relation == "unrelated":
        base = np.random.default_rng(len(raw)).bytes(len(raw))
    return raw, width, is_float, base


@given(cases(), st.booleans(), st.sampled_from([None, 4, 5, 8, 11]))
def test_round_trip(
    case: tuple[bytes, int, bool, bytes | None], v1_only: bool, exponent_bits: int | None
) -> None:
    raw, width, is_float, base = case
    block = encode_block(
        raw,
        width=width,
        is_float=is_float,
        base=base,
        base_offset=77,
        exponent_bits=exponent_bits,
        v1_only=v1_only,
    )
    header = BlockHeader.unpack_all(block.header.packed())[0]
    assert header == block.header
    assert header.stored_size <= len(raw), "a block never grows"
    back = decode_block(
        header, bytes(block.stored), raw_size=len(raw), width=width, base=base, where="block"
    )
    assert bytes(back) == raw
    own = bytearray(len(raw))
    into = decode_block(
        header, bytes(block.stored), raw_size=len(raw), width=width, base=base, where="block", into=own
    )
    assert into is own and own == raw
    if v1_only:
        assert header.mode in (0, 1, 2, 16, 17), "what mstore 0.1 reads"
    check_mode(Codec.DELTA, header.mode, "block")
    if base == raw and raw:
        assert header.mode == Mode.SAME and header.base_offset == 77


@given(cases(), st.data())
def test_damage_is_an_error(case: tuple[bytes, int, bool, bytes | None], data: st.DataObject) -> None:
    raw, width, is_float, base = case
    block = encode_block(raw, width=width, is_float=is_float, base=base)
    stored = bytes(block.stored)
    if not stored:
        return
    place = data.draw(st.integers(0, len(stored) - 1))
    damaged = bytearray(stored)
    damaged[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        decode_block(
            block.header, bytes(damaged), raw_size=len(raw), width=width, base=base, where="block"
        )


@given(
    st.binary(max_size=400),
    st.sampled_from([0, 1, 2, 16, 17, 18, 19, 5, 200]),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(0, 4096),
    st.booleans(),
)
@settings(max_examples=300)
def test_lies_with_right_sums_are_errors_or_right(
    stored: bytes, mode: int, width: int, raw_size: int, with_base: bool
) -> None:
    """Stored bytes whose checksum is right but which mean nothing (an attacker can compute sums)."""
    from xxhash import xxh3_64_intdigest

    header = BlockHeader(len(stored), mode, 0, xxh3_64_intdigest(stored), 0)
    base = bytes(raw_size) if with_base else None
    with pytest.raises(MStoreError):
        back = decode_block(header, stored, raw_size=raw_size, width=width, base=base, where="block")
        # The raw sum is 0 here, which no content of ours has.
        assert xxh3_64_intdigest(back) == 0


def test_a_frame_that_inflates_is_stopped_at_the_declared_size() -> None:
    import zstandard
    from xxhash import xxh3_64_intdigest

    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
    stored = b"\x01" + len(bomb).to_bytes(4, "little") + bomb
    header = BlockHeader(len(stored), Mode.PLANES, 0, xxh3_64_intdigest(stored), 0)
    with pytest.raises(Corrupt, match="does not declare"):
        decode_block(header, stored, raw_size=4096, width=1, base=None, where="block")


def test_unknown_codec_and_mode_say_so() -> None:
    with pytest.raises(Unsupported, match="codec 9"):
        check_mode(9, 0, "block")
    with pytest.raises(Unsupported, match="mode 99"):
        check_mode(Codec.PLANES, 99, "block")
    with pytest.raises(Corrupt, match="does not belong"):
        check_mode(Codec.RAW, Mode.PLANES, "block")


def test_weights_cost_what_facts_say() -> None:
    """bf16 weights: the exponent plane shrinks, the mantissa goes raw; never worse than 0.72."""
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(1 << 19) * 0.03).astype(np.float32)
    bf16 = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    block = encode_block(bf16, width=2, is_float=True)
    assert block.header.mode == Mode.ROTATED
    assert block.header.stored_size / len(bf16) < 0.72


def _bf16(values: np.ndarray) -> np.ndarray:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def test_a_training_step_costs_a_fraction() -> None:
    """bf16 weights after steps of one size: a grouped difference, well under one byte in ten."""
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(1 << 19) * 0.03).astype(np.float32)
    base, raw = _bf16(values).tobytes(), _bf16(values + rng.standard_normal(1 << 19) * 2e-5).tobytes()
    block = encode_block(raw, width=2, is_float=True, base=base, v1_only=False)
    assert block.header.mode == Mode.GROUPED
    assert block.header.stored_size < 0.07 * len(raw)


def test_few_changes_cost_a_few_bytes() -> None:
    rng = np.random.default_rng(0)
    base = rng.bytes(1 << 20)
    raw = bytearray(base)
    for at in range(0, 1 << 20, 1 << 14):
        raw[at] ^= 1
    block = encode_block(bytes(raw), width=4, is_float=True, base=base, v1_only=False)
    assert block.header.mode == Mode.SPARSE
    assert block.header.stored_size < 64 * 8


def test_a_base_of_no_use_is_left() -> None:
    rng = np.random.default_rng(0)
    raw = rng.standard_normal(1 << 18).astype(np.float32).tobytes()
    base = rng.standard_normal(1 << 18).astype(np.float32).tobytes()
    block = encode_block(raw, width=4, is_float=True, base=base, base_offset=5, v1_only=False)
    assert block.header == encode_block(raw, width=4, is_float=True, v1_only=False).header


def test_repeats_longer_than_a_symbol_are_found() -> None:
    """A counter of whole numbers: every byte is as frequent as any other, yet zstd sees the repeats."""
    raw = np.tile(np.arange(512, dtype=np.int64), 256).tobytes()
    block = encode_block(raw, width=8, is_float=False)
    assert block.header.stored_size < 0.01 * len(raw)
