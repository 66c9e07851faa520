"""Folders that tests of a diff compare, and what they ask of the answer."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file
from torch import nn

from mstore.commit.execute import commit
from mstore.commit.options import CommitOptions
from mstore.compare.adapters import AdapterDiff, AdapterSide
from mstore.compare.diff import DiffResult, side_of_folder
from mstore.compare.stats import TensorStat
from mstore.compare.tensors import TensorPair
from mstore.render.diff import diff_lines

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


def of(folder, label=None):
    return side_of_folder(None, folder, label or folder.name)


def text(result, width=100):
    return "\n".join(diff_lines(result, width=width))


def committed(place, folder, **options):
    return commit(place, folder, CommitOptions(**{"branch": "main", **options})).id


def saved(folder, name="model.safetensors", **tensors):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / name)
    return folder
