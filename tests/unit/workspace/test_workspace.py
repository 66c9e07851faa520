"""A workspace: what it says of itself, and where its caches lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mstore
from mstore.errors import Corrupt, DurabilityUnknown, InvalidInput, StorageFailed, UsageError
from mstore.objects import CommitId
from mstore.workspace import Head, Operation, Workspace
from tests.conftest import write_model


def test_no_catalog_lies_on_a_network_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mstore.workspace import workspace

    monkeypatch.setattr(workspace, "network_type", lambda path: "nfs4")
    monkeypatch.setattr(workspace, "USER_CACHE", tmp_path / "home")
    repo = mstore.init(tmp_path / "run")
    write_model(tmp_path / "out")
    repo.commit(tmp_path / "out")
    assert {p.name for p in (tmp_path / "home").rglob("*.sqlite")} == {"catalog.sqlite", "stat.sqlite"}
    assert not list((tmp_path / "run").rglob("*.sqlite"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / ".mstore", store=tmp_path / ".mstore/store")


def test_a_new_workspace_stands_on_a_branch_and_knows_its_store(
    workspace: Workspace, tmp_path: Path
) -> None:
    again = Workspace(tmp_path / ".mstore")
    assert again.id == workspace.id and len(again.id) == 32
    assert again.head == Head(branch="main") and again.store_path == tmp_path / ".mstore/store"
    assert again.model_dir is None and again.operations() == () and again.next_operation() == 1
    assert again.cache_path == tmp_path / ".mstore/cache"
    with pytest.raises(InvalidInput, match="is a workspace already"):
        Workspace.create(tmp_path / ".mstore", store=tmp_path / "elsewhere")


def test_a_workspace_that_moves_takes_its_own_store_along_and_no_other(tmp_path: Path) -> None:
    for name, store in (("a", tmp_path / "a/.mstore/store"), ("b", tmp_path / "shared")):
        Workspace.create(tmp_path / name / ".mstore", store=store, branch="x")
        os.rename(tmp_path / name, tmp_path / f"moved-{name}")
    moved = [Workspace(tmp_path / f"moved-{name}/.mstore") for name in "ab"]
    assert [w.store_path for w in moved] == [tmp_path / "moved-a/.mstore/store", tmp_path / "shared"]
    assert moved[0].head == Head(branch="x")


def test_it_is_found_upward(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/.mstore").mkdir()  # Without workspace.json it is none.
    for start in (tmp_path, tmp_path / "a/b", tmp_path / ".mstore"):
        assert Workspace.find(start) == tmp_path / ".mstore"
    assert Workspace.find(tmp_path.parent) is None


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"noise", "is not JSON"),
        (b"[]", "is not an object"),
        (b"{}", "lacks 'id'"),
        (b'{"id": "x"}', "lacks 'store'"),
    ],
)
def test_a_damaged_workspace_is_corrupt_and_names_its_file(
    tmp_path: Path, content: bytes, rule: str
) -> None:
    (tmp_path / "workspace.json").write_bytes(content)
    with pytest.raises(Corrupt, match=rule) as met:
        Workspace(tmp_path)
    assert met.value.where == str(tmp_path / "workspace.json")


def test_a_workspace_that_cannot_be_read_is_the_systems_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot read"):
        Workspace(tmp_path / "absent")


def test_head_moves_when_it_is_told(workspace: Workspace) -> None:
    commit = Head(commit=CommitId(bytes(range(32))))
    with workspace.prepare_head(commit) as move:
        assert workspace.head == Head(branch="main")
        move()
    assert workspace.head == commit
    workspace.set_head(Head(branch="x"))
    assert workspace.head == Head(branch="x")
    (workspace.path / "HEAD").write_text('{"branch": "a..b"}')
    with pytest.raises(Corrupt):
        _ = workspace.head


def test_the_first_folder_is_the_model_directory_until_one_is_chosen(
    workspace: Workspace, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    workspace.bind(one)
    workspace.bind(one)
    assert Workspace(workspace.path).unambiguous_model_dir() == one
    workspace.bind(two)
    assert workspace.model_dir == one
    with pytest.raises(UsageError, match="were both committed here") as met:
        workspace.unambiguous_model_dir()
    assert "mstore config model-dir" in str(met.value.hint)
    workspace.bind(two, configured=True)
    assert Workspace(workspace.path).unambiguous_model_dir() == two
    assert workspace.config() == {"model-dir": str(two)}
    workspace.set_config("model-dir", None)
    assert workspace.config() == {} and workspace.model_dir == two


def test_configuration_is_kept_changed_and_removed(workspace: Workspace, tmp_path: Path) -> None:
    workspace.set_config("author", "Ada")
    workspace.set_config("keep-training-state", "3")
    workspace.set_config("model-dir", str(tmp_path / "out"))
    assert Workspace(workspace.path).config() == {
        "author": "Ada",
        "keep-training-state": "3",
        "model-dir": str(tmp_path / "out"),
    }
    workspace.set_config("author", None)
    workspace.set_config("author", None)
    assert "author" not in workspace.config()


@pytest.mark.parametrize("value", ["many", "-1", "1.5", "", "٣"])
def test_values_that_mean_nothing_are_refused(workspace: Workspace, value: str) -> None:
    with pytest.raises(UsageError, match="must be a number or `all`"):
        workspace.set_config("keep-training-state", value)
    with pytest.raises(UsageError, match="no such configuration") as met:
        workspace.set_config("colour", value)
    assert "author" in str(met.value.hint) and workspace.config() == {}


def test_operations_are_numbered_and_the_last_fifty_are_kept(workspace: Workspace) -> None:
    for number in range(53):
        with workspace.journaled(Operation(f"act {number}")):
            assert workspace.operations()[-1].action == f"act {number}", "before it is done"
    found = workspace.operations()
    assert [o.number for o in found] == list(range(4, 54)) and workspace.next_operation() == 54


def test_what_failed_is_struck_out_and_what_was_not_confirmed_stays(workspace: Workspace) -> None:
    with pytest.raises(UsageError), workspace.journaled(Operation("failed")):
        raise UsageError("no")
    with pytest.raises(DurabilityUnknown), workspace.journaled(Operation("done")):
        raise DurabilityUnknown("done")
    with pytest.raises(KeyboardInterrupt), workspace.journaled(Operation("interrupted")):
        raise KeyboardInterrupt
    assert [o.action for o in workspace.operations()] == ["done", "interrupted"]


def test_an_operation_that_is_being_undone_is_marked_then_forgotten(workspace: Workspace) -> None:
    for action in ("one", "two"):
        with workspace.journaled(Operation(action)):
            pass
    one, two = workspace.operations()
    workspace.mark_operation(two)
    assert [o.undoing for o in workspace.operations()] == [False, True]
    workspace.forget_operation(two)
    assert workspace.operations() == (one,)


def test_copies_that_no_operation_tells_of_are_found(workspace: Workspace) -> None:
    for name in ("known", "known.back", "lost", "empty"):
        (workspace.path / "undo" / name / "deep").mkdir(parents=True)
        if name != "empty":
            (workspace.path / "undo" / name / "deep/file").write_bytes(b"x")
    with workspace.journaled(Operation("checkout", backup="known")):
        pass
    assert workspace.unclaimed_copies() == (workspace.path / "undo/lost",)


def test_the_stat_cache_is_for_the_store_that_is_there(workspace: Workspace) -> None:
    assert workspace.stat_cache is workspace.stat_cache
    workspace.stat_cache.close()
    (workspace.path / "store").mkdir()
    (workspace.path / "store/store.json").write_text("noise")
    Workspace(workspace.path).stat_cache.close()
