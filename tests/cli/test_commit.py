"""commit and note, as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import contents, save_tensors, write_adapter, write_model

Run = Callable[..., Any]
Entries = Callable[..., list[dict[str, Any]]]


def head(workshop: Path) -> bytes:
    return (workshop / ".mstore/HEAD").read_bytes()


def test_the_answer_of_a_commit(mstore: Run, place: Path) -> None:
    write_adapter(place / "ad", rank=8)
    (place / "ad/trainer_state.json").write_text(
        '{"global_step": 20, "epoch": 2.0, "log_history": [{"step": 20, "loss": 1.84}]}'
    )
    _, out, err = mstore("commit", "ad", "--branch", "r8", "-m", "r=8 lr=2e-4")
    first, second = out.splitlines()[:2]
    assert first.startswith("[r8 ") and first.endswith("] r=8 lr=2e-4")
    for part in (
        "LoRA r=8 alpha=16 on 2 modules",
        "4 tensors",
        "new of",
        "base gpt2",
        "step 20",
        "loss 1.84",
    ):
        assert part in second, second
    assert err == ""


def test_json(mstore: Run, place: Path) -> None:
    (place / "out/config.json").write_text("{}")
    _, out, _ = mstore("commit", "-m", "two", "--json", "--metric", "loss=nan")
    found = json.loads(out)
    assert len(found["id"]) == 64 and found["branch"] == "main" and found["created"] is True
    assert found["metrics"] == {"loss": "NaN"} and found["message"] == "two"
    for key in (
        "note",
        "tensor_count",
        "size_bytes",
        "new_bytes",
        "stored_bytes",
        "ignored",
        "warnings",
    ):
        assert key in found


def test_a_message_is_made_from_the_facts(mstore: Run, place: Path, entries: Entries) -> None:
    write_adapter(place / "ad", rank=4)
    (place / "ad/trainer_state.json").write_text(
        '{"global_step": 7, "log_history": [{"step": 7, "loss": 0.5}]}'
    )
    mstore("commit", "ad", "--branch", "b")
    message = entries("b", "-n", "1")[0]["message"]
    for part in ("LoRA", "r=4", "step 7", "loss 0.5"):
        assert part in message
    (place / "out/config.json").write_text("{}")
    mstore("commit", "out")
    assert entries("-n", "1")[0]["message"]


def test_an_unchanged_tree_makes_no_commit(mstore: Run, place: Path, entries: Entries) -> None:
    (before,) = entries()
    _, out, _ = mstore("commit", "-m", "again")
    assert "nothing changed" in out and before["id"][:7] in out
    assert entries() == [before]
    _, out, _ = mstore("commit", "-m", "again", "--metric", "mmlu=0.5", "--meta", "judge=me")
    assert "noted" in out
    (after,) = entries()
    assert after["id"] == before["id"]
    assert after["metrics"] == {"loss": 2.5, "mmlu": 0.5} and after["metadata"]["judge"] == "me"
    # The same once more is nothing new.
    _, out, _ = mstore("commit", "--metric", "mmlu=0.5", "--json")
    assert json.loads(out)["note"] is None
    mstore("commit", "-m", "empty", "--allow-empty")
    assert [e["message"] for e in entries()] == ["empty", "one"]


def test_unchanged_without_a_stat_cache(mstore: Run, place: Path, entries: Entries) -> None:
    for file in (place / ".mstore/cache").iterdir():
        file.unlink()
    for path in (place / "out").iterdir():
        path.write_bytes(path.read_bytes())
    _, out, _ = mstore("commit", "-m", "again", "--metric", "mmlu=1")
    assert "nothing changed" in out
    assert len(entries()) == 1 and entries()[0]["metrics"]["mmlu"] == 1


def test_a_branch_is_made_from_head_and_head_stays(mstore: Run, place: Path, entries: Entries) -> None:
    before = head(place)
    write_model(place / "out", seed=5, elements=3000)
    mstore("commit", "out", "--branch", "side", "-m", "aside")
    assert head(place) == before
    first, second = entries("side")
    assert first["parents"] == [second["id"]] and second["message"] == "one"
    assert [e["message"] for e in entries("main")] == ["one"]
    mstore("commit", "out", "--branch", "side", "-m", "more", "--allow-empty")
    assert [e["message"] for e in entries("side")] == ["more", "aside", "one"]
    assert head(place) == before


def test_a_branch_on_an_unborn_head_is_a_root(mstore: Run, workshop: Path, entries: Entries) -> None:
    mstore("init")
    write_model(workshop / "out", elements=3000)
    mstore("commit", "out", "--branch", "side", "-m", "root")
    assert json.loads((workshop / ".mstore/HEAD").read_text()) == {"branch": "main"}
    (root,) = entries("side")
    assert root["parents"] == []
    mstore("show", "HEAD", code=3)


def test_a_detached_head_needs_a_branch(mstore: Run, history: Path, entries: Entries) -> None:
    mstore("config", "model-dir", "out")
    mstore("checkout", "main~1")
    (history / "out/config.json").write_text("{}")
    _, _, err = mstore("commit", "out", "-m", "where", code=2)
    assert "--branch" in err
    mstore("commit", "out", "-m", "there", "--branch", "new")
    assert [e["message"] for e in entries("new")] == ["there", "one"]
    assert "commit" in json.loads(head(history))


def test_metadata(mstore: Run, place: Path, entries: Entries) -> None:
    (place / "a.json").write_text('{"lr": 1, "set": "alpaca", "deep": {"x": [1, null]}}')
    (place / "b.json").write_text('{"lr": 2}')
    mstore(
        "commit",
        "out",
        "--allow-empty",
        "-m",
        "x",
        "--meta-file",
        "a.json",
        "--meta-file",
        "b.json",
        "--meta",
        "seed=1",
        "--meta",
        "note=plain text",
    )
    metadata = entries("-n", "1")[0]["metadata"]
    assert {k: v for k, v in metadata.items() if k != "recorded"} == {
        "lr": 2,
        "set": "alpaca",
        "deep": {"x": [1, None]},
        "seed": 1,
        "note": "plain text",
    }
    mstore("commit", "out", "--allow-empty", "--meta-file", "a.json", "--meta", "lr=3", "-m", "x")
    assert entries("-n", "1")[0]["metadata"]["lr"] == 3, "what is typed counts more than a file"


def test_a_broken_meta_file_is_shown_with_line_and_column(mstore: Run, place: Path) -> None:
    (place / "meta.json").write_text('{\n  "lr": 2e-4,\n  "set": alpaca\n}\n')
    _, _, err = mstore("commit", "out", "--meta-file", "meta.json", code=6)
    assert "meta.json" in err and "line 3 column 10" in err
    _, _, err = mstore("commit", "out", "--meta-file", "none.json", code=None)
    assert "none.json" in err


def test_what_is_recorded_unasked(mstore: Run, place: Path, entries: Entries) -> None:
    environment = entries()[0]["metadata"]["recorded"]["environment"]
    assert environment["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert environment["host"] and environment["packages"]["mstore"]
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", "."], check=True)
    (place / "train.py").write_text("pass")
    subprocess.run([*git, "add", "train.py"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    mstore("commit", "out", "--allow-empty", "-m", "in git")
    clean = entries("-n", "1")[0]["metadata"]["recorded"]["environment"]
    (place / "train.py").write_text("changed")
    mstore("commit", "out", "--allow-empty", "-m", "dirty")
    dirty = entries("-n", "1")[0]["metadata"]["recorded"]["environment"]
    revision = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert revision in json.dumps(clean) and clean != dirty


def test_the_base(mstore: Run, history: Path, entries: Entries) -> None:
    base = entries("r8", "-n", "1")[0]["base"]
    assert base["id"] == entries("main")[0]["id"]
    assert base["weights"] == entries("main")[0]["weights"][""]
    mstore("commit", "r8", "--allow-empty", "--base", "nowhere", "-m", "x", code=3)
    # The base's folder lies on this machine: its weights id is known, and so is its commit.
    config = json.loads((history / "r8/adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(history / "out")
    (history / "r8/adapter_config.json").write_text(json.dumps(config))
    mstore("commit", "r8", "--branch", "local", "-m", "x")
    base = entries("local", "-n", "1")[0]["base"]
    assert base["id"] == entries("main")[0]["id"] and base["name"] == str(history / "out")


def test_roles_that_are_left_out(mstore: Run, place: Path, entries: Entries) -> None:
    (place / "out/optimizer.pt").write_bytes(b"x" * 5000)
    (place / "out/rng_state.pth").write_bytes(b"x")
    mstore("commit", "out", "--without", "training-state", "-m", "lean", "--allow-empty")
    names = {f["path"] for f in json.loads(mstore("ls", "--json")[1])["files"]}
    assert names == {"config.json", "model.safetensors", "tokenizer.json"}
    assert "nothing changed" in mstore("status")[1]
    _, _, err = mstore("commit", "out", "--without", "optimizer", code=2)
    assert "training-state" in err
    mstore("commit", "out", "--without", "training-state", "--without", "tokenizer", "-m", "leaner")
    assert len(json.loads(mstore("ls", "--json")[1])["files"]) == 2


def test_what_is_left_out_is_said(mstore: Run, place: Path) -> None:
    write_model(place / "out/checkpoint-5", elements=3000)
    (place / "out/runs").mkdir()
    (place / "out/runs/events").write_text("x")
    (place / "out/.git").mkdir()
    (place / "out/x.tmp").write_text("x")
    (place / "out/__pycache__").mkdir()
    _, out, _ = mstore("commit", "out", "-m", "x", "--allow-empty")
    line = next(line for line in out.splitlines() if "left out" in line)
    for name in ("checkpoint-5/", "runs/", ".git/", "x.tmp", "__pycache__/"):
        assert name in line
    assert len(json.loads(mstore("ls", "--json")[1])["files"]) == 3


def test_the_ignore_file(mstore: Run, place: Path) -> None:
    (place / "out/.mstoreignore").write_text("# a remark\n*.log\n!keep.log\n/top.txt\nsub/\n!runs/\n")
    for name in (
        "a.log",
        "keep.log",
        "top.txt",
        "sub/x.txt",
        "deep/top.txt",
        "deep/b.log",
        "runs/events",
    ):
        (place / "out" / name).parent.mkdir(exist_ok=True)
        (place / "out" / name).write_text("x")
    mstore("commit", "out", "-m", "x")
    names = {f["path"] for f in json.loads(mstore("ls", "--json")[1])["files"]}
    assert names == {
        ".mstoreignore",
        "keep.log",
        "deep/top.txt",
        "runs/events",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    (place / "out/.mstoreignore").write_bytes(b"\xff\xfe")
    mstore("commit", "out", "-m", "x", code=6)


def test_a_checkpoint_inside_gives_step_and_losses(
    mstore: Run, workshop: Path, entries: Entries
) -> None:
    """What save_model wrote has no trainer_state.json; the equal checkpoint-N in it has."""
    mstore("init")
    for folder, seed in (("out", 1), ("out/checkpoint-5", 2), ("out/checkpoint-10", 1)):
        write_model(workshop / folder, seed=seed, elements=3000)
    for step in (5, 10):
        state = {"global_step": step, "epoch": 1.0, "log_history": [{"step": step, "loss": step / 100}]}
        (workshop / f"out/checkpoint-{step}/trainer_state.json").write_text(json.dumps(state))
    mstore("commit", "out")
    (entry,) = entries()
    assert entry["metrics"]["loss"] == 0.1
    assert entry["metadata"]["recorded"]["trainer"]["global_step"] == 10


def test_without_any_state_there_is_a_hint(mstore: Run, place: Path) -> None:
    (place / "out/training_args.bin").write_bytes(b"x")
    (place / "m").mkdir()
    write_model(place / "m", elements=3000)
    (place / "m/training_args.bin").write_bytes(b"x")
    _, _, err = mstore("commit", "m", "--branch", "b", "-m", "x")
    assert "save_state" in err


def test_appending(mstore: Run, place: Path, entries: Entries, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody moves the branch while we commit: a conflict, or with --append behind them."""
    import mstore as api
    import mstore.commit.execute as module

    right = module._store_files

    def meanwhile(*arguments: Any, **keywords: Any) -> Any:
        with monkeypatch.context() as once:
            once.setattr(module, "_store_files", right)
            with api.open(place) as repo:
                repo.commit(place / "out", message="theirs", allow_empty=True)
        return right(*arguments, **keywords)

    for options, code in (((), 5), (("--append",), 0)):
        write_model(place / "mine", seed=len(options) + 20, elements=3000)
        with monkeypatch.context() as race:
            race.setattr(module, "_store_files", meanwhile)
            _, _out, err = mstore("commit", "mine", "-m", "mine", *options, code=code)
        if code == 5:
            assert "--append" in err
    first, second, *_ = entries()
    assert (first["message"], second["message"]) == ("mine", "theirs")
    assert first["parents"] == [second["id"]]


def test_notes(mstore: Run, history: Path, entries: Entries) -> None:
    before = entries("r8", "-n", "1")[0]
    _, out, _ = mstore("note", "r8", "--metric", "mmlu=0.412", "--meta", 'verdict="best"')
    assert before["id"][:7] in out
    mstore("note", "r8", "--metric", "mmlu=0.5", "--metric", "loss=9")
    after = entries("r8", "-n", "1")[0]
    assert after["id"] == before["id"]
    assert after["metrics"]["mmlu"] == 0.5 and after["metrics"]["loss"] == 9, "the latest counts"
    assert after["metadata"]["verdict"] == "best"
    shown = json.loads(mstore("show", "r8", "--json")[1])
    assert [set(n["payload"]["metrics"]) for n in shown["notes"]] == [{"mmlu", "loss"}, {"mmlu"}]
    assert "noted later" in mstore("show", "r8")[1]
    assert "mmlu" in mstore("diff", "r4", "r8")[1]
    mstore("note", "r8", code=2)
    mstore("note", "nowhere", "--metric", "a=1", code=3)
    mstore("undo")
    assert entries("r8", "-n", "1")[0]["metrics"]["mmlu"] == 0.412


def test_odd_tensors_come_back(mstore: Run, workshop: Path) -> None:
    mstore("init")
    save_tensors(
        workshop / "out/model.safetensors",
        {
            "scalar": np.array(3.5, np.float32),
            "empty": np.zeros((0, 5), np.float16),
            "bytes": np.arange(5000, dtype=np.uint8) % 251,
            "bits": np.array([True, False] * 3000),
            "doubles": np.array([np.nan, -0.0, np.inf, 5e-324] * 1000),
        },
    )
    mstore("commit", "out", "-m", "x")
    mstore("checkout", "HEAD", "--to", "back")
    assert contents(workshop / "back") == contents(workshop / "out")
    names = {t["name"]: t for t in json.loads(mstore("ls", "--tensors", "--json")[1])["tensors"]}
    assert names["scalar"]["shape"] == [] and names["empty"]["shape"] == [0, 5]
    assert names["doubles"]["dtype"] == "F64" and names["bits"]["dtype"] == "BOOL"
