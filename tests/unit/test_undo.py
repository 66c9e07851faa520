"""The record that `undo` reads is written before what it tells of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.errors import StorageFailed, UsageError
from mstore.repository import Repository
from tests.conftest import write_adapter


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for rank in (4, 8):
        write_adapter(tmp_path / "out", rank=rank)
        repo.commit(message=f"r{rank}")
    return repo


@pytest.mark.parametrize(
    "act",
    [
        lambda repo: repo.commit(message="x", allow_empty=True),
        lambda repo: repo.checkout("main~1"),
        lambda repo: repo.checkout("main~1", new_branch="new"),
        lambda repo: repo.make_branch("new"),
        lambda repo: repo.rename_branch("main", "new"),
        lambda repo: repo.make_tag("v1", message="said"),
        lambda repo: repo.note("HEAD", metrics={"late": 1}),
        lambda repo: repo.undo(),
    ],
)
def test_what_cannot_be_written_down_is_not_done(repo: Repository, act: Any) -> None:
    def seen() -> Any:
        files = {p.name: p.read_bytes() for p in (repo.workspace.path.parent / "out").iterdir()}  # type: ignore[union-attr]
        facts = repo.show("HEAD").entry.metrics
        return repo.branches(), repo.list_tags(), repo.head, facts, files

    assert repo.workspace is not None
    before, held = seen(), repo.workspace.path / "operations"
    held.rename(held.with_name("kept"))
    held.mkdir()
    (held / "in the way").touch()
    if act(_Probe()) == "undo":  # Without its record there is nothing to undo.
        with pytest.raises(UsageError, match="nothing to undo"):
            act(repo)
    else:
        with pytest.raises(StorageFailed, match="operations"):
            act(repo)
    assert seen() == before
    (held / "in the way").unlink()
    held.rmdir()
    held.with_name("kept").rename(held)
    act(repo)
    assert seen() != before


class _Probe:
    """Answers every method with its name."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: name


def test_a_record_of_what_never_happened_is_passed_over(repo: Repository) -> None:
    workspace = repo.workspace
    assert workspace is not None
    last = workspace.operations()[-1]
    (move,) = last.moves
    # As a commit leaves it that is killed before its branch moves.
    never = replace(last, moves=(replace(move, old=move.new, new="0" * 64),), number=last.number + 1)
    (workspace.path / "operations").open("a").write(_line(never))
    assert repo.undo().refs == {"main": repo.resolve("main")}
    assert repo.log("main")[0].message == "r4" and len(workspace.operations()) == 1


def test_an_undo_that_was_killed_goes_on_with_the_same(repo: Repository) -> None:
    workspace = repo.workspace
    assert workspace is not None
    content = (workspace.path / "operations").read_text()
    repo.undo()
    # As a process leaves it that is killed when the branch has moved and the record is still there.
    (workspace.path / "operations").write_text(content.replace('"undoing": false', '"undoing": true'))
    repo.undo()
    assert repo.log("main")[0].message == "r4"


def _line(operation: Any) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(operation)) + "\n"
