"""How LoRA adapters differ: ranks, scaling, targets."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import nn

from mstore.compare.diff import diff, side_of
from tests.conftest import contents
from tests.unit.compare.folders import LAYERS, Net, adapter, lora_of, of, text, write_model


def test_the_ranks_of_two_adapters_without_a_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adapter(tmp_path / "v1", r=4)
    adapter(tmp_path / "v2", r=8)
    before = sorted(tmp_path.rglob("*"))
    result = diff(side_of(None, Path("v1")), side_of(None, "./v2"))
    assert sorted(tmp_path.rglob("*")) == before
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert {"lora", "adapters", "config", "metadata", "metrics", "tensors", "files"} <= set(plain)
    assert (plain["a"], plain["b"], plain["same"]) == ("v1", "./v2", False)
    modules = {f"h.{i}.c_attn": {"A": [4, 64], "B": [192, 4]} for i in range(LAYERS)}
    assert plain["lora"]["a"] == {
        "rank": 4,
        "ranks": [4],
        "alpha": 16,
        "scaling": 4,
        "targets": ["c_attn"],
        "modules": modules,
    }
    assert plain["lora"]["b"]["rank"] == 8
    assert plain["lora"]["b"]["scaling"] == 2
    assert plain["lora"]["b"]["modules"]["h.0.c_attn"] == {"A": [8, 64], "B": [192, 8]}
    assert plain["adapters"] == {}
    assert plain["config"] == {"adapter_config.r": {"a": 4, "b": 8}}
    assert [t["name"] for t in plain["tensors"]["reshaped"]] == [
        f"base_model.model.h.{i}.c_attn.lora_{part}.weight" for i in range(LAYERS) for part in "AB"
    ]
    assert plain["tensors"]["same_count"] == 0
    assert [f["path"] for f in plain["files"]["changed"]] == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert lora_of(result)[0].changed == ("rank", "ranks", "scaling", "scalings", "modules")
    assert result.warnings == ()
    assert not result.same
    assert str(result).startswith("v1 → ./v2: LoRA r 4 → 8, 1 configuration key")
    lines = text(result).splitlines()
    assert lines[:3] == ["LoRA", "  rank     r 4 → 8", "  alpha    16"]
    assert "  2 modules  A [4, 64] → [8, 64]   B [192, 4] → [192, 8]  (h.*.c_attn)" in lines


def test_dora_and_patterns(tmp_path):
    a = adapter(tmp_path / "a", r=4)
    pattern = {"rank_pattern": {"h.1.c_attn": 8}, "alpha_pattern": {"h.1.c_attn": 64}}
    b = adapter(tmp_path / "b", r=4, use_dora=True, use_rslora=True, **pattern)
    result = diff(of(a), of(b))
    lora, before, after = lora_of(result)
    assert (before.ranks, after.ranks) == ((4,), (4, 8))
    assert before.scaling == 4
    assert after.scalings == (16 / math.sqrt(4), 64 / math.sqrt(8))
    assert after.modules["h.0.c_attn"] == {"A": (4, 64), "B": (192, 4), "magnitude": (192,)}
    assert {"use_dora", "use_rslora", "rank_pattern", "alpha_pattern"} <= set(lora.changed)
    assert "rank" not in lora.changed
    assert result.warnings == ()  # patterns explain every shape
    shown = text(result)
    assert "r 4 → 4 (in shapes 4, 8)" in shown
    assert "DoRA           no → yes" in shown
    assert "A [4, 64] → [8, 64]   B [192, 4] → [192, 8]   magnitude – → [192]" in shown
    assert "+ adapter_config.rank_pattern.h.1.c_attn   8" in shown
    assert "added     2 × base_model.model.h.*.c_attn.lora_magnitude_vector  F32 [192] 768 B" in shown


def test_a_configuration_that_shapes_belie(tmp_path):
    a = adapter(tmp_path / "a", r=4)
    b = adapter(tmp_path / "b", r=4)
    config = json.loads((b / "adapter_config.json").read_text())
    (b / "adapter_config.json").write_text(json.dumps({**config, "r": 16}))
    result = diff(of(a), of(b))
    assert result.warnings == ("b: adapter_config.json: says rank 16, but 2 modules have rank 4",)
    _, _, after = lora_of(result)
    assert (after.rank, after.ranks) == (16, (4,))
    (b / "adapter_model.safetensors").unlink()
    [warning] = diff(of(a), of(b)).warnings
    assert warning.startswith("b: adapter_config.json: says rank 16, and no shapes are there")


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.randn(5, 8, 12))

    def forward(self, x):
        return torch.einsum("bi,eio->beo", x, self.up)


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = Experts()

    def forward(self, x):
        return self.experts(x)


def test_ranks_of_experts(tmp_path):
    from peft import LoraConfig, get_peft_model

    for rank in (2, 3):
        config = LoraConfig(r=rank, lora_alpha=6, target_parameters=["experts.up"], target_modules=[])
        get_peft_model(Mixture(), config).save_pretrained(tmp_path / f"r{rank}")
    result = diff(of(tmp_path / "r2"), of(tmp_path / "r3"))
    assert result.warnings == ()
    _, before, after = lora_of(result)
    assert before.ranks == (2,)
    assert after.ranks == (3,)
    assert after.modules["experts"]["A"][0] == 15
    assert after.scalings == (2,)


def test_several_adapters(tmp_path):
    from peft import LoraConfig, get_peft_model

    for name, rank in (("a", 4), ("b", 8)):
        model = get_peft_model(Net(), LoraConfig(r=2, target_modules=["mlp"]), adapter_name="first")
        model.add_adapter("second", LoraConfig(r=rank, target_modules=["c_attn"]))
        model.save_pretrained(tmp_path / name)
    plain = diff(of(tmp_path / "a"), of(tmp_path / "b")).to_dict()
    assert plain["lora"] == {"a": None, "b": None}
    assert plain["adapters"]["first"]["a"]["rank"] == plain["adapters"]["first"]["b"]["rank"] == 2
    assert plain["adapters"]["second"]["a"]["rank"] == 4
    assert plain["adapters"]["second"]["b"]["modules"]["h.1.c_attn"]["A"] == [8, 64]
    assert plain["config"] == {"second/adapter_config.r": {"a": 4, "b": 8}}
    # The only adapter of one side is compared with its namesake of several.
    (tmp_path / "b" / "first" / "adapter_config.json").unlink()
    (tmp_path / "b" / "first" / "adapter_model.safetensors").unlink()
    result = diff(of(tmp_path / "a"), of(tmp_path / "b"))
    assert [side.rank for side in lora_of(result)[1:]] == [4, 8]
    assert result.adapters["first"].b is None
    assert "LoRA  first/  only in a" in text(result)
    assert "LoRA  second/" in text(result)


def test_the_only_adapters_of_two_folders_go_together_wherever_they_lie(tmp_path):
    adapter(tmp_path / "a", r=4)
    adapter(tmp_path / "b" / "default", r=8)
    result = diff(of(tmp_path / "a"), of(tmp_path / "b"))
    assert [side.rank for side in lora_of(result)[1:]] == [4, 8]
    assert len(result.adapters) == 1


def test_an_adapter_on_one_side_only(tmp_path):
    a = write_model(tmp_path / "a")
    b = adapter(tmp_path / "b", r=4)
    result = diff(of(a), of(b))
    assert result.to_dict()["lora"]["a"] is None
    assert "LoRA  only in b\n  rank     r 4\n" in text(result)
    assert "  2 modules  A [4, 64]   B [192, 4]  (h.*.c_attn)" in text(result)


def test_targets_are_a_set(tmp_path):
    a = adapter(tmp_path / "a", r=4, target_modules=["c_attn", "mlp"])
    b = tmp_path / "b"
    b.mkdir()
    for name, content in contents(a).items():
        (b / name).write_bytes(content)
    config = json.loads((a / "adapter_config.json").read_text())
    config["target_modules"].reverse()
    (b / "adapter_config.json").write_text(json.dumps(config))
    result = diff(of(a), of(b))
    assert result.config == {}
    assert [c.path for c in result.files.changed] == ["adapter_config.json"]
    assert text(result).startswith("LoRA  same\n  rank     r 4\n")
