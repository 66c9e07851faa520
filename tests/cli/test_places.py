"""Where the store is, which folder is meant, who acts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstore.backend import LocalBackend
from mstore.objects import blob_id
from tests.conftest import contents, write_model

Run = Callable[..., Any]


def test_init(mstore: Run, workshop: Path) -> None:
    _, out, err = mstore("init")
    assert str(workshop / ".mstore") in out and "mstore commit" in out and err == ""
    assert (workshop / ".mstore/.gitignore").read_text() == "*\n"
    for name in ("workspace.json", "HEAD", "store/store.json"):
        assert (workshop / ".mstore" / name).is_file()
    _, _, err = mstore("init", code=6)
    assert "already" in err
    mstore("init", "--force", code=6)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "adapter_config.json",
        "trainer_state.json",
        "model.safetensors",
        "a.safetensors",
        "model.safetensors.index.json",
    ],
)
def test_init_in_a_model_directory(mstore: Run, workshop: Path, name: str) -> None:
    (workshop / name).write_text("{}")
    _, _, err = mstore("init", code=6)
    assert "--force" in err and not (workshop / ".mstore").exists()
    mstore("init", "--force")


def test_a_store_elsewhere(mstore: Run, workshop: Path) -> None:
    write_model(workshop / "a/out", elements=3000)
    (workshop / "b").mkdir()
    os.chdir(workshop / "a")
    _, out, _ = mstore("init", "--store", "../team")
    assert str(workshop / "team") in out
    mstore("commit", "out", "-m", "from a")
    os.chdir(workshop / "b")
    mstore("init", "--store", "../team")
    _, out, _ = mstore("log")
    assert "from a" in out
    mstore("checkout", "main", "--to", "got")
    assert contents(workshop / "b/got") == contents(workshop / "a/out")
    mstore("checkout", "-b", "mine")
    assert json.loads((workshop / "a/.mstore/HEAD").read_text()) == {"branch": "main"}, (
        "ten jobs do not disturb each other"
    )
    os.chdir(workshop)
    (workshop / "team2").mkdir()
    (workshop / "team2/file").write_text("x")
    mstore("init", "--store", "team2", code=6)
    assert not (workshop / ".mstore").exists(), "nothing half-made is left"


def test_found_upward(mstore: Run, workshop: Path) -> None:
    mstore("init")
    write_model(workshop / "out", elements=3000)
    deep = workshop / "a/b/c"
    deep.mkdir(parents=True)
    os.chdir(deep)
    mstore("commit", "../../../out", "-m", "x")
    assert "nothing changed" in mstore("status")[1]


def test_the_options_and_the_environment(
    mstore: Run, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        (workshop / name).mkdir()
        os.chdir(workshop / name)
        mstore("init")
        write_model(workshop / name / "out", elements=3000)
        mstore("commit", "out", "-m", f"in {name}")
    os.chdir(workshop / "one")
    assert "in one" in mstore("log")[1]
    monkeypatch.setenv("MSTORE_STORE", str(workshop / "two/.mstore/store"))
    assert "in two" in mstore("log")[1]
    monkeypatch.setenv("MSTORE_WORKSPACE", str(workshop / "three"))
    assert "in three" in mstore("log")[1], "a workspace counts more than a store"
    assert "in three" in mstore("status")[1]
    assert "in two" in mstore("--store", str(workshop / "two/.mstore/store"), "log")[1]
    mstore("--workspace", str(workshop), "log", code=3)
    assert "in one" in mstore("--workspace", str(workshop / "one"), "log")[1]
    assert "in one" in mstore("--workspace", str(workshop / "one/.mstore"), "log")[1]
    mstore("--workspace", "x", "--store", "y", "log", code=2)
    mstore("--store", "x", "init", code=2)
    monkeypatch.setenv("MSTORE_WORKSPACE", "")
    monkeypatch.setenv("MSTORE_STORE", "")
    assert "in one" in mstore("log")[1], "empty is not set"


def test_a_store_alone(mstore: Run, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mstore("init")
    write_model(workshop / "out", elements=3000)
    mstore("commit", "out", "-m", "one")
    shutil.move(workshop / ".mstore/store", workshop / "team")
    shutil.rmtree(workshop / ".mstore")
    monkeypatch.setenv("MSTORE_STORE", "team")
    for command in (
        ["status"],
        ["config"],
        ["undo"],
        ["checkout", "main"],
        ["commit"],
        ["commit", "out"],
        ["checkout", "-b", "x"],
    ):
        _, _, err = mstore(*command, code=2)
        assert "workspace" in err or "--branch" in err or "--to" in err
    _, _, err = mstore("commit", "out", code=2)
    assert "--branch" in err
    _, _, err = mstore("commit", "--branch", "b", code=2)
    _, _, err = mstore("checkout", "main", code=2)
    assert "--to" in err
    for command in (["show"], ["show", "HEAD"], ["diff"]):
        code, _, err = mstore(*command, code=None)
        assert code in (2, 3), err
    mstore("commit", "out", "--branch", "main", "-m", "two", "--allow-empty")
    mstore("commit", "out", "--branch", "side", "-m", "root")
    entries = json.loads(mstore("log", "--json")[1])["versions"]
    assert {e["message"] for e in entries} == {"one", "two", "root"}, "log shows all"
    assert next(e for e in entries if e["message"] == "root")["parents"] == []
    mstore("checkout", "main", "--to", "back")
    assert contents(workshop / "back") == contents(workshop / "out")
    mstore("branch", "b", "main")
    mstore("branch", "-d", "b")
    mstore("tag", "v1", "main")
    mstore("undo", "main")
    mstore("fsck")
    assert not (workshop / ".mstore").exists()


def test_the_model_directory(mstore: Run, workshop: Path) -> None:
    mstore("init")
    write_model(workshop / "a", seed=1, elements=3000)
    write_model(workshop / "b", seed=2, elements=3000)
    _, _, err = mstore("commit", "-m", "which", code=2)
    assert "mstore commit DIR" in err
    mstore("commit", "a", "-m", "one")
    (workshop / "a/config.json").write_text("{}")
    mstore("commit", "-m", "two")
    mstore("commit", "b", "-m", "three", "--branch", "b")
    for command in (["commit"], ["checkout", "main~1"], ["diff"]):
        _, _, err = mstore(*command, code=2)
        assert str(workshop / "a") in err and str(workshop / "b") in err and "--to" in err
    _, out, _ = mstore("status")
    assert str(workshop / "a") in out and str(workshop / "b") in out
    before = contents(workshop / "b")
    mstore("config", "model-dir", "a")
    mstore("checkout", "main~1")
    assert contents(workshop / "b") == before
    (workshop / "b/config.json").write_text("{}")
    mstore("commit", "b", "-m", "four", "--branch", "b")
    (workshop / "a/config.json").write_text('{"x": 1}')
    mstore("commit", "-m", "five", "--branch", "five")
    assert json.loads(mstore("config", "--json")[1])["values"]["model-dir"] == str(workshop / "a")


def test_a_model_directory_from_the_start(mstore: Run, workshop: Path) -> None:
    mstore("init", "--model-dir", "out")
    write_model(workshop / "out", elements=3000)
    write_model(workshop / "other", elements=3000)
    mstore("commit", "-m", "one")
    mstore("commit", "other", "-m", "two", "--branch", "b")
    (workshop / "out/config.json").write_text("{}")
    mstore("commit", "-m", "three")
    assert str(workshop / "out") == json.loads(mstore("status", "--json")[1])["model_dir"]


def test_authors(mstore: Run, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mstore("init")
    write_model(workshop / "out", elements=3000)

    def author() -> str:
        mstore("commit", "out", "--allow-empty", "-m", "x")
        return str(json.loads(mstore("log", "-n", "1", "--json")[1])["versions"][0]["author"])

    assert author() == "Ada <ada@example.org>"
    mstore("config", "author", "Bob <bob@example.org>")
    assert author() == "Ada <ada@example.org>", "MSTORE_AUTHOR counts most"
    monkeypatch.delenv("MSTORE_AUTHOR")
    assert author() == "Bob <bob@example.org>"
    mstore("config", "--unset", "author")
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "config", "user.name", "Cy"], check=True)
    subprocess.run(["git", "config", "user.email", "cy@example.org"], check=True)
    assert author() == "Cy <cy@example.org>"
    monkeypatch.setenv("PATH", str(workshop))
    assert author()


def test_config(mstore: Run, place: Path) -> None:
    _, out, _ = mstore("config")
    assert "# author" in out and "# model-dir" in out
    mstore("config", "author", code=3)
    mstore("config", "author", "Zoe")
    assert mstore("config", "author")[1] == "Zoe\n"
    assert json.loads(mstore("config", "author", "--json")[1])["values"] == {"author": "Zoe"}
    assert json.loads(mstore("config", "--json")[1])["values"] == {"author": "Zoe"}
    mstore("config", "--unset", "author")
    assert json.loads(mstore("config", "--json")[1])["values"] == {}
    _, _, err = mstore("config", "color", "blue", code=2)
    assert "author" in err
    mstore("config", "color", code=2)
    mstore("config", "--unset", code=2)
    mstore("config", "--unset", "author", "x", code=2)
    mstore("config", "model-dir", "out")
    mstore("config", "--unset", "model-dir")


def test_status(mstore: Run, workshop: Path) -> None:
    mstore("init")
    _, out, _ = mstore("status")
    assert "main" in out and "no commit yet" in out and "mstore commit DIR" in out
    write_model(workshop / "out", elements=3000)
    mstore("commit", "out", "-m", "one")
    _, out, _ = mstore("status")
    assert "On branch main" in out and "one" in out and "nothing changed" in out
    (workshop / "out/new.txt").write_text("x")
    (workshop / "out/config.json").write_text("{}")
    (workshop / "out/tokenizer.json").unlink()
    (workshop / "out/x.tmp").write_text("x")
    _, out, _ = mstore("status")
    for mark, name in (("new", "new.txt"), ("changed", "config.json"), ("gone", "tokenizer.json")):
        assert any(mark in line and name in line for line in out.splitlines())
    assert "mstore commit" in out and "mstore diff" in out and "x.tmp" in out
    found = json.loads(mstore("status", "--json")[1])
    assert found["branch"] == "main" and len(found["id"]) == 64
    assert (found["added"], found["changed"], found["removed"]) == (
        ["new.txt"],
        ["config.json"],
        ["tokenizer.json"],
    )
    assert found["ignored"] == ["x.tmp"] and found["problem"] is None
    mstore("commit", "-m", "two")
    mstore("checkout", "main~1")
    _, out, _ = mstore("status")
    assert "HEAD is detached at" in out
    shutil.rmtree(workshop / "out")
    code, out, err = mstore("status", code=None)
    assert code == 0 and "out" in out, err


def test_init_says_what_a_network_disk_promises(
    mstore: Run, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mstore.fs.mounts.network_type", lambda path: "nfs4")
    _, _, err = mstore("init")
    assert "network file system (nfs4)" in err and "gc" in err


def test_status_tells_of_other_commands(mstore: Run, workshop: Path) -> None:
    mstore("init")
    write_model(workshop / "out", seed=1)
    mstore("commit", "out")
    (workshop / ".mstore/store/tmp/dead.tmp").write_bytes(b"x" * 3000)
    backend = LocalBackend(workshop / ".mstore/store")
    with backend.open_temp_roots() as roots:
        roots.add(blob_id(b"").raw)
        _, out, _ = mstore("status")
    assert "1 other command running" in out and "of killed commands" in out
    assert '"running_count": 0' in mstore("status", "--json")[1]
