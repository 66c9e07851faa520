"""Saves that wait to be committed: frozen beside the checkpoints, and never lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.staging import queue as staging
from mstore.staging.queue import CannotStage, Queue, register, registered
from tests.conftest import contents
from tests.runs import run_plan, write_save


def test_what_is_staged_is_read_back_as_it_was(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "LINKED_FROM_BYTES", 2000)
    queue = Queue.create(run_plan(home))
    save = write_save(home, 2)
    staged = queue.stage(save, "trial", with_state=True)
    assert repr(queue.read(staged.number)) == repr(staged) and staged.links
    assert queue.plan() == run_plan(home)
    folder = queue.folder_of(staged)
    assert contents(folder) == contents(Path(save.path))
    linked = folder / staged.links[0][0]
    assert linked.stat().st_nlink == 2 and (folder / "optimizer.pt").stat().st_nlink == 1
    assert "optimizer.pt" not in contents(queue.folder_of(queue.stage(save, "", with_state=False)))


def test_a_workspace_forgets_queues_that_are_gone(repo: Repository, home: Path) -> None:
    assert repo.workspace is not None
    queue = Queue.create(run_plan(home))
    register(repo.workspace.path, queue)
    assert [q.path for q in registered(repo.workspace.path)] == [queue.path]
    queue.remove()
    assert registered(repo.workspace.path) == []
    assert list((repo.workspace.path / "staged").iterdir()) == []


def test_it_is_not_interested_in_links_and_pipes(repo: Repository, home: Path) -> None:
    save = write_save(home, 2)
    os.symlink("/etc/passwd", Path(save.path) / "link")
    queue = Queue.create(run_plan(home))
    folder = queue.folder_of(queue.stage(save, "", with_state=True))
    assert not (folder / "link").exists()


def test_no_links_leaves_nothing_staged(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "LINKED_FROM_BYTES", 0)
    monkeypatch.setattr(os, "link", lambda *a, **k: (_ for _ in ()).throw(OSError(95, "no")))
    queue = Queue.create(run_plan(home))
    with pytest.raises(CannotStage):
        queue.stage(write_save(home, 2), "", with_state=True)
    assert sorted(p.name for p in queue.path.iterdir()) == ["plan.json"]
