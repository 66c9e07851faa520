"""Facts of a training run: trainer_state.json."""

from __future__ import annotations

import math

from mstore.objects import encode
from tests.unit.formats.facts.folders import Folder


def test_trainer_state():
    state = {
        "global_step": 40,
        "epoch": 2.0,
        "max_steps": 60,
        "num_train_epochs": 3,
        "best_metric": 0.5,
        "best_global_step": 20,
        "best_model_checkpoint": "out/checkpoint-20",
        "log_history": [
            {"step": 20, "loss": 2.0, "learning_rate": 1e-4, "eval_loss": 0.5},
            {"step": 30, "loss": 1.0, "grad_norm": math.nan, "epoch": 1.5},
            {"step": 40, "eval_loss": 0.75, "epoch": 2.0, "eval_runtime": 1},
            {"step": 40, "train_loss": math.inf, "text": "x", "flag": True},
            {"step": 50, "loss": 9.0},
            "junk",
        ],
        "stateful_callbacks": {
            "MStoreCallback": {"args": {}, "attributes": {"run_id": "r1", "greater_is_better": False}}
        },
    }
    trainer = Folder({"trainer_state.json": state}).facts().trainer
    metrics = dict(trainer.metrics)
    assert math.isnan(metrics.pop("grad_norm"))
    assert metrics == {
        "loss": 1.0,
        "learning_rate": 1e-4,
        "eval_loss": 0.75,
        "train_loss": math.inf,
    }
    assert all(type(v) is float for v in metrics.values())
    assert (trainer.global_step, trainer.epoch, trainer.max_steps) == (40, 2.0, 60)
    assert (trainer.best_metric, trainer.best_global_step) == (0.5, 20)
    assert (trainer.run_id, trainer.greater_is_better) == ("r1", False)
    encode(Folder({"trainer_state.json": state}).facts().to_dict())


def test_an_older_evaluation_is_no_metric_of_this_step():
    state = {"global_step": 3, "log_history": [{"step": 2, "eval_loss": 1.0}]}
    assert Folder({"trainer_state.json": state}).facts().trainer.metrics == {}


def test_a_trainer_state_of_transformers(tmp_path):
    from transformers import TrainerState

    TrainerState(global_step=5, epoch=1.0, log_history=[{"step": 5, "loss": 0.25}]).save_to_json(
        str(tmp_path / "trainer_state.json")
    )
    trainer = Folder.at(tmp_path).facts().trainer
    assert (trainer.global_step, dict(trainer.metrics)) == (5, {"loss": 0.25})
