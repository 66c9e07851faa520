"""The commit's id in the run of the experiment tracker, where one is at work."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def tell_trackers(commit: str, step: int) -> None:
    """Put a commit into the run that W&B or MLflow has open in this process.

    Nothing is imported for it: a tracker that is at work is loaded already.

    Args:
        commit: 64 hex digits.
        step: the training step that it holds.
    """
    wandb: Any = sys.modules.get("wandb")
    if wandb is not None:
        with contextlib.suppress(Exception):
            if wandb.run is not None:
                wandb.run.summary.update({"mstore/commit": commit, "mstore/step": step})
    mlflow: Any = sys.modules.get("mlflow")
    if mlflow is not None:
        with contextlib.suppress(Exception):
            if mlflow.active_run() is not None:
                mlflow.set_tags({"mstore.commit": commit, f"mstore.step.{step}": commit})
