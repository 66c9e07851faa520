"""forget drops the bytes of some roles for good; the versions stay, and say what is gone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import NotFound, RevisionNotFound, UsageError
from tests.conftest import contents, write_adapter

STATE = 400_000


def _save(folder: Path, step: int, state: bytes | None = None) -> None:
    write_adapter(folder, seed=step)
    (folder / "optimizer.pt").write_bytes(os.urandom(STATE) if state is None else state)
    (folder / "scheduler.pt").write_bytes(b"%d" % step * 100)
    (folder / "trainer_state.json").write_text(
        json.dumps({"global_step": step, "log_history": [{"eval_loss": abs(step - 3), "step": step}]})
    )


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for step in range(1, 7):
        _save(tmp_path / "out", step)
        repo.commit(message=f"step {step}", metrics={"eval_loss": abs(step - 3)})
    return repo


def _with_state(repo: Repository, tmp_path: Path) -> list[str]:
    found = []
    for entry in repo.log():
        to = tmp_path / f"to-{entry.id.short}"
        repo.checkout(entry.id, to=to)
        if (to / "optimizer.pt").exists():
            found.append(entry.subject)
        assert (to / "adapter_model.safetensors").exists()
    return found


def test_the_last_and_the_best_keep_theirs(repo: Repository, tmp_path: Path) -> None:
    ids = [e.id for e in repo.log()]
    before = repo.store.stored_bytes()
    plan = repo.plan_forget("training-state", keep_last=2, keep_best="eval_loss")
    assert [c.message for c in plan.commits] == ["step 1", "step 2", "step 4"]
    assert plan.kept == 3 and repo.store.stored_bytes() == before, "a plan changes nothing"
    done = repo.run_forget(plan)
    assert done.commits == 3
    # The notes take a little of it.
    assert done.freed_bytes >= 3 * STATE
    assert 0 <= done.freed_bytes - (before - repo.store.stored_bytes()) < 4096
    assert not list((repo.store.path / "trash").iterdir()), "for good, not for a day"
    assert [e.id for e in repo.log()] == ids
    assert repo.fsck().ok and repo.fsck(quick=True).ok
    assert _with_state(repo, tmp_path) == ["step 6", "step 5", "step 3"]
    # A second time there is nothing left to do, and gc finds nothing either.
    assert not repo.plan_forget("training-state", keep_last=2, keep_best="eval_loss").commits
    assert not repo.plan_gc(now=True).freed_bytes


def test_checkout_says_what_is_left_out(repo: Repository, tmp_path: Path) -> None:
    repo.forget("training-state")
    result = repo.checkout("HEAD~3", to=tmp_path / "to")
    assert any("training-state" in w and "was forgotten on" in w for w in result.warnings)
    with pytest.raises(NotFound, match="was forgotten on"):
        repo.read_file("HEAD~3", "optimizer.pt")
    assert repo.read_file("HEAD~3", "adapter_config.json")
    # In place, and status after it.
    repo.checkout("HEAD~3")
    assert not repo.status().changes
    repo.checkout("main")
    assert not repo.status().changes and (tmp_path / "out/optimizer.pt").exists()
    repo.repack()
    assert repo.fsck().ok and len(contents(tmp_path / "out")) == 5


def test_what_another_branch_or_a_tag_keeps_stays(repo: Repository, tmp_path: Path) -> None:
    repo.make_branch("other", "HEAD~4")
    repo.make_tag("kept", "HEAD~3")
    repo.forget("training-state", keep_last=1)
    assert _with_state(repo, tmp_path) == ["step 6", "step 3", "step 2"]


def test_one_branch_alone(repo: Repository, tmp_path: Path) -> None:
    repo.make_branch("other", "HEAD~3")
    for step in (10, 11):
        _save(tmp_path / "o2", step)
        repo.commit(tmp_path / "o2", branch="other", message=f"step {step}", by_hand=False)
    plan = repo.plan_forget("training-state", branch="other")
    # What main has too is not forgotten for the other branch's sake.
    assert [c.message for c in plan.commits] == ["step 10"]


def test_a_state_that_two_versions_share_stays_for_the_one(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    state = os.urandom(STATE)
    for step in (1, 2):
        _save(tmp_path / "out", step, state)
        repo.commit(tmp_path / "out")
    assert repo.forget("training-state").freed_bytes < STATE
    assert repo.read_file("HEAD", "optimizer.pt") == state


def test_a_delta_whose_base_goes_is_stored_anew(tmp_path: Path) -> None:
    """Bases of what stays are forgotten with the rest: nothing of them is left in the store."""
    import torch

    repo = mstore.init(tmp_path)
    rng = np.random.default_rng(0)
    moment = rng.standard_normal(100_000).astype(np.float32)
    files = []
    for step in range(1, 6):
        write_adapter(tmp_path / "out", seed=step)
        state = {"state": {0: {"exp_avg": torch.from_numpy(moment)}}, "param_groups": []}
        torch.save(state, tmp_path / "out/optimizer.pt")
        repo.commit(tmp_path / "out", message=f"step {step}")
        files.append((tmp_path / "out/optimizer.pt").read_bytes())
        moment = moment * (1 + rng.standard_normal(moment.size).astype(np.float32) * 1e-4)
    files_of = [repo.manifest(f"HEAD~{n}").by_path["optimizer.pt"] for n in range(5)]
    blobs = [max(file.segments, key=lambda s: s.length).blob for file in files_of]
    assert repo.store.link_of(blobs[0])[0] or repo.store.link_of(blobs[1])[0]
    before = repo.store.stored_bytes()
    done = repo.forget("training-state", keep_last=2)
    assert done.freed_bytes >= before - repo.store.stored_bytes() > 0
    assert [repo.store.has(blob) for blob in blobs] == [True, True, False, False, False]
    assert [repo.read_file(f"HEAD~{n}", "optimizer.pt") for n in (0, 1)] == [files[4], files[3]]
    assert repo.fsck().ok


def test_interrupted_before_the_bytes_went(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from mstore.maintain import forget as module

    plan = repo.plan_forget("training-state")
    with monkeypatch.context() as patched:
        patched.setattr(module, "run_gc", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            repo.run_forget(plan)
    assert repo.fsck().ok
    assert repo.gc(now=True).freed_bytes >= 5 * STATE
    assert repo.fsck().ok


def test_refusals(repo: Repository) -> None:
    with pytest.raises(UsageError, match="no such role: 'optimiser'"):
        repo.plan_forget("optimiser")
    with pytest.raises(UsageError, match="no role"):
        repo.plan_forget()
    with pytest.raises(RevisionNotFound):
        repo.plan_forget("training-state", branch="nowhere")
    with pytest.raises(UsageError, match="nothing says whether speed"):
        repo.note("HEAD", metrics={"speed": 1.0})
        repo.plan_forget("training-state", keep_best="speed")


def test_versions_without_their_training_state_are_compared(repo: Repository, tmp_path: Path) -> None:
    before = repo.diff("HEAD~1", "HEAD")
    repo.forget("training-state", keep_last=1)
    for a, b in (("HEAD~2", "HEAD~1"), ("HEAD~1", "HEAD"), ("HEAD", "HEAD~1")):
        found = repo.diff(a, b, stat=True)
        assert found.tensors.changed and not found.files.added and not found.files.removed
        assert any("was forgotten on" in warning for warning in found.warnings)
    assert repo.diff("HEAD~1", "HEAD").tensors.changed == before.tensors.changed
    old = tmp_path / "old"
    repo.checkout("HEAD~1", to=old)
    assert repo.diff("HEAD~1", old).same
