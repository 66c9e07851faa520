"""Plans of gc, forget, repack and repair: values that say what running them then does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import Conflict, UsageError
from mstore.maintain.forget import ForgetPlan
from mstore.maintain.gc_plan import GcPlan
from mstore.maintain.repack import RepackPlan
from mstore.maintain.repair import RepairPlan
from mstore.objects import ObjectId
from tests.conftest import write_model

Plan = GcPlan | ForgetPlan | RepackPlan | RepairPlan
_PLAIN = (str, bytes, int, float, bool, type(None), ObjectId)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """`main` with four versions that have training states, of which `kept` keeps the first two."""
    repo = mstore.init(tmp_path / "here", model_dir=tmp_path / "here/out")
    for seed in range(4):
        write_model(tmp_path / "here/out", seed=seed)
        (tmp_path / "here/out/optimizer.pt").write_bytes(b"%d" % seed * 40_000)
        repo.commit(message=str(seed))
    return repo


def _gc(repo: Repository) -> GcPlan:
    repo.make_branch("kept", "main~2")
    repo.checkout("kept")
    repo.delete_branch("main")
    return repo.plan_gc(now=True)


def _forget(repo: Repository) -> ForgetPlan:
    return repo.plan_forget("training-state", keep_last=1)


def _repack(repo: Repository) -> RepackPlan:
    return repo.plan_repack()


def _repair(repo: Repository) -> RepairPlan:
    pack = max(repo.store.path.glob("packs/*/*.pack"), key=lambda p: p.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(content)
    (repo.store.path / "refs/heads/main").write_bytes(b"torn")
    (log,) = (repo.store.path / "logs/heads/main").iterdir()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], b"torn\n", *lines[1:]]))
    return repo.plan_repair()


PLANS: dict[str, Callable[[Repository], Plan]] = {
    "gc": _gc,
    "forget": _forget,
    "repack": _repack,
    "repair": _repair,
}


@pytest.fixture(params=PLANS)
def planned(request: pytest.FixtureRequest, repo: Repository) -> tuple[str, Repository, Plan]:
    return request.param, repo, PLANS[request.param](repo)


def tree_hash(folder: Path) -> str:
    """A hash of all names and bytes below a folder."""
    hasher = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        hasher.update(f"{path.relative_to(folder)}\0".encode())
        if path.is_file():
            hasher.update(path.read_bytes())
    return hasher.hexdigest()


def _check_plain(value: Any, where: str = "plan") -> None:
    """No handles, no live state, nothing that can change."""
    if isinstance(value, _PLAIN):
        return
    if isinstance(value, tuple | frozenset):
        for each in value:
            _check_plain(each, f"{where}[]")
        return
    assert dataclasses.is_dataclass(value), f"{where} is a {type(value)}"
    settings: Any = vars(type(value))["__dataclass_params__"]
    assert settings.frozen, f"{where} can be changed"
    for field in dataclasses.fields(value):
        _check_plain(getattr(value, field.name), f"{where}.{field.name}")


def test_a_plan_is_a_value(planned: tuple[str, Repository, Plan]) -> None:
    _, _, plan = planned
    assert plan
    _check_plain(plan)
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan and again is not plan and repr(again) == repr(plan)
    document = plan.to_dict()
    assert json.loads(json.dumps(document)) == document
    assert 0 < len(str(plan).splitlines()) < 10


def test_the_same_store_gives_the_same_plan(planned: tuple[str, Repository, Plan]) -> None:
    name, repo, plan = planned
    again: Plan
    if name == "gc":
        again = repo.plan_gc(now=True)
    elif name == "forget":
        again = _forget(repo)
    else:
        again = repo.plan_repack() if name == "repack" else repo.plan_repair()
    assert again == plan


def test_making_a_plan_changes_no_byte(repo: Repository) -> None:
    before = tree_hash(repo.store.path)
    repo.plan_gc(now=True)
    repo.plan_forget("training-state")
    repo.plan_repack()
    repo.plan_repair()
    assert tree_hash(repo.store.path) == before


def test_a_dry_run_changes_no_byte(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for seed in range(3):
        write_model(workshop / "out", seed=seed)
        (workshop / "out/optimizer.pt").write_bytes(b"%d" % seed * 40_000)
        mstore("commit", "out", "-m", str(seed))
    mstore("branch", "old", "main~1")
    mstore("checkout", "old", "--to", "elsewhere")
    store = workshop / ".mstore/store"
    before = tree_hash(store)
    for command in (
        ("gc", "--dry-run", "--now"),
        ("forget", "--role", "training-state", "--dry-run"),
        ("repack", "--dry-run"),
        ("fsck", "--repair", "--dry-run"),
    ):
        _, out, _ = mstore(*command)
        assert out.strip()
        document = json.loads(mstore(*command, "--json")[1])
        assert document["schema"] == 1 and len(document) > 1
        assert tree_hash(store) == before, command
    mstore("fsck", "--dry-run", code=2)


def test_gc_does_what_its_plan_said(repo: Repository) -> None:
    plan = _gc(repo)
    before = repo.store.stored_bytes()
    done = repo.run_gc(pickle.loads(pickle.dumps(plan)))
    assert plan.store_bytes == before and len(plan.commits) == 2
    packs = {*plan.dead_packs, *plan.rewritten_packs, *plan.merged_packs}
    assert done.removed == len(packs)
    assert done.freed_bytes >= plan.freed_bytes > 0
    assert repo.fsck().ok and not repo.plan_gc(now=True)


def test_forget_does_what_its_plan_said(repo: Repository) -> None:
    plan = _forget(repo)
    done = repo.run_forget(pickle.loads(pickle.dumps(plan)))
    assert done.commits == len(plan.commits) == 3
    assert done.freed_bytes >= plan.freed_bytes > 0
    assert repo.fsck().ok and not _forget(repo).commits


def test_repack_does_what_its_plan_said(repo: Repository) -> None:
    plan = _repack(repo)
    done = repo.run_repack(pickle.loads(pickle.dumps(plan)))
    assert done.before_bytes == plan.store_bytes
    assert done.removed == len(plan.packs) and done.written
    assert repo.fsck().ok


def test_repair_does_what_its_plan_said(repo: Repository, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(repo.store.path, tmp_path / "backup")
    _repair(repo)
    plan = repo.plan_repair(source=tmp_path / "backup")
    assert (len(plan.refs), len(plan.reflogs), len(plan.packs)) == (1, 1, 1)
    assert plan.reflogs[0].cut == 1 and plan.fetched and not plan.lost
    assert plan.source == str(tmp_path / "backup")
    done = repo.run_repair(pickle.loads(pickle.dumps(plan)))
    assert done.found.ok and len(done.done) == 4
    assert f"took {len(plan.fetched)} object" in done.done[-1]
    assert repo.resolve("main").hex == plan.refs[0].target.hex
    assert (repo.store.path / plan.packs[0].quarantine).exists()
    assert not repo.plan_repair()


def test_a_plan_of_a_store_that_changed_is_refused(planned: tuple[str, Repository, Plan]) -> None:
    name, repo, plan = planned
    other = mstore.open(repo.store.path.parent.parent)
    if name == "repair":
        other.repair()
    else:
        other.repack()
    runs: dict[str, Any] = {
        "gc": repo.run_gc,
        "forget": repo.run_forget,
        "repack": repo.run_repack,
        "repair": repo.run_repair,
    }
    before = tree_hash(repo.store.path / "packs"), tree_hash(repo.store.path / "refs")
    with pytest.raises(Conflict, match="since this plan was made") as caught:
        runs[name](plan)
    assert caught.value.hint == "run the same command again: it makes a new plan"
    assert (tree_hash(repo.store.path / "packs"), tree_hash(repo.store.path / "refs")) == before


def test_a_repair_needs_the_source_of_its_plan(repo: Repository, tmp_path: Path) -> None:
    import shutil

    from mstore.maintain.repair import run_repair

    shutil.copytree(repo.store.path, tmp_path / "backup")
    plan = repo.plan_repair(source=tmp_path / "backup")
    with pytest.raises(UsageError, match="fetches from"):
        run_repair(repo.context, plan)
