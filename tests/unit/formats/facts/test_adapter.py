"""Facts of PEFT adapters: those that PEFT itself computes."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from mstore.formats.facts.adapter import adapter_facts
from mstore.objects import Layout, TensorEntry, encode
from tests.unit.formats.facts.folders import Folder


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
    encode(facts.to_dict())
    assert facts.to_dict()["adapters"][""]["rank"] == 4
    assert facts.to_dict()["adapters"][""]["module_count"] == 4


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


def test_other_kinds_of_adapter():
    facts = adapter_facts({"peft_type": "ia3", "target_modules": ".*_proj"}, None)
    assert (facts.kind, facts.rank, facts.scaling, facts.targets) == ("IA3", None, None, ".*_proj")
