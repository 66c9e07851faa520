"""What a Trainer left in its output folder: saves, their steps, their metrics."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mstore.staging.checkpoints import (
    STATE_KEY,
    Save,
    checkpoints,
    metrics_at,
    read_save,
    save_of_state,
    step_of,
    trial_of,
)


def _state(folder: Path, **state: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return str(folder)


def test_a_save_is_read_with_what_the_callback_left_in_it(tmp_path: Path) -> None:
    path = _state(
        tmp_path / "checkpoint-4",
        global_step=4,
        epoch=2,
        num_input_tokens_seen=100,
        log_history=[{"step": 4, "loss": math.nan}],
        stateful_callbacks={STATE_KEY: {"attributes": {"run_id": "r", "attempt": "a"}}},
    )
    save = read_save(path)
    assert save is not None and math.isnan(save.metrics["loss"])
    assert replace(save, metrics={}) == Save(path, 4, 2.0, {}, "r", "a", 100)
    assert save.at("elsewhere").path == "elsewhere" and save.at("elsewhere").step == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"stateful_callbacks": None},
        {"stateful_callbacks": {STATE_KEY: None}},
        {"stateful_callbacks": {STATE_KEY: {"attributes": []}}},
        {"stateful_callbacks": []},
        {"log_history": "noise"},
        {"log_history": ["noise", {"step": "x", "loss": 1.0}]},
        {"epoch": "noise"},
        {"num_input_tokens_seen": 0},
    ],
)
def test_what_is_odd_in_it_is_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = _state(tmp_path / "x", global_step=1, **changes)
    assert read_save(path) == Save(path, 1, None, {}, None, None)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"global_step": "4"}', b"{}", b"[" * 100_000, b"\xff"]
)
def test_a_folder_without_a_readable_state_is_no_save(tmp_path: Path, content: bytes) -> None:
    assert read_save(str(tmp_path)) is None
    (tmp_path / "trainer_state.json").write_bytes(content)
    assert read_save(str(tmp_path)) is None


def test_a_save_that_is_still_being_written_is_none(tmp_path: Path) -> None:
    path = _state(tmp_path, global_step=4)
    assert read_save(path) is not None
    (tmp_path / "checkpoint-is-incomplete.txt").symlink_to("nowhere")
    assert read_save(path) is None


HISTORY: list[dict[str, Any]] = [
    {"step": 2, "loss": 3.0, "learning_rate": 0.1, "epoch": 0.5},
    {"step": 4, "loss": 2.0, "grad_norm": 1.5, "epoch": 1.0},
    {"step": 4, "eval_loss": 2.5, "eval_runtime": 9.0, "eval_samples_per_second": 3.0, "epoch": 1.0},
    {"step": 6, "eval_loss": 2.25},
    {"step": 7, "loss": 1.0},
    {"step": 7, "train_loss": 1.5, "total_flos": 1e9, "note": "text", "best": True},
]


@pytest.mark.parametrize(
    ("step", "metrics"),
    [
        (1, {}),
        (2, {"loss": 3.0, "learning_rate": 0.1}),
        (3, {"loss": 3.0, "learning_rate": 0.1}),
        (4, {"loss": 2.0, "grad_norm": 1.5, "eval_loss": 2.5}),
        (5, {"loss": 2.0, "grad_norm": 1.5}),
        (6, {"loss": 2.0, "grad_norm": 1.5, "eval_loss": 2.25}),
        (7, {"loss": 1.0}),
    ],
)
def test_metrics_are_those_of_the_step_and_the_last_training_loss(
    step: int, metrics: dict[str, float]
) -> None:
    assert metrics_at(HISTORY, step) == metrics


def test_a_live_state_gives_the_same_save_as_its_file(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "global_step": 4,
        "epoch": 1.0,
        "log_history": HISTORY,
        "num_input_tokens_seen": 7,
        "stateful_callbacks": {STATE_KEY: {"attributes": {"run_id": "r", "attempt": "a"}}},
    }
    path = _state(tmp_path, **document)
    assert save_of_state(path, SimpleNamespace(**document)) == read_save(path)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (
            Save("x", 120, 2.0, {"loss": 1.84321, "eval_loss": 1.9, "acc": 1.0}, None, None),
            "step 120 · epoch 2.0 · loss 1.843 · eval loss 1.9",
        ),
        (Save("x", 1, None, {}, None, None), "step 1"),
        (Save("x", 1, 0.33333, {"loss": math.nan}, None, None), "step 1 · epoch 0.33 · loss nan"),
    ],
)
def test_a_message_says_where_training_stood(save: Save, message: str) -> None:
    assert save.message == message


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-12", 12),
        ("checkpoint-0", 0),
        ("checkpoint-", -1),
        ("checkpoint-1x", -1),
        ("run-1", -1),
    ],
)
def test_the_step_stands_in_the_name(name: str, step: int) -> None:
    assert step_of(f"/out/{name}") == step


def test_checkpoints_of_a_run_and_of_its_trials_are_found(tmp_path: Path) -> None:
    for path in (
        "checkpoint-2",
        "run-0/checkpoint-2",
        "run-0/checkpoint-4",
        "runs",
        "checkpoint-2/checkpoint-9",
        "a/b/checkpoint-2",
    ):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "checkpoint-3").write_bytes(b"")
    (tmp_path / "checkpoint-5").symlink_to("checkpoint-2")
    found = {str(Path(p).relative_to(tmp_path)) for p in checkpoints(str(tmp_path))}
    assert found == {"checkpoint-2", "run-0/checkpoint-2", "run-0/checkpoint-4"}
    assert len(checkpoints(str(tmp_path), step=2)) == 2 and checkpoints(str(tmp_path / "absent")) == []
    assert trial_of(str(tmp_path / "run-0/checkpoint-2"), str(tmp_path)) == "run-0"
    assert trial_of(str(tmp_path / "checkpoint-2"), str(tmp_path)) == ""
