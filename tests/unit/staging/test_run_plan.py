"""What one call of `train()` asks for travels as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mstore.staging.run_plan import Origin, RunPlan
from tests.runs import run_plan


@pytest.mark.parametrize("origin", [None, {"step": 4, "attempt": "a"}, {"step": 4, "attempt": None}])
def test_a_plan_is_read_as_it_was_written(tmp_path: Path, origin: dict[str, Any] | None) -> None:
    plan = run_plan(tmp_path, origin=origin, keep_last=2, frozen="lora_A", metadata={"lr": 1e-4})
    assert plan.origin == (Origin(**origin) if origin else None)
    assert RunPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize("change", [{"origin": {"step": 1}}, {"origin": 3}, {"unknown": 1}])
def test_what_is_no_plan_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    document = run_plan(tmp_path).to_dict()
    with pytest.raises((KeyError, TypeError)):
        RunPlan.from_dict({**document, **change})
    with pytest.raises((KeyError, TypeError)):
        RunPlan.from_dict({k: v for k, v in document.items() if k not in ("origin", "name")})
