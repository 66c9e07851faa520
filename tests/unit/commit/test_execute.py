"""Running a commit: what is stored before the branch moves, and what a faster one does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mstore.api.repository import Repository
from mstore.commit import execute as module
from mstore.commit.execute import commit
from mstore.commit.options import CommitOptions
from mstore.errors import BadFile, ObjectRemoved, RefMoved, StorageFailed
from mstore.workspace import Workspace
from tests.conftest import contents, write_adapter, write_model


def test_a_folder_becomes_a_version_with_what_it_says_of_itself(
    repo: Repository, tmp_path: Path
) -> None:
    folder = write_adapter(tmp_path / "adapter")
    result = commit(
        repo.context, folder, CommitOptions(branch="side", base="main", metrics={"loss": 1.0})
    )
    assert result.created and result.branch == "side" and result.tensors == 4
    value = result.commit
    assert value.message == "LoRA r=4 alpha=8 · loss 1" and value.parents == (repo.resolve("main"),)
    assert value.base is not None and value.base.commit == repo.resolve("main")
    assert repo.manifest("side").by_path.keys() == contents(folder).keys()
    assert result.stored_bytes > 0 and result.new_bytes <= result.size_bytes


def test_who_comes_second_is_refused_and_his_version_is_kept(repo: Repository, tmp_path: Path) -> None:
    plan = repo.plan_commit(write_model(tmp_path / "other", seed=2, elements=3000), message="mine")
    repo.commit(write_model(tmp_path / "out", seed=3, elements=3000), message="theirs")
    with pytest.raises(RefMoved) as met:
        repo.run_commit(plan)
    assert "your version is stored as" in str(met.value.hint)
    assert [e.message for e in repo.log()] == ["theirs", "one"]
    stored = str(met.value.hint).split("stored as ")[1].split(";")[0]
    assert repo.store.commit(repo.resolve(stored)).message == "mine"


def test_one_that_appends_goes_behind_whoever_came_first(repo: Repository, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", seed=2, elements=3000)
    plan = repo.plan_commit(other, message="mine", append=True)
    repo.commit(write_model(tmp_path / "out", seed=3, elements=3000), message="theirs")
    repo.run_commit(plan)
    assert [e.message for e in repo.log()] == ["mine", "theirs", "one"]


def test_what_gc_took_meanwhile_is_stored_anew(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    right = module._store_version

    def faster(*arguments: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise ObjectRemoved("gc was here")
        return right(*arguments)

    monkeypatch.setattr(module, "_store_version", faster)
    write_model(tmp_path / "out", seed=2, elements=3000)
    assert repo.commit(message="two").created and len(tries) == 3


def test_a_folder_that_cannot_be_noted_is_a_warning(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Workspace, path: Path) -> None:
        raise StorageFailed("no room")

    monkeypatch.setattr(Workspace, "bind", full)
    result = repo.commit(write_model(tmp_path / "new", seed=2, elements=3000), message="two")
    assert result.created and any(
        "was not recorded as the model directory: no room" in w for w in result.warnings
    )


def test_progress_counts_the_bytes_that_are_read(repo: Repository, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = write_model(tmp_path / "new", seed=2, elements=3000)
    commit(repo.context, folder, CommitOptions(), progress=lambda *step: told.append(step))
    total = sum(p.stat().st_size for p in folder.iterdir())
    assert told[-1] == ("storing", total, total)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_broken_folder_stores_nothing(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "out/model.safetensors").write_bytes(b"noise")
    with pytest.raises(BadFile):
        repo.commit(message="two")
    assert len(repo.log()) == 1
    opaque = repo.commit(message="two", allow_opaque=True, allow_no_weights=True)
    assert opaque.created and opaque.warnings
