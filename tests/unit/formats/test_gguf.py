"""gguf: tensors where the format's own writer put them; anything broken is kept whole."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstore.formats import BytesSource, cut, parse


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, np.ndarray]]:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {
        "token_embd.weight": rng.standard_normal((100, 64)).astype(np.float32),
        "blk.0.attn_q.weight": rng.standard_normal((64, 64)).astype(np.float16),
        "blk.0.norm": np.ones(64, np.float32),
    }
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "long" * 50])
    writer.add_float32("llama.rope.freq_base", 1e4)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    quantized = gguf.quants.quantize(
        rng.standard_normal((64, 256)).astype(np.float32), gguf.GGMLQuantizationType.Q8_0
    )
    writer.add_tensor("blk.0.ffn", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    tensors["blk.0.ffn"] = quantized
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes(), tensors


def test_tensors_lie_where_the_writer_put_them(written: tuple[bytes, dict[str, np.ndarray]]) -> None:
    content, tensors = written
    layout = parse(BytesSource("model.gguf", content)).layout
    assert layout is not None and layout.format == "gguf"
    found = {t.name: t for t in layout.tensors}
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert content[found[name].begin : found[name].end] == tensor.tobytes()
    assert found["token_embd.weight"].shape == (100, 64)
    assert found["token_embd.weight"].dtype == "F32"
    assert found["blk.0.attn_q.weight"].dtype == "F16"
    assert (found["blk.0.ffn"].dtype, found["blk.0.ffn"].shape) == ("Q8_0", (64, 256))
    cuts = cut(len(content), layout)
    assert {c.name for c in cuts if c.name} == {"token_embd.weight", "blk.0.attn_q.weight", "blk.0.ffn"}


@given(st.data())
@settings(max_examples=300)
def test_whatever_is_broken_is_kept_whole(
    written: tuple[bytes, dict[str, np.ndarray]], data: st.DataObject
) -> None:
    content = bytearray(written[0][:40_000])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 700))] = data.draw(st.integers(0, 255))
    parsed = parse(BytesSource("model.gguf", bytes(content)))
    if parsed.layout is None:
        assert parsed.warnings
    else:
        assert all(t.end <= len(content) for t in parsed.layout.tensors)


@pytest.mark.parametrize("size", [0, 3, 4, 20, 100])
def test_a_file_cut_short(written: tuple[bytes, dict[str, np.ndarray]], size: int) -> None:
    parsed = parse(BytesSource("model.gguf", written[0][:size]))
    assert parsed.layout is None and parsed.warnings


def test_a_whole_commit(written: tuple[bytes, dict[str, np.ndarray]], tmp_path: Path) -> None:
    import mstore

    repo = mstore.init(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/model.gguf").write_bytes(written[0])
    made = repo.commit(tmp_path / "out", message="gguf")
    assert made.tensors == 4
    repo.checkout(made.id, to=tmp_path / "back")
    assert (tmp_path / "back/model.gguf").read_bytes() == written[0]
