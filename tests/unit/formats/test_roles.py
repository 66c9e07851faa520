"""The role of a file, by its path."""

from __future__ import annotations

import pytest

from mstore.formats import role_of
from mstore.objects import ROLES


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
