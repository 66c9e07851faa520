"""A checkout and an undo are planned, then run; a plan that no longer holds is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.checkout.plan import packs_needed
from mstore.errors import Conflict, Dirty, RefMoved, StorageFailed, UsageError
from tests.conftest import contents, write_model
from tests.plans import assert_is_a_value, everything


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two versions of a model, the second nearly the first, in two packs."""
    repo = mstore.init(tmp_path)
    write_model(tmp_path / "out", seed=1, elements=50_000)
    repo.commit(tmp_path / "out", message="one")
    path = tmp_path / "out/model.safetensors"
    changed = bytearray(path.read_bytes())
    changed[-2000:-1000] = bytes(1000)
    path.write_bytes(changed)
    repo.commit(message="two")
    return repo


def test_a_plan_is_a_value_and_changes_nothing(repo: Repository, tmp_path: Path) -> None:
    before = everything(tmp_path)
    into = repo.plan_checkout("HEAD~1", to=tmp_path / "new")
    here = repo.plan_checkout("HEAD~1", new_branch="retry")
    for plan in (into, here):
        document = assert_is_a_value(plan)
        assert document["id"] == repo.resolve("HEAD~1").hex and document["packs"]
    assert everything(tmp_path) == before
    assert into.to_dict()["new_folder"] and not into.in_place
    assert [f["path"] for f in here.to_dict()["write"]] == ["model.safetensors"]
    assert here.to_dict()["unchanged_count"] == len(here.manifest.files) - 1
    done = repo.run_checkout(here)
    assert (done.written, done.branch) == (1, "retry")
    assert repo.run_checkout(into).written == len(into.manifest.files)
    assert contents(tmp_path / "new") == contents(tmp_path / "out")


def test_the_packs_are_those_that_are_read_in_the_order_of_need(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = repo.plan_checkout("HEAD", to=tmp_path / "new")
    assert len(plan.packs) == 2, "a delta needs the pack of its base"
    backend = repo.store.backend
    read: list[str] = []
    right = type(backend).get

    def get(self: object, key: str, **options: int) -> bytes:
        read.append(key)
        return right(self, key, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(backend), "get", get)
    repo.run_checkout(plan)
    named = {key.rpartition("/")[2].partition(".")[0] for key in read if key.startswith("packs/")}
    assert named == {use.pack.hex() for use in plan.packs}
    assert sum(use.objects for use in plan.packs) >= len(plan.manifest.files)
    assert packs_needed(repo.store, ()) == ()


def test_a_folder_that_changes_after_the_plan(repo: Repository, tmp_path: Path) -> None:
    plan = repo.plan_checkout("HEAD~1")
    (tmp_path / "out/new.txt").write_text("an hour of work")
    before = contents(tmp_path / "out")
    with pytest.raises(Conflict, match="changed after"):
        repo.run_checkout(plan)
    assert contents(tmp_path / "out") == before
    with pytest.raises(Dirty):
        repo.plan_checkout("HEAD~1")


def test_head_that_moves_after_the_plan(repo: Repository, tmp_path: Path) -> None:
    plan = repo.plan_checkout("HEAD~1")
    repo.checkout("HEAD", new_branch="other")
    with pytest.raises(Conflict, match="HEAD was moved"):
        repo.run_checkout(plan)


def test_a_folder_that_appears_after_the_plan(repo: Repository, tmp_path: Path) -> None:
    plan = repo.plan_checkout("HEAD", to=tmp_path / "new")
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").write_text("mine")
    with pytest.raises(Conflict):
        repo.run_checkout(plan)
    assert contents(tmp_path / "new") == {"mine.txt": b"mine"}


def test_undo_is_planned(repo: Repository, tmp_path: Path) -> None:
    two = contents(tmp_path / "out")
    repo.checkout("HEAD~1")
    before = everything(tmp_path)
    plan = repo.plan_undo()
    document = assert_is_a_value(plan)
    assert everything(tmp_path) == before
    assert document["head"] == {"branch": "main", "id": None}
    assert document["restored"] == ["model.safetensors"]
    done = repo.run_undo(plan)
    assert done.action == plan.action
    assert contents(tmp_path / "out") == two and repo.head is not None and repo.head.branch == "main"


def test_undo_of_one_ref_is_planned(repo: Repository) -> None:
    repo.make_branch("side", "HEAD~1")
    repo.make_branch("side", "HEAD", force=True)
    plan = repo.plan_undo("side")
    assert assert_is_a_value(plan)["refs"] == [
        {"kind": "branch", "name": "side", "id": repo.resolve("main~1").hex}
    ]
    repo.make_branch("side", "HEAD~1", force=True)
    with pytest.raises(RefMoved):
        repo.run_undo(plan)
    assert repo.branches()["side"] == repo.resolve("main~1")


def test_nothing_to_undo(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to undo"):
        mstore.init(tmp_path).plan_undo()


def test_a_checkout_at_once_does_not_look_its_packs_up_first(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look reads a frame's head, and writing the files reads them anyway."""

    def asked(*_: object) -> None:
        raise AssertionError("a checkout asked for its packs")

    monkeypatch.setattr("mstore.checkout.plan.packs_needed", asked)
    repo.checkout("HEAD~1", to=tmp_path / "new")
    with pytest.raises(AssertionError, match="asked for its packs"):
        repo.plan_checkout("HEAD~1", to=tmp_path / "other")


def test_a_branch_that_moved_or_was_made_since_is_refused(repo: Repository, tmp_path: Path) -> None:
    first = repo.resolve("HEAD~1")
    repo.make_branch("side", "HEAD~1")
    plan, new = repo.plan_checkout("side"), repo.plan_checkout("side", new_branch="fresh")
    repo.make_branch("side", "HEAD", force=True)
    repo.make_branch("fresh", "HEAD")
    before = everything(tmp_path)
    for stale, said in ((plan, "branch side was moved"), (new, "branch fresh was made")):
        with pytest.raises(Conflict, match=said) as caught:
            repo.run_checkout(stale)
        assert caught.value.hint
    assert everything(tmp_path) == before
    assert plan.id == first


def test_an_undo_of_what_is_no_longer_the_last_is_refused(repo: Repository, tmp_path: Path) -> None:
    repo.make_tag("one", "HEAD~1")
    plan = repo.plan_undo()
    repo.make_tag("two", "HEAD")
    before = everything(tmp_path)
    with pytest.raises(Conflict, match="another one"):
        repo.run_undo(plan)
    assert everything(tmp_path) == before
    repo.undo()
    repo.run_undo(plan)
    with pytest.raises(Conflict, match="another one"):
        repo.run_undo(plan)
    assert [tag.name for tag in repo.list_tags()] == []


def test_an_id_is_never_a_branch_of_that_name(repo: Repository) -> None:
    first, second = repo.resolve("HEAD~1"), repo.resolve("HEAD")
    repo.make_branch(first.hex, second)
    wanted = repo.read_file(first, "model.safetensors")
    assert wanted != repo.read_file(second, "model.safetensors")
    assert (repo.path(first) / "model.safetensors").read_bytes() == wanted


def test_a_cache_that_somebody_else_changes_is_refused(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mstore.checkout.cache.checkout", lambda context, id, *, to: to.mkdir())
    with pytest.raises(StorageFailed, match="was changed while"):
        repo.path("HEAD")
