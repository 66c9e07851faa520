"""Checkouts that from_pretrained opens, mstore.hf.load, and tensors straight from the store."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2ForSequenceClassification, GPT2LMHeadModel

import mstore
from mstore.errors import Ambiguous, MStoreError, NotFound, RevisionNotFound
from mstore.hf import load, load_state_dict
from mstore.hf.loading import _checked_out, commit_of
from tests.conftest import write_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
PROMPT = torch.arange(12).reshape(1, 12)


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model.eval()(input_ids=PROMPT).logits


def randomised(model: Any) -> Any:
    """Trained-looking adapters: B is zero when it is new, and would hide a mistake."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


ADAPTERS = {
    "plain": LoraConfig(r=4, target_modules=["c_attn"], task_type="CAUSAL_LM"),
    "rslora": LoraConfig(r=8, lora_alpha=4, use_rslora=True, target_modules="all-linear"),
    "dora": LoraConfig(r=4, use_dora=True, target_modules="all-linear", task_type="CAUSAL_LM"),
    "rank_pattern": LoraConfig(
        r=4,
        rank_pattern={"c_attn": 8, "h.1.mlp.c_fc": 2},
        alpha_pattern={"c_attn": 32},
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    ),
    "modules_to_save": LoraConfig(
        r=2, target_modules=["c_attn"], modules_to_save=["wte"], task_type="CAUSAL_LM"
    ),
}


# Whole models


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_model_comes_back_in_the_dtype_it_was_stored_in(
    repo: Any, home: Path, net: Any, compare: Any, dtype: torch.dtype
) -> None:
    net.to(dtype).save_pretrained(home / "model")
    repo.commit(home / "model", branch="main")
    repo.checkout("main", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(home / "model")
    opened = AutoModelForCausalLM.from_pretrained(home / "back")
    loaded = load(repo, "main")
    for model in (opened, loaded):
        assert type(model) is GPT2LMHeadModel
        assert {p.dtype for p in model.parameters()} == {dtype}
        assert torch.equal(logits(model), logits(net))
    assert load(repo, "main", dtype=torch.float64).dtype == torch.float64


def test_a_sharded_model(repo: Any, home: Path, net: Any, compare: Any) -> None:
    net.save_pretrained(home / "model", max_shard_size="50KB")
    assert len(list((home / "model").glob("*.safetensors"))) > 2
    repo.commit(home / "model", branch="main")
    repo.checkout("main", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(home / "model")
    assert torch.equal(logits(load(repo, "main")), logits(net))
    whole = load_state_dict(repo, "main")
    assert all(torch.equal(whole[k], v) for k, v in net.state_dict().items() if k in whole)
    assert len(whole) == len(net.state_dict()) - 1  # tied: lm_head is not stored


def test_the_class_is_the_configurations(repo: Any, home: Path, net: Any) -> None:
    classifier = GPT2ForSequenceClassification(net.config).eval()
    classifier.save_pretrained(home / "model")
    repo.commit(home / "model", branch="main")
    loaded = load(repo, "main")
    assert type(loaded) is GPT2ForSequenceClassification
    assert torch.equal(loaded.score.weight, classifier.score.weight)


def test_an_unknown_class_falls_back_to_the_automatic_one(repo: Any, home: Path, net: Any) -> None:
    net.save_pretrained(home / "model")
    config = json.loads((home / "model/config.json").read_text())
    config["architectures"] = ["NobodysForCausalLM"]
    (home / "model/config.json").write_text(json.dumps(config))
    repo.commit(home / "model", branch="main")
    assert type(load(repo, "main")) is GPT2LMHeadModel


def test_code_beside_a_model_is_not_run(repo: Any, home: Path, net: Any) -> None:
    net.save_pretrained(home / "model")
    config = json.loads((home / "model/config.json").read_text())
    config |= {
        "architectures": ["Evil"],
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M", "AutoModel": "evil.M"},
    }
    (home / "model/config.json").write_text(json.dumps(config))
    mark = home / "was-run"
    (home / "model/evil.py").write_text(f"open({str(mark)!r}, 'w').write('x')\n")
    repo.commit(home / "model", branch="main")
    with pytest.raises(ValueError, match="trust_remote_code"):
        load(repo, "main")
    assert not mark.exists()


def test_files_stay_while_the_model_lives_and_then_go(repo: Any, base_folder: Path) -> None:
    repo.commit(base_folder, branch="main")
    model = load(repo, "main")
    folder = Path(model.config._name_or_path)
    assert (folder / "model.safetensors").exists()
    assert commit_of(model) == repo.resolve("main")
    del model
    import gc

    gc.collect()
    assert not folder.exists()
    assert not folder.parent.exists()


def test_a_revision_that_is_not_there_names_near_ones(repo: Any, base_folder: Path) -> None:
    repo.commit(base_folder, branch="lora-r8")
    with pytest.raises(RevisionNotFound) as caught:
        load(repo, "lora-r88")
    assert "lora-r8" in caught.value.near


# Adapters


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_is_put_on_its_base(
    repo: Any, home: Path, base_folder: Path, compare: Any, name: str
) -> None:
    base = repo.commit(base_folder, branch="main").id
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base_folder), ADAPTERS[name])
    randomised(model).save_pretrained(home / "adapter")
    commit = repo.commit(home / "adapter", branch="r", start="").commit
    assert commit.base is not None
    assert commit.base.commit == base
    repo.checkout("r", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(home / "adapter")
    opened = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_folder), home / "back")
    loaded = load(repo, "r")
    assert isinstance(loaded, PeftModel)
    assert torch.equal(logits(loaded), logits(model))
    assert torch.equal(logits(opened), logits(model))
    assert not torch.equal(logits(model), logits(AutoModelForCausalLM.from_pretrained(base_folder)))


@pytest.mark.parametrize("adapted", [torch.float32, torch.bfloat16])
def test_an_adapter_comes_back_in_the_dtype_it_was_stored_in(
    repo: Any, home: Path, net: Any, adapted: torch.dtype
) -> None:
    net.to(torch.bfloat16).save_pretrained(home / "base")
    repo.commit(home / "base", branch="main")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(home / "base"),
        LoraConfig(r=4, use_dora=True, target_modules=["c_attn"], modules_to_save=["ln_f"]),
    )
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            parameter.data = torch.randn(parameter.shape).to(adapted)
    model.save_pretrained(home / "adapter")
    repo.commit(home / "adapter", branch="r")
    loaded = dict(load(repo, "r").named_parameters())
    for name, parameter in model.named_parameters():
        assert loaded[name].dtype == parameter.dtype
        assert torch.equal(loaded[name], parameter)
    assert torch.equal(logits(load(repo, "r")), logits(model))
    trainable = load(repo, "r", is_trainable=True)
    for name, parameter in trainable.named_parameters():
        assert torch.equal(parameter, loaded[name].to(parameter.dtype))
        assert parameter.requires_grad == ("lora_" in name or "modules_to_save" in name)
    asked = load(repo, "r", dtype=torch.float64)
    assert asked.base_model.model.transformer.wte.weight.dtype == torch.float64


def test_an_adapter_on_parameters_of_experts(repo: Any, home: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4}
    MixtralForCausalLM(MixtralConfig(vocab_size=64, **shape, **heads)).save_pretrained(home / "base")
    repo.commit(home / "base", branch="main")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(home / "base"),
        LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["mlp.experts.gate_up_proj"]),
    )
    randomised(model).save_pretrained(home / "adapter")
    repo.commit(home / "adapter", branch="r")
    shapes = {name: tuple(t.shape) for name, t in load_state_dict(repo, "r").items()}
    # Rank 2 for each of four experts: the rows of A are no rank.
    assert shapes["base_model.model.model.layers.0.mlp.experts.lora_A.weight"] == (8, 32)
    assert repo.facts("r").adapters[""].rank == 2
    assert torch.equal(logits(load(repo, "r")), logits(model))


def test_the_base_comes_from_the_store_when_its_folder_is_gone(repo: Any, home: Path, net: Any) -> None:
    net.save_pretrained(home / "base")
    repo.commit(home / "base", branch="main")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(home / "base"), ADAPTERS["plain"])
    randomised(model).save_pretrained(home / "adapter")
    repo.commit(home / "adapter", branch="r")
    (home / "base").rename(home / "elsewhere")
    assert torch.equal(logits(load(repo, "r")), logits(model))


def test_a_base_may_be_named(repo: Any, home: Path, net: Any) -> None:
    net.save_pretrained(home / "base")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(home / "base"), ADAPTERS["plain"])
    randomised(model).save_pretrained(home / "adapter")
    repo.commit(home / "adapter", branch="r")
    (home / "base").rename(home / "elsewhere")
    with pytest.raises(NotFound, match="not on this machine"):
        load(repo, "r")
    repo.commit(home / "elsewhere", branch="late", start="")
    for base in ("late", str(home / "elsewhere"), home / "elsewhere", net):
        assert torch.equal(logits(load(repo, "r", base=base)), logits(model))


def test_two_adapters_in_one_directory(repo: Any, home: Path, base_folder: Path, compare: Any) -> None:
    repo.commit(base_folder, branch="main")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base_folder), ADAPTERS["plain"])
    model.add_adapter("second", ADAPTERS["rank_pattern"])
    randomised(model).save_pretrained(home / "adapters")
    assert (home / "adapters/second/adapter_config.json").exists()
    repo.commit(home / "adapters", branch="r", start="")
    repo.checkout("r", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(home / "adapters")
    loaded = load(repo, "r")
    assert set(loaded.peft_config) == {"default", "second"}
    for name in ("default", "second"):
        model.set_adapter(name)
        loaded.set_adapter(name)
        assert torch.equal(logits(loaded), logits(model))
    with pytest.raises(Ambiguous):
        load_state_dict(repo, "r")
    second = load_state_dict(repo, "r", path="second")
    assert second.keys() == load_file(home / "adapters/second/adapter_model.safetensors").keys()


def test_an_adapter_trained_on_a_loaded_model_knows_its_base(
    repo: Any, home: Path, base_folder: Path, trainer_of: Any
) -> None:
    from mstore.hf import MStoreCallback

    base = repo.commit(base_folder, branch="main").id
    model = get_peft_model(load(repo, "main"), ADAPTERS["plain"])
    assert commit_of(model) == base
    trainer_of(MStoreCallback(repo), model=model, num_train_epochs=1).train()
    trained = logits(model)
    del model
    recorded = repo.log("out")[0].commit.base
    assert recorded is not None
    assert recorded.commit == base
    assert torch.equal(logits(load(repo, "out")), trained)


def test_a_base_from_another_store_hinders_nothing(
    home: Path, tmp_path: Path, base_folder: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from mstore.hf import MStoreCallback

    mstore.init(home).commit(base_folder, branch="main")
    other = mstore.init(tmp_path / "other")
    trainer_of(MStoreCallback(other), model=load(home, "main"), num_train_epochs=1).train()
    assert other.log("out")[0].step == 2
    trainer_of(MStoreCallback(other, "typo", base="mian"), num_train_epochs=1).train()
    assert other.log("typo")[0].step == 2
    assert any("no base" in r.getMessage() and "mian" in r.getMessage() for r in caplog.records)
    trainer_of(MStoreCallback(other, "named", base="out"), num_train_epochs=1).train()
    base = other.log("named")[0].commit.base
    assert base is not None and base.commit == other.resolve("out")


def test_an_adapter_to_train_further(repo: Any, home: Path, base_folder: Path) -> None:
    repo.commit(base_folder, branch="main")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base_folder), ADAPTERS["plain"])
    model.save_pretrained(home / "adapter")
    repo.commit(home / "adapter", branch="r")
    assert not any(p.requires_grad for p in load(repo, "r").parameters())
    assert any(p.requires_grad for p in load(repo, "r", is_trainable=True).parameters())


# Devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is absent")
@pytest.mark.parametrize("keywords", [{"device": "cuda"}, {"device": "cuda:7"}, {"device_map": "cuda"}])
def test_an_absent_device_is_the_cpu_and_that_is_said(
    repo: Any, base_folder: Path, caplog: pytest.LogCaptureFixture, keywords: dict[str, Any]
) -> None:
    repo.commit(base_folder, branch="main")
    assert load(repo, "main", **keywords).device.type == "cpu"
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert any("cuda" in m and "CPU" in m for m in said)
    if "device" in keywords:
        tensors = load_state_dict(repo, "main", **keywords)
        assert all(t.device.type == "cpu" for t in tensors.values())


def test_a_device_that_torch_never_heard_of_is_an_error(repo: Any, base_folder: Path) -> None:
    repo.commit(base_folder, branch="main")
    with pytest.raises(RuntimeError):
        load_state_dict(repo, "main", device="toaster")


# Tensors


def _every_dtype() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {
        str(dtype).removeprefix("torch."): torch.randn(33, 65).to(dtype)
        for dtype in (
            *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
            *(torch.float8_e4m3fn, torch.float8_e5m2, torch.int64, torch.int32, torch.int16),
            *(torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
        )
    }
    made["bool"] = torch.randn(33, 65) > 0
    made["scalar"] = torch.tensor(1.5)
    made["empty"] = torch.empty(0, 7)
    made["nan"] = torch.tensor([0x7FC00001, -1, 0x7F800001], dtype=torch.int32).view(torch.float32)
    return made


def test_every_dtype_comes_back_bit_for_bit(repo: Any, home: Path, compare: Any) -> None:
    tensors = _every_dtype()
    (home / "model").mkdir()
    save_file(tensors, home / "model/model.safetensors", metadata={"format": "pt"})
    repo.commit(home / "model", branch="main")
    repo.checkout("main", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(home / "model")
    read = load_state_dict(repo, "main")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert read[name].untyped_storage().tolist() == tensor.untyped_storage().tolist()


def test_tensors_may_be_written_to(repo: Any, base_folder: Path) -> None:
    repo.commit(base_folder, branch="main")
    name = "transformer.h.0.attn.c_attn.weight"
    first = load_state_dict(repo, "main", [name])
    assert list(first) == [name]
    before = first[name].clone()
    first[name].zero_()
    assert torch.equal(load_state_dict(repo, "main", [name])[name], before)


def test_tensors_by_name(repo: Any, base_folder: Path) -> None:
    repo.commit(base_folder, branch="main")
    with pytest.raises(NotFound, match="c_atn") as caught:
        load_state_dict(repo, "main", ["transformer.h.0.attn.c_atn.weight"])
    assert "transformer.h.0.attn.c_attn.weight" in str(caught.value.hint)
    assert load_state_dict(repo, "main", []) == {}


def test_one_name_in_two_files_is_an_error(repo: Any, home: Path, net: Any) -> None:
    net.save_pretrained(home / "model")
    torch.save(net.state_dict(), home / "model/pytorch_model.bin")
    repo.commit(home / "model", branch="main")
    with pytest.raises(Ambiguous) as caught:
        load_state_dict(repo, "main")
    assert "pytorch_model.bin" in str(caught.value.hint)
    for path in ("model.safetensors", "pytorch_model.bin"):
        read = load_state_dict(repo, "main", path=path)
        assert torch.equal(read["transformer.wte.weight"], net.transformer.wte.weight)


def test_optimizer_state_only_where_it_is_named(repo: Any, home: Path, trainer_of: Any) -> None:
    from mstore.hf import MStoreCallback

    trainer = trainer_of(MStoreCallback(repo, training_state=True), num_train_epochs=1)
    trainer.train()
    assert load_state_dict(repo, "out").keys() <= trainer.model.state_dict().keys()
    stored = load_state_dict(repo, "out", path="optimizer.pt")
    moments = [
        value
        for state in trainer.optimizer.state_dict()["state"].values()
        for value in state.values()
        if value.dim() > 0
    ]
    shapes = sorted(tuple(t.shape) for t in stored.values() if t.dim() > 0)
    assert shapes == sorted(tuple(m.shape) for m in moments)


def test_a_path_in_place_of_a_repository(repo: Any, home: Path, base_folder: Path) -> None:
    repo.commit(base_folder, branch="main")
    for place in (home, str(home), os.fspath(repo.store.path)):
        assert load_state_dict(place, "main", ["transformer.ln_f.bias"])
    with pytest.raises(MStoreError):
        load_state_dict("/proc", "main")


def _last_line(folder: Path, *arguments: str) -> str:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "mstore", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip().rpartition("\n")[2]


def _pasted(line: str, folder: Path) -> torch.Tensor:
    """What the model of a pasted line computes, in a process of its own."""
    import subprocess
    import sys

    code = (
        f"{line}\nimport torch; torch.manual_seed(0)\n"
        "x = torch.arange(12).reshape(1, 12) % 7\n"
        "torch.save(model.eval()(x).logits.detach(), 'pasted.pt')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    found: torch.Tensor = torch.load(folder / "pasted.pt")
    return found


def test_the_last_line_of_a_checkout_works_where_the_base_is_gone(tmp_path: Path, base_folder) -> None:
    """An adapter whose base was a folder that this machine lacks: its commit is checked out beside."""
    import shutil

    repo = mstore.init(tmp_path)
    here = tmp_path / "mine"
    shutil.copytree(base_folder, here)
    repo.commit(here, message="base")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(here), ADAPTERS["plain"])
    model.save_pretrained(tmp_path / "adapter")
    repo.commit(tmp_path / "adapter", branch="lora", message="adapter")
    repo.close()
    x = torch.arange(12).reshape(1, 12) % 7
    expected = model.eval()(x).logits.detach()
    assert torch.equal(
        _pasted(_last_line(tmp_path, "checkout", "lora", "--to", "one"), tmp_path), expected
    )
    shutil.rmtree(here)
    line = _last_line(tmp_path, "checkout", "lora", "--to", "two")
    assert "two-base" in line
    assert torch.equal(_pasted(line, tmp_path), expected)
    full = _last_line(tmp_path, "checkout", "main", "--to", "three")
    assert _pasted(full, tmp_path).shape == expected.shape


def test_what_is_loaded_is_the_commit_and_no_branch_of_its_name(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    for seed in (1, 2):
        repo.commit(write_model(tmp_path / "out", seed=seed))
    first = repo.resolve("HEAD~1")
    repo.make_branch(first.hex, "HEAD")
    wanted = repo.read_file(first, "model.safetensors")
    assert Path(_checked_out(repo, first), "model.safetensors").read_bytes() == wanted
