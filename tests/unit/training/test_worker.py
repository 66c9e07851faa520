"""The process that commits staged saves beside the training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.errors import NoStore
from mstore.staging import queue as staging
from mstore.staging.queue import Queue
from mstore.training.run import Run
from mstore.training.worker import Worker, adopt, open_repository, work
from tests.runs import run_plan, write_save


def test_a_file_rewritten_in_place_is_refused_and_taken_from_the_checkpoint(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "LINKED_FROM_BYTES", 2000)
    plan = run_plan(home)
    queue = Queue.create(plan)
    save = write_save(home, 2)
    queue.stage(save, "", with_state=True)
    weights = Path(save.path) / "adapter_model.safetensors"
    content = weights.read_bytes()
    os.utime(weights, ns=(1, 1))
    weights.write_bytes(content)
    assert adopt(queue, repo) == 0
    (outcome,) = queue.outcomes().values()
    assert "was written to while it waited" in outcome["reason"]
    assert queue.waiting() == [] and queue.unfinished() == 1
    # The Trainer's own copy is still there, and whole.
    run = Run(repo, plan, begun=True)
    (missed,) = run.missed(attempt="a")
    assert run.try_commit(missed) is not None
    assert repo.read_file("run", "adapter_model.safetensors") == content


def test_a_save_is_committed_once(repo: Repository, home: Path) -> None:
    """A worker that dies between the commit and the note of it leaves both to the next."""
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    kept = (queue.path / "000001.save").read_bytes()
    assert adopt(queue, repo) == 1
    queue.path.mkdir(parents=True)
    queue = Queue.create(run_plan(home))
    (queue.path / "000001.save").write_bytes(kept)
    assert adopt(queue, repo) == 1
    assert steps(repo, "run") == [2]


def test_a_save_that_failed_waits_for_the_next_try(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    with monkeypatch.context() as broken:
        broken.setattr(type(repo), "commit", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "full")))
        assert adopt(queue, repo) == 0
    assert queue.unfinished() == 1 and "full" in queue.outcomes()[1]["reason"]
    assert adopt(queue, repo) == 1
    assert steps(repo, "run") == [2] and not queue.path.exists()


def test_the_worker_needs_no_torch() -> None:
    code = (
        "import sys, mstore.training.worker;"
        " print({m.partition('.')[0] for m in sys.modules} & {'torch', 'transformers', 'peft'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def steps(repo: Repository, revision: str) -> list[int | None]:
    """Steps of the versions of a branch, the earliest first."""
    return [entry.step for entry in reversed(repo.log(revision))]


def test_a_worker_commits_what_waits_in_order_and_says_what_it_heard(
    repo: Repository, home: Path
) -> None:
    queue = Queue.create(run_plan(home, frozen="lora_A"))
    for step in (2, 4):
        queue.stage(write_save(home, step), "", with_state=True)
    assert work(queue, repo) == 2
    assert steps(repo, "run") == [2, 4] and queue.waiting() == []
    first, second = (queue.outcomes()[n] for n in (1, 2))
    assert (first["step"], first["branch"], first["said"]) == (2, "run", [])
    assert second["commit"] == repo.resolve("run").hex
    assert any("meant to be frozen" in sentence for sentence in second["said"])
    (entry,) = repo.log("run", limit=1)
    assert list(entry.metadata["health"]) == ["frozen_changed"]


def test_a_late_save_gets_a_branch_of_its_own(repo: Repository, home: Path) -> None:
    queue = Queue.create(run_plan(home))
    for step in (4, 2):
        queue.stage(write_save(home, step), "", with_state=True)
    assert work(queue, repo) == 2
    assert steps(repo, "run") == [4] and steps(repo, "run-step-2") == [2]


def test_a_queue_that_somebody_works_on_is_left_to_him(repo: Repository, home: Path) -> None:
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    with queue.worked_on() as alone:
        assert alone and adopt(queue, repo) == 0
    assert queue.waiting() == [1]


@pytest.mark.parametrize("plan", ["noise", "[]", "{}"])
def test_a_queue_whose_plan_cannot_be_read_commits_nothing(
    repo: Repository, home: Path, plan: str
) -> None:
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    (queue.path / "plan.json").write_text(plan)
    assert adopt(queue, repo) == 0
    assert queue.waiting() == [1], "its save stays"


def test_the_repository_of_a_plan_is_a_workspace_or_a_store_alone(repo: Repository, home: Path) -> None:
    with open_repository(str(home), "Bo") as opened:
        assert opened.workspace is not None and opened.context.author == "Bo"
    with open_repository(str(repo.store.path), None) as alone:
        assert alone.workspace is None
    with pytest.raises(NoStore):
        open_repository(str(home / "out"), None)


def test_an_adopted_queue_opens_what_its_plan_names(repo: Repository, home: Path) -> None:
    queue = Queue.create(run_plan(home))
    queue.stage(write_save(home, 2), "", with_state=True)
    assert adopt(queue) == 1 and not queue.path.exists()
    assert steps(repo, "run") == [2] and repo.log("run")[0].commit.author == "Ada"


def test_a_worker_process_works_until_it_is_drained(repo: Repository, home: Path) -> None:
    queue = Queue.create(run_plan(home))
    worker = Worker(queue)
    assert worker.alive
    queue.stage(write_save(home, 2), "", with_state=True)
    worker.tell()
    worker.drain()
    assert not worker.alive and steps(repo, "run") == [2]
