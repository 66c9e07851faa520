"""The record that `undo` reads is written before what it tells of."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.context import Context
from mstore.errors import Dirty, MStoreError, StorageFailed
from mstore.workspace import Head, Operation, RefMove, Workspace
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
    with pytest.raises(StorageFailed, match="operations"):
        act(repo)
    assert seen() == before
    (held / "in the way").unlink()
    held.rmdir()
    held.with_name("kept").rename(held)
    act(repo)
    assert seen() != before


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
    return json.dumps(asdict(operation)) + "\n"


def test_a_checkout_that_was_killed_before_head_moved_is_what_is_undone(repo: Repository) -> None:
    workspace = repo.workspace
    assert workspace is not None
    folder = workspace.path.parent / "out"
    were = {p.name: p.read_bytes() for p in folder.iterdir()}
    repo.checkout("main~1")
    content = (workspace.path / "operations").read_text()
    repo.undo()
    # The files of the older version, the record, and HEAD where it was.
    repo.checkout("main~1", to=workspace.path.parent / "older")
    for file in (workspace.path.parent / "older").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (workspace.path / "operations").write_text(content)
    before = repo.branches()
    assert repo.undo().action.startswith("checkout")
    assert repo.branches() == before
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == were


def test_what_another_workspace_took_back_is_not_passed_over(repo: Repository, tmp_path: Path) -> None:
    other = mstore.init(tmp_path / "other", store=repo.store.path)
    first, second = repo.resolve("main~1"), repo.resolve("main")
    other.store.refs.move("heads/main", first, other.context.move("branch", "back"), expected=second)
    undone = repo.undo()  # of the second commit, which is taken back already
    assert undone.action.startswith("commit") and "main" in repo.branches()
    assert repo.log("main")[0].message == "r4"


def test_a_record_that_came_to_nothing_does_not_stand_in_the_way(
    repo: Repository, tmp_path: Path
) -> None:
    workspace = repo.workspace
    assert workspace is not None
    repo.make_tag("v1")
    last = workspace.operations()[-1]
    main = repo.resolve("main").hex
    never = replace(last, moves=(RefMove("heads/main", "commit", main, "0" * 64),), number=9)
    (workspace.path / "operations").open("a").write(_line(never))
    other = mstore.init(tmp_path / "other", store=repo.store.path)
    write_adapter(tmp_path / "theirs", rank=2)
    other.commit(tmp_path / "theirs", branch="main", message="theirs", append=True)
    assert repo.undo().action == "tag v1"


def test_two_processes_keep_each_others_records(repo: Repository) -> None:
    workspace = repo.workspace
    assert workspace is not None
    with (
        workspace.journaled(Operation("one")),
        pytest.raises(MStoreError),
        workspace.journaled(Operation("two")),
    ):
        raise MStoreError("lost the race")
    assert [o.action for o in workspace.operations()][-1] == "one"
    many = [threading.Thread(target=_remember, args=(workspace.path, f"{n}")) for n in range(8)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    numbers = [o.number for o in workspace.operations()]
    assert len(numbers) == 2 + 1 + 8 * 5 and len(set(numbers)) == len(numbers)


def _remember(path: Path, name: str) -> None:
    for number in range(5):
        with Workspace(path).journaled(Operation(f"{name}.{number}")):
            pass


def test_an_interrupt_after_the_deed_leaves_its_record(repo: Repository) -> None:
    assert repo.workspace is not None
    move = repo.store.refs.move

    def interrupted(*args: Any, **named: Any) -> None:
        move(*args, **named)
        raise KeyboardInterrupt

    repo.store.refs.move = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        repo.make_tag("v1")
    del repo.store.refs.move
    assert repo.undo().action == "tag v1" and not repo.list_tags()
    assert repo.log("main")[0].message == "r8"


@pytest.mark.parametrize(
    "line",
    ["[]", "1", "null", '{"action": 1, "number": 1}', "[" * 5000, "\xff", '{"number": 3}']
    + [
        '{"action": "x", "number": 9, ' + odd + "}"
        for odd in (
            '"head": [{}]',
            '"head": [{}, {}]',
            '"backup": 5',
            '"backup": "../x"',
            '"moves": [{"ref": 1, "kind": "commit", "old": null, "new": null}]',
        )
    ],
)
def test_a_damaged_record_costs_itself_alone(repo: Repository, line: str) -> None:
    assert repo.workspace is not None
    with (repo.workspace.path / "operations").open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    repo.make_tag("v1")
    assert repo.undo().action == "tag v1"
    assert repo.undo().action.startswith("commit")


def test_what_was_changed_since_is_not_taken_back(repo: Repository, tmp_path: Path) -> None:
    write_adapter(tmp_path / "beside", rank=2)
    repo.checkout("main", to=tmp_path / "beside", force=True)
    config = tmp_path / "beside/adapter_config.json"
    config.write_text("mine")
    with pytest.raises(Dirty):
        repo.undo()
    assert config.read_text() == "mine"
    repo.checkout("main", to=tmp_path / "beside", force=True)
    repo.undo()
    assert config.read_text() == "mine"


@pytest.mark.parametrize("committed", [True, False])
def test_a_file_where_the_version_has_a_folder_comes_back(repo: Repository, committed: bool) -> None:
    assert repo.workspace is not None
    folder = repo.workspace.path.parent / "out"
    (folder / "a").mkdir()
    (folder / "a/b").write_text("inside")
    repo.commit(message="with a folder")
    (folder / "a/b").unlink()
    (folder / "a").rmdir()
    (folder / "a").write_text("a file")
    (folder / "own").mkdir()
    if committed:
        repo.commit(message="with a file")
    files = sorted(p.relative_to(folder) for p in folder.rglob("*"))
    stand, place = Context._set_head, repo.context

    def failing(*args: Any) -> None:
        raise StorageFailed("no room")

    Context._set_head = failing  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(StorageFailed, match="no room"):
            repo.checkout("main~1" if committed else "main", force=True)
    finally:
        Context._set_head = stand  # type: ignore[method-assign]
    assert (folder / "a").read_text() == "a file"
    assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == files
    assert place.workspace is not None and not place.workspace.unclaimed_copies()


def test_a_branch_is_not_renamed_where_head_cannot_follow(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any) -> None:
        raise StorageFailed("no room")

    before = repo.branches(), repo.head
    monkeypatch.setattr(Context, "_set_head", failing)
    with pytest.raises(StorageFailed, match="no room"):
        repo.rename_branch("main", "trunk")
    monkeypatch.undo()
    assert repo.branches().get("main") == before[0]["main"] and repo.head == before[1]
    repo.rename_branch("main", "trunk")
    assert set(repo.branches()) == {"trunk"} and repo.head == Head(branch="trunk")
    repo.undo()
    assert (repo.branches(), repo.head) == before
