"""A revision on the command line: read once, looked up once, and what the command says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstore.api import discovery
from mstore.cli.app import app
from mstore.cli.params import REVISION, SIDE
from mstore.history.query import resolve as look_up
from tests.conftest import write_model

Run = Callable[..., Any]
Entries = Callable[..., list[dict[str, Any]]]

LINES = (
    ("branch new {}", 1),
    ("branch new", 1),
    ("branch", 0),
    ("cat {} adapter_config.json", 1),
    ("checkout {} --to there", 1),
    ("checkout -b retry", 1),
    ("checkout {} -b retry --force", 1),
    ("commit out --allow-empty -m x --base {}", 1),
    ("commit out --allow-empty -m x", 0),
    ("compare {} main", 2),
    ("diff {} main", 2),
    ("diff {} ./out", 1),
    ("diff {}", 1),
    ("diff", 1),
    ("du {} main", 2),
    ("du", 0),
    ("log {}", 1),
    ("log --all {}", 1),
    ("log", 0),
    ("ls {}", 1),
    ("ls {} --tensors", 1),
    ("ls", 1),
    ("note {} --metric a=1", 1),
    ("resume {} --to there", 1),
    ("show {}", 1),
    ("show {} --json", 1),
    ("show", 1),
    ("status", 0),
    ("status --json", 0),
    ("tag new {}", 1),
    ("tag new", 1),
    ("tag", 0),
)


class Counted:
    """A function that counts its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self.calls = 0
        self._function = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        return self._function(*given, **named)


@pytest.mark.parametrize(("line", "times"), LINES)
def test_each_revision_is_looked_up_once(
    mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch, line: str, times: int
) -> None:
    if line.startswith("resume"):
        (history / "r8/optimizer.pt").write_bytes(b"state")
        mstore("commit", "r8", "--branch", "r8", "-m", "with a state", "--metric", "loss=0.01")
    mstore("config", "model-dir", "out")
    looked_up = Counted(monkeypatch, look_up, "resolve")
    opened = Counted(monkeypatch, discovery, "open")
    mstore(*line.format("best:loss@r8").split())
    assert (looked_up.calls, opened.calls) == (times, 1)


def test_every_command_that_takes_a_revision_is_counted() -> None:
    taking = {
        name
        for name in app.commands
        if any(p.type in (REVISION, SIDE) for p in app.commands[name].params)
    }
    assert taking == {line.split()[0] for line, _ in LINES} - {"status"}


@pytest.mark.parametrize(
    "line",
    ["show {}", "diff {} main", "checkout {} --to there", "commit out --allow-empty -m x --base {}"],
)
def test_a_warning_is_said_once(mstore: Run, history: Path, entries: Entries, line: str) -> None:
    short = entries("main")[0]["id"][:7]
    mstore("branch", short, "v1")
    _, _, err = mstore(*line.format(short).split())
    assert err.count("is both a branch and the beginning of a commit id") == 1


def test_what_cannot_be_read_needs_no_store(mstore: Run, workshop: Path) -> None:
    _, _, err = mstore("show", "main~x", code=2)
    assert "cannot read revision 'main~x' from 'x' on" in err
    _, _, err = mstore("show", "main", code=3)
    assert "mstore init" in err


# -- a folder or a version


@pytest.fixture
def alike(mstore: Run, history: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders called as a branch is, as none is, and as nothing can be."""
    for name in ("main", "spare", "run~x", "deep/er"):
        write_model(history / name, seed=5, elements=3000)
    return history


@pytest.mark.parametrize(
    ("side", "is_folder"),
    [
        ("main", False),
        ("main/", True),
        ("./main", True),
        ("spare", True),
        ("spare/", True),
        ("deep/er", True),
        ("run~x", True),
        ("~/spare", True),
    ],
)
def test_which_side_is_a_folder(
    mstore: Run, alike: Path, monkeypatch: pytest.MonkeyPatch, side: str, is_folder: bool
) -> None:
    monkeypatch.setenv("HOME", str(alike))
    found = json.loads(mstore("diff", side, "main", "--json")[1])
    changed = found["files"]["changed"]
    assert bool(changed) == is_folder
    import mstore as package

    with package.open(alike) as repo:
        assert repo.diff(side, "main").same != is_folder


def test_the_folder_above(mstore: Run, alike: Path) -> None:
    os.chdir(alike / "deep/er")
    assert json.loads(mstore("diff", ".", "main", "--json")[1])["files"]["changed"]


def test_folders_without_a_store(mstore: Run, workshop: Path) -> None:
    for seed, name in enumerate(("a", "b~x")):
        write_model(workshop / name, seed=seed, elements=3000)
    for one, other in (("a", "b~x"), ("./a", "b~x/"), ("a/", "./b~x")):
        assert json.loads(mstore("diff", one, other, "--json")[1])["files"]["changed"]
    mstore("diff", "a", "c", code=3)
