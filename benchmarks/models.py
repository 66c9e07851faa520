"""Makers of models: bit patterns by tensor name, and .safetensors files of them.

numpy has no bf16, so that bf16 tensors are arrays of uint16 here. The random ones have a
real model's shapes and the spread of its weights, nothing else: sizes are measured on the
real series (series.py), times on these.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

Tensors = dict[str, np.ndarray]

_DTYPES = {"uint16": "BF16", "float16": "F16", "float32": "F32"}
_CHUNK = 1 << 22


def save(path: Path, tensors: Tensors) -> int:
    """Write a .safetensors file, synced; gives the bytes of its tensors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).data.cast("B"))
        file.flush()
        os.fsync(file.fileno())
    return position


def load(path: Path) -> Tensors:
    """Read a .safetensors file that `save` or safetensors wrote."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    kinds = {name: np.dtype(kind) for kind, name in _DTYPES.items()}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            low, high = entry["data_offsets"]
            kind = kinds[entry["dtype"]]
            flat = np.frombuffer(content, kind, (high - low) // kind.itemsize, begin + low)
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def save_model(folder: Path, tensors: Tensors, architecture: str = "LlamaForCausalLM") -> int:
    """Write a model directory; gives the bytes of its tensors."""
    size = save(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    return size


# ---------------------------------------------------------------- casts


def to_fp32(bits: np.ndarray) -> np.ndarray:
    """fp32 of bf16 bit patterns."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_bf16(values: np.ndarray) -> np.ndarray:
    """bf16 bit patterns of finite fp32, rounded to nearest even."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


# ---------------------------------------------------------------- a model of TinyLlama's shape


def _weights(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as training leaves them: normal, of standard deviation 0.02, in bf16."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def tinyllama(layers: int = 22, width: int = 2048) -> Tensors:
    """A bf16 model of TinyLlama's shape; 22 layers of 2048 are 2.2 GB."""
    inner, narrow = width * 11 // 4, width // 8
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (32000, width)}
    for i in range(layers):
        for name, shape in (
            ("self_attn.q_proj", (width, width)),
            ("self_attn.k_proj", (narrow, width)),
            ("self_attn.v_proj", (narrow, width)),
            ("self_attn.o_proj", (width, width)),
            ("mlp.gate_proj", (inner, width)),
            ("mlp.up_proj", (inner, width)),
            ("mlp.down_proj", (width, inner)),
            ("input_layernorm", (width,)),
            ("post_attention_layernorm", (width,)),
        ):
            shapes[f"model.layers.{i}.{name}.weight"] = shape
    shapes["lm_head.weight"] = (32000, width)
    with ThreadPoolExecutor() as pool:
        made = pool.map(_weights, range(len(shapes)), shapes.values())
        return dict(zip(shapes, made, strict=True))


class Training:
    """Small relative noise on every element, as some steps of an optimizer leave it.

    Args:
        seed: of the noise.
        relative: its standard deviation. The default moves about half of the elements of a bf16
            tensor by one unit in the last place, as 80 steps at 2e-5 do to the real series.
    """

    def __init__(self, seed: int, relative: float = 0.003) -> None:
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal(2 * _CHUNK, dtype=np.float32)
        self._factors = 1 + noise * np.float32(relative)
        self._begins = rng.integers(_CHUNK, size=1 << 12).tolist()

    def _step(self, array: np.ndarray, index: int) -> np.ndarray:
        old = array.reshape(-1)
        new = np.empty_like(old)
        for at in range(0, len(old), _CHUNK):
            some = old[at : at + _CHUNK]
            begin = self._begins[(31 * index + at // _CHUNK) % len(self._begins)]
            factors = self._factors[begin : begin + len(some)]
            if array.dtype == np.uint16:
                new[at : at + len(some)] = to_bf16(to_fp32(some) * factors)
            else:
                new[at : at + len(some)] = some * factors
        return new.reshape(array.shape)

    def step(self, tensors: Tensors) -> Tensors:
        """The tensors after those steps: bf16 bit patterns, or fp32."""
        with ThreadPoolExecutor() as pool:
            stepped = pool.map(self._step, tensors.values(), range(len(tensors)))
            return dict(zip(tensors, stepped, strict=True))


def all_changed(tensors: Tensors, seed: int) -> Tensors:
    """The model after a step on every tensor."""
    return Training(seed).step(tensors)


def last_changed(tensors: Tensors, seed: int) -> Tensors:
    """The model after a step on its last two layers and its head."""
    layers = 1 + max(int(name.split(".")[2]) for name in tensors if ".layers." in name)
    free = ("lm_head.", f"model.layers.{layers - 1}.", f"model.layers.{layers - 2}.")
    return {**tensors, **Training(seed).step({n: a for n, a in tensors.items() if n.startswith(free)})}


# ---------------------------------------------------------------- small ones


def minilm_like() -> Tensors:
    """An 87 MB fp32 model."""
    rng = np.random.default_rng(1)
    tensors = {"embeddings": rng.standard_normal((30522, 384), dtype=np.float32)}
    for i in range(26):
        tensors[f"layer.{i}"] = rng.standard_normal((384, 1024), dtype=np.float32)
    return tensors


def adapter(modules: int = 16, rank: int = 8, width: int = 1024, seed: int = 0) -> Tensors:
    """A LoRA adapter in fp32; 16 modules of rank 8 and width 1024 are 1 MiB."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for i in range(modules):
        module = f"base_model.model.layers.{i}.q_proj"
        for name, shape in (("lora_A", (rank, width)), ("lora_B", (width, rank))):
            values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
            tensors[f"{module}.{name}.weight"] = values
    return tensors


def save_adapter(folder: Path, tensors: Tensors) -> int:
    """Write an adapter directory; gives the bytes of its tensors."""
    size = save(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 16}')
    return size
