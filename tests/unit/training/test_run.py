"""One call of `train()` as a line of commits: which branch, from which commit, and what failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mstore.api.repository import Repository
from mstore.errors import StorageFailed
from mstore.staging.checkpoints import Save
from mstore.staging.run_plan import RunPlan
from mstore.store import forgotten_roles
from mstore.training.run import Run, reason
from tests.runs import run_plan, write_save


def _resumed(home: Path, step: int, attempt: str | None = "a", **changes: Any) -> RunPlan:
    return run_plan(home, attempt="b", origin={"step": step, "attempt": attempt}, **changes)


def _again(save: Save, attempt: str = "b") -> Save:
    return replace(save, attempt=attempt)


@pytest.fixture
def first(repo: Repository, home: Path) -> Run:
    """A run that committed steps 2 and 4."""
    run = Run(repo, run_plan(home))
    for step in (2, 4):
        run.commit(write_save(home, step))
    return run


def test_a_fresh_run_makes_a_branch_of_its_own(repo: Repository, home: Path, first: Run) -> None:
    assert first.commits == {2: repo.resolve("run~1"), 4: repo.resolve("run")}
    assert (first.last_step, first.resumed_at, first.failed) == (4, -1, {})
    other = Run(repo, run_plan(home, run_id="other", attempt="c"))
    assert (other.last_step, other.resumed_at) == (-1, -1)
    assert other.commit(replace(write_save(home, 1), run_id="other", attempt="c")).branch == "run-2"


def test_a_version_says_which_save_it_is(repo: Repository, home: Path) -> None:
    save = replace(write_save(home, 2), tokens=100, wall_s=1.23456, epoch=0.5, metrics={"loss": 1.5})
    result = Run(repo, run_plan(home, metadata={"lr": 1})).commit(save)
    assert result.commit.message == "step 2 · epoch 0.5 · loss 1.5"
    assert result.commit.metrics == {"loss": 1.5} and result.commit.metadata["lr"] == 1
    assert result.commit.metadata["run"] == {
        "branch": "run",
        "attempt": "a",
        "tokens": 100,
        "wall_s": 1.235,
    }


def test_what_another_process_committed_is_known_again(
    repo: Repository, home: Path, first: Run
) -> None:
    begun = Run(repo, run_plan(home), begun=True)
    assert begun.commits == first.commits and begun.last_step == 4
    assert begun.commit(write_save(home, 6)).branch == "run"
    assert first.last_step == 4
    first.look_again()
    assert first.commits == begun.commits


def test_a_resumed_run_goes_on_at_the_tip(repo: Repository, home: Path, first: Run) -> None:
    run = Run(repo, _resumed(home, 4))
    assert run.resumed_at == 4
    made = run.commit(_again(write_save(home, 6)))
    assert made.branch == "run" and made.commit.parents == (first.commits[4],)
    assert made.commit.metadata["run"]["resumed_from"] == 4


def test_one_that_goes_back_leaves_what_came_after_where_it_is(
    repo: Repository, home: Path, first: Run
) -> None:
    run = Run(repo, _resumed(home, 3))
    assert run.resumed_at == 2, "the last one before it"
    made = run.commit(_again(write_save(home, 4)))
    assert made.branch == "run-2" and made.commit.parents == (first.commits[2],)
    assert repo.resolve("run") == first.commits[4]


def test_a_resumed_run_that_asks_for_another_branch_gets_it(
    repo: Repository, home: Path, first: Run
) -> None:
    made = Run(repo, _resumed(home, 4, name="elsewhere", named=True)).commit(
        _again(write_save(home, 6))
    )
    assert made.branch == "elsewhere" and made.commit.parents == (first.commits[4],)


def test_of_two_resumptions_the_attempt_tells_which_goes_on(
    repo: Repository, home: Path, first: Run
) -> None:
    second = Run(repo, _resumed(home, 2))
    other = second.commit(_again(write_save(home, 4)))
    third = Run(repo, run_plan(home, attempt="c", origin={"step": 4, "attempt": "b"}))
    made = third.commit(_again(write_save(home, 6), "c"))
    assert made.commit.parents == (other.id,) and made.branch == other.branch


def test_a_resumed_run_without_its_commits_is_as_a_fresh_one(repo: Repository, home: Path) -> None:
    run = Run(repo, _resumed(home, 4))
    assert run.resumed_at == -1
    assert run.commit(_again(write_save(home, 6))).commit.parents == ()


def test_a_late_save_goes_aside_from_the_commit_before_it(
    repo: Repository, home: Path, first: Run
) -> None:
    made = first.commit(write_save(home, 3), aside=True)
    assert made.branch == "run-step-3" and made.commit.parents == (first.commits[2],)
    assert first.commit(write_save(home, 6)).branch == "run"


def test_a_trial_has_a_branch_below_the_runs_name(repo: Repository, home: Path) -> None:
    assert (
        Run(repo, run_plan(home)).commit(write_save(home, 2), trial="run-0 a").branch == "run/run-0-a"
    )


def test_a_failure_is_remembered_and_caught_up_with(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageFailed("no room", hint="delete something")

    run = Run(repo, run_plan(home))
    save = write_save(home, 2)
    with monkeypatch.context() as broken:
        broken.setattr(type(repo), "commit", full)
        assert run.try_commit(save) is None
    assert run.failed == {2: "no room (delete something)"}
    assert "could not commit" in caplog.text
    write_save(home, 4)
    run.catch_up(before=4)
    assert list(run.commits) == [2] and run.failed == {}


def test_saves_in_no_commit_are_those_of_the_run_alone(
    repo: Repository, home: Path, first: Run
) -> None:
    write_save(home, 6)
    write_save(home, 8)
    foreign = Path(write_save(home, 10).path) / "trainer_state.json"
    foreign.write_text(foreign.read_text().replace('"r"', '"somebody else"'))
    assert [s.step for s in first.missed(attempt="a")] == [6, 8]
    assert [s.step for s in first.missed(attempt="a", up_to=6)] == [6]
    assert first.missed(attempt="b") == []


def test_training_state_of_older_versions_goes_as_the_plan_says(repo: Repository, home: Path) -> None:
    run = Run(repo, run_plan(home, keep_last=1))
    run.forget_states()
    for step in (2, 4):
        run.commit(write_save(home, step))
    run.forget_states()
    assert forgotten_roles(repo.store, run.commits[2]) == {"training-state"}
    assert forgotten_roles(repo.store, run.commits[4]) == frozenset()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StorageFailed("no room", hint="delete something"), "no room (delete something)"),
        (StorageFailed("no room"), "no room"),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_a_reason_is_one_line(error: Exception, line: str) -> None:
    assert reason(error) == line
