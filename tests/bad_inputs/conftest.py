"""A workspace with one version, which the bad inputs of this folder must leave as it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_model


@pytest.fixture
def stand(mstore: Callable[..., Any], workshop: Path) -> Path:
    """The current folder: a workspace whose `main` holds `out/` once."""
    mstore("init")
    write_model(workshop / "out", elements=3000)
    mstore("commit", "out", "-m", "right")
    return workshop


@pytest.fixture
def commons() -> Iterator[Path]:
    """A folder that every user of this machine can reach and write."""
    folder = Path(tempfile.mkdtemp(prefix="mstore-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
