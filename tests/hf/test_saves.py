"""What is read from a Trainer's output folder."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from mstore.staging.checkpoints import checkpoints, metrics_at, read_save

HISTORY = [
    {"loss": 3.0, "learning_rate": 1e-3, "epoch": 0.5, "step": 10},
    {"eval_loss": 2.5, "eval_runtime": 0.1, "eval_samples_per_second": 9.0, "epoch": 0.5, "step": 10},
    {"loss": 2.0, "learning_rate": 1e-4, "grad_norm": 0.5, "epoch": 1.0, "step": 20},
    {"eval_loss": 1.5, "epoch": 1.0, "step": 20},
    {"loss": 1.0, "epoch": 1.5, "step": 30},
    {"train_runtime": 5.0, "train_loss": 2.0, "total_flos": 1.0, "epoch": 1.5, "step": 30},
]


def test_metrics_are_those_of_the_step() -> None:
    assert metrics_at(HISTORY, 20) == {
        "loss": 2.0,
        "learning_rate": 1e-4,
        "grad_norm": 0.5,
        "eval_loss": 1.5,
    }


def test_the_loss_may_be_older_but_an_evaluation_may_not() -> None:
    assert metrics_at(HISTORY, 25) == {"loss": 2.0, "learning_rate": 1e-4, "grad_norm": 0.5}


def test_speed_is_no_metric_and_later_entries_do_not_count() -> None:
    assert metrics_at(HISTORY, 10) == {"loss": 3.0, "learning_rate": 1e-3, "eval_loss": 2.5}
    assert metrics_at(HISTORY, 30) == {"loss": 1.0}
    assert metrics_at(HISTORY, 5) == {}


def test_numbers_only() -> None:
    entry = {"loss": np.float32(1.5), "flag": True, "text": "1.0", "none": None, "n": 3, "step": 1}
    assert metrics_at([entry], 1) == {"loss": 1.5, "n": 3.0}


def _checkpoint(folder: Path, step: int, text: str | None = None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    state = {"global_step": step, "epoch": 1.0, "log_history": [{"loss": math.nan, "step": step}]}
    (path / "trainer_state.json").write_text(json.dumps(state) if text is None else text)
    return path


def test_bare_nan_of_a_diverged_run_is_read(tmp_path: Path) -> None:
    save = read_save(str(_checkpoint(tmp_path, 7)))
    assert save is not None
    assert save.step == 7
    assert math.isnan(save.metrics["loss"])
    assert save.message == "step 7 · epoch 1.0 · loss nan"


def test_what_is_still_being_written_or_broken_is_no_save(tmp_path: Path) -> None:
    path = _checkpoint(tmp_path, 7)
    (path / "checkpoint-is-incomplete.txt").touch()
    assert read_save(str(path)) is None
    for step, text in enumerate(("", "{", "[]", "null", '{"global_step": "1"}', "[" * 100_000)):
        assert read_save(str(_checkpoint(tmp_path / "x", step, text))) is None
    assert read_save(str(tmp_path / "absent")) is None


def test_strange_state_gives_no_facts(tmp_path: Path) -> None:
    text = json.dumps(
        {"global_step": 1, "epoch": "x", "log_history": 3, "stateful_callbacks": {"MStoreCallback": []}}
    )
    save = read_save(str(_checkpoint(tmp_path, 1, text)))
    assert save is not None
    assert (save.epoch, save.metrics, save.run_id) == (None, {}, None)


def test_checkpoints_are_found_in_a_searchs_trials_too(tmp_path: Path) -> None:
    for folder in (
        "checkpoint-1",
        "run-0/checkpoint-1",
        "run-0/checkpoint-2",
        "checkpoint-1/checkpoint-1",
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "checkpoint-3").touch()

    def found(**only: int) -> list[str]:
        return sorted(str(Path(p).relative_to(tmp_path)) for p in checkpoints(str(tmp_path), **only))

    assert found() == ["checkpoint-1", "run-0/checkpoint-1", "run-0/checkpoint-2"]
    assert found(step=1) == ["checkpoint-1", "run-0/checkpoint-1"]
    assert checkpoints(str(tmp_path / "absent")) == []
