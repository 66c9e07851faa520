"""Names checked: refs, reflogs, notes and HEAD, each with one damage."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.maintain.check_refs import check_refs
from mstore.maintain.findings import Findings
from mstore.objects import CommitId, NoteId
from mstore.store import Move
from tests.conftest import write_model


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two versions, a tag with a message, and two notes on the last one."""
    repo = mstore.init(tmp_path)
    for seed in (1, 2):
        repo.commit(write_model(tmp_path / "out", seed=seed, elements=1000), message=f"v{seed}")
    repo.make_tag("v1", "main~1", message="said")
    for loss in (1.0, 2.0):
        repo.note("main", metrics={"late": loss})
    return repo


def _checked(repo: Repository) -> tuple[Findings, list[tuple[CommitId, str]]]:
    findings = Findings()
    repo.store.rebuild()
    return findings, check_refs(repo.context, findings)


def _move(repo: Repository) -> Move:
    return repo.context.move("test", "because")


def test_sound_names_are_the_tips(repo: Repository) -> None:
    findings, tips = _checked(repo)
    assert findings == Findings()
    assert {name: id for id, name in tips} == {
        "refs/heads/main": repo.resolve("main"),
        "refs/tags/v1": repo.resolve("main~1"),
    }


def test_a_detached_head_is_a_tip(repo: Repository) -> None:
    repo.checkout("main~1")
    assert (repo.resolve("main~1"), "HEAD") in _checked(repo)[1]


def test_a_torn_branch_is_told_with_how_to_restore_it(repo: Repository) -> None:
    tip = repo.resolve("main")
    (repo.store.path / "refs/heads/main").write_bytes(b"torn")
    findings, tips = _checked(repo)
    (problem,) = findings.problems
    assert problem.where == "refs/heads/main" and findings.refs == {"heads/main"}
    assert problem.hint is not None and tip.hex in problem.hint
    assert f"mstore branch -f main {tip.short}" in problem.hint
    assert (tip, "refs/heads/main") in tips, "history is checked from where the reflog ends"


def test_a_torn_tag_is_told_with_its_value_alone(repo: Repository) -> None:
    (repo.store.path / "refs/tags/v1").write_bytes(b"torn")
    (problem,) = _checked(repo)[0].problems
    assert problem.where == "refs/tags/v1"
    assert problem.hint is not None and "branch" not in problem.hint


def test_a_torn_ref_without_a_reflog_has_no_hint(repo: Repository) -> None:
    (repo.store.path / "refs/heads/main").write_bytes(b"torn")
    (repo.store.path / "logs/heads/main/~00000001").unlink()
    (problem,) = _checked(repo)[0].problems
    assert problem.where == "refs/heads/main" and problem.hint is None


@pytest.mark.parametrize(("namespace", "name"), [("heads", "main"), ("tags", "v1")])
def test_a_damaged_reflog_is_named(repo: Repository, namespace: str, name: str) -> None:
    segment = repo.store.path / f"logs/{namespace}/{name}/~00000001"
    segment.write_bytes(b"noise" + segment.read_bytes())
    findings, tips = _checked(repo)
    (problem,) = findings.problems
    assert problem.where.startswith(f"logs/{namespace}/{name}")
    assert findings.logs == {f"{namespace}/{name}"} and findings.refs == set() and len(tips) == 2


def test_a_damaged_log_of_refused_moves_is_named(repo: Repository) -> None:
    repo.store.refs.record_refused("heads/main", repo.resolve("main"), _move(repo))
    assert _checked(repo)[0].problems == []
    (repo.store.path / "logs/refused/heads/main/~00000001").write_bytes(b"noise\n")
    assert _checked(repo)[0].logs == {"refused/heads/main"}


def test_a_branch_whose_file_is_lost_is_a_warning_with_how_to_make_it(repo: Repository) -> None:
    repo.make_branch("other", "main~1")
    (repo.store.path / "refs/heads/other").unlink()
    findings, _ = _checked(repo)
    assert findings.problems == []
    (warning,) = findings.warnings
    short = repo.resolve("main~1").short
    assert warning.where == "logs/heads/other" and short in warning.what
    assert warning.hint is not None and f"mstore branch other {short}" in warning.hint


def test_a_deleted_branch_is_no_warning(repo: Repository) -> None:
    repo.make_branch("other", "main~1")
    repo.delete_branch("other")
    assert _checked(repo)[0] == Findings()


def test_a_ref_to_nothing_is_lost(repo: Repository) -> None:
    gone = NoteId(bytes(32))
    name = repo.resolve("main").hex
    repo.store.refs.move(f"notes/{name}", gone, _move(repo), force=True)
    findings, _ = _checked(repo)
    (problem,) = findings.problems
    assert problem.where == f"refs/notes/{name}" and findings.lost == {gone}


def test_a_note_on_another_object_is_named_with_both(repo: Repository) -> None:
    notes = repo.store.refs.all("notes")
    ((subject, value),) = notes.items()
    wrong = repo.resolve("main~1").hex
    repo.store.refs.move(f"notes/{wrong}", value.target, _move(repo), expected=None)
    findings, _ = _checked(repo)
    assert [problem.where for problem in findings.problems] == [f"refs/notes/{wrong}"] * 2
    assert value.target.short in findings.problems[0].what
    assert all(subject[:7] in problem.what for problem in findings.problems)


def test_a_head_that_cannot_be_read_is_named(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / ".mstore/HEAD").write_bytes(b"noise")
    findings, tips = _checked(repo)
    (problem,) = findings.problems
    assert problem.where == "HEAD" and len(tips) == 2
