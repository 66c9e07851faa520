"""The endings of files that hold weights: the one table of them."""

from __future__ import annotations

from typing import Final

TORCH_ENDINGS: Final = (".pt", ".pth", ".bin", ".ckpt")
"""Endings of what `torch.save` writes."""
WEIGHT_ENDINGS: Final = (
    *TORCH_ENDINGS,
    ".safetensors",
    ".gguf",
    ".onnx",
    ".h5",
    ".msgpack",
    ".distcp",
)
