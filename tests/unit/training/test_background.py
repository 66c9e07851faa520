"""The training process's side of commits in the background."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.staging.queue import Queue, queues
from mstore.training import background as module
from mstore.training.background import Background
from mstore.training.run import Run
from mstore.training.worker import adopt
from tests.runs import run_plan, write_save


def test_the_newest_takes_the_place_of_one_that_waits(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "Worker", Asleep)
    background = Background(Run(repo, run_plan(home)), "latest")
    for step in (1, 2, 3, 4):
        background.put(write_save(home, step), "")
    queue = background.leave()
    assert [queue.read(n).save.step for n in queue.waiting()] == [1, 4]
    assert "was replaced by" in said(caplog)
    assert adopt(queue, repo) == 2 and [e.step for e in repo.log("run")] == [4, 1]


def test_a_queue_that_is_owned_stays(repo: Repository, home: Path) -> None:
    background = Background(Run(repo, run_plan(home)), "wait")
    (queue,) = queues(str(home / "out"))
    assert adopt(queue, repo) == 0 and queue.path.is_dir()
    background.leave()
    assert adopt(queue, repo) == 0 and not queue.path.exists()


class Asleep:
    """A worker that never comes to anything."""

    alive = True

    def __init__(self, queue: Queue) -> None:
        pass

    def tell(self) -> None:
        pass

    def drain(self) -> None:
        pass


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is committed until somebody adopts the queue."""
    monkeypatch.setattr(module, "Worker", Asleep)


def said(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged."""
    return "\n".join(record.getMessage() for record in caplog.records)


def test_saves_that_nobody_staged_are_staged_before_the_next(
    repo: Repository, home: Path, asleep: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    background = Background(Run(repo, run_plan(home)), "wait")
    for step in (1, 2):
        write_save(home, step)
    foreign = write_save(home, 3)
    state = json.loads((Path(foreign.path) / "trainer_state.json").read_text())
    state["stateful_callbacks"] = {}
    (Path(foreign.path) / "trainer_state.json").write_text(json.dumps(state))
    monkeypatch.setattr(module, "_AHEAD", 9)
    background.put(write_save(home, 4), "")
    queue = background.leave()
    assert [queue.read(n).save.step for n in queue.waiting()] == [1, 2, 4]


def test_what_became_of_saves_is_said_once(
    repo: Repository, home: Path, asleep: None, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(repo, run_plan(home))
    background = Background(run, "wait")
    caplog.set_level(logging.INFO, "mstore.hf")
    background.put(write_save(home, 1), "")
    background.put(write_save(home, 2), "")
    (queue,) = queues(str(home / "out"))
    queue.finish(1, {"step": 1, "commit": "ab" * 32, "said": ["the disk is nearly full"]})
    queue.finish(2, {"reason": "the disk is full", "said": []})
    background.news()
    text = said(caplog)
    assert "step 1 is abababa" in text and "the disk is nearly full" in text
    assert "could not commit the save of step 2: the disk is full" in text
    assert run.failed == {2: "the disk is full"}
    caplog.clear()
    background.news()
    assert said(caplog) == ""
    background.leave()


def test_a_store_that_will_be_full_is_said_once(
    repo: Repository,
    home: Path,
    asleep: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(type(repo.store.backend), "free_bytes", lambda self: 10)
    background = Background(Run(repo, run_plan(home)), "wait")
    background.put(write_save(home, 1), "")
    monkeypatch.setattr(module, "_AHEAD", 9)
    background.put(write_save(home, 2), "")
    assert said(caplog).count("the next ones may not fit") == 1
    background.leave()
