"""The state of a training run: trainer_state.json."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mstore.formats.jsontext import as_text, count_of, mapping_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a run logs while it trains; the latest is taken for the step it was saved at.
_RUNNING: Final = ("loss", "grad_norm", "learning_rate")
# How fast the machine was says nothing of the model; it would differ in every comparison.
_SPEED: Final = re.compile(r"(_runtime|_per_second|^total_flos)$")


@dataclass(frozen=True)
class TrainerFacts:
    """The state of a training run, as trainer_state.json describes it.

    Args:
        metrics: values logged at `global_step`, and the latest loss, gradient
            norm and learning rate up to it. NaN and infinities are values.
        greater_is_better: of `best_metric`, if known.
        run_id: of the run that mstore's callback took part in.
    """

    global_step: int | None = None
    epoch: float | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_metric: float | None = None
    best_model_checkpoint: str | None = None
    best_global_step: int | None = None
    greater_is_better: bool | None = None
    run_id: str | None = None


def trainer_facts(state: Mapping[str, Any]) -> TrainerFacts:
    """Read the facts of a training run from its parsed trainer_state.json."""
    step = count_of(state.get("global_step"), least=0)
    ours = mapping_of(mapping_of(state.get("stateful_callbacks")).get("MStoreCallback"))
    attributes = mapping_of(ours.get("attributes"))
    greater = attributes.get("greater_is_better")
    return TrainerFacts(
        global_step=step,
        epoch=_float(state.get("epoch")),
        max_steps=count_of(state.get("max_steps")),
        num_train_epochs=_float(state.get("num_train_epochs")),
        metrics=_metrics(state.get("log_history"), step) if step is not None else {},
        best_metric=_float(state.get("best_metric")),
        best_model_checkpoint=text_of(state.get("best_model_checkpoint")),
        best_global_step=count_of(state.get("best_global_step")),
        greater_is_better=greater if type(greater) is bool else None,
        run_id=text_of(attributes.get("run_id")),
    )


def _metrics(log: Any, global_step: int) -> dict[str, float]:
    """Collect the numbers logged at a step, and the latest running ones up to it."""
    at_step: dict[str, float] = {}
    latest: dict[str, tuple[int, float]] = {}
    for row in log if type(log) is list else ():
        step = count_of(row.get("step"), least=0) if type(row) is dict else None
        if step is None or step > global_step:
            continue
        for key in row if step == global_step else _RUNNING:
            number = _float(row.get(key))
            if number is None or key in ("step", "epoch") or _SPEED.search(key):
                continue
            if step == global_step:
                at_step[as_text(key)] = number
            elif step >= latest.get(key, (0, 0.0))[0]:
                latest[key] = (step, number)
    return {**{key: number for key, (_, number) in latest.items()}, **at_step}


def _float(value: Any) -> float | None:
    # Unlike the numbers of a configuration, NaN and infinities are what a metric may be.
    if type(value) is float:
        return value
    return float(value) if type(value) is int and abs(value) < 2**1000 else None
