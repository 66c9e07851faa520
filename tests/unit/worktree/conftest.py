"""A folder with staged files beside those that they are to replace."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mstore.fs.temp import TEMPORARY_PREFIX, make_staging
from mstore.worktree.destination import Destination
from mstore.worktree.staging import Staged

Stage = Callable[[dict[str, bytes]], Staged]


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Destination]:
    """An open folder, which holds what the test writes into `out`."""
    (tmp_path / "out").mkdir()
    with Destination(tmp_path / "out") as destination:
        yield destination


@pytest.fixture
def stage(destination: Destination) -> Iterator[Stage]:
    """Stages files of these contents, as the writer leaves them."""
    made: list[int] = []

    def call(files: dict[str, bytes]) -> Staged:
        name = f"{TEMPORARY_PREFIX}{len(made)}"
        with destination.folder([]) as root:
            descriptor = make_staging(name, root)
        made.append(descriptor)
        for number, content in enumerate(files.values()):
            (destination.path / name / str(number)).write_bytes(content)
        return Staged(name, tuple(files), descriptor)

    yield call
    for descriptor in made:
        with contextlib.suppress(OSError):
            os.close(descriptor)
