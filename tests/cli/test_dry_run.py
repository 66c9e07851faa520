"""`--dry-run` says what a command would do, as text and as JSON, and does none of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import write_model
from tests.plans import everything

COMMANDS = {
    "commit": ("commit", "out", "-m", "three"),
    "checkout": ("checkout", "main~1"),
    "checkout --to": ("checkout", "main~1", "--to", "new"),
    "import": ("import", "out"),
    "undo": ("undo",),
}


@pytest.fixture
def bound(mstore: Run, history: Path) -> Path:
    """`history`, `out` being the model directory."""
    mstore("config", "model-dir", "out")
    return history


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_nothing_is_done(mstore: Run, bound: Path, command: tuple[str, ...]) -> None:
    if command[0] in ("commit", "import"):
        write_model(bound / "out", seed=9, elements=3000)

    before = everything(bound)
    _, out, _ = mstore(*command, "--dry-run")
    assert out.startswith("would "), out
    document = json.loads(mstore(*command, "--dry-run", "--json")[1])
    assert isinstance(document, dict) and document
    assert everything(bound) == before
    mstore(*command)
    assert everything(bound) != before
