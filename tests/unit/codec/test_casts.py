"""A base in another dtype, and fp32 that is really bf16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mstore
from mstore.codec import Block, BlockHeader, Mode, decode_block, encode_block
from mstore.codec.casts import HALVES, ROUND, WIDEN
from mstore.errors import Corrupt, Unsupported
from mstore.store import Store
from tests.conftest import contents, save_tensors

Array = np.ndarray[Any, Any]


def rounded(values: Array) -> Array:
    """fp32 patterns to bf16's, to nearest, ties to even."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(halves: Array) -> Array:
    return halves.astype(np.uint32) << 16


def _decoded(block: Block, raw: bytes, width: int, base: bytes, into: Any = None) -> bytes:
    return bytes(
        decode_block(
            block.header,
            block.stored,
            raw_size=len(raw),
            width=width,
            base=base,
            where="x",
            into=into,
        )
    )


def _coded(raw: Array, base: Array) -> Block:
    return encode_block(
        raw.tobytes(), width=raw.itemsize, is_float=True, base=base.tobytes(), base_width=base.itemsize
    )


def _pair(count: int = 50_000) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    old = (rng.standard_normal(count) * 0.02).astype(np.float32)
    return old, (old + rng.standard_normal(count) * 1e-4).astype(np.float32)


OLD, NEW = _pair()
CASES = {
    "fp32 on bf16": (NEW, rounded(OLD), WIDEN, 0.7),
    "bf16 on fp32": (rounded(NEW), OLD, ROUND, 0.25),
    "a cast alone": (rounded(OLD), OLD, ROUND, 0.001),
    "bf16 in fp32": (widened(rounded(NEW)), widened(rounded(OLD)), HALVES, 0.125),
    "bf16 in fp32 on bf16": (widened(rounded(NEW)), rounded(OLD), HALVES | WIDEN, 0.125),
}


@pytest.mark.parametrize("name", CASES)
def test_each_cast_pays(name: str) -> None:
    raw, base, cast, share = CASES[name]
    block = _coded(raw, base)
    assert block.header.mode == Mode.CAST and bytes(block.stored)[0] == cast
    assert block.header.stored_size < share * raw.nbytes
    assert _decoded(block, raw.tobytes(), raw.itemsize, base.tobytes()) == raw.tobytes()
    assert _decoded(block, raw.tobytes(), raw.itemsize, base.tobytes(), bytearray(raw.nbytes))


def test_without_a_base_zero_planes_cost_nothing() -> None:
    narrow = encode_block(rounded(NEW).tobytes(), width=2, is_float=True).header.stored_size
    wide = encode_block(widened(rounded(NEW)).tobytes(), width=4, is_float=True).header.stored_size
    assert wide <= 1.01 * narrow


@given(st.data(), st.sampled_from([(2, 4), (4, 2), (4, 4)]), st.integers(0, 200))
@settings(max_examples=150)
def test_every_bit_pattern(data: st.DataObject, widths: tuple[int, int], count: int) -> None:
    width, base_width = widths
    element = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7F80_0001, 0xFFFF_FFFF, 0x7FFF_FFFF])
    bits = data.draw(st.lists(element, min_size=count, max_size=count))
    near = data.draw(st.lists(element, min_size=count, max_size=count))
    raw = np.array(bits, np.uint64).astype(f"<u{width}")
    base = np.array(near, np.uint64).astype(f"<u{base_width}")
    if width == 4 and data.draw(st.booleans()):
        raw &= np.uint32(0xFFFF_0000)
        base = base & np.uint32(0xFFFF_0000) if base_width == 4 else base
    block = _coded(raw, base)
    assert _decoded(block, raw.tobytes(), width, base.tobytes()) == raw.tobytes()
    rest = raw.tobytes() + b"x"
    odd = encode_block(
        rest, width=width, is_float=True, base=base.tobytes() + b"y", base_width=base_width
    )
    if odd.header.mode < Mode.SAME:
        assert _decoded(odd, rest, width, b"") == rest


@given(st.binary(min_size=0, max_size=40), st.sampled_from([2, 4]), st.integers(0, 80))
@settings(max_examples=200)
def test_casts_that_lie(stored: bytes, width: int, raw_size: int) -> None:
    from xxhash import xxh3_64_intdigest

    header = BlockHeader(len(stored), Mode.CAST, 0, xxh3_64_intdigest(stored), 0)
    for base_bytes in (raw_size // 2, raw_size, raw_size * 2):
        with pytest.raises(Corrupt):
            _decoded(Block(header, stored), bytes(raw_size), width, bytes(base_bytes))


# -- commits


def _save(folder: Path, values: Array, dtype: str) -> dict[str, bytes]:
    if dtype == "F32":
        save_tensors(folder / "model.safetensors", {"w": values.reshape(100, -1)})
    else:
        head = json.dumps(
            {
                "w": {
                    "dtype": dtype,
                    "shape": [100, values.size // 100],
                    "data_offsets": [0, values.nbytes],
                }
            }
        ).encode()
        head += b" " * (-len(head) % 8)
        (folder).mkdir(exist_ok=True)
        (folder / "model.safetensors").write_bytes(
            len(head).to_bytes(8, "little") + head + values.tobytes()
        )
    return contents(folder)


def _modes(store: Store) -> set[int]:
    frames = [f for n in store.pack_names() for f in store.footer(n)]
    return {b.mode for f in frames for b in f.blocks}


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_commit_in_another_dtype_costs_a_delta(tmp_path: Path, way: str) -> None:
    repo = mstore.init(tmp_path)
    old, new = _pair(1_100_000)  # several blocks, whose counterparts lie at other offsets
    first = _save(
        tmp_path / "out", old if way == "down" else rounded(old), "F32" if way == "down" else "BF16"
    )
    a = repo.commit(tmp_path / "out", message="one")
    assert "casts-1" not in repo.store.identity.read
    second = _save(
        tmp_path / "out", rounded(new) if way == "down" else new, "BF16" if way == "down" else "F32"
    )
    b = repo.commit(tmp_path / "out", message="two")
    assert b.stored_bytes < (0.35 if way == "down" else 0.75) * b.new_bytes
    assert Mode.CAST in _modes(repo.store)
    plain = json.loads((repo.store.path / "store.json").read_text())
    assert "casts-1" in plain["features"]["read"]
    repo.close()
    with mstore.open(tmp_path) as again:
        for id, files in ((a.id, first), (b.id, second)):
            for path, content in files.items():
                assert again.read_file(id.hex, path) == content
        row = again.read_tensor("HEAD", "w", rows=(60, 61)).buffer
        assert bytes(row) == _row(second, 60)
        assert again.fsck().ok
        again.repack()
        assert again.read_file("HEAD", "model.safetensors") == second["model.safetensors"]


def _row(files: dict[str, bytes], row: int) -> bytes:
    content = files["model.safetensors"]
    begin = 8 + int.from_bytes(content[:8], "little")
    size = (len(content) - begin) // 100
    return content[begin + row * size : begin + (row + 1) * size]


def test_who_lacks_casts_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = mstore.init(tmp_path)
    _save(tmp_path / "out", OLD, "F32")
    repo.commit(tmp_path / "out", message="one")
    _save(tmp_path / "out", rounded(NEW), "BF16")
    repo.commit(tmp_path / "out", message="two")
    monkeypatch.setattr("mstore.store.identity.READ_FEATURES", frozenset({"pack-1"}))
    with pytest.raises(Unsupported, match="casts-1"):
        Store.at(repo.store.path)


def test_same_dtypes_ask_for_no_feature(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    for values in (OLD, NEW):
        _save(tmp_path / "out", values, "F32")
        repo.commit(tmp_path / "out", message="x")
    assert Mode.CAST not in _modes(repo.store) and repo.store.identity.read == ("pack-1",)
