"""diff as a whole: versions and folders, what they record, what is loaded for it."""

from __future__ import annotations

import json
import math
import subprocess
import sys

from mstore.compare.diff import MISSING, diff, side_of, side_of_commit
from mstore.store import FACTS, add_note
from tests.unit.compare.folders import LAYERS, adapter, committed, of, text, write_adapter


def test_the_same_folder_twice(tmp_path):
    result = diff(of(adapter(tmp_path / "v1", r=4)), of(tmp_path / "v1"))
    assert result.same
    assert not result
    assert not result.lora
    assert result.tensors.same == 2 * LAYERS
    assert text(result) == "no differences"
    assert result.to_dict()["lora"]["a"]["rank"] == 4
    assert str(result) == "v1 and v1: no differences"


def test_two_commits(place, tmp_path):
    one = committed(
        place,
        write_adapter(tmp_path / "r4", rank=4),
        metadata={"lr": 1e-3, "data": {"name": "x", "rows": 5}},
        metrics={"loss": 2.0, "eval_loss": math.nan, "same": 1.0},
    )
    other = committed(
        place,
        write_adapter(tmp_path / "r8", rank=8),
        metadata={"lr": 2e-4, "data": {"name": "x", "rows": 6}},
        metrics={"loss": 1.5, "same": 1.0},
    )
    payload = {"metrics": {"bleu": 30.5}, "metadata": {"judge": "Bo"}}
    add_note(place.store, other, FACTS, payload, place.move("note", ""))
    result = diff(side_of(place, one), side_of(place, "main"), stat=True)
    assert (result.a, result.b) == (one.short, "main")
    assert result.metadata == {
        "lr": (1e-3, 2e-4),
        "data.rows": (5, 6),
        "judge": (MISSING, "Bo"),
    }
    assert list(result.metrics) == ["bleu", "eval_loss", "loss"]
    assert result.metrics["loss"] == (2.0, 1.5)
    assert result.metrics["bleu"] == (None, 30.5)
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["metrics"]["eval_loss"] == {"a": "NaN", "b": None}
    assert plain["lora"]["b"]["modules"]["transformer.h.0.attn.c_attn"] == {"A": [8, 64], "B": [192, 8]}
    lines = text(result).splitlines()
    assert "  loss       2 → 1.5  (-0.5)" in lines
    assert "+ bleu       30.5" in lines
    assert "  lr         0.001 → 0.0002" in lines


def test_the_run_is_metadata_and_its_metrics_are_not(place, tmp_path):
    ids = []
    for step in (1, 2):
        folder = write_adapter(tmp_path / "m", seed=step)
        log = [{"step": step, "loss": 3.0 - step}]
        state = {"global_step": step, "epoch": step / 2, "log_history": log, "max_steps": 2}
        (folder / "trainer_state.json").write_text(json.dumps(state))
        ids.append(committed(place, folder))
    result = diff(*(side_of_commit(place, id, id.short) for id in ids))
    assert result.metadata == {
        "recorded.trainer.global_step": (1, 2),
        "recorded.trainer.epoch": (0.5, 1.0),
    }
    assert result.metrics == {"loss": (2.0, 1.0)}


def test_a_folder_and_a_commit(place, tmp_path):
    folder = write_adapter(tmp_path / "m")
    id = committed(place, folder, metadata={"lr": 1}, metrics={"loss": 2.0})
    result = diff(side_of(place, id), side_of(place, folder))
    assert result.same
    assert not result  # a folder has no metadata and no metrics to differ in
    assert result.tensors.same == 4
    write_adapter(folder, seed=1)
    result = diff(side_of(place, id), side_of(place, folder), stat=True)
    assert len(result.tensors.changed) == 4
    assert result.tensors.total is not None and result.tensors.total.share == 1
    assert [c.path for c in result.files.changed] == ["adapter_model.safetensors"]


def test_roles_left_out_of_a_commit_are_not_missed_in_a_folder(place, tmp_path):
    folder = write_adapter(tmp_path / "m")
    (folder / "scheduler.pt").write_bytes(b"state")
    id = committed(place, folder, without=frozenset({"training-state"}))
    assert diff(side_of(place, id), side_of(place, folder)).same
    assert diff(side_of(place, folder), side_of(place, id)).same


def test_numpy_is_imported_for_figures_alone(tmp_path):
    write_adapter(tmp_path / "a", rank=4)
    write_adapter(tmp_path / "b", rank=8)
    code = (
        "import sys; from mstore.compare.diff import diff, side_of\n"
        "print(diff(side_of(None, './a'), side_of(None, './b')).lora)\n"
        "print([m for m in ('numpy', 'torch', 'click', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "r 4 → 8\n[]\n"
