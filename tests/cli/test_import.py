"""import: folders that exist become history."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs.stand import listing
from tests.conftest import contents, write_adapter, write_model

Run = Callable[..., Any]
Entries = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(mstore: Run, workshop: Path) -> Path:
    """A Trainer's output folder: three checkpoints, and what save_model wrote at the end."""
    mstore("init")
    for step in (5, 50, 100):
        folder = workshop / f"out/checkpoint-{step}"
        write_model(folder, seed=step, elements=3000)
        state = {
            "global_step": step,
            "epoch": step / 50,
            "log_history": [{"step": step, "loss": 10 / step, "eval_loss": 20 / step}],
        }
        (folder / "trainer_state.json").write_text(json.dumps(state))
    return workshop


def test_by_step(mstore: Run, run: Path, entries: Entries) -> None:
    before = listing(run / "out")
    _, out, _ = mstore("import", "out")
    assert " in 3 checkpoints → " in out.splitlines()[-1]
    found = entries("out")
    assert [e["metadata"]["recorded"]["trainer"]["global_step"] for e in found] == [100, 50, 5]
    assert [e["metrics"]["loss"] for e in found] == [0.1, 0.2, 2.0]
    assert found[-1]["parents"] == []
    assert listing(run / "out") == before
    assert json.loads((run / ".mstore/HEAD").read_text()) == {"branch": "main"}
    assert json.loads(mstore("status", "--json")[1])["model_dir"] is None
    mstore("checkout", "out~1", "--to", "back")
    assert contents(run / "back") == contents(run / "out/checkpoint-50")


def test_again_adds_nothing(mstore: Run, run: Path, entries: Entries) -> None:
    mstore("import", "out")
    before = [e["id"] for e in entries("out")]
    _, out, _ = mstore("import", "out")
    assert [e["id"] for e in entries("out")] == before and "→ 0 B" in out
    write_model(run / "out/checkpoint-150", seed=150, elements=3000)
    mstore("import", "out")
    assert [e["id"] for e in entries("out")][1:] == before and len(entries("out")) == 4


def test_dry_run(mstore: Run, run: Path) -> None:
    before = listing(run / ".mstore", leave_out=("cache",))
    _, out, _ = mstore("import", "out", "--dry-run")
    lines = out.splitlines()
    assert lines[0].startswith("would commit 3 folders, ")
    assert [line.split(", ")[1] for line in lines[1:]] == ["step 5", "step 50", "step 100"], out
    found = json.loads(mstore("import", "out", "--dry-run", "--json")[1])
    assert [p["order"] for p in found["folders"]] == ["step 5", "step 50", "step 100"]
    assert found["size_bytes"] > 0
    assert listing(run / ".mstore", leave_out=("cache",)) == before
    found = json.loads(mstore("import", "out", "--json")[1])
    assert len(found["versions"]) == len(found["folders"]) == 3 and found["stored_bytes"] > 0


def test_the_parent_itself_is_the_last_one(mstore: Run, run: Path, entries: Entries) -> None:
    write_model(run / "out", seed=100, elements=3000)
    (run / "out/README.md").write_text("x")
    mstore("import", "out")
    found = entries("out")
    assert len(found) == 4 and found[0]["metadata"]["imported_from"] == "out"


def test_by_date(mstore: Run, workshop: Path, entries: Entries) -> None:
    mstore("init")
    names = ("model_20260103_1200", "model_20260101_0900", "model_20260101_1000")
    for seed, name in enumerate(names):
        write_model(workshop / "saves" / name, seed=seed, elements=3000)
    mstore("import", "saves")
    assert [e["metadata"]["imported_from"] for e in entries("saves")] == [
        "model_20260103_1200",
        "model_20260101_1000",
        "model_20260101_0900",
    ]


def test_by_when_they_were_written(mstore: Run, workshop: Path, entries: Entries) -> None:
    mstore("init")
    for moment, name in ((300, "alpha"), (100, "beta"), (200, "gamma")):
        write_model(workshop / "saves" / name, seed=moment, elements=3000)
        for path in (workshop / "saves" / name).iterdir():
            os.utime(path, (1_700_000_000 + moment, 1_700_000_000 + moment))
    mstore("import", "saves")
    assert [e["metadata"]["imported_from"] for e in entries("saves")] == ["alpha", "gamma", "beta"]


def test_metadata_beside_is_matched(mstore: Run, workshop: Path, entries: Entries) -> None:
    mstore("init")
    for id in ("a1b2", "c3d4"):
        write_model(workshop / f"saves/model_{id}", seed=len(id) + ord(id[0]), elements=3000)
        beside = {"lr": f"lr of {id}", "loss": 1.5, "metrics": {"mmlu": 0.25}, "nested": {"a": [1]}}
        (workshop / f"saves/metadata_{id}.json").write_text(json.dumps(beside))
    write_model(workshop / "saves/model_e5f6", seed=99, elements=3000)
    mstore("import", "saves")
    found = {e["metadata"]["imported_from"]: e for e in entries("saves")}
    assert found["model_a1b2"]["metadata"]["lr"] == "lr of a1b2"
    assert found["model_c3d4"]["metadata"]["lr"] == "lr of c3d4"
    assert found["model_a1b2"]["metrics"] == {"loss": 1.5, "mmlu": 0.25}
    assert "lr" not in found["model_e5f6"]["metadata"] and found["model_e5f6"]["metrics"] == {}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"loss": "low"}', b'{"loss": NaN}', b'{"recorded": 1}']
)
def test_odd_metadata_beside(mstore: Run, workshop: Path, content: bytes) -> None:
    mstore("init")
    write_model(workshop / "saves/model_a1", elements=3000)
    (workshop / "saves/metadata_a1.json").write_bytes(content)
    code, _, err = mstore("import", "saves", code=None)
    # A broken file is named; it is never passed over in silence.
    if content in (b"", b"{", b"[]", b"\xff"):
        assert "metadata_a1.json" in err, "broken metadata is passed over in silence"
        assert content != b"{" or "line 1 column 2" in err
    else:
        assert code == 0


def test_several_folders_and_a_branch(mstore: Run, run: Path, entries: Entries) -> None:
    write_adapter(run / "lora run/checkpoint-1", rank=4)
    mstore("import", "out", "lora run")
    assert len(entries("out")) == 3 and len(entries("lora-run")) == 1
    mstore("import", "out", "lora run", "--branch", "all/of-it")
    assert len(entries("all/of-it")) == 4
    mstore("import", "out/checkpoint-50", "--branch", "one")
    assert len(entries("one")) == 1


def test_troubles(mstore: Run, run: Path) -> None:
    mstore("import", code=2)
    mstore("import", "nowhere", code=3)
    (run / "none").mkdir()
    _, _, err = mstore("import", "none", code=6)
    assert "none" in err
    (run / "out/checkpoint-50/model.safetensors").write_bytes(b"half")
    _, _, err = mstore("import", "out", code=6)
    assert "checkpoint-50" in err
    mstore("fsck")


def test_it_is_idempotent_whatever_the_folder_is_called(
    mstore: Callable[..., Any], workshop: Path
) -> None:
    write_model(workshop / "runs" / "checkpoint\x1b-1")
    mstore("init")
    mstore("import", "runs", "--branch", "b")
    before = mstore("log", "b", "--json")[1]
    assert "nothing changed" in mstore("import", "runs", "--branch", "b")[1]
    assert mstore("log", "b", "--json")[1] == before
