"""import: checkpoint folders that exist already become history, in an order that can be told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.commit.importing import ImportPlan, PlannedImport, plan_import, run_import
from mstore.errors import InvalidInput, NotFound
from tests.conftest import write_adapter


def _folder(path: Path, seed: int = 0) -> Path:
    return write_adapter(path, seed=seed)


def _names(plan: ImportPlan) -> list[str]:
    return [item.path.name for item in plan.folders]


def test_checkpoints_come_by_step_and_what_lies_beside_them_last(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    for name in ("checkpoint-10", "checkpoint-9", "epoch_2", "noise"):
        (_folder(run / name) if name != "noise" else run / name).mkdir(parents=True, exist_ok=True)
    _folder(run)
    plan = plan_import([run])
    assert _names(plan) == ["epoch_2", "checkpoint-9", "checkpoint-10", "my run"]
    assert [item.order for item in plan.folders][:3] == ["step 2", "step 9", "step 10"]
    assert {item.branch for item in plan.folders} == {"my-run"}
    assert plan.size_bytes == sum(item.size_bytes for item in plan.folders) > 0
    assert json.loads(json.dumps(plan.to_dict()))["folders"][1]["path"] == str(run / "checkpoint-9")
    assert str(plan).startswith("would commit 4 folders, ")


def test_without_steps_the_date_in_the_name_or_of_the_files_decides(tmp_path: Path) -> None:
    for name in ("b-2024-01-02", "a-20240103_1200", "c-2024-13-45", "stated"):
        folder = _folder(tmp_path / "runs" / name)
        for file in folder.iterdir():
            os.utime(file, (0, 0))
    (tmp_path / "runs/stated/trainer_state.json").write_text('{"global_step": 3}')
    plan = plan_import([tmp_path / "runs"])
    assert _names(plan) == ["c-2024-13-45", "b-2024-01-02", "a-20240103_1200", "stated"]
    assert plan.folders[1].order == "2024-01-02 00:00" and plan.folders[3].order == "step 3"


def test_a_model_with_adapters_in_it_is_one_version(tmp_path: Path) -> None:
    _folder(tmp_path / "out")
    _folder(tmp_path / "out/second")
    assert _names(plan_import([tmp_path / "out"])) == ["out"]


@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("run", "run"),
        ("my run!", "my-run"),
        ("..x..y..", "x.y"),
        ("---", "imported"),
        ("a.lock", "a"),
        ("é", "é"),
    ],
)
def test_the_branch_is_named_like_the_folder(tmp_path: Path, name: str, branch: str) -> None:
    assert plan_import([_folder(tmp_path / name)]).folders[0].branch == branch


def test_what_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound):
        plan_import([tmp_path / "absent"])
    with pytest.raises(InvalidInput, match="holds no checkpoints"):
        plan_import([tmp_path / "empty"])
    with pytest.raises(InvalidInput):
        plan_import([_folder(tmp_path / "a")], branch="a..b")


def test_a_file_of_metadata_belongs_to_the_folder_that_it_names(tmp_path: Path) -> None:
    for name in ("checkpoint-1-abc", "checkpoint-2-xyz", "checkpoint-3"):
        _folder(tmp_path / "run" / name)
    (tmp_path / "run/metadata_abc.json").write_text(
        '{"lr": 0.1, "eval_loss": 2, "metrics": {"bleu": 3}, "recorded": {}, "train_ok": true}'
    )
    (tmp_path / "run/metadata_xyz.json").write_text("noise")
    one, two, three = _by_name(tmp_path / "run")
    assert one.metadata_path == tmp_path / "run/metadata_abc.json" and one.warning is None
    assert two.metadata_path is None and "its facts are left out" in str(two.warning)
    assert three.metadata_path is None and three.warning is None


def _by_name(run: Path) -> list[PlannedImport]:
    return sorted(plan_import([run]).folders, key=lambda item: item.path.name)


def test_an_import_makes_a_commit_a_folder_and_again_none(repo: Repository, tmp_path: Path) -> None:
    for step in (1, 2):
        _folder(tmp_path / f"run/checkpoint-{step}", seed=step)
    (tmp_path / "run/checkpoint-1/metadata.json").write_text(
        '{"lr": 0.1, "eval_loss": 2, "metrics": {"bleu": 3}, "recorded": {}, "train_ok": true}'
    )
    plan = plan_import([tmp_path / "run"])
    heard: list[str] = []
    done = run_import(repo.context, plan, on_commit=lambda item, result: heard.append(item.path.name))
    assert done.created == 2 and heard == ["checkpoint-1", "checkpoint-2"] and done.stored_bytes > 0
    second, first = repo.log("run")
    assert first.parents == () and second.parents == (first.id,)
    assert first.metadata["lr"] == 0.1 and first.metadata["imported_from"] == "checkpoint-1"
    assert "train_ok" not in first.metrics and first.metrics == {"bleu": 3.0, "eval_loss": 2.0}
    again = run_import(repo.context, plan)
    assert again.created == 0 and [c.id for c in again.commits] == [first.id, second.id]
    _folder(tmp_path / "run/checkpoint-2", seed=9)
    assert run_import(repo.context, plan_import([tmp_path / "run"])).created == 1
