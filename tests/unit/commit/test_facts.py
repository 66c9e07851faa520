"""What a commit records of a model directory beside its files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mstore.commit import facts as module
from mstore.commit.facts import facts_with_trainer, recorded_metadata, token_warnings
from mstore.commit.options import CommitOptions
from mstore.modeldir.read import read_folder
from mstore.worktree.scan import scan
from tests.conftest import write_adapter


def _state(folder: Path, step: int) -> None:
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))


def test_the_state_of_an_equal_checkpoint_is_the_folders(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "out", seed=3)
    for step in (2, 3, 4):
        _state(write_adapter(folder / f"checkpoint-{step}", seed=step), step)
    tree = read_folder(folder)
    trainer = facts_with_trainer(tree, tree.found).trainer
    assert trainer is not None and trainer.global_step == 3
    _state(folder, 9)
    tree = read_folder(folder)
    trainer = facts_with_trainer(tree, tree.found).trainer
    assert trainer is not None and trainer.global_step == 9


def test_no_checkpoint_that_is_equal_says_nothing(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "out", seed=3)
    _state(write_adapter(folder / "checkpoint-2", seed=2), 2)
    (folder / "checkpoint-3").mkdir()
    (folder / "checkpoint-4").mkdir()
    _state(folder / "checkpoint-4", 4)
    os.mkfifo(folder / "checkpoint-4/pipe")
    tree = read_folder(folder)
    assert facts_with_trainer(tree, tree.found).trainer is None


def test_the_users_metadata_stands_beside_what_was_found_out(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "out")
    state = {"global_step": 3, "log_history": [{"step": 3, "loss": 1.0}]}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    facts = read_folder(folder).facts()
    options = CommitOptions(metadata={"lr": 0.1, "t": (1,)}, without=frozenset({"other", "config"}))
    found = recorded_metadata(facts, options)
    assert (found["lr"], found["t"]) == (0.1, [1])
    recorded = found["recorded"]
    assert recorded["without"] == ["config", "other"] and "python" in recorded["environment"]
    assert recorded["trainer"]["global_step"] == 3 and "metrics" not in recorded["trainer"]
    assert recorded["adapters"][""]["rank"] == 4 and "model" not in recorded


def test_a_token_in_clear_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_adapter(tmp_path / "out")
    (folder / "training_args.bin").write_bytes(b"x")
    found = scan(folder)
    monkeypatch.setattr(module, "holds_token", lambda source: source.read(0, 1) == b"x")
    (warning,) = token_warnings(found, CommitOptions())
    assert warning.startswith("training_args.bin holds a hub token")
    assert token_warnings(found, CommitOptions(without=frozenset({"training-state"}))) == []
    monkeypatch.setattr(module, "_TOKEN_SCAN_BYTES", 0)
    assert token_warnings(found, CommitOptions()) == []
