"""Facts of the model: config.json and the layouts of its weights."""

from __future__ import annotations

from mstore.formats import describe
from mstore.objects import Layout, TensorEntry
from tests.unit.formats.facts.folders import Folder


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
    found = describe(folder := Folder.at(tmp_path), folder.layouts()).model
    assert found is not None
    assert found.architectures == ("LlamaForCausalLM",)
    assert found.model_type == "llama"
    assert found.dtype == "bfloat16"
    assert found.parameter_count == LlamaForCausalLM(config).num_parameters()
    assert (found.base_name, found.quantization, found.auto_map) == (None, None, False)


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
    assert facts.to_dict() == {
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
    assert model is not None
    assert (model.parameter_count, model.dtype) == (6, "float32")
    layouts["model.safetensors"] = Layout("safetensors", entries[2:])
    model = describe(Folder({}), layouts).model
    assert model is not None and model.parameter_count == 2
