"""diff: sides, adapters, configuration, tensors with figures, files, and its text."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from mstore.commit.execute import commit
from mstore.commit.options import CommitOptions
from mstore.compare import stats as tensorstat
from mstore.compare.adapters import AdapterDiff, AdapterSide
from mstore.compare.diff import MISSING, DiffResult, diff, side_of, side_of_commit, side_of_folder
from mstore.compare.stats import TensorStat
from mstore.compare.tensors import TensorPair
from mstore.errors import Corrupt, NotFound, RevisionNotFound, UsageError
from mstore.modeldir.stored_tree import StoredFile, StoredFolder, facts_of_manifest, layouts_of
from mstore.objects import Manifest, ManifestFile, Segment, blob_id
from mstore.render.diff import diff_lines
from mstore.render.page import folded_lines
from mstore.store import FACTS, add_note

LAYERS = 2


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(64, 192)
        self.mlp = nn.Linear(64, 64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList(Block() for _ in range(LAYERS))

    def forward(self, x):
        return x


def adapter(folder, **config):
    """A real adapter, as PEFT saves it."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = {"target_modules": ["c_attn"], "lora_alpha": 16, **config}
    get_peft_model(Net(), LoraConfig(**config)).save_pretrained(folder)
    return folder


def lora_of(result: DiffResult) -> tuple[AdapterDiff, AdapterSide, AdapterSide]:
    """How the only adapters differ, and both of them."""
    lora = result.lora
    assert lora is not None and lora.a is not None and lora.b is not None
    return lora, lora.a, lora.b


def figures_of(pair: TensorPair) -> TensorStat:
    """The figures of a tensor that was measured."""
    assert pair.stat is not None
    return pair.stat


def write_adapter(folder, *, rank=4, seed=0):
    """An adapter as PEFT lays it out, without the time that PEFT takes."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    tensors = {}
    for layer in range(LAYERS):
        prefix = f"base_model.model.transformer.h.{layer}.attn.c_attn"
        tensors[f"{prefix}.lora_A.weight"] = torch.randn(rank, 64)
        tensors[f"{prefix}.lora_B.weight"] = torch.randn(192, rank)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["c_attn"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def write_model(folder):
    """Weights with large, small and scalar tensors, configuration, a tokenizer file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    tensors = {"embed": torch.randn(20_000), "norm": torch.randn(64).half(), "scale": torch.tensor(1.0)}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"architectures": ["GPT2LMHeadModel"], "seed": 0}))
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    return folder


def contents(folder):
    """Every file of a folder by path."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def of(folder, label=None):
    return side_of_folder(None, folder, label or folder.name)


def text(result, width=100):
    return "\n".join(diff_lines(result, width=width))


def committed(place, folder, **options):
    return commit(place, folder, CommitOptions(**{"branch": "main", **options})).id


# --- a version's files ---------------------------------------------------------------------------


def test_stored_files_are_the_committed_ones(place, tmp_path):
    folder = write_model(tmp_path / "m")
    id = committed(place, folder)
    manifest = place.store.manifest(place.store.commit(id).manifest)
    stored = StoredFolder(place.store, manifest)
    rng = random.Random(0)
    assert {p: stored.read(p) for p in stored.paths()} == contents(folder)
    for path, content in contents(folder).items():
        file = stored.file(path)
        assert (file.name, file.size_bytes) == (path, len(content))
        assert b"".join(file.chunks()) == content
        for _ in range(50):
            begin, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
            assert file.read(begin, end - begin) == content[begin:end]
        with pytest.raises(Corrupt):
            file.read(1, len(content))
        with pytest.raises(Corrupt):
            file.read(-1, 1)
    with pytest.raises(NotFound):
        stored.read("absent")


@given(
    cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=8),
    reads=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=8),
)
def test_ranges_of_any_segments(cuts, reads):
    blob = bytes(range(100))
    id = blob_id(blob)

    class Store:
        def range(self, blob_of, offset, size):
            assert blob_of == id
            assert offset + size <= 100
            return blob[offset : offset + size]

        def get(self, blob_of):
            return blob

    segments = tuple(Segment(id, offset, length) for offset, length in cuts)
    content = b"".join(blob[s.offset : s.offset + s.length] for s in segments)
    entry = ManifestFile("f", "other", len(content), segments)
    store: Any = Store()
    file = StoredFile(store, entry)
    assert StoredFolder(store, Manifest((entry,))).read("f") == content
    for offset, size in reads:
        if offset + size <= len(content):
            assert file.read(offset, size) == content[offset : offset + size]


def test_facts_of_a_version_are_its_folders(place, tmp_path):
    folder = adapter(tmp_path / "r4", r=4)
    id = committed(place, folder)
    manifest = place.store.manifest(place.store.commit(id).manifest)
    assert facts_of_manifest(place.store, manifest) == of(folder).facts
    assert list(layouts_of(place.store, manifest)) == ["adapter_model.safetensors"]
    assert layouts_of(place.store, manifest, roles=("weights",)) == {}


def test_a_damaged_blob_is_not_read_as_if_it_were_whole(place, tmp_path):
    folder = write_model(tmp_path / "m")
    id = committed(place, folder)
    manifest = place.store.manifest(place.store.commit(id).manifest)
    for pack in (place.store.path / "packs").rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[2000] ^= 1  # in the first blob
        pack.chmod(0o644)
        pack.write_bytes(content)
    folder = StoredFolder(place.store, manifest)
    with pytest.raises(Corrupt):
        for path in folder.paths():
            folder.read(path)


# --- adapters ------------------------------------------------------------------------------------


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


def test_the_same_folder_twice(tmp_path):
    result = diff(of(adapter(tmp_path / "v1", r=4)), of(tmp_path / "v1"))
    assert result.same
    assert not result
    assert not result.lora
    assert result.tensors.same == 2 * LAYERS
    assert text(result) == "no differences"
    assert result.to_dict()["lora"]["a"]["rank"] == 4
    assert str(result) == "v1 and v1: no differences"


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


# --- configuration, metadata, metrics ------------------------------------------------------------


def test_configuration_is_flattened(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, config in (
        (a, {"x": 1, "n": {"y": [1], "z": None, "only": True}, "f": 16, "nan": math.nan, "w": 1}),
        (b, {"x": 2, "n": {"y": [1, 2], "z": 0}, "f": 16.0, "nan": math.nan, "w": True, "new": None}),
    ):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "other.json").write_text(json.dumps(config))
    result = diff(of(a), of(b))
    assert result.config == {
        "config.x": (1, 2),
        "config.n.y": ([1], [1, 2]),
        "config.n.z": (None, 0),
        "config.n.only": (True, MISSING),
        "config.w": (1, True),
        "config.new": (MISSING, None),
    }
    assert result.to_dict()["config"]["config.new"] == {"b": None}
    assert result.to_dict()["config"]["config.n.only"] == {"a": True}
    lines = text(result).splitlines()
    assert "  config.n.z     null → 0" in lines
    assert "- config.n.only  true" in lines
    assert "+ config.new     null" in lines


def test_a_broken_configuration_is_a_warning(tmp_path):
    a, b = write_model(tmp_path / "a"), write_model(tmp_path / "b")
    (b / "config.json").write_text("{")
    (b / "model.safetensors").write_bytes(b"no such thing")
    result = diff(of(a), of(b))
    assert sum(w.startswith("b: ") for w in result.warnings) == 2
    assert result.config["config.seed"] == (0, MISSING)
    assert len(result.tensors.removed) == 3
    assert {c.path for c in result.files.changed} == {"config.json", "model.safetensors"}


def test_two_commits(place, tmp_path):
    one = committed(
        place,
        write_adapter(tmp_path / "r4", rank=4),
        metadata={"lr": 1e-3, "data": {"name": "x", "rows": 5}},
        metrics={"loss": 2.0, "eval_loss": math.nan, "same": 1.0},
    )
    other = committed(
        place,
        write_adapter(tmp_path / "r8", rank=8),
        metadata={"lr": 2e-4, "data": {"name": "x", "rows": 6}},
        metrics={"loss": 1.5, "same": 1.0},
    )
    payload = {"metrics": {"bleu": 30.5}, "metadata": {"judge": "Bo"}}
    add_note(place.store, other, FACTS, payload, place.move("note", ""))
    result = diff(side_of(place, one), side_of(place, "main"), stat=True)
    assert (result.a, result.b) == (one.short, "main")
    assert result.metadata == {
        "lr": (1e-3, 2e-4),
        "data.rows": (5, 6),
        "judge": (MISSING, "Bo"),
    }
    assert list(result.metrics) == ["bleu", "eval_loss", "loss"]
    assert result.metrics["loss"] == (2.0, 1.5)
    assert result.metrics["bleu"] == (None, 30.5)
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["metrics"]["eval_loss"] == {"a": "NaN", "b": None}
    assert plain["lora"]["b"]["modules"]["transformer.h.0.attn.c_attn"] == {"A": [8, 64], "B": [192, 8]}
    lines = text(result).splitlines()
    assert "  loss       2 → 1.5  (-0.5)" in lines
    assert "+ bleu       30.5" in lines
    assert "  lr         0.001 → 0.0002" in lines


def test_the_run_is_metadata_and_its_metrics_are_not(place, tmp_path):
    ids = []
    for step in (1, 2):
        folder = write_adapter(tmp_path / "m", seed=step)
        log = [{"step": step, "loss": 3.0 - step}]
        state = {"global_step": step, "epoch": step / 2, "log_history": log, "max_steps": 2}
        (folder / "trainer_state.json").write_text(json.dumps(state))
        ids.append(committed(place, folder))
    result = diff(*(side_of_commit(place, id, id.short) for id in ids))
    assert result.metadata == {
        "recorded.trainer.global_step": (1, 2),
        "recorded.trainer.epoch": (0.5, 1.0),
    }
    assert result.metrics == {"loss": (2.0, 1.0)}


def test_a_folder_and_a_commit(place, tmp_path):
    folder = write_adapter(tmp_path / "m")
    id = committed(place, folder, metadata={"lr": 1}, metrics={"loss": 2.0})
    result = diff(side_of(place, id), side_of(place, folder))
    assert result.same
    assert not result  # a folder has no metadata and no metrics to differ in
    assert result.tensors.same == 4
    write_adapter(folder, seed=1)
    result = diff(side_of(place, id), side_of(place, folder), stat=True)
    assert len(result.tensors.changed) == 4
    assert result.tensors.total is not None and result.tensors.total.share == 1
    assert [c.path for c in result.files.changed] == ["adapter_model.safetensors"]


def test_roles_left_out_of_a_commit_are_not_missed_in_a_folder(place, tmp_path):
    folder = write_adapter(tmp_path / "m")
    (folder / "scheduler.pt").write_bytes(b"state")
    id = committed(place, folder, without=frozenset({"training-state"}))
    assert diff(side_of(place, id), side_of(place, folder)).same
    assert diff(side_of(place, folder), side_of(place, id)).same


def test_sides(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    id = committed(place, write_adapter(tmp_path / "runs" / "one"), branch="a/b")
    assert (
        side_of(place, "a/b").manifest
        == side_of(place, id).manifest
        == side_of(None, "./runs/one").manifest
    )
    assert side_of(place, "runs/one").is_folder
    with pytest.raises(RevisionNotFound):
        side_of(place, "nowhere")
    with pytest.raises(RevisionNotFound):
        side_of(place, "no/where")
    with pytest.raises(NotFound):
        side_of(place, "./no/where")
    with pytest.raises(UsageError):
        side_of(None, "main")
    with pytest.raises(UsageError):
        side_of(place, None)


# --- tensors -------------------------------------------------------------------------------------


def saved(folder, name="model.safetensors", **tensors):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / name)
    return folder


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


DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "BOOL": torch.bool,
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_figures_are_those_of_a_dense_computation(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(tensorstat, "_CHUNK_ELEMENTS", 300)
    rng = np.random.default_rng(0)
    raw = [rng.integers(0, 2 if dtype == "BOOL" else 256, 8000, np.uint8) for _ in range(2)]
    raw[1][:4000] = raw[0][:4000]
    a, b = (torch.from_numpy(r).view(DTYPES[dtype]).reshape(10, -1) for r in raw)
    if dtype == "F64":  # random exponents would overflow the squares
        a = torch.randn(1000, dtype=torch.float64).reshape(10, -1)
        b = a + torch.randn_like(a) * (torch.rand_like(a) < 0.5)
    found = diff(of(saved(tmp_path / "a", w=a)), of(saved(tmp_path / "b", w=b)), stat=True).tensors
    [pair] = found.changed
    stat, width = figures_of(pair), a.element_size()
    x, y = (t.to(torch.float64).numpy().ravel() for t in (a, b))
    bits = [t.contiguous().view(torch.uint8).numpy().reshape(-1, width) for t in (a, b)]
    assert stat.elements == a.numel()
    assert stat.differing == (bits[0] != bits[1]).any(1).sum()
    finite = np.isfinite(x) & np.isfinite(y)
    assert stat.not_finite == (~finite).sum()
    x, y = x[finite], y[finite]
    assert stat.relative == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x), rel=1e-12)
    expected = np.dot(x / np.linalg.norm(x), y / np.linalg.norm(y))
    assert stat.cosine == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.total is not None and found.total.relative == pytest.approx(stat.relative)
    assert found.unmeasured == 0


@pytest.mark.parametrize("name", ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"])
def test_every_code_of_an_8_bit_float(name):
    codes = torch.arange(256, dtype=torch.uint8)
    expected = codes.view(DTYPES[name]).to(torch.float64).numpy()
    np.testing.assert_array_equal(tensorstat.values_of(bytes(codes.numpy()), name), expected)


def test_figures_of_recast_tensors_go_by_value(tmp_path):
    w = torch.tensor([1.0, 2.0, math.nan, 1.0009765625, math.inf])
    a, b = saved(tmp_path / "a", w=w), saved(tmp_path / "b", w=w.bfloat16())
    [pair] = diff(of(a), of(b), stat=True).tensors.recast
    stat = figures_of(pair)
    assert stat.differing == 1  # the one that bfloat16 has no room for
    assert stat.not_finite == 2
    assert stat.norm_change == 0.0009765625


def test_figures_at_the_edges(tmp_path):
    zero = torch.zeros(4)
    a = saved(
        tmp_path / "a",
        zero=zero,
        sign=zero.clone(),
        back=torch.ones(4),
        gone=torch.full((4,), math.nan),
    )
    b = saved(tmp_path / "b", zero=torch.ones(4), sign=-zero, back=zero, gone=torch.ones(4))
    result = diff(of(a), of(b), stat=True)
    stats = {str(p): figures_of(p) for p in result.tensors.changed}
    assert (stats["zero"].relative, stats["zero"].cosine) == (math.inf, None)
    assert (stats["sign"].share, stats["sign"].relative) == (1.0, 0.0)  # bits differ, values do not
    assert (stats["back"].relative, stats["back"].cosine) == (1.0, None)
    assert (stats["gone"].not_finite, stats["gone"].relative) == (4, 0.0)
    total = result.tensors.total
    assert total is not None
    assert (total.elements, total.norm_a, total.norm_b) == (16, 2.0, 2.0)
    assert total.relative == pytest.approx(math.sqrt(2))
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    figures = {t["name"]: t["stat"] for t in plain["tensors"]["changed"]}
    assert figures["zero"]["relative"] == "Infinity"
    assert figures["zero"]["cosine"] is None
    assert plain["tensors"]["stat"]["element_count"] == 16
    assert "4 not finite" in text(result)


def test_what_has_no_figures_is_said(tmp_path):
    a = saved(tmp_path / "a", c=torch.ones(3, dtype=torch.complex64), w=torch.ones(3))
    b = saved(tmp_path / "b", c=torch.zeros(3, dtype=torch.complex64), w=torch.zeros(3))
    result = diff(of(a), of(b), stat=True)
    assert [p.stat is None for p in result.tensors.changed] == [True, False]
    assert result.tensors.unmeasured == 1
    assert "no figures for this dtype" in text(result)
    assert "1 tensor without figures" in text(result)


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


# --- files ---------------------------------------------------------------------------------------


def test_files(tmp_path):
    a, b = write_model(tmp_path / "a"), write_model(tmp_path / "b")
    (a / "README.md").write_text("one")
    (b / "LICENSE").write_text("three")
    (b / "tokenizer.json").write_text("{}")
    result = diff(of(a), of(b))
    assert result.to_dict()["files"] == {
        "added": [{"path": "LICENSE", "role": "other", "size_bytes": 5}],
        "removed": [{"path": "README.md", "role": "other", "size_bytes": 3}],
        "changed": [
            {
                "path": "tokenizer.json",
                "role": "tokenizer",
                "a": {"size_bytes": 18},
                "b": {"size_bytes": 2},
            }
        ],
    }
    assert text(result).splitlines() == [
        "Files",
        "M tokenizer.json  18 B → 2 B",
        "+ LICENSE         5 B",
        "- README.md       3 B",
    ]


def test_files_cut_differently_are_compared_by_content(tmp_path):
    side = of(write_model(tmp_path / "a"))
    content = (tmp_path / "a" / "model.safetensors").read_bytes()

    def as_one(content):
        entry = side.manifest.by_path["model.safetensors"]
        whole = (Segment(blob_id(content), 0, len(content)),)
        files = [replace(f, segments=whole) if f == entry else f for f in side.manifest.files]
        return Manifest(tuple(files))

    assert diff(side, replace(side, manifest=as_one(content))).same
    changed = tmp_path / "b"
    write_model(changed)
    (changed / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = of(changed)
    manifest = as_one((changed / "model.safetensors").read_bytes())
    assert not diff(side, replace(other, manifest=manifest)).same


def test_equal_tensors_that_part_ways_are_seen(tmp_path):
    """One blob in two places on one side, two blobs on the other."""
    ones = torch.ones(2000)
    a = saved(tmp_path / "a", x=ones, y=ones.clone())
    b = saved(tmp_path / "b", x=ones, y=ones * 2)
    assert not diff(of(a), of(b)).same
    assert not diff(of(b), of(a)).same


# --- text ----------------------------------------------------------------------------------------


def test_names_fold_only_where_they_differ():
    assert folded_lines(["h.0.fc1", "h.1.fc1"]) == "h.*.fc1"
    assert folded_lines(["h.0.fc1", "h.0.fc2"]) == "h.0.fc*"
    assert folded_lines(["w"]) == "w"


def test_no_name_steers_the_terminal(tmp_path):
    evil = "w\x1b[31m\u202e\n"
    a = saved(tmp_path / "a", **{evil: torch.zeros(3), "x": torch.zeros(2)})
    b = saved(tmp_path / "b", **{evil: torch.ones(3), "x" + evil: torch.zeros(2)})
    (a / "config.json").write_text(json.dumps({evil: evil}))
    (b / "config.json").write_text(json.dumps({"r": 1}))
    for stat in (False, True):
        for line in diff_lines(diff(of(a), of(b), stat=stat), width=100):
            assert line.isprintable()


def test_long_lists_are_folded_and_lines_fit(tmp_path):
    for name in "ab":
        tensors = {
            f"model.layers.{i}.{part}": torch.randn(4, 4)
            for i in range(30)
            for part in ("q", "k", "a_module_of_quite_a_long_name.with_parts.that_go_on.weight")
        }
        tensors |= {
            f"odd_{chr(97 + i)}{chr(97 + i)}": torch.full((i + 2,), ord(name)) for i in range(26)
        }
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
        config = {f"key{i}": name * 200 for i in range(40)}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        for i in range(30):
            (tmp_path / name / f"log{i}.txt").write_text(name)
    result = diff(of(tmp_path / "a"), of(tmp_path / "b"))
    lines = list(diff_lines(result, width=80))
    assert max(map(len, lines)) <= 80
    assert "  changed   30 × model.layers.*.q  F32 [4, 4] 64 B" in lines
    assert "  … and 20 more keys" in lines
    assert "  … and 9 more kinds of changed tensors" in lines
    assert "M log*.txt" in " ".join(lines)
    lines = list(diff_lines(diff(of(tmp_path / "a"), of(tmp_path / "b"), stat=True), width=120))
    assert "  … and 96 changed tensors that changed less" in lines
    assert any(line.startswith("  in all    100.0% differ") for line in lines)


def test_colours_go_through_style(tmp_path):
    import click

    result = diff(of(adapter(tmp_path / "a", r=4)), of(adapter(tmp_path / "b", r=8)))
    plain = list(diff_lines(result, width=90))
    coloured = list(diff_lines(result, width=90, style=lambda text, fg: click.style(text, fg=fg)))
    assert plain != coloured
    assert [click.unstyle(line) for line in coloured] == plain


# --- what is not imported ------------------------------------------------------------------------


def test_numpy_is_imported_for_figures_alone(tmp_path):
    write_adapter(tmp_path / "a", rank=4)
    write_adapter(tmp_path / "b", rank=8)
    code = (
        "import sys; from mstore.compare.diff import diff, side_of\n"
        "print(diff(side_of(None, './a'), side_of(None, './b')).lora)\n"
        "print([m for m in ('numpy', 'torch', 'click', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "r 4 → 8\n[]\n"
