"""Saves that wait to be committed: frozen beside the checkpoints, and never lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.staging import queue as staging
from mstore.staging.queue import CannotStage, Queue, queues, register, registered
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


def test_saves_wait_in_the_order_in_which_they_came(home: Path) -> None:
    queue = Queue.create(run_plan(home))
    numbers = [queue.stage(write_save(home, step), "", with_state=True).number for step in (2, 4, 6)]
    assert numbers == queue.waiting() == [1, 2, 3]
    assert queue.withdraw(2) and not queue.withdraw(2)
    assert queue.waiting() == [1, 3] and not (queue.path / "000002").exists()
    queue.finish(3, {"step": 6, "commit": "x", "said": []})
    assert queue.stage(write_save(home, 8), "", with_state=True).number == 4, "no number is given twice"


def test_what_became_of_a_save_is_noted_and_its_files_go(home: Path) -> None:
    queue = Queue.create(run_plan(home))
    for step in (2, 4):
        queue.stage(write_save(home, step), "", with_state=True)
    queue.finish(1, {"step": 2, "commit": "abc", "said": ["x"]})
    queue.finish(2, {"reason": "full", "said": []})
    assert queue.outcomes() == {
        1: {"step": 2, "commit": "abc", "said": ["x"]},
        2: {"reason": "full", "said": []},
    }
    assert queue.waiting() == [] and queue.unfinished() == 1
    assert not (queue.path / "000001").exists() and (queue.path / "000002").is_dir()
    queue.retry()
    assert queue.waiting() == [2] and list(queue.outcomes()) == [1]
    assert queue.read(2).save.step == 4


def test_one_works_on_a_queue_and_one_owns_it(home: Path) -> None:
    queue = Queue.create(run_plan(home))
    with queue.worked_on() as first, Queue(queue.path).worked_on() as second:
        assert first and not second
    with queue.worked_on() as again:
        assert again
    owner = queue.own()
    with pytest.raises(BlockingIOError, match="its training runs"):
        queue.own()
    queue.remove()
    assert queue.path.is_dir()
    os.close(owner)
    queue.remove()
    assert not queue.path.exists() and not queue.path.parent.exists()


def test_a_queue_with_saves_that_wait_is_not_removed(home: Path) -> None:
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    queue.remove()
    queue.finish(1, {"reason": "full", "said": []})
    queue.remove()
    assert queue.unfinished() == 1


def test_queues_of_an_output_folder_are_found(home: Path) -> None:
    made = [Queue.create(run_plan(home, attempt=attempt)) for attempt in ("b", "a")]
    for number, queue in enumerate(made):
        os.utime(queue.path, (number, number))
    (made[0].path.parent / "noise").mkdir()
    assert [q.path for q in queues(str(home / "out"))] == [q.path for q in made]
    assert queues(str(home)) == []


def test_a_save_that_cannot_be_read_is_told_from_one_that_is_not_there(home: Path) -> None:
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    (queue.path / "000001.save").write_text("noise")
    with pytest.raises(ValueError):
        queue.read(1)
    with pytest.raises(FileNotFoundError):
        queue.read(2)
