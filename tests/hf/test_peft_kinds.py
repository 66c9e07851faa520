"""PEFT's kinds of adapters and TRL's preference training: trained, committed, compared, loaded."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

import mstore
from mstore.hf import MStoreCallback, load

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
PROMPT = torch.arange(12).reshape(1, 12)


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model.eval()(input_ids=PROMPT).logits


def config(**options: Any) -> LoraConfig:
    return LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **options})


KINDS = {
    "plain": config(),
    "rslora": config(r=8, lora_alpha=4, use_rslora=True),
    "dora": config(use_dora=True),
    "patterns": config(
        rank_pattern={"c_attn": 8, "h.1.mlp.c_fc": 2}, alpha_pattern={"c_attn": 32, "c_proj": 3}
    ),
    "embedding": config(target_modules=["wte", "c_attn"]),
    "modules_to_save": config(r=2, target_modules=["c_attn"], modules_to_save=["wte"]),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_trained_committed_and_loaded(
    repo: Any, home: Path, base_folder: Path, trainer_of: Any, compare: Any, name: str
) -> None:
    base = repo.commit(base_folder, branch="main").id
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base_folder), KINDS[name])
    trainer_of(MStoreCallback(repo, training_state=True), model=model).train()
    last, first = repo.log("out", limit=2)
    assert (first.step, last.step) == (2, 4) and first.parents == (base,)
    for entry in (first, last):
        repo.checkout(entry.id, to=home / entry.id.short)
        saved = home / "out" / f"checkpoint-{entry.step}"
        assert compare.tree(home / entry.id.short) == compare.tree(saved)
        assert entry.commit.base.commit == base and "health" not in entry.metadata
    assert torch.equal(logits(load(repo, "out")), logits(model))
    # Training moved the adapter; ranks stayed as they were.
    found = repo.diff(first.id, last.id, stat=True)
    assert found.lora is not None and not found.lora.changed
    assert found.effects and all(e.norm_change > 0 for e in found.effects)
    assert (name == "dora") == all(e.magnitude is not None for e in found.effects)


def weights(model: Any, adapter: str = "default") -> dict[str, np.ndarray]:
    """What PEFT itself says that an adapter adds, by module, in float64."""
    found = {}
    for name, layer in model.named_modules():
        if hasattr(layer, "get_delta_weight"):
            found[name] = layer.double().get_delta_weight(adapter).detach().numpy()
    return found


@pytest.mark.parametrize("kind", ["rslora", "patterns", "embedding"])
def test_effects_are_those_of_pefts_delta_weight(home: Path, base_folder: Path, kind: str) -> None:
    models = []
    plain = config(r=3, lora_alpha=5, target_modules=KINDS[kind].target_modules)
    for seed, chosen in enumerate((plain, KINDS[kind])):
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base_folder), chosen)
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(home / str(seed))
        models.append(model)
    found = mstore.diff(home / "0", home / "1", stat=True).effects
    one, other = map(weights, models)
    assert len(found) == len(one) == len(other)
    for effect in found:
        a, b = one[effect.module], other[effect.module]
        assert math.isclose(effect.norm_a, np.linalg.norm(a), rel_tol=1e-6)
        assert math.isclose(effect.norm_b, np.linalg.norm(b), rel_tol=1e-6)
        assert math.isclose(effect.norm_change, np.linalg.norm(b - a), rel_tol=1e-6)
        cosine = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
        assert effect.cosine is not None and math.isclose(effect.cosine, cosine, abs_tol=1e-6)


def test_two_adapters_trained_one_after_the_other(
    repo: Any, home: Path, base_folder: Path, trainer_of: Any, compare: Any
) -> None:
    repo.commit(base_folder, branch="main")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base_folder), KINDS["plain"])
    model.add_adapter("second", KINDS["patterns"])
    trainer_of(MStoreCallback(repo, training_state=False), model=model).train()
    model.set_adapter("second")
    trainer_of(MStoreCallback(repo, branch="both"), model=model, output_dir=str(home / "both")).train()
    entry = repo.log("both")[0]
    assert {k: v["rank"] for k, v in entry.metadata["recorded"]["adapters"].items()} == {
        "": 4,
        "second": 4,
    }
    repo.checkout("both", to=home / "back")
    assert compare.tree(home / "back", but=compare.training_state) == compare.tree(
        home / "both/checkpoint-4", but=compare.training_state
    )
    loaded = load(repo, "both")
    assert isinstance(loaded, PeftModel) and set(loaded.peft_config) == {"default", "second"}
    for name in ("default", "second"):
        model.set_adapter(name)
        loaded.set_adapter(name)
        assert torch.equal(logits(loaded), logits(model))


@pytest.mark.parametrize("peft", [False, True])
def test_dpo(
    repo: Any, home: Path, base_folder: Path, words: Any, lines: list[str], compare: Any, peft: bool
) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    base = repo.commit(base_folder, branch="main").id
    pairs = Dataset.from_dict({"prompt": lines[:16], "chosen": lines[8:24], "rejected": lines[16:32]})
    DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(base_folder),
        processing_class=words,
        train_dataset=pairs,
        eval_dataset=pairs.select(range(4)),
        peft_config=config() if peft else None,
        args=DPOConfig(
            output_dir=str(home / "dpo"),
            num_train_epochs=2,
            max_length=32,
            save_strategy="epoch",
            eval_strategy="epoch",
            logging_strategy="epoch",
            learning_rate=1e-3,
            use_cpu=True,
            bf16=False,
            report_to="none",
            disable_tqdm=True,
        ),
        callbacks=[MStoreCallback(repo, training_state=True)],
    ).train()
    last, first = repo.log("dpo", limit=2)
    assert (first.step, last.step) == (2, 4)
    logged = json.loads((home / "dpo/checkpoint-4/trainer_state.json").read_text())["log_history"]
    due = {
        k: v for e in logged if e["step"] == 4 for k, v in e.items() if k.startswith("eval_rewards/")
    }
    assert due and due.items() <= last.metrics.items()
    assert {"loss", "rewards/accuracies", "eval_rewards/margins"} <= set(last.metrics)
    assert repo.log("dpo", where='"eval_rewards/accuracies" >= 0')[0].id == last.id
    assert first.parents == (base,)
    if peft:
        assert last.commit.base.commit == base
    for entry in (first, last):
        repo.checkout(entry.id, to=home / entry.id.short)
        saved = home / "dpo" / f"checkpoint-{entry.step}"
        assert compare.tree(home / entry.id.short) == compare.tree(saved)
    assert load(repo, "dpo") is not None
