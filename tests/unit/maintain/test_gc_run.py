"""Running gc: what the plan found goes, and what became needed since stays."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import Conflict
from mstore.maintain.gc import plan_gc
from mstore.maintain.gc_plan import GcPlan
from mstore.maintain.gc_run import run_gc
from tests.conftest import write_model


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """One version on main; one that only the reflog of a deleted branch names."""
    repo = mstore.init(tmp_path)
    repo.commit(write_model(tmp_path / "out", seed=1), message="kept")
    repo.commit(write_model(tmp_path / "out", seed=2), message="gone", branch="try")
    repo.delete_branch("try")
    return repo


def test_what_the_plan_said_is_freed(repo: Repository) -> None:
    plan = plan_gc(repo.context, now=True)
    assert [c.message for c in plan.commits] == ["gone"] and plan.commits[0].branch == "try"
    done = run_gc(repo.context, plan)
    assert done.freed_bytes >= plan.freed_bytes > 0
    assert (done.removed, done.written, done.undeleted, done.trash_bytes) == (1, 0, 0, 0)
    assert repo.fsck().ok and not plan_gc(repo.context, now=True)


def test_a_version_that_got_a_name_since_stays(repo: Repository) -> None:
    plan = plan_gc(repo.context, now=True)
    repo.make_branch("again", plan.commits[0].id.hex)
    done = run_gc(repo.context, plan)
    assert (done.freed_bytes, done.undeleted) == (0, 1)
    assert repo.fsck().ok and repo.log("again")[0].message == "gone"


def test_a_plan_that_another_gc_overtook_is_refused(repo: Repository) -> None:
    plan = plan_gc(repo.context, now=True)
    run_gc(repo.context, plan)
    with pytest.raises(Conflict, match="since this plan was made"):
        run_gc(repo.context, plan)
    with pytest.raises(ValueError, match="not from plan_gc"):
        run_gc(repo.context, GcPlan())


def test_a_pack_that_is_needed_in_part_is_written_anew_and_read_back(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    repo.commit(write_model(tmp_path / "out", seed=1), message="kept")
    repo.commit(write_model(tmp_path / "out", seed=2), message="gone", branch="try")
    repo.repack()
    repo.delete_branch("try")
    plan = plan_gc(repo.context, now=True)
    assert len(plan.rewritten_packs) == 1
    told: list[tuple[str, int, int]] = []
    done = run_gc(repo.context, plan, progress=lambda *step: told.append(step))
    assert (done.removed, done.written) == (1, 1) and done.freed_bytes > 0
    assert {what for what, _, _ in told} >= {"writing"}
    assert repo.fsck().ok and [e.message for e in repo.log(all=True)] == ["kept"]
