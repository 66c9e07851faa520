"""What a run of training asks for, and a save of it as a Trainer writes one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mstore.staging.checkpoints import Save
from mstore.staging.run_plan import RunPlan
from tests.conftest import write_adapter


def run_plan(home: Path, **changes: Any) -> RunPlan:
    """What a run with its output folder in `home/out` asks for."""
    plain = {
        "repository": str(home),
        "author": "Ada",
        "output_dir": str(home / "out"),
        "name": "run",
        "named": False,
        "run_id": "r",
        "attempt": "a",
        "origin": None,
        "training_state": True,
        "keep_last": None,
        "base": None,
        "frozen": None,
        "metadata": {},
        **changes,
    }
    return RunPlan.from_dict(json.loads(json.dumps(plain)))


def write_save(home: Path, step: int) -> Save:
    """Write a checkpoint of an adapter with its training state."""
    folder = write_adapter(home / f"out/checkpoint-{step}", seed=step)
    (folder / "optimizer.pt").write_bytes(os.urandom(1000))
    state = {
        "global_step": step,
        "stateful_callbacks": {"MStoreCallback": {"attributes": {"run_id": "r", "attempt": "a"}}},
    }
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return Save(str(folder), step, None, {"loss": float("nan")}, "r", "a")
