"""In the training loop: how long a save holds training, and what ten epochs leave on the disk.

A GPT-2 of 40 MB is fine-tuned in full on the CPU, with optimizer state, thrice a round: without
saves, with saves alone, with saves and `MStoreCallback`. The time that the callback holds the
loop is taken around its hooks. Staging alone is measured on a checkpoint of 500 MB.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from measure import Bench, Part

if TYPE_CHECKING:
    from pathlib import Path

_RUN = """
import json, os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
kind, epochs, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=8192, n_positions=64, n_embd=320, n_layer=6, n_head=5))
data = [{"input_ids": r, "labels": r} for r in torch.randint(0, 8192, (rows, 64))]
held, callbacks = [], []
if kind == "mstore":
    from mstore.hf import MStoreCallback

    class Timed(MStoreCallback):
        def on_save(self, *a, **k):
            began = time.perf_counter()
            super().on_save(*a, **k)
            held.append(time.perf_counter() - began)

    callbacks.append(Timed())
args = TrainingArguments(
    output_dir="out", num_train_epochs=epochs, per_device_train_batch_size=8, learning_rate=2e-5,
    save_strategy="no" if kind == "none" else "epoch", logging_strategy="epoch", use_cpu=True,
    report_to="none", disable_tqdm=True,
)
trainer = Trainer(model=model, args=args, train_dataset=data, callbacks=callbacks)
began = time.perf_counter()
trainer.train()
print(json.dumps({"wall_s": time.perf_counter() - began, "held_s": held}))
"""


def _train(root: Path, kind: str, epochs: int, rows: int) -> tuple[dict[str, object], Path]:
    folder = root / f"train-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if kind == "mstore":
        subprocess.run(
            [sys.executable, "-m", "mstore", "init"], cwd=folder, check=True, capture_output=True
        )
    done = subprocess.run(
        [sys.executable, "-c", _RUN, kind, str(epochs), str(rows)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    os.sync()
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found, folder


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _staging(root: Path) -> float:
    """Seconds to freeze a checkpoint of 500 MB in eight files, the median of five."""
    from mstore.staging.checkpoints import Save
    from mstore.staging.queue import Queue
    from mstore.staging.run_plan import RunPlan

    folder = root / "staging/checkpoint-1"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("model.safetensors", 166 << 20), ("optimizer.pt", 332 << 20)):
        (folder / name).write_bytes(rng.bytes(size))
    for number in range(6):
        (folder / f"small-{number}.json").write_bytes(rng.bytes(50_000))
    plan = RunPlan(
        repository=str(root), author=None, output_dir=str(root / "staging"), name="r", named=False,
        run_id="r", attempt="a", origin=None, training_state=True, keep_last=None, base=None,
        frozen=None, metadata={},
    )  # fmt: skip
    queue = Queue.create(plan)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        staged = queue.stage(Save(str(folder), 1, None, {}, "r", "a"), "", with_state=True)
        times.append(time.perf_counter() - began)
        queue.withdraw(staged.number)
    shutil.rmtree(root / "staging")
    return statistics.median(times)


def training(bench: Bench) -> Part:
    """The callback beside the same run without it."""
    part = Part("Training")
    epochs, rows = (3, 32) if bench.small else (10, 64)
    part.add("a save of 500 MB: the loop is held", 1000 * _staging(bench.root), "ms", 50)
    shares, over, over_none, held_all = [], [], [], []
    folder = bench.root
    for _ in range(1 if bench.small else max(2, bench.rounds // 2)):
        none, _ = _train(bench.root, "none", epochs, rows)
        alone, _ = _train(bench.root, "save", epochs, rows)
        ours, folder = _train(bench.root, "mstore", epochs, rows)
        held = ours["held_s"]
        assert isinstance(held, list) and isinstance(ours["wall_s"], float)
        # The first save of a run opens the store and starts the worker.
        held_all += held
        shares.append(sum(held) / ours["wall_s"])
        assert isinstance(alone["wall_s"], float) and isinstance(none["wall_s"], float)
        over.append(ours["wall_s"] / alone["wall_s"])
        over_none.append(ours["wall_s"] / none["wall_s"])
    part.add("the loop is held in on_save, share of the run", 100 * statistics.median(shares), "%", 1)
    part.add("one on_save, median", 1000 * statistics.median(held_all), "ms")
    part.add("run with MStoreCallback ÷ run with saves alone", statistics.median(over), "×")
    part.add("run with MStoreCallback ÷ run without saves", statistics.median(over_none), "×")
    directories = _bytes(folder / "out")
    store = _bytes(folder / ".mstore/store")
    part.add(f"{epochs} epochs with optimizer state: the directories", directories / 1e6, "MB")
    part.add("the store: weights of all, optimizer state of the last 2", store / 1e6, "MB")
    part.add("store ÷ directories", store / directories, "")
    part.remarks.append(
        "The worker shares the machine's cores with the training that it runs beside: on two cores, a"
        " CPU run pays for the coding in wall time. Beside a GPU it was not measured."
    )
    return part
