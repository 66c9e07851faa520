"""What became of each tensor."""

from __future__ import annotations

from dataclasses import replace

import torch

from mstore.compare.diff import diff
from tests.unit.compare.folders import of, saved


def test_what_became_of_each_tensor(tmp_path):
    torch.manual_seed(0)
    w = torch.randn(50, 40)
    a = saved(
        tmp_path / "a",
        kept=w.clone(),
        gone=torch.ones(3),
        wide=torch.zeros(2, 3),
        cast=w.half(),
        trained=w.clone(),
        old=w + 1,
        tiny=torch.tensor(1.0),
        none=torch.zeros(0),
    )
    b = saved(
        tmp_path / "b",
        kept=w.clone(),
        came=torch.ones(4),
        wide=torch.zeros(3, 2),
        cast=w.bfloat16(),
        trained=w * 2,
        new=w + 1,
        tiny=torch.tensor(1.0),
        none2=torch.zeros(0),
    )
    found = diff(of(a), of(b)).tensors
    assert [t.name for t in found.added] == ["came", "none2"]
    assert [t.name for t in found.removed] == ["gone", "none"]
    assert [str(t) for t in found.reshaped] == ["wide"]
    assert [(t.a.dtype, t.b.dtype) for t in found.recast] == [("F16", "BF16")]
    assert [str(t) for t in found.changed] == ["trained"]
    assert [str(t) for t in found.moved] == ["old → new"]
    assert found.same == 2
    assert found.total is None
    plain = found.to_dict()
    assert plain["moved"] == [
        {
            "from": {"folder": "", "name": "old"},
            "to": {"folder": "", "name": "new"},
            "dtype": "F32",
            "shape": [50, 40],
            "size_bytes": 8000,
        }
    ]
    assert "stat" not in plain


def test_shards_and_formats_do_not_count(tmp_path):
    x, y = torch.randn(40, 40), torch.randn(3)
    a = saved(tmp_path / "a", x=x, y=y)
    b = saved(tmp_path / "b", "model-00001-of-00002.safetensors", x=x)
    saved(b, "model-00002-of-00002.safetensors", y=y)
    c = tmp_path / "c"
    c.mkdir()
    torch.save({"x": x, "y": y}, c / "pytorch_model.bin")
    for other in (b, c):
        found = diff(of(a), of(other)).tensors
        assert found.same == 2
        assert not found
    # The same weights in two formats: each tensor once, unless its bytes differ.
    torch.save({"x": x, "y": y + 1}, a / "pytorch_model.bin")
    assert [t.name for t in diff(of(c), of(a)).tensors.added] == ["y (pytorch_model.bin)"]


def test_large_tensors_are_read_only_for_figures(tmp_path):
    a, b = saved(tmp_path / "a", w=torch.ones(5000)), saved(tmp_path / "b", w=torch.zeros(5000))
    one, other = of(a), of(b)

    def closed(path):
        raise AssertionError(path)

    told = []
    blind = [replace(side, open_file=closed) for side in (one, other)]
    assert len(diff(*blind).tensors.changed) == 1
    diff(one, other, stat=True, progress=lambda *step: told.append(step))
    assert told == [("comparing", 20000, 20000)]


def test_equal_tensors_that_part_ways_are_seen(tmp_path):
    """One blob in two places on one side, two blobs on the other."""
    ones = torch.ones(2000)
    a = saved(tmp_path / "a", x=ones, y=ones.clone())
    b = saved(tmp_path / "b", x=ones, y=ones * 2)
    assert not diff(of(a), of(b)).same
    assert not diff(of(b), of(a)).same
