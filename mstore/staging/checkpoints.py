"""The saves in a Trainer's output folder: their steps, their metrics.

Hides the names and the JSON of transformers' checkpoints. Reads only: a
checkpoint folder's own time decides which one the Trainer deletes next, so
nothing here ever writes into one.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from mstore.text import loss_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STATE_KEY: Final = "MStoreCallback"
_CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
_INCOMPLETE: Final = "checkpoint-is-incomplete.txt"
_STATE: Final = "trainer_state.json"
# Speed says something of the machine, not of the model.
_NOT_METRICS: Final = re.compile(r"step|epoch|total_flos|train_.*|.*_runtime|.*_per_second")


@dataclass(frozen=True)
class Save:
    """One save of a run.

    Args:
        path: the folder.
        step: optimizer steps done when it was written.
        epoch: passes over the training set done, or None where unknown.
        metrics: values measured at this step (the training loss: at or last before it).
        run_id: the run that wrote it, or None.
        attempt: the call of `train()` that wrote it, or None.
        tokens: input tokens seen so far, or None where the Trainer does not count them
            (`include_num_input_tokens_seen`).
        wall_s: seconds since this call of `train()` began, or None.
    """

    path: str
    step: int
    epoch: float | None
    metrics: Mapping[str, float]
    run_id: str | None
    attempt: str | None
    tokens: int | None = None
    wall_s: float | None = None

    def at(self, path: str) -> Save:
        """Make the same save with its files elsewhere."""
        return replace(self, path=path)

    @property
    def message(self) -> str:
        """`step 120 · epoch 2.0 · loss 1.84 · eval loss 1.9`."""
        parts = [f"step {self.step}"]
        if self.epoch is not None:
            parts.append(f"epoch {round(float(self.epoch), 2)}")
        return " · ".join([*parts, *loss_texts(self.metrics)])


def metrics_at(log_history: Iterable[Mapping[str, Any]], step: int) -> dict[str, float]:
    """Give the metrics that belong to a step.

    Args:
        log_history: of a TrainerState; each entry holds its `step`.
        step: the step that was saved.

    Returns:
        Everything logged at this very step, and, where no training loss was,
        the last one before it. Values may be NaN or infinite.
    """
    training: Mapping[str, Any] = {}
    here: dict[str, Any] = {}
    for entry in log_history:
        at = entry.get("step")
        if not isinstance(at, int) or at > step:
            continue
        if "loss" in entry:
            training = entry
        if at == step:
            here.update(entry)
    return {
        key: float(value)
        for key, value in {**training, **here}.items()
        if isinstance(value, Real) and not isinstance(value, bool) and not _NOT_METRICS.fullmatch(key)
    }


def _own_entry(stateful_callbacks: Any) -> Mapping[str, Any]:
    """Return the callback's own state in a TrainerState; empty where there is none."""
    entry = stateful_callbacks.get(STATE_KEY) if isinstance(stateful_callbacks, dict) else None
    attributes = entry.get("attributes") if isinstance(entry, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def save_of_state(path: str, state: Any) -> Save:
    """Give the save that the live TrainerState `state` describes."""
    own = _own_entry(state.stateful_callbacks)
    return Save(
        path,
        state.global_step,
        state.epoch,
        metrics_at(state.log_history or (), state.global_step),
        own.get("run_id"),
        own.get("attempt"),
        _tokens(state.num_input_tokens_seen),
    )


def read_save(path: str) -> Save | None:
    """Read the save in a folder.

    Returns:
        None if it is still being written, or holds no readable
        `trainer_state.json` (a diverged run's, with bare NaN, is readable).
    """
    if os.path.lexists(os.path.join(path, _INCOMPLETE)):
        return None
    try:
        with open(os.path.join(path, _STATE), "rb") as file:
            state = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(state, dict) or not isinstance(state.get("global_step"), int):
        return None
    history, epoch = state.get("log_history"), state.get("epoch")
    own = _own_entry(state.get("stateful_callbacks"))
    entries = [e for e in history if isinstance(e, dict)] if isinstance(history, list) else []
    return Save(
        path,
        state["global_step"],
        float(epoch) if isinstance(epoch, (int, float)) else None,
        metrics_at(entries, state["global_step"]),
        own.get("run_id"),
        own.get("attempt"),
        _tokens(state.get("num_input_tokens_seen")),
    )


def _tokens(seen: Any) -> int | None:
    return seen if isinstance(seen, int) and seen > 0 else None


def trial_of(path: str, output_dir: str) -> str:
    """Return, in a search, the folder between output folder and checkpoint; else ""."""
    between = os.path.relpath(os.path.dirname(path), output_dir)
    return "" if between == os.curdir else between


def _subfolders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.path for e in entries if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def step_of(path: str) -> int:
    """Give the step in the name of a checkpoint's folder, -1 where it is none."""
    match = _CHECKPOINT.fullmatch(os.path.basename(path))
    return int(match[1]) if match else -1


def checkpoints(output_dir: str, *, step: int | None = None) -> list[str]:
    """List folders `checkpoint-N` of an output folder and of the folders directly in it, unsorted.

    A search puts each trial's checkpoints one folder lower, under a name that
    no callback is called.

    Args:
        output_dir: the Trainer's.
        step: only those of this step.
    """
    top = _subfolders(output_dir)
    below = [path for folder in top if step_of(folder) < 0 for path in _subfolders(folder)]
    return [p for p in (*top, *below) if step_of(p) >= 0 and step in (None, step_of(p))]
