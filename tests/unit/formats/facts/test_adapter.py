"""Roles, facts of a directory, and the checks of shard indexes."""

from __future__ import annotations

import json
import math
import warnings
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from mstore.errors import BadFile
from mstore.formats import BytesSource, check_index, describe, parse, role_of
from mstore.formats.facts.adapter import adapter_facts
from mstore.objects import ROLES, Layout, TensorEntry, encode

if TYPE_CHECKING:
    from pathlib import Path


class Folder:
    """A FolderSource of a dict, or of a folder on disk."""

    def __init__(self, files: dict[str, bytes | str | dict]):
        self.files = {
            k: v if isinstance(v, bytes) else (v if isinstance(v, str) else json.dumps(v)).encode()
            for k, v in files.items()
        }
        self.reads: list[str] = []

    @classmethod
    def at(cls, root: Path) -> Folder:
        return cls({str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()})

    def paths(self):
        return list(self.files)

    def size_bytes(self, path, /):
        return len(self.files[path])

    def read(self, path, /):
        self.reads.append(path)
        return self.files[path]

    def layouts(self):
        found = {p: parse(BytesSource(p, c)).layout for p, c in self.files.items()}
        return {p: layout for p, layout in found.items() if layout is not None}

    def facts(self):
        return describe(self, self.layouts())


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("model.safetensors", "weights"),
        ("model-00001-of-00002.safetensors", "weights"),
        ("model.safetensors.index.json", "weights"),
        ("pytorch_model.bin", "weights"),
        ("pytorch_model.bin.index.json", "weights"),
        ("unet/diffusion_pytorch_model.safetensors", "weights"),
        ("q4.gguf", "weights"),
        ("consolidated.00.pth", "weights"),
        ("adapter_model.safetensors", "adapter"),
        ("second/adapter_model.bin", "adapter"),
        ("adapter_config.json", "adapter"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
        ("tokenizer.model", "tokenizer"),
        ("spiece.model", "tokenizer"),
        ("sentencepiece.bpe.model", "tokenizer"),
        ("vocab.txt", "tokenizer"),
        ("vocab.json", "tokenizer"),
        ("merges.txt", "tokenizer"),
        ("special_tokens_map.json", "tokenizer"),
        ("added_tokens.json", "tokenizer"),
        ("chat_template.jinja", "tokenizer"),
        ("additional_chat_templates/tool.jinja", "tokenizer"),
        ("config.json", "config"),
        ("1_Pooling/config.json", "config"),
        ("generation_config.json", "config"),
        ("preprocessor_config.json", "config"),
        ("optimizer.pt", "training-state"),
        ("optimizer.bin", "training-state"),
        ("scheduler.pt", "training-state"),
        ("scaler.pt", "training-state"),
        ("rng_state.pth", "training-state"),
        ("rng_state_3.pth", "training-state"),
        ("trainer_state.json", "training-state"),
        ("training_args.bin", "training-state"),
        ("global_step80/mp_rank_00_model_states.pt", "training-state"),
        ("README.md", "other"),
        ("modeling_x.py", "other"),
        ("global_step80", "other"),
        ("checkpoint-is-incomplete.txt", "other"),
    ],
)
def test_roles(path, role):
    assert role_of(path) == role
    assert role in ROLES


# --- config.json ---------------------------------------------------------------------------------


def test_a_model_of_transformers(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=50,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).bfloat16()
    model.save_pretrained(tmp_path)
    model = describe(folder := Folder.at(tmp_path), folder.layouts()).model
    assert model.architectures == ("LlamaForCausalLM",)
    assert model.model_type == "llama"
    assert model.dtype == "bfloat16"
    assert model.parameter_count == LlamaForCausalLM(config).num_parameters()
    assert (model.base_name, model.quantization, model.auto_map) == (None, None, False)


def test_config_fields():
    facts = Folder(
        {
            "config.json": {
                "_name_or_path": "org/base",
                "_commit_hash": "abc",
                "torch_dtype": "float16",
                "quantization_config": {"quant_method": "gptq"},
                "auto_map": {"AutoModel": "m.M"},
            }
        }
    ).facts()
    assert facts.plain() == {
        "model": {
            "base_name": "org/base",
            "base_revision": "abc",
            "dtype": "float16",
            "quantization": "gptq",
            "auto_map": True,
        }
    }


def test_weights_without_config_and_tied_in_a_zip():
    entries = (
        TensorEntry("a", "F32", (4,), 0, 16),
        TensorEntry("b", "F32", (4,), 0, 16),
        TensorEntry("c", "BF16", (2,), 16, 20),
    )
    layouts = {"pytorch_model.bin": Layout("torch-zip", entries), "sub/x.bin": Layout("x", entries)}
    model = describe(Folder({}), layouts).model
    assert (model.parameter_count, model.dtype) == (6, "float32")
    layouts["model.safetensors"] = Layout("safetensors", entries[2:])
    assert describe(Folder({}), layouts).model.parameter_count == 2


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[]", "not a JSON object"),
        (b'{"a": 1,\n "b": }', "line 2 column 7"),
        (b"\xff", "not UTF-8"),
        (b'{"a":' * 5000, "nested"),
        (b'{"a":' + b"1" * 5000 + b"}", "not JSON"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "adapter_config.json", "trainer_state.json"])
def test_broken_json_is_a_warning(name, content, fragment):
    facts = Folder({name: content}).facts()
    assert (facts.model, dict(facts.adapters), facts.trainer) == (None, {}, None)
    (warning,) = facts.warnings
    assert warning.startswith(f"{name}: ")
    assert fragment in warning


def test_huge_json_is_not_read():
    class Huge(Folder):
        def size_bytes(self, path, /):
            return 1 << 40

    folder = Huge({"config.json": {}})
    assert "larger" in describe(folder, {}).warnings[0]
    assert folder.reads == []


@pytest.mark.parametrize("junk", [None, 1, -1, 1.5, True, "", "x", [], [1], {}, {"a": []}, 10**300])
def test_fields_of_the_wrong_type_give_no_facts(junk):
    config = [
        "architectures",
        "model_type",
        "dtype",
        "_name_or_path",
        "quantization_config",
        "auto_map",
    ]
    adapter = ["peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules"]
    adapter += ["target_parameters", "use_rslora", "use_dora", "bias", "modules_to_save", "revision"]
    state = ["global_step", "epoch", "max_steps", "log_history", "best_metric", "stateful_callbacks"]
    facts = Folder(
        {
            "config.json": dict.fromkeys(config, junk),
            "adapter_config.json": dict.fromkeys(adapter, junk),
            "trainer_state.json": dict.fromkeys(state, junk),
        }
    ).facts()
    assert facts.warnings == ()
    encode(facts.plain())


def test_lone_surrogates_become_text():
    facts = Folder({"config.json": b'{"model_type":"\\ud800","architectures":["\\udfff"]}'}).facts()
    encode(facts.plain())


# --- adapters ------------------------------------------------------------------------------------


def tiny(tie=False):
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            vocab_size=50,
            tie_word_embeddings=tie,
        )
    )


def wrapped(tmp_path, model=None, **options):
    """Save a PEFT adapter; returns (facts, the PEFT model)."""
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft = get_peft_model(model if model is not None else tiny(), LoraConfig(**options))
        peft.save_pretrained(tmp_path)
    return Folder.at(tmp_path).facts(), peft


def assert_agrees(facts, peft):
    """Rank and scaling of every module are those that PEFT computed."""
    from peft.tuners.lora import LoraLayer

    checked = 0
    for name, layer in peft.base_model.model.named_modules():
        if isinstance(layer, LoraLayer) and "default" in layer.scaling:
            assert facts.module_rank(name) == layer.r["default"], name
            assert facts.module_scaling(name) == pytest.approx(layer.scaling["default"]), name
            checked += 1
    assert checked == len(facts.modules) > 0


def test_a_plain_adapter(tmp_path):
    facts, peft = wrapped(tmp_path, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    adapter = facts.adapters[""]
    assert (adapter.kind, adapter.rank, adapter.ranks, adapter.alpha) == ("LORA", 4, (4,), 8.0)
    assert (adapter.scaling, adapter.targets) == (2.0, ("q_proj", "v_proj"))
    assert (adapter.use_dora, adapter.use_rslora, adapter.bias) == (False, False, "none")
    assert adapter.modules["model.layers.0.self_attn.q_proj"] == {"A": (4, 16), "B": (16, 4)}
    assert_agrees(adapter, peft)
    encode(facts.plain())
    assert facts.plain()["adapters"][""]["rank"] == 4
    assert facts.plain()["adapters"][""]["module_count"] == 4


def test_patterns_rslora_dora_and_modules_to_save(tmp_path):
    facts, peft = wrapped(
        tmp_path,
        r=4,
        lora_alpha=8,
        use_rslora=True,
        use_dora=True,
        target_modules=["q_proj", "k_proj", "down_proj"],
        rank_pattern={
            r"model\.layers\.1\.self_attn\.q_proj": 2,
            "mlp.down_proj": 6,
            r"^model.*\.0\..*k_proj": 3,
        },
        alpha_pattern={"q_proj": 32, "layers.0.self_attn.k_proj": 5},
        modules_to_save=["lm_head"],
    )
    adapter = facts.adapters[""]
    assert adapter.ranks == (2, 3, 4, 6)
    assert adapter.use_dora
    assert adapter.scaling == 4.0
    assert adapter.modules["model.layers.0.mlp.down_proj"]["magnitude"] == (16,)
    assert adapter.modules_to_save == ("lm_head",)
    assert adapter.whole_tensors == ("lm_head.weight",)
    assert_agrees(adapter, peft)


def test_embeddings(tmp_path):
    facts, peft = wrapped(tmp_path, r=3, lora_alpha=6, target_modules=["embed_tokens", "q_proj"])
    adapter = facts.adapters[""]
    assert adapter.modules["model.embed_tokens"] == {"embedding_A": (3, 50), "embedding_B": (16, 3)}
    assert_agrees(adapter, peft)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.randn(5, 8, 12))
        self.down = nn.Parameter(torch.randn(5, 12, 8))

    def forward(self, x):
        return x


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.ModuleDict({"experts": Experts()})
        self.lin = nn.Linear(8, 8)

    def forward(self, x):
        return self.mlp["experts"](self.lin(x))


@pytest.mark.parametrize(
    ("parameters", "pattern"),
    [
        (["mlp.experts.up"], {}),
        (["mlp.experts.up", "mlp.experts.down"], {}),
        (["experts.up", "experts.down"], {"experts.up": 3, "experts.down": 3}),
    ],
)
def test_target_parameters(tmp_path, parameters, pattern):
    facts, peft = wrapped(
        tmp_path,
        Mixture(),
        r=2,
        lora_alpha=8,
        target_modules=["lin"],
        target_parameters=parameters,
        rank_pattern=pattern,
    )
    adapter = facts.adapters[""]
    rank = 3 if pattern else 2
    assert adapter.modules["mlp.experts"]["A"][0] == rank * 5
    assert adapter.ranks == ((2, 3) if pattern else (2,))
    assert_agrees(adapter, peft)


def test_nested_parameters_of_different_ranks_are_unknown():
    config = {
        "r": 2,
        "lora_alpha": 4,
        "target_parameters": ["experts.up", "experts.down"],
        "rank_pattern": {"up": 4},
    }
    keys = ("experts.lora_A.weight", "experts.base_layer.lora_A.weight")
    layout = Layout(
        "x", tuple(TensorEntry(f"base_model.model.{k}", "F32", (20, 8), 0, 0) for k in keys)
    )
    facts = adapter_facts(config, layout)
    assert facts.ranks == ()
    assert facts.module_scaling("experts") is None


def test_two_adapters_in_sub_folders(tmp_path):
    from peft import LoraConfig, get_peft_model

    peft = get_peft_model(tiny(), LoraConfig(r=2, target_modules=["q_proj"]), adapter_name="first")
    peft.add_adapter("second", LoraConfig(r=4, target_modules=["v_proj"]))
    peft.save_pretrained(tmp_path)
    adapters = Folder.at(tmp_path).facts().adapters
    assert {folder: a.ranks for folder, a in adapters.items()} == {"first": (2,), "second": (4,)}


def test_an_adapter_in_a_torch_zip(tmp_path):
    from peft import LoraConfig, get_peft_model

    peft = get_peft_model(tiny(), LoraConfig(r=2, target_modules=["q_proj"]))
    peft.save_pretrained(tmp_path, safe_serialization=False)
    folder = Folder.at(tmp_path)
    if "adapter_model.bin" not in folder.files:  # some versions of PEFT save safetensors only
        from safetensors.torch import load

        state = load(folder.files.pop("adapter_model.safetensors"))
        torch.save(state, tmp_path / "adapter_model.bin")
        folder.files["adapter_model.bin"] = (tmp_path / "adapter_model.bin").read_bytes()
    assert folder.facts().adapters[""].ranks == (2,)


def test_keys_that_name_the_adapter():
    keys = {
        "base_model.model.m.q.lora_A.default.weight": ("m.q", "A"),
        "base_model.model.m.q.lora_B.default.weight": ("m.q", "B"),
        "base_model.model.m.q.lora_B.default.bias": ("m.q", "B_bias"),
        "base_model.model.m.k.lora_B.bias": ("m.k", "B_bias"),
        "base_model.model.m.e.lora_embedding_A.default": ("m.e", "embedding_A"),
        "base_model.model.m.q.lora_magnitude_vector.default.weight": ("m.q", "magnitude"),
        "base_model.model.m.k.lora_magnitude_vector": ("m.k", "magnitude"),
    }
    layout = Layout("x", tuple(TensorEntry(k, "F32", (2, 2), 0, 16) for k in keys))
    modules = adapter_facts({}, layout).modules
    for module, part in keys.values():
        assert modules[module][part] == (2, 2)
    assert sum(len(parts) for parts in modules.values()) == len(keys)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)" * 40 + "b",
        "a?" * 200 + "b",
        "(",
        r"(a)\1",
        ".*" * 12 + "b",
        "(?=a)a",
        "a" * 9000 + "+",
    ],
)
def test_expressions_that_could_hang_are_not_run(pattern):
    name = "a" * 250 + ".lin"
    facts = adapter_facts(
        {"r": 2, "lora_alpha": 2, "alpha_pattern": {pattern: 9}},
        Layout("x", (TensorEntry(f"{name}.lora_A.weight", "F32", (2, 4), 0, 32),)),
    )
    assert facts.module_rank(name) == 2
    assert facts.module_scaling(name) is None


def test_many_literal_patterns_are_quick():
    names = [f"model.layers.{i}.self_attn.q_proj" for i in range(600)]
    config = {"r": 2, "lora_alpha": 2, "alpha_pattern": {n: i for i, n in enumerate(names)}}
    tensors = tuple(TensorEntry(f"{n}.lora_A.weight", "F32", (2, 4), 0, 32) for n in names)
    facts = adapter_facts(config, Layout("x", tensors))
    assert [facts.module_scaling(n) for n in names] == [i / 2 for i in range(600)]


def test_other_kinds_of_adapter():
    facts = adapter_facts({"peft_type": "ia3", "target_modules": ".*_proj"}, None)
    assert (facts.kind, facts.rank, facts.scaling, facts.targets) == ("IA3", None, None, ".*_proj")


# --- trainer_state.json --------------------------------------------------------------------------


def test_trainer_state():
    state = {
        "global_step": 40,
        "epoch": 2.0,
        "max_steps": 60,
        "num_train_epochs": 3,
        "best_metric": 0.5,
        "best_global_step": 20,
        "best_model_checkpoint": "out/checkpoint-20",
        "log_history": [
            {"step": 20, "loss": 2.0, "learning_rate": 1e-4, "eval_loss": 0.5},
            {"step": 30, "loss": 1.0, "grad_norm": math.nan, "epoch": 1.5},
            {"step": 40, "eval_loss": 0.75, "epoch": 2.0, "eval_runtime": 1},
            {"step": 40, "train_loss": math.inf, "text": "x", "flag": True},
            {"step": 50, "loss": 9.0},
            "junk",
        ],
        "stateful_callbacks": {
            "MStoreCallback": {"args": {}, "attributes": {"run_id": "r1", "greater_is_better": False}}
        },
    }
    trainer = Folder({"trainer_state.json": state}).facts().trainer
    metrics = dict(trainer.metrics)
    assert math.isnan(metrics.pop("grad_norm"))
    assert metrics == {
        "loss": 1.0,
        "learning_rate": 1e-4,
        "eval_loss": 0.75,
        "train_loss": math.inf,
    }
    assert all(type(v) is float for v in metrics.values())
    assert (trainer.global_step, trainer.epoch, trainer.max_steps) == (40, 2.0, 60)
    assert (trainer.best_metric, trainer.best_global_step) == (0.5, 20)
    assert (trainer.run_id, trainer.greater_is_better) == ("r1", False)
    encode(Folder({"trainer_state.json": state}).facts().plain())


def test_an_older_evaluation_is_no_metric_of_this_step():
    state = {"global_step": 3, "log_history": [{"step": 2, "eval_loss": 1.0}]}
    assert Folder({"trainer_state.json": state}).facts().trainer.metrics == {}


def test_a_trainer_state_of_transformers(tmp_path):
    from transformers import TrainerState

    TrainerState(global_step=5, epoch=1.0, log_history=[{"step": 5, "loss": 0.25}]).save_to_json(
        str(tmp_path / "trainer_state.json")
    )
    trainer = Folder.at(tmp_path).facts().trainer
    assert (trainer.global_step, dict(trainer.metrics)) == (5, {"loss": 0.25})


# --- shard indexes -------------------------------------------------------------------------------

INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    "shard",
    [
        "../x.safetensors",
        "a/../../x",
        "/etc/passwd",
        "\\\\host\\x",
        "..\\x",
        "C:\\x",
        "C:x",
        "",
        "a\0b",
        1,
        None,
    ],
)
@pytest.mark.parametrize("allow_incomplete", [True, False])
def test_shards_never_leave_the_folder(shard, allow_incomplete):
    folder = Folder({f"sub/{INDEX}": {"weight_map": {"w": shard}}})
    with pytest.raises(BadFile, match="weight_map"):
        check_index(folder, allow_incomplete=allow_incomplete)


def test_missing_shards_are_named():
    files = {f"sub/{INDEX}": {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}}
    folder = Folder({**files, "sub/1.safetensors": b"", "2.safetensors": b""})
    with pytest.raises(BadFile, match=r"2\.safetensors is missing"):
        check_index(folder, allow_incomplete=False)
    (warning,) = check_index(folder, allow_incomplete=True)
    assert "2.safetensors is missing" in warning
    folder.files["sub/2.safetensors"] = b""
    assert check_index(folder, allow_incomplete=False) == ()


def test_indexes_that_are_none():
    assert check_index(Folder({"faiss.index.json": {"x": 1}}), allow_incomplete=False) == ()
    assert "not JSON" in check_index(Folder({INDEX: b"{"}), allow_incomplete=False)[0]
    with pytest.raises(BadFile, match="not an object"):
        check_index(Folder({INDEX: {"weight_map": []}}), allow_incomplete=False)


def test_code_is_a_warning():
    files = {"config.json": {"auto_map": {"AutoModel": "m.M"}}}
    assert check_index(Folder(files), allow_incomplete=False) == ()
    (warning,) = check_index(Folder({**files, "m.py": b"raise SystemExit"}), allow_incomplete=False)
    assert "never imported" in warning
    assert check_index(Folder({"m.py": b""}), allow_incomplete=False) == ()
