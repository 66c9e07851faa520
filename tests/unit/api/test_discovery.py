"""Making and finding repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.errors import InvalidInput, NoStore, StorageFailed, UsageError


def test_init_refuses_where_locks_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstore.api.discovery.locks_work", lambda path: False)
    with pytest.raises(StorageFailed, match="locks do not work"):
        mstore.init(tmp_path)


def test_a_new_repository_is_opened_and_found_from_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = mstore.init(tmp_path / "x")
    (tmp_path / "x/deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "x/deep")
    for found in (
        mstore.open(),
        mstore.open("er"),
        mstore.open(workspace=tmp_path / "x"),
        mstore.open(workspace=tmp_path / "x/.mstore"),
    ):
        assert found.workspace is not None and made.workspace is not None
        assert found.workspace.path == made.workspace.path and found.store.path == made.store.path


def test_a_store_is_made_where_it_is_named_and_shared_by_the_next(tmp_path: Path) -> None:
    one = mstore.init(tmp_path / "a", store=tmp_path / "store", shared=True)
    two = mstore.init(tmp_path / "b", store=tmp_path / "store")
    assert (
        one.store.path == two.store.path == tmp_path / "store"
        and not (tmp_path / "b/.mstore/store").exists()
    )
    alone = mstore.open(store=tmp_path / "store", cache=tmp_path / "cache", author="Bo")
    assert alone.workspace is None and alone.context.author == "Bo"
    assert (
        two.workspace is not None and one.workspace is not None and one.workspace.id != two.workspace.id
    )


@pytest.mark.parametrize(
    "name", ["config.json", "adapter_config.json", "x.safetensors", "trainer_state.json"]
)
def test_a_model_directory_is_no_place_for_a_store(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(InvalidInput, match="looks like a model directory") as met:
        mstore.init(tmp_path)
    assert "--force" in str(met.value.hint) and not (tmp_path / ".mstore").exists()
    assert mstore.init(tmp_path, force=True).workspace is not None


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    mstore.init(tmp_path)
    with pytest.raises(InvalidInput, match="is a workspace already"):
        mstore.init(tmp_path)


def test_where_there_is_none_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match=str(tmp_path)) as met:
        mstore.open(tmp_path)
    assert "mstore init" in str(met.value.hint)
    with pytest.raises(NoStore, match="no workspace at"):
        mstore.open(workspace=tmp_path)
    with pytest.raises(NoStore):
        mstore.open(store=tmp_path)
    with pytest.raises(UsageError, match="not both"):
        mstore.open(store=tmp_path, workspace=tmp_path)
