"""Staging folders: where files lie ready, and what is left when they are thrown away."""

from __future__ import annotations

import os

import pytest

from mstore.fs.temp import sweep_staging
from mstore.worktree.destination import Destination
from mstore.worktree.staging import discard
from tests.unit.worktree.conftest import Stage


def test_what_was_staged_is_thrown_away_whole(destination: Destination, stage: Stage) -> None:
    staged = stage({"a": b"1", "b/c": b"2"})
    (destination.path / staged.folder / "folder-0/deep").mkdir(parents=True)
    (destination.path / "mine").write_bytes(b"x")
    discard(destination, staged)
    assert [p.name for p in destination.path.iterdir()] == ["mine"]
    with pytest.raises(OSError):
        os.fstat(staged.descriptor)


def test_what_somebody_put_there_stays_and_the_folder_is_let_go(
    destination: Destination, stage: Stage
) -> None:
    staged = stage({"a": b"1"})
    foreign = destination.path / staged.folder / "foreign"
    foreign.mkdir()
    discard(destination, staged)
    assert foreign.is_dir(), "a folder that is not ours is not removed"
    with destination.folder([]) as root:
        sweep_staging(root)
    assert not foreign.exists(), "its owner closed it: the next sweep takes it"
