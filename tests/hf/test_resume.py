"""Killed and resumed equals uninterrupted: loss by loss, weight by weight."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.errors import InvalidInput
from mstore.hf import load

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("tiny", sys.argv[1])
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
lora, kill_at, resume = sys.argv[2] == "lora", int(sys.argv[3]), sys.argv[4]
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from mstore.hf import MStoreCallback
set_seed(0)
lines = tiny.texts(32, sign="+", seed=0)
words = tiny.tokenizer(lines, size=300)
made = words(lines, padding="max_length", truncation=True, max_length=24)
rows = [
    {"input_ids": i, "attention_mask": m, "labels": i}
    for i, m in zip(made["input_ids"], made["attention_mask"])
]
model = tiny.model(words, layers=2, width=32)
if lora:
    from peft import LoraConfig, get_peft_model
    config = LoraConfig(r=4, target_modules=["c_attn"], lora_dropout=0.1, fan_in_fan_out=True)
    model = get_peft_model(model, config)

class Kill(TrainerCallback):
    def on_step_begin(self, args, state, control, **parts):
        if state.global_step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir="out", num_train_epochs=3, per_device_train_batch_size=8, learning_rate=1e-2,
        logging_steps=1, save_steps=2, save_strategy="steps", use_cpu=True, report_to="none",
        disable_tqdm=True,
    ),
    train_dataset=rows, processing_class=words, callbacks=[MStoreCallback(), Kill()],
)
trainer.train(resume_from_checkpoint=resume or None)
losses = [(e["step"], e["loss"]) for e in trainer.state.log_history if "loss" in e]
print(json.dumps(losses))
"""


def _train(home: Path, kind: str, *, kill_at: int = -1, resume: str = "") -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ROOT / "examples/tiny.py"), kind, str(kill_at), resume],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if kill_at >= 0:
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
        return []
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, kind: str) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        mstore.init(tmp_path / name).close()
    losses = _train(tmp_path / "whole", kind)
    assert len(losses) == 12
    _train(tmp_path / "killed", kind, kill_at=7)
    repo = mstore.open(tmp_path / "killed")
    end = time.monotonic() + 60
    while "out" not in repo.branches() or repo.log("out")[0].step != 6:
        assert time.monotonic() < end, "the worker goes on after its training was killed"
        time.sleep(0.1)
    # Elsewhere, from the store alone.
    done = repo.resume("out", to=tmp_path / "killed/again/checkpoint-6")
    assert done.step == 6
    resumed = _train(tmp_path / "killed", kind, resume=str(done.path))
    assert resumed == losses
    whole = mstore.open(tmp_path / "whole")
    one, two = (
        {
            f.path: r.read_file("out", f.path)
            for f in r.manifest("out").files
            if f.role in ("weights", "adapter")
        }
        for r in (whole, repo)
    )
    assert one == two and one
    assert [e.step for e in repo.log("out")] == [12, 10, 8, 6, 4, 2]
    assert repo.fsck().ok and whole.fsck().ok


# -- an adapter and its exact base


@pytest.fixture
def adapter(home: Path, repo: Any, base_folder: Path) -> Any:
    """An adapter whose base lay in a folder when it was committed, and was not in the store."""
    import shutil

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    shutil.copytree(base_folder, home / "base")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(home / "base"),
        LoraConfig(r=4, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False),
    )
    model.save_pretrained(home / "adapter")
    repo.commit(home / "adapter", branch="adapter")
    with torch.no_grad():
        return model(torch.arange(9)[None]).logits


def _logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.arange(9)[None]).logits


def test_a_base_is_found_wherever_it_lies_by_its_weights(adapter: Any, home: Path, repo: Any) -> None:
    assert repo.log("adapter")[0].commit.base.weights is not None
    assert _logits(load(repo, "adapter")).equal(adapter)
    (home / "base").rename(home / "moved")
    repo.commit(home / "moved", branch="models", start="", by_hand=False)
    assert _logits(load(repo, "adapter")).equal(adapter)


def test_another_model_under_the_bases_name_is_refused(adapter: Any, home: Path, repo: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    other = AutoModelForCausalLM.from_pretrained(home / "base")
    with torch.no_grad():
        other.transformer.ln_f.bias[0] += 1
    other.save_pretrained(home / "base")
    with pytest.raises(InvalidInput, match="another model than the adapter was trained on"):
        load(repo, "adapter")
    assert load(repo, "adapter", base=str(home / "base")) is not None
