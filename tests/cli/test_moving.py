"""checkout, branch, tag, reflog, undo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs.stand import listing
from tests.conftest import contents, write_adapter, write_model

Run = Callable[..., Any]
Entries = Callable[..., list[dict[str, Any]]]


def head(workshop: Path) -> Any:
    return json.loads((workshop / ".mstore/HEAD").read_text())


@pytest.fixture
def bound(mstore: Run, history: Path) -> Path:
    """`history`, `out` being the model directory."""
    mstore("config", "model-dir", "out")
    return history


# -- checkout


def test_in_place(mstore: Run, bound: Path, entries: Entries) -> None:
    now = contents(bound / "out")
    two, one = (e["id"] for e in entries("main"))
    _, out, _ = mstore("checkout", "main~1")
    assert head(bound) == {"commit": one} and "checkout -b" in out
    assert json.loads((bound / "out/config.json").read_text())["seed"] == 0
    _, out, _ = mstore("checkout", "main")
    assert head(bound) == {"branch": "main"} and "On branch main" in out
    assert contents(bound / "out") == now
    mstore("checkout", "v1")
    assert head(bound) == {"commit": one}
    found = json.loads(mstore("checkout", two[:8], "--json")[1])
    assert found["id"] == two and found["branch"] is None and found["written_count"] > 0
    for key in ("path", "removed_count", "unchanged_count", "backup_path", "load"):
        assert key in found


def test_files_are_replaced_and_never_written_in_place(mstore: Run, bound: Path) -> None:
    """Whoever has the old file open, or a hard link to it, keeps the old bytes."""
    old = (bound / "out/config.json").read_bytes()
    os.link(bound / "out/config.json", bound / "link.json")
    inode = (bound / "out/tokenizer.json").stat().st_ino
    with open(bound / "out/model.safetensors", "rb") as file:
        was = contents(bound / "out")["model.safetensors"]
        mstore("checkout", "main~1")
        assert file.read() == was
    assert (bound / "link.json").read_bytes() == old
    assert (bound / "out/tokenizer.json").stat().st_ino == inode, "what is right already stays"


def test_uncommitted_changes_refuse_it(mstore: Run, bound: Path) -> None:
    (bound / "out/config.json").write_text('{"mine": 1}')
    before = listing(bound / "out")
    _, _, err = mstore("checkout", "main~1", code=5)
    assert "config.json" in err and "--force" in err and listing(bound / "out") == before
    assert head(bound) == {"branch": "main"}
    (bound / "out/config.json").unlink()
    _, _, err = mstore("checkout", "main~1", code=5)
    assert "config.json" in err


def test_force_and_undo(mstore: Run, bound: Path) -> None:
    (bound / "out/config.json").write_text('{"mine": 1}')
    (bound / "out/extra/deep.txt").parent.mkdir()
    (bound / "out/extra/deep.txt").write_text("mine")
    (bound / "out/tokenizer.json").unlink()
    before = listing(bound / "out")
    _, out, _ = mstore("checkout", "main~1", "--force")
    assert "undo" in out
    assert json.loads((bound / "out/config.json").read_text())["seed"] == 0
    _, out, _ = mstore("undo")
    assert "config.json" in out and "extra/deep.txt" in out
    now = listing(bound / "out")
    now.pop("tokenizer.json", None)  # a file that was missing may be there again
    assert now == before
    assert head(bound) == {"branch": "main"}


def test_undo_of_a_checkout(mstore: Run, bound: Path) -> None:
    before = listing(bound / "out")
    mstore("checkout", "main~1")
    mstore("undo")
    assert head(bound) == {"branch": "main"} and listing(bound / "out") == before
    mstore("checkout", "main~1")
    (bound / "out/config.json").write_text('{"later": 1}')
    _, _, err = mstore("undo", code=5)
    assert "config.json" in err


def test_to(mstore: Run, bound: Path) -> None:
    before, where = listing(bound / "out"), head(bound)
    _, _out, _ = mstore("checkout", "main~1", "--to", "a/b/best")
    assert listing(bound / "out") == before and head(bound) == where
    assert json.loads((bound / "a/b/best/config.json").read_text())["seed"] == 0
    (bound / "empty").mkdir()
    mstore("checkout", "main", "--to", "empty")
    assert contents(bound / "empty") == contents(bound / "out")
    mstore("checkout", "main~1", "--to", "empty")
    assert contents(bound / "empty") == contents(bound / "a/b/best"), "all its files are in the store"
    (bound / "empty/mine.txt").write_text("x")
    mstore("checkout", "main", "--to", "empty", code=5)
    found = json.loads(mstore("checkout", "main", "--to", "new", "--json")[1])
    assert found["path"] == "new" and found["written_count"] == 3 and found["load"]


def test_new_branches(mstore: Run, bound: Path, entries: Entries) -> None:
    mstore("checkout", "-b", "here")
    assert head(bound) == {"branch": "here"}
    mstore("checkout", "-b", "there", "main~1")
    assert head(bound) == {"branch": "there"}
    assert entries()[0]["message"] == "one"
    _, _, err = mstore("checkout", "-b", "main", code=5)
    assert "main" in err
    mstore("checkout", "-b", "x", "--to", "y", code=2)
    mstore("checkout", code=2)
    mstore("undo")
    assert head(bound) == {"branch": "here"}
    assert "there" not in json.loads(mstore("branch", "--json")[1])["branches"].__str__()


def test_a_branch_keeps_uncommitted_changes(mstore: Run, bound: Path) -> None:
    (bound / "out/config.json").write_text('{"mine": 1}')
    mstore("checkout", "-b", "work")
    assert (bound / "out/config.json").read_text() == '{"mine": 1}'
    assert "changed" in mstore("status")[1]


def test_the_last_line_can_be_pasted(mstore: Run, bound: Path) -> None:
    _, out, _ = mstore("checkout", "main", "--to", "best")
    last = out.splitlines()[-1]
    assert last.endswith("AutoModelForCausalLM.from_pretrained('best')")
    assert "from transformers import AutoModelForCausalLM" in last, "it must work when pasted alone"
    compile(last, "pasted", "exec")
    # An adapter whose base is known by name alone.
    mstore("commit", "r8", "--branch", "named", "--allow-empty", "-m", "x")
    _, out, _ = mstore("checkout", "named", "--to", "ad")
    last = out.splitlines()[-1]
    assert "PeftModel.from_pretrained(" in last and "'ad'" in last and "'gpt2'" in last
    assert "import PeftModel" in last
    compile(last, "pasted", "exec")
    assert not (bound / "ad-base").exists()


def test_the_base_of_an_adapter_comes_too(mstore: Run, bound: Path) -> None:
    """Its base is a version of this store, and lies nowhere on this machine."""
    _, out, _ = mstore("checkout", "r8", "--to", "ad")
    assert "'ad-base'" in out.splitlines()[-1] and "'ad'" in out.splitlines()[-1]
    assert contents(bound / "ad-base") == contents(bound / "out")
    mstore("checkout", "r8", "--to", "ad")
    (bound / "ad-base/config.json").write_text('{"mine": 1}')
    before = listing(bound / "ad-base")
    code, out, err = mstore("checkout", "r8", "--to", "ad", code=None)
    assert listing(bound / "ad-base") == before, "somebody's changes were overwritten"
    assert code in (0, 5) and "ad-base" in out + err


def test_a_base_that_cannot_be_written_is_met_before_anything_moves(mstore: Run, bound: Path) -> None:
    """An exit code that is not 0 says that nothing was done."""
    (bound / "out-base").mkdir()
    (bound / "out-base/mine.txt").write_text("mine")
    before, where = listing(bound / "out"), head(bound)
    code, _out, _err = mstore("checkout", "r8", code=None)
    assert (bound / "out-base/mine.txt").read_text() == "mine"
    if code:
        assert listing(bound / "out") == before and head(bound) == where, (
            "refused, and done all the same"
        )
    (bound / "to-base").symlink_to("nowhere")
    code, _, _ = mstore("checkout", "r8", "--to", "to", code=None)
    assert not code or not (bound / "to").exists(), "refused, and written all the same"


def test_the_umask_is_followed(mstore: Run, bound: Path) -> None:
    before = os.umask(0o027)
    try:
        mstore("checkout", "main", "--to", "x")
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in (bound / "x").iterdir()} == {0o640}
    assert (bound / "x").stat().st_mode & 0o777 == 0o750


# -- names


def test_branches(mstore: Run, history: Path, entries: Entries) -> None:
    _, out, _ = mstore("branch")
    assert [line[:2] for line in out.splitlines()] == ["* ", "  ", "  "]
    rows = json.loads(mstore("branch", "--json")[1])["branches"]
    assert [(r["name"], r["current"]) for r in rows] == [("main", True), ("r4", False), ("r8", False)]
    assert all(len(r["id"]) == 64 for r in rows)
    mstore("branch", "b")
    mstore("branch", "c", "r8~1")
    _, _, err = mstore("branch", "b", code=5)
    assert "-f" in err
    mstore("branch", "-f", "b", "r4")
    assert entries("b")[0]["message"] == "rank 4"
    mstore("branch", "-f", "main", "r4", code=2)
    mstore("branch", "d", "nowhere", code=3)
    _, out, _ = mstore("branch", "-d", "b")
    assert "undo" in out
    mstore("show", "b", code=3)
    mstore("branch", "-d", "b", code=3)
    mstore("branch", "-d", "main", code=2)
    mstore("branch", "c", "--rename", "e")
    mstore("show", "e")
    mstore("branch", "e", "--rename", "r4", code=5)
    mstore("branch", "none", "--rename", "x", code=3)
    mstore("branch", "main", "--rename", "trunk")
    assert head(history) == {"branch": "trunk"}


def test_contradictory_options(mstore: Run, history: Path) -> None:
    for kind in ("branch", "tag"):
        mstore(kind, "-d", code=2)
        mstore(kind, "--rename", "x", code=2)
        mstore(kind, "-f", code=2)
        mstore(kind, "r8", "-d", "--rename", "x", code=2)
    assert {r["name"] for r in json.loads(mstore("branch", "--json")[1])["branches"]} == {
        "main",
        "r4",
        "r8",
    }


def test_tags(mstore: Run, history: Path) -> None:
    mstore("tag", "v2", "r8", "-m", "shipped")
    mstore("tag", "v3")
    _, out, _ = mstore("tag")
    assert "v1" in out and "shipped" in out
    rows = {r["name"]: r for r in json.loads(mstore("tag", "--json")[1])["tags"]}
    assert rows["v2"]["annotation"]["message"] == "shipped" and rows["v3"]["annotation"] is None
    assert "rank 8" in mstore("show", "v2")[1]
    mstore("checkout", "v2", "--to", "x")
    mstore("tag", "v2", code=5)
    mstore("tag", "-f", "v2", "main")
    assert "two" in mstore("show", "v2")[1]
    mstore("tag", "v2", "--rename", "final")
    mstore("tag", "-d", "final")
    mstore("show", "final", code=3)
    mstore("tag", "-d", "none", code=3)


def test_reflogs(mstore: Run, history: Path) -> None:
    _, out, _ = mstore("reflog")
    assert [line.split()[1] for line in out.splitlines()] == ["main@{0}", "main@{1}"]
    rows = json.loads(mstore("reflog", "--json")[1])["moves"]
    assert [r["message"] for r in rows] == ["two", "one"]
    assert all(r["action"] == "commit" and r["author"].startswith("Ada") for r in rows)
    assert rows[0]["old"] == rows[1]["new"]
    mstore("reflog", "r8")
    mstore("reflog", "v1")
    mstore("reflog", "none", code=3)
    mstore("branch", "-d", "r8")
    _, out, _ = mstore("reflog", "r8")
    assert "delete" in out, "a deleted branch keeps its log"
    assert "rank 8" in mstore("show", "r8@{1}")[1]


# -- undo


def test_undo_of_commits(mstore: Run, history: Path, entries: Entries) -> None:
    _, out, _ = mstore("undo")
    assert "r8" in out and "gone" in out
    mstore("show", "r8", code=3)
    mstore("undo")
    mstore("show", "r4", code=3)
    mstore("undo")  # the tag
    mstore("undo")
    assert [e["message"] for e in entries()] == ["one"]
    assert json.loads((history / "out/config.json").read_text())["seed"] == 2, (
        "undo of a commit leaves files"
    )
    assert "changed" in mstore("status")[1] or "both committed" in mstore("status")[1]
    mstore("undo")
    assert entries() == []
    _, _, err = mstore("undo", code=2)
    assert "nothing to undo" in err


def test_undo_of_names(mstore: Run, history: Path, entries: Entries) -> None:
    tip = entries("r8")[0]["id"]
    mstore("branch", "-d", "r8")
    _, out, _ = mstore("undo")
    assert "r8" in out and entries("r8")[0]["id"] == tip
    mstore("branch", "main", "--rename", "trunk")
    mstore("undo")
    assert head(history) == {"branch": "main"} and entries("main")
    mstore("show", "trunk", code=3)
    mstore("tag", "v9", "r8", "-m", "x")
    mstore("undo")
    mstore("show", "v9", code=3)
    mstore("tag", "-d", "v1")
    mstore("undo")
    mstore("show", "v1")
    mstore("branch", "-f", "r4", "main")
    mstore("undo")
    assert entries("r4")[0]["message"] == "rank 4"


def test_undo_of_one_ref(mstore: Run, history: Path, entries: Entries) -> None:
    mstore("undo", "main")
    assert [e["message"] for e in entries("main")] == ["one"]
    mstore("undo", "main")
    assert [e["message"] for e in entries("main")] == ["two", "one"], "undo of undo"
    assert entries("r8")[0]["message"] == "rank 8"
    mstore("undo", "nowhere", code=3)


def test_undo_of_the_moves_of_others(
    mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch, entries: Entries
) -> None:
    with monkeypatch.context() as other:
        other.setenv("MSTORE_AUTHOR", "Eve <eve@example.org>")
        mstore("commit", "r8", "--branch", "r8", "--allow-empty", "-m", "eve's")
    _, _, err = mstore("undo", "r8", code=2)
    assert "Eve" in err
    assert entries("r8")[0]["message"] == "eve's"


def test_undo_when_somebody_moved_on(mstore: Run, history: Path, entries: Entries) -> None:
    (history / "second").mkdir()
    os.chdir(history / "second")
    mstore("init", "--store", "../.mstore/store")
    mstore("commit", "../r8", "--branch", "r8", "--allow-empty", "-m", "theirs")
    os.chdir(history)
    _, _, err = mstore("undo", code=5)
    assert "r8" in err
    assert entries("r8")[0]["message"] == "theirs"


# -- interrupted, pipes


def test_a_closed_pipe(history: Path) -> None:
    for command in (
        "log --all",
        "log --json --all",
        "cat main model.safetensors",
        "ls --tensors",
        "diff main~1 main",
    ):
        line = f"{sys.executable} -m mstore {command} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.stderr == "" and done.returncode in (0, 141), (command, done)


def test_a_pipe_that_is_closed_before(history: Path) -> None:
    line = f"{sys.executable} -m mstore log --all | true; exit ${{PIPESTATUS[0]}}"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.stderr == "" and done.returncode in (0, 141), done


def test_a_full_disk_behind_stdout(history: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    for command in ("log", "log --json", "ls", "cat main config.json"):
        line = f"{sys.executable} -m mstore {command} > /dev/full"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "Traceback" not in done.stderr, (command, done)
        assert "defect" not in done.stderr, done.stderr


def test_ctrl_c(mstore: Run, bound: Path, monkeypatch: pytest.MonkeyPatch, entries: Entries) -> None:
    import mstore.commit.execute as committing
    import mstore.worktree.writer as restoring

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    write_model(bound / "out", seed=9, elements=3000)
    with monkeypatch.context() as pressed:
        pressed.setattr(committing, "_move_branch", interrupted)
        _, _, err = mstore("commit", "-m", "x", code=130)
        assert "interrupted" in err
    assert [e["message"] for e in entries()] == ["two", "one"]
    mstore("commit", "-m", "three")
    before = listing(bound / "out")
    with monkeypatch.context() as pressed:
        pressed.setattr(restoring, "_write_blob", interrupted)
        mstore("checkout", "main~1", code=130)
        mstore("checkout", "main~1", "--to", "new", code=130)
    assert listing(bound / "out") == before and not (bound / "new").exists()
    assert not [p for p in bound.iterdir() if p.name.startswith(".~")]
    assert not list((bound / ".mstore/store/tmp").iterdir())
    assert head(bound) == {"branch": "main"}


def test_ctrl_c_from_the_keyboard(history: Path) -> None:
    """A real signal, to a commit that takes a while."""
    import signal
    import time

    write_model(history / "big", seed=4, elements=30_000_000)
    # What a shell starts in the background ignores the signal: not so here.
    start = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from mstore.cli import main; sys.exit(main())"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", start, "commit", "big", "--branch", "big", "-m", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(400):
        if list((history / ".mstore/store/tmp").iterdir()):
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    assert "Traceback" not in err and "interrupted" in err
    assert not list((history / ".mstore/store/tmp").iterdir())


def test_resume(mstore: Any, workshop: Path) -> None:
    mstore("init")
    write_adapter(workshop / "out", seed=5)
    (workshop / "out/optimizer.pt").write_bytes(b"state")
    state: dict[str, Any] = {"global_step": 5, "best_model_checkpoint": None, "log_history": []}
    (workshop / "out/trainer_state.json").write_text(json.dumps(state))
    mstore("commit", "out")
    _, out, _ = mstore("resume", "main", "--to", "again")
    assert f"trainer.train(resume_from_checkpoint='{workshop / 'again'}')" in out
    assert json.loads(mstore("resume", "main", "--to", "b", "--json")[1])["step"] == 5
