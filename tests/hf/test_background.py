"""Commits beside the training: what is staged outlives the process, and nothing waits for it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import TrainerCallback

import mstore
from mstore.hf import MStoreCallback
from mstore.staging import queue as staging
from mstore.staging.queue import queues, registered
from mstore.training.run import Run
from mstore.training.worker import Worker
from tests.conftest import write_adapter


def steps(repo: Any, rev: str) -> list[int]:
    return [e.step for e in reversed(repo.log(rev))]


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(r.getMessage() for r in caplog.records)


# -- in a Trainer


def test_training_commits_nothing_itself(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("a commit in the process that trains")

    monkeypatch.setattr(Run, "commit", here)
    trainer_of(MStoreCallback(repo)).train()
    assert steps(repo, "out") == [2, 4]
    assert not (home / "out" / staging.FOLDER).exists(), "the queue goes when it is empty"
    assert registered(repo.workspace.path) == []


def test_what_is_recorded_of_the_run(repo: Any, trainer_of: Any) -> None:
    trainer_of(MStoreCallback(repo), include_num_input_tokens_seen="all").train()
    first, second = reversed(repo.log("out"))
    assert first.metadata["hardware"] == {"device": "cpu", "processes": 1}
    assert 0 < first.metadata["run"]["wall_s"] < second.metadata["run"]["wall_s"]
    assert 0 < first.metadata["run"]["tokens"] < second.metadata["run"]["tokens"]


def test_the_quantization_of_a_base_is_recorded() -> None:
    from mstore.hf.recorded import quantization_facts

    config = SimpleNamespace(to_dict=lambda: {"load_in_4bit": True})
    for held in (config, {"load_in_4bit": True}):
        model = SimpleNamespace(config=SimpleNamespace(quantization_config=held))
        assert quantization_facts(model) == {"load_in_4bit": True}
    assert quantization_facts(SimpleNamespace(config=SimpleNamespace())) is None


def test_training_state_is_kept_for_the_last_two(repo: Any, home: Path, trainer_of: Any) -> None:
    trainer_of(MStoreCallback(repo), num_train_epochs=4).train()
    having = [
        "optimizer.pt" in {f.path for f in repo.manifest(e.id).files}
        and "training-state" not in mstore.store.forgotten_roles(repo.store, e.id)
        for e in repo.log("out")
    ]
    assert having == [True, True, False, False]
    assert repo.fsck().ok
    repo.checkout("out~3", to=home / "old")
    assert not (home / "old/optimizer.pt").exists() and (home / "old/model.safetensors").exists()


def test_the_configuration_says_how_many(repo: Any, home: Path, trainer_of: Any) -> None:
    repo.workspace.set_config("keep-training-state", "all")
    trainer_of(MStoreCallback(repo), num_train_epochs=4).train()
    assert all(repo.read_file(e.id, "optimizer.pt") for e in repo.log("out"))


def test_without_hard_links_training_waits(
    repo: Any, trainer_of: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(staging, "LINKED_FROM_BYTES", 0)

    def refuse(*arguments: Any, **named: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    trainer_of(MStoreCallback(repo)).train()
    assert steps(repo, "out") == [2, 4]
    assert "training waits for each commit" in said(caplog)


def test_the_worker_that_is_killed_loses_nothing(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Worker.tell

    def kill(self: Worker) -> None:
        self._process.kill()
        self._process.wait()
        real(self)

    monkeypatch.setattr(Worker, "tell", kill)
    trainer_of(MStoreCallback(repo)).train()
    assert steps(repo, "out") == [2, 4]


def test_a_tracker_at_work_learns_the_commit(
    repo: Any, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary: dict[str, Any] = {}
    tags: dict[str, Any] = {}
    wandb = SimpleNamespace(run=SimpleNamespace(summary=summary))
    mlflow = SimpleNamespace(active_run=object, set_tags=tags.update)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    trainer_of(MStoreCallback(repo)).train()
    tip = repo.resolve("out").hex
    assert summary == {"mstore/commit": tip, "mstore/step": 4}
    assert tags["mstore.commit"] == tags["mstore.step.4"] == tip and "mstore.step.2" in tags


def test_frozen_weights_that_moved_are_said(
    repo: Any, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trainer_of(MStoreCallback(repo, frozen=r"\.h\.0\.")).train()
    assert "meant to be frozen, and changed" in said(caplog)
    first, second = reversed(repo.log("out"))
    assert "frozen_changed" not in first.metadata.get("health", {})
    assert "transformer.h.0." in second.metadata["health"]["frozen_changed"]


_SCRIPT = """
import os, sys, signal
from pathlib import Path
sys.path.insert(0, {tests!r})
import importlib.util
spec = importlib.util.spec_from_file_location("tiny", {tiny!r})
tiny = importlib.util.module_from_spec(spec); spec.loader.exec_module(tiny)
from transformers import Trainer, TrainerCallback, TrainingArguments
from mstore.hf import MStoreCallback
from mstore.training import background
lines = tiny.texts(32, sign="+", seed=0)
words = tiny.tokenizer(lines, size=300)
made = words(lines, padding="max_length", truncation=True, max_length=24)
rows = [
    {{"input_ids": i, "attention_mask": m, "labels": i}}
    for i, m in zip(made["input_ids"], made["attention_mask"])
]

class Kill(TrainerCallback):
    def on_step_begin(self, args, state, control, **parts):
        if state.global_step == {at}:
            {how}

{before}
trainer = Trainer(
    model=tiny.model(words, layers=2, width=32),
    args=TrainingArguments(
        output_dir="out", num_train_epochs=2, per_device_train_batch_size=8, learning_rate=1e-2,
        save_strategy="epoch", use_cpu=True, report_to="none", disable_tqdm=True),
    train_dataset=rows[:16], processing_class=words, callbacks=[MStoreCallback(), Kill()])
trainer.train()
"""
ROOT = Path(__file__).parents[2]


def _killed(home: Path, *, how: str, before: str = "", at: int = 3) -> None:
    script = _SCRIPT.format(
        tests=str(ROOT), tiny=str(ROOT / "examples/tiny.py"), how=how, before=before, at=at
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


def _until(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_kill_9_leaves_the_worker_to_finish(repo: Any, home: Path) -> None:
    _killed(home, how="os.kill(os.getpid(), signal.SIGKILL)")
    _until(lambda: "out" in repo.branches())
    assert steps(repo, "out") == [2]


def test_kill_9_of_both_is_told_by_status_and_mended_by_the_next_commit(
    repo: Any, home: Path, mstore_run: Any
) -> None:
    # No worker ever comes: the whole job was killed at once.
    _killed(
        home,
        how="os.kill(os.getpid(), signal.SIGKILL)",
        before="background.Worker = type('W', (), {'__init__': lambda s, q: None, 'alive': True,"
        " 'tell': lambda s: None, 'drain': lambda s: None})",
    )
    (queue,) = queues(str(home / "out"))
    assert queue.waiting() == [1] and repo.branches() == {}
    out = mstore_run("status")
    assert "1 save of a training run not committed yet" in out
    write_adapter(home / "other")
    out = mstore_run("commit", "other", "--branch", "other")
    assert "committed 1 save that a killed training run had staged" in out
    assert steps(repo, "out") == [2] and "not committed yet" not in mstore_run("status")
    assert not (home / "out" / staging.FOLDER).exists()


def test_kill_9_of_both_is_mended_by_the_next_start(repo: Any, home: Path, trainer_of: Any) -> None:
    _killed(
        home,
        how="os.kill(os.getpid(), signal.SIGKILL)",
        before="background.Worker = type('W', (), {'__init__': lambda s, q: None, 'alive': True,"
        " 'tell': lambda s: None, 'drain': lambda s: None})",
    )
    trainer_of(MStoreCallback(repo)).train(resume_from_checkpoint=True)
    assert steps(repo, "out") == [2, 4]


@pytest.fixture
def mstore_run(home: Path) -> Any:
    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mstore", *arguments],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return call


def test_a_hook_is_a_callback(home: Path) -> None:
    assert isinstance(MStoreCallback(), TrainerCallback)
    with pytest.raises(ValueError, match="behind"):
        MStoreCallback(behind="sometimes")  # type: ignore[arg-type]
    logging.getLogger("mstore.hf")
