"""A workspace with some history, for tests that look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_adapter, write_model

Run = Callable[..., Any]


@pytest.fixture
def place(mstore: Run, workshop: Path) -> Path:
    """`main` with one version of a small model in `out/`."""
    mstore("init")
    write_model(workshop / "out", elements=3000)
    mstore("commit", "out", "-m", "one", "--metric", "loss=2.5")
    return workshop


@pytest.fixture
def history(mstore: Run, place: Path) -> Path:
    """`main`: one, two; `r4` and `r8`: an adapter each, from `two`; tag v1 on `one`."""
    write_model(place / "out", seed=2, elements=3000)
    mstore(
        "commit",
        "-m",
        "two",
        "--metric",
        "loss=1.5",
        "--metric",
        "eval_loss=1.75",
        "--meta",
        "lr=0.0002",
    )
    mstore("tag", "v1", "main~1")
    for rank in (4, 8):
        write_adapter(place / f"r{rank}", rank=rank)
        state = {
            "global_step": 10 * rank,
            "epoch": rank / 4,
            "log_history": [{"step": 10 * rank, "loss": 1 / rank}],
        }
        (place / f"r{rank}/trainer_state.json").write_text(json.dumps(state))
        mstore("commit", f"r{rank}", "--branch", f"r{rank}", "-m", f"rank {rank}", "--base", "main")
    return place


@pytest.fixture
def entries(mstore: Run) -> Callable[..., list[dict[str, Any]]]:
    """What `log --json` says of some revisions."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(mstore("log", "--json", *arguments)[1])["versions"]
        return found

    return call
