"""What is wrong with a version as training sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.objects import CommitId
from mstore.training.health import health_of
from tests.conftest import save_tensors


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_found(tmp_path: Path, dtype: str, value: str) -> None:
    import torch
    from safetensors.torch import save_file

    kinds = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    repo = mstore.init(tmp_path)
    weight = torch.linspace(-3, 3, 5000).to(kinds[dtype])
    (tmp_path / "out").mkdir()
    save_file({"w": weight, "n": torch.arange(9)}, tmp_path / "out/model.safetensors")
    assert health_of(repo, repo.commit(tmp_path / "out").id) == {}
    weight[4321] = float(value)
    save_file({"w": weight, "n": torch.arange(9)}, tmp_path / "out/model.safetensors")
    assert health_of(repo, repo.commit(tmp_path / "out").id) == {"not_finite": "NaN or infinity in w"}


def test_an_adapter_that_learnt_nothing_is_said(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    a = np.ones((4, 8), np.float32)
    for b, health in ((np.zeros((8, 4), np.float32), {"untrained"}), (a.T.copy(), set())):
        save_tensors(
            tmp_path / "out/adapter_model.safetensors",
            {"base_model.model.q.lora_A.weight": a, "base_model.model.q.lora_B.weight": b},
        )
        (tmp_path / "out/adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
        assert set(health_of(repo, repo.commit(tmp_path / "out").id)) == health


def _committed(repo: Repository, folder: Path, **tensors: np.ndarray[Any, Any]) -> CommitId:
    save_tensors(folder / "model.safetensors", dict(tensors))
    return repo.commit(folder, allow_empty=True).id


def test_frozen_tensors_that_moved_are_named_and_new_ones_are_not(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    ones = np.ones(5000, np.float32)
    many = {f"frozen.{i}": ones + i for i in range(7)}
    first = _committed(repo, tmp_path / "out", head=ones, **many)
    assert health_of(repo, first, "frozen") == {}, "a first version has nothing that moved"
    moved = {name: value + 1 for name, value in many.items()}
    second = _committed(repo, tmp_path / "out", head=ones * 2, **moved, **{"frozen.new": ones})
    found = health_of(repo, second, r"frozen\.")
    assert list(found) == ["frozen_changed"]
    assert (
        found["frozen_changed"].endswith("and 2 more") and "frozen.new" not in found["frozen_changed"]
    )
    assert health_of(repo, second) == {} == health_of(repo, second, "head_of_something_else")


def test_only_what_the_parent_lacks_is_read(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    bad, good = np.full(5000, np.nan, np.float32), np.ones(5000, np.float32)
    _committed(repo, tmp_path / "out", bad=bad, good=good)
    again = _committed(repo, tmp_path / "out", bad=bad, good=good * 2)
    assert health_of(repo, again) == {}, "it was said of the version before"


def test_small_tensors_that_share_a_blob_are_told_apart(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    small = {f"s{i}": np.full(3, i, np.float32) for i in range(4)}
    _committed(repo, tmp_path / "out", **small)
    changed = _committed(repo, tmp_path / "out", **{**small, "s2": np.full(3, np.inf, np.float32)})
    assert health_of(repo, changed, "s") == {
        "not_finite": "NaN or infinity in s2",
        "frozen_changed": "meant to be frozen, and changed: s2",
    }


def test_two_adapters_have_tensors_of_the_same_names(tmp_path: Path) -> None:
    """PEFT saves each adapter but the first in a folder of its own."""
    repo = mstore.init(tmp_path)
    name, ones = "base_model.model.q.lora_B.weight", np.ones((64, 64), np.float32)
    for folder in ("", "second"):
        save_tensors(tmp_path / "out" / folder / "adapter_model.safetensors", {name: ones})
    assert health_of(repo, repo.commit(tmp_path / "out").id) == {}
    bad = np.full((64, 64), np.nan, np.float32)
    save_tensors(tmp_path / "out/second/adapter_model.safetensors", {name: bad})
    found = health_of(repo, repo.commit(tmp_path / "out").id, "lora_B")
    assert found == {
        "not_finite": f"NaN or infinity in {name}",
        "frozen_changed": f"meant to be frozen, and changed: {name}",
    }


def test_a_tensor_that_moved_to_another_shard_did_not_change(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    a, b = (np.full(5000, i, np.float32) for i in (1, 2))
    save_tensors(tmp_path / "out/model.safetensors", {"a": a, "b": b})
    repo.commit(tmp_path / "out")
    (tmp_path / "out/model.safetensors").unlink()
    save_tensors(tmp_path / "out/model-00001-of-00002.safetensors", {"a": a})
    save_tensors(tmp_path / "out/model-00002-of-00002.safetensors", {"b": b + 1})
    found = health_of(repo, repo.commit(tmp_path / "out").id, ".")
    assert found == {"frozen_changed": "meant to be frozen, and changed: b"}
